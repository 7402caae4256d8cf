"""``common.gradient`` against its transcription: values, and the order of the calls."""

import numpy as np
import pytest


def trace(gradient, x):
    """Return a gradient and what its function was called with, call by call."""
    seen = []

    def f(argument):
        seen.append((argument is x, np.array(argument)))
        return np.sum(np.sin(argument) * np.arange(1, argument.size + 1).reshape(argument.shape))

    return gradient(f, x), seen, x


SHAPES = [(1,), (5,), (2, 3), (2, 1, 3), (2, 2, 1, 2), ()]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int64])
def test_numerical_gradient(dlfs, shape, dtype):
    def action(m):
        x = np.asarray(np.random.default_rng(1).normal(size=shape) * 9).astype(dtype)
        return trace(m.gradient.numerical_gradient, x)

    dlfs.compare(action, exact=True)


LAYOUTS = {
    "Fortran": lambda x: np.asfortranarray(x),
    "transposed": lambda x: x.T,
    "reversed": lambda x: x[::-1, ::-1],
    "strided": lambda x: x[:, ::2],
    "broadcast axes": lambda x: x.reshape(3, 4).swapaxes(0, 1),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_numerical_gradient_goes_through_memory_in_the_same_order(dlfs, layout):
    # With dropout, each call of the loss draws a mask, so that the order shows.
    def action(m):
        x = layout(np.random.default_rng(2).normal(size=(3, 4)))
        return trace(m.gradient.numerical_gradient, x)

    dlfs.compare(action, exact=True)


def test_numerical_gradient_of_what_cannot_be_walked(dlfs):
    def empty(m):
        m.gradient.numerical_gradient(np.sum, np.zeros((0, 2)))

    def read_only(m):
        x = np.ones(3)
        x.flags.writeable = False
        m.gradient.numerical_gradient(np.sum, x)

    def number(m):
        m.gradient.numerical_gradient(lambda x: x, 1.0)

    dlfs.compare(empty, raises=ValueError)
    dlfs.compare(read_only, raises=ValueError)
    dlfs.compare(number, raises=TypeError)


def test_numerical_gradient_leaves_the_array_moved_when_the_function_fails(dlfs):
    def action(m):
        x = np.array([1.0, 2.0])
        calls = []

        def f(argument):
            calls.append(1)
            if len(calls) == 3:
                raise ZeroDivisionError
            return 0.0

        with pytest.raises(ZeroDivisionError):
            m.gradient.numerical_gradient(f, x)
        return x

    dlfs.compare(action, exact=True)


@pytest.mark.parametrize("shape", [(4,), (2, 3), (1, 5)], ids=str)
def test_numerical_gradient_2d_calls_with_rows(dlfs, shape):
    def action(m):
        X = np.random.default_rng(3).normal(size=shape)
        seen = []

        def f(row):
            seen.append(row.copy())
            return row[0] ** 2 + np.sum(row**3)

        return m.gradient.numerical_gradient_2d(f, X), seen, X

    dlfs.compare(action, exact=True)


def test_random_numbers_of_the_function_are_drawn_in_the_same_order(dlfs):
    def action(m):
        x = np.asfortranarray(np.ones((2, 3)))
        return m.gradient.numerical_gradient(lambda x: np.sum(x * np.random.rand(2, 3)), x)

    dlfs.compare(action, exact=True)
