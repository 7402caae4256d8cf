"""Warnings that point to the user's line, however many of ours lie between."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Modules through which a call comes here: ours, wherever kernels lie, and those that call us back.
_OURS = {"contextlib", "fastnn", "functools", "importlib", "numba"}


class _Local(threading.local):
    caller: FrameType | None = None  # who has started what this thread does
    found: list[tuple[str, type[Warning]]] | None = None  # what to say elsewhere


_local = _Local()


@contextmanager
def called_by(frame: FrameType) -> Iterator[None]:
    """Warn, in this thread, as if the function of a frame had called what it does."""
    before, _local.caller = _local.caller, frame
    try:
        yield
    finally:
        _local.caller = before


@contextmanager
def collected() -> Iterator[list[tuple[str, type[Warning]]]]:
    """Keep what we would warn of in this thread, to be said by whoever asked for the work."""
    before, _local.found = _local.found, []
    try:
        yield _local.found
    finally:
        _local.found = before


def user() -> FrameType:
    """Return the frame of the innermost function on the stack that is none of this package.

    Frames are told by the names of their modules: the scripts of a book that import ours under
    its names are users, and so are tests and examples.
    """
    frame = sys._getframe(1)
    while _is_ours(frame):
        back = frame.f_back
        if back is None or _name(back) == "threading":
            back = _local.caller or back
        if back is None:
            break
        frame = back
    return frame


def warn(message: str, category: type[Warning]) -> None:
    """Warn on behalf of the user's function that has called us."""
    if _local.found is not None:
        _local.found.append((message, category))
        return
    frame = user()
    try:
        warnings.warn_explicit(
            message,
            category,
            frame.f_code.co_filename,
            frame.f_lineno,
            frame.f_globals.get("__name__", "<unknown>"),
            frame.f_globals.setdefault("__warningregistry__", {}),
        )
    except Warning:  # where the program makes errors of them
        raise
    except (AttributeError, OSError, ValueError):  # standard error is closed, or no file
        pass


def _name(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


def _is_ours(frame: FrameType) -> bool:
    return _name(frame).partition(".")[0] in _OURS
