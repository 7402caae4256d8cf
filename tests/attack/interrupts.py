"""Ctrl-C at random moments: it arrives, everything is whole, and going on gives the same bits.

Half of the signals come at a point that is drawn from all entries of functions and all returns from
functions in C, where Python lets signals through; the others from another process, after a random
time.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.attack.children import forked, in_short, shared
from tests.attack.outcome import Outcome
from tests.attack.scenes import SCENES, Scene

RANK, UNIT, FULL, CHUNK = 3, "interrupts", 1000, 100


def attack(amount: int, seed: int) -> Outcome:
    """Interrupt so many runs, scene after scene."""
    began = time.monotonic()
    figures, failures = shared(_all, amount, seed)
    return Outcome(
        "interrupts",
        "Ctrl-C raises KeyboardInterrupt wherever it comes; networks are as after a whole step, "
        "files whole, and what is gone on with or called again has the same bits.",
        "tests/attack/test_interrupts.py",
        {UNIT: amount, **figures},
        failures,
        time.monotonic() - began,
        f"python -m tests.attack interrupts --amount {amount} --seed {seed}",
    )


def _all(amount: int, seed: int) -> tuple[dict[str, Any], list[str]]:
    """Interrupt all scenes in turn, each time in the main thread of a forked child."""
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    counts: dict[str, int] = {}
    failures, ignored, longest = [], 0, 0.0
    prepared: dict[str, Prepared] = {}
    for number in range(seed, seed + amount):
        scene = SCENES[number % len(SCENES)]
        if scene.name not in prepared:
            prepared[scene.name] = Prepared(scene)
        end = forked(interrupted, prepared[scene.name], number, limit=120)
        found = end.value or Found(in_short(end.error))
        counts[f"of {scene.name}"] = counts.get(f"of {scene.name}", 0) + 1
        ignored, longest = ignored + found.ignored, max(longest, found.seconds)
        if found.error:
            command = f"python -m tests.attack interrupts --amount 1 --seed {number}"
            failures.append(f"{command}: {scene.name}, {found.error}")
    counts["in destructors, where Python ignores them"] = ignored
    return {**counts, "longest wait for KeyboardInterrupt, s": round(longest, 4)}, failures


@dataclass
class Found:
    """What came of an interrupt."""

    error: str = ""
    ignored: bool = False
    seconds: float = 0.0
    came: bool = True


class Prepared:
    """A scene, what it comes to, and how long a run is, in seconds and in points."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.result = self._whole(scene.run)
        self.points = 0
        began = time.perf_counter()
        self._whole(scene.run)
        self.seconds = time.perf_counter() - began
        self._whole(self._counted)

    def _whole(self, run: Callable[[Any], None]) -> Any:
        """Run without an interrupt; return what comes of it."""
        at = self.scene.begin()
        run(at)
        self.scene.check(at)
        result = self.scene.finish(at)
        self.scene.close(at)
        return result

    def _counted(self, at: Any) -> None:
        def event(frame: Any, kind: str, argument: Any) -> None:
            self.points += kind in ("call", "c_return")

        sys.setprofile(event)
        try:
            self.scene.run(at)
        finally:
            sys.setprofile(None)


def interrupted(prepared: Prepared, number: int) -> Found:
    """Interrupt a run; say what came of it."""
    scene = prepared.scene
    random_ = random.Random(f"{scene.name} {number}")
    while True:
        at = scene.begin()
        if random_.random() < 0.5:
            point = random_.randrange(1, prepared.points + 1)
            moment = f"at point {point} of {prepared.points}"
            attempt: Callable[[], Found] = partial(_planted, scene, at, point)
        else:
            wait = random_.uniform(0, prepared.seconds)
            moment = f"after {1e3 * wait:.2f} ms of {1e3 * prepared.seconds:.2f}"
            attempt = partial(_timed, scene, at, wait)
        found = Found()
        try:
            found = _unraisable_seen(attempt)
            if found.came and not found.error:
                scene.check(at)
                result = scene.finish(at)
                if result != prepared.result:
                    found.error = (
                        f"gone on with, it differs: {_difference(prepared.result, result)}"
                    )
        except Exception:
            found.error = in_short(traceback.format_exc())
        finally:
            scene.close(at)
        if found.came or found.error:
            found.error = found.error and f"interrupted {moment}: {found.error}"
            return found


def _difference(expected: Any, got: Any) -> str:
    if isinstance(expected, tuple):
        for number, (one, other) in enumerate(zip(expected, got, strict=True)):
            if one != other:
                return f"part {number}: expected {str(one)[:150]}, got {str(other)[:150]}"
    return f"expected {expected}, got {got}"


def _unraisable_seen(attempt: Callable[[], Found]) -> Found:
    """Make an attempt; excuse a lost signal that Python has let through in a destructor."""
    unraisable: list[Any] = []
    sys.unraisablehook = unraisable.append
    found = attempt()
    sys.unraisablehook = sys.__unraisablehook__
    lost = [each for each in unraisable if each.exc_type is KeyboardInterrupt]
    if lost and found.error:
        where = f"{lost[0].err_msg or ''} {lost[0].object!r}"
        if "__del__" in where or "generator object" in where:  # one that is closed when it goes
            return Found(ignored=True)
        found.error += f", in {where}"
    return found


def _planted(scene: Scene, at: Any, point: int) -> Found:
    """Let the signal come at a point."""
    left = point

    def event(frame: Any, kind: str, argument: Any) -> None:
        nonlocal left
        if kind in ("call", "c_return"):
            left -= 1
            if left == 0:
                signal.raise_signal(signal.SIGINT)

    try:
        sys.setprofile(event)
        scene.run(at)
    except KeyboardInterrupt:
        return Found()
    finally:
        sys.setprofile(None)
    return Found(came=left <= 0, error="KeyboardInterrupt was lost" * (left <= 0))


def _timed(scene: Scene, at: Any, wait: float) -> Found:
    """Let another process send the signal after a time."""
    over = False
    waiting, begin = os.pipe()
    sender = os.fork()
    if not sender:
        os.read(waiting, 1)
        time.sleep(wait)
        os.kill(os.getppid(), signal.SIGINT)
        os._exit(0)
    began = time.perf_counter()
    try:
        os.write(begin, b".")
        scene.run(at)
        over = True
        os.waitpid(sender, 0)
        time.sleep(0.01)
    except KeyboardInterrupt:
        if not over:
            os.waitpid(sender, 0)
        return Found(came=not over, seconds=time.perf_counter() - began - wait)
    return Found("KeyboardInterrupt was lost")
