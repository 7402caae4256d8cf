"""What ``python -m fastnn info`` says: the machine, the settings and the versions in use."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import fastnn
from fastnn import config
from fastnn._utils import distribution as _distribution
from fastnn._utils.paths import kernels_dir
from fastnn.kernels.machine import code
from fastnn.kernels.plain import level
from fastnn.kernels.threading import cpus, threads
from fastnn.ops.updates import arrays as updates

PACKAGES = ("numpy", "numba", "llvmlite")
PEERS = ("torch", "jax", "optax", "scikit-learn")

# The features of the processor, in NumPy's names, that decide which machine code it can run.
_FEATURES = ("SSE42", "AVX", "AVX2", "FMA3", "AVX512F", "AVX512_SKX", "ASIMD", "SVE")


def _processor() -> str:
    """Return the processor's name as its maker prints it, or what Python knows of it."""
    try:
        if sys.platform == "linux":
            lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
            names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model n")]
            if names:
                return names[0]
        elif sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(
                command, capture_output=True, text=True, check=True
            ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        pass
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _size(folder: Path) -> tuple[int, int]:
    """Return how many files lie in a folder or below it, and how many bytes they take.

    What cannot be looked at, as it is another user's, does not count.
    """
    sizes = []
    for name, _, files in os.walk(folder):
        for file in files:
            with contextlib.suppress(OSError):
                sizes.append(os.path.getsize(os.path.join(name, file)))
    return len(sizes), sum(sizes)


def _folder() -> Path | None:
    """Return the folder of kernels that are compiled here; None where none are."""
    if code.library() is not None or not code.can_compile():
        return None
    from fastnn.kernels.codegen import cache

    return cache.folder()


def info() -> dict[str, Any]:
    """Return what is known of this installation, in values that JSON can hold."""
    folder = _folder()
    (package, *_) = map(Path, fastnn.__path__)
    files, size = _size(folder) if folder else (0, 0)
    all_files, all_size = _size(kernels_dir())
    return {
        "platform": platform.platform(),
        "cpu": {
            "name": _processor(),
            "features": [name for name in _FEATURES if name in level.features()],
            "count": os.cpu_count(),
        },
        "vector_bits": level.vector_bits(),
        "machine_code": code.source(),
        "threads": {"current": threads.get_num_threads(), "available": cpus.available()},
        "backend": config.get_backend(),
        "optimizers": {
            "backend": "numpy" if updates.unreadable() else config.get_backend(),
            "reason": updates.unreadable(),
        },
        "cache": {
            "folder": str(folder or "none"),
            "files": files,
            "bytes": size,
            "files_of_other_versions": all_files - files,
            "bytes_of_other_versions": all_size - size,
        },
        "installation": {
            "folder": str(package),
            "mixed_with": _distribution.others(str(package)),
            "changed_files": _distribution.changed(),
        },
        "versions": {
            "python": platform.python_version(),
            "fastnn": _distribution.VERSION,
            **{package: _version(package) for package in (*PACKAGES, *PEERS)},
        },
    }


def lines(facts: dict[str, Any]) -> list[str]:
    """Return the facts as aligned text."""
    cpu, stored, running = facts["cpu"], facts["cache"], facts["threads"]
    installed, updated = facts["installation"], facts["optimizers"]
    rows = {
        "platform": facts["platform"],
        "CPU": f"{cpu['name']}, {cpu['count']} logical",
        "features": " ".join(cpu["features"]),
        "vector width": f"{facts['vector_bits']} bits",
        "machine code": facts["machine_code"],
        "threads": f"{running['current']} of {running['available']}",
        "backend": facts["backend"],
        "optimizers": updated["backend"] + (updated["reason"] and f": {updated['reason']}"),
        "installed in": installed["folder"],
        "mixed with": ", ".join(installed["mixed_with"]) or "nothing",
        "changed files": ", ".join(installed["changed_files"]) or "none",
        "cache folder": stored["folder"],
        "compiled kernels": _files(stored["files"], stored["bytes"]),
        "of other versions": _files(
            stored["files_of_other_versions"], stored["bytes_of_other_versions"]
        ),
        **{name: version or "not installed" for name, version in facts["versions"].items()},
    }
    width = max(map(len, rows))
    return [f"{name:<{width}}  {value}" for name, value in rows.items()]


def _files(count: int, size: int) -> str:
    return f"{count} files, {size / 1e6:.1f} MB" if count else "none"
