"""How wide the vectors of machine code are on this processor."""

from __future__ import annotations

import functools

from fastnn._utils.environment import variable
from fastnn.kernels.plain.numpy_c import numpy_c

WIDTHS = (512, 256, 128)


@functools.cache
def features() -> frozenset[str]:
    """Return the names of what the processor has, as NumPy knows them: AVX2, AVX512F.

    NumPy has asked the processor and the system. What ``NPY_DISABLE_CPU_FEATURES`` names is not
    among them.
    """
    known: dict[str, bool] = getattr(numpy_c(), "__cpu_features__", {})
    return frozenset(name for name, has in known.items() if has)


@functools.cache
def vector_bits() -> int:
    """Return the width of vectors: the host's, or what ``FASTNN_VECTOR_BITS`` asks for."""
    asked = variable("FASTNN_VECTOR_BITS")
    if asked:
        if asked not in map(str, WIDTHS):
            raise ValueError(f"FASTNN_VECTOR_BITS: expected one of {WIDTHS}, got {asked!r}")
        return int(asked)
    # Newer NumPy names groups of features too, and may leave out what they hold.
    if features() & {"AVX512F", "X86_V4"}:
        return 512
    return 256 if features() & {"AVX2", "X86_V3"} else 128
