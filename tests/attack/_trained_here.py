"""Trains a small network in whatever environment it runs; writes bits and loss to a file.

Arguments: the folder of the project, the file, how it trains, and a file for errors.
"""

import json
import sys
import traceback

ROOT, MADE, WAY, ERRORS = sys.argv[1:5]
sys.path[:0] = [ROOT]


def result(verbose=False):
    """Train; return bits and loss."""
    from tests.attack import small

    if WAY == "verbose none":
        sys.stdout = sys.stderr = None
    net = small.network()
    history = small.train(net, 2, verbose=verbose)
    return {"bits": small.bits(net), "loss": history.loss[-1]}


def main():
    """Train in the way that is asked for; write the result."""
    if WAY == "locale":
        import locale

        try:
            locale.setlocale(locale.LC_ALL, "")
        except locale.Error:  # this machine has none
            locale.setlocale(locale.LC_ALL, "C")
    if WAY == "no arguments":
        del sys.argv[:]
    if WAY == "chdir":
        import os

        os.chdir("/proc")
    if WAY in ("spawn", "fork", "forkserver"):
        import multiprocessing

        with multiprocessing.get_context(WAY).Pool(2) as pool:
            results = pool.map(_of, range(4))
    elif WAY == "joblib":
        import joblib

        results = joblib.Parallel(2)(joblib.delayed(_of)(i) for i in range(4))
    elif WAY in ("thread", "threads"):
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(1 if WAY == "thread" else 4) as pool:
            results = list(pool.map(_of, range(4)))
    else:
        results = [result(verbose=WAY.startswith("verbose"))]
    if any(each != results[0] for each in results):
        raise ValueError(f"results differ: {results}")
    with open(MADE, "w") as file:
        json.dump(results[0], file)


def _of(number):
    return result()


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        with open(ERRORS, "w") as file:
            traceback.print_exc(file=file)
        raise
