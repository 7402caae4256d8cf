"""Try a wheel with machine code in it where nothing else is: ``make wheel`` does.

An environment of its own, whose files cannot be written; no home, no cache, no compiler. README's
first example runs, Numba is not loaded, and no file appears.
"""

import os
import re
import stat
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"

AFFINE = """
import numpy as np
from fastnn import ops
x, W, b = (np.ones(shape, np.float32) for shape in ((64, 100), (100, 50), 50))
assert (ops.affine(x, W, b) == 101).all()
"""
LOADED = """
import sys
from fastnn.kernels.machine import code
assert code.source().startswith("made ahead"), code.source()
assert not {"numba", "llvmlite"} & {*sys.modules}
"""


def example():
    """Return README's first example."""
    (script,) = re.findall(r"^```python\n(.*?)^```$", README.read_text(), re.M | re.S)[:1]
    return script


def state(folder):
    """Return what is in a folder: the times of all files, by their paths."""
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def close(folder):
    """Let nobody write into a folder."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)


def reopen(folder):
    """Let the owner remove it."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def attempt(wheel, place):
    """Install a wheel in a folder, and use it."""
    home, empty = place / "environment", place / "empty"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "install", "--no-cache-dir", wheel], check=True)
    empty.mkdir()
    close(home)
    close(empty)
    before = state(place)
    for script in (AFFINE, example()):
        subprocess.run(
            [python, "-W", "error", "-c", script + LOADED],
            cwd=empty, env={"HOME": str(empty), "PATH": "", "TMPDIR": str(empty)}, check=True,
        )  # fmt: skip
    if (after := state(place)) != before:
        raise SystemExit(f"files were written: {sorted(set(after.items()) ^ set(before.items()))}")


def main(wheel):
    """Try a wheel; leave nothing behind."""
    with tempfile.TemporaryDirectory() as temporary:
        try:
            attempt(os.path.abspath(wheel), Path(temporary))
        finally:
            reopen(Path(temporary))
    size = os.path.getsize(wheel) / 1e6
    print(f"{wheel}, {size:.1f} MB: it runs in an empty environment, and writes nothing")


if __name__ == "__main__":
    main(*sys.argv[1:])
