"""Measure commits that have no results."""

from __future__ import annotations

import functools
import json
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import asv.plugin_manager  # noqa: F401 - it knows the kinds of environments
from asv.config import Config
from asv.environment import get_environments
from asv.machine import Machine, MachineCollection
from asv.results import Results, iter_results_for_machine_and_hash
from asv.util import load_json

from .data import OVER_NUMPY

# What a commit has to change to be worth measuring.
LIBRARY = ("fastnn", "kernels")


def run_asv(config: Path, *arguments: str) -> int:
    """Run an asv command; return its exit code."""
    command = [sys.executable, "-m", "asv", *arguments, "--config", config.name]
    return subprocess.run(command, cwd=config.parent, check=False).returncode


def git(config: Path, *arguments: str) -> str:
    """Return what a git command prints in the repository that is measured; exit if it fails."""
    repo = config.parent / Config.load(str(config)).repo
    command = ["git", "-C", str(repo), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"dashboard: git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def branch(config: Path) -> str:
    """Return the branch whose history is shown; exit if the repository lacks it."""
    name: str = Config.load(str(config)).branches[0]
    if not git(config, "branch", "--list", name).strip():
        sys.exit(
            f"dashboard: there is no branch {name} here, which {config.name} names; "
            f"`git branch {name} origin/{name}` may make it"
        )
    return name


def last_commits(config: Path, count: int, revision: str) -> list[str]:
    """Return the last commits of a revision that changed the library, the newest first."""
    found = git(
        config, "log", "--first-parent", f"--max-count={count}", "--format=%H", revision,
        "--", *(f":/{folder}" for folder in LIBRARY),
    )  # fmt: skip
    return found.split()


@functools.cache
def discover(config: Path) -> dict[str, Any]:
    """Have asv write down what benchmarks there are now; return that."""
    # It wants some machine, though it measures nothing on it.
    machine = next(iter(known_machines()), None) or machine_name(None)
    code = run_asv(
        config, "run", "--bench", "just-discover", "--environment", f"existing:{sys.executable}",
        "--machine", machine,
    )  # fmt: skip
    if code:
        sys.exit("dashboard: asv found no benchmarks; is fastnn installed beside it?")
    path = config.parent / Config.load(str(config)).results_dir / "benchmarks.json"
    listed = json.loads(path.read_text(encoding="utf-8"))
    return {name: value for name, value in listed.items() if isinstance(value, dict)}


def environments(config: Path) -> list[str]:
    """Return the names of the environments in the configuration, the newest versions first."""
    settings = Config.load(str(config))
    return [found.name for found in get_environments(settings, None, verbose=False)]


def numbers(
    results_dir: Path, commit: str, environment: str, bench: str, benchmarks: Mapping[str, Any]
) -> int:
    """Return how many numbers all machines have of a commit in an environment.

    Those of the benchmarks that match are counted, as far as these are what they are now.
    """
    values = [
        value
        for folder in results_dir.iterdir()
        if folder.is_dir()
        for results in iter_results_for_machine_and_hash(str(results_dir), folder.name, commit)
        if results.env_name == environment
        for key in results.get_result_keys(benchmarks)
        for name, value in _values(results, key)
        if re.search(bench, name)
    ]
    return sum(value is not None and value == value for value in values)  # not NaN


def _values(results: Results, key: str) -> Iterator[tuple[str, float | None]]:
    """Yield a benchmark's results with the names that asv matches: those of its parameters too."""
    axes = results.get_result_params(key)
    names = [f"{key}({', '.join(case)})" for case in product(*axes)] if axes else [key]
    yield from zip(names, results.get_result_value(key, axes), strict=True)


def known_machines() -> list[str]:
    """Return the names under which asv knows this machine."""
    path = Path(MachineCollection.get_machine_file_path())
    return [name for name in load_json(str(path)) if name != "version"] if path.exists() else []


def machine_name(given: str | None) -> str:
    """Return the name under which asv knows this machine; have it know what it is, if it does not.

    Without a name that is the computer's, or the only one that asv knows. Exits if it is neither.
    """
    known = known_machines()
    name = given or (platform.node() if len(known) != 1 else known[0])
    if name not in known:
        if known and not given:
            sys.exit(f"dashboard: asv knows this machine as {', '.join(known)}; use --machine")
        # Without the version of the system's kernel, and memory in whole GiB: asv compares results
        # of equal machines alone.
        facts = {**Machine.get_defaults(), "machine": name, "os": platform.system()}
        if facts["ram"].isdigit():
            facts["ram"] = str(round(int(facts["ram"]) / 2**30) << 30)
        MachineCollection.save(name, facts)
    return name


def measure(
    config: Path,
    commits: list[str],
    every_environment: bool = False,
    bench: str = "",
    machine: str | None = None,
) -> None:
    """Measure those commits of which no machine has the numbers asked for.

    Exits if asv fails, or if a commit is without a single one after all.

    Parameters
    ----------
    config : Path
        ``asv.conf.json``.
    commits : list of str
        Whole hashes.
    every_environment : bool
        Measure in all environments of the configuration, not in the first alone.
    bench : str
        Regular expression for the benchmarks to measure; all if empty, and then a commit counts as
        measured if it has the ratios that the landing page leads with.
    machine : str, optional
        Name of this machine among the results.
    """
    if not commits:
        return
    results_dir = config.parent / Config.load(str(config)).results_dir
    names = environments(config)
    if not names:
        sys.exit("dashboard: no environment of asv.conf.json can be made with this Python")
    benchmarks = discover(config)

    def lacking(environment: str, asked: str) -> list[str]:
        return [c for c in commits if not numbers(results_dir, c, environment, asked, benchmarks)]

    ratios = re.escape(OVER_NUMPY)
    for name in names if every_environment else names[:1]:
        missing = lacking(name, bench or ratios)
        progress = f"{len(missing)} of {len(commits)} commits to measure in {name}"
        print(f"dashboard: {progress}", flush=True)  # before what asv prints
        if missing:
            code = _run(config, missing, name, bench, machine_name(machine))
            # Of a part, a commit may have nothing.
            if still := lacking(name, "" if bench else ratios):
                sys.exit(f"dashboard: no benchmark ran at commit {still[0][:8]}")
            if code:
                sys.exit(f"dashboard: asv run ended with exit code {code}: some benchmarks failed")


def _run(config: Path, commits: list[str], environment: str, bench: str, machine: str) -> int:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(commits))
        file.flush()
        return run_asv(
            config, "run", f"HASHFILE:{file.name}", "--environment", environment,
            "--machine", machine, "--show-stderr", *(["--bench", bench] if bench else []),
        )  # fmt: skip
