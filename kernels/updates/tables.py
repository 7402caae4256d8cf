"""Many arrays in one call: a table of where they lie, which a kernel cuts as one range.

:mod:`fastnn.kernels.calls.update_caller` fills it.
"""

from fastnn.kernels.codegen.compile import serial
from fastnn.kernels.codegen.memory import vector

# A row stands for arrays of one size, a parameter, its gradient and its states: where they begin
# in the range that a kernel cuts, their size, their addresses. Rows begin at multiples of LINE, so
# that a cut comes at the same places as in an array on its own.
BEGIN, SIZE, ADDRESSES = 0, 1, 2

# The length of that range, as an expression of a kernel's argument `table`.
RANGE = f"table[-1, {BEGIN}] + table[-1, {SIZE}]"


@serial
def part(table, row, kind, start, stop, like):
    """Return what lies in [start, stop) of a row's array: 0 is the parameter, 1 its gradient."""
    begin, size = table[row, BEGIN], table[row, SIZE]
    low, high = max(start - begin, 0), max(min(stop - begin, size), 0)
    return vector(table[row, ADDRESSES + kind], high, like)[low:high]
