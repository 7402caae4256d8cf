"""Compile all kernels for one level of processors, into files of objects.

This is the program of a process of its own, as what Numba compiles for is settled when it is
imported: :func:`environment` has the variables for it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from fastnn.kernels.machine import ahead, catalogue, layout
from fastnn.kernels.machine.level import LEVELS, Level


class _Emitted(Exception):
    """Ends what Numba does for a function: it would make the same machine code to be run here."""


def environment(level: Level) -> dict[str, str]:
    """Return the variables of a process that compiles for a level."""
    others = {k: v for k, v in os.environ.items() if not k.startswith(("FASTNN_", "NUMBA_"))}
    return others | {
        "FASTNN_MACHINE_CODE": "jit",
        "FASTNN_QUIET": "1",
        "FASTNN_VECTOR_BITS": str(level.bits),
        "NUMBA_CPU_NAME": level.cpu,
        "NUMBA_CPU_FEATURES": level.features,  # or those of this machine are added
        "NUMBA_DISABLE_INTEL_SVML": "1",  # no such library goes with ours
    }


def wanted(names: Sequence[str] = ()) -> list[tuple[str, Any]]:
    """Return what to compile: names, each with its dtype or None.

    Parameters
    ----------
    names : sequence of str
        Of the catalogue, whose kernels come with the parts that they call, and its callers; all
        there are if empty.
    """
    chosen = [*catalogue.kernels(), *catalogue.parts()]
    callers = tuple(catalogue.CALLERS)
    if names:
        kernels = set(names).intersection(catalogue.kernels())
        needs = [need for name in kernels for need in catalogue.signature(name).needs]
        chosen = [name for name in chosen if name in (*names, *needs)]
        callers = tuple(name for name in catalogue.CALLERS if name in names)
    dtypes = layout.DTYPES[:2]
    own = [(n, dtype) for n in chosen for dtype in (dtypes if catalogue.is_real(n) else (None,))]
    return [*own, *((name, None) for name in callers)]


def compile_for(
    level: Level, folder: Path, names: Sequence[str], share: int = 0, shares: int = 1
) -> Iterator[str]:
    """Write an object for each symbol of a level's library, and yield its name.

    Of so many shares that processes take, it makes the one of that number.
    """
    import llvmlite.binding as llvm

    from fastnn.kernels.codegen import libraries
    from fastnn.kernels.codegen.compile import compile_anew
    from fastnn.kernels.machine import made

    target = llvm.Target.from_default_triple().create_target_machine(
        cpu=level.cpu, features=level.features, opt=3, reloc="pic", codemodel="default"
    )

    def emit(symbol: str, module: Any) -> None:
        (folder / f"{symbol}.o").write_bytes(target.emit_object(module))

    def emit_alone(symbol: str, module: Any) -> NoReturn:
        emit(symbol, module)
        raise _Emitted

    if share == 0:
        emit(ahead.POOL, llvm.parse_assembly(f"@{ahead.POOL} = global i64 0"))
    libraries.listeners.append(emit_alone)
    for name, dtype in wanted(names)[share::shares]:
        with contextlib.suppress(_Emitted):
            is_caller = name in catalogue.CALLERS
            compile_anew(made.caller(name) if is_caller else made.compiled(name, dtype))
            raise RuntimeError(f"{name} was compiled, and nothing was told of it")
        yield name if is_caller else catalogue.symbol(name, dtype)


def main(level: str, folder: str, share: str, *names: str) -> None:
    """Compile a share such as 0/2 for a level, by its name; print a line for each symbol."""
    (chosen,) = (each for each in LEVELS if each.name == level)
    number, count = map(int, share.split("/"))
    for symbol in compile_for(chosen, Path(folder), names, number, count):
        print(symbol, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
