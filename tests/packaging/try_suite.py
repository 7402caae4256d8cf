"""Run the tests against a wheel with machine code in it: ``make test-wheel`` does.

An environment of its own has the wheel and what tests need; a folder of its own the clone's files
without the package, which would be imported in its place. There all tests run once for each width
of vectors that this processor has. Left out, and counted by
pytest at the end, is what is marked as being about the repository.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ("fastnn", "kernels")
LEFT = ("build", "demo", "dist")
WIDTHS = """
import sys, fastnn
from fastnn.kernels.machine import level
assert fastnn.__file__.startswith(sys.prefix), fastnn.__file__
print(*(each.bits for each in level.LEVELS if level.is_reached(each)))
"""


def environment(wheel: Path, home: Path) -> Path:
    """Install the wheel, and what tests need, where they are not yet; return the Python there."""
    python = home / "bin" / "python"
    if not python.exists():
        venv.create(home, with_pip=True)
    pip = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    subprocess.run([*pip, f"{wheel}[dev]"], check=True)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", wheel], check=True)  # also if edited
    return python


def files(folder: Path) -> None:
    """Copy the clone's files to a folder, anew; the package stays away."""
    shutil.rmtree(folder, ignore_errors=True)
    left = {*PACKAGE, *LEFT}

    def ignored(place: str, names: list[str]) -> set[str]:
        if Path(place) != ROOT:
            return {"__pycache__"}
        return left | {name for name in names if name[0] == "." and name != ".github"}

    shutil.copytree(ROOT, folder, ignore=ignored)


def run(python: Path, folder: Path, bits: str, options: list[str]) -> int:
    """Run the tests with vectors of one width; return the exit code."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("FASTNN_")}
    kept.pop("PYTHONPATH", None)
    if data := os.environ.get("FASTNN_DATA_DIR"):
        kept["FASTNN_DATA_DIR"] = os.path.abspath(data)
    kept |= {"FASTNN_MACHINE_CODE": "ahead", "FASTNN_VECTOR_BITS": bits}
    print(f"=== {bits} bits", flush=True)
    command = [python, "-m", "pytest", "-m", "not repository", *options]
    return subprocess.run(command, cwd=folder, env=kept, check=False).returncode


def main(arguments: list[str]) -> int:
    """Return 0 if all tests pass at all widths."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("wheel", type=lambda text: Path(text).resolve(strict=True))
    parser.add_argument("--bits", action="append", help="a width of vectors; all if none is given")
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "suite", metavar="FOLDER")
    parser.add_argument("options", nargs="*", help="of pytest, after --")
    parsed = parser.parse_args(arguments)
    home, folder = parsed.into.resolve() / "environment", parsed.into.resolve() / "clone"
    python = environment(parsed.wheel, home)
    files(folder)
    asked = [python, "-c", WIDTHS]
    done = subprocess.run(asked, cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    here = done.stdout.split()
    wanted = parsed.bits or here
    for bits in (bits for bits in wanted if bits not in here):
        print(f"not tried: {bits} bits, which this processor has not")
    codes = [run(python, folder, bits, parsed.options) for bits in wanted if bits in here]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
