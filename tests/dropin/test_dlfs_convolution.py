"""Convolution and Pooling of ``common.layers``."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SINGLE = 32 * np.finfo(np.float32).eps


def data(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@st.composite
def images_and_windows(draw, pads=(0, 2)):
    n, channels = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    pad = draw(st.integers(*pads))
    window_h = draw(st.integers(1, height + 2 * pad))
    window_w = draw(st.integers(1, width + 2 * pad))
    return (n, channels, height, width), window_h, window_w, draw(st.integers(1, 4)), pad


def step(m, layer, x, seed, dtype=np.float64):
    """Return all that a forward and a backward pass show."""
    before = m.visible(layer)
    out = layer.forward(x)
    between = m.visible(layer)
    dout = data(seed, *out.shape, dtype=dtype)
    kept = dout.copy()
    dx = layer.backward(dout)
    assert np.array_equal(dout, kept)
    return before, out, between, dx, m.visible(layer), x, dout


@settings(deadline=None, max_examples=40)
@given(sizes=images_and_windows(), filters=st.integers(1, 5))
def test_convolution(dlfs, sizes, filters):
    shape, filter_h, filter_w, stride, pad = sizes

    def action(m):
        W, b = data(1, filters, shape[1], filter_h, filter_w), data(2, filters)
        layer = m.layers.Convolution(W, b, stride, pad)
        return step(m, layer, data(3, *shape), 4), layer.W is W, layer.b is b

    dlfs.compare(action)


def test_convolution_as_in_the_book(dlfs):
    def action(m):
        W, b = data(5, 30, 1, 5, 5), np.zeros(30)
        return step(m, m.layers.Convolution(W, b), data(6, 20, 1, 28, 28), 7)

    dlfs.compare(action)


@pytest.mark.parametrize(
    "dtypes",
    [
        *itertools.product([np.float64, np.float32], repeat=4),
        (np.uint8, np.float64, np.float64, np.float64),
        (np.uint8, int, int, int),
        (np.float16, np.float16, np.float16, np.float16),
        (np.float16, np.float64, np.float64, np.float64),
    ],
    ids=lambda dtypes: "-".join(np.dtype(d).name for d in dtypes),
)
def test_convolution_of_mixed_types(dlfs, dtypes):
    x_dtype, W_dtype, b_dtype, dout_dtype = dtypes

    def action(m):
        W = (np.abs(data(8, 3, 2, 2, 2)) * 5).astype(W_dtype)
        b = (np.abs(data(9, 3)) * 5).astype(b_dtype)
        x = (np.abs(data(10, 2, 2, 5, 4)) * 5).astype(x_dtype)
        return step(m, m.layers.Convolution(W, b), x, 11, dout_dtype)

    # db alone is in the type of dout; all else is float64.
    dlfs.compare(action, tolerance=SINGLE if dout_dtype is np.float32 else None)


@pytest.mark.parametrize("b", [0, 0.5, np.float32(2), np.array(1.0), np.ones(1)], ids=repr)
def test_convolution_with_a_number_for_a_bias(dlfs, b):
    def action(m):
        return step(m, m.layers.Convolution(data(12, 3, 2, 2, 2), b), data(13, 2, 2, 5, 4), 14)

    dlfs.compare(action)


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "channels last": lambda a: np.ascontiguousarray(a.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "read-only": lambda a: np.broadcast_to(a, a.shape),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_convolution_of_other_layouts(dlfs, layout):
    def action(m):
        layer = m.layers.Convolution(layout(data(15, 3, 2, 2, 2)), data(16, 3), 2, 1)
        out = layer.forward(layout(data(17, 2, 2, 5, 4)))
        dx = layer.backward(layout(data(18, *out.shape)))
        return out, dx, layer.dW, layer.db

    dlfs.compare(action)


def test_convolution_uses_what_its_attributes_are_now(dlfs):
    def action(m):
        W, b = data(19, 3, 2, 2, 2), data(20, 3)
        layer = m.layers.Convolution(W, b)
        x = data(21, 2, 2, 5, 4)
        seen = [layer.forward(x)]
        W *= 2  # as an optimizer does
        b += 1
        seen.append(layer.forward(x))
        layer.W, layer.b = data(22, 3, 2, 2, 2), np.zeros(3)  # as load_params does
        seen.append(layer.forward(x))
        layer.stride, layer.pad = 2, 1
        seen.append(layer.forward(x))
        layer.forward(2 * x)  # twice before the backward pass: the last one counts
        dout = data(23, *seen[-1].shape)
        return *seen, layer.backward(dout), layer.dW, layer.db, layer.x is x

    dlfs.compare(action)


def test_convolution_gradients_do_not_see_changes_to_the_input(dlfs):
    def action(m):
        layer = m.layers.Convolution(data(24, 3, 2, 2, 2), data(25, 3))
        x = data(26, 2, 2, 5, 4)
        out = layer.forward(x)
        x *= 100  # a buffer that is used again: the columns are a copy
        return layer.backward(np.ones_like(out)), layer.dW, layer.col

    dlfs.compare(action)


def test_convolution_gradients_are_new_arrays_each_time(dlfs):
    def action(m):
        layer = m.layers.Convolution(data(27, 3, 2, 2, 2), data(28, 3))
        dout = np.ones_like(layer.forward(data(29, 2, 2, 5, 4)))
        first = layer.backward(dout), layer.dW, layer.db
        second = layer.backward(2 * dout), layer.dW, layer.db
        return first, second, [np.shares_memory(a, b) for a, b in zip(first, second, strict=True)]

    dlfs.compare(action)


@pytest.mark.parametrize(
    ("x_shape", "W_shape"),
    [
        ((2, 3, 5, 5), (3, 2, 2, 2)),  # channels
        ((2, 5, 5), (3, 2, 2, 2)),
        ((2, 2, 5, 5), (3, 8)),
    ],
)
def test_convolution_of_what_does_not_fit(dlfs, x_shape, W_shape):
    def action(m):
        m.layers.Convolution(np.ones(W_shape), np.zeros(3)).forward(np.ones(x_shape))

    dlfs.compare(action, raises=ValueError)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_convolution_of_special_values(dlfs, value):
    def action(m):
        x = data(30, 1, 1, 5, 5)
        x[0, 0, 2, 2] = value
        return step(m, m.layers.Convolution(data(31, 2, 1, 2, 2), np.zeros(2)), x, 32)

    dlfs.compare(action)


@settings(deadline=None, max_examples=40)
@given(sizes=images_and_windows(pads=(0, 0)))
def test_pooling(dlfs, sizes):
    shape, pool_h, pool_w, stride, _ = sizes

    def action(m):
        # Integers, so that largest elements are often more than one.
        x = np.floor(data(33, *shape) * 2)
        return step(m, m.layers.Pooling(pool_h, pool_w, stride), x, 34)

    dlfs.compare(action)


def test_pooling_by_default_has_a_step_of_two(dlfs):
    def action(m):
        return step(m, m.layers.Pooling(2, 2), data(35, 3, 2, 6, 8), 36)

    dlfs.compare(action)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, int, np.uint8])
def test_pooling_of_other_types(dlfs, dtype):
    def action(m):
        x = (data(37, 3, 2, 6, 8) * 5).astype(np.int8).astype(dtype)
        return step(m, m.layers.Pooling(2, 2, 2), x, 38, np.float32)

    dlfs.compare(action, exact=True)


def test_pooling_with_edges_where_sizes_agree(dlfs):
    # (5 - 2) / 3 + 1 and (5 + 2 - 2) // 3 + 1 are both 2; the edges count as 0.
    def action(m):
        return step(m, m.layers.Pooling(2, 2, 3, 1), -1 - data(39, 2, 3, 5, 5) ** 2, 40)

    dlfs.compare(action, exact=True)


def test_pooling_with_edges_where_they_do_not(dlfs):
    def action(m):
        m.layers.Pooling(2, 2, 2, 1).forward(data(41, 2, 3, 6, 6))

    dlfs.compare(action, raises=ValueError)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_pooling_of_other_layouts(dlfs, layout):
    def action(m):
        layer = m.layers.Pooling(2, 3, 2)
        out = layer.forward(layout(data(42, 2, 3, 6, 7)))
        return out, layer.arg_max, layer.backward(layout(data(43, *out.shape)))

    dlfs.compare(action, exact=True)


def test_pooling_of_special_values(dlfs):
    def action(m):
        x = data(44, 1, 1, 4, 6)
        x[0, 0, 1, 1] = x[0, 0, 0, 1] = np.nan  # the first of them counts
        x[0, 0, 0, 2] = np.inf
        x[0, 0, 2:, :2] = -np.inf
        x[0, 0, 2:, 2:4] = 0.0
        x[0, 0, 2, 2] = -0.0
        return step(m, m.layers.Pooling(2, 2), x, 45)

    dlfs.compare(action, exact=True)


def test_pooling_twice_and_of_changed_input(dlfs):
    def action(m):
        layer = m.layers.Pooling(2, 2)
        x = data(46, 2, 2, 4, 4)
        first = layer.forward(x), layer.arg_max
        layer.forward(-x)
        x *= -3
        return first, layer.backward(np.ones((2, 2, 2, 2))), layer.arg_max

    dlfs.compare(action, exact=True)


def test_pooling_of_what_is_no_image(dlfs):
    dlfs.compare(lambda m: m.layers.Pooling(2, 2).forward(np.ones((4, 4))), raises=ValueError)


def test_a_small_network_of_both(dlfs):
    def action(m):
        layers = [
            m.layers.Convolution(data(47, 4, 1, 3, 3), np.zeros(4), 1, 1),
            m.layers.Relu(),
            m.layers.Convolution(data(48, 3, 4, 3, 3), np.zeros(3)),
            m.layers.Relu(),
            m.layers.Pooling(2, 2),
            m.layers.Affine(data(49, 27, 5), np.zeros(5)),
        ]
        loss = m.layers.SoftmaxWithLoss()
        x = np.abs(data(50, 6, 1, 8, 8, dtype=np.float32))
        for layer in layers:
            x = layer.forward(x)
        seen = [loss.forward(x, np.array([0, 1, 2, 3, 4, 0]))]
        dout = loss.backward()
        for layer in reversed(layers):
            dout = layer.backward(dout)
        return *seen, dout, [vars(layer).get("dW") for layer in layers]

    dlfs.compare(action)
