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
import sys
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

_SAYS = "{} has machine code made ahead, which does not run: {}"


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


def _owner() -> Path:
    """Return a file of this package, or the program that it is frozen into."""
    own = Path(__file__)
    return own if own.exists() else Path(sys.executable)


def _read(path: Path) -> bytes:
    """Return the content of a file.

    Raises
    ------
    Refused
        If others could have written it than could have written this module.
    """
    own = _owner()
    with path.open("rb") as file:
        real = path.resolve()
        pairs = [(path, os.fstat(file.fileno()), own.stat())]
        # Where it is a link, who can write in either folder can put another there.
        for folder in dict.fromkeys((path.parent, real.parent)):
            pairs.append((folder, folder.stat(), own.parent.stat()))
        for place, status, other in pairs:
            if not is_as_ours(status, other):
                raise Refused(f"{place} can be written by others than the package that it is in")
        return file.read()


def _is_packed(path: Path) -> bool:
    """Say whether the archive that this package is imported from has a file."""
    loader: Any = __spec__ and __spec__.loader
    try:
        return bool(loader.get_data(str(path)))
    except (AttributeError, OSError):
        return False


def _manifest(path: Path) -> dict[str, Any]:
    content = _read(path)
    try:
        manifest = json.loads(content)
        texts = [manifest[name] for name in ("fastnn", "system", "sources")]
        digests = manifest["libraries"]
        texts += [*digests, *digests.values()]
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
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
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        if not _is_packed(folder / MANIFEST):
            return None
        reason = "it is in an archive"
        raise Refused(_SAYS.format(folder, reason)) from None
    except OSError as error:
        raise Refused(f"{folder / MANIFEST} cannot be read: {error.strerror or error}") from None
    if reason := _unlike(manifest):
        raise Refused(_SAYS.format(folder, reason))
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
    except (OSError, ValueError) as error:  # of the system's loader too, or it has no such word
        reason = getattr(error, "strerror", None) or str(error)
        raise Refused(f"{path} cannot be loaded: {reason}") from None
