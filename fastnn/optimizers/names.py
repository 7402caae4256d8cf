"""Optimizers by name."""

from __future__ import annotations

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
from fastnn.ops.updates.rmsprop import RMSProp
from fastnn.ops.updates.sgd import SGD

_ALL: tuple[type[Optimizer], ...] = (
    SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam, AdamW, NAdam, Adamax, AMSGrad, Lion,
)  # fmt: skip

OPTIMIZERS: Mapping[str, type[Optimizer]] = MappingProxyType(
    {kind.__name__.lower(): kind for kind in _ALL}
)
