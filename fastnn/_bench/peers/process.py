"""Processes of one library: for the time that it takes to train, and for its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import fastnn._bench
from fastnn._bench.training.spec import Spec

# The module in fastnn._bench.training, and the variables, of each library.
TRAININGS: dict[str, tuple[str, dict[str, str]]] = {
    "fastnn": ("with_fastnn", {}),
    "NumPy": ("with_fastnn", {"FASTNN_BACKEND": "numpy"}),
    "PyTorch": ("with_torch", {}),
    "JAX": ("with_jax", {}),
    "scikit-learn": ("with_sklearn", {}),
}

# Finds the package "training" after all others, and does not import fastnn.
START = "import sys; sys.path.append({folder!r}); from training.process import main; main({job!r})"


def prepare(folder: str, spec: Spec, **data: Any) -> None:
    """Write what processes read: initial values and data."""
    initial: dict[str, Any] = spec.initial()
    np.savez(Path(folder) / "initial.npz", **initial)
    np.savez(Path(folder) / "data.npz", **data)


def train(library: str, task: str, folder: str, spec: Spec, **settings: Any) -> dict[str, Any]:
    """Train in a new process; return what it found.

    Parameters
    ----------
    library : str
        A key of `TRAININGS`.
    task : {"memory", "accuracy"}
    folder : str
        What :func:`prepare` wrote; caches of compiled programs go there too.
    spec : Spec
    **settings
        Of the task.
    """
    module, variables = TRAININGS[library]
    job = {"module": module, "task": task, "folder": folder, "spec": asdict(spec), **settings}
    (package,) = fastnn._bench.__path__
    caches = {
        "JAX_COMPILATION_CACHE_DIR": str(Path(folder) / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    done = subprocess.run(
        [sys.executable, "-c", START.format(folder=package, job=json.dumps(job))],
        env=os.environ | caches | variables,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
