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
    "startup.Startup.timeraw_import": ("import of fastnn and its networks", "s", 1.0),
    "startup.Startup.timeraw_load": ("first training step, kernels on disk", "s", 1.0),
    "startup.Startup.timeraw_compile": ("first training step, nothing compiled yet", "s", 1.0),
    "startup.CacheSize.track_step": ("compiled kernels of a training step", "MB", 1e6),
    "memory.PeakMemory.track_peakmem_import": ("own memory of that import, at most", "MB", 1e6),
    "memory.PeakMemory.track_peakmem_fit": ("own memory of a training, at most", "MB", 1e6),
    "memory.Allocations.track_bytes_of_a_step": ("allocated by a step, by layers", "kB", 1e3),
    "memory.Allocations.track_bytes_of_an_epoch": ("allocated by an epoch of fit", "MB", 1e6),
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


def _case(given: str) -> str:
    """Return the name of a case, of whose parameters asv keeps the representation."""
    return ", ".join(map(str, ast.literal_eval(f"({given},)"))) if given else ""


def _read(results: Any, benchmarks: Mapping[str, Any]) -> Run:
    values, failed = {}, 0
    # As on asv's pages, what an earlier version of a benchmark has measured does not count.
    for key in sorted(results.get_result_keys(benchmarks)):
        axes = results.get_result_params(key)
        cases = [_case(", ".join(texts)) for texts in itertools.product(*axes)]
        found = results.get_result_value(key, axes)
        failed += sum(value is None for value in found)
        numbers = {
            case: value
            for case, value in zip(cases, found, strict=True)
            if value is not None and not math.isnan(value)  # NaN: the commit has no such thing
        }
        if numbers:
            values[key] = numbers
    date = datetime.datetime.fromtimestamp(results.date / 1000, datetime.timezone.utc)
    facts = {**results.params, **results.env_vars}
    return Run(results.commit_hash, date, results.env_name, facts, values, failed)


def read(
    results_dir: Path, benchmarks: Mapping[str, Any], commits: Sequence[str]
) -> tuple[list[Run], int]:
    """Return the runs of some commits in their order, and how many are of others.

    Parameters
    ----------
    results_dir : Path
        Folder of asv's results.
    benchmarks : dict
        Those that there are now, as asv describes them.
    commits : sequence of str
        Whole hashes, the oldest first.
    """
    order = {commit: i for i, commit in enumerate(commits)}
    found = [*iter_results(str(results_dir))]
    chosen = [_read(results, benchmarks) for results in found if results.commit_hash in order]
    runs = [run for run in chosen if run.values or run.failed]
    return sorted(runs, key=lambda run: (order[run.commit], run.place)), len(found) - len(chosen)


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


def title(runs: Sequence[Run], found: Sequence[Regression]) -> str:
    """Return what a link to the page of a place says."""
    newest = runs[-1]
    versions = [f"{key} {newest.facts[key]}" for key in VERSIONS if newest.facts.get(key)]
    sure = sum(r.is_repeated(runs) for r in found)
    listed = f", {count(sure, 'regression')}" if sure else ""
    return (
        f"{', '.join(versions) or newest.environment} on {newest.place[0]} "
        f"({count(len(runs), 'commit')}{listed})"
    )


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural but for one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


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

    Only cases that all these commits have are counted, so that a new case makes no step. The
    history begins after the last commit that has none of the newest one's.
    """
    by_family: dict[str, list[tuple[Run, dict[str, float]]]] = defaultdict(list)
    for run in runs:
        for name, cases in families(run.values.get(key, {})).items():
            by_family[name].append((run, cases))
    found = {}
    for name, entries in by_family.items():
        common, first = {*entries[-1][1]}, len(entries)
        while first and common & {*entries[first - 1][1]}:
            first -= 1
            common &= {*entries[first][1]}
        found[name] = [
            (run, geometric_mean(cases[case] for case in common)) for run, cases in entries[first:]
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
        keys = ("machine", *VERSIONS)
        return all(run.facts.get(key) == self.facts.get(key, run.facts.get(key)) for key in keys)

    def is_repeated(self, runs: Sequence[Run]) -> bool:
        """Say whether several results are on either side of it: a single one may be chance."""
        name, _, given = self.benchmark.partition("(")
        case = _case(given[:-1])
        has = [case in run.values.get(name, {}) for run in runs]
        start = [run.commit for run in runs].index(self.commit)
        return sum(has[:start]) > 1 and sum(has[start:]) > 1


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
