"""Time scripts for the book's modules on plain NumPy and on fastnn, in turns.

Each script runs in a process of its own, once on the transcription in plain NumPy and once as
`python -m fastnn run --as dlfs` does, and prints the seconds that it took after its imports and
its data were there. What else it prints must agree. NumPy has the number of threads with which
it is faster, of one and all.
"""

import argparse
import math
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from tqdm import tqdm

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[2] / "examples"))

from _timing import SPREAD_HEAD, Blas, Spread, Watch, best_threads, in_turns  # noqa: E402

NUMPY = {"PYTHONPATH": str(HERE.parent / "numpy_dlfs")}
# What sets the number of threads of the BLAS that NumPy may have, at its start.
THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
START = 10  # seconds that a script may take to load libraries and data


class Script:
    """A script, and what it printed last each way."""

    def __init__(self, path):
        self.path = str(path)
        self.results, self.limit = {}, None

    def fastnn(self):
        """Run it on fastnn; return the seconds that it took."""
        return self._run("fastnn", ["-m", "fastnn", "run", "--as", "dlfs"], {})

    def numpy(self, threads, limit=None):
        """Run it on NumPy with so many threads; return the seconds that it took."""
        numbers = {} if threads is None else dict.fromkeys(THREADS, str(threads))
        return self._run("numpy", [], NUMPY | numbers, limit)

    def trial(self, threads):
        """Do it to compare numbers of threads: infinity where it takes far longer than the last."""
        try:
            self.limit = 2 * self.numpy(threads, self.limit) + START
        except subprocess.TimeoutExpired:
            return math.inf
        return (self.limit - START) / 2

    def apart(self):
        """Return by how much the results of the two ways differ, at most."""
        pairs = zip(self.results["numpy"], self.results["fastnn"], strict=True)
        return max(abs(a - b) / max(abs(a), 1e-300) for a, b in pairs)

    def _run(self, way, options, environment, limit=None):
        done = subprocess.run(
            [sys.executable, *options, self.path],
            env=os.environ | environment, timeout=limit,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{self.path}: {done.stderr}")
        (_, *results), (_, seconds) = (line.split() for line in done.stdout.splitlines())
        self.results[way] = [float(number) for number in results]
        return float(seconds)


def main():
    """Measure all scripts, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = sorted(path.stem for path in HERE.glob("ch*.py"))
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=f"of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--seconds", type=float, default=120,
        help="for a script, at most, after three rounds (default: %(default)s)",
    )  # fmt: skip
    arguments = parser.parse_args()
    blas, watch, spreads = Blas(), Watch(), {}
    print("                                        NumPy's          NumPy / fastnn  results")
    print(f"script           NumPy s  fastnn s      threads {SPREAD_HEAD}  differ by")
    for name in arguments.scripts or names:
        script = Script(HERE / f"{name}.py")
        with tqdm(total=2 * arguments.rounds + 1, desc=name, unit=" runs", leave=False) as bar:

            def run(way, threads=()):
                seconds = way(*threads)
                bar.update()
                return seconds

            run(script.fastnn)  # compiles
            best = best_threads(script.trial, blas.choices, 0, least=1)
            turns = {
                "numpy": partial(run, script.numpy, (best.threads,)),
                "fastnn": partial(run, script.fastnn),
            }
            times = in_turns(turns, arguments.rounds, arguments.seconds)
        spreads[name] = spread = Spread.of(times, "numpy", "fastnn")
        print(
            f"{name:16} {times.median('numpy'):7.2f} {times.median('fastnn'):9.2f} "
            f"{best.threads or '?':>12} {spread} {script.apart():10.1e}",
            flush=True,
        )
    if busy := watch.verdict(spreads):
        print(f"\n{busy}")


if __name__ == "__main__":
    main()
