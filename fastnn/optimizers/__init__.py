"""Optimizers: state around the in-place updates of :mod:`fastnn.ops`.

The interface is that of *Deep Learning from Scratch*: ``update(params, grads)`` takes two
dicts of arrays with the same keys and changes the arrays in `params` in place. The classes stand
with the records and the functions of their rules in :mod:`fastnn.ops.updates`. `updater` is what a
training asks of an optimizer, also of a user's, and `state` what an optimizer keeps.
"""

from collections.abc import Mapping
from types import MappingProxyType

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

_ALL: tuple[type[Optimizer], ...] = (
    SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam, AdamW, NAdam, Adamax, AMSGrad, Lion,
)  # fmt: skip

# By their names in lower case, which `fit`, `Trainer` and checkpoints take.
OPTIMIZERS: Mapping[str, type[Optimizer]] = MappingProxyType(
    {kind.__name__.lower(): kind for kind in _ALL}
)
