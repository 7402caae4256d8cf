"""A process that trains with one library, for its memory or the time that it takes.

It is started so that this package is found as ``training``, without fastnn; see
:mod:`fastnn._bench.peers.process`.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
from pathlib import Path
from typing import Any

import numpy as np

from .spec import Spec

LIMIT = 30  # epochs


def peak() -> int:
    """Return the most bytes of memory that this process has had."""
    try:
        # Linux takes over into ru_maxrss what the parent had when it started this process.
        lines = Path("/proc/self/status").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(argument: str) -> None:
    """Train as told; print what was found as JSON."""
    job = json.loads(argument)
    print(json.dumps(TASKS[job["task"]](job)))


def _memory(job: dict[str, Any]) -> dict[str, Any]:
    module = importlib.import_module(f".{job['module']}", __package__)
    spec, params, data = _load(job)
    x, t = data["x"], data["t"]
    imported = peak()
    training = module.Training(spec, params, x, t)
    rng = np.random.default_rng(0)
    for _ in range(2):
        training.epoch(1e-3, rng.permutation(len(x)))
    return {"imported": imported, "peak": peak()}


def _accuracy(job: dict[str, Any]) -> dict[str, Any]:
    module = importlib.import_module(f".{job['module']}", __package__)
    spec, params, data = _load(job)
    x, t, x_test, t_test = (data[name] for name in ("x", "t", "x_test", "t_test"))
    if job["module"] == "with_fastnn":
        training = module.Training(spec, params, x, t, input_scale=1 / 255)
    else:
        x, x_test = (a.astype(np.float32) / 255 for a in (x, x_test))
        training = module.Training(spec, params, x, t)
    rng = np.random.default_rng(0)
    accuracy, epochs = 0.0, 0
    while accuracy < job["target"] and epochs < LIMIT:
        training.epoch(1e-3, rng.permutation(len(x)))
        accuracy, epochs = training.accuracy(x_test, t_test), epochs + 1
    return {"epochs": epochs, "accuracy": accuracy}


def _load(job: dict[str, Any]) -> tuple[Spec, dict[str, Any], Any]:
    with np.load(Path(job["folder"]) / "initial.npz") as file:
        params = dict(file)
    with np.load(Path(job["folder"]) / "data.npz") as file:
        data = dict(file)
    # Each step is of whole batches, which a scan needs.
    batch = job["spec"]["batch"]
    whole = len(data["x"]) // batch * batch
    data["x"], data["t"] = data["x"][:whole], data["t"][:whole]
    spec = job["spec"] | {"widths": tuple(job["spec"]["widths"])}
    return Spec(**spec), params, data


TASKS = {"memory": _memory, "accuracy": _accuracy}
