"""Statistics of normalisation in float32: as good as of float64, rounded once.

Means, deviations, outputs and gradients are compared with the formulas in float64. Rounded once,
these are off by half a unit in the last place; four times that is allowed, where an output is a sum
of the larger of its terms.
"""

import inspect

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastnn import Network, config, layers, ops
from fastnn.optimizers import SGD

HALF_UNIT = np.finfo(np.float32).eps / 2
LIMIT = 4 * HALF_UNIT
TINY = np.finfo(np.float32).tiny  # kernels flush what is smaller

# Where samples lie, and how far apart: numbers far from zero, near the ends of the range, tiny.
PLACES = [(0, 1), (1e6, 0.1), (-1e6, 30), (1e4, 1), (1, 1e-6)]
PLACES += [(0, 1e19), (1e19, 1e19), (2e37, 2e36)]
# By columns and by blocks of rows; by channels and by blocks of images.
SHAPES = [(2, 3), (7, 5), (100, 33), (700, 17), (9, 40, 3, 3), (6, 2, 20, 30)]


def samples(rng, shape, place, spread):
    return (place + spread * rng.standard_normal(shape)).astype(np.float32)


def axes_of(x):
    return (0, *range(2, x.ndim)), (1, -1, *[1] * (x.ndim - 2))


def wide(*arrays):
    return [a.astype(np.float64) for a in arrays]


def exact(x, gamma, beta, eps, axes, shape):
    """Return y, mean and rstd in float64, and the largest term of each output."""
    x, gamma, beta = wide(x, gamma, beta)
    mean = x.mean(axes, keepdims=True)
    mean += (x - mean).mean(axes, keepdims=True)
    rstd = 1 / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)
    scaled = (x - mean) * rstd * gamma.reshape(shape)
    y = scaled + beta.reshape(shape)
    size = np.maximum(np.abs(scaled), np.abs(beta).reshape(shape)).max(axes, keepdims=True)
    return y, mean, rstd, size


def exact_gradients(dout, x, gamma, mean, rstd, axes, shape):
    """Return dx, dgamma, dbeta in float64, and the sizes that roundings are relative to."""
    dout, x, gamma = wide(dout, x, gamma)
    xhat = (x - mean) * rstd
    count = x.size // gamma.size
    dbeta, dgamma = dout.sum(axes, keepdims=True), (dout * xhat).sum(axes, keepdims=True)
    slope = gamma.reshape(shape) * rstd
    dx = slope * (dout - (dbeta + xhat * dgamma) / count)
    sums = np.abs(dout).sum(axes), np.abs(dout * xhat).sum(axes)
    inner = np.abs(dout) + (np.abs(dbeta) + np.abs(xhat * dgamma)) / count
    return dx, dgamma, dbeta, np.abs(slope) * inner.max(axes, keepdims=True), *sums


def expect_near(got, expected, size, limit=LIMIT):
    if size.ndim == expected.ndim:
        size = np.broadcast_to(size, expected.shape)
    error, allowed = np.abs(got - expected.reshape(got.shape)), limit * size.reshape(got.shape)
    bad = ~(error <= allowed + TINY)
    assert not bad.any(), f"off by {error[bad][:3]}, expected at most {allowed[bad][:3]}"


CASES = dict(
    seed=st.integers(0, 2**32),
    shape=st.sampled_from(SHAPES),
    place=st.sampled_from(PLACES),
    relu=st.booleans(),
    backend=st.sampled_from(["numba", "numpy"]),
)


@settings(deadline=None, max_examples=60)
@given(**CASES)
@example(seed=0, shape=(100, 33), place=(1e6, 0.1), relu=False, backend="numba")
@example(seed=0, shape=(6, 2, 20, 30), place=(1e6, 0.1), relu=True, backend="numba")
@example(seed=0, shape=(700, 17), place=(1e19, 1e19), relu=False, backend="numba")
@example(seed=0, shape=(9, 40, 3, 3), place=(2e37, 2e36), relu=False, backend="numba")
def test_batchnorm(seed, shape, place, relu, backend):
    rng = np.random.default_rng(seed)
    x, dout = samples(rng, shape, *place), samples(rng, shape, 0.3, 1)
    gamma, beta = samples(rng, shape[1], 1, 0.3), samples(rng, shape[1], 0, 1)
    axes, to = axes_of(x)
    eps = 1e-6 * min(1, place[1]) ** 2
    y, mean, rstd, size = exact(x, gamma, beta, eps, axes, to)
    running_mean, running_var = np.zeros_like(gamma), np.zeros_like(gamma)
    suffix = "_relu" if relu else ""
    with config.use_backend(backend):
        got = getattr(ops, f"batchnorm{suffix}")(
            x, gamma, beta, running_mean, running_var, momentum=0, eps=eps
        )
        inferred = getattr(ops, f"batchnorm{suffix}_inference")(
            x, gamma, beta, got[1], np.ones_like(gamma), eps
        )
    clamp = (lambda a: np.maximum(a, 0)) if relu else (lambda a: a)
    expect_near(got[0], clamp(y), size)
    expect_near(got[1], mean, np.abs(mean))
    expect_near(got[2], rstd, rstd)
    expect_near(running_mean, mean, np.abs(mean))
    var = x.astype(np.float64).var(axes)
    if var.max() < np.finfo(np.float32).max:
        expect_near(running_var, var, var)
    # In inference the mean is what it is given.
    centred = x.astype(np.float64) - got[1].reshape(to)
    scaled = centred * (gamma.astype(np.float64) / np.sqrt(1 + eps)).reshape(to)
    terms = np.maximum(np.abs(scaled), np.abs(beta).reshape(to)).max(axes, keepdims=True)
    expect_near(inferred, clamp(scaled + beta.reshape(to)), terms)

    masks = (got[0],) if relu else ()
    passed = np.where(got[0] > 0, dout, 0) if relu else dout
    with config.use_backend(backend):
        backward = getattr(ops, f"batchnorm{suffix}_backward")
        dx, dgamma, dbeta = backward(dout, x, gamma, got[1], got[2], *masks)
    # The deviation is rounded where it is handed over: one more rounding in what it scales.
    to_dx, to_dgamma, to_dbeta, dx_size, d_size, dxhat_size = exact_gradients(
        passed, x, gamma, mean, rstd, axes, to
    )
    expect_near(dbeta, to_dbeta, d_size)
    expect_near(dgamma, to_dgamma, dxhat_size + d_size, LIMIT + HALF_UNIT)
    expect_near(dx, to_dx, dx_size, LIMIT + 2 * HALF_UNIT)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    shape=st.sampled_from([(3, 2), (20, 33), (5, 3000)]),
    place=st.sampled_from(PLACES),
    backend=st.sampled_from(["numba", "numpy"]),
)
@example(seed=0, shape=(20, 33), place=(1e6, 0.1), backend="numba")
@example(seed=0, shape=(5, 3000), place=(1e19, 1e19), backend="numba")
def test_layernorm(seed, shape, place, backend):
    rng = np.random.default_rng(seed)
    x, dout = samples(rng, shape, *place), samples(rng, shape, 0.3, 1)
    gamma, beta = samples(rng, shape[1], 1, 0.3), samples(rng, shape[1], 0, 1)
    eps = 1e-6 * min(1, place[1]) ** 2
    y, mean, rstd, size = exact(x, gamma, beta, eps, (1,), (1, -1))
    with config.use_backend(backend):
        got = ops.layernorm(x, gamma, beta, eps)
        dx, dgamma, dbeta = ops.layernorm_backward(dout, x, gamma, *got[1:])
    expect_near(got[0], y, size)
    expect_near(got[1], mean, np.abs(mean))
    expect_near(got[2], rstd, rstd)
    d, xs, scale = wide(dout, x, gamma)
    xhat, scaled = (xs - mean) * rstd, d * scale
    mean_dx = (scaled * xhat).mean(axis=1, keepdims=True)
    to_dx = rstd * (scaled - scaled.mean(axis=1, keepdims=True) - xhat * mean_dx)
    inner = np.abs(scaled) + np.abs(scaled).mean(axis=1, keepdims=True) + np.abs(xhat * mean_dx)
    # Sums of eight rows are taken in their own type.
    expect_near(dbeta, d.sum(axis=0), np.abs(d).sum(axis=0), 2 * LIMIT)
    along = np.abs(d) * (1 + np.abs(xhat))
    expect_near(dgamma, (d * xhat).sum(axis=0), along.sum(axis=0), 2 * LIMIT)
    expect_near(dx, to_dx, rstd * inner.max(axis=1, keepdims=True), LIMIT + 2 * HALF_UNIT)


@pytest.mark.parametrize("shape", [(600, 3), (8, 3, 20, 20)])
def test_a_first_sample_far_from_all_others(shape):
    """All sums are of differences from it."""
    x = samples(np.random.default_rng(1), shape, 0, 1)
    x[0] = 1e6
    axes, to = axes_of(x)
    ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
    y, _, rstd, size = exact(x, ones, zeros, 0, axes, to)
    got = ops.batchnorm(x, ones, zeros, zeros.copy(), ones.copy(), eps=0)
    expect_near(got[0], y, size)
    expect_near(got[2], rstd, rstd)


@pytest.mark.parametrize("shape", [(512, 3), (700, 3), (4, 40, 30, 30), (8, 3, 50, 50)])
@pytest.mark.parametrize("centre", [0.0, 3.0])
def test_gradients_whose_roundings_do_not_cancel(shape, centre):
    """All gradients are equal: so are the roundings of their sums."""
    x = samples(np.random.default_rng(3), shape, centre, 1)
    axes, to = axes_of(x)
    gamma, beta = np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)
    _, mean, rstd, _ = exact(x, gamma, beta, 1e-7, axes, to)
    given = mean.astype(np.float32).ravel(), rstd.astype(np.float32).ravel()
    for size in (0.1, 1 / 3, 0.7):
        dout = np.full_like(x, size)
        dx, dgamma, dbeta = ops.batchnorm_backward(dout, x, gamma, *given)
        to_dx, to_dgamma, to_dbeta, dx_size, d_size, dxhat_size = exact_gradients(
            dout, x, gamma, mean, rstd, axes, to
        )
        expect_near(dbeta, to_dbeta, d_size)
        expect_near(dgamma, to_dgamma, dxhat_size + d_size, LIMIT + HALF_UNIT)
        expect_near(dx, to_dx, dx_size, LIMIT + 2 * HALF_UNIT)


@pytest.mark.parametrize("shape", [(5, 3), (700, 3), (2, 3, 4, 4)])
def test_squares_beyond_the_range_of_float64(shape):
    """The variance is infinite then, and y is beta."""
    x = np.random.default_rng(2).standard_normal(shape)
    x[1, 2] = 1e200
    ones, beta = np.ones(3), np.arange(3.0)
    y, _, rstd = ops.batchnorm(x, ones, beta, ones.copy(), ones.copy())
    np.testing.assert_array_equal(y[:, 2], 2)
    assert rstd[2] == 0
    if x.ndim == 2:
        y, _, rstd = ops.layernorm(x, ones, beta)
        np.testing.assert_array_equal(y[1], beta)
        assert rstd[1] == 0


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_trainings_on_samples_far_from_zero(backend):
    """Both routes, the program and the layers, end where a training in float64 does."""
    x = samples(np.random.default_rng(0), (256, 10), 1e6, 0.1)
    t = np.arange(256) % 3

    def train(dtype):
        stack = [layers.BatchNormalization(), layers.Affine(8), layers.Relu(), layers.Affine(3)]
        network = Network(stack, input_size=10, seed=0, dtype=dtype)
        network.fit(x.astype(dtype), t, 1, batch_size=64, optimizer=SGD(0.1), seed=1, verbose=False)
        return network.params

    with config.use_backend(backend):
        got = train("float32")
    for key, expected in train("float64").items():
        # Four steps, each of some dozens of roundings of numbers up to the largest.
        limit = 4 * 32 * HALF_UNIT * max(1, np.abs(expected).max())
        np.testing.assert_allclose(got[key], expected, rtol=0, atol=limit)


def test_all_functions_that_normalise_are_here():
    here = inspect.getsource(inspect.getmodule(test_batchnorm))
    kinds = {name.split("norm")[0] + "norm" for name in ops.__all__ if "norm" in name}
    assert kinds == {"batchnorm", "layernorm"}
    assert all(f"def test_{kind}(" in here for kind in kinds)
