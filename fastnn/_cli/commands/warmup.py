"""The command ``warmup``: compile all kernels, and keep them."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from threading import Thread
from typing import Any

from fastnn import config
from fastnn._cli import warmup
from fastnn._messages.bars import Progress
from fastnn.kernels.machine import code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.add_argument("--dtype", choices=warmup.DTYPES, help=argparse.SUPPRESS)


def run(parsed: argparse.Namespace) -> int:
    """Compile what is not on disk yet; return the exit code."""
    if config.get_backend() != "numba":
        print("nothing to compile: FASTNN_BACKEND=numpy or NUMBA_DISABLE_JIT=1 is set")
        return 1
    if code.library() is not None:
        print("nothing to compile: machine code for this processor came with fastnn")
        return 0
    if not code.can_compile():
        print("warmup: Numba is not installed, which compiles: pip install numba", file=sys.stderr)
        return 1
    if parsed.dtype:  # one of the processes of the command without it
        for name, call in warmup.steps(parsed.dtype):
            call()
            print(name, flush=True)
        return 0
    start, before = time.perf_counter(), _compiled()
    if not before:
        print("compiling all kernels for this machine, in a minute or two", flush=True)
    failed = _compile_each(warmup.DTYPES)
    if failed:
        print(f"warmup: {failed}", file=sys.stderr)
        return 1
    from fastnn.kernels.codegen import cache

    seconds, after = time.perf_counter() - start, _compiled()
    print(
        f"compiled {after - before} kernels in {seconds:.1f} s, found {before} compiled before; "
        f"they are in {cache.folder()}"
    )
    if not after:
        print("nothing could be kept there: set FASTNN_CACHE_DIR to a folder that can be written")
    return 0 if after else 1


def _compile_each(dtypes: Sequence[str]) -> str:
    """Compile for each dtype in a process of its own; return what has gone wrong."""
    # Their kernels have nothing in common, and a process compiles on one CPU only.
    command = [sys.executable, "-m", "fastnn", "warmup", "--dtype"]
    count = sum(1 for dtype in dtypes for _ in warmup.steps(dtype))
    quiet = dict(os.environ, FASTNN_QUIET="1")  # the bar says it all
    with tempfile.TemporaryFile("w+") as errors, Progress(count, " kernels") as bar:
        children = [
            subprocess.Popen(
                [*command, dtype], stdout=subprocess.PIPE, stderr=errors, text=True, env=quiet
            )
            for dtype in dtypes
        ]
        try:
            readers = [Thread(target=_follow, args=(child.stdout, bar)) for child in children]
            for reader in readers:
                reader.start()
            for reader in readers:
                reader.join()
            if any([child.wait() for child in children]):
                errors.seek(0)
                return errors.read().strip() or "a process that compiles has ended"
        except BaseException:
            for child in children:
                child.kill()
            raise
    return ""


def _follow(lines: Any, bar: Any) -> None:
    for line in lines:
        bar.advance(1, partial(dict, last=line.strip()))


def _compiled() -> int:
    """Return how many compiled kernels are on disk."""
    from fastnn.kernels.codegen import cache

    return len(cache.files())
