"""Optimizers: state around the in-place updates of :mod:`fastnn.ops`.

The interface is that of *Deep Learning from Scratch*: ``update(params, grads)`` takes two
dicts of arrays with the same keys and changes the arrays in `params` in place.
"""

from fastnn.optimizers.adagrad import AdaGrad
from fastnn.optimizers.adam import Adam, AdamW
from fastnn.optimizers.momentum import Momentum, Nesterov
from fastnn.optimizers.names import OPTIMIZERS
from fastnn.optimizers.optimizer import Optimizer
from fastnn.optimizers.rmsprop import RMSProp, RMSprop
from fastnn.optimizers.sgd import SGD

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Momentum",
    "Nesterov",
    "Optimizer",
    "RMSProp",
    "RMSprop",
]
