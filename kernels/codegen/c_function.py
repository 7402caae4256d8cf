"""The function of C that others call, around the one that Numba makes of a function of integers."""

from __future__ import annotations

import re
from typing import Any

import llvmlite.binding as llvm

# What machine code may refer to: the C library, but none of its functions of numbers, which differ
# in their last bits between systems; and the table of the pool. LLVM makes calls of those of some
# of its own, and an instruction of a root.
_KNOWN = re.compile(
    r"llvm\.(?!(powi?|exp|exp2|log|log2|log10|sin|cos|tan)\.).*|mem(set|cpy|move)|sqrtf?|"
    r"sched_yield|nanosleep|SwitchToThread|clock_gettime|GetSystemTimePreciseAsFileTime|fastnn_.*"
)

# Numba's returns through an address and gives a status. Arrays are never Numba's own: there is
# nothing to be freed.
_TEXT = """
declare i32 @"{inner}"(ptr, ptr{types})
define i64 @{name}({args}) {{
  %result = alloca i64
  %error = alloca ptr
  store i64 0, ptr %result
  %status = call i32 @"{inner}"(ptr %result, ptr %error{passed})
  %failed = icmp ne i32 %status, 0
  %value = load i64, ptr %result
  %returned = select i1 %failed, i64 -1, i64 %value
  ret i64 %returned
}}
"""
_FREE = "NRT_MemInfo_call_dtor"
_NO_MEMORY = f"define void @{_FREE}(ptr %memory) {{\n  ret void\n}}\n"


def functions(module: Any, linkage: str) -> list[Any]:
    """Return the functions of a module, not those of others, that have a linkage."""
    found = [f for f in module.functions if not f.is_declaration]
    return [f for f in found if f.linkage.name == linkage]


def wrap(module: Any, name: str, count: int) -> None:
    """Give a module a function of so many integers, by which others call the only external one."""
    [inner] = functions(module, "external")
    integers = [f"i64 %a{i}" for i in range(count)]
    text = _TEXT.format(
        inner=inner.name,
        name=name,
        args=", ".join(integers),
        types=", i64" * count,
        passed="".join(f", {integer}" for integer in integers),
    )
    own = [inner.name]
    if any(f.name == _FREE for f in module.functions):
        text += _NO_MEMORY
        own.append(_FREE)
    module.link_in(llvm.parse_assembly(text))
    for each in own:
        module.get_function(each).linkage = "internal"


def expect_known(module: Any, name: str) -> None:
    """Raise RuntimeError if the machine code refers to what is not there without Numba."""
    names = [f.name for f in module.functions if f.is_declaration]
    unknown = [other for other in names if not _KNOWN.fullmatch(other)]
    if unknown:
        raise RuntimeError(f"{name}: machine code that refers to {', '.join(unknown)}")
