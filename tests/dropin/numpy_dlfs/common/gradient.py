import numpy as np


def _central_difference(f, x, place, h):
    """Return the slope of f along one element of x, which is moved there and back."""
    value = x[place]
    x[place] = float(value) + h
    above = f(x)
    x[place] = value - h
    below = f(x)
    x[place] = value
    return (above - below) / (2 * h)


def _numerical_gradient_1d(f, x):
    grad = np.zeros_like(x)
    for i in range(x.size):
        grad[i] = _central_difference(f, x, i, 1e-4)
    return grad


def numerical_gradient_2d(f, X):
    if X.ndim == 1:
        return _numerical_gradient_1d(f, X)
    grad = np.zeros_like(X)
    # f is given the row alone, so it is a function of rows.
    for i, row in enumerate(X):
        grad[i] = _numerical_gradient_1d(f, row)
    return grad


def numerical_gradient(f, x):
    grad = np.zeros_like(x)
    walk = np.nditer(x, flags=["multi_index"], op_flags=["readwrite"])
    while not walk.finished:
        place = walk.multi_index
        grad[place] = _central_difference(f, x, place, 1e-4)
        walk.iternext()
    return grad
