"""Compiled kernels on disk, so that only the first process on a machine compiles them.

Numba's own cache looks at the time stamp or the content of one file, and misses a change in
a kernel that another file calls. Here the folder's name is a digest of everything the machine
code depends on: all kernel sources, the versions of fastnn, Numba, llvmlite, NumPy and Python,
Numba's settings and the vector width. The file's name is a digest of the function, its signature
and the CPU. A file is written under another name and then renamed, so that processes can start
side by side, and begins with a digest of its content, so that a damaged one is compiled again,
not run. Nor is one run that other users could have written or put there. They can read what this
one writes: who builds a container often is not who runs it.

What keeps the folder from being used is said in one warning: each process compiles then.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from pathlib import Path
from pickle import loads
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.errors import NumbaWarning

from fastnn._utils import distribution
from fastnn._utils.paths import kernels_dir
from fastnn._utils.warnings import warn
from fastnn.kernels.codegen import internals
from fastnn.kernels.plain import sources, storage
from fastnn.kernels.plain.level import vector_bits

_LOST = "compiled kernels are not kept on disk, so each process compiles its own"

_dumps: Any = internals.find("numba.core.serialize", "dumps", _LOST)
_rebuild: Any = internals.find("numba.core.compiler", "CompileResult._rebuild", _LOST)
_reduce: Any = internals.find("numba.core.compiler", "CompileResult._reduce", _LOST)
_IS_KNOWN = None not in (_dumps, _rebuild, _reduce)  # else `compile` warns

# Numba's settings that change the code it makes.
_SETTINGS = (
    "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT",
    "DISABLE_INTEL_SVML", "ENABLE_AVX", "LLVM_REFPRUNE_PASS",
)  # fmt: skip


def _settings() -> list[Any]:
    return [getattr(numba.config, name, None) for name in _SETTINGS]


_AT_FIRST = str(_settings())


def is_usual() -> bool:
    """Say whether Numba's settings are those that it began with."""
    return str(_settings()) == _AT_FIRST


@functools.cache
def _key() -> str:
    """Return a digest of what machine code depends on, or raise LookupError."""
    settings = _settings()
    digest = hashlib.sha256(f"{sys.version} {vector_bits()} {settings}".encode())
    versions = {module.__name__: module.__version__ for module in (numba, llvmlite, np)}
    digest.update(f"{distribution.VERSION} {versions}\n".encode())
    digest.update(sources.digest("fastnn.kernels").encode())
    return digest.hexdigest()[:24]


@functools.cache
def folder() -> Path | None:
    """Return the folder of compiled kernels that fit this installation.

    None, with a warning, where it cannot be told what the installation consists of.
    """
    try:
        return kernels_dir() / _key()
    except LookupError as error:
        warn(f"{_LOST}: {error}", RuntimeWarning)
        return None


def keeps() -> bool:
    """Say whether later processes will find what is compiled now."""
    place = folder()
    if place is None or not _IS_KNOWN or storage.trouble(place):
        return False
    while not os.path.exists(place) and place != place.parent:
        place = place.parent
    return place.is_dir() and os.access(place, os.W_OK | os.X_OK)


def files() -> list[Path]:
    """Return the files with compiled kernels that fit this installation."""
    place = folder()
    return list(place.glob("*.bin")) if place else []


@functools.cache
def _warn_once(reason: str) -> None:
    warn(
        f"{_LOST}: {reason}; set FASTNN_CACHE_DIR to a folder of your own that can be written",
        RuntimeWarning,
    )


class _KernelCache:
    """The compiled signatures of one kernel, a file each, for Numba's dispatcher."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._enabled = True
        self._objects: dict[Any, bytes] = {}

    @property
    def cache_path(self) -> str:
        return str(folder())

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        for path in files():
            if path.name.startswith(f"{self._name}-"):
                path.unlink(missing_ok=True)

    def _place(self) -> Path | None:
        return folder() if _IS_KNOWN else None

    def _path(self, signature: Any, codegen: Any, place: Path | None = None) -> Path:
        key = f"{self._name} {signature} {codegen.magic_tuple()}"
        name = f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.bin"
        return (place or Path()) / name

    def has(self, signature: Any, codegen: Any) -> bool:
        """Say whether there is a file for this signature."""
        place = self._place()
        return place is not None and os.access(self._path(signature, codegen, place), os.R_OK)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if not self._enabled:
            return None
        target_context.refresh()
        place = self._place()
        if place is None or storage.trouble(place):  # which `save_overload` speaks of
            return None
        payload = storage.read(self._path(sig, target_context.codegen(), place))
        if payload is None:
            return None
        try:
            reduced = loads(payload)
            result = _rebuild(target_context, *reduced)
        except Exception as error:  # it is compiled again
            _warn_once(f"{internals.versions()} does not load them ({error!r})")
            return None
        self._note(sig, reduced)
        return result

    def save_overload(self, sig: Any, data: Any) -> None:
        place = self._place()
        if place is None or not self._enabled:
            return
        reason = storage.make(place)
        if reason:
            _warn_once(reason)
            return
        if data.library.has_dynamic_globals or any(not x.can_cache for x in data.lifted):
            warn(f"cannot cache kernel {self._name}", NumbaWarning)
            return
        try:
            reduced = _reduce(data)
            payload: bytes = _dumps(reduced)
        except Exception as error:  # it was compiled all the same
            _warn_once(f"{internals.versions()} does not write them ({error!r})")
            return
        self._note(sig, reduced)
        try:
            storage.write(self._path(sig, data.codegen, place), payload)
        except OSError as error:
            _warn_once(storage.said(error, place))

    def _note(self, sig: Any, reduced: Any) -> None:
        """Keep the object code that is in what Numba writes, if it is in there as it was."""
        try:
            _, kind, (code, _) = reduced[0]
        except (IndexError, TypeError, ValueError):
            return
        if kind == "object":
            self._objects[sig] = bytes(code)

    def take_object(self, sig: Any) -> bytes | None:
        """Return, once, the object code of a signature that was compiled or loaded, or None."""
        return self._objects.pop(sig, None)


def enable(dispatcher: Any) -> Any:
    """Keep what `dispatcher` compiles on disk, if it is of this package; return it.

    The digest in the folder's name covers this package's sources and no others.
    """
    function = getattr(dispatcher, "py_func", None)  # None under NUMBA_DISABLE_JIT
    if function and function.__module__.startswith("fastnn.kernels."):
        dispatcher._cache = _KernelCache(f"{function.__module__}.{function.__name__}")
    return dispatcher
