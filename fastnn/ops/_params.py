"""Dicts of parameters and gradients, as optimizers take them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fastnn._types import Array


def check_params(params: Mapping[str, Array], grads: Mapping[str, Array]) -> None:
    """Raise unless each parameter can be updated by a gradient of its shape.

    Raises
    ------
    KeyError
        If `grads` lacks a key of `params`; the message lists all that are missing.
    TypeError, ValueError
        If an array is not of float32 or float64, is read-only, or shapes differ.
    """
    missing = [key for key in params if key not in grads]
    if missing:
        raise KeyError(f"grads: missing {', '.join(map(repr, missing))}")
    for key, p in params.items():
        if not isinstance(p, np.ndarray) or p.dtype.char not in "fd":
            kind = getattr(p, "dtype", type(p).__name__)
            raise TypeError(f"params[{key!r}]: expected a float32 or float64 array, got {kind}")
        if not p.flags.writeable:
            raise ValueError(f"params[{key!r}]: expected an array that can be written")
        if np.shape(grads[key]) != p.shape:
            raise ValueError(
                f"grads[{key!r}]: expected shape {p.shape} like params[{key!r}], "
                f"got {np.shape(grads[key])}"
            )
