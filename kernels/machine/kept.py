"""Machine code that Numba has made and kept, run by a later process that does not load Numba.

Numba takes half a second to load; LLVM, which links what is on disk, a tenth of that. A file holds
the object code of one kernel or part. Its name says all that the code depends on, as far as that
can be told without Numba: its settings count as the usual ones, so nothing is read or written where
they may be others.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

from fastnn._utils import distribution, interrupts
from fastnn._utils.paths import kernels_dir
from fastnn.kernels.plain import sources, storage, table
from fastnn.kernels.plain.level import vector_bits

_NUMBA = "numba"
_was_there = _NUMBA in sys.modules  # a program that loads it first may have changed its settings

_lock = threading.RLock()  # a fork waits for it: in a child nobody would give it back
_place = np.array([table.address()], np.int64)  # what machine code refers to
_loaded: dict[str, int] = {}


def _is_usual() -> bool:
    """Say whether Numba has the settings that it begins with."""
    configured = any(name.startswith("NUMBA_") for name in os.environ)
    return not (configured or _was_there or os.path.exists(".numba_config.yaml"))


def can_keep() -> bool:
    """Say whether what this process compiles may be read by those that do not load Numba."""
    return _is_usual() and _key() is not None


@functools.cache
def _key() -> str | None:
    """Return a digest of what machine code depends on, or None where that is not known."""
    from importlib.util import find_spec

    digest = hashlib.sha256(f"{sys.version} {vector_bits()} {np.__version__}".encode())
    try:
        for name in (_NUMBA, "llvmlite"):
            origin = getattr(find_spec(name), "origin", None) or ""
            digest.update(Path(origin).with_name("_version.py").read_bytes())
        digest.update(sources.digest("fastnn.kernels").encode())
    except (LookupError, OSError, ValueError):
        return None
    digest.update(distribution.VERSION.encode())
    return digest.hexdigest()[:24]


@functools.cache
def _processor() -> str:
    """Return a digest of what LLVM makes code for here."""
    llvm = _llvm()
    features = llvm.get_host_cpu_features().flatten()
    name = f"{llvm.get_process_triple()} {llvm.get_host_cpu_name()} {features}"
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _llvm() -> Any:
    import llvmlite.binding

    return llvmlite.binding


@functools.cache
def _engine() -> Any:
    """Return what links object code into this process."""
    llvm = _llvm()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.add_symbol("fastnn_pool", int(_place.ctypes.data))
    machine = llvm.Target.from_triple(llvm.get_process_triple()).create_target_machine(jit=True)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def _path(symbol: str) -> Path | None:
    """Return where the machine code of a name is kept, or None if none can be."""
    key = _key()
    return key and kernels_dir() / f"objects-{key}" / f"{symbol}-{_processor()}.o"  # type: ignore[return-value]


def address(symbol: str) -> int | None:
    """Return where the machine code of a name begins, or None if none is kept for this process.

    Where Numba is loaded nothing is won, and it tells those who listen what it does.
    """
    if symbol in _loaded:
        return _loaded[symbol]
    if _NUMBA in sys.modules or not _is_usual():
        return None
    with interrupts.held(), _lock:
        if symbol not in _loaded and (content := _read(symbol)) is not None:
            _loaded[symbol] = _linked(symbol, content)
    return _loaded.get(symbol)


def has(symbol: str) -> bool:
    """Say whether :func:`address` would find the machine code of a name."""
    return address(symbol) is not None


def _read(symbol: str) -> bytes | None:
    folder = kernels_dir()
    if not folder.is_dir() or (path := _path(symbol)) is None or storage.trouble(path.parent):
        return None
    return storage.read(path)


def _linked(symbol: str, content: bytes) -> int:
    """Link object code; return where it begins."""
    engine = _engine()
    engine.add_object_file(_llvm().ObjectFileRef.from_data(content))
    engine.finalize_object()
    return int(engine.get_function_address(symbol))


def keep(symbol: str, content: bytes) -> None:
    """Keep the object code of a name for later processes, if that is possible."""
    path = _path(symbol)
    if path is None or storage.make(path.parent) or storage.read(path) is not None:
        return
    try:
        storage.write(path, content)
    except OSError:  # of which the cache of Numba's own speaks
        return


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )
