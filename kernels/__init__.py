"""Numba kernels: the compiled arithmetic of fastnn, installed as ``fastnn.kernels``.

Each kernel has a reference of the same name in :mod:`fastnn.reference` that says in plain NumPy
what it computes. A kernel takes its reference's arguments (an optimizer's, also dicts of arrays)
and, last, ``chunks``: the number of pieces into which the work is cut (1 runs on the calling thread
alone). Kernels trust their input: :mod:`fastnn.ops` checks it.

From bottom to top: `codegen` makes machine code, `tuning` has all numbers that decide how fast it
is, `threading` cuts and shares work, `gemm` multiplies matrices and `random` draws numbers;
`layers` and `updates` are what networks consist of, and `program` puts them together to whole
trainings. `machine` is where the machine code of all of them is, made ahead or just now, and
`calls` how Python calls it. `plain` is what needs no Numba. `limits` has loops at the limits of the
machine, to compare with.
"""

from __future__ import annotations

from typing import Any

from fastnn.kernels.machine import catalogue

__all__ = [*catalogue.kernels()]


def __getattr__(name: str) -> Any:
    """Return a kernel for Python to call: its arguments, and then `chunks`."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if catalogue.is_update(name):
        from fastnn.kernels.calls import update_routine

        return update_routine.routine(name)
    from fastnn.kernels.calls import routine

    return routine.routine(name)
