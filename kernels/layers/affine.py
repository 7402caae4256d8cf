"""Affine layers: products with bias and ReLU in them, and their gradients.

What a call does comes in two steps: prepare (mask, sum columns, pack) and multiply. In one piece
both are taken at once. In several pieces the threads wait for each other between them, since the
second reads all that the first has written.
"""

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import address_of, claim, is_absent, matrix, vector
from fastnn.kernels.gemm.dots import multiply_rows
from fastnn.kernels.gemm.multiply import cut
from fastnn.kernels.gemm.packing import pack_panels, pack_transposed
from fastnn.kernels.gemm.product import multiply
from fastnn.kernels.gemm.sizes import (
    RELU,
    TRANSPOSED_A,
    is_few,
    packed_size,
    packs_b,
    panels,
    scratch_size,
    tile_columns,
)
from fastnn.kernels.plain.shared import shared
from fastnn.kernels.threading.driver import kernel

__all__ = ["affine", "affine_backward", "affine_relu", "affine_relu_backward"]

GRADIENTS, INPUT_GRADIENT = 16, 32  # of the form of a call, beside RELU
PREPARE, MULTIPLY = 1, 2  # steps


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


@kernel("pieces")
def _layer(x, W, v, y, dout, dx, dW, space, form, steps, product, pieces, start, stop):
    """Do steps of a layer's forward or backward pass; v is the bias, or its gradient.

    `space` is where the workspace begins, and how many elements each piece has of it to itself.
    """
    n, h = y.shape
    d = W.shape[0]
    relu, backward, input_gradient = form & RELU, form & GRADIENTS, form & INPUT_GRADIENT
    W_size, dz_size, dz_packed_size = _sizes(n, d, h, W.itemsize, form)
    work = vector(space[0], W_size + dz_size + dz_packed_size, W)
    W_packed = work[:W_size]
    dz = matrix(address_of(work) + W_size * W.itemsize, n, h, W) if dz_size > 0 else dout
    dz_packed = work[W_size + dz_size :]
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
        scratch = space[0] + (work.size + start * space[1]) * W.itemsize
        for number in range(2 if input_gradient and not by_rows else 1):
            a, b, packed, bias, c, flags = x, W, W_packed, address_of(v), y, relu
            if backward:
                bias = 0
                if number == 0:
                    b, packed, c, flags = dz, dz_packed, dW, TRANSPOSED_A
                else:
                    a, c, flags = dz, dx, 0
            top, bottom, left, right = cut(c, start, stop, pieces)
            multiply(
                product, a, b, address_of(packed), bias, c, flags, top, bottom, left, right, scratch
            )
        if by_rows:
            multiply_rows(dz, W, dx, start, stop, pieces)


@serial
def _scratch(n, d, h, itemsize, form):
    """Return how many elements each piece packs its blocks into."""
    if not form & GRADIENTS:
        return scratch_size(n, d, h, itemsize)
    size = scratch_size(d, n, h, itemsize)
    return max(size, scratch_size(n, h, d, itemsize)) if form & INPUT_GRADIENT else size


@serial
def _call(x, W, v, y, dout, dx, dW, form, chunks, space, product):
    """Do both steps, in one piece or in several; return how much workspace it would need, or 0."""
    n, d, h, itemsize = x.shape[0], x.shape[1], W.shape[1], W.itemsize
    W_size, dz_size, dz_packed_size = _sizes(n, d, h, itemsize, form)
    shared, own = W_size + dz_size + dz_packed_size, _scratch(n, d, h, itemsize, form)
    begin, wanted = claim(space, (shared + chunks * own) * itemsize)
    if wanted > 0:
        return wanted
    place = begin, own
    if chunks == 1:
        _layer(x, W, v, y, dout, dx, dW, place, form, PREPARE | MULTIPLY, product, 1, 1)
    else:
        if shared or form & GRADIENTS:
            _layer(x, W, v, y, dout, dx, dW, place, form, PREPARE, product, chunks, chunks)
        _layer(x, W, v, y, dout, dx, dW, place, form, MULTIPLY, product, chunks, chunks)
    return 0


# Where a call has no array of some kind, another of the same type stands in for it.


@serial
def affine(x, W, b, out, chunks, space, product):
    """out = x W + b."""
    return _call(x, W, b, out, out, x, W, 0, chunks, space, product)


@serial
def affine_relu(x, W, b, out, chunks, space, product):
    """out = max(x W + b, 0)."""
    return _call(x, W, b, out, out, x, W, RELU, chunks, space, product)


@serial
def affine_backward(dout, x, W, dx, dW, db, chunks, space, product):
    """Gradients of x W + b; dx may be absent, and is then not computed."""
    form = GRADIENTS if is_absent(dx) else GRADIENTS | INPUT_GRADIENT
    return _call(x, W, db, dout, dout, dx, dW, form, chunks, space, product)


@serial
def affine_relu_backward(dout, x, W, y, dx, dW, db, chunks, space, product):
    """Gradients of max(x W + b, 0) from its output y; dx may be absent, and is then left out."""
    form = RELU | GRADIENTS if is_absent(dx) else RELU | GRADIENTS | INPUT_GRADIENT
    return _call(x, W, db, y, dout, dx, dW, form, chunks, space, product)
