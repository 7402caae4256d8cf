"""Layer normalisation where rounding shows: rows whose mean is large against their spread."""

import numpy as np
import pytest

from fastnn import config, ops


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("d", [5, 100, 3000])
def test_large_mean(dtype, d):
    eps = float(np.finfo(dtype).eps)
    shift = 0.01 / eps  # some hundred roundings are as large as the spread
    x = (shift + np.random.default_rng(d).standard_normal((4, d))).astype(dtype)
    exact = (x - x[:, :1]).astype(np.longdouble)  # differences without rounding
    exact -= exact.mean(axis=1, keepdims=True)
    expected = 1 / np.sqrt((exact**2).mean(axis=1))
    with config.use_backend("numba"):
        y, _, rstd = ops.layernorm(x, np.ones(d, dtype), np.zeros(d, dtype), eps=0)
    # Differences from the mean are exact; sums of d terms are taken in 8 parts or more.
    roundings = 16 + d / 8
    np.testing.assert_allclose(rstd, expected, rtol=roundings * eps)
    np.testing.assert_allclose(y, exact * expected[:, None], rtol=0, atol=8 * roundings * eps)


def test_kernels_that_are_there_refuse_rows_without_numbers():
    x, none, one = np.ones((3, 2)), np.ones((3, 0)), np.ones(3)
    ops.layernorm(x, x[0], x[0])
    ops.layernorm_backward(x, x, x[0], one, one)
    with pytest.raises(ValueError, match="x: expected at least one feature"):
        ops.layernorm(none, none[0], none[0])
    with pytest.raises(ValueError, match="x: expected at least one feature"):
        ops.layernorm_backward(none, none, none[0], one, one)
