"""A run of attacks: which there are, their outcomes one after another, kept as they come.

The file of a run has a line for the run (commit, machine, seed, amounts) and one for each part of
an attack. A run that was stopped is continued from it.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import ModuleType

from tests.attack import machine
from tests.attack.outcome import Outcome

HERE = Path(__file__).parent


def attacks() -> dict[str, ModuleType]:
    """Return the modules of this folder that have an attack, by name."""
    found = {}
    for entry in pkgutil.iter_modules([str(HERE)]):
        if entry.name.startswith(("_", "test_")):
            continue
        module = importlib.import_module(f"tests.attack.{entry.name}")
        if hasattr(module, "attack"):
            found[entry.name] = module
    return found


@dataclass
class Run:
    """What was asked for: the first line of the file."""

    names: list[str]
    seed: int
    amount: int | None  # of each attack; None for all that each is to do
    minutes: float | None  # for all attacks together, in place of an amount
    code: str
    machine: dict[str, str]
    started: str

    def line(self) -> str:
        """Return it as a line of JSON."""
        return json.dumps({"run": vars(self)})


def begin(names: list[str], seed: int, amount: int | None, minutes: float | None) -> Run:
    """Return a run of the code and on the machine that are here, now."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    return Run(names, seed, amount, minutes, machine.code(), machine.machine(), now)


def read(path: Path) -> tuple[Run, list[Outcome]]:
    """Return a run and its outcomes so far; of a line that was cut there is nothing."""
    first, *others = path.read_text().split("\n")
    outcomes = []
    for line in others:
        try:
            outcomes.append(Outcome.of(json.loads(line)))
        except json.JSONDecodeError:
            continue
    return Run(**json.loads(first)["run"]), outcomes


def outcomes(run: Run, done: list[Outcome]) -> Iterator[Outcome]:
    """Yield what is left of a run, part after part."""
    modules = attacks()
    for name in run.names:
        module = modules[name]
        mine = [part for part in done if part.name == name]
        made = sum(int(part.figures.get(module.UNIT, 0)) for part in mine)
        if run.minutes is None:
            amount = module.FULL if run.amount is None else run.amount
            yield from _of_amount(module, run.seed, made, amount)
        else:
            left = run.minutes * 60 / len(run.names) - sum(part.seconds for part in mine)
            yield from _of_time(module, run.seed, made, left)


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
