"""A run of attacks: which there are, their outcomes one after another, kept as they come.

The file of a run has a line for the run (code, seed, amounts; each sitting: when, where, commit)
and one for each part of an attack. A run that was stopped is continued from it, on other days and
at other commits too, as long as the code that is attacked is the same, or what an attack has found
was mended and that attack is made anew.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType

from tests.attack import machine
from tests.attack.outcome import Outcome, joined

HERE = Path(__file__).parent


def attacks() -> dict[str, ModuleType]:
    """Return the modules of this folder that have an attack, by name, in the order of a run."""
    found = {}
    for entry in pkgutil.iter_modules([str(HERE)]):
        if entry.name.startswith(("_", "test_")):
            continue
        module = importlib.import_module(f"tests.attack.{entry.name}")
        if hasattr(module, "attack"):
            found[entry.name] = module
    return dict(sorted(found.items(), key=lambda item: item[1].RANK))


@dataclass
class Sitting:
    """A time that a run was begun, or gone on with; `again` are attacks begun anew then."""

    began: str
    commit: str
    machine: dict[str, str]
    again: list[str]

    @classmethod
    def now(cls, again: list[str]) -> Sitting:
        """Return the one that begins here, now."""
        began = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        return cls(began, machine.commit(), machine.machine(), again)


@dataclass
class Run:
    """What was asked for: the first line of the file."""

    names: list[str]
    seed: int
    amount: int | None  # of each attack; None for all that each is to do
    minutes: float | None  # for all attacks together, in place of an amount
    code: str
    sittings: list[Sitting]
    earlier: dict[str, str]  # the code of attacks that were made before others' finds were mended
    mended: list[str]  # what was found and mended, each after the name of its attack

    def mend(self, names: list[str], done: list[Outcome], code: str) -> None:
        """Go on with the code in which what these attacks have found was mended."""
        begun = {part.name for part in done}
        if self.code != code:
            self.earlier = {name: self.earlier.get(name, self.code) for name in begun}
            self.code = code
        for name in names:
            self.earlier.pop(name, None)
        found = joined(part for part in done if part.name in names)
        self.mended += [f"{each.name}: {failure}" for each in found for failure in each.failures]

    def line(self) -> str:
        """Return it as a line of JSON."""
        return json.dumps({"run": asdict(self)})

    @classmethod
    def of(cls, values: dict) -> Run:
        """Return what a line of JSON holds, read."""
        sittings = [Sitting(**each) for each in values["sittings"]]
        return cls(**{**values, "sittings": sittings})

    def asked(self, name: str) -> int | None:
        """Return how many units of an attack it makes, or None where it is for a time."""
        if self.minutes is not None:
            return None
        return attacks()[name].FULL if self.amount is None else self.amount


def made(name: str, parts: list[Outcome]) -> int:
    """Return how many units of an attack these parts have made."""
    unit = attacks()[name].UNIT
    return sum(int(part.figures.get(unit, 0)) for part in parts if part.name == name)


def read(path: Path) -> tuple[Run, list[Outcome]]:
    """Return a run and its outcomes so far; of a line that was cut there is nothing."""
    first, *others = path.read_text().split("\n")
    outcomes = []
    for line in others:
        try:
            outcomes.append(Outcome.of(json.loads(line)))
        except json.JSONDecodeError:
            continue
    return Run.of(json.loads(first)["run"]), outcomes


def outcomes(run: Run, done: list[Outcome], names: list[str] | None = None) -> Iterator[Outcome]:
    """Yield what is left of a run, or of some of its attacks, part after part."""
    modules = attacks()
    for name in names or run.names:
        module, before = modules[name], made(name, done)
        amount = run.asked(name)
        if amount is not None:
            yield from _of_amount(module, run.seed, before, amount)
        else:
            spent = sum(part.seconds for part in done if part.name == name)
            left = run.minutes * 60 / len(run.names) - spent
            yield from _of_time(module, run.seed, before, left)


def _of_amount(module: ModuleType, seed: int, made: int, amount: int) -> Iterator[Outcome]:
    while made < amount:
        part = min(module.CHUNK, amount - made)
        yield _part(module, part, seed + made)
        made += part


def _of_time(module: ModuleType, seed: int, made: int, seconds: float) -> Iterator[Outcome]:
    """Yield parts of growing amounts, each of what the last one says there is time for."""
    end, part = time.monotonic() + seconds, max(1, module.CHUNK // 50)
    while (left := end - time.monotonic()) > 0:
        outcome = _part(module, part, seed + made)
        yield outcome
        made += part
        part = min(module.CHUNK, int(part * left / max(outcome.seconds, 1e-3)), 4 * part) or 1


def _part(module: ModuleType, amount: int, seed: int) -> Outcome:
    """Make a part of an attack; an attack that fails itself ends neither the run nor unseen."""
    name = module.__name__.rpartition(".")[2]
    began = time.monotonic()
    try:
        return module.attack(amount, seed)
    except Exception:
        command = f"python -m tests.attack {name} --amount {amount} --seed {seed}"
        failure = f"{command}: the attack itself failed: {traceback.format_exc()}"
        return Outcome(name, "", "", {}, (failure,), time.monotonic() - began, command)
