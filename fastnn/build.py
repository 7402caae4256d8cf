"""``python -m fastnn.build``: make the machine code of all kernels ahead of time.

For each level of this machine's kind (x86-64-v2, v3 and v4, or AArch64) it makes a shared library,
and beside them a manifest. An installation that has them compiles nothing. It takes some minutes,
a C compiler for linking, and GNU's binutils; no processor of the level is needed.
"""

from __future__ import annotations

import argparse
import functools
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fastnn._build.levels import build
from fastnn._build.linking import BuildError
from fastnn.kernels.machine import ahead
from fastnn.kernels.machine.level import of_machine


def main(arguments: Sequence[str] | None = None) -> int:
    """Make libraries; return the exit code."""
    known = {level.name: level for level in of_machine()}
    if sys.platform != "linux" or not known:
        print(
            "fastnn.build: expected Linux on x86-64 or AArch64, got "
            f"{sys.platform} on {platform.machine()}",
            file=sys.stderr,
        )
        return 1
    parser = argparse.ArgumentParser(
        prog="python -m fastnn.build",
        description="Make the machine code of all kernels ahead of time, a library a level.",
    )
    parser.add_argument(
        "--levels", nargs="+", choices=known, default=[*known], help="all if not given"
    )
    parser.add_argument(
        "--into",
        type=Path,
        default=ahead.FOLDER,
        help="a folder for them; if not given, where this installation looks: %(default)s",
    )
    parsed = parser.parse_args(arguments)
    begin = time.perf_counter()
    try:
        levels = [known[name] for name in parsed.levels]
        build(levels, parsed.into, say=functools.partial(print, flush=True))
    except (BuildError, OSError) as error:
        print(f"fastnn.build: {error}", file=sys.stderr)
        return 1
    print(f"made {', '.join(parsed.levels)} in {time.perf_counter() - begin:.0f} s: {parsed.into}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
