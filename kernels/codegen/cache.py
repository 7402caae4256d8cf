"""Compiled kernels on disk, so that only the first process on a machine compiles them.

Numba's own cache looks at the time stamp or the content of one file, and misses a change in
a kernel that another file calls. Here the folder's name is a digest of everything the machine
code depends on: all kernel sources, the versions of fastnn, Numba, llvmlite, NumPy and Python,
Numba's settings and the vector width. The file's name is a digest of the function, its signature
and the CPU. A file is written under another name and then renamed, so that processes can start
side by side, and begins with a digest of its content, so that a damaged one is compiled again,
not run. Nor is one run that other users could have written.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import sys
import tempfile
from pathlib import Path
from pickle import loads
from typing import Any

import numba
from numba.core import serialize
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.errors import NumbaWarning

from fastnn._utils.paths import cache_dir
from fastnn._utils.warnings import warn
from fastnn.kernels.codegen.simd import vector_bits

_BINARY = getattr(os, "O_BINARY", 0)  # Windows

_rebuild: Any = CompileResult._rebuild
_dumps: Any = serialize.dumps

# Numba's settings that change the code it makes.
_SETTINGS = (
    "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO_DEFAULT",
    "DISABLE_INTEL_SVML", "ENABLE_AVX", "LLVM_REFPRUNE_PASS",
)  # fmt: skip


@functools.cache
def folder() -> Path:
    """Return the folder of compiled kernels that fit this installation."""
    settings = [getattr(numba.config, name, None) for name in _SETTINGS]
    digest = hashlib.sha256(f"{sys.version} {vector_bits()} {settings}".encode())
    for package in ("fastnn-kernels", "numba", "llvmlite", "numpy"):
        digest.update(f"{package} {importlib.metadata.version(package)}\n".encode())
    root = Path(__file__).parents[1]
    for source in sorted(root.rglob("*.py")):
        digest.update(source.relative_to(root).as_posix().encode() + b"\n" + source.read_bytes())
    return cache_dir() / "kernels" / digest.hexdigest()[:24]


def keeps() -> bool:
    """Say whether later processes will find what is compiled now."""
    place = parent = folder()
    while not os.path.exists(parent) and parent != parent.parent:
        parent = parent.parent
    writable = parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)
    return writable and (parent != place or _is_ours(place.stat()))


@functools.cache
def _warn_once(reason: str) -> None:
    warn(
        f"compiled kernels are not kept on disk, so each process compiles its own: {reason}; "
        "set FASTNN_CACHE_DIR to a folder that can be written",
        RuntimeWarning,
    )


def _is_ours(status: os.stat_result) -> bool:
    """Say whether only this user or the system can have written what has this status."""
    if not hasattr(os, "getuid"):
        return True
    return status.st_uid in (0, os.getuid()) and not status.st_mode & 0o022


def _read(path: Path) -> bytes | None:
    """Return the content of a file that is safe to run code from, or None."""
    try:
        if not _is_ours(path.parent.stat()):
            return None
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | _BINARY)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        return file.read() if _is_ours(os.fstat(file.fileno())) else None


class _KernelCache(_Cache):
    """The compiled signatures of one kernel, a file each."""

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
        for path in folder().glob(f"{self._name}-*.bin"):
            path.unlink(missing_ok=True)

    def _path(self, signature: Any, codegen: Any) -> Path:
        key = f"{self._name} {signature} {codegen.magic_tuple()}"
        return folder() / f"{self._name}-{hashlib.sha256(key.encode()).hexdigest()[:24]}.bin"

    def has(self, signature: Any, codegen: Any) -> bool:
        """Say whether there is a file for this signature."""
        return self._path(signature, codegen).exists()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if not self._enabled:
            return None
        target_context.refresh()
        content = _read(self._path(sig, target_context.codegen()))
        if content is None:
            return None
        digest, payload = content[:32], content[32:]
        if hashlib.sha256(payload).digest() != digest:
            return None
        # Whatever does not unpickle or rebuild is compiled again.
        with contextlib.suppress(Exception):
            return _rebuild(target_context, *loads(payload))
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        if not self._enabled:
            return
        if data.library.has_dynamic_globals or any(not x.can_cache for x in data.lifted):
            warn(f"cannot cache kernel {self._name}", NumbaWarning)
            return
        payload: bytes = _dumps(data._reduce())
        path = self._path(sig, data.codegen)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(payload).digest() + payload)
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            _warn_once(str(error))


def enable(dispatcher: Any) -> Any:
    """Keep what `dispatcher` compiles on disk, if it is of this package; return it.

    The digest in the folder's name covers this package's sources and no others.
    """
    function = getattr(dispatcher, "py_func", None)  # None under NUMBA_DISABLE_JIT
    if function and function.__module__.startswith("fastnn.kernels."):
        dispatcher._cache = _KernelCache(f"{function.__module__}.{function.__name__}")
    return dispatcher
