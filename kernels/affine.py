"""Affine layers: products with bias and ReLU in them, and their gradients.

What a call does comes in two steps: prepare (mask, sum columns, pack) and multiply. In one
piece both are one compiled call, as small layers take little more time than calls do. In
several pieces each step is a call, since the second reads all that the first has written.
"""

from numba.extending import register_jitable

from fastnn.kernels import workspace
from fastnn.kernels.compile import serial
from fastnn.kernels.dots import multiply_rows
from fastnn.kernels.driver import kernel
from fastnn.kernels.gemm import (
    TRANSPOSED_A,
    multiply,
    pack_panels,
    pack_transposed,
    packed_size,
    packs_b,
    panels,
    tile_columns,
)
from fastnn.kernels.microkernel import RELU

__all__ = ["affine", "affine_backward", "affine_relu", "affine_relu_backward"]

# Columns per cut of a kernel that sums over rows: a cache line of the smallest type.
COLUMNS = 16

# Up to so many samples dx is computed as scalar products with the rows of W.
FEW = 16

PREPARE, MULTIPLY = 1, 2


@kernel("pieces")
def _forward(x, W, b, out, packed, flags, steps, pieces, start, stop):
    if steps & PREPARE and packed.size > 0:
        n = panels(W, W.shape[1])
        pack_panels(W, packed, n * start // pieces, n * stop // pieces)
    if steps & MULTIPLY:
        multiply(x, W, packed, b, out, flags, start, stop, pieces)


@serial
def _column_sums(dout, total, left):
    total[:] = 0
    for i in range(dout.shape[0]):
        row = dout[i, left : left + total.size]
        for j in range(total.size):
            total[j] += row[j]


@serial
def _mask_and_column_sums(dout, y, dz, total, left):
    zero = y.dtype.type(0)
    right = left + total.size
    total[:] = 0
    for i in range(dout.shape[0]):
        row, out, masked = dout[i, left:right], y[i, left:right], dz[i, left:right]
        for j in range(total.size):
            d = zero if out[j] <= zero else row[j]
            masked[j] = d
            total[j] += d


@register_jitable
def _sizes(n, d, h, itemsize, relu, input_gradient):
    """Return the sizes of the workspace's parts: dz, dz packed for dW, W packed for dx."""
    dz = n * h if relu else 0
    dz_packed = packed_size(n, h, itemsize) if packs_b(d, h) else 0
    W_packed = packed_size(h, d, itemsize) if input_gradient and n > FEW else 0
    return dz, dz_packed, W_packed


@kernel("pieces")
def _backward(dout, x, W, y, dx, dW, db, work, relu, input_gradient, steps, pieces, start, stop):
    """Do steps of a backward pass; y is read if `relu`, dx written if `input_gradient`."""
    n, h = dout.shape
    d = W.shape[0]
    dz_size, dz_packed_size, W_packed_size = _sizes(n, d, h, W.itemsize, relu, input_gradient)
    after_dz, end = dz_size + dz_packed_size, dz_size + dz_packed_size + W_packed_size
    dz = work[:dz_size].reshape((n, h)) if relu else dout
    dz_packed, W_packed = work[dz_size:after_dz], work[after_dz:end]
    if steps & PREPARE:
        first, last = panels(W, h) * start // pieces, panels(W, h) * stop // pieces
        left, right = first * tile_columns(W), min(h, last * tile_columns(W))
        if relu:
            _mask_and_column_sums(dout, y, dz, db[left:right], left)
        else:
            _column_sums(dout, db[left:right], left)
        if dz_packed_size > 0:
            pack_panels(dz, dz_packed, first, last)
        if W_packed_size > 0:
            of_W = panels(W, d)
            pack_transposed(W, W_packed, of_W * start // pieces, of_W * stop // pieces)
    if steps & MULTIPLY:
        no_bias = db[:0]
        multiply(x, dz, dz_packed, no_bias, dW, TRANSPOSED_A, start, stop, pieces)
        if input_gradient and n > FEW:
            multiply(dz, W, W_packed, no_bias, dx, 0, start, stop, pieces)
        elif input_gradient:
            multiply_rows(dz, W, dx, start, stop, pieces)


def _run(step, args, chunks):
    if chunks == 1:
        step(*args, PREPARE | MULTIPLY, 1, 1)
    else:
        step(*args, PREPARE, chunks, chunks)
        step(*args, MULTIPLY, chunks, chunks)


def affine(x, W, b, out, chunks):
    """out = x W + b."""
    _affine(x, W, b, out, 0, chunks)


def affine_relu(x, W, b, out, chunks):
    """out = max(x W + b, 0)."""
    _affine(x, W, b, out, RELU, chunks)


def _affine(x, W, b, out, flags, chunks):
    (n, d), h = x.shape, b.size
    if not packs_b(n, h):
        _forward(x, W, b, out, b[:0], flags, MULTIPLY, chunks, chunks)
        return
    packed = workspace.take(packed_size(d, h, W.itemsize), W.dtype)
    _run(_forward, (x, W, b, out, packed, flags), chunks)
    workspace.give_back(packed)


def affine_backward(dout, x, W, dx, dW, db, chunks):
    """Gradients of x W + b; dx may be None, and is then not computed."""
    _gradients(dout, x, W, None, dx, dW, db, chunks)


def affine_relu_backward(dout, x, W, y, dx, dW, db, chunks):
    """Gradients of max(x W + b, 0) from its output y; dx may be None, and is then not computed."""
    _gradients(dout, x, W, y, dx, dW, db, chunks)


def _gradients(dout, x, W, y, dx, dW, db, chunks):
    relu, input_gradient = y is not None, dx is not None
    (n, d), h = x.shape, db.size
    work = workspace.take(sum(_sizes(n, d, h, W.itemsize, relu, input_gradient)), W.dtype)
    # Arrays that are not used stand in for those that are not there.
    args = dout, x, W, y if relu else dout, dx if input_gradient else x, dW, db, work
    _run(_backward, (*args, relu, input_gradient), chunks)
    workspace.give_back(work)
