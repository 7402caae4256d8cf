"""One update by each of the optimizers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fastnn import reference
from fastnn._bench.case import Arrays, Case
from fastnn._bench.problems import Update

TITLE = "optimizers, one update"
NOTES = (
    "network: the ten weights and biases of 784-100-100-100-100-10 in one update",
    "denormal: the same where state has decayed to denormal numbers and gradients are zero",
    "bytes counted: p, g and state read, p and state written",
)

UPDATES = 3  # before results are compared


class Rule(NamedTuple):
    """An optimizer: its settings, and how many arrays of state it keeps."""

    twin: Any
    settings: dict[str, float]
    states: int


RULES = {
    "SGD": Rule(reference.sgd_, {"lr": 1e-3}, 0),
    "Momentum": Rule(reference.momentum_, {"lr": 1e-3, "momentum": 0.9}, 1),
    "Nesterov": Rule(reference.nesterov_, {"lr": 1e-3, "momentum": 0.9}, 1),
    "AdaGrad": Rule(reference.adagrad_, {"lr": 1e-3, "eps": 1e-7}, 1),
    "RMSProp": Rule(reference.rmsprop_, {"lr": 1e-3, "decay_rate": 0.99, "eps": 1e-7}, 1),
    "Adam": Rule(
        reference.adam_, {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7}, 2
    ),
}  # fmt: skip

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
QUICK = [("SGD", 1_000_000), ("Adam", 1_000), ("Adam", 1_000_000)]
WIDTHS = (784, 100, 100, 100, 100, 10)
NETWORK = [shape for pair in pairwise(WIDTHS) for shape in (pair, pair[1:])]


def _problem(rule: str, shapes: list[Any], dtype: str, denormal: bool) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    params = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    grads = [
        np.zeros_like(p) if denormal else rng.standard_normal(p.shape).astype(dtype) for p in params
    ]
    tiny = float(np.finfo(dtype).smallest_normal) / 100
    return (Update(rule, RULES[rule].settings, params, grads, tiny if denormal else 0.0),)


def _expected(problem: Update) -> Arrays:
    rule = RULES[problem.rule]
    params = [p.astype(np.float64) for p in problem.params]
    for p, g in zip(params, problem.grads, strict=True):
        states = [np.full_like(p, problem.state) for _ in range(rule.states)]
        for step in range(1, UPDATES + 1):
            if problem.rule == "Adam":
                settings = [step, *rule.settings.values(), 0.0, False, True]
            else:
                settings = [*rule.settings.values(), 0.0]
            rule.twin(p, g.astype(np.float64), *states, *settings)
    return params


def _case(
    rule: str, shapes: list[Any], shape: str, dtype: str, *, denormal: bool = False, quick: bool
) -> Case:
    states = RULES[rule].states
    size = sum(int(np.prod(shape)) for shape in shapes) * np.dtype(dtype).itemsize
    return Case(
        "update",
        rule,
        shape,
        partial(_problem, rule, shapes, dtype, denormal),
        _expected,
        traffic=(3 + 2 * states) * size,
        footprint=(2 + states) * size,
        runs=UPDATES,
        quick=quick,
    )


def cases(dtype: str) -> Iterator[Case]:
    """Yield the cases."""
    for rule in RULES:
        for size in SIZES:
            quick = (rule, size) in QUICK
            yield _case(rule, [(size,)], f"{size:,}", dtype, quick=quick)
    for rule in RULES:
        yield _case(rule, NETWORK, "network", dtype, quick=rule == "Adam")
    for rule in list(RULES)[1:]:
        yield _case(rule, NETWORK, "denormal", dtype, denormal=True, quick=rule == "Adam")
