"""A process that times cases of one commit when it is told to.

It reads lines of JSON, ``{"case": name, "calls": n}``, and answers each with
``{"seconds": s}``, or ``{"failed": why}`` for a case that cannot be made or ends with an error.
The first line that it writes says what it runs.
"""

from __future__ import annotations

import functools
import json
import sys
import time


def _answers(benchmarks: str):
    sys.path.insert(0, benchmarks)
    from benchmarks.cases import CASES

    import fastnn
    import fastnn.kernels

    @functools.lru_cache(maxsize=1)
    def prepared(case):
        call = CASES[case].make()
        call()  # compiles
        return call

    kinds = {name: case.kind for name, case in CASES.items()}
    yield {"fastnn": fastnn.__file__, "kernels": fastnn.kernels.__file__, "cases": kinds}
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            call = prepared(asked["case"])
            call()  # the other process had the cache
            start = time.perf_counter()
            for _ in range(asked["calls"]):
                call()
            yield {"seconds": time.perf_counter() - start}
        except Exception as error:  # whatever it is, it is for the other side to judge
            line = " ".join(str(error).split())  # Numba's messages have many
            yield {"failed": f"{type(error).__name__}: {line[:200]}"}


def main() -> None:
    # What a case prints is not for the other side.
    channel, sys.stdout = sys.stdout, sys.stderr
    for answer in _answers(sys.argv[1]):
        print(json.dumps(answer), file=channel, flush=True)


if __name__ == "__main__":
    main()
