"""Optimizers: every class, with any settings, over parameters of any layout, step after step.

Each is compared, bit by bit, with its rule's function of `fastnn.ops` on plain arrays.
"""

from __future__ import annotations

import inspect
import pickle
import re
import time
from collections import Counter
from typing import Any
from unittest import mock

import numpy as np

from fastnn import config, ops, optimizers
from fastnn.kernels.threading import threads
from tests.attack import values, workers
from tests.attack.calls import SMALL_GRAIN, Failure, native
from tests.attack.guarded import LAYOUTS, Placed, Slot, place
from tests.attack.outcome import Outcome
from tests.attack.values import Draw
from tests.attack.workers import Found, Note

RANK, UNIT, FULL, CHUNK = 6, "cases of an optimizer", 60_000, 5_000
COMMAND = "python -m tests.attack rules"
PROMISE = (
    "Every optimizer updates parameters of any layout as its function in `fastnn.ops` does, with "
    "the same bits for any number of threads and after pickling; gradients stay as they are; an "
    "error changes no parameter."
)
TEST = "tests/attack/test_rules.py"

CLASSES: dict[str, type[Any]] = {
    name: getattr(optimizers, name)
    for name in optimizers.__all__
    if inspect.isclass(getattr(optimizers, name)) and name != "Optimizer"
}
NAMES = sorted(CLASSES)
STEPS, MOST_ARRAYS, SLOT = 3, 5, 1 << 19
_slots: list[Slot] = []


def slots() -> list[Slot]:
    """Return this process's guarded memory, for parameters and gradients."""
    if not _slots:
        _slots.extend(Slot(SLOT) for _ in range(2 * MOST_ARRAYS))
    return _slots


def settings_of(kind: type[Any]) -> list[str]:
    """Return the names of what its constructor takes."""
    return list(inspect.signature(kind).parameters)


class Training:
    """An optimizer and parameters with gradients, which are drawn."""

    def __init__(self, draw: Draw) -> None:
        self.draw, self.kind = draw, CLASSES[draw.one(NAMES)]
        self.settings = {
            name: values.NUMBERS[name][0](draw)
            for name in settings_of(self.kind)
            if draw.chance(0.5)
        }
        self.placed: list[Placed] = []
        memory = iter(slots())
        self.params, self.grads = {}, {}
        plainly = draw.chance(0.5)
        for i in range(draw.one([1, 1, 2, 3, MOST_ARRAYS])):
            dtype = draw.dtype if draw.chance(0.9) else draw.one([values.F4, values.F8])
            shape = tuple(draw.size() for _ in range(draw.one([0, 1, 2])))
            for into, written in ((self.params, True), (self.grads, False)):
                layout = "plain" if plainly else draw.one(LAYOUTS)
                with np.errstate(all="ignore"):
                    array = np.asarray(draw.floats(shape), dtype)
                placed = place(next(memory), array, layout, draw.chance(0.5), written)
                self.placed.append(placed)
                into[f"p{i}"] = placed.array

    def plain(self) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return copies of parameters and gradients."""
        return tuple({k: native(a) for k, a in of.items()} for of in (self.params, self.grads))

    def expect_memory(self, error: bool = False) -> None:
        """Raise Failure if anything but parameters was written; of an error, anything."""
        for placed in self.placed:
            may = placed.written and not error
            if not (placed.unchanged_around() if may else placed.unchanged()):
                what = "an array was written to before an error" if error else "a gradient"
                raise Failure(what if error else f"{what} or memory beside a parameter was written")


def by_rule(
    optimizer: Any, params: dict[str, np.ndarray], grads: dict[str, np.ndarray], steps: int
) -> dict[str, np.ndarray]:
    """Return parameters after so many calls of the rule's function for each array."""
    function = getattr(ops, optimizer.rule.name)
    takes = inspect.signature(function).parameters
    fixed = {n: getattr(optimizer, n) for n in optimizer.rule.attributes if n in takes}
    product = 1.0
    states = {key: [np.zeros_like(p) for _ in optimizer.rule.states] for key, p in params.items()}
    for step in range(1, steps + 1):
        more: dict[str, Any] = {"step": step} if "step" in takes else {}
        if "mu_product" in takes:
            more["mu_product"] = product
        for key, p in params.items():
            function(p, grads[key], *states[key], **(fixed | more))
        if "mu_product" in takes:
            decay = optimizer.momentum_decay
            product *= optimizer.beta1 * (1 - 0.5 * 0.96 ** (step * decay))
    return params


def differing(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> str:
    """Return the key of an array that differs, or "". NaN may have any bits."""
    for key in a:
        if not np.array_equal(a[key], b[key], equal_nan=True):
            return key
    return ""


def good(training: Training, note: Note, figures: Counter[str]) -> None:
    """Make some updates, in three ways that have to give the same bits."""
    make = lambda: training.kind(**training.settings)  # noqa: E731
    optimizer, threads_ = make(), training.draw.one([1, 2])
    backend = training.draw.one(["numba", "numba", "numpy"])
    expected, grads = training.plain()
    note(f"{training.kind.__name__}({training.settings}) on {backend}, {threads_} threads")
    grain = SMALL_GRAIN if threads_ > 1 else threads.GRAIN
    with config.use_backend(backend):
        config.set_num_threads(1)
        by_rule(make(), expected, grads, STEPS)
        config.set_num_threads(threads_)
        with mock.patch.object(threads, "GRAIN", grain):
            for _ in range(STEPS):
                if training.draw.chance(0.3):
                    optimizer = pickle.loads(pickle.dumps(optimizer))
                before = {key: id(p) for key, p in training.params.items()}
                optimizer.update(training.params, training.grads)
                figures["updates"] += 1
                if before != {key: id(p) for key, p in training.params.items()}:
                    raise Failure("a parameter is another array after an update")
    training.expect_memory()
    got, _ = training.plain()
    mixed = len({p.dtype for p in got.values()}) > 1
    if key := differing(got, expected):
        raise Failure(f"{key} differs from the rule's own ({'mixed' if mixed else 'one'} dtype)")


def bad(training: Training, note: Note, figures: Counter[str]) -> None:
    """Spoil one array or setting: an error that says which, and nothing is changed."""
    draw, optimizer = training.draw, training.kind(**training.settings)
    params, grads = dict(training.params), dict(training.grads)
    key, name = draw.one([*params]), draw.one([*params])
    how = draw.one(["missing", "shape", "read-only", "kind", "setting", "after"])
    expected: tuple[type[Exception], str] = (ValueError, key)
    if how == "missing":
        del grads[key]
        expected = (KeyError, f"'{key}'")
    elif how == "shape":
        grads[key] = np.ones((*grads[key].shape, 2), grads[key].dtype)
    elif how == "read-only":
        params[key] = params[key].view()
        params[key].flags.writeable = False
    elif how == "kind":
        grads[key] = draw.one([None, "text", np.ones(grads[key].shape, complex), {}])
        expected = ((TypeError, ValueError), key)  # type: ignore[assignment]
    elif how == "setting":
        name = draw.one([n for n in settings_of(training.kind) if values.NUMBERS[n][1]])
        setattr(optimizer, name, draw.one(values.NUMBERS[name][1]))
        expected = ((TypeError, ValueError), name)  # type: ignore[assignment]
    else:
        with np.errstate(all="ignore"):
            optimizer.update(*training.plain())
        params[key] = np.ones((*params[key].shape, 2), values.F8)
        grads[key] = params[key].copy()
        if not optimizer.rule.states:
            return
    note(f"{training.kind.__name__}: {how}")
    figures["updates with something bad"] += 1
    try:
        optimizer.update(params, grads)
    except Exception as error:
        kind, text = expected
        if not isinstance(error, kind) or not re.search(
            rf"\b{re.escape(text)}\b|{re.escape(text)}", str(error)
        ):
            raise Failure(f"{how}: {type(error).__name__}: {error}") from None
    else:
        raise Failure(f"{how} is accepted")
    training.expect_memory(error=True)


def case(seed: int, note: Note) -> tuple[Counter[str], list[Found]]:
    """Make the updates of one case."""
    training, figures = Training(Draw(seed)), Counter({UNIT: 1})
    try:
        (good if training.draw.chance(0.7) else bad)(training, note, figures)
    except Failure as failure:
        text = f"{training.kind.__name__}: {failure}"
        shapes = {k: (p.dtype.str, p.shape, p.strides) for k, p in training.params.items()}
        return figures, [
            Found(re.sub(r"\d+", "0", text)[:90], f"{text} ({training.settings}, {shapes})")
        ]
    return figures, []


def attack(amount: int, seed: int) -> Outcome:
    """Make so many cases, in processes of their own."""
    began = time.monotonic()
    tally = workers.run(f"{__name__}:case", amount, seed, COMMAND)
    figures = {"optimizers": str(len(NAMES)), **tally.figures}
    return Outcome(
        "rules", PROMISE, TEST, figures, tally.failures(), time.monotonic() - began,
        f"{COMMAND} --amount {amount} --seed {seed}",
    )  # fmt: skip
