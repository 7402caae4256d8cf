"""The wheel under each Python at hand, with the oldest and newest NumPy and Numba, at each width.

Installations are made in a temporary folder. Interpreters are looked for on the path, under the
names python3.10 to python3.14, and in pyenv's folder; those that lack are named in the figures.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.attack.children import in_short
from tests.attack.machine import ROOT
from tests.attack.outcome import Outcome

RANK, UNIT = 12, "installations"

WIDTHS = 128, 256, 512
VERSIONS = "3.10", "3.11", "3.12", "3.13", "3.14"
# The first Numba, and NumPy, that fastnn takes and that has wheels for a Python.
OLDEST = {
    "3.10": ("numba==0.61.0", "numpy==1.26.0"),
    "3.11": ("numba==0.61.0", "numpy==1.26.0"),
    "3.12": ("numba==0.61.0", "numpy==1.26.0"),
    "3.13": ("numba==0.61.0", "numpy==2.1.0"),
    "3.14": ("numba==0.63.0", "numpy==2.3.3"),
}
SMOKE = Path(__file__).with_name("_smoke.py")


@dataclass(frozen=True)
class Installation:
    """A Python, and what is installed beside the wheel."""

    python: str
    age: str

    @property
    def name(self) -> str:
        return f"Python {self.python}, {self.age}"

    @property
    def packages(self) -> tuple[str, ...]:
        return OLDEST[self.python] if self.age == "oldest" else ("numba", "numpy")


INSTALLATIONS = tuple(Installation(v, age) for v in VERSIONS for age in ("oldest", "newest"))
FULL = CHUNK = len(INSTALLATIONS)


def attack(amount: int, seed: int) -> Outcome:
    """Try so many installations, in turn."""
    began = time.monotonic()
    chosen = [INSTALLATIONS[i % FULL] for i in range(seed, seed + min(amount, FULL))]
    results: dict[Installation, dict[str, Any]] = {}
    failures = []
    pythons = {version: interpreter(version) for version in dict.fromkeys(i.python for i in chosen)}
    missing = [version for version, python in pythons.items() if python is None]
    with tempfile.TemporaryDirectory() as place:
        wheel = _wheel(Path(place))

        def tried(i: Installation) -> dict[str, Any] | str:
            try:
                return _tried(str(pythons[i.python]), i, wheel, Path(place, f"venv of {i.name}"))
            except RuntimeError as error:
                return f"{i.name}: {error}"

        there = [i for i in chosen if i.python not in missing]
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for installation, result in zip(there, pool.map(tried, there), strict=True):
                if isinstance(result, str):
                    failures.append(result)
                else:
                    results[installation] = result
    command = f"python -m tests.attack interpreters --amount {amount} --seed {seed}"
    failures += differing(results)
    tried = [f"{i.name}: NumPy {r['numpy']}, Numba {r['numba']}" for i, r in results.items()]
    return Outcome(
        "interpreters",
        "Under each Python, with the oldest and the newest NumPy and Numba, and at each width of "
        "vectors, trainings have the same bits, and files go from one to the other.",
        "tests/attack/test_interpreters.py",
        {UNIT: amount, "tried": "; ".join(tried) or "none",
         "not at hand": ", ".join(missing) or "none"},
        tuple(f"{command}: {failure}" for failure in failures),
        time.monotonic() - began,
        command,
    )  # fmt: skip


def interpreter(version: str) -> str | None:
    """Return a Python of a version, or None if there is none that starts."""
    root = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = [str(path) for path in sorted(root.glob(f"{version}.*/bin/python"))]
    found.append(shutil.which(f"python{version}") or "")
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        found.append(sys.executable)
    for python in filter(None, found):
        done = subprocess.run([python, "-c", ""], capture_output=True, check=False)
        if not done.returncode:
            return python
    return None


def _run(*command: str | Path, **variables: str) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FASTNN_", "PYTHON"))}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=kept | variables, cwd="/",
        timeout=1800,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}: "
                           f"{in_short(done.stderr)[-900:]}")  # fmt: skip
    return done.stdout


def _wheel(folder: Path) -> Path:
    _run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT)
    (wheel,) = folder.glob("*.whl")
    return wheel


def _tried(python: str, installation: Installation, wheel: Path, venv: Path) -> dict[str, Any]:
    """Install the wheel; return versions, and for each width bits and a file's bits."""
    _run(python, "-m", "venv", venv)
    inside = venv / "bin" / "python"
    _run(inside, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", wheel,
         *installation.packages)  # fmt: skip
    found: dict[str, Any] = {}
    for bits in WIDTHS:
        if not _has(bits):
            continue
        made = _run(
            inside, "-I", SMOKE, venv.parent / f"net-{bits}.npz", FASTNN_VECTOR_BITS=str(bits),
            FASTNN_CACHE_DIR=str(venv / "cache"), FASTNN_QUIET="1",
        )  # fmt: skip
        found |= json.loads(made.splitlines()[-1])
    shutil.rmtree(venv)  # some hundred MB
    return found


def _has(bits: int) -> bool:
    """Say whether the processor has vectors of a width."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    needed = {512: "avx512f", 256: "avx2"}.get(bits)
    return needed is None or bool(features.get(needed))


def differing(results: dict[Installation, dict[str, Any]]) -> list[str]:
    """Say where bits differ between interpreters, or losses by more than rounding."""
    failures, first = [], next(iter(results.items()), None)
    for installation, result in results.items():
        for other, before in results.items():
            if other is installation:
                break
            same = all(before[name] == result[name] for name in ("numpy", "numba"))
            for bits in map(str, WIDTHS):
                if same and bits in result and result[bits]["bits"] != before[bits]["bits"]:
                    failures.append(
                        f"{installation.name}: at {bits} bits other bits than {other.name}"
                    )
        for bits in map(str, WIDTHS):
            loss = result.get(bits, {}).get("loss", 0)
            expected = first[1].get(bits, {}).get("loss", 0) if first else 0
            if abs(loss - expected) > 1e-4 * abs(expected):
                failures.append(f"{installation.name}: at {bits} bits loss {loss}, not {expected}")
    return failures
