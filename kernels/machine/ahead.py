"""Machine code that came with the installation: a shared library for each level of processors.

``python -m fastnn.build`` makes them, and beside them a manifest: of which sources, for which
system, and a digest of each. A library runs only if all of that is as it says, and if nobody could
have written it who could not have written this module. Neither Python nor Numba is called from it.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from fastnn._utils import distribution
from fastnn._utils.trust import is_as_ours
from fastnn.kernels.machine import level
from fastnn.kernels.machine.level import Level
from fastnn.kernels.plain import sources, table
from fastnn.kernels.plain.level import vector_bits

PACKAGE = "fastnn.kernels"
FOLDER = Path(__file__).parents[1] / "libraries"
MANIFEST = "manifest.json"
POOL = "fastnn_pool"  # a word in each library: where the table is that threads share work by


class Refused(Exception):
    """A library that is there and does not run, and why."""


class Library:
    """A library that is loaded.

    Attributes
    ----------
    level : Level
    path : Path
    """

    def __init__(self, level: Level, path: Path) -> None:
        self.level, self.path = level, path
        self._loaded = ctypes.CDLL(str(path))
        ctypes.c_int64.in_dll(self._loaded, POOL).value = table.address()

    def address(self, symbol: str) -> int:
        """Return where what has a name begins.

        Raises
        ------
        LookupError
            If the library has nothing of that name.
        """
        try:
            return ctypes.addressof(ctypes.c_char.in_dll(self._loaded, symbol))
        except ValueError:
            raise LookupError(f"{self.path} has no {symbol}") from None


def _read(path: Path) -> bytes:
    """Return the content of a file.

    Raises
    ------
    Refused
        If others could have written it than could have written this module.
    """
    with path.open("rb") as file:
        pairs = (
            (path, os.fstat(file.fileno()), os.stat(__file__)),
            (path.parent, path.parent.stat(), Path(__file__).parent.stat()),
        )
        for place, status, other in pairs:
            if not is_as_ours(status, other):
                raise Refused(f"{place} can be written by others than the package that it is in")
        return file.read()


def _manifest(path: Path) -> dict[str, Any]:
    content = _read(path)
    try:
        manifest = json.loads(content)
        texts = [manifest[name] for name in ("fastnn", "system", "sources")]
        digests = manifest["libraries"]
        texts += [*digests, *digests.values()]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Refused(f"{path} is no manifest") from None
    if not all(isinstance(text, str) for text in texts):
        raise Refused(f"{path} is no manifest")
    return dict(manifest)


def _unlike(manifest: dict[str, Any]) -> str:
    """Return what libraries were not made for or of, or ""."""
    if manifest["system"] != level.system():
        return f"it was made for {manifest['system']}, and this is {level.system()}"
    if manifest["fastnn"] != distribution.VERSION:
        return f"it was made of version {manifest['fastnn']}, and this is {distribution.VERSION}"
    # In a frozen program there are none to be edited: what it was made with is of one version.
    if sources.has_files(PACKAGE) and manifest["sources"] != sources.digest(PACKAGE):
        return f"it was made of other sources than those of {PACKAGE}"
    return ""


def load(folder: Path) -> Library | None:
    """Return the library in a folder for this processor, or None where there is no manifest.

    Raises
    ------
    Refused
        If there is one that does not run here, with the file and the reason.
    """
    try:
        manifest = _manifest(folder / MANIFEST)
    except (FileNotFoundError, NotADirectoryError):  # or the package is in an archive
        return None
    except OSError as error:
        raise Refused(f"{folder / MANIFEST} cannot be read: {error.strerror or error}") from None
    if reason := _unlike(manifest):
        raise Refused(f"{folder} has machine code made ahead, which does not run: {reason}")
    digests, fitting = manifest["libraries"], level.fitting()
    if fitting is None or fitting.name not in digests:
        there = ", ".join(digests)
        raise Refused(
            f"{folder} has machine code made ahead for {there}, and none for "
            f"{vector_bits()}-bit vectors on this processor"
        )
    path = folder / f"{fitting.name}.so"
    try:
        if hashlib.sha256(_read(path)).hexdigest() != digests[fitting.name]:
            raise Refused(f"{path} is not what was made: it was damaged or altered")
        return Library(fitting, path)
    except OSError as error:  # of the system's loader too
        raise Refused(f"{path} cannot be loaded: {error.strerror or error}") from None
