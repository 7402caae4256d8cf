"""Dropout (Srivastava et al., 2014) with the counter-based generator Philox4x32-10."""

from __future__ import annotations

import numpy as np

from fastnn._utils.types import Array, Mask
from fastnn.reference._philox import philox


def dropout(
    x: Array, ratio: float, seed: int, step: int, scale: float, out: Array, mask: Mask
) -> None:
    """mask = (word of the element >= 2^32 ratio), out = x (scale where mask, else 0)."""
    blocks = np.arange(-(-x.size // 4), dtype=np.uint64)
    words = philox(blocks, step, seed).ravel()[: x.size]
    mask[...] = words >= np.uint64(ratio * 2**32)
    dropout_backward(x, mask, scale, out)


def dropout_backward(dout: Array, mask: Mask, scale: float, dx: Array) -> None:
    """dx = dout (scale where mask, else 0)."""
    np.multiply(dout, mask * dout.dtype.type(scale), out=dx)


def dropout_inference(x: Array, scale: float, out: Array) -> None:
    """out = x scale."""
    np.multiply(x, scale, out=out)
