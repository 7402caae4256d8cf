"""``common.functions`` against its transcription."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

ELEMENTWISE = [
    "identity_function",
    "step_function",
    "sigmoid",
    "sigmoid_grad",
    "relu",
    "relu_grad",
]
SPECIAL = [0.0, -0.0, 1e-320, -1e-320, 1e308, -1e308, 710.0, -745.0, np.inf, -np.inf, np.nan]


@st.composite
def floats(draw, ranks=(1, 4)):
    dtype = draw(st.sampled_from([np.float64, np.float64, np.float32, np.float16]))
    shape = draw(hnp.array_shapes(min_dims=ranks[0], max_dims=ranks[1], max_side=7))
    seed = draw(st.integers(0, 2**32 - 1))
    scale = draw(st.sampled_from([1e-3, 1.0, 30.0]))
    x = (np.random.default_rng(seed).normal(size=shape) * scale).astype(dtype)
    return x.T if draw(st.booleans()) else x


@pytest.mark.parametrize("name", ELEMENTWISE)
@settings(deadline=None, max_examples=40)
@given(x=floats())
def test_elementwise(edition, name, x):
    def action(m):
        mine = x.copy(order="K")
        return getattr(m.functions, name)(mine), mine

    edition.compare(action)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_special_values(dlfs, name, dtype):
    with np.errstate(over="ignore"):
        x = np.array(SPECIAL * 3).astype(dtype)
    # Of them, most results are 0, 1 or special themselves, and close is no further off than that.
    dlfs.compare(lambda m: getattr(m.functions, name)(x.copy()))


@pytest.mark.parametrize("name", ["identity_function", "step_function", "sigmoid", "relu"])
@pytest.mark.parametrize(
    "x",
    [
        0.3,
        -2,
        True,
        np.float64(1.5),
        np.float32(-1.5),
        np.array(0.25),
        np.arange(-3, 3),
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.zeros((0, 3)),
        np.array([], np.float32),
    ],
    ids=repr,
)
def test_elementwise_of_numbers_and_integers(dlfs, name, x):
    dlfs.compare(lambda m: getattr(m.functions, name)(x))


def test_relu_grad_keeps_the_type(dlfs):
    dlfs.compare(lambda m: m.functions.relu_grad(np.arange(-3, 3)), exact=True)
    dlfs.compare(lambda m: m.functions.relu_grad([1.0, 2.0]), raises=TypeError)
    dlfs.compare(lambda m: m.functions.relu_grad(1.0), exact=True)


@settings(deadline=None, max_examples=40)
@given(x=floats())
def test_softmax(edition, x):
    edition.compare(lambda m: m.functions.softmax(x))


@pytest.mark.parametrize(
    "x",
    [
        np.array([1010.0, 1000.0, 990.0]),
        np.array([[0.3, 2.9, 4.0]]),
        np.array([[np.inf, 1.0], [np.nan, 2.0], [-np.inf, -np.inf], [-np.inf, 3.0]]),
        np.arange(6).reshape(2, 3),
        np.ones((3, 1)),
        np.array(2.0),
    ],
    ids=repr,
)
def test_softmax_of_odd_scores(dlfs, x):
    dlfs.compare(lambda m: m.functions.softmax(x))


def test_softmax_of_no_sample(edition):
    edition.compare(lambda m: m.functions.softmax(np.zeros((0, 3))))
    edition.compare(lambda m: m.functions.softmax(np.zeros((3, 0))), raises=ValueError)


def test_softmax_of_a_list(dlfs, dlfs_ja):
    dlfs.compare(lambda m: m.functions.softmax([1.0, 2.0]), raises=AttributeError)
    dlfs_ja.compare(lambda m: m.functions.softmax([1.0, 2.0]))


def probabilities(n, classes, dtype=np.float64):
    y = np.random.default_rng(n).random((n, classes)) + 0.1
    return (y / y.sum(axis=1, keepdims=True)).astype(dtype)


LABELS = {
    "labels": np.array([2, 0, 1, 2]),
    "uint8": np.array([2, 0, 1, 2], np.uint8),
    "column": np.array([[2], [0], [1], [2]]),
    "one-hot": np.eye(3)[[2, 0, 1, 2]],
    "one-hot of int": np.eye(3, dtype=int)[[2, 0, 1, 2]],
    "shares": np.array([[0.2, 0.3, 0.5], [1, 0, 0], [0.1, 0.8, 0.1], [0, 0, 1]]),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("t", LABELS.values(), ids=LABELS)
def test_losses(dlfs, t, dtype):
    y = probabilities(4, 3, dtype)

    def action(m):
        return m.functions.cross_entropy_error(y, t), m.functions.softmax_loss(y * 5, t)

    dlfs.compare(action)


@pytest.mark.parametrize(
    "t", [np.array(1), np.array([1]), np.array([0, 1, 0]), np.array([0.0, 1.0, 0.0])], ids=repr
)
def test_losses_of_one_sample_without_an_axis_for_it(dlfs, t):
    y = probabilities(1, 3)[0]
    dlfs.compare(lambda m: (m.functions.cross_entropy_error(y, t), m.functions.softmax_loss(y, t)))


@pytest.mark.parametrize(
    ("y", "t"),
    [
        (np.array([[0.0, 1.0]]), np.array([0])),  # log(1e-7)
        (np.array([[np.nan, 1.0]]), np.array([0])),
        (np.array([[0.2, 0.8], [0.5, 0.5]]), np.array([-1, 0])),  # counted from the end
        (np.array([[0.4], [0.6]]), np.array([0, 0])),  # of the size of one-hot rows
    ],
)
def test_cross_entropy_of_odd_values(dlfs, y, t):
    try:
        dlfs.book.functions.cross_entropy_error(y, t)
        raises = None
    except Exception as error:  # what the formula makes of it
        raises = type(error)
    dlfs.compare(lambda m: m.functions.cross_entropy_error(y, t), raises=raises)


def test_a_label_that_no_class_has(dlfs):
    y = probabilities(2, 3)
    dlfs.compare(lambda m: m.functions.cross_entropy_error(y, np.array([0, 3])), raises=IndexError)
    dlfs.compare(lambda m: m.functions.softmax_loss(y, np.array([0, 3])), raises=IndexError)


@pytest.mark.parametrize(
    ("y", "t"),
    [
        (probabilities(4, 3), LABELS["one-hot"]),
        (probabilities(4, 3, np.float32), LABELS["one-hot of int"]),
        (probabilities(4, 3, np.float16), LABELS["one-hot"].astype(np.float16)),
        (0.3, 1.0),
        (np.float32(0.3), 1.0),
        (np.arange(3), np.arange(3)[::-1]),
        (np.ones((2, 3)), np.zeros(3)),
    ],
)
def test_squared_errors(dlfs, dlfs_ja, y, t):
    dlfs.compare(lambda m: m.functions.mean_squared_error(y, t))
    dlfs_ja.compare(lambda m: m.functions.sum_squared_error(y, t))
