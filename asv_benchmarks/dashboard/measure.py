"""Measure the last commits that have no results."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import asv.plugin_manager  # noqa: F401 - it knows the kinds of environments
from asv.config import Config
from asv.environment import get_environments
from asv.results import iter_results_for_machine_and_hash

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


def last_commits(config: Path, count: int, branch: str) -> list[str]:
    """Return the last commits of the branch that changed the library, the newest first."""
    found = git(
        config, "log", "--first-parent", f"--max-count={count}", "--format=%H", branch,
        "--", *(f":/{folder}" for folder in LIBRARY),
    )  # fmt: skip
    return found.split()


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
    """Return the name of this machine, as asv has it; exit if it has several."""
    if given:
        return given
    known = json.loads((Path.home() / ".asv-machine.json").read_text(encoding="utf-8"))
    names = [name for name in known if name != "version"]
    if len(names) != 1:
        sys.exit(f"dashboard: asv knows {names} as this machine; choose one by --machine")
    return names[0]


def measure(
    config: Path, count: int, every_environment: bool, bench: str, machine: str | None
) -> None:
    """Measure those of the last commits that no machine has results of.

    Exits if asv fails, or if a commit is without a single number after all.
    """
    settings = Config.load(str(config))
    results_dir = config.parent / settings.results_dir
    commits = last_commits(config, count, settings.branches[0])
    names = environments(config)
    if not names:
        sys.exit("dashboard: no environment of asv.conf.json can be made with this Python")
    for name in names if every_environment else names[:1]:
        missing = [commit for commit in commits if not has_results(results_dir, commit, name)]
        print(f"dashboard: {len(missing)} of {len(commits)} commits to measure in {name}")
        if missing:
            _run(config, results_dir, missing, name, bench, machine)


def _run(
    config: Path, results_dir: Path, commits: list[str], name: str, bench: str, machine: str | None
) -> None:
    named = ["--machine", machine] if machine else []
    if run_asv(config, "machine", "--yes", *named):
        sys.exit("dashboard: asv machine failed")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(commits))
        file.flush()
        code = run_asv(
            config, "run", f"HASHFILE:{file.name}", "--environment", name, "--show-stderr",
            *named, *(["--bench", bench] if bench else []),
        )  # fmt: skip
    for commit in commits:
        if not numbers(results_dir, machine_name(machine), commit, name):
            sys.exit(f"dashboard: no benchmark ran at commit {commit[:8]}")
    if code:
        sys.exit(f"dashboard: asv run ended with exit code {code}: some benchmarks failed")
