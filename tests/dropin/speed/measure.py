"""Time scripts for the book's modules on plain NumPy and on fastnn, in turns.

Each script runs in a process of its own, once on the transcription in plain NumPy and once as
`python -m fastnn run --as dlfs` does, and prints the seconds that it took after its imports and
its data were there. What else it prints must agree.
"""

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NUMPY = {**os.environ, "PYTHONPATH": str(HERE.parent / "numpy_dlfs")}


def run(script, ours):
    """Run a script; return its results as numbers, and the seconds that it took."""
    command = [sys.executable, *(["-m", "fastnn", "run", "--as", "dlfs"] if ours else []), script]
    done = subprocess.run(
        command, env=None if ours else NUMPY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{script}: {done.stderr}")
    (_, *results), (_, seconds) = (line.split() for line in done.stdout.splitlines())
    return [float(number) for number in results], float(seconds)


def main():
    """Measure all scripts, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = sorted(path.stem for path in HERE.glob("ch*.py"))
    parser.add_argument("scripts", nargs="*", metavar="SCRIPT", help=f"of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    arguments = parser.parse_args()
    print("script             NumPy s   fastnn s    ratio    results differ by")
    for name in arguments.scripts or names:
        script = str(HERE / f"{name}.py")
        run(script, ours=True)  # compiles
        pairs = [(run(script, ours=False), run(script, ours=True)) for _ in range(arguments.rounds)]
        theirs, ours = ([side[1] for side in sides] for sides in zip(*pairs, strict=True))
        ratio = statistics.median(a / b for a, b in zip(theirs, ours, strict=True))
        (numpy, _), (fastnn, _) = pairs[0]
        apart = max(abs(a - b) / max(abs(a), 1e-300) for a, b in zip(numpy, fastnn, strict=True))
        print(
            f"{name:16} {statistics.median(theirs):9.2f} {statistics.median(ours):10.2f} "
            f"{ratio:7.2f}x {apart:20.1e}"
        )


if __name__ == "__main__":
    main()
