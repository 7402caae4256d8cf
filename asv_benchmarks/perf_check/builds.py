"""Installed packages of commits, and workers that run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parent.parent.parent


def give_up(reason: str) -> NoReturn:
    """Exit with a code that says that nothing was compared, unlike that of a slow-down."""
    print(f"perf_check: {reason}", file=sys.stderr)
    sys.exit(2)


def git(*arguments: str) -> bytes:
    """Return what a git command prints; give up if it fails."""
    done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, check=False)
    if done.returncode:
        give_up(f"git {' '.join(arguments)}: {done.stderr.decode().strip()}")
    return done.stdout


def working_tree() -> str:
    """Return a commit of the tracked files as they are, changed ones included."""
    return git("stash", "create").decode().strip() or "HEAD"


def install(revision: str, folder: Path) -> Path:
    """Build the wheel of a revision, from its files alone, and unpack it into a folder."""
    source, target = folder / "source", folder / "package"
    with tarfile.open(fileobj=BytesIO(git("archive", revision))) as archive:
        archive.extractall(source, filter="data")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--disable-pip-version-check", "--target", target, source),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        give_up(f"building {revision} failed:\n{done.stderr}")
    return target


def processors() -> list[int | None]:
    """Return the processors that this process may use; [None] if the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [None]


class Worker:
    """A process with one commit's package.

    Parameters
    ----------
    package : Path
        What :func:`install` returned.
    threads : int
    """

    def __init__(self, package: Path, threads: int) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": str(package),
            "FASTNN_NUM_THREADS": str(threads),
            "OPENBLAS_NUM_THREADS": str(threads),
        }
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("worker.py"), ROOT / "asv_benchmarks"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=package,
        )
        self.threads = threads
        found = self._answer()
        for path in (found["fastnn"], found["kernels"]):
            if not Path(path).is_relative_to(package):
                give_up(f"expected fastnn from {package}, got {path}")
        self.cases: dict[str, str] = found["cases"]  # name -> kind

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.communicate()

    def confine(self, processor: int | None) -> None:
        """Let the process run on one processor only, where the system can do that."""
        if processor is not None:
            os.sched_setaffinity(self._process.pid, {processor})

    def run(self, case: str, calls: int) -> dict[str, Any]:
        """Return the worker's answer."""
        asked = {"case": case, "calls": calls}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            give_up(f"a worker ended with exit code {self._process.wait()}")
        return json.loads(line)
