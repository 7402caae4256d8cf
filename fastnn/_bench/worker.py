"""A process that measures: ``python -m fastnn._bench.worker SETTINGS``.

The number of threads and the processors it may run on were set by who started it, before any
library was imported: most of them read them once. Each result is printed as a line of JSON.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

from fastnn._bench import limits, peers
from fastnn._bench.case import Case, Variant, WrongResultError, verify
from fastnn._bench.families import FAMILIES
from fastnn._bench.timing import Call, Times, take_turns

LIMIT = "limit"
TRIAL = 0.05  # seconds to find out which of a library's ways is the fastest


@dataclass(frozen=True)
class Settings:
    """What to measure, and for how long."""

    families: list[str]
    dtype: str
    threads: int
    quick: bool

    def to_json(self) -> str:
        """Return the settings as the worker takes them."""
        return json.dumps(asdict(self))

    def cases(self) -> Iterator[tuple[str, Case]]:
        """Yield family and case."""
        for family in self.families:
            for case in FAMILIES[family].cases(self.dtype):
                if case.quick or not self.quick:
                    yield family, case

    def times(self, calls: Mapping[str, Call]) -> Times:
        """Time the calls in turns."""
        seconds = 0.2 if self.quick else 1.0
        if self.threads == 1:
            return take_turns(calls, seconds)
        # Pools keep their threads spinning after a call, OpenBLAS for 26 ms: on the
        # processors that the next call needs.
        return take_turns(calls, 3 * seconds, sample=5e-3, settle=0.03)


def _limit(case: Case, settings: Settings) -> limits.Limit | None:
    if case.flops:
        return limits.arithmetic(settings.dtype, settings.threads)
    return limits.copy(case.footprint, settings.threads) if case.traffic else None


def _fastest(variants: list[Variant]) -> tuple[Variant, dict[str, float]]:
    """Return the fastest variant, and the seconds that each took in a short trial."""
    if len(variants) == 1:
        return variants[0], {}
    times = take_turns({variant.api: variant.run for variant in variants}, TRIAL)
    trial = {variant.api: times.minimum(variant.api) for variant in variants}
    return min(variants, key=lambda variant: trial[variant.api]), trial


def measure(
    family: str, case: Case, libraries: dict[str, ModuleType], settings: Settings
) -> dict[str, Any]:
    """Verify and time a case; return what there is to print."""
    inputs = case.inputs()
    expected = case.expected(*inputs)
    calls: dict[str, Call] = {}
    apis, trials = {}, {}
    for library, module in libraries.items():
        variants = getattr(module, case.operation)(*inputs)
        for variant in variants:
            verify(case, variant, expected)
        chosen, trials[library] = _fastest(variants)
        calls[library], apis[library] = chosen.run, chosen.api
    limit = _limit(case, settings)
    if limit:
        for variant in limit.variants:
            variant.run()
        chosen, trials[LIMIT] = _fastest(limit.variants)
        calls[LIMIT], apis[LIMIT] = chosen.run, chosen.api
    gc.collect()
    gc.disable()
    times = settings.times(calls)
    gc.enable()
    rivals = [library for library in libraries if library != "fastnn"]
    return {
        "family": family,
        "case": case.label,
        "shape": case.shape,
        "dtype": settings.dtype,
        "threads": settings.threads,
        "rounds": len(times.samples["fastnn"]),
        "unit": "flop" if case.flops else "byte" if case.traffic else None,
        "work": case.flops or case.traffic or None,
        "limit_per_second": limit.work / times.minimum(LIMIT) if limit else None,
        "seconds": {
            library: {"minimum": times.minimum(library), "median": times.median(library)}
            for library in libraries
        },
        "ratios": {library: times.ratio(library, "fastnn") for library in rivals},
        "apis": apis,
        "trials": {name: trial for name, trial in trials.items() if trial},
    }


def main(argument: str) -> None:
    """Measure, and print each result."""
    settings = Settings(**json.loads(argument))
    found = peers.load()
    libraries = {name: module for name, module in found.items() if module is not None}
    with ExitStack() as sessions:
        for module in libraries.values():
            sessions.enter_context(module.session())
        for family, case in settings.cases():
            try:
                result = measure(family, case, libraries, settings)
            except WrongResultError as error:
                result = {"error": str(error)}
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
