"""Batch normalisation by the kernels: digits that the statistics keep."""

import numpy as np
import pytest

from fastnn import ops
from fastnn.kernels.tuning import COMMON


# Cut by columns and by rows, by channels and by images.
@pytest.mark.parametrize("shape", [(500, 40), (4000, 40), (50, 40, 9, 9), (50, 2, 30, 30)])
def test_numbers_far_from_zero(shape):
    x = np.random.default_rng(34).normal(1e4, 1, shape).astype(np.float32)
    axes = (0, *range(2, x.ndim))
    wide = x.astype(np.float64)
    mean, var = wide.mean(axes, keepdims=True), wide.var(axes, keepdims=True)
    gamma, beta = np.ones(shape[1], np.float32), np.zeros(shape[1], np.float32)
    running_mean, running_var = np.zeros_like(gamma), np.ones_like(gamma)
    y, *_ = ops.batchnorm(x, gamma, beta, running_mean, running_var, momentum=0, eps=0)
    # The deviation is 1: an error of the mean by half a unit in its last place is one of y.
    unit = np.spacing(np.float32(1e4))
    np.testing.assert_allclose(running_mean, mean.reshape(-1), rtol=0, atol=0.6 * unit)
    terms = x.size // shape[1]
    np.testing.assert_allclose(running_var, var.reshape(-1), rtol=terms * np.finfo(np.float32).eps)
    np.testing.assert_allclose(y, (wide - mean) / np.sqrt(var), rtol=0, atol=unit)


@pytest.mark.parametrize("shape", [(500, 40), (4000, 40), (50, 40, 9, 9), (50, 2, 30, 30)])
def test_constant_features(shape):
    x = np.broadcast_to(np.float32(0.1), shape)
    gamma, beta = np.ones(shape[1], np.float32), np.full(shape[1], 7, np.float32)
    mean, var = np.zeros_like(gamma), np.ones_like(gamma)
    y, *_ = ops.batchnorm(x, gamma, beta, mean, var, momentum=0)
    np.testing.assert_array_equal(y, 7)
    np.testing.assert_array_equal(mean, np.float32(0.1))
    # Zero, but for what a compiler makes of sums that may be taken in any order.
    np.testing.assert_allclose(var, 0, atol=(0.1 * np.finfo(np.float32).eps) ** 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_columns_of_a_wide_batch_have_the_bits_that_they_have_alone(dtype):
    """Wide batches go in strips of columns, of whole cache lines."""
    n, d = 300, 530
    assert 2 * COMMON.norm_strip < n * d * np.dtype(dtype).itemsize
    rng = np.random.default_rng(35)
    x, dout = rng.normal(size=(2, n, d)).astype(dtype)
    gamma, beta = rng.normal(size=(2, d)).astype(dtype)
    y, mean, rstd = ops.batchnorm(x, gamma, beta, np.zeros(d, dtype), np.ones(d, dtype))
    dx, dgamma, dbeta = ops.batchnorm_backward(dout, x, gamma, mean, rstd)
    for j in range(0, d, 16):
        own = slice(j, j + 16)
        g, b = gamma[own], beta[own]
        alone = ops.batchnorm(x[:, own].copy(), g, b, np.zeros_like(g), np.ones_like(g))
        for found, expected in zip((y[:, own], mean[own], rstd[own]), alone, strict=True):
            np.testing.assert_array_equal(found, expected)
        back = ops.batchnorm_backward(dout[:, own].copy(), x[:, own].copy(), g, *alone[1:])
        for found, expected in zip((dx[:, own], dgamma[own], dbeta[own]), back, strict=True):
            np.testing.assert_array_equal(found, expected)


# As many pixels as leave the last vector of every width partly empty.
@pytest.mark.parametrize("shape", [(3, 2), (3, 2, 1, 3), (1, 2, 3, 7)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinite_deviation_reaches_the_gradient_as_infinity(shape, dtype):
    # Constant features without eps. Nothing beside the pixels may take part: 0 inf is NaN.
    x, dout = np.ones(shape, dtype), np.ones(shape, dtype)
    gamma, mean, rstd = np.ones(2, dtype), np.zeros(2, dtype), np.full(2, np.inf, dtype)
    _, dgamma, dbeta = ops.batchnorm_backward(dout, x, gamma, mean, rstd)
    np.testing.assert_array_equal(dgamma, np.inf)
    np.testing.assert_array_equal(dbeta, x.size // 2)


# A shape of each kernel, then one of the same kernel without a number.
@pytest.mark.parametrize("shapes", [((4, 3), (0, 3)), ((4, 3, 2, 2), (4, 3, 0, 2))])
def test_kernels_that_are_there_refuse_a_batch_without_numbers(shapes):
    one, mean, var = np.ones(3), np.zeros(3), np.ones(3)
    ops.batchnorm(np.ones(shapes[0]), one, one, mean, var)
    ops.batchnorm_backward(np.ones(shapes[0]), np.ones(shapes[0]), one, one, one)
    x, kept = np.ones(shapes[1]), (mean.copy(), var.copy())
    with pytest.raises(ValueError, match="x: expected at least one sample and feature"):
        ops.batchnorm(x, one, one, mean, var)
    with pytest.raises(ValueError, match="x: expected at least one sample and feature"):
        ops.batchnorm_backward(x, x, one, one, one)
    np.testing.assert_array_equal((mean, var), kept)
    assert ops.batchnorm_inference(x, one, one, mean, var).shape == shapes[1]


def test_false_is_no_output_of_relu():
    x, one = np.ones((4, 3)), np.ones(3)
    ops.batchnorm_relu_backward(x, x, one, one, one, x)
    with pytest.raises(ValueError, match=r"y: expected shape \(4, 3\) like x"):
        ops.batchnorm_relu_backward(x, x, one, one, one, False)
