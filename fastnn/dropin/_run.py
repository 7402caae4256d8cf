"""Running a script as ``python SCRIPT`` does, with modules of fastnn in place of its own."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from importlib.machinery import SourceFileLoader
from types import ModuleType

from fastnn import dropin

_INTERRUPTED = 130  # what a shell makes of a process that SIGINT has ended


def run(name: str, script: str, arguments: Sequence[str]) -> int:
    """Run a script as the main program; return its exit code.

    Parameters
    ----------
    name : str
        What to install.
    script : str
        Path of the file.
    arguments : sequence of str
        What the script finds in ``sys.argv[1:]``.

    Returns
    -------
    int
        0, or 1 after an exception, whose traceback was printed. SystemExit is passed on.
    """
    try:
        with io.open_code(os.path.abspath(script)) as file:
            source = file.read()
    except OSError as error:
        print(f"run: can't open file {script!r}: {error.strerror}", file=sys.stderr)
        return 2
    dropin.install(name)
    main = ModuleType("__main__")
    main.__file__ = script
    main.__loader__ = SourceFileLoader("__main__", script)
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    sys.argv = [script, *arguments]
    # In place of the working directory, which comes first with `python -m`.
    sys.path[0] = os.path.dirname(os.path.realpath(script))
    try:
        exec(compile(source, script, "exec", dont_inherit=True), main.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        # Without the frame of this module, which the script knows nothing about.
        error = error.with_traceback(error.__traceback__ and error.__traceback__.tb_next)
        sys.excepthook(type(error), error, error.__traceback__)
        return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return 0
