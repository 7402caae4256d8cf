"""Optimizers by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fastnn.optimizers.adagrad import AdaGrad
from fastnn.optimizers.adam import Adam, AdamW
from fastnn.optimizers.momentum import Momentum, Nesterov
from fastnn.optimizers.optimizer import Optimizer
from fastnn.optimizers.rmsprop import RMSProp
from fastnn.optimizers.sgd import SGD

OPTIMIZERS: Mapping[str, type[Optimizer]] = MappingProxyType(
    {
        "sgd": SGD,
        "momentum": Momentum,
        "nesterov": Nesterov,
        "adagrad": AdaGrad,
        "rmsprop": RMSProp,
        "adam": Adam,
        "adamw": AdamW,
    }
)
