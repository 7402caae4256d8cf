"""Reads files with one loader, changed by atheris towards code that was not reached before.

Arguments: the folder of the project, the loader's name, then those of libFuzzer.
"""

import random
import sys
import tempfile
import warnings
from pathlib import Path

import atheris

ROOT, NAME = sys.argv[1:3]
sys.path[:0] = [ROOT]
MODULES = [
    "fastnn.datasets",
    "fastnn.networks",
    "fastnn.training",
    "fastnn.search",
    "fastnn._utils",
]

with atheris.instrument_imports(include=MODULES):
    from tests.attack import loaders


def main():
    """Read until the time is over, or something does not hold."""
    warnings.simplefilter("ignore")
    loaders.wait_less()
    loader = next(each for each in loaders.LOADERS if each.name == NAME)
    with tempfile.TemporaryDirectory() as place:
        loader.make(Path(place, "good"))  # some need what lies beside it
        path = Path(place, "file-1")

        def read(data):
            path.write_bytes(data)
            outcome = loaders.judged(loader, path)
            path.unlink(missing_ok=True)
            if outcome not in ("accepted", "refused"):
                raise RuntimeError(outcome)

        def mutate(data, most, seed):
            random_ = random.Random(seed)
            for way in random_.sample(loader.ways, len(loader.ways)):
                try:
                    made = way(data, random_)
                except Exception:  # a way for whole files only
                    continue
                if len(made) <= most:
                    return made
            return atheris.Mutate(data, most)

        atheris.Setup([sys.argv[0], *sys.argv[3:]], read, custom_mutator=mutate)
        atheris.Fuzz()


main()
