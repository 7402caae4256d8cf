"""Levels of processors: for each there is a library of machine code made ahead of time.

A level is a set of instructions that processors have in common, so its machine code runs on all
that have them, and later ones, with the same bits. Those of x86-64 are its psABI's, as compilers
and Linux distributions know them.
"""

from __future__ import annotations

import functools
import platform
import sys
from pathlib import Path
from typing import NamedTuple

from fastnn.kernels.plain.level import features, vector_bits


class Level(NamedTuple):
    """A level of processors.

    Attributes
    ----------
    name : str
        Also the name of the library, without its ending.
    machine : str
        As `platform.machine` calls it.
    bits : int
        The width of vectors.
    cpu, features : str
        What LLVM makes machine code for.
    group : str
        NumPy's name of all that the level needs, in versions that have one.
    needs, flags : tuple of str
        What it needs by NumPy's names; and by those of Linux, what not all versions of NumPy know.
    """

    name: str
    machine: str
    bits: int
    cpu: str
    features: str
    group: str
    needs: tuple[str, ...]
    flags: tuple[str, ...]


_V2 = ("SSE3", "SSSE3", "SSE41", "SSE42", "POPCNT")
_V3 = (*_V2, "AVX", "AVX2", "FMA3", "F16C")
_V4 = (*_V3, "AVX512F", "AVX512CD", "AVX512BW", "AVX512DQ", "AVX512VL")
_V2_FLAGS = ("cx16", "lahf_lm")
_V3_FLAGS = (*_V2_FLAGS, "abm", "bmi1", "bmi2", "movbe")

LEVELS = (
    Level("x86-64-v2", "x86_64", 128, "x86-64-v2", "", "X86_V2", _V2, _V2_FLAGS),
    Level("x86-64-v3", "x86_64", 256, "x86-64-v3", "", "X86_V3", _V3, _V3_FLAGS),
    # LLVM has this level use 256 bits of the 512, for the first processors that had them.
    Level("x86-64-v4", "x86_64", 512, "x86-64-v4", "-prefer-256-bit", "X86_V4", _V4, _V3_FLAGS),
    Level("aarch64", "aarch64", 128, "generic", "+neon", "", ("ASIMD",), ()),
)


def system() -> str:
    """Return the system and the machine that machine code is for, as linux-x86_64."""
    machine = platform.machine() if sys.maxsize > 1 << 32 else "32 bits"
    return f"{sys.platform}-{machine}"


def of_machine() -> tuple[Level, ...]:
    """Return the levels that processors of this kind may have."""
    return tuple(level for level in LEVELS if level.machine == platform.machine())


@functools.cache
def _flags() -> frozenset[str]:
    """Return the names of what the processor has, as Linux knows them."""
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() == "flags":
                    return frozenset(value.split())
    except OSError:
        pass
    return frozenset()


def is_reached(level: Level) -> bool:
    """Say whether this processor is known to have all that a level needs."""
    if level.machine != platform.machine():
        return False
    if level.group in features():
        return True
    return features().issuperset(level.needs) and _flags().issuperset(level.flags)


def fitting() -> Level | None:
    """Return the level that fits this processor and the width of vectors, or None."""
    for level in LEVELS:
        if level.bits == vector_bits() and is_reached(level):
            return level
    return None
