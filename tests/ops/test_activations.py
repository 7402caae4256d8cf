"""Activations: formulas by hand, tails and large numbers, gradients, and PyTorch."""

import inspect
import math

import numpy as np
import pytest

from fastnn import ops
from fastnn.config import use_backend

# name: (function of x, gradient of dout, x and y)
FUNCTIONS = {
    "relu": (ops.relu, lambda dout, x, y: ops.relu_backward(dout, y)),
    "sigmoid": (ops.sigmoid, lambda dout, x, y: ops.sigmoid_backward(dout, y)),
    "tanh": (ops.tanh, lambda dout, x, y: ops.tanh_backward(dout, y)),
    "leaky_relu": (ops.leaky_relu, lambda dout, x, y: ops.leaky_relu_backward(dout, y)),
    "leaky_relu 0.3": (
        lambda x: ops.leaky_relu(x, 0.3),
        lambda dout, x, y: ops.leaky_relu_backward(dout, y, 0.3),
    ),
    "elu": (ops.elu, lambda dout, x, y: ops.elu_backward(dout, y)),
    "elu 1.7": (lambda x: ops.elu(x, 1.7), lambda dout, x, y: ops.elu_backward(dout, y, 1.7)),
    "gelu": (ops.gelu, lambda dout, x, y: ops.gelu_backward(dout, x)),
    "gelu tanh": (
        lambda x: ops.gelu(x, "tanh"),
        lambda dout, x, y: ops.gelu_backward(dout, x, "tanh"),
    ),
    "silu": (ops.silu, lambda dout, x, y: ops.silu_backward(dout, x)),
    "softplus": (ops.softplus, lambda dout, x, y: ops.softplus_backward(dout, y)),
}
EPS = np.finfo(np.float64).eps


@pytest.fixture(params=["numba", "numpy"])
def backend(request):
    with use_backend(request.param):
        yield request.param


def normal(x):
    """Return the normal distribution function."""
    return math.erfc(-x / math.sqrt(2)) / 2


# --- values -----------------------------------------------------------------------------


BY_HAND = {
    "leaky_relu": lambda x: max(x, 0.01 * x),
    "leaky_relu 0.3": lambda x: max(x, 0.3 * x),
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "elu 1.7": lambda x: x if x > 0 else 1.7 * math.expm1(x),
    "gelu": lambda x: x * normal(x),
    "gelu tanh": lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_values(name, backend):
    x = np.array([-3.0, -1.0, -0.25, 0.0, 0.5, 1.0, 3.0])
    expected = [BY_HAND[name](v) for v in x.tolist()]
    # The tanh form written as here loses the digits of 1 + tanh(-2.4) = 0.02.
    np.testing.assert_allclose(FUNCTIONS[name][0](x), expected, rtol=16 * EPS, atol=8 * EPS)


def test_values_that_are_known(backend):
    np.testing.assert_allclose(ops.gelu(np.array([1.0])), [0.8413447460685429], rtol=8 * EPS)
    np.testing.assert_allclose(ops.silu(np.array([1.0])), [0.7310585786300049], rtol=8 * EPS)
    np.testing.assert_allclose(ops.softplus(np.array([0.0])), [math.log(2)], rtol=8 * EPS)
    np.testing.assert_allclose(ops.elu(np.array([-1.0])), [1 / math.e - 1], rtol=8 * EPS)


def test_the_tanh_form_is_near_the_exact_one(backend):
    x = np.linspace(-8, 8, 2001)
    assert 1e-5 < np.abs(ops.gelu(x) - ops.gelu(x, "tanh")).max() < 5e-4


def test_a_slope_of_zero_makes_relu_and_alpha_zero_too(backend):
    x = np.linspace(-2, 2, 9)
    np.testing.assert_array_equal(ops.leaky_relu(x, 0), ops.relu(x))
    np.testing.assert_array_equal(ops.elu(x, 0), ops.relu(x))
    dout = np.ones(9)
    for backward in (ops.leaky_relu_backward, ops.elu_backward):
        np.testing.assert_array_equal(backward(dout, ops.relu(x), 0), ops.relu_backward(dout, x))


# --- the ends of the range --------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_finite_numbers_stay_finite(name, dtype, backend):
    forward, backward = FUNCTIONS[name]
    limit = np.finfo(dtype)
    sizes = np.geomspace(float(limit.tiny), float(limit.max) / 1.5, 500).astype(dtype)
    x = np.concatenate([-sizes, sizes])
    y = forward(x)
    assert np.isfinite(y).all()
    dx = backward(np.ones_like(x), x, y)
    assert np.isfinite(dx).all()
    # All derivatives are between -0.13 and 1.13, but for ELU's factor.
    assert dx.min() > -0.14
    assert dx.max() < 1.71


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_stays_nan(name, backend):
    x = np.array([np.nan, 1.0])
    assert np.isnan(FUNCTIONS[name][0](x)).tolist() == [True, False]


def test_infinity(backend):
    x = np.array([-np.inf, np.inf])
    np.testing.assert_array_equal(ops.leaky_relu(x), x)
    np.testing.assert_array_equal(ops.elu(x, 1.5), [-1.5, np.inf])
    np.testing.assert_array_equal(ops.softplus(x), [0, np.inf])
    for result in (ops.gelu(x), ops.gelu(x, "tanh"), ops.silu(x)):
        np.testing.assert_array_equal(result, [np.nan, np.inf])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_softplus_of_large_numbers(dtype, backend):
    eps = np.finfo(dtype).eps
    x = np.array([1e30, 1e4, 100, -60, -1e4, -1e30], dtype)
    expected = np.array([1e30, 1e4, 100, math.exp(-60), 0, 0], dtype)
    np.testing.assert_allclose(ops.softplus(x), expected, rtol=4 * eps)
    dx = ops.softplus_backward(np.ones_like(x), expected)
    np.testing.assert_allclose(dx, [1, 1, 1, math.exp(-60), 0, 0], rtol=8 * eps)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_elu_near_zero_is_the_identity(dtype, backend):
    # x + x^2 / 2 + ..., and below eps / 4 the square does not count.
    eps = np.finfo(dtype).eps
    x = -np.geomspace(1e-30, eps / 4, 50).astype(dtype)
    np.testing.assert_allclose(ops.elu(x), x, rtol=2 * eps)


# What is relative to x^2 / 2, or to 2 u, in them is absolute in their exponential's exponent. The
# argument -x / sqrt(2) is rounded twice on either side, and squared; u is rounded five times.
def test_gelu_keeps_the_digits_of_its_tail(backend):
    x = np.linspace(-30, -2, 500)
    exact = np.array([v * normal(v) for v in x.tolist()])
    assert (np.abs(ops.gelu(x) - exact) <= (8 + 2 * x * x) * EPS * np.abs(exact)).all()
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    with np.errstate(over="ignore"):
        expected = x / (1 + np.exp(-2 * u.astype(np.longdouble)))
    error = np.abs(ops.gelu(x, "tanh") - expected)
    assert (error <= (8 - 5 * u) * EPS * np.abs(expected) + 1e-300).all()


# A program cuts rows into other blocks than a call does: what is left over from whole vectors is
# computed alone, with the same bits.
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_number_has_the_bits_that_it_has_among_many(name, dtype):
    forward, backward = FUNCTIONS[name]
    rng = np.random.default_rng(6)
    x, dout = (rng.normal(size=(2, 256)) * 3).astype(dtype)
    y = forward(x)
    dx = backward(dout, x, y)
    for i in range(x.size):
        one = slice(i, i + 1)
        assert forward(x[one]) == y[one]
        assert backward(dout[one], x[one], y[one]) == dx[one]


# --- gradients --------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradient(name, backend):
    forward, backward = FUNCTIONS[name]
    rng = np.random.default_rng(3)
    x = rng.uniform(0.1, 4, (5, 9)) * rng.choice([-1, 1], (5, 9))  # no step goes over a kink
    dout = rng.normal(size=x.shape)
    dx = backward(dout, x, forward(x))
    # The formula's error is h^2 / 6 times a third derivative, which is at most 1 for sigmoids and
    # below 2 for all here; that of rounding is eps / h times values of up to 4.
    h = 1e-5
    numeric = dout * (forward(x + h) - forward(x - h)) / (2 * h)
    tolerance = np.abs(dout) * (h * h * 2 / 6 + 16 * EPS * 4 / h)
    assert (np.abs(dx - numeric) <= tolerance).all()


def test_where_the_input_is_zero(backend):
    zero, one = np.zeros(1), np.ones(1)
    expected = {"leaky_relu 0.3": 0.3, "elu 1.7": 1.7, "gelu": 0.5, "gelu tanh": 0.5, "silu": 0.5}
    for name, slope in expected.items():
        forward, backward = FUNCTIONS[name]
        np.testing.assert_allclose(backward(one, zero, forward(zero)), [slope], rtol=4 * EPS)


@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_those_that_need_the_input_say_so(name):
    assert list(inspect.signature(getattr(ops, f"{name}_backward")).parameters)[:2] == ["dout", "x"]
    # Two inputs of one output, left and right of the lowest, have other gradients.
    forward, backward = FUNCTIONS[name]
    low, high = np.array([-1.5]), np.array([-0.1])
    for _ in range(200):
        middle = (low + high) / 2
        if forward(middle) > forward(np.array([-3.0])):
            high = middle
        else:
            low = middle
    left, right = backward(np.ones(1), np.array([-3.0]), None), backward(np.ones(1), high, None)
    assert left < 0 < right


# --- PyTorch ----------------------------------------------------------------------------


def theirs():
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    return torch, {
        "relu": f.relu,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "leaky_relu": f.leaky_relu,
        "leaky_relu 0.3": lambda x: f.leaky_relu(x, 0.3),
        "elu": f.elu,
        "elu 1.7": lambda x: f.elu(x, 1.7),
        "gelu": f.gelu,
        "gelu tanh": lambda x: f.gelu(x, approximate="tanh"),
        "silu": f.silu,
        # Theirs is x itself above a threshold of 20, where the difference is exp(-20).
        "softplus": lambda x: f.softplus(x, threshold=80),
    }


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_pytorch(name, dtype):
    torch, functions = theirs()
    eps = np.finfo(dtype).eps
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(size=3000) * 6, [0.0, -0.0]]).astype(dtype)
    dout = rng.normal(size=x.size).astype(dtype)
    tensor = torch.tensor(x, requires_grad=True)
    expected = functions[name](tensor)
    expected.backward(torch.tensor(dout))
    forward, backward = FUNCTIONS[name]
    y = forward(x)
    dx = backward(dout, x, y)
    # Distribution functions are right to some units of 1, and multiplied by x; derivatives are
    # sums of few terms, of which the largest, x^3 exp(-x^2 / 2), is below 3.
    assert (np.abs(y - expected.detach().numpy()) <= 8 * eps * (1 + np.abs(x))).all()
    limit = 16 * eps * np.abs(dout)
    if name == "gelu tanh":  # theirs takes 1 - tanh(u)^2, which is off by eps, times x u' / 2
        limit = limit * (1 + np.abs(x) * (1 + 3 * 0.044715 * x * x) / 16)
    assert (np.abs(dx - tensor.grad.numpy()) <= limit).all()
