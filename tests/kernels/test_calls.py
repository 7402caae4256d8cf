"""The functions of Python that call kernels: when they refuse, and what they take."""

import copy

import numpy as np
import pytest

from fastnn import config, kernels, ops
from fastnn.kernels.calls.routine import routine


def arrays(dtype):
    return np.ones((4, 8), dtype), np.ones((8, 8), np.float32), np.zeros(8, dtype)


def test_the_backend_reaches_functions_that_were_made_before():
    checked, given = routine("affine_relu").checked, arrays(np.float32)
    ops.affine_relu(*given)  # loads it
    assert isinstance(checked(*given, None), np.ndarray)
    with config.use_backend("numpy"):
        assert checked(*given, None) is NotImplemented
    assert isinstance(checked(*given, None), np.ndarray)


@pytest.mark.parametrize("dtype", [copy.deepcopy(np.dtype(np.float32)), np.dtype("f4", copy=True)])
def test_copies_of_a_dtype_are_taken(dtype):
    assert dtype is not np.dtype(np.float32)
    given, y = arrays(dtype), np.empty((4, 8), dtype)
    kernels.affine_relu(*given, y, 1)
    assert np.array_equal(y, np.full((4, 8), 8))
    assert np.array_equal(ops.affine_relu(*given), y)


def test_what_no_signature_has_is_refused():
    with pytest.raises(TypeError, match=r"affine_relu: expected what its signature says"):
        kernels.affine_relu(*arrays(np.float32), np.empty((4, 7), np.float32), 1)
