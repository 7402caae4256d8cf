"""The helper functions of the book."""

import math

import numpy as np
import pytest
import rounding

from fastnn import functional, ops
from fastnn.config import use_backend

EPS = np.finfo(np.float64).eps


@pytest.fixture(params=["numba", "numpy"])
def backend(request):
    with use_backend(request.param):
        yield request.param


# --- activations ------------------------------------------------------------------------


def test_relu_and_sigmoid_are_the_checked_functions():
    assert functional.relu is ops.relu
    assert functional.sigmoid is ops.sigmoid


def test_relu_and_sigmoid_by_hand(backend):
    x = np.array([-np.inf, -2.0, 0.0, 3.0, np.inf])
    np.testing.assert_array_equal(functional.relu(x), [0, 0, 0, 3, np.inf])
    x = np.array([-np.inf, 0.0, np.inf, -math.log(3)])
    np.testing.assert_allclose(functional.sigmoid(x), [0, 0.5, 1, 0.25], rtol=8 * EPS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax(backend, dtype):
    x = np.random.default_rng(500).normal(scale=3, size=(7, 11)).astype(dtype)
    e = np.exp(x.astype(np.float64))
    expected = e / e.sum(axis=1, keepdims=True)
    y = functional.softmax(x)
    np.testing.assert_allclose(y, expected, rtol=rounding.of_softmax(x))
    assert y.dtype == dtype
    one = functional.softmax(x[3])
    assert one.shape == (11,)
    np.testing.assert_array_equal(one, y[3])


def test_softmax_of_huge_scores(backend):
    np.testing.assert_array_equal(functional.softmax([1e4, -1e4]), [1, 0])
    np.testing.assert_array_equal(functional.softmax([1e300] * 4), [0.25] * 4)


@pytest.mark.parametrize("shape", [(), (2, 3, 4), (2, 0), (0,)])
def test_softmax_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"^x: expected"):
        functional.softmax(np.zeros(shape))


# --- cross entropy ----------------------------------------------------------------------


def test_cross_entropy_by_hand():
    y = np.array([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]])
    expected = -(math.log(0.25 + 1e-7) + math.log(0.125 + 1e-7)) / 2
    t = np.array([1, 0])
    forms = [t, t[:, np.newaxis], np.eye(3)[t], np.eye(3, dtype=int)[t], [1, 0]]
    for form in forms:
        assert abs(functional.cross_entropy_error(y, form) - expected) <= 4 * EPS * expected
    assert functional.cross_entropy_error(y, t) != -(math.log(0.25) + math.log(0.125)) / 2


@pytest.mark.parametrize("t", [2, np.array(2), np.array([2]), np.array([0, 0, 1])])
def test_cross_entropy_of_one_sample(t):
    loss = functional.cross_entropy_error(np.array([0.25, 0.25, 0.5]), t)
    assert abs(loss - -math.log(0.5 + 1e-7)) <= 4 * EPS


def test_cross_entropy_of_a_certain_miss_is_finite():
    loss = functional.cross_entropy_error(np.array([1.0, 0.0]), 1)
    assert abs(loss - -math.log(1e-7)) <= 4 * EPS * loss


def test_cross_entropy_of_one_class():
    assert abs(functional.cross_entropy_error(np.ones((3, 1)), np.zeros(3, int))) < 2e-7


@pytest.mark.parametrize(
    ("y", "t"),
    [
        (np.ones((2, 3)) / 3, [0, 3]),
        (np.ones((2, 3)) / 3, [-1, 0]),
        (np.ones((2, 3)) / 3, [0, 1, 2]),
        (np.ones((2, 3)) / 3, [0]),
        (np.ones((0, 3)), np.zeros(0, int)),
        (np.ones((2, 3)) / 3, [0.5, 1.0]),
        (np.ones((2, 3)) / 3, np.eye(4)[:2]),
    ],
    ids=["above", "below", "more", "fewer", "empty", "fractions", "another width"],
)
def test_cross_entropy_refuses_what_does_not_fit(y, t):
    with pytest.raises((ValueError, TypeError), match=r"^t: expected (2 )?labels"):
        functional.cross_entropy_error(y, np.asarray(t))


# --- numerical gradient -----------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 3), (0, 2)])
def test_numerical_gradient_of_a_cubic(shape):
    # f = sum(c x^3): the centred difference is exactly c (3 x^2 + h^2).
    rng = np.random.default_rng(501)
    c, x = rng.normal(size=(2, *shape))
    x, h = np.array(x), 1e-3
    before = x.copy()
    gradient = functional.numerical_gradient(lambda a: np.sum(c * a**3), x, h)
    largest = np.sum(np.abs(c) * (np.abs(x) + h) ** 3)
    limit = (8 + x.size) * EPS * largest / h
    np.testing.assert_allclose(gradient, c * (3 * x**2 + h**2), rtol=0, atol=limit)
    assert gradient.shape == shape and gradient.dtype == np.float64
    np.testing.assert_array_equal(x, before)


def test_numerical_gradient_is_centred():
    calls = []
    functional.numerical_gradient(lambda a: calls.append(a.copy()) or 0.0, np.array([1.0, 2.0]))
    h = 1e-4
    np.testing.assert_array_equal(calls, [[1 + h, 2], [1 - h, 2], [1, 2 + h], [1, 2 - h]])


def test_numerical_gradient_hands_over_the_array_itself():
    x, seen = np.ones((2, 2)), []
    functional.numerical_gradient(lambda a: seen.append(a) or 0.0, x)
    assert len(seen) == 8 and all(a is x for a in seen)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble])
def test_numerical_gradient_keeps_the_dtype(dtype):
    x = np.array([0.5, -1.0], dtype)
    gradient = functional.numerical_gradient(lambda a: 2 * a.sum(), x, h=0.5)
    assert gradient.dtype == dtype
    np.testing.assert_array_equal(gradient, [2, 2])


@pytest.mark.parametrize("layout", [lambda a: a.T, lambda a: a[::-1, ::2]])
def test_numerical_gradient_of_a_view(layout):
    memory = np.arange(12.0).reshape(3, 4)
    before, x = memory.copy(), layout(memory)
    gradient = functional.numerical_gradient(lambda a: np.sum(a * a), x, h=0.5)
    np.testing.assert_array_equal(gradient, 2 * x)
    np.testing.assert_array_equal(memory, before)


@pytest.mark.parametrize("fails_at", range(1, 5))
def test_numerical_gradient_restores_x_when_f_raises(fails_at):
    x, calls = np.array([0.1, 0.2]), []

    def f(a):
        calls.append(None)
        if len(calls) == fails_at:
            raise ZeroDivisionError
        return 0.0

    with pytest.raises(ZeroDivisionError):
        functional.numerical_gradient(f, x)
    np.testing.assert_array_equal(x, [0.1, 0.2])
    assert len(calls) == fails_at


def test_numerical_gradient_restores_x_when_f_is_interrupted():
    x = np.array([0.1, 0.2])

    def f(a):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        functional.numerical_gradient(f, x)
    np.testing.assert_array_equal(x, [0.1, 0.2])


@pytest.mark.parametrize("x", [[1.0, 2.0], 1.0, np.array([1, 2]), np.array([1j]), None])
def test_numerical_gradient_refuses_other_arrays(x):
    with pytest.raises(TypeError, match="^x: expected an array of a floating dtype"):
        functional.numerical_gradient(np.sum, x)


@pytest.mark.parametrize("h", [0, -1e-4, math.nan, math.inf])
def test_numerical_gradient_refuses_other_steps(h):
    with pytest.raises(ValueError, match="^h: expected a number above 0"):
        functional.numerical_gradient(np.sum, np.ones(2), h)


# --- smooth curve -----------------------------------------------------------------------


def smooth_curve_of_the_book(x):
    window_len = 11
    s = np.r_[x[window_len - 1 : 0 : -1], x, x[-1:-window_len:-1]]
    w = np.kaiser(window_len, 2)
    y = np.convolve(w / w.sum(), s, mode="valid")
    return y[5 : len(y) - 5]


@pytest.mark.parametrize("n", [11, 12, 30, 1000])
def test_smooth_curve_is_that_of_the_book(n):
    x = np.random.default_rng(502).normal(size=n)
    expected = smooth_curve_of_the_book(x)
    assert expected.shape == (n,)
    limit = 11 * EPS * np.abs(x).max()
    np.testing.assert_allclose(functional.smooth_curve(x), expected, rtol=0, atol=limit)


@pytest.mark.parametrize("n", range(1, 31))
def test_smooth_curve_keeps_the_length_and_the_range(n):
    x = np.random.default_rng(503).normal(size=n)
    y = functional.smooth_curve(x.tolist())
    assert y.shape == (n,) and y.dtype == np.float64
    # An average with weights above zero lies between the smallest and the largest value.
    limit = 11 * EPS * np.abs(x).max()
    assert y.min() >= x.min() - limit and y.max() <= x.max() + limit
    constant = functional.smooth_curve(np.full(n, 3.0))
    np.testing.assert_allclose(constant, 3.0, rtol=11 * EPS)


def test_smooth_curve_smooths():
    rough = np.random.default_rng(504).normal(size=500)
    # The variance of a weighted average of independent values: sum(w^2) = 0.11, less at ends.
    assert functional.smooth_curve(rough).std() < 0.5 * rough.std()


def test_smooth_curve_leaves_x_alone():
    x = np.random.default_rng(505).normal(size=20)
    before = x.copy()
    functional.smooth_curve(x)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("shape", [(0,), (), (2, 3)])
def test_smooth_curve_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="^x: expected a curve"):
        functional.smooth_curve(np.zeros(shape))


# --- shuffle ----------------------------------------------------------------------------


def test_shuffle_keeps_pairs_together():
    x, t = np.arange(200).reshape(50, 2, 2), np.arange(50)
    shuffled, targets = functional.shuffle_dataset(x, t, seed=1)
    assert not np.array_equal(targets, t)
    np.testing.assert_array_equal(np.sort(targets), t)
    np.testing.assert_array_equal(shuffled, x[targets])
    assert not np.shares_memory(shuffled, x) and not np.shares_memory(targets, t)
    np.testing.assert_array_equal(x, np.arange(200).reshape(50, 2, 2))


def test_shuffle_follows_the_seed():
    x = t = np.arange(50)
    one, same, other = (functional.shuffle_dataset(x, t, seed=s)[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    first, second = (functional.shuffle_dataset(x, t)[0] for _ in range(2))
    assert not np.array_equal(first, second)


def test_shuffle_of_nothing():
    x, t = functional.shuffle_dataset(np.zeros((0, 3)), np.zeros(0))
    assert x.shape == (0, 3) and t.shape == (0,)


def test_shuffle_refuses_other_lengths():
    with pytest.raises(ValueError, match="^t: expected 3 targets.*got 2"):
        functional.shuffle_dataset(np.zeros((3, 2)), np.zeros(2))
