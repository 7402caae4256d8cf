"""The loops at the limits of the machine do the work that they are counted for."""

import numpy as np
import pytest

from fastnn import ops
from fastnn.kernels import limits
from fastnn.kernels.plain.level import vector_bits


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_register_goes_through_all_rounds(dtype):
    # A register that starts at i holds 1 + (i - 1) / 2**rounds in the end.
    for rounds in (0, 1, 2, 7):
        out = np.empty(3, dtype)
        limits.multiply_add(rounds, out, 3)
        expected = sum(1 + (i - 1) / 2**rounds for i in range(limits.REGISTERS))
        rounding = limits.REGISTERS * float(np.finfo(dtype).eps)
        assert out == pytest.approx(expected, rel=rounding)
    lanes = vector_bits() // (8 * out.itemsize)
    assert limits.flops(7, out) == 2 * lanes * limits.REGISTERS * 7 * 3


@pytest.mark.parametrize("kernel", [limits.copy, limits.copy_bytes])
@pytest.mark.parametrize("chunks", [1, 3])
def test_copies(kernel, chunks):
    for rounds in (1, 2, 3):
        source, target = np.arange(1000, dtype=np.float32), np.full(1000, -1, np.float32)
        kernel(rounds, source, target, chunks)
        assert np.array_equal(source, np.arange(1000))
        assert np.array_equal(target, np.arange(1000))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m, k, n", [(7, 5, 3), (97, 130, 260)])
def test_products(m, k, n, dtype):
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
    out = np.full((m, n), np.nan, dtype)
    limits.products(2, a, b, out)
    np.testing.assert_array_equal(out, ops.affine(a, b, np.zeros(n, dtype)))
