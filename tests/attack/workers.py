"""Cases in processes of their own, so that one that ends its process is named and the rest go on.

A case is a function of a seed and a `Note`; it returns what it counted and what it found. It is
named "module:function", as it is imported by each process. Before a call that may end the process
it says in its note, which lies in memory shared with the parent, what it is about to do.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from tests.attack.machine import ROOT

BATCH = 0.25  # seconds between two lines that a process prints
STALLED = 180  # seconds after which a case hangs
STARTING = "the start of its process"
PAGE = mmap.PAGESIZE


class Found(NamedTuple):
    """What a case found: its kind, which is counted once, and what is said of the first."""

    kind: str
    text: str


class Note:
    """What a process is about to do, in memory that outlives it."""

    def __init__(self, memory: mmap.mmap | bytearray) -> None:
        self.memory = memory

    def seed(self, seed: int) -> None:
        """Say which case it is."""
        struct.pack_into("<QH", self.memory, 0, seed, 0)

    def __call__(self, text: str) -> None:
        """Say what is done in it next."""
        data = text.encode()[: PAGE - 10]
        struct.pack_into(f"<H{len(data)}s", self.memory, 8, len(data), data)

    def read(self) -> tuple[int, str]:
        """Return the seed and what was said last."""
        seed, size = struct.unpack_from("<QH", self.memory, 0)
        return seed, bytes(self.memory[10 : 10 + size]).decode(errors="replace")


Case = Callable[[int, Note], "tuple[Counter[str], list[Found]]"]


class Tally:
    """What all cases counted and found."""

    def __init__(self, command: str) -> None:
        self.command = command
        self.figures: Counter[str] = Counter()
        self.first: dict[str, tuple[int, str]] = {}
        self.times: Counter[str] = Counter()

    def add(self, figures: dict[str, int], found: list[tuple[int, str, str]]) -> None:
        """Add figures, and of each thing found seed, kind and text."""
        self.figures.update(figures)
        for seed, kind, text in found:
            self.times[kind] += 1
            if kind not in self.first or seed < self.first[kind][0]:
                self.first[kind] = (seed, text)

    def failures(self) -> tuple[str, ...]:
        """Return a line for each kind: the first of it, and the command that makes it again."""
        return tuple(
            f"{kind} | {text}, {self.times[kind]} times | {self.command} --amount 1 --seed {seed}"
            for kind, (seed, text) in sorted(self.first.items())
        )


def here(case: Case, amount: int, seed: int, command: str = "") -> Tally:
    """Run cases in this process."""
    tally, note = Tally(command), Note(bytearray(PAGE))
    for number in range(seed, seed + amount):
        note.seed(number)
        figures, found = case(number, note)
        tally.add(figures, [(number, *each) for each in found])
    return tally


def run(
    name: str, amount: int, seed: int, command: str, processes: int | None = None,
    stalled: float = STALLED,
) -> Tally:  # fmt: skip
    """Run cases in processes, each of which takes every so-manieth seed."""
    processes = min(processes or len(os.sched_getaffinity(0)), amount)
    tally, lock = Tally(command), threading.Lock()
    stripes = [
        threading.Thread(
            target=_stripe,
            args=(name, range(seed + i, seed + amount, processes), tally, lock, stalled),
        )
        for i in range(processes)
    ]
    for stripe in stripes:
        stripe.start()
    for stripe in stripes:
        stripe.join()
    return tally


def _stripe(name: str, seeds: range, tally: Tally, lock: threading.Lock, stalled: float) -> None:
    """Run these seeds, in another process after each that ended before they were done."""
    while seeds:
        with tempfile.TemporaryFile() as errors, tempfile.NamedTemporaryFile() as shared:
            shared.truncate(PAGE)
            note = Note(mmap.mmap(shared.fileno(), PAGE))
            note.seed(seeds.start)
            note(STARTING)
            command = [sys.executable, "-m", __name__, name, shared.name, *_numbers(seeds)]
            finished, stop = False, threading.Event()
            with subprocess.Popen(
                command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, stderr=errors,
                text=True,
            ) as process:  # fmt: skip
                watch = threading.Thread(target=_watch, args=(process, note, stop, stalled))
                watch.start()
                for line in process.stdout:
                    said = json.loads(line)
                    finished = said.get("finished", False)
                    with lock:
                        tally.add(said["figures"], [tuple(each) for each in said["found"]])
                code = process.wait()
                stop.set()
                watch.join()
            if finished and code == 0:
                return
            at, doing = note.read()
            errors.seek(0)
            text = " ".join(errors.read().decode(errors="replace")[-1500:].split())
            ended = signal.Signals(-code).name if code < 0 else f"status {code}"
            with lock:
                what = f"{ended} in {doing}"
                tally.add({"processes that ended": 1}, [(at, what, f"{what}: {text}")])
            seeds = seeds[seeds.index(at) + 1 :] if at in seeds else seeds[1:]


def _numbers(seeds: range) -> list[str]:
    return [str(seeds.start), str(seeds.stop), str(seeds.step)]


def _environment() -> dict[str, str]:
    return {**os.environ, "FASTNN_QUIET": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def _watch(process: subprocess.Popen, note: Note, stop: threading.Event, stalled: float) -> None:
    """End a process that stays at a case for too long; it says where it was."""
    at, since = note.read(), time.monotonic()
    while not stop.wait(1):
        if (now := note.read()) != at:
            at, since = now, time.monotonic()
        elif time.monotonic() - since > (STALLED if now[1] == STARTING else stalled):
            process.send_signal(signal.SIGABRT)
            return


def _main(name: str, shared: str, *numbers: str) -> None:
    """Run cases as one of the processes, and print what they count and find."""
    faulthandler.enable()
    warnings.simplefilter("error")
    with open(shared, "r+b") as file:
        note = Note(mmap.mmap(file.fileno(), PAGE))
    module, _, function = name.partition(":")
    case: Case = getattr(importlib.import_module(module), function)
    figures: Counter[str] = Counter()
    found: list[tuple[int, str, str]] = []
    said = time.monotonic()
    out = os.fdopen(os.dup(1), "w")  # what a case prints is not for the parent
    os.dup2(2, 1)

    def say(**more: bool) -> None:
        out.write(json.dumps({"figures": figures, "found": found, **more}) + "\n")
        out.flush()
        figures.clear()
        found.clear()

    for seed in range(*map(int, numbers)):
        note.seed(seed)
        counted, these = case(seed, note)
        figures.update(counted)
        found += [(seed, *each) for each in these]
        if time.monotonic() - said > BATCH:
            say()
            said = time.monotonic()
    say(finished=True)


if __name__ == "__main__":
    _main(*sys.argv[1:])
