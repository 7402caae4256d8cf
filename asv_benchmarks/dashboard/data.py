"""What the landing page shows, read from asv's result files and from what asv has published."""

from __future__ import annotations

import ast
import datetime
import itertools
import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from asv.results import iter_results

OVER_NUMPY = "ratios.OverNumPy.track_time_over_numpy"
OVER_LIMIT = "ratios.OverLimit.track_time_over_limit"
OVER_ONE_THREAD = "ratios.OverOneThread.track_time_over_one_thread"
# One number each, with the unit that it is shown in and what a value is divided by for that.
FACTS = {
    "startup.Startup.timeraw_import": ("import fastnn", "s", 1.0),
    "startup.Startup.timeraw_load": ("first training step, kernels on disk", "s", 1.0),
    "startup.Startup.timeraw_compile": ("first training step, nothing compiled yet", "s", 1.0),
    "startup.CacheSize.track_step": ("compiled kernels of a training step", "MB", 1e6),
    "memory.PeakMemory.track_peakmem_import": ("peak memory of import fastnn", "MB", 1e6),
    "memory.PeakMemory.track_peakmem_fit": ("peak memory of a process that trains", "MB", 1e6),
    "memory.Allocations.track_bytes_of_a_step": ("allocated by a step, by layers", "kB", 1e3),
    "memory.Allocations.track_bytes_of_an_epoch": ("allocated by an epoch of fit", "kB", 1e3),
}
VERSIONS = ("python", "numpy", "numba")


@dataclass(frozen=True)
class Run:
    """The results of one commit in one environment on one machine."""

    commit: str
    date: datetime.datetime
    environment: str
    facts: dict[str, Any]  # machine and versions
    values: dict[str, dict[str, float]]  # benchmark -> case ("" without parameters) -> value
    failed: int  # benchmarks and cases that ended with an error

    @property
    def place(self) -> tuple[str, str]:
        """Machine and environment: what results must have in common to be compared."""
        return str(self.facts.get("machine", "")), self.environment

    @property
    def title(self) -> str:
        """What a link to the page of the place says."""
        versions = [f"{key} {self.facts[key]}" for key in VERSIONS if self.facts.get(key)]
        return f"{', '.join(versions) or self.environment} on {self.place[0]}"


def _cases(axes: Sequence[Sequence[str]]) -> list[str]:
    # asv keeps the representation of parameters.
    return [
        ", ".join(str(ast.literal_eval(text)) for text in texts)
        for texts in itertools.product(*axes)
    ]


def _read(results: Any, benchmarks: Mapping[str, Any]) -> Run:
    values, failed = {}, 0
    # As on asv's pages, what an earlier version of a benchmark has measured does not count.
    for key in sorted(results.get_result_keys(benchmarks)):
        axes = results.get_result_params(key)
        found = results.get_result_value(key, axes)
        failed += sum(value is None for value in found)
        numbers = {
            case: value
            for case, value in zip(_cases(axes), found, strict=True)
            if value is not None and not math.isnan(value)  # NaN: the commit has no such thing
        }
        if numbers:
            values[key] = numbers
    date = datetime.datetime.fromtimestamp(results.date / 1000, datetime.timezone.utc)
    facts = {**results.params, **results.env_vars}
    return Run(results.commit_hash, date, results.env_name, facts, values, failed)


def read(results_dir: Path, revisions: Mapping[str, int]) -> list[Run]:
    """Return the runs of the commits that have a revision number, in the order of these.

    Parameters
    ----------
    results_dir : Path
        Folder of asv's results, ``benchmarks.json`` among them.
    revisions : dict
        Commit -> number, as in :func:`published_revisions`.
    """
    benchmarks = json.loads((results_dir / "benchmarks.json").read_text(encoding="utf-8"))
    known = {key: value for key, value in benchmarks.items() if isinstance(value, dict)}
    runs = (_read(results, known) for results in iter_results(str(results_dir)))
    chosen = [run for run in runs if run.commit in revisions and (run.values or run.failed)]
    return sorted(chosen, key=lambda run: (revisions[run.commit], run.place))


def by_place(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    """Return the runs of each machine and environment, that of the newest commit first.

    If several have it, that with the most results is first.
    """
    found: dict[tuple[str, str], list[Run]] = defaultdict(list)
    order = []
    for run in runs:
        if not order or order[-1] != run.commit:
            order.append(run.commit)
        found[run.place].append(run)
    age = {commit: position for position, commit in enumerate(order)}

    def standing(item: tuple[tuple[str, str], list[Run]]) -> tuple[int, int]:
        last = item[1][-1]
        return age[last.commit], sum(map(len, last.values.values()))

    return dict(sorted(found.items(), key=standing, reverse=True))


def families(values: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return cases by family, the first part of their names."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for case, value in values.items():
        found[case.split(".")[0]][case] = value
    return dict(found)


def geometric_mean(values: Iterable[float]) -> float:
    """Return the geometric mean, which treats twice as fast and half as fast alike."""
    logs = [math.log(value) for value in values]
    return math.exp(math.fsum(logs) / len(logs))


def history(runs: Iterable[Run], key: str) -> dict[str, list[tuple[Run, float]]]:
    """Return for each family the geometric mean of a benchmark over the commits that have it.

    Only cases that all these commits have are counted, so that a new case makes no step. Should
    there be none, the family is left out.
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
    """A step to a higher value that asv has found, and that has not been made good since."""

    benchmark: str  # with its parameters
    commit: str  # the one that made it, or the last of several
    after_commit: str  # the last one before these, or "" if there is but one
    before: float
    after: float
    link: str  # to asv's graph, relative to its site
    facts: dict[str, Any]  # those in which asv's graphs differ, such as the machine

    def concerns(self, run: Run) -> bool:
        """Say whether it was found in results of the same machine and versions."""
        return all(run.facts.get(key, value) == value for key, value in self.facts.items())


def published_revisions(html_dir: Path) -> dict[str, int]:
    """Return the number of each commit that asv has published, in the order of the branch."""
    index = json.loads((html_dir / "index.json").read_text(encoding="utf-8"))
    return {commit: int(number) for number, commit in index["revision_to_hash"].items()}


def regressions(html_dir: Path) -> list[Regression]:
    """Return what asv has published on its page of regressions, the largest steps first."""
    listed = json.loads((html_dir / "regressions.json").read_text(encoding="utf-8"))["regressions"]
    index = json.loads((html_dir / "index.json").read_text(encoding="utf-8"))
    commits = {int(number): commit for number, commit in index["revision_to_hash"].items()}
    found = []
    for name, _, graph, position, _, _, steps in listed:
        benchmark = index["benchmarks"][name.partition("(")[0]]
        selection = dict(graph)
        if position is not None:
            chosen = [*itertools.product(*benchmark["params"])][position]
            names = (f"p-{name}" for name in benchmark["param_names"])
            selection |= dict(zip(names, chosen, strict=True))
        for first, second, before, after in steps:
            start = "" if first is None else commits[first]
            span = f"{start}-{commits[second]}" if start else commits[second]
            link = f"index.html#{benchmark['name']}?{urlencode({**selection, 'commits': span})}"
            found.append(Regression(name, commits[second], start, before, after, link, graph))
    return sorted(found, key=lambda r: r.before / r.after)
