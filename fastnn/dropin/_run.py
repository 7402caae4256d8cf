"""Running a script as ``python SCRIPT`` does, with modules of fastnn in place of its own."""

from __future__ import annotations

import builtins
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader
from types import ModuleType, TracebackType
from typing import Any

from fastnn import dropin
from fastnn.dropin import _facade

_AUTO = ("dlfs", "cs231n")
# Modules that stand between a script and its own modules.
_BETWEEN = tuple(
    os.path.join(os.path.dirname(_facade.__file__), f"{name}.py")
    for name in ("_facade", "_owner", "_mixing")
)

# What the module of a script has beside its name and file, where this Python gives it that.
_USUAL: dict[str, Callable[[], Any]] = {"__annotations__": dict, "__cached__": lambda: None}


def run(name: str, script: str, arguments: Sequence[str], tells: str = "kept") -> int:
    """Run a script as the main program; return its exit code.

    Parameters
    ----------
    name : str
        What to install, or ``"auto"`` for the book and the course: a script imports what it needs.
    script : str
        Path of the file.
    arguments : sequence of str
        What the script finds in ``sys.argv[1:]``.
    tells : {"kept", "all", "error"}
        As for :func:`fastnn.dropin.install`.

    Returns
    -------
    int
        0, or 1 after an exception, whose traceback was printed; 2 if there is no such file.

    Raises
    ------
    SystemExit, KeyboardInterrupt
        Those of the script, with which the interpreter ends as it does itself. Of the second the
        traceback was printed, and nothing will be printed any more.
    """
    path = os.path.join(os.getcwd(), script)  # as Python has it: absolute, ./ and links left alone
    try:
        with io.open_code(path) as file:
            source = file.read()
    except OSError as error:
        print(f"run: can't open file {script!r}: {error.strerror}", file=sys.stderr)
        return 2
    for each in _AUTO if name == "auto" else (name,):
        dropin.install(each, tells)
    main = ModuleType("__main__")
    main.__file__ = path
    main.__loader__ = SourceFileLoader("__main__", path)
    main.__dict__["__builtins__"] = builtins
    usual = vars(sys.modules["__main__"])
    vars(main).update({name: value() for name, value in _USUAL.items() if name in usual})
    sys.modules["__main__"] = main
    sys.argv = [script, *arguments]
    if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
        # In place of the working directory, which comes first with `python -m`.
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    try:
        exec(compile(source, path, "exec", dont_inherit=True), main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        error = error.with_traceback(_of_script(error.__traceback__))
        sys.excepthook(type(error), error, error.__traceback__)
        if isinstance(error, KeyboardInterrupt):
            sys.excepthook = lambda *error: None
            raise
        return 1
    return 0


def _of_script(frames: TracebackType | None) -> TracebackType | None:
    """Return a traceback without this module and those that stand between scripts and modules."""
    first = last = frames and frames.tb_next
    while last is not None and last.tb_next is not None:
        if last.tb_next.tb_frame.f_code.co_filename in _BETWEEN:
            last.tb_next = last.tb_next.tb_next
        else:
            last = last.tb_next
    return first
