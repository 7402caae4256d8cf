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
from fastnn.kernels.threading.pool import workers

__all__ = ["affine", "affine_backward", "affine_relu", "affine_relu_backward"]

PREPARE, MULTIPLY = 1, 2  # steps


@shared
def _packed_size(n, d, h, itemsize):
    """Return the size of W packed, or 0 where it is not."""
    return packed_size(d, h, itemsize) if packs_b(n, d, h, itemsize) else 0


@shared
def _sizes(n, d, h, itemsize, masks, packs):
    """Return the sizes of the workspace's parts in a backward pass: W packed, dz, dz packed."""
    W = packed_size(h, d, itemsize) if packs else 0
    return W, n * h if masks else 0, _packed_size(d, n, h, itemsize)


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


@kernel("pieces", told=True)
def _forward(x, W, b, y, space, relu, steps, product, pieces, thread, start, stop):
    """Do steps of a forward pass.

    `space` is where the workspace begins, and how many elements each thread has of it to itself.
    """
    n, d, h = x.shape[0], x.shape[1], W.shape[1]
    size = _packed_size(n, d, h, W.itemsize)
    packed = vector(space[0], size, W)
    if steps & PREPARE and size > 0:
        first, last = panels(W, h) * start // pieces, panels(W, h) * stop // pieces
        pack_panels(W, packed, 0, d, first, last)
    if steps & MULTIPLY:
        scratch = space[0] + (size + thread * space[1]) * W.itemsize
        top, bottom, left, right = cut(y, start, pieces)
        multiply(
            product, x, W, address_of(packed), address_of(b), y, relu, top, bottom, left, right,
            scratch,
        )  # fmt: skip


@kernel("pieces", told=True)
def _backward(
    dout, x, W, y, dx, dW, db, space, masks, wanted, steps, product, pieces, thread, start, stop
):
    """Do steps of a backward pass: with ReLU if it masks, and dx if it is wanted.

    `space` is as in :func:`_forward`.
    """
    n, h = dout.shape
    d, size = W.shape[0], W.itemsize
    by_rows = wanted and is_few(n, h, size)
    W_size, dz_size, dz_packed_size = _sizes(n, d, h, size, masks, wanted and not by_rows)
    W_packed = vector(space[0], W_size, W)
    dz = matrix(space[0] + W_size * size, n, h, W) if dz_size > 0 else dout
    dz_packed = vector(space[0] + (W_size + dz_size) * size, dz_packed_size, W)
    if steps & PREPARE:
        first, last = panels(W, h) * start // pieces, panels(W, h) * stop // pieces
        left, right = first * tile_columns(W), min(h, last * tile_columns(W))
        if masks:
            _mask(dout, y, dz, left, right)
        db[left:right] = 0
        add_columns(dz, db[left:right], left)
        if W_size > 0:
            of_W = panels(W, d)
            pack_transposed(W, W_packed, of_W * start // pieces, of_W * stop // pieces)
        if dz_packed_size > 0:
            pack_panels(dz, dz_packed, 0, n, first, last)
    if steps & MULTIPLY:
        scratch = space[0] + (W_size + dz_size + dz_packed_size + thread * space[1]) * size
        for number in range(2 if wanted and not by_rows else 1):
            a, b, packed, c, flags = x, dz, dz_packed, dW, TRANSPOSED_A
            if number == 1:
                a, b, packed, c, flags = dz, W, W_packed, dx, 0
            top, bottom, left, right = cut(c, start, pieces)
            multiply(
                product, a, b, address_of(packed), 0, c, flags, top, bottom, left, right, scratch
            )
        if by_rows:
            multiply_rows(dz, W, dx, start, stop, pieces)


@serial
def _take_forward(x, W, b, out, relu, chunks, space, product):
    """Do both steps, in one piece or in several; return how much workspace it would need, or 0."""
    n, d, h, itemsize = x.shape[0], x.shape[1], W.shape[1], W.itemsize
    size, own = _packed_size(n, d, h, itemsize), scratch_size(n, d, h, itemsize)
    threads = workers(chunks)
    begin, wanted = claim(space, (size + threads * own) * itemsize)
    if wanted > 0:
        return wanted
    place = begin, own
    if chunks == 1:
        _forward(x, W, b, out, place, relu, PREPARE | MULTIPLY, product, 1, 1, 1)
    else:
        if size > 0:
            _forward(x, W, b, out, place, relu, PREPARE, product, chunks, chunks, threads)
        _forward(x, W, b, out, place, relu, MULTIPLY, product, chunks, chunks, threads)
    return 0


@serial
def _take_backward(dout, x, W, y, dx, dW, db, masks, chunks, space, product):
    """Do both steps, as :func:`_take_forward`."""
    n, d, h, itemsize = x.shape[0], x.shape[1], W.shape[1], W.itemsize
    has_dx = 0 if is_absent(dx) else 1
    sizes = _sizes(n, d, h, itemsize, masks, has_dx and not is_few(n, h, itemsize))
    own = scratch_size(d, n, h, itemsize)
    if has_dx:
        own = max(own, scratch_size(n, h, d, itemsize))
    threads = workers(chunks)
    begin, wanted = claim(space, (sizes[0] + sizes[1] + sizes[2] + threads * own) * itemsize)
    if wanted > 0:
        return wanted
    args = dout, x, W, y, dx, dW, db, (begin, own), masks, has_dx
    if chunks == 1:
        _backward(*args, PREPARE | MULTIPLY, product, 1, 1, 1)
    else:
        _backward(*args, PREPARE, product, chunks, chunks, threads)
        _backward(*args, MULTIPLY, product, chunks, chunks, threads)
    return 0


@serial
def affine(x, W, b, out, chunks, space, product):
    """out = x W + b."""
    return _take_forward(x, W, b, out, 0, chunks, space, product)


@serial
def affine_relu(x, W, b, out, chunks, space, product):
    """out = max(x W + b, 0)."""
    return _take_forward(x, W, b, out, RELU, chunks, space, product)


@serial
def affine_backward(dout, x, W, dx, dW, db, chunks, space, product):
    """Gradients of x W + b; dx may be absent, and is then not computed."""
    y = dout  # is not read
    return _take_backward(dout, x, W, y, dx, dW, db, 0, chunks, space, product)


@serial
def affine_relu_backward(dout, x, W, y, dx, dW, db, chunks, space, product):
    """Gradients of max(x W + b, 0) from its output y; dx may be absent, and is then left out."""
    return _take_backward(dout, x, W, y, dx, dW, db, RELU, chunks, space, product)
