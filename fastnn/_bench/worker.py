"""A process that measures: ``python -m fastnn._bench.worker SETTINGS``.

The number of threads and the processors it may run on were set by who started it, before any
library was imported: most of them read them once. Each result is printed as a line of JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack

from fastnn._bench import peers
from fastnn._bench.case import Case, WrongResultError
from fastnn._bench.families import FAMILIES
from fastnn._bench.measure import identity, measure
from fastnn._bench.settings import Settings
from fastnn._bench.training.spec import NotMeasuredError


def cases(settings: Settings) -> Iterator[tuple[str, Case]]:
    """Yield family and case."""
    for family in settings.families:
        for case in FAMILIES[family].cases(settings.dtype):
            if case.quick or not settings.quick:
                yield family, case


def main(argument: str) -> None:
    """Measure, and print each result."""
    settings = Settings(**json.loads(argument))
    found = peers.load()
    libraries = {name: module for name, module in found.items() if module is not None}
    with ExitStack() as sessions:
        for module in libraries.values():
            sessions.enter_context(module.session())
        for family, case in cases(settings):
            try:
                # A family that is not measured by timing calls has its own way.
                function = getattr(FAMILIES[family], "measure", measure)
                result = function(family, case, libraries, settings)
            except WrongResultError as error:
                result = {**identity(family, case, settings), "wrong": str(error)}
            except NotMeasuredError as error:
                result = {**identity(family, case, settings), "skipped": str(error)}
            print(json.dumps(result | {"libraries": list(libraries)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
