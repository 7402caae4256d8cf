"""What is said of where an attack ran, and of which code: kinds and versions, no names."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(find_spec("fastnn").origin).parent  # in the clone, or where it is installed
VERSIONS = ("python", "fastnn", "numpy", "numba", "llvmlite")


def files() -> dict[str, Path]:
    """Return all files of fastnn/ and kernels/, by their names in the repository."""
    found = {}
    for top, folder in (("fastnn", PACKAGE), ("kernels", PACKAGE / "kernels")):
        home = folder.resolve()  # the clone's, not a link of an editable installation
        for path in sorted(home.rglob("*")):
            name = f"{top}/{path.relative_to(home).as_posix()}"
            if path.is_file() and path.suffix != ".pyc" and not name.startswith("fastnn/kernels/"):
                found[name] = path
    return found


def code() -> str:
    """Return a digest of the code that is attacked."""
    digest = hashlib.sha256()
    for name, path in files().items():
        digest.update(f"{name} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def commit() -> str:
    """Return the commit, with a word where files differ from it, or "unknown"."""
    try:
        name = _git("rev-parse", "HEAD")[:12]
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", ":!docs")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name + (" with changes" if changed else "")


def _git(*command: str) -> str:
    return subprocess.run(
        ["git", *command], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def machine() -> dict[str, str]:
    """Return processor, cores, vector width and versions."""
    from fastnn._cli.info import info

    facts = info()
    return {
        "processor": f"{facts['cpu']['name']}, {len(os.sched_getaffinity(0))} cores",
        "vector width": f"{facts['vector_bits']} bits",
        "system": f"{platform.system()} {platform.machine()}",
        **{name: facts["versions"][name] for name in VERSIONS},
    }
