"""A case, measured: every library's results compared, then all timed in turns."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from fastnn._bench import limits
from fastnn._bench.case import Case, Variant, verify
from fastnn._bench.settings import Settings
from fastnn._bench.timing import Call, Times, take_turns
from fastnn._bench.training.spec import NotMeasuredError

LIMIT = "limit"
SLOW = "torch.compile"  # to get ready: a minute for each case
TRIAL = 0.05  # seconds to find out which of a library's ways is the fastest

Libraries = dict[str, ModuleType]


@dataclass
class Calls:
    """What is to be timed, by library.

    Attributes
    ----------
    calls : dict of str to callable
    apis : dict of str to str
        The way that was chosen.
    trials : dict
        Seconds that each way took, where there are several.
    left_out : dict of str to str
        Why libraries are not measured.
    """

    calls: dict[str, Call] = field(default_factory=dict)
    apis: dict[str, str] = field(default_factory=dict)
    trials: dict[str, dict[str, float]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, variants: list[Variant]) -> None:
        """Add the fastest of some variants."""
        if len(variants) > 1:
            runs = {variant.api: variant.run for variant in variants}
            times = take_turns(runs, TRIAL, rounds=2)  # more where they are short
            trial = {variant.api: times.minimum(variant.api) for variant in variants}
            variants = [min(variants, key=lambda variant: trial[variant.api])]
            self.trials[name] = trial
        self.calls[name], self.apis[name] = variants[0].run, variants[0].api


def prepare(case: Case, libraries: Libraries, settings: Settings) -> Calls:
    """Return the calls of all libraries that have the operation, their results verified."""
    inputs = (case.trial or case.inputs)()
    expected = case.expected(*inputs)
    timed = case.inputs() if case.trial else None
    calls, found = Calls(), {}
    for library, module in libraries.items():
        if not hasattr(module, case.operation) or library not in (case.libraries or libraries):
            continue
        if library == SLOW and settings.quick:
            calls.left_out[library] = "takes too long to compile for the short list"
            continue
        try:
            variants = getattr(module, case.operation)(*inputs)
            for variant in variants:
                verify(case, variant, expected)
            if timed:
                variants = getattr(module, case.operation)(*timed)
                for variant in variants:
                    variant.run()  # what is compiled for it is
            found[library] = variants
        except NotMeasuredError as error:
            calls.left_out[library] = str(error)
    for library, variants in found.items():
        calls.add(library, variants)
    return calls


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep Python's collector of garbage out of what is timed meanwhile."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def timed(settings: Settings, calls: dict[str, Call]) -> Times:
    """Time the calls."""
    with without_collector():
        return settings.times(calls)


def result(
    family: str, case: Case, settings: Settings, calls: Calls, times: Times
) -> dict[str, Any]:
    """Return what there is to print of a case."""
    libraries = [library for library in calls.calls if library != LIMIT]
    rivals = [library for library in libraries if library != "fastnn"]
    return {
        **identity(family, case, settings),
        "rounds": len(times.samples["fastnn"]),
        "samples": case.samples,
        "seconds": {
            library: {"minimum": times.minimum(library), "median": times.median(library)}
            for library in libraries
        },
        "ratios": {library: times.ratio(library, "fastnn") for library in rivals},
        "apis": calls.apis,
        "trials": calls.trials,
        "left_out": calls.left_out,
    }


def identity(family: str, case: Case, settings: Settings) -> dict[str, Any]:
    """Return what a result says of its case."""
    return {
        "family": family,
        "case": case.label,
        "shape": case.shape,
        "dtype": settings.dtype,
        "threads": settings.threads,
        "unit": "flop" if case.flops else "byte" if case.traffic else None,
        "work": case.flops or case.traffic or None,
    }


def _limit(case: Case, settings: Settings) -> limits.Limit | None:
    if case.flops:
        return limits.arithmetic(settings.dtype, settings.threads)
    return limits.copy(case.footprint, settings.threads) if case.traffic else None


def measure(family: str, case: Case, libraries: Libraries, settings: Settings) -> dict[str, Any]:
    """Verify and time a case beside the limit of the machine; return what there is to print."""
    calls = prepare(case, libraries, settings)
    limit = _limit(case, settings)
    if limit:
        for variant in limit.variants:
            variant.run()
        calls.add(LIMIT, limit.variants)
    times = timed(settings, calls.calls)
    return {
        **result(family, case, settings, calls, times),
        "limit_per_second": limit.work / times.minimum(LIMIT) if limit else None,
    }
