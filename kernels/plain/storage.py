"""Files of machine code, which may be run only if nobody else can have written them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

from fastnn._utils.trust import distrust, is_ours

LEFT = 3600  # seconds after which nobody writes a file any more

_BINARY = getattr(os, "O_BINARY", 0)  # Windows


def trouble(place: Path) -> str:
    """Return why a folder can neither be read nor written, or ""."""
    try:
        return distrust(place)
    except OSError as error:
        return said(error, place)


def said(error: OSError, place: Path) -> str:
    """Return what an error says of a folder, and not of a file, whose name is another each time."""
    return f"{place}: {error.strerror or error}"


def read(path: Path) -> bytes | None:
    """Return what was written, if it is whole and safe to run code from, or None."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | _BINARY)
        with open(handle, "rb") as file:
            if not is_ours(os.fstat(handle)):
                return None
            content = file.read()
    except OSError:
        return None
    digest, payload = content[:32], content[32:]
    return payload if hashlib.sha256(payload).digest() == digest else None


def make(place: Path) -> str:
    """Make a folder, if it is not there; return why it cannot be written to, or ""."""
    reason = trouble(place)
    if reason:
        return reason
    try:
        for folder in (*reversed(place.parents), place):
            if not folder.exists():
                with contextlib.suppress(FileExistsError):  # another process was first
                    folder.mkdir(mode=0o755)
    except OSError as error:
        return said(error, place)
    return trouble(place)  # or another user was


def write(path: Path, payload: bytes) -> None:
    """Write a file, whole or not at all, that all users can read and this one can write."""
    for left in path.parent.glob("*.tmp"):  # by processes that were killed
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT:
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
