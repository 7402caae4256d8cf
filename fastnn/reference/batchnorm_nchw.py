"""Batch normalisation of images: x is (N, C, S), pixels flattened, the statistics per channel.

The formulas are those of :mod:`fastnn.reference.batchnorm`, on one row per pixel.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, cast

from fastnn.reference.batchnorm import batchnorm, batchnorm_backward, batchnorm_inference

_P = ParamSpec("_P")


def _of_images(function: Callable[_P, None], written: str) -> Callable[_P, None]:
    """Return what does the same to images; `written` is the result that is shaped like them."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def on_images(*args: _P.args, **kwargs: _P.kwargs) -> None:
        arrays = signature.bind(*args, **kwargs).arguments
        n, c, s = arrays["x"].shape
        flat = {
            name: a.transpose(0, 2, 1).reshape(n * s, c) if getattr(a, "ndim", 0) == 3 else a
            for name, a in arrays.items()
        }
        cast(Any, function)(**flat)
        arrays[written][...] = flat[written].reshape(n, s, c).transpose(0, 2, 1)

    on_images.__module__ = __name__
    on_images.__name__ = on_images.__qualname__ = function.__name__.replace("norm", "norm_nchw")
    on_images.__doc__ = f"As :func:`fastnn.reference.batchnorm.{function.__name__}`, over N and S."
    return on_images


batchnorm_nchw = _of_images(batchnorm, "y")
batchnorm_nchw_inference = _of_images(batchnorm_inference, "y")
batchnorm_nchw_backward = _of_images(batchnorm_backward, "dx")
