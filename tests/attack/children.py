"""Children that attacks start: forks with a time limit, and processes of their own."""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import pickle
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.attack.machine import ROOT
from tests.attack.outcome import added


@dataclass(frozen=True)
class End:
    """How a child ended: with a value, with an error that it wrote, or by a signal."""

    value: Any = None
    error: str = ""
    signal: int = 0

    def __str__(self) -> str:
        return self.error or (f"ended by signal {self.signal}" if self.signal else "ended well")


class Child:
    """A forked child that calls a function. One that is late writes its stacks and ends.

    Parameters
    ----------
    function, *args
        What it calls.
    limit : float
        Seconds that it may take.
    """

    def __init__(self, function: Callable[..., Any], *args: Any, limit: float = 60.0) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._end = time.monotonic() + limit + 5
        self._pipe, written = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
            self.pid = os.fork()
        if not self.pid:
            _inside(function, args, limit, written, self._errors.fileno())
        os.close(written)

    def kill(self) -> None:
        """End it at once, if it is still there."""
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> End:
        """Wait for its end; say what that was."""
        content = bytearray()
        with open(self._pipe, "rb", buffering=0) as pipe, self._errors as errors:
            while select.select([pipe], [], [], max(0, self._end - time.monotonic()))[0]:
                piece = pipe.read(1 << 16)
                if not piece:
                    break
                content += piece
            else:
                self.kill()
            status = os.waitpid(self.pid, 0)[1]
            errors.seek(0)
            error = errors.read().decode(errors="replace")
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            return End(None, error and f"signal {number}: {error}", number)
        if os.WEXITSTATUS(status):
            return End(None, error or f"ended with {os.WEXITSTATUS(status)} and no word")
        return End(pickle.loads(bytes(content)))


def _inside(
    function: Callable[..., Any], args: tuple[Any, ...], limit: float, written: int, errors: int
) -> None:
    """Call a function in the child, which never returns from here."""
    code = 1
    try:
        os.dup2(errors, 2)
        faulthandler.enable(2)
        faulthandler.dump_traceback_later(limit, exit=True, file=2)
        value = pickle.dumps(function(*args))
        while value:
            value = value[os.write(written, value) :]
        code = 0
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def forked(function: Callable[..., Any], *args: Any, limit: float = 60.0) -> End:
    """Call a function in a forked child; return how that ended."""
    return Child(function, *args, limit=limit).end()


def in_short(error: str) -> str:
    """Return the beginning and the end of a traceback in one line, without folders of a machine."""
    error = re.sub(r"(?<![\w.])/(?:[^\s/\"':,]+/)+", "", error.replace(f"{ROOT}/", ""))
    lines = error.partition("\nExtension modules:")[0].strip().splitlines()
    return " ".join(line.strip() for line in (lines if len(lines) < 8 else lines[:4] + lines[-4:]))


def alone(function: Callable[..., Any], *args: Any, limit: float = 3600.0, **settings: Any) -> Any:
    """Call a function of a module in a process of its own; return what it returns, as JSON.

    Parameters
    ----------
    function : function of a module
    *args
        For it, as JSON.
    limit : float
        Seconds that it may take.
    **settings
        Of :func:`subprocess.run`, such as `env`.
    """
    names = function.__module__, function.__name__
    command = [sys.executable, "-m", __name__, *names, json.dumps(args)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=limit, cwd=ROOT, check=False, **settings
    )
    if done.returncode:
        raise RuntimeError(f"{'.'.join(names)} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def shared(function: Callable[..., Any], amount: int, seed: int) -> tuple[dict, tuple[str, ...]]:
    """Let a process for each CPU make its share of an amount; return all figures and failures.

    Parameters
    ----------
    function : function of a module, of an amount and a seed
        Returns figures and failures.
    amount, seed : int
        To be shared.
    """
    processes = min(len(os.sched_getaffinity(0)), 1 + amount // 10)  # each takes its time to begin
    shares = [
        range(i * amount // processes, (i + 1) * amount // processes) for i in range(processes)
    ]
    with ThreadPoolExecutor(processes) as pool:
        each = [pool.submit(alone, function, len(s), seed + s.start) for s in shares]
        results = [future.result() for future in each]
    figures: dict[str, int | float | str] = {}
    for more, _ in results:
        figures = added(figures, more)
    return figures, tuple(text for _, failures in results for text in failures)


if __name__ == "__main__":
    faulthandler.enable()
    module, name, given = sys.argv[1:]
    print(json.dumps(getattr(importlib.import_module(module), name)(*json.loads(given))))
