"""Convolution of images."""

from __future__ import annotations

from typing import SupportsIndex

from numpy.typing import ArrayLike

from fastnn import ops
from fastnn._utils.types import Array
from fastnn.layers._kept import after_forward
from fastnn.layers.record import Record, register


class Convolution:
    """Convolution of images (N, C, H, W) with filters, and a bias.

    Parameters
    ----------
    W : ndarray, shape (F, C, FH, FW)
        Filters; kept, not copied, so that an update in place is seen.
    b : ndarray, shape (F,)
        Bias; kept, not copied.
    stride : int
        Step between the places where filters are put.
    pad : int
        Rows and columns of zeros around each image.

    Attributes
    ----------
    x : ndarray, shape (N, C, H, W), or None
        The last input.
    dW, db : ndarray or None
        Gradients of the last backward pass.
    input_gradient : bool
        True at first. False saves the gradient with respect to the input, which the first
        layer of a network has no use for; backward then returns None.
    """

    def __init__(
        self, W: Array, b: Array, stride: SupportsIndex = 1, pad: SupportsIndex = 0
    ) -> None:
        self.W = W
        self.b = b
        self.stride = stride
        self.pad = pad
        self.x: ArrayLike | None = None
        self.dW: Array | None = None
        self.db: Array | None = None
        self.input_gradient = True

    def forward(self, x: ArrayLike, train_flg: bool = True) -> Array:
        """Return the images of what the filters find, shape (N, F, OH, OW)."""
        y = ops.convolution(x, self.W, self.b, self.stride, self.pad)
        self.x = x
        return y

    def backward(self, dout: ArrayLike) -> Array | None:
        """Return the gradient with respect to the input; leave those of filters and bias."""
        dx, self.dW, self.db = ops.convolution_backward(
            dout, after_forward(self, self.x), self.W, self.stride, self.pad,
            input_gradient=self.input_gradient,
        )  # fmt: skip
        return dx


register(
    Record(
        Convolution,
        "convolution",
        parameters=("W", "b"),
        decayed=("W",),
        kept=("x",),
        smooth=True,
    )
)
