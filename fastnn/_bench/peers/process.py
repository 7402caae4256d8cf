"""A process that runs a script, for the time that it takes to start."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from typing import Any

from fastnn._bench.case import Variant


def starting(api: str, script: str, **variables: str) -> list[Variant]:
    """Return a variant that runs the script in a new process."""
    return [Variant(api, partial(_run, script, variables))]


def _run(script: str, variables: dict[str, str]) -> list[Any]:
    subprocess.run([sys.executable, "-c", script], env=os.environ | variables, check=True)
    return []
