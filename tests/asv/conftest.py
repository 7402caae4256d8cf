"""A small repository with made-up results of asv, one of them a planted regression."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest
from asv import util
from asv.results import Results
from asv.runner import BenchmarkResult

ROOT = Path(__file__).parent.parent.parent
BENCHMARKS = ROOT / "asv_benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from dashboard import data  # noqa: E402

COMMITS, PLANTED = 9, 5
SLOWER = 1.4
CASES = [
    "affine.forward (128, 784, 100) float32",
    "affine.forward (1, 784, 100) float32",
    "losses.loss cross entropy, labels (128, 10) float32",
    "layernorm.forward (128, 100) float32",
]
# Planted in the second, at commit PLANTED; the last is in the later commits only.
RATIOS = [0.21, 0.3, 1.25, 0.5]
DETAILS = {
    data.OVER_NUMPY: ("track", "ratio", ["case"], [CASES]),
    data.OVER_LIMIT: ("track", "ratio", ["case"], [CASES[:2]]),
    data.OVER_ONE_THREAD: ("track", "ratio", ["case", "threads"], [["training.epoch Adam"], [2]]),
    "startup.Startup.timeraw_import": ("time", "seconds", [], []),
    "startup.CacheSize.track_step": ("track", "bytes", [], []),
}


def _git(repo: Path, *arguments: str, day: int = 1) -> str:
    when = f"2026-03-{day:02}T12:00:00+00:00"
    names = {f"GIT_{who}_{what}": "maker@example.org" for who in ("AUTHOR", "COMMITTER")
             for what in ("NAME", "EMAIL")}  # fmt: skip
    environment = {**os.environ, **names, "GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    done = subprocess.run(
        ["git", "-C", repo, *arguments], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def make_repository(folder: Path, count: int) -> list[str]:
    """Make a repository of so many commits on main; return them."""
    folder.mkdir()
    _git(folder, "init", "--quiet", "--initial-branch=main")
    commits = []
    for i in range(count):
        Path(folder, "kernels").mkdir(exist_ok=True)
        Path(folder, "kernels", "affine.py").write_text(f"ANSWER = {i}\n")
        _git(folder, "add", ".")
        _git(folder, "commit", "--quiet", "--message", f"Change <{i}>", day=i + 1)
        commits.append(_git(folder, "rev-parse", "HEAD"))
    return commits


def details(name: str, kind: str, unit: str, names: list[str], axes: list[list]) -> dict:
    """Return what benchmarks.json has on a benchmark."""
    params = [[repr(value) for value in axis] for axis in axes]
    common = {"name": name, "code": "", "type": kind, "unit": unit, "version": "1"}
    return {**common, "param_names": names, "params": params}


def write_benchmarks(folder: Path) -> None:
    """Write benchmarks for asv to find, with the names and parameters of DETAILS."""
    folder.mkdir()
    (folder / "__init__.py").touch()
    for name, (_, unit, names, axes) in DETAILS.items():
        module, scope, method = name.split(".")
        arguments = "".join(f", {argument}" for argument in names)
        with (folder / f"{module}.py").open("a") as file:
            file.write(
                f"class {scope}:\n    version, unit = '1', {unit!r}\n"
                f"    param_names, params = {names!r}, {axes!r}\n"
                f"    def {method}(self{arguments}): pass\n"
            )


def store(
    results_dir: Path, commit: str, day: int, machine: str, numpy: str, values: dict, known: dict
) -> None:
    """Write a result file as asv does."""
    where = {"machine": machine, "cpu": "Abacus", "num_cpu": "2", "ram": str(8 << 30)}
    needs = {"numpy": numpy, "numba": "0.68.1"}
    date = int(datetime(2026, 3, day, 12, tzinfo=timezone.utc).timestamp() * 1000)
    results = Results(
        {**where, **needs, "python": "3.11"}, needs, commit, date, "3.11",
        f"virtualenv-py3.11-numpy{numpy}", {"FASTNN_NUM_THREADS": "1"},
    )  # fmt: skip
    for name, found in values.items():
        nothing = [None] * len(found)
        made = BenchmarkResult(found, nothing, nothing, 0, "", None)
        results.add_result(known[name], made, datetime(2026, 4, 1, tzinfo=timezone.utc))
    results.save(str(results_dir))
    util.write_json(str(results_dir / machine / "machine.json"), where, 1)


def settings(folder: Path) -> Path:
    """Write the project's own settings of asv, for the repository in this folder."""
    kept = util.load_json(str(BENCHMARKS / "asv.conf.json"), js_comments=True)
    own = {**kept, "repo": "repo", "project": "made up"}
    util.write_json(str(folder / "asv.conf.json"), own)
    return folder / "asv.conf.json"


@pytest.fixture(scope="session")
def dashboard(tmp_path_factory):
    """Return a function that runs the dashboard's command line, as on a new machine."""
    environment = {**os.environ, "HOME": str(tmp_path_factory.mktemp("home"))}

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dashboard", *map(str, arguments)]
        return subprocess.run(
            command, cwd=BENCHMARKS, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


@dataclass
class Project:
    """A repository, and what was made up for its commits."""

    folder: Path
    config: Path
    commits: list[str]
    newest: dict[str, list[float]]  # benchmark -> values of the newest commit

    cases = CASES
    slower = SLOWER

    @property
    def results(self) -> Path:
        return self.folder / "results"

    @property
    def planted(self) -> str:
        """The commit from which on a case is slower."""
        return self.commits[PLANTED]


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Project:
    folder = tmp_path_factory.mktemp("project")
    commits = make_repository(folder / "repo", COMMITS)
    known = {name: details(name, *rest) for name, rest in DETAILS.items()}
    results_dir = folder / "results"
    noise = random.Random(0)
    for i, commit in enumerate(commits):
        ratios = [ratio * noise.uniform(0.99, 1.01) for ratio in RATIOS]
        ratios[1] *= SLOWER if i >= PLANTED else 1
        if i < 3:
            ratios[3] = float("nan")
        values = {
            data.OVER_NUMPY: ratios,
            data.OVER_LIMIT: [2.0 * noise.uniform(0.99, 1.01), 0.8],
            data.OVER_ONE_THREAD: [0.625],
            "startup.Startup.timeraw_import": [0.4321 * noise.uniform(0.8, 1.2)],
            "startup.CacheSize.track_step": [3_456_789],
        }
        store(results_dir, commit, i + 1, "abacus", "2.4.6", values, known)
    old = {data.OVER_NUMPY: [0.25, None, 1.5, 0.5]}  # one failed
    store(results_dir, commits[-1], COMMITS, "abacus", "1.26.0", old, known)
    write_benchmarks(folder / "benchmarks")
    return Project(folder, settings(folder), commits, values)


@pytest.fixture(scope="session")
def site(project, dashboard) -> Path:
    """The site of the project, built by the dashboard's command."""
    folder = project.folder / "site"
    done = dashboard("build", "--config", project.config, "--site", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="session")
def address(site):
    """Where the dashboard's server shows the site."""
    command = [sys.executable, "-m", "dashboard", "serve", "--site", str(site)]
    with subprocess.Popen(command, cwd=BENCHMARKS, stdout=subprocess.PIPE, text=True) as server:
        line = server.stdout.readline()
        yield re.search(r"http://127\.0\.0\.1:\d+", line)[0]
        server.terminate()
