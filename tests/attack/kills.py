"""Kills at random moments of each writer: what a file has is old or new, and whole.

A child is forked for each kill. Some kill themselves at a point that is drawn from all calls and
returns of the writer's whole run, some at one beside a call that changes files, and some are killed
after a random time. Then another child looks at the files, goes on, and compares the end with that
of a run that nobody killed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.attack.children import Child, forked, in_short, shared
from tests.attack.outcome import Outcome
from tests.attack.writers import WRITERS, Writer

RANK, UNIT, FULL, CHUNK = 2, "kills of each writer", 500, 50

# Functions in C that change files.
_WRITING = {
    "close", "flush", "fsync", "link", "mkdir", "open", "remove", "rename", "replace", "symlink",
    "truncate", "unlink", "write", "writelines", "writerow", "writerows",
}  # fmt: skip

_GRACE = 1  # seconds that a search waits for a lock, instead of 30


@dataclass
class _Points:
    """A writer's run: its seconds, its calls and returns, and which of them change files."""

    seconds: float
    events: int = 0
    writing: list[int] = field(default_factory=list)


def attack(amount: int, seed: int) -> Outcome:
    """Kill each writer so many times."""
    began = time.monotonic()
    figures, failures = shared(_all, amount, seed)
    return Outcome(
        "kills",
        "A process that is killed while it writes leaves the old file or the new one, whole; the "
        "next run goes on from it to the same bits, and clears up what the kill left.",
        "tests/attack/test_kills.py",
        {UNIT: amount, **figures},
        failures,
        time.monotonic() - began,
        f"python -m tests.attack kills --amount {amount} --seed {seed}",
    )


def _all(amount: int, seed: int) -> tuple[dict[str, int], list[str]]:
    """Kill all writers, in a process that forks and has no other work."""
    wait_less()
    figures = {"kills": 0}
    failures = []
    for writer in WRITERS:
        made, found = kills_of(writer, amount, seed)
        figures["kills"] += made
        figures[f"of {writer.name}"] = made
        failures += found
    return figures, failures


def wait_less() -> None:
    """Let what was left by a process that was killed count as such at once, not after a time."""
    from fastnn.kernels.plain import storage

    storage.LEFT = 0
    from fastnn._utils import files

    files._NEW = 0
    from optuna.storages.journal import JournalFileOpenLock

    JournalFileOpenLock.__init__.__defaults__ = (_GRACE,)


def kills_of(writer: Writer, amount: int, seed: int) -> tuple[int, list[str]]:
    """Kill a writer so many times; return how many times, and what did not hold."""
    failures = []
    with tempfile.TemporaryDirectory() as place:
        begun, whole = Path(place, "begun"), Path(place, "whole")
        begun.mkdir()
        writer.begin(begun)
        shutil.copytree(begun, whole)
        points = _value(forked(_counted, writer, whole))
        end = _value(forked(writer.end, whole, writer.look(begun)))
        names = _names(whole)
        for number in range(seed, seed + amount):
            folder = Path(place, "killed")
            random_ = random.Random(f"{writer.name} {number}")
            moment = _killed(writer, begun, folder, random_, points)
            after = forked(_gone_on, writer, folder)
            error = after.error
            if not error and after.value != end:
                error = f"after the next run: expected {end}, got {after.value}"
            if not error and _names(folder) != names:
                left = sorted(_names(folder) - names)
                error = f"after the next run: {', '.join(left)} is left"
            if error:
                command = f"python -m tests.attack kills --amount 1 --seed {number}"
                failures.append(f"{command}: {writer.name}, killed {moment}: {in_short(error)}")
            shutil.rmtree(folder)
    return amount, failures


def _value(end: Any) -> Any:
    if end.error:
        raise RuntimeError(end.error)
    return end.value


def _names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def _killed(
    writer: Writer, begun: Path, folder: Path, random_: random.Random, points: _Points
) -> str:
    """Kill a run in a fresh folder; say where."""
    way = random_.choice(("anywhere", "at a write", "after a time"))
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(begun, folder)
        if way != "after a time":
            point = random_.randrange(1, points.events + 1)
            if way == "at a write":
                point = random_.choice(points.writing) + random_.randrange(2)
            end = Child(_planted, writer, folder, point).end()
            moment = f"at event {point} of {points.events}"
        else:
            seconds = points.seconds
            wait = random_.uniform(0, seconds)
            child = Child(writer.write, folder)
            time.sleep(wait)
            child.kill()
            end = child.end()
            moment = f"after {wait * 1e3:.2f} ms of {seconds * 1e3:.2f}"
        if end.signal == signal.SIGKILL:
            return moment
        if end.error:
            raise RuntimeError(f"{writer.name}: {end.error}")


def _gone_on(writer: Writer, folder: Path) -> Any:
    seen = writer.look(folder)
    writer.write(folder)
    return writer.end(folder, seen)


def _counted(writer: Writer, folder: Path) -> _Points:
    """Write, and count calls and returns; before that, write elsewhere and take the time."""
    copy = folder.with_name("timed")
    shutil.copytree(folder, copy)
    began = time.perf_counter()
    writer.write(copy)
    points = _Points(time.perf_counter() - began)
    shutil.rmtree(copy)

    def event(frame: Any, kind: str, argument: Any) -> None:
        points.events += 1
        if kind == "c_call" and argument.__name__ in _WRITING:
            points.writing.append(points.events)

    sys.setprofile(event)
    writer.write(folder)
    sys.setprofile(None)
    return points


def _planted(writer: Writer, folder: Path, point: int) -> None:
    """Write, up to a call or return."""
    left = point

    def event(frame: Any, kind: str, argument: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(event)
    writer.write(folder)
