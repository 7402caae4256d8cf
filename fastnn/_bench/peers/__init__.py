"""The operations of the benchmark, a module for each library, the same functions in each.

``with_compile`` and ``with_sklearn`` have that of whole training alone.

A function takes the operation's inputs as NumPy arrays and returns the ways in which the
library can do it; the fastest on the machine counts. Whatever can be prepared is prepared:
arrays are converted, outputs allocated, programs compiled.
"""

from __future__ import annotations

import importlib
from types import ModuleType

LIBRARIES = {
    "fastnn": "ours",
    "NumPy": "with_numpy",
    "PyTorch": "with_torch",
    "torch.compile": "with_compile",
    "JAX": "with_jax",
    "scikit-learn": "with_sklearn",
}


def load() -> dict[str, ModuleType | None]:
    """Return the modules by library, None for a library that is not installed."""
    modules: dict[str, ModuleType | None] = {}
    for library, name in LIBRARIES.items():
        try:
            modules[library] = importlib.import_module(f"{__name__}.{name}")
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("fastnn"):
                raise
            modules[library] = None
    return modules
