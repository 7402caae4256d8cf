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

import contextlib
import functools
import hashlib
import os
import sys
import time
from pathlib import Path
from pickle import loads
from typing import Any

import llvmlite
import numba
import numpy as np
from numba.core.errors import NumbaWarning

from fastnn._utils import distribution
from fastnn._utils.paths import kernels_dir
from fastnn._utils.trust import distrust, is_ours
from fastnn._utils.warnings import warn
from fastnn.kernels.codegen import internals
from fastnn.kernels.plain import sources
from fastnn.kernels.plain.level import vector_bits

_BINARY = getattr(os, "O_BINARY", 0)  # Windows
_LEFT = 3600  # seconds after which nobody writes a file any more

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


@functools.cache
def _key() -> str:
    """Return a digest of what machine code depends on, or raise LookupError."""
    settings = [getattr(numba.config, name, None) for name in _SETTINGS]
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
    if place is None or not _IS_KNOWN or _trouble(place):
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


def _trouble(place: Path) -> str:
    """Return why a folder can neither be read nor written, or ""."""
    try:
        return distrust(place)
    except OSError as error:
        return _said(error, place)


def _said(error: OSError, place: Path) -> str:
    """Return what an error says of a folder, and not of a file, whose name is another each time."""
    return f"{place}: {error.strerror or error}"


def _read(path: Path) -> bytes | None:
    """Return the content of a file that is safe to run code from, or None."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | _BINARY)
        with open(handle, "rb") as file:
            return file.read() if is_ours(os.fstat(handle)) else None
    except OSError:
        return None


def _make(place: Path) -> str:
    """Make a folder, if it is not there; return why it cannot be written to, or ""."""
    reason = _trouble(place)
    if reason:
        return reason
    try:
        for folder in (*reversed(place.parents), place):
            if not folder.exists():
                with contextlib.suppress(FileExistsError):  # another process was first
                    folder.mkdir(mode=0o755)
    except OSError as error:
        return _said(error, place)
    return _trouble(place)  # or another user was


def _write(path: Path, payload: bytes) -> None:
    """Write a file, whole or not at all, that all users can read and this one can write."""
    for left in path.parent.glob("*.tmp"):  # by processes that were killed
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _LEFT:
                left.unlink()
    temporary = path.with_name(f"{path.name}.{os.urandom(8).hex()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
    handle = os.open(temporary, flags, 0o644)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(hashlib.sha256(payload).digest() + payload)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


class _KernelCache:
    """The compiled signatures of one kernel, a file each, for Numba's dispatcher."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._enabled = True

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
        if place is None or _trouble(place):  # which `save_overload` speaks of
            return None
        content = _read(self._path(sig, target_context.codegen(), place))
        if content is None:
            return None
        digest, payload = content[:32], content[32:]
        if hashlib.sha256(payload).digest() != digest:
            return None
        try:
            return _rebuild(target_context, *loads(payload))
        except Exception as error:  # it is compiled again
            _warn_once(f"{internals.versions()} does not load them ({error!r})")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        place = self._place()
        if place is None or not self._enabled:
            return
        reason = _make(place)
        if reason:
            _warn_once(reason)
            return
        if data.library.has_dynamic_globals or any(not x.can_cache for x in data.lifted):
            warn(f"cannot cache kernel {self._name}", NumbaWarning)
            return
        try:
            payload: bytes = _dumps(_reduce(data))
        except Exception as error:  # it was compiled all the same
            _warn_once(f"{internals.versions()} does not write them ({error!r})")
            return
        try:
            _write(self._path(sig, data.codegen, place), payload)
        except OSError as error:
            _warn_once(_said(error, place))


def enable(dispatcher: Any) -> Any:
    """Keep what `dispatcher` compiles on disk, if it is of this package; return it.

    The digest in the folder's name covers this package's sources and no others.
    """
    function = getattr(dispatcher, "py_func", None)  # None under NUMBA_DISABLE_JIT
    if function and function.__module__.startswith("fastnn.kernels."):
        dispatcher._cache = _KernelCache(f"{function.__module__}.{function.__name__}")
    return dispatcher
