"""What the parts of a network's class have in common: its attributes."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.layers.adoption import NOTHING, Adopted
from fastnn.layers.settings import Setting
from fastnn.layers.sizes import Shape

if TYPE_CHECKING:
    from fastnn.training.history import History
    from fastnn.training.labels import Classes


class Attributes:
    """The attributes of a network; :class:`fastnn.Network` documents them."""

    weight_decay_lambda = Setting(numbers.not_negative)
    _adopted: Adopted = NOTHING  # when `params` was last brought in line with the layers
    _classes: Classes | None = None
    feature_names: list[str] | None = None
    _without_bias: frozenset[str] = frozenset()  # layers of PyTorch's modules that have none

    layers: OrderedDict[str, Any]
    last_layer: Any
    input_size: int | Shape | None
    output_size: Any  # the same
    params: dict[str, Array]
    history: History | None
    input_scale: float
    dtype: np.dtype[Any]

    if TYPE_CHECKING:

        def _has_own(self, method: str) -> bool: ...
