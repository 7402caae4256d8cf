"""Relu, Sigmoid, Affine, SoftmaxWithLoss and Dropout of ``common.layers``."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SINGLE = 32 * np.finfo(np.float32).eps
FLOATS = [np.float64, np.float32, np.float16]


def data(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def step(m, layer, x, dout):
    """Return all that a forward and a backward pass show."""
    out = layer.forward(x)
    between = m.visible(layer)
    dx = layer.backward(dout)
    return out, between, dx, m.visible(layer), x, dout


SHAPES = [(4, 3), (1, 1), (100, 50), (2, 3, 4, 5), (7,), (2, 0), ()]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_relu(dlfs, shape, dtype):
    def action(m):
        layer = m.layers.Relu()
        before = m.visible(layer)
        x = np.asarray(data(1, *shape)).astype(dtype)
        dout = np.asarray(data(2, *shape)).astype(dtype)
        return before, step(m, layer, x, dout)

    dlfs.compare(action, exact=True)


def test_relu_of_special_values(dlfs):
    def action(m):
        x = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 3e-308, -3e-308, 1.0])
        seen = step(m, m.layers.Relu(), x, np.arange(1.0, 9.0))
        return *seen, np.signbit(seen[0])

    dlfs.compare(action, exact=True)


@pytest.mark.parametrize("dtype", [int, np.uint8, bool])
def test_relu_of_integers(dlfs, dtype):
    def action(m):
        x = np.array([[0, 1, 2], [3, 0, 1]]).astype(dtype)
        return step(m, m.layers.Relu(), x, np.full((2, 3), 7))

    dlfs.compare(action, exact=True)


def test_relu_writes_into_dout_and_returns_it(dlfs):
    def action(m):
        layer, dout = m.layers.Relu(), np.ones((3, 4))
        x = data(3, 3, 4)
        layer.forward(x)
        view = dout[:, ::-1]
        dx = layer.backward(view)
        again = layer.backward(dout)  # the same array once more
        return dx is view, again is dout, dout, np.shares_memory(x, layer.forward(x))

    dlfs.compare(action, exact=True)


def test_relu_mask_stays_as_it_was_when_the_output_changes(dlfs):
    def action(m):
        layer, x = m.layers.Relu(), data(4, 3, 4)
        out = layer.forward(x)
        out -= 5
        x += 5
        return layer.mask, layer.backward(np.ones((3, 4)))

    dlfs.compare(action, exact=True)


def test_relu_before_its_forward_pass(dlfs):
    def action(m):  # indexed with None, all of dout becomes 0
        return m.layers.Relu().backward(np.ones((2, 2)))

    dlfs.compare(action, exact=True)


@pytest.mark.parametrize(
    "layout", [np.asfortranarray, lambda x: x[::-1, ::2]], ids=["F", "strided"]
)
def test_relu_of_other_layouts(dlfs, layout):
    def action(m):
        return step(m, m.layers.Relu(), layout(data(5, 6, 8)), layout(data(6, 6, 8)))

    dlfs.compare(action, exact=True)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4, 5), (7,), ()], ids=str)
def test_sigmoid(dlfs, shape, dtype):
    def action(m):
        x = np.asarray(data(7, *shape) * 10).astype(dtype)
        dout = np.asarray(data(8, *shape)).astype(dtype)
        return step(m, m.layers.Sigmoid(), x, dout)

    dlfs.compare(action)


@pytest.mark.parametrize(
    "dout",
    [np.ones((2, 3), np.float32), np.ones((2, 3), int), np.ones(3), np.ones((4, 1, 1)), 2, 2.0],
    ids=["float32", "int", "row", "broadcast", "integer", "number"],
)
def test_sigmoid_of_other_gradients(dlfs, dout):
    dlfs.compare(lambda m: step(m, m.layers.Sigmoid(), data(9, 2, 3), dout))


def test_sigmoid_uses_the_output_as_it_is_now(dlfs):
    def action(m):
        layer = m.layers.Sigmoid()
        out = layer.forward(data(10, 3, 4))
        out *= 0.5
        first = layer.backward(np.ones((3, 4)))
        layer.out = np.full((3, 4), 0.25)
        return out is layer.out, first, layer.backward(np.ones((3, 4)))

    dlfs.compare(action)


@st.composite
def affine_sizes(draw):
    rows = draw(st.sampled_from([1, 2, 5, 33, 100]))
    columns = draw(st.sampled_from([1, 3, 17, 64]))
    outputs = draw(st.sampled_from([1, 2, 10, 50]))
    return rows, columns, outputs


@settings(deadline=None, max_examples=40)
@given(sizes=affine_sizes())
def test_affine(dlfs, sizes):
    rows, columns, outputs = sizes

    def action(m):
        W, b = data(11, columns, outputs), data(12, outputs)
        layer = m.layers.Affine(W, b)
        before = m.visible(layer)
        seen = step(m, layer, data(13, rows, columns), data(14, rows, outputs))
        return before, seen, layer.W is W, layer.b is b

    dlfs.compare(action)


@pytest.mark.parametrize(
    "dtypes",
    [
        *itertools.product([np.float64, np.float32], repeat=4),
        (np.float16,) * 4,
        (np.float16, np.float64, np.float64, np.float64),
        (np.float32, np.float16, np.float16, np.float32),
        (np.uint8, np.float64, np.float64, np.float64),
        (np.uint8, np.float32, np.float32, np.float32),
        (int, int, int, int),
        (np.float64, np.float64, int, np.float64),
        (np.float64, np.float64, np.float64, int),
        (bool, np.float64, np.float64, np.float64),
    ],
    ids=lambda dtypes: "-".join(np.dtype(d).name for d in dtypes),
)
def test_affine_of_mixed_types(dlfs, dtypes):
    def action(m):
        arrays = (data(15, 6, 5), data(16, 5, 4), data(17, 4), data(18, 6, 4))
        x, W, b, dout = (np.abs(a * 3).astype(d) for a, d in zip(arrays, dtypes, strict=True))
        return step(m, m.layers.Affine(W, b), x, dout)

    # The shortest of the types says how far two sums may be apart.
    dlfs.compare(action, tolerance=SINGLE if np.float32 in dtypes else None)


@pytest.mark.parametrize("b", [0, 0.5, np.float32(1), np.array(2.0), np.ones(1)], ids=repr)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_affine_with_a_number_for_a_bias(dlfs, b, dtype):
    def action(m):
        x, W = data(19, 6, 5, dtype=dtype), data(20, 5, 4, dtype=dtype)
        return step(m, m.layers.Affine(W, b), x, data(21, 6, 4, dtype=dtype))

    dlfs.compare(action)


def test_affine_with_a_bias_for_each_sample(dlfs):
    def action(m):
        return step(
            m, m.layers.Affine(data(22, 5, 4), data(23, 6, 4)), data(24, 6, 5), data(25, 6, 4)
        )

    dlfs.compare(action)


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "read-only": lambda a: np.broadcast_to(a, a.shape),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_affine_of_other_layouts(dlfs, layout, dtype):
    def action(m):
        shapes = (6, 5), (5, 4), (4,), (6, 4)
        x, W, b, dout = (layout(data(26 + i, *s, dtype=dtype)) for i, s in enumerate(shapes))
        layer = m.layers.Affine(W, b)
        out = layer.forward(x)
        return out, layer.backward(dout), layer.dW, layer.db

    dlfs.compare(action)


def test_affine_of_images(dlfs):
    def action(m):
        layer = m.layers.Affine(data(30, 2 * 3 * 4, 5), data(31, 5))
        return step(m, layer, data(32, 6, 2, 3, 4), data(33, 6, 5))

    dlfs.compare(action)


@pytest.mark.parametrize(
    ("shape", "raises"),
    [((3,), ValueError), ((0, 3), ValueError), ((2, 4), ValueError), ((), IndexError)],
    ids=str,
)
def test_affine_of_inputs_that_do_not_fit(dlfs, shape, raises):
    def action(m):
        m.layers.Affine(data(34, 3, 2), data(35, 2)).forward(np.zeros(shape))

    dlfs.compare(action, raises=raises)


def test_affine_of_one_column_and_a_vector(dlfs):
    def action(m):  # a vector is a column of samples
        return step(m, m.layers.Affine(data(36, 1, 2), data(37, 2)), data(38, 5), data(39, 5, 2))

    dlfs.compare(action)


def test_affine_gradient_that_does_not_fit(dlfs):
    def action(m):
        layer = m.layers.Affine(data(40, 3, 2), data(41, 2))
        layer.forward(data(42, 4, 3))
        layer.backward(data(43, 4, 3))

    def before(m):
        m.layers.Affine(data(40, 3, 2), data(41, 2)).backward(data(43, 4, 2))

    dlfs.compare(action, raises=ValueError)
    dlfs.compare(before, raises=AttributeError)


def test_affine_uses_what_its_attributes_are_now(dlfs):
    def action(m):
        W, b = data(44, 5, 4), data(45, 4)
        layer = m.layers.Affine(W, b)
        x, dout = data(46, 3, 5), data(47, 3, 4)
        seen = [layer.forward(x)]
        W[...] = 1  # as an optimizer does
        b += 2
        seen.append(layer.forward(x))
        layer.W, layer.b = data(48, 5, 4), np.zeros(4)  # as load_params does
        seen.append(layer.forward(x))
        layer.forward(2 * x)  # twice before the backward pass: the last one counts
        seen.append(layer.backward(dout))
        seen += [layer.dW, layer.db]
        layer.W = data(49, 5, 4)
        seen.append(layer.backward(dout))
        layer.forward(x)
        x *= 3  # x is kept, not copied
        layer.backward(dout)
        return *seen, layer.dW, np.shares_memory(layer.x, x)

    dlfs.compare(action)


def test_affine_gradients_are_new_arrays_each_time(dlfs):
    def action(m):
        layer = m.layers.Affine(data(50, 5, 4), data(51, 4))
        x, dout = data(52, 3, 5), data(53, 3, 4)
        layer.forward(x)
        layer.backward(dout)
        kept = layer.dW, layer.db
        copies = layer.dW.copy(), layer.db.copy()
        layer.backward(2 * dout)
        return kept, copies, layer.dW, np.shares_memory(kept[0], layer.dW), dout

    dlfs.compare(action)


TARGETS = {
    "labels": np.array([2, 0, 1, 2]),
    "uint8": np.array([2, 0, 1, 2], np.uint8),
    "one-hot": np.eye(3)[[2, 0, 1, 2]],
    "one-hot float32": np.eye(3, dtype=np.float32)[[2, 0, 1, 2]],
    "one-hot of int": np.eye(3, dtype=int)[[2, 0, 1, 2]],
    "shares": np.array([[0.2, 0.3, 0.5], [1, 0, 0], [0.1, 0.8, 0.1], [0, 0, 1]]),
    "column": np.array([[2], [0], [1], [2]]),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("t", TARGETS.values(), ids=TARGETS)
def test_softmax_with_loss(edition, t, dtype):
    def action(m):
        layer = m.layers.SoftmaxWithLoss()
        before = m.visible(layer)
        x = data(54, 4, 3, dtype=dtype) * 4
        loss = layer.forward(x, t)
        between = m.visible(layer)
        dx = layer.backward(1)
        return before, loss, between, dx, layer.backward(), layer.backward(5), x, layer.t is t

    # With float64 targets the gradient is of that type, but as far off as the probabilities.
    edition.compare(action, tolerance=SINGLE if dtype is np.float32 else None)


def test_softmax_with_loss_of_one_sample(dlfs):
    def action(m):
        layer = m.layers.SoftmaxWithLoss()
        row = layer.forward(data(55, 1, 10), np.array([3])), layer.backward()
        alone = layer.forward(data(55, 10), np.eye(10)[3]), layer.y, layer.backward()
        return row, alone

    dlfs.compare(action)


def test_softmax_with_loss_of_integers_and_large_batches(dlfs):
    def action(m):
        layer = m.layers.SoftmaxWithLoss()
        small = layer.forward(np.arange(6).reshape(2, 3), np.array([0, 2])), layer.backward()
        t = np.random.default_rng(1).integers(0, 10, 500)
        return small, layer.forward(data(56, 500, 10) * 20, t), layer.backward()

    dlfs.compare(action)


@pytest.mark.parametrize(
    "x",
    [
        [[np.nan, 0.0], [1.0, 2.0]],
        [[np.inf, 0.0], [1.0, 2.0]],
        [[-np.inf, 0.0], [1e300, -1e300]],
        [[-np.inf, -np.inf], [0.0, 0.0]],
    ],
    ids=repr,
)
def test_softmax_with_loss_of_special_values(dlfs, x):
    def action(m):
        layer = m.layers.SoftmaxWithLoss()
        return layer.forward(np.array(x), np.array([0, 1])), layer.y, layer.backward()

    dlfs.compare(action)


def test_softmax_with_loss_uses_what_its_attributes_are_now(dlfs):
    def action(m):
        layer = m.layers.SoftmaxWithLoss()
        layer.forward(data(57, 4, 3), TARGETS["labels"].copy())
        first = layer.backward()
        layer.y[0] = [0.5, 0.25, 0.25]
        layer.t[1] = 2
        second = layer.backward()
        layer.t = np.eye(3)[[0, 1, 2, 0]]
        layer.y = np.full((4, 3), 1 / 3)
        third = layer.backward()
        return first, second, third, np.shares_memory(third, layer.y)

    dlfs.compare(action)


def test_softmax_with_loss_of_a_label_that_no_class_has(dlfs):
    def action(m):
        m.layers.SoftmaxWithLoss().forward(data(58, 2, 3), np.array([0, 3]))

    dlfs.compare(action, raises=IndexError)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(4, 3), (100, 50), (2, 3, 4, 5), (7,)], ids=str)
@pytest.mark.parametrize("ratio", [0.5, 0.15, 0, 1, np.float64(0.3)], ids=repr)
def test_dropout(dlfs, shape, dtype, ratio):
    def action(m):
        layer = m.layers.Dropout(ratio)
        x, dout = data(59, *shape, dtype=dtype), data(60, *shape, dtype=dtype)
        before = m.visible(layer)
        first = step(m, layer, x, dout)
        again = layer.forward(x, True), layer.mask  # the next numbers
        test = layer.forward(x, False), layer.mask, layer.forward(x, train_flg=False)
        return before, first, again, test, layer.backward(dout), np.random.rand()

    dlfs.compare(action, exact=True)


def test_dropout_by_default(dlfs):
    def action(m):
        layer = m.layers.Dropout()
        x = np.arange(12).reshape(3, 4)
        first = layer.forward(x), layer.backward(np.ones((3, 4)))
        layer.dropout_ratio = 0.9
        second = layer.forward(x), layer.forward(x, False)
        layer.mask = np.zeros((3, 4), bool)
        return first, second, layer.backward(np.ones((3, 4)))

    dlfs.compare(action, exact=True)


def test_dropout_before_its_forward_pass(dlfs):
    dlfs.compare(lambda m: m.layers.Dropout().backward(np.ones(2)), raises=TypeError)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_layers_can_be_copied_and_pickled(dlfs, copied):
    # The classes of the transcription are not where pickle looks for them.
    m = dlfs.fast
    x, dout = data(61, 4, 3), data(62, 4, 3)
    layers = [
        m.layers.Relu(),
        m.layers.Sigmoid(),
        m.layers.Dropout(0.4),
        m.layers.Affine(data(63, 3, 3), data(64, 3)),
        m.layers.BatchNormalization(np.ones(3), np.zeros(3)),
    ]
    for layer in layers:
        layer.forward(x)
        other = copied(layer)
        np.testing.assert_array_equal(other.backward(dout.copy()), layer.backward(dout.copy()))
    softmax = m.layers.SoftmaxWithLoss()
    softmax.forward(x, np.array([0, 1, 2, 0]))
    np.testing.assert_array_equal(copied(softmax).backward(), softmax.backward())
    images = data(65, 2, 2, 6, 6)
    for layer in (m.layers.Convolution(data(66, 3, 2, 3, 3), np.ones(3)), m.layers.Pooling(2, 2)):
        out = layer.forward(images)
        other = copied(layer)
        np.testing.assert_array_equal(other.backward(out), layer.backward(out))


def test_a_class_of_the_script_can_extend_a_layer(dlfs):
    def action(m):
        class Scaled(m.layers.Affine):
            def __init__(self, W, b, scale):
                super().__init__(W, b)
                self.scale = scale

            def forward(self, x):
                return self.scale * super().forward(x)

            def backward(self, dout):
                return super().backward(self.scale * dout)

        layer = Scaled(data(67, 3, 2), data(68, 2), 3)
        return layer.forward(data(69, 4, 3)), layer.backward(data(70, 4, 2)), layer.dW, layer.db

    dlfs.compare(action)


def _of_the_book(dlfs, name, *arguments):
    """Return a layer of the book, and what becomes of its pickle where the class is ours."""
    book, fast = (getattr(side.layers, name) for side in (dlfs.book, dlfs.fast))
    layer = book(*arguments)
    images = name in ("Convolution", "Pooling")
    out = layer.forward(data(71, 2, 2, 6, 6) if images else data(72, 4, 3))
    loaded = fast.__new__(fast)
    vars(loaded).update(vars(layer))
    return layer, loaded, out


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Relu", ()),
        ("Sigmoid", ()),
        ("Dropout", (0.4,)),
        ("Affine", (data(73, 3, 2), data(74, 2))),
        ("BatchNormalization", (np.ones(3), np.zeros(3))),
        ("Convolution", (data(75, 3, 2, 3, 3), np.ones(3), 1, 1)),
        ("Pooling", (2, 2)),
    ],
)
def test_a_layer_that_the_book_has_pickled_goes_backward_first(dlfs, name, arguments):
    book, loaded, out = _of_the_book(dlfs, name, *arguments)
    expected, got = (layer.backward(out.copy()) for layer in (book, loaded))
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)
    for key in ("dW", "db", "dgamma", "dbeta"):
        if hasattr(book, key):
            np.testing.assert_allclose(
                getattr(loaded, key), getattr(book, key), rtol=1e-12, atol=1e-14
            )
