"""Unusual environments: a training in each has the right bits, or refuses with a clear error."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.attack.children import in_short, shared
from tests.attack.machine import ROOT
from tests.attack.outcome import Outcome

RANK, UNIT, CHUNK = 9, "environments", 10  # FULL: each of those below

SCRIPT = Path(__file__).with_name("_trained_here.py")
LIMIT = 600.0  # seconds: kernels of another width are compiled


@dataclass(frozen=True)
class Environment:
    """What is unusual about where a training runs.

    Attributes
    ----------
    name : str
    variables : dict of str to str or None
        To set, or None to unset.
    flags : tuple of str
        Of the interpreter.
    way : str
        How the script trains: see there.
    before : function, optional
        Called in the child before the interpreter starts.
    refused : str
        What the last line of a refusal has to match, where one is allowed.
    only : bool
        Whether it has to be refused.
    same : bool
        Whether bits are the same as usual, not only close.
    """

    name: str
    variables: dict[str, str | None] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    way: str = "here"
    before: Callable[[], Any] | None = None
    refused: str = ""
    only: bool = False
    same: bool = True


def _closed(*numbers: int) -> Callable[[], None]:
    def close() -> None:
        for number in numbers:
            os.close(number)

    return close


def _limited(kind: int, value: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(kind, (value, value))


def _gone() -> None:
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)


def _full() -> None:
    for number in (1, 2):
        os.dup2(os.open("/dev/full", os.O_WRONLY), number)


def _one_cpu() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _variable(name: str, value: str, error: str = "") -> Environment:
    """Return an environment with a variable; one with an error has to be refused, naming it."""
    shown = value or "empty"
    if error:
        return Environment(f"{name}={shown}", {name: value}, refused=rf"{name}.*{error}", only=True)
    return Environment(f"{name}={shown}", {name: value})


_OURS = "NUM_THREADS", "BACKEND", "VECTOR_BITS", "CACHE_DIR", "QUIET", "DATA_DIR"
_MEMORY = r"MemoryError|Cannot allocate|Unable to allocate|failed to map|can't start new thread"

ENVIRONMENTS: tuple[Environment, ...] = (
    Environment("usual"),
    Environment("no variables", {}, way="empty"),
    Environment("no HOME", {"HOME": None, "XDG_CACHE_HOME": None}),
    Environment("HOME that is not there", {"HOME": "/nonexistent", "XDG_CACHE_HOME": None}),
    Environment("HOME that is a device", {"HOME": "/dev/null", "XDG_CACHE_HOME": None}),
    Environment("a cache that cannot be made", {"FASTNN_CACHE_DIR": "/proc/none"}),
    Environment("TMPDIR that is not there", {"TMPDIR": "/nonexistent"}),
    *(Environment(f"closed: {numbers}", before=_closed(*numbers))
      for numbers in ((0,), (1,), (2,), (1, 2), (0, 1, 2))),
    Environment("full output", before=_full),
    Environment("verbose, closed output", way="verbose", before=_closed(1, 2)),
    Environment("verbose, full output", way="verbose", before=_full),
    Environment("verbose, streams None", way="verbose none"),
    Environment("verbose in ASCII", {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
                                     "PYTHONIOENCODING": "ascii"}, way="verbose"),
    *(Environment(f"LC_ALL={name}", {"LC_ALL": name}) for name in ("C", "POSIX", "nonsense")),
    Environment("a locale with commas", {"LC_ALL": "de_DE.UTF-8"}, way="locale"),
    Environment("TZ=nonsense", {"TZ": "nonsense"}),
    *(Environment(f"PYTHON{name}={value}", {f"PYTHON{name}": value}) for name, value in (
        ("OPTIMIZE", "1"), ("OPTIMIZE", "2"), ("HASHSEED", "0"), ("HASHSEED", "12345"),
        ("DONTWRITEBYTECODE", "1"), ("PYCACHEPREFIX", "/proc/none"), ("UNBUFFERED", "1"),
        ("SAFEPATH", "1"), ("MALLOC", "debug"), ("UTF8", "0"), ("DEVMODE", "1"),
        ("WARNINGS", "error"), ("INTMAXSTRDIGITS", "640"), ("NOUSERSITE", "1"))),
    *(Environment(f"python {' '.join(flags)}", flags=flags) for flags in (
        ("-I",), ("-E", "-s"), ("-B", "-u"), ("-OO",), ("-X", "dev"), ("-X", "importtime"),
        ("-W", "error"), ("-bb",))),
    *(Environment(f"{name}={value}", {name: value}) for name, value in (
        ("OMP_NUM_THREADS", "1"), ("OMP_NUM_THREADS", "nonsense"), ("MKL_NUM_THREADS", "1"),
        ("OPENBLAS_NUM_THREADS", "1"), ("KMP_AFFINITY", "compact"), ("OMP_PROC_BIND", "true"),
        ("NUMBA_NUM_THREADS", "1"), ("NUMBA_THREADING_LAYER", "workqueue"),
        ("NUMBA_CACHE_DIR", "/proc/none"))),
    *(_variable(f"FASTNN_{name}", "") for name in _OURS),
    _variable("FASTNN_NUM_THREADS", "1"),
    _variable("FASTNN_NUM_THREADS", "1000"),
    _variable("FASTNN_NUM_THREADS", "0", "expected"),
    _variable("FASTNN_NUM_THREADS", "many", "expected"),
    _variable("FASTNN_BACKEND", "cuda", "expected"),
    _variable("FASTNN_VECTOR_BITS", "7", "expected"),
    Environment("FASTNN_BACKEND=numpy", {"FASTNN_BACKEND": "numpy"}, same=False),
    *(Environment(f"FASTNN_VECTOR_BITS={bits}", {"FASTNN_VECTOR_BITS": bits}, same=False)
      for bits in ("128", "256", "512")),
    *(Environment(f"{gb} GB of addresses", before=_limited(resource.RLIMIT_AS, gb << 30),
                  refused=_MEMORY) for gb in (2, 4)),
    Environment("20 open files", before=_limited(resource.RLIMIT_NOFILE, 20)),
    Environment("a stack of 1 MB", before=_limited(resource.RLIMIT_STACK, 1 << 20)),
    Environment("files of no more than 4 kB", before=_limited(resource.RLIMIT_FSIZE, 4096)),
    Environment("no core files", before=_limited(resource.RLIMIT_CORE, 0)),
    *(Environment(f"umask {mask:o}", before=lambda mask=mask: os.umask(mask))
      for mask in (0, 0o777)),
    Environment("working folder removed", before=_gone),
    Environment("one CPU", before=_one_cpu),
    Environment("SIGINT ignored", before=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)),
    Environment("SIGCHLD ignored", before=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)),
    Environment("SIGPIPE by default", before=lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL)),
    *(Environment(f"workers by {way}", way=way)
      for way in ("spawn", "fork", "forkserver", "joblib", "threads")),
    Environment("in a thread", way="thread"),
    Environment("no arguments of the program", way="no arguments"),
    Environment("after chdir into a folder without rights", way="chdir"),
)  # fmt: skip

FULL = len(ENVIRONMENTS)


def attack(amount: int, seed: int) -> Outcome:
    """Train in so many environments, in turn."""
    began = time.monotonic()
    figures, failures = shared(_all, amount, seed)
    return Outcome(
        "environments",
        "In an unusual environment a training has the same bits, or is refused with a clear error.",
        "tests/attack/test_environments.py",
        {UNIT: amount, **figures},
        failures,
        time.monotonic() - began,
        f"python -m tests.attack environments --amount {amount} --seed {seed}",
    )


def _all(amount: int, seed: int) -> tuple[dict[str, int], list[str]]:
    """Train in environments, one after another."""
    failures, refused = [], 0
    usual = trained(ENVIRONMENTS[0])
    if usual.error:
        raise RuntimeError(usual.error)
    for number in range(seed, seed + amount):
        environment = ENVIRONMENTS[number % len(ENVIRONMENTS)]
        result = trained(environment)
        refused += result.refused
        error = problem(environment, result, usual)
        if error:
            command = f"python -m tests.attack environments --amount 1 --seed {number}"
            failures.append(f"{command}: {environment.name}: {error}")
    return {"refused": refused}, failures


@dataclass(frozen=True)
class Result:
    """What a training in an environment came to."""

    bits: str = ""
    loss: float = 0.0
    error: str = ""
    code: int = 0

    @property
    def refused(self) -> bool:
        """Say whether it ended with an error of Python."""
        return self.code == 1


def trained(environment: Environment) -> Result:
    """Train in an environment; return what comes of it."""
    variables = {k: v for k, v in os.environ.items() if environment.way != "empty" or k == "PATH"}
    for name, value in environment.variables.items():
        variables.pop(name, None)
        if value is not None:
            variables[name] = value
    with tempfile.TemporaryDirectory() as folder:
        made, errors = Path(folder, "result"), Path(folder, "errors")
        command = [sys.executable, *environment.flags, str(SCRIPT), str(ROOT), str(made),
                   environment.way, str(errors)]  # fmt: skip
        try:
            done = subprocess.run(
                command, env=variables, cwd=folder, preexec_fn=environment.before,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                timeout=LIMIT, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return Result(error=f"no end after {LIMIT:g} s", code=-1)
        error = done.stderr + (errors.read_text() if errors.exists() else "")
        if made.exists() and not done.returncode:
            return Result(**json.loads(made.read_text()))
        return Result(error=error or "no result, no error", code=done.returncode or -1)


def problem(environment: Environment, result: Result, usual: Result) -> str:
    """Say what does not hold, or nothing."""
    if result.code:
        last = (result.error.strip().splitlines() or [""])[-1]
        if result.refused and environment.refused and re.search(environment.refused, last):
            return ""
        return f"ended with {result.code}: {in_short(result.error)[:900]}"
    if environment.only:
        return f"was not refused, expected {environment.refused}"
    if environment.same and result.bits != usual.bits:
        return f"bits {result.bits} in place of {usual.bits}"
    if abs(result.loss - usual.loss) > 1e-3 * abs(usual.loss):
        return f"loss {result.loss} in place of {usual.loss}"
    return ""
