"""Loops whose rounds are done side by side: they say so, and compute the same."""

import re

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from procedures import call, procedure_of

from fastnn.kernels.codegen import rounds
from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.elementary import tanh
from fastnn.kernels.codegen.memory import pointer
from fastnn.kernels.codegen.rounds import side_by_side

SIZE = 500  # all forms of a loop have something to do

TEXT = """
define i64 @count(i64 %n) {
entry:
  br label %"loop"
loop:
  %i = phi i64 [0, %entry], [%next, %"loop.body"]
  %more = icmp slt i64 %i, %n
  br i1 %more, label %"loop.body", label %end
loop.body:
  %next = add i64 %i, 1
  br label %"loop"
end:
  ret i64 %i, !own !0
}
!0 = !{i32 1}
"""


@serial
def plain(x, out):
    for i in range(x.size):
        out[i] = tanh(x[i])


@serial
def together(x, out):
    side_by_side()
    for i in range(x.size):
        out[i] = tanh(x[i])


def test_a_way_back_says_how_many_rounds_it_wants():
    text = rounds.with_rounds(TEXT)
    (said,) = (line for line in text.splitlines() if "!llvm.loop" in line)
    assert said == '  br label %"loop", !llvm.loop !2'
    # LLVM heeds only what is distinct, and its own first operand.
    assert "!2 = distinct !{!2, !1}" in text and '!1 = !{!"llvm.loop.interleave.count"' in text
    llvm.parse_assembly(text).verify()


def kernel_of(function, real):
    """Return a kernel of the function, of two addresses."""
    kind = numba.from_dtype(np.dtype(real))

    def kernel(x, out):
        function(numba.carray(pointer(x), SIZE, kind), numba.carray(pointer(out), SIZE, kind))
        return 0

    return procedure_of(kernel)


def divisions(kernel):
    """Return how many divisions of vectors stand in the machine code of a kernel."""
    (result,) = kernel.overloads.values()
    return len(re.findall(r"fdiv .*<\d+ x", str(result.library._final_module)))


@pytest.mark.slow
@pytest.mark.parametrize("real", [np.float32, np.float64])
def test_the_bits_are_the_same_and_more_divisions_side_by_side(real):
    x = np.linspace(-9, 9, SIZE, dtype=real)
    results, counts = [], []
    for function in (plain, together):
        out, kernel = np.zeros_like(x), kernel_of(function, real)
        call(kernel, x.ctypes.data, out.ctypes.data)
        results.append(out.tobytes())
        counts.append(divisions(kernel))
    assert results[0] == results[1]
    assert counts[1] >= counts[0] + 3
