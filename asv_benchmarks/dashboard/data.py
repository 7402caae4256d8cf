"""What the landing page shows, read from asv's result files and from what asv has published."""

from __future__ import annotations

import ast
import datetime
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asv.results import iter_results

OVER_NUMPY = "ratios.OverNumPy.track_time_over_numpy"
OVER_LIMIT = "ratios.OverLimit.track_time_over_limit"
# One number each, with the unit that it is shown in and what a value is divided by for that.
FACTS = {
    "startup.Startup.timeraw_import": ("import fastnn", "s", 1.0),
    "startup.Startup.timeraw_load": ("first training step, kernels on disk", "s", 1.0),
    "startup.Startup.timeraw_compile": ("first training step, nothing compiled", "s", 1.0),
    "startup.CacheSize.track_step": ("compiled kernels of a training step", "MB", 1e6),
    "memory.PeakMemory.peakmem_fit": ("peak memory of a training process", "MB", 1e6),
}


@dataclass(frozen=True)
class Run:
    """The results of one commit in one environment."""

    commit: str
    date: datetime.datetime
    environment: str
    facts: dict[str, Any]  # machine and versions
    values: dict[str, dict[str, float]]  # benchmark -> case ("" without parameters) -> value


def _values(results: Any, key: str) -> dict[str, float]:
    axes = results.get_result_params(key)
    found = results.get_result_value(key, axes)
    # asv keeps the representation of parameters.
    names = [ast.literal_eval(text) for text in axes[0]] if len(axes) == 1 else [""]
    if len(axes) > 1 or found is None:
        return {}
    pairs = zip(names, found, strict=True)
    return {str(n): v for n, v in pairs if v is not None and not math.isnan(v)}


def read(results_dir: Path) -> list[Run]:
    """Return the runs in the order of their commits' dates."""
    found = []
    for results in iter_results(str(results_dir)):
        values = {key: _values(results, key) for key in results.get_all_result_keys()}
        found.append(
            Run(
                results.commit_hash,
                datetime.datetime.fromtimestamp(results.date / 1000, datetime.timezone.utc),
                results.env_name,
                dict(results.params),
                {key: of_case for key, of_case in values.items() if of_case},
            )
        )
    return sorted(found, key=lambda run: run.date)


def main_environment(runs: list[Run]) -> list[Run]:
    """Return the runs on the machine and in the environment that the newest commit has most of."""
    if not runs:
        return []
    last = [run for run in runs if run.commit == runs[-1].commit]
    chosen = max(last, key=lambda run: sum(map(len, run.values.values())))
    where = chosen.environment, chosen.facts.get("machine")
    return [run for run in runs if (run.environment, run.facts.get("machine")) == where]


def family(case: str) -> str:
    """Return the family that a case belongs to: the module of its benchmarks."""
    return case.split(".")[0]


def families(values: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return cases by family."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for case, value in values.items():
        found[family(case)][case] = value
    return dict(found)


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean, which treats twice as fast and half as fast alike."""
    logs = [math.log(value) for value in values]
    return math.exp(math.fsum(logs) / len(logs))


def history(runs: list[Run], key: str) -> dict[str, list[tuple[Run, float]]]:
    """Return for each family the geometric mean of a benchmark over the commits.

    Only cases that all commits with the family have are counted, so that a new case makes no step.
    """
    by_family: dict[str, list[tuple[Run, dict[str, float]]]] = defaultdict(list)
    for run in runs:
        for name, cases in families(run.values.get(key, {})).items():
            by_family[name].append((run, cases))
    found = {}
    for name, entries in by_family.items():
        common = set.intersection(*({*cases} for _, cases in entries))
        if common:
            found[name] = [
                (run, geometric_mean(cases[case] for case in common)) for run, cases in entries
            ]
    return found


@dataclass(frozen=True)
class Regression:
    """A step to a longer time that asv has found, and that has not been made good since."""

    benchmark: str
    commit: str  # the one that made it, or the last of several
    first: str  # the one before these, or ""
    before: float
    after: float
    best: float
    last: float


def regressions(html_dir: Path) -> list[Regression]:
    """Return what asv has published on its page of regressions, the largest steps first."""
    listed = json.loads((html_dir / "regressions.json").read_text())["regressions"]
    index = json.loads((html_dir / "index.json").read_text())
    commits = {int(revision): commit for revision, commit in index["revision_to_hash"].items()}
    found = []
    for name, _, _, _, last, best, jumps in listed:
        for first, second, before, after in jumps:
            start = "" if first is None else commits[first]
            found.append(Regression(name, commits[second], start, before, after, best, last))
    return sorted(found, key=lambda r: -r.after / r.before if r.before else 0.0)
