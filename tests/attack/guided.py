"""Coverage-guided fuzzing of the loaders with atheris, in an environment of its own.

Files are changed as by `loaders`; those that reach new code are kept, and changed further. Where
atheris cannot be installed for this Python, the figures say so.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.attack.loaders import LOADERS, contents
from tests.attack.machine import ROOT
from tests.attack.outcome import Figures, Outcome

RANK, UNIT, FULL, CHUNK = 10, "seconds", 600, 600

SCRIPT = Path(__file__).with_name("_guided.py")


def attack(amount: int, seed: int) -> Outcome:
    """Let loaders read files for so many seconds, on each CPU one at a time."""
    began = time.monotonic()
    command = f"python -m tests.attack guided --amount {amount} --seed {seed}"
    figures: Figures = {UNIT: amount, "files": 0}
    failures = []
    with tempfile.TemporaryDirectory() as place:
        python = _python(Path(place, "venv"))
        figures["atheris"] = "at hand" if python else "cannot be installed here"
        if python:
            cpus = len(os.sched_getaffinity(0))
            each = max(1, amount * cpus // len(LOADERS))
            with ThreadPoolExecutor(cpus) as pool:
                fuzz = partial(_guided, python, Path(place), seconds=each, seed=seed)
                results = list(pool.map(fuzz, [loader.name for loader in LOADERS]))
            for loader, (files, reached, failure) in zip(LOADERS, results, strict=True):
                figures["files"] = int(figures["files"]) + files
                figures[f"branches reached by {loader.name}"] = float(reached)
                if failure:
                    failures.append(f"{command}: {loader.name}: {failure}")
    return Outcome(
        "guided",
        "No file that is found by following which code it reaches makes a loader do anything but "
        "read or refuse it.",
        "tests/attack/test_loaders.py",
        figures,
        tuple(failures),
        time.monotonic() - began,
        command,
    )


def _python(venv: Path) -> Path | None:
    """Return a Python with atheris that sees the packages of this one, or None."""
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    python = venv / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "atheris"]
    if subprocess.run(install, capture_output=True, check=False).returncode:
        return None
    (packages,) = (venv / "lib").glob("python*/site-packages")
    ours = [path for path in sys.path if path and Path(path).is_dir() and "site-packages" in path]
    (packages / "ours.pth").write_text("\n".join(ours) + "\n")
    return python


def _guided(python: Path, place: Path, name: str, seconds: int, seed: int) -> tuple[int, int, str]:
    """Fuzz one loader; return how many files it read, branches reached, and what failed."""
    corpus = place / f"corpus of {name}"
    corpus.mkdir()
    (corpus / "good").write_bytes(contents(name))
    command = [
        python, SCRIPT, ROOT, name, corpus, f"-max_total_time={seconds}", f"-seed={seed + 1}",
        "-max_len=100000", "-timeout=60", "-rss_limit_mb=4000", "-print_final_stats=1",
        f"-artifact_prefix={place}/",
    ]  # fmt: skip
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", cwd=place, check=False,
        timeout=seconds + 300,
    )  # fmt: skip
    said = done.stdout + done.stderr
    files = [int(n) for n in re.findall(r"number_of_executed_units: (\d+)", said)]
    reached = [int(n) for n in re.findall(r"cov: (\d+)", said)]
    failure = ""
    if done.returncode:
        raised = re.findall(r"RuntimeError: (.*)|(ERROR: libFuzzer: .*)", said)
        failure = "".join(raised[0]) if raised else said[-500:]
    return sum(files), max(reached, default=0), failure
