"""Kernels call no functions but their own: see :mod:`fastnn.kernels.codegen.private`."""

import numba
import pytest

from fastnn.kernels.codegen.compile import OPTIONS, entry, part, serial


@serial
def inner(x, n):
    """Do more than LLVM inlines where it is called twice."""
    total = 0
    for i in range(n):
        for j in range(i % 7):
            total += (x * i) % (j + 3)
            if total % 5 == 3:
                total -= (i * j) % 11
            elif total % 7 == 2:
                total ^= (x + j) % 13
            elif total % 11 == 4:
                total += (x - i) % (j + 17) * (i % 19)
            elif total % 23 == 8:
                total = total // 3 + (x * j) % 29 - (i ^ j) % 31
    return total


def outer(x, y):
    return inner(x, 10) + inner(y, 20) + inner(x + y, 30)


def left_visible(compiled):
    """Return the functions of a kernel's machine code that others of their name can stand for."""
    (result,) = compiled.overloads.values()
    functions = result.library._final_module.functions
    return [f.name for f in functions if not f.is_declaration and f.linkage.name == "linkonce_odr"]


@pytest.mark.parametrize("make", [entry, part])
def test_inner_functions_are_the_kernels_own(make):
    signature = (numba.int64, numba.int64)
    plain, kernel = numba.njit(outer, **OPTIONS), make(outer)
    for each in (plain, kernel):
        each.compile(signature)
    assert any("inner" in name for name in left_visible(plain))  # what it is about
    assert left_visible(kernel) == []


def test_it_still_computes_what_it_says():
    expected = sum(inner.py_func(*arguments) for arguments in ((3, 10), (4, 20), (7, 30)))
    assert entry(outer)(3, 4) == expected
