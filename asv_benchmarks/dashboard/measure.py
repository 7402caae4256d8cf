"""Measure commits that have no results."""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import asv.plugin_manager  # noqa: F401 - it knows the kinds of environments
from asv.config import Config
from asv.environment import get_environments
from asv.machine import Machine, MachineCollection
from asv.results import iter_results_for_machine_and_hash
from asv.util import load_json

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


def last_commits(config: Path, count: int) -> list[str]:
    """Return the last commits of the branch that changed the library, the newest first."""
    branch = Config.load(str(config)).branches[0]
    found = git(
        config, "log", "--first-parent", f"--max-count={count}", "--format=%H", branch,
        "--", *(f":/{folder}" for folder in LIBRARY),
    )  # fmt: skip
    return found.split()


def whole_hashes(config: Path, revisions: list[str]) -> list[str]:
    """Return the commits of some revisions."""
    return [git(config, "rev-parse", "--verify", f"{r}^{{commit}}").strip() for r in revisions]


def environments(config: Path) -> list[str]:
    """Return the names of the environments in the configuration, the newest versions first."""
    settings = Config.load(str(config))
    return [found.name for found in get_environments(settings, None, verbose=False)]


def has_results(results_dir: Path, commit: str, environment: str) -> bool:
    """Say whether some machine has measured a commit in an environment."""
    return any(results_dir.glob(f"*/{commit[:8]}-{environment}.json"))


def numbers(results_dir: Path, machine: str, commit: str, environment: str) -> int:
    """Return how many numbers a result file has."""
    found = iter_results_for_machine_and_hash(str(results_dir), machine, commit)
    values = [
        value
        for results in found
        if results.env_name == environment
        for key in results.get_all_result_keys()
        for value in results.get_result_value(key, results.get_result_params(key))
    ]
    return sum(value is not None and value == value for value in values)  # not NaN


def machine_name(given: str | None) -> str:
    """Return the name under which asv knows this machine; have it know what it is, if it does not.

    Exits if there are several names and none is given.
    """
    path = Path(MachineCollection.get_machine_file_path())
    known = [name for name in load_json(str(path)) if name != "version"] if path.exists() else []
    if given is None and len(known) > 1:
        sys.exit(f"dashboard: asv knows this machine as {', '.join(known)}; choose by --machine")
    name = given or (known[0] if known else platform.node())
    if name not in known:
        MachineCollection.save(name, {**Machine.get_defaults(), "machine": name})
    return name


def measure(
    config: Path,
    commits: list[str],
    every_environment: bool = False,
    bench: str = "",
    machine: str | None = None,
) -> None:
    """Measure those commits that no machine has results of.

    Exits if asv fails, or if a commit is without a single number after all.

    Parameters
    ----------
    config : Path
        ``asv.conf.json``.
    commits : list of str
        Whole hashes.
    every_environment : bool
        Measure in all environments of the configuration, not in the first alone.
    bench : str
        Regular expression for the benchmarks to measure; all if empty.
    machine : str, optional
        Name of this machine among the results.
    """
    results_dir = config.parent / Config.load(str(config)).results_dir
    names = environments(config)
    if not names:
        sys.exit("dashboard: no environment of asv.conf.json can be made with this Python")
    for name in names if every_environment else names[:1]:
        missing = [commit for commit in commits if not has_results(results_dir, commit, name)]
        print(f"dashboard: {len(missing)} of {len(commits)} commits to measure in {name}")
        if missing:
            _run(config, results_dir, missing, name, bench, machine_name(machine))


def _run(
    config: Path, results_dir: Path, commits: list[str], environment: str, bench: str, machine: str
) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(commits))
        file.flush()
        code = run_asv(
            config, "run", f"HASHFILE:{file.name}", "--environment", environment,
            "--machine", machine, "--show-stderr", *(["--bench", bench] if bench else []),
        )  # fmt: skip
    for commit in commits:
        if not numbers(results_dir, machine, commit, environment):
            sys.exit(f"dashboard: no benchmark ran at commit {commit[:8]}")
    if code:
        sys.exit(f"dashboard: asv run ended with exit code {code}: some benchmarks failed")
