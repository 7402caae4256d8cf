"""Second-order methods: L-BFGS on a full batch, and Newton's method for small networks.

Both minimise the training loss over all samples, weight decay included. Neither has a learning
rate: the curvature of the loss, which L-BFGS estimates from the gradients of the last steps and
Newton's method computes, says how far to go (CS231n notes, "Neural networks 3", second order
methods).

A step on all samples is a function of the parameters, with batch normalisation too; dropout is
refused. Running statistics of batch normalisation are those of all samples at the end. Build the
network with ``dtype="float64"``: near a minimum losses differ by less than float32 can tell.
"""

from fastnn.second_order.lbfgs import lbfgs
from fastnn.second_order.minimization import Minimization
from fastnn.second_order.newton import hessian, newton

__all__ = ["Minimization", "hessian", "lbfgs", "newton"]
