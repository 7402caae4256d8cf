"""Affine layers: products with bias and ReLU in them, and their gradients.

What a call does comes in two steps: prepare (mask, sum columns, pack) and multiply. In one
piece both are one compiled call, as small layers take little more time than calls do. In
several pieces each step is a call, since the second reads all that the first has written.
"""

import functools

import numpy as np

from fastnn.kernels.codegen.compile import serial, shared
from fastnn.kernels.gemm import workspace
from fastnn.kernels.gemm.dots import multiply_rows
from fastnn.kernels.gemm.microkernel import RELU
from fastnn.kernels.gemm.multiply import TRANSPOSED_A, cut, multiply, scratch_size
from fastnn.kernels.gemm.packing import (
    pack_panels,
    pack_transposed,
    packed_size,
    packs_b,
    panels,
    tile_columns,
)
from fastnn.kernels.threading.driver import kernel
from fastnn.kernels.tuning import by_itemsize

__all__ = ["affine", "affine_backward", "affine_relu", "affine_relu_backward"]

_few, _few_per_unit = by_itemsize("few_samples"), by_itemsize("few_samples_per_unit")

GRADIENTS, INPUT_GRADIENT = 16, 32  # of the form of a call, beside RELU
PREPARE, MULTIPLY = 1, 2  # steps


@shared
def is_few(n, h, itemsize):
    """Return whether n samples are so few that dx is computed as scalar products."""
    return n <= _few(itemsize) or n <= _few_per_unit(itemsize) * h


@shared
def _sizes(n, d, h, itemsize, form):
    """Return the sizes of the workspace's parts: W packed, dz, dz packed."""
    if form & GRADIENTS:
        W = 0
        if form & INPUT_GRADIENT and not is_few(n, h, itemsize):
            W = packed_size(h, d, itemsize)
        dz = n * h if form & RELU else 0
        return W, dz, packed_size(n, h, itemsize) if packs_b(d, n, h, itemsize) else 0
    return packed_size(d, h, itemsize) if packs_b(n, d, h, itemsize) else 0, 0, 0


# Rows whose sum is added to the total at once: the total goes to memory and back each time.
_AT_ONCE = 4


@serial
def add_columns(dout, total, left):
    """Add the sums of some columns of dout, those from `left` on, to the total."""
    right = left + total.size
    whole = dout.shape[0] // _AT_ONCE * _AT_ONCE
    for i in range(0, whole, _AT_ONCE):
        r0, r1 = dout[i, left:right], dout[i + 1, left:right]
        r2, r3 = dout[i + 2, left:right], dout[i + 3, left:right]
        for j in range(total.size):
            total[j] += (r0[j] + r1[j]) + (r2[j] + r3[j])
    for i in range(whole, dout.shape[0]):
        row = dout[i, left:right]
        for j in range(total.size):
            total[j] += row[j]


@serial
def _mask(dout, y, dz, left, right):
    """Write the columns of dout to dz, zero where y is not above zero."""
    zero = y.dtype.type(0)
    for i in range(dout.shape[0]):
        row, out, masked = dout[i, left:right], y[i, left:right], dz[i, left:right]
        for j in range(row.size):
            masked[j] = zero if out[j] <= zero else row[j]


# All calls go through one compiled function: most of the time that it takes to compile is for
# the tiles.
@kernel("pieces")
def _layer(x, W, v, y, dout, dx, dW, work, form, steps, pieces, start, stop):
    """Do steps of a layer's forward or backward pass; v is the bias, or its gradient."""
    n, h = y.shape
    d = W.shape[0]
    relu, backward, input_gradient = form & RELU, form & GRADIENTS, form & INPUT_GRADIENT
    W_size, dz_size, dz_packed_size = _sizes(n, d, h, W.itemsize, form)
    W_packed = work[:W_size]
    dz = work[W_size : W_size + dz_size].reshape((n, h)) if dz_size > 0 else dout
    dz_packed = work[W_size + dz_size : W_size + dz_size + dz_packed_size]
    if steps & PREPARE:
        first, last = panels(W, h) * start // pieces, panels(W, h) * stop // pieces
        if backward:
            left, right = first * tile_columns(W), min(h, last * tile_columns(W))
            if relu:
                _mask(dout, y, dz, left, right)
            v[left:right] = 0
            add_columns(dz, v[left:right], left)
            if W_size > 0:
                of_W = panels(W, d)
                pack_transposed(W, W_packed, of_W * start // pieces, of_W * stop // pieces)
        if dz_packed_size > 0 or (W_size > 0 and not backward):
            b, packed = (dz, dz_packed) if backward else (W, W_packed)
            pack_panels(b, packed, 0, b.shape[0], first, last)
    if steps & MULTIPLY:
        by_rows = input_gradient and is_few(n, h, W.itemsize)
        for product in range(2 if input_gradient and not by_rows else 1):
            a, b, packed, bias, c, flags = x, W, W_packed, v, y, relu
            if backward:
                bias = v[:0]
                if product == 0:
                    b, packed, c, flags = dz, dz_packed, dW, TRANSPOSED_A
                else:
                    a, c, flags = dz, dx, 0
            k = a.shape[0] if flags & TRANSPOSED_A else a.shape[1]
            scratch = np.empty(scratch_size(c.shape[0], k, c.shape[1], c.itemsize), c.dtype)
            top, bottom, left, right = cut(c, start, stop, pieces)
            multiply(a, b, packed, bias, c, flags, top, bottom, left, right, scratch)
        if by_rows:
            multiply_rows(dz, W, dx, start, stop, pieces)


@functools.lru_cache(1024)
def _workspace_size(n, d, h, itemsize, form):
    return sum(_sizes(n, d, h, itemsize, form))


def _call(x, W, v, y, dout, dx, dW, form, chunks):
    size = _workspace_size(*x.shape, W.shape[1], W.itemsize, form)
    work = workspace.take(size, W.dtype) if size else v
    if chunks == 1:
        _layer(x, W, v, y, dout, dx, dW, work, form, PREPARE | MULTIPLY, 1, 1)
    else:
        if size or form & GRADIENTS:
            _layer(x, W, v, y, dout, dx, dW, work, form, PREPARE, chunks, chunks)
        _layer(x, W, v, y, dout, dx, dW, work, form, MULTIPLY, chunks, chunks)
    if size:
        workspace.give_back(work)


# Where a call has no array of some kind, another of the same type stands in for it.


def affine(x, W, b, out, chunks):
    """out = x W + b."""
    _call(x, W, b, out, out, x, W, 0, chunks)


def affine_relu(x, W, b, out, chunks):
    """out = max(x W + b, 0)."""
    _call(x, W, b, out, out, x, W, RELU, chunks)


def affine_backward(dout, x, W, dx, dW, db, chunks):
    """Gradients of x W + b; dx may be None, and is then not computed."""
    _gradients(x, W, db, dout, dout, dx, dW, 0, chunks)


def affine_relu_backward(dout, x, W, y, dx, dW, db, chunks):
    """Gradients of max(x W + b, 0) from its output y; dx may be None, and is then not computed."""
    _gradients(x, W, db, y, dout, dx, dW, RELU, chunks)


def _gradients(x, W, db, y, dout, dx, dW, form, chunks):
    if dx is None:
        _call(x, W, db, y, dout, x, dW, form | GRADIENTS, chunks)
    else:
        _call(x, W, db, y, dout, dx, dW, form | GRADIENTS | INPUT_GRADIENT, chunks)
