"""Optimizers: state around the in-place updates of :mod:`fastnn.ops`.

The interface is that of *Deep Learning from Scratch*: ``update(params, grads)`` takes two
dicts of arrays with the same keys and changes the arrays in `params` in place.
"""

from fastnn.ops.updates.adagrad import AdaGrad
from fastnn.ops.updates.adam import Adam, AdamW
from fastnn.ops.updates.adamax import Adamax
from fastnn.ops.updates.amsgrad import AMSGrad
from fastnn.ops.updates.lion import Lion
from fastnn.ops.updates.momentum import Momentum, Nesterov
from fastnn.ops.updates.nadam import NAdam
from fastnn.ops.updates.optimizer import Optimizer
from fastnn.ops.updates.rmsprop import RMSProp, RMSprop
from fastnn.ops.updates.sgd import SGD
from fastnn.optimizers.names import OPTIMIZERS

__all__ = [
    "OPTIMIZERS",
    "SGD",
    "AMSGrad",
    "AdaGrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Momentum",
    "NAdam",
    "Nesterov",
    "Optimizer",
    "RMSProp",
    "RMSprop",
]
