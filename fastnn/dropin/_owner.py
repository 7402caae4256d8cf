"""Where a script's own ``common``, ``dataset`` or ``cs231n`` lies, and what is said of it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any

from fastnn.dropin._sources import Source

__all__ = ["TELLS", "exported", "file_of", "folders", "run"]

TELLS = ("kept", "all", "error")
"""What may be said: what is kept, if something is; that and all that runs on fastnn; an error."""

tells = TELLS[0]

_INSTALLED = ("site-packages", "dist-packages")


def exported(source: Source, shown: str) -> dict[str, Any]:
    """Return what fastnn has for a module, by the names under which scripts find it."""
    contents = importlib.import_module(source.modules[shown])
    found = {key: getattr(contents, key) for key in contents.__all__}
    for key, other in source.others.items():
        if key in found:
            where, _, its_name = other.partition(":")
            del found[key]
            found[its_name] = getattr(importlib.import_module(where), its_name)
    return found


def folders(root: str) -> list[str]:
    """Return the folders in which Python would find the script's own package."""
    spec = PathFinder.find_spec(root)
    found = [*(spec.submodule_search_locations or ())] if spec else []
    # What is installed for all programs is another package of the same name.
    return [folder for folder in found if not set(_INSTALLED) & {*folder.split(os.sep)}]


def file_of(last: str, path: Iterable[str]) -> str | None:
    """Return the file that holds the module of this name in one of these folders."""
    for folder in path:
        for file in os.path.join(folder, last, "__init__.py"), os.path.join(folder, f"{last}.py"):
            if os.path.isfile(file):
                return file
    return None


def run(module: ModuleType, file: str) -> None:
    """Run a file as the contents of a module."""
    module.__file__ = file
    if os.path.basename(file) == "__init__.py":
        module.__path__ = [os.path.dirname(file)]
    with open(file, "rb") as binary:
        exec(compile(binary.read(), file, "exec", dont_inherit=True), module.__dict__)
