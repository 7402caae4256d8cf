"""Kernels call no functions but their own: see :mod:`fastnn.kernels.codegen.libraries`."""

import math

import numba
import numpy as np
import pytest
from numba.core import compiler_machinery, postproc
from procedures import call, procedure_of

from fastnn.kernels.codegen.compile import (
    ALONE,
    OPTIONS,
    address,
    alone,
    inlined,
    row_sum,
    serial,
)
from fastnn.kernels.codegen.memory import typed


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


def test_inner_functions_are_the_kernels_own():
    plain, kernel = numba.njit(outer, **OPTIONS), procedure_of(outer)
    for each in (plain, kernel):
        each.compile((numba.int64, numba.int64))
    assert any("inner" in name for name in left_visible(plain))  # what it is about
    assert left_visible(kernel) == []


def test_it_still_computes_what_it_says():
    expected = sum(inner.py_func(*arguments) for arguments in ((3, 10), (4, 20), (7, 30)))
    assert call(procedure_of(outer), 3, 4) == expected


def machine_code(dispatcher):
    """Return the number of functions that have machine code of their own."""
    engine = numba.core.registry.cpu_target.target_context.codegen()._engine
    names = [result.fndesc.llvm_func_name for result in dispatcher.overloads.values()]
    return sum(engine.is_symbol_defined(name) for name in names)


def test_functions_inside_have_no_machine_code_of_their_own():
    @serial
    def inside(x):
        return 3 * x

    def kernel(x):
        return inside(x) + inside(x + 1)

    assert call(procedure_of(kernel), 5) == 33
    assert len(inside.overloads) == 1 and machine_code(inside) == 0


@pytest.mark.parametrize("options", [OPTIONS, ALONE], ids=["of a user", "optimised alone"])
def test_functions_first_compiled_inside_a_kernel_can_be_called_from_elsewhere(options):
    @numba.njit(**options)
    def twice(x):
        return 2 * x

    @serial
    def more(x):
        return twice(x) + 1

    def kernel(x):
        return more(x)

    @numba.njit
    def other(x):
        return more(x) + twice(x)

    assert call(procedure_of(kernel), 5) == 11
    assert other(5) == 21
    if options is OPTIONS:
        assert twice(5) == 10 and twice(0.5) == 1.0


def test_functions_compiled_before_a_kernel_can_be_called_in_it():
    @numba.njit
    def size(x):
        return np.abs(x)

    def kernel(x):
        return size(x) + size(1 - x)

    assert size(-3) == 3
    assert call(procedure_of(kernel), 5) == 9


@pytest.mark.parametrize("decorate", [serial, alone, inlined, row_sum])
def test_a_call_from_python_is_refused(decorate):
    @decorate
    def inside(x):
        return 2 * x

    for _ in range(2):
        with pytest.raises(TypeError, match="inside: expected a call by compiled code"):
            inside(3)

        @numba.njit(**OPTIONS)
        def outside(x):
            return inside(x)

        assert outside(4) == 8  # and from now on it is compiled
    assert inside.py_func(3) == 6


def test_a_call_of_a_kernel_from_python_is_refused():
    with pytest.raises(TypeError, match="expected a call by compiled code"):
        procedure_of(outer)(3, 4)


@pytest.mark.parametrize("function", [math.exp, math.log, math.tanh, math.erf])
def test_no_kernel_takes_functions_of_the_c_library(function):
    """Their last bits are others on other systems."""

    def kernel(x):
        return int(function(x))

    with pytest.raises(RuntimeError, match=f"machine code that refers to .*{function.__name__}"):
        call(procedure_of(kernel), 2)


def test_no_kernel_takes_powers_of_the_c_library():
    def kernel(x):
        return int(x**0.3)

    with pytest.raises(RuntimeError, match="machine code that refers to .*pow"):
        call(procedure_of(kernel), 2)


def test_a_root_is_an_instruction():
    def kernel(x):
        return int(math.sqrt(x))

    assert call(procedure_of(kernel), 49) == 7


def test_row_sums_are_of_one_form():
    """Whatever is around them: they are optimised alone."""

    @row_sum
    def total(x):
        s = 0.0
        for i in range(x.size):
            s += x[i]
        return s

    @numba.njit(**OPTIONS)
    def elsewhere(x):
        return total(x)

    assert elsewhere(np.ones(1000)) == 1000
    (result,) = total.overloads.values()
    text = str(result.library._final_module)
    assert "fadd" in text and "x double>" in text  # a vector of partial sums, before any caller


def test_constants_are_no_types_of_their_own():
    @serial
    def add(x, y):
        return x + y

    def kernel(x):
        return add(x, 1) + add(x, 2) + add(3, x)

    assert call(procedure_of(kernel), 5) == 21
    assert list(add.overloads) == [(numba.int64, numba.int64)]


def test_references_to_arrays_are_not_counted():
    @serial
    def part(address, size):
        return typed(address, size, np.int64)[1:]

    def kernel(address, size):
        numbers = part(address, size)
        return numbers[0] if size > 1 else 0

    compiled = procedure_of(kernel)
    numbers = np.array([3, 5, 7])
    assert call(compiled, numbers.ctypes.data, 3) == 5
    (result,) = part.overloads.values()
    assert "NRT_" not in str(result.library._final_module)


def methods():
    """Return what Numba calls for each pass and each call of a function, and for sizes of types."""
    context = numba.core.registry.cpu_target.target_context
    return (
        compiler_machinery.PassManager._runPass, postproc.PostProcessor.run,
        numba.types.Function.get_call_type, context.get_abi_sizeof,
    )  # fmt: skip


def test_numba_is_its_own_when_a_kernel_is_compiled_or_cannot_be():
    def sum_of(x):
        return x + 1

    def wrong(x):
        return x + "1"

    before = methods()
    assert call(procedure_of(sum_of), 5) == 6
    with pytest.raises(numba.TypingError):
        address(procedure_of(wrong))
    assert methods() == before
