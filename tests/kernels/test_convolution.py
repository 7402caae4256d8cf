"""Convolution in strips, groups and slots: where they begin and end, what memory is touched."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fastnn import kernels, ops, reference
from fastnn.kernels.layers import strips

# Images, filters, stride, padding, and what is cut: groups of channels, strips of an image, slots.
SHAPES = {
    "one": ((1, 1, 1, 1), (1, 1, 1, 1), 1, 0),
    "the book's": ((5, 1, 28, 28), (30, 1, 5, 5), 1, 0),
    "strips of rows": ((3, 2, 37, 41), (5, 2, 3, 2), 1, 1),
    "rows longer than strips": ((2, 2, 5, 900), (20, 2, 3, 7), 1, 2),
    "strips of a large image": ((1, 1, 330, 320), (1, 1, 3, 2), 1, 1),
    "strips of images": ((70, 3, 6, 5), (7, 3, 3, 3), 1, 1),
    "a last strip of fewer images": ((33, 2, 9, 8), (4, 2, 2, 3), 1, 0),
    "groups": ((3, 70, 9, 10), (6, 70, 3, 3), 1, 1),
    "groups, strips and slots": ((4, 65, 30, 29), (9, 65, 3, 3), 1, 1),
    "a filter as large as the image": ((40, 3, 12, 11), (10, 3, 12, 11), 1, 0),
    "a filter longer than a group": ((2, 2, 20, 19), (3, 2, 17, 16), 1, 0),
    "pixels": ((4, 50, 7, 6), (33, 50, 1, 1), 1, 0),
    "many filters": ((2, 3, 8, 8), (800, 3, 3, 3), 1, 1),
    "stride": ((5, 3, 23, 20), (7, 3, 3, 4), 2, 1),
    "stride beyond the filter": ((5, 3, 23, 20), (7, 3, 2, 2), 3, 0),
    "pixels that no filter sees": ((2, 1, 10, 11), (2, 1, 3, 3), 4, 0),
    "more padding than filter": ((2, 2, 4, 3), (3, 2, 2, 3), 1, 4),
    "padding and stride": ((2, 2, 9, 8), (3, 2, 3, 3), 3, 5),
    "no images": ((0, 2, 9, 8), (3, 2, 3, 3), 1, 1),
}


def arrays(name, dtype):
    x_shape, W_shape, stride, pad = SHAPES[name]
    rng = np.random.default_rng(0)
    x, W = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, W_shape))
    b = rng.standard_normal(len(W)).astype(dtype)
    oh, ow = ((x.shape[i] + 2 * pad - W.shape[i]) // stride + 1 for i in (2, 3))
    dout = rng.standard_normal((len(x), len(W), oh, ow)).astype(dtype)
    return x, W, b, dout, stride, pad


def exact(function, inputs, outputs, settings=()):
    """Return the results of a twin and the sums of the terms' sizes, in higher precision."""
    wide = np.longdouble if outputs[0].dtype == np.float64 else np.float64
    results = []
    for change in (np.array, np.abs):
        found = [np.empty(a.shape, wide) for a in outputs]
        function(*(change(a).astype(wide) for a in inputs), *settings, *found)
        results.append(found)
    return zip(*results, strict=True)


def check(call, twin, inputs, outputs, settings, terms):
    """Compare a kernel with its twin, and its bits for several numbers of chunks."""
    first = None
    for chunks in (1, 2, 5):
        for a in outputs:
            a[...] = np.nan
        call(*inputs, *settings, *outputs, chunks)
        if first is None:
            first = [a.copy() for a in outputs]
        for a, b in zip(first, outputs, strict=True):
            np.testing.assert_array_equal(a, b)
    for got, (result, size) in zip(first, exact(twin, inputs, outputs, settings), strict=True):
        error = np.abs(got - result)
        assert (error <= terms * np.finfo(got.dtype).eps * size).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHAPES)
def test_forward_and_backward(name, dtype):
    x, W, b, dout, stride, pad = arrays(name, dtype)
    settings, terms = (stride, pad), 8 + max(W[0].size, dout.size // len(W), len(W))
    check(
        kernels.convolution,
        reference.convolution,
        (x, W, b),
        [np.empty_like(dout)],
        settings,
        terms,
    )
    gradients = [np.empty_like(a) for a in (x, W, b)]
    backward = kernels.convolution_backward
    check(backward, reference.convolution_backward, (dout, x, W), gradients, settings, terms)
    dW, db = np.empty_like(W), np.empty_like(b)
    backward(dout, x, W, *settings, None, dW, db, 2)
    np.testing.assert_array_equal(dW, gradients[1])
    np.testing.assert_array_equal(db, gradients[2])


def test_the_shapes_are_cut_in_every_way():
    cuts = set()
    form = strips.BACKWARD | strips.INPUT
    for x, W, stride, pad in SHAPES.values():
        places = tuple((x[i] + 2 * pad - W[i]) // stride + 1 for i in (2, 3))
        cut = strips.cut_of(x, W, places, stride, pad, 8, form, 2)
        cuts.add((places[0] > cut.rows, x[2] > cut.back_rows, cut.groups > 1, cut.slots_count > 1))
        forward = strips.cut_of(x, W, places, stride, pad, 8, 0, 5)
        assert forward.rows == places[0] or len(x) < 10
    assert cuts >= {
        (False, False, False, False),
        (False, False, True, False),
        (False, False, False, True),
        (True, True, False, False),
    }


def test_nan_reaches_what_sees_it_and_nothing_else():
    x, W, b, dout, stride, pad = arrays("strips of images", "float64")
    x[3, 1, 2, 2] = dout[4, 5, 3, 3] = np.nan
    y = ops.convolution(x, W, b, stride, pad)
    assert np.isnan(y).sum() == len(W) * 9
    assert np.isnan(y[3, :, 1:4, 1:4]).all()
    dx, dW, db = ops.convolution_backward(dout, x, W, stride, pad)
    assert np.isnan(dx).sum() == 3 * 9
    assert np.isnan(dx[4, :, 2:5, 2:5]).all()
    assert np.isnan(dW[:, 1]).all()
    assert np.isnan(dW[5]).all()
    assert np.isnan(dW).sum() == 7 * 9 + 2 * 9
    assert list(np.flatnonzero(np.isnan(db))) == [5]


def test_padding_meets_infinite_weights_as_zeros():
    x, W, b = np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3)), np.zeros(1)
    W[0, 0, 0, 0] = np.inf
    y = ops.convolution(x, W, b, pad=1)[0, 0]
    assert np.isnan(y[0]).all()
    assert np.isnan(y[:, 0]).all()
    assert np.isposinf(y[1:, 1:]).all()


@pytest.mark.parametrize("name", SHAPES)
def test_infinite_weights_reach_no_pixel_beside_what_they_saw(name):
    """The input gradient has no product of such a weight with what is no gradient."""
    x, W, b, dout, stride, pad = arrays(name, "float64")
    W[0, -1, 0, -1], W[-1, 0, -1, 0] = np.inf, np.nan
    got = ops.convolution_backward(dout, x, W, stride, pad)[0]
    expected = np.empty_like(x)
    with np.errstate(invalid="ignore"):  # which some BLAS report, others not
        reference.convolution_backward(
            dout, x, W, stride, pad, expected, np.empty_like(W), np.empty_like(b)
        )
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(expected))
    assert not x.size or np.isnan(got).any()


def guarded(kind):
    """Run all functions on arrays at the end of their pages."""
    for dtype in ("float32", "float64"):
        for name in SHAPES:
            memory = kind()
            x, W, b, dout, stride, pad = arrays(name, dtype)
            x, W, b, dout = map(memory.array, (x, W, b, dout))
            y, dx, dW, db = (memory.array(np.empty_like(a)) for a in (dout, x, W, b))
            ops.convolution(x, W, b, stride, pad, out=y)
            ops.convolution_backward(dout, x, W, stride, pad, dx=dx, dW=dW, db=db)
            filter_h, filter_w = W.shape[2:]
            rows = len(x) * dout.shape[2] * dout.shape[3]
            col = memory.array(np.empty((rows, W[0].size), dtype))
            ops.im2col(x, filter_h, filter_w, stride, pad, out=col)
            ops.col2im(col, x.shape, filter_h, filter_w, stride, pad, out=dx)
        for shape, window in [((2, 3, 7, 9), (2, 2, 2)), ((1, 2, 16, 34), (2, 2, 2)),
                              ((3, 1, 8, 13), (3, 2, 1)), ((2, 2, 5, 5), (5, 5, 3))]:  # fmt: skip
            memory = kind()
            x, dx = (memory.array(np.ones(shape, dtype)) for _ in range(2))
            y, argmax = ops.max_pool(x, *window)
            y, argmax = memory.array(y), memory.array(argmax)
            ops.max_pool(x, *window, out=y, argmax=argmax)
            ops.max_pool_backward(y, argmax, shape, *window, dx=dx)
            ops.max_pool_backward_shared(y, x, y, *window, dx=dx)


GUARDED = """
import sys
sys.path.insert(0, {folder!r})
import test_convolution, test_gemm
test_convolution.guarded(test_gemm.Guarded)
print("done")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")
def test_nothing_is_touched_outside_the_arrays():
    """In a process of its own: a stray access ends it."""
    script = GUARDED.format(folder=os.path.dirname(__file__))
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "done"


@pytest.mark.parametrize("stride", [1, 2])
def test_patches_are_added_in_the_order_of_the_twin(stride):
    col = np.random.default_rng(0).standard_normal((3 * 8 * 7, 2 * 4 * 3))
    shape = (3, 2, 8 * stride - stride + 4 - 4, 7 * stride - stride + 3 - 4)
    expected = np.empty(shape)
    reference.col2im(col, 4, 3, stride, 2, expected)
    np.testing.assert_array_equal(ops.col2im(col, shape, 4, 3, stride, 2), expected)
