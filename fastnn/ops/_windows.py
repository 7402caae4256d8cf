"""Images and the windows that a filter sees of them, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, SupportsIndex

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.ops._arrays import expect_ndim

MOST = 2**31 - 1  # of a filter's size, a stride, a padding


def expect_images(name: str, x: Array) -> None:
    """Raise ValueError unless the array is one of images."""
    expect_ndim(name, x, 4, "(N, C, H, W)")


def size(name: str, value: SupportsIndex) -> int:
    """Return the height, the width or the step of a window as an int."""
    return numbers.integer(name, value, 1, MOST)


def padding(name: str, value: SupportsIndex) -> int:
    """Return a number of rows and columns of padding as an int."""
    return numbers.integer(name, value, 0, MOST)


def images_shape(name: str, shape: Sequence[SupportsIndex]) -> tuple[int, int, int, int]:
    """Return the shape of images as ints."""
    try:
        n, c, h, w = shape
    except (TypeError, ValueError):
        raise ValueError(f"{name}: expected four numbers (N, C, H, W), got {shape!r}") from None
    return (
        numbers.integer(name, n, 0),
        numbers.integer(name, c, 0),
        numbers.integer(name, h, 0),
        numbers.integer(name, w, 0),
    )


def is_shape_of(images: Array, shape: Sequence[SupportsIndex]) -> bool:
    """Say whether a shape that was given is plainly that of an array."""
    return type(shape) is tuple and images.shape == shape and {*map(type, shape)} == {int}


def places(
    name: str, shape: tuple[int, ...], height: int, width: int, stride: int, pad: int = 0
) -> tuple[int, int]:
    """Return how many windows there are below and beside each other, OH and OW.

    Raises
    ------
    ValueError
        If there is none.
    """
    h, w = shape[2] + 2 * pad - height, shape[3] + 2 * pad - width
    if h < 0 or w < 0:
        with_pad = f" with {pad} of padding on each side" if pad else ""
        raise ValueError(
            f"{name}: expected images that a window of {height} x {width} fits in{with_pad}, "
            f"got shape {shape}"
        )
    return h // stride + 1, w // stride + 1


def plain_places(
    shape: tuple[int, ...], height: Any, width: Any, stride: Any
) -> tuple[int, int] | None:
    """Return what :func:`places` does where it is told in plain numbers, or None.

    Nothing is refused: a kernel looks at the numbers, too.
    """
    if type(height) is type(width) is type(stride) is int and stride > 0:
        h, w = shape[2] - height, shape[3] - width
        if h >= 0 and w >= 0 and height > 0 and width > 0:
            return h // stride + 1, w // stride + 1
    return None


def window(
    pool_h: SupportsIndex, pool_w: SupportsIndex, stride: SupportsIndex | None
) -> tuple[int, int, int]:
    """Return height, width and stride of windows; the stride of square ones may be left out."""
    ph, pw = size("pool_h", pool_h), size("pool_w", pool_w)
    if stride is None and ph != pw:
        raise ValueError(
            f"stride: expected a number, the step both down and across, as the window of "
            f"{ph} x {pw} is no square, got None"
        )
    return ph, pw, ph if stride is None else size("stride", stride)
