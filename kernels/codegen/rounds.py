"""Loops whose rounds are done side by side: a matter of speed alone.

LLVM puts the steps of several rounds of a short loop next to each other, so that those of one need
not wait for those of another. Of a loop as long as that of a hyperbolic tangent it thinks that the
processor does so by itself. But this has to remember all that waits, and that is too much: with
four rounds such loops take a tenth to a third less time.
"""

from __future__ import annotations

import re
from typing import Any

import numba.extending
from numba import types

_ROUNDS = 4

_intrinsic: Any = numba.extending.intrinsic

_MARK = "fastnn.rounds"
_NUMBER = re.compile(r"^!(\d+) =", re.M)
_LABEL = re.compile(r'"?([^"\s]+?)"?:$')
_BRANCH = re.compile(r'  br label %"?([^"\s]+?)"?$')


@_intrinsic
def side_by_side(typingctx):
    """Have the innermost loops of the function that this stands in done so."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.module.add_named_metadata(_MARK)
        return context.get_dummy_value()

    return types.void(), codegen


def is_marked(module: Any) -> bool:
    """Say whether a module, of llvmlite's, has a function with :func:`side_by_side`."""
    return _MARK in module.namedmetadata


def with_rounds(text: str) -> str:
    """Return the text of a module, in which loops say how many rounds they want.

    They do so where they go back, as languages have it: in branches to labels further up.
    """
    wanted = 1 + max(map(int, _NUMBER.findall(text)), default=-1)
    lines: list[str] = []
    found = [f'!{wanted} = !{{!"llvm.loop.interleave.count", i32 {_ROUNDS}}}']
    above: set[str] = set()
    for line in text.splitlines():
        if line.startswith("define "):
            above.clear()
        elif label := _LABEL.match(line):
            above.add(label[1])
        elif (branch := _BRANCH.match(line)) and branch[1] in above:
            own = wanted + len(found)
            found.append(f"!{own} = distinct !{{!{own}, !{wanted}}}")
            line += f", !llvm.loop !{own}"
        lines.append(line)
    return "\n".join([*lines, *found, ""])
