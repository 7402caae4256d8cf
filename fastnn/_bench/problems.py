"""What families of cases and implementations agree on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

EPS = 1e-6  # of batch normalisation


class Update(NamedTuple):
    """What an optimizer is given; implementations copy the arrays that they change."""

    rule: str
    settings: dict[str, float]
    params: list[np.ndarray[Any, Any]]
    grads: list[np.ndarray[Any, Any]]
    state: float  # value that all of the state has at the start
