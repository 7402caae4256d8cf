"""Kernels of a test's own: functions of integers, each of a name that no other has."""

import ctypes
import itertools

from fastnn.kernels.codegen.compile import address, procedure

_count = itertools.count()


def procedure_of(function):
    """Return a kernel of a function that was not compiled before."""
    function.__name__ = function.__qualname__ = f"{function.__name__}_of_a_test_{next(_count)}"
    return procedure(function)


def call(kernel, *integers):
    """Return what a kernel returns, compiled if need be."""
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_int64] * len(integers))
    return kind(address(kernel))(*integers)
