"""Try a wheel with machine code in it where nothing else is: ``make wheel`` does.

For each Python an environment of its own, whose files cannot be written; no home, no cache, no
compiler. All of README's examples and the commands run (`trial.py`): nothing is compiled, Numba is
not loaded, and no file appears but those that the examples save. Then again without Numba.
"""

import argparse
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
README, TRIAL = HERE.parents[1] / "README.md", HERE / "trial.py"
NOT_NEEDED = ("numba", "llvmlite", "tqdm")  # of what is installed with it


def state(folder):
    """Return what is in a folder: the times of all files, by their paths."""
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


def close(folder):
    """Let nobody write into a folder."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222)


def reopen(folder):
    """Let the owner write into it, and remove it."""
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


def as_others():
    """Return what a command begins with so that root, too, cannot write where nobody can."""
    if os.geteuid():
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        print("no setpriv (util-linux) here: root may write anywhere; it is seen afterwards")
        return []
    return [setpriv, "--inh-caps=-all", "--bounding-set=-all"]


class Environment:
    """A Python with a wheel installed, in a folder of its own."""

    def __init__(self, place, python, wheel):
        self._home, self._empty, self._work = (place / name for name in ("home", "empty", "work"))
        self._python = self._home / "bin" / "python"
        self._empty.mkdir()
        close(self._empty)
        subprocess.run([python, "-m", "venv", self._home], check=True)
        self.pip("install", wheel)

    def pip(self, *arguments):
        """Install or uninstall something; nothing can be written afterwards."""
        reopen(self._home)
        pip = [self._python, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, *arguments], check=True)
        close(self._home)

    def run(self, *arguments, **variables):
        """Run Python; return the lines that it prints."""
        self._work.mkdir()
        before = state(self._home)
        done = subprocess.run(
            [*as_others(), self._python, "-I", "-W", "error", *arguments],
            cwd=self._work, env={"PATH": str(self._empty), **variables},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{arguments}:\n{done.stdout[-2000:]}\n{done.stderr}")
        if (after := state(self._home)) != before:
            raise SystemExit(f"files were written: {sorted({*after.items()} ^ {*before.items()})}")
        shutil.rmtree(self._work)
        return done.stdout.splitlines()

    def attempt(self):
        """Use what is installed; return what README's examples could not have, a line each."""
        widths = self.run(TRIAL, "widths")
        found = {*self.run(TRIAL, "unknown")}
        levels = {self.run(TRIAL, "affine", FASTNN_VECTOR_BITS=bits)[0] for bits in widths}
        assert found <= levels and len(levels) == len(widths), (found, levels, widths)
        facts = self.run(TRIAL, "command", "info")
        assert any(re.match("machine code +made ahead for ", line) for line in facts), facts
        (warmed,) = filter(None, self.run(TRIAL, "command", "warmup"))
        assert warmed.startswith("nothing to compile"), warmed
        lines = self.run(TRIAL, "examples", README)
        return [line for line in lines if line.startswith("left out: ")]


def try_with(python, wheel):
    """Try a wheel with a Python, with and without what compiles; say what was seen."""
    with tempfile.TemporaryDirectory() as temporary:
        place, begin = Path(temporary), time.perf_counter()
        try:
            environment = Environment(place, python, wheel)
            script = "import sys, numpy; print('Python', sys.version.split()[0], end=', NumPy ')"
            (versions,) = environment.run("-c", f"{script}; print(numpy.__version__)")
            left_out = environment.attempt()
            environment.pip("uninstall", "--yes", *NOT_NEEDED)
            environment.attempt()
            (said,) = environment.run(TRIAL, "own")
        finally:
            reopen(place)
    seconds = time.perf_counter() - begin
    print(f"{versions}: all runs, also without {', '.join(NOT_NEEDED)} ({seconds:.0f} s)")
    return *left_out, f"a part of one's own, without Numba: {said}"


def main():
    """Try a wheel; leave nothing behind."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument(
        "--python",
        action="append",
        help="an interpreter, by its path or name; may be given several times (default: this one)",
    )
    parsed = parser.parse_args()
    wheel = parsed.wheel.resolve()
    notes = [try_with(python, wheel) for python in parsed.python or [sys.executable]]
    print(*notes[0], sep="\n")
    print(f"{wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB: nothing was compiled or written")


if __name__ == "__main__":
    main()
