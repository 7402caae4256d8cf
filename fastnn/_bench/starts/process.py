"""A new process, from its start to the end of a script, and what it took."""

from __future__ import annotations

import contextlib
import os
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from fastnn._bench.training.spec import NotMeasuredError


class Usage(NamedTuple):
    """Seconds on processors, of the process and of those that it has waited for, and passed."""

    cpu: float
    wall: float


# Without what an interpreter does to end.
_AT_ONCE = "\nimport os; os._exit(0)"


def command(script: str) -> list[str]:
    """Return what starts a process that runs a script."""
    return [sys.executable, "-c", script + _AT_ONCE]


def run(arguments: Sequence[str], variables: Mapping[str, str]) -> Usage:
    """Run a process to its end.

    Raises
    ------
    NotMeasuredError
        If the process fails, or the system does not tell what it took.
    """
    if not hasattr(os, "wait4"):
        raise NotMeasuredError("this system does not tell what a process took")
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(
            arguments,
            env=os.environ | variables,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-1:]
            raise NotMeasuredError(f"ended with code {process.returncode}: {' '.join(last)}")
    return Usage(used.ru_utime + used.ru_stime, wall)


@contextlib.contextmanager
def nothing_kept() -> Iterator[dict[str, str]]:
    """Yield variables with which a process finds an empty home and no compiled kernels."""
    with tempfile.TemporaryDirectory() as folder:
        yield {
            "HOME": folder,
            "XDG_CACHE_HOME": os.path.join(folder, ".cache"),
            "FASTNN_CACHE_DIR": os.path.join(folder, "kernels"),
            # Packages may stand in the home that is there now.
            "PYTHONUSERBASE": site.getuserbase(),
        }
