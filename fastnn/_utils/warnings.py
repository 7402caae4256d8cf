"""Warnings that point to the user's line, however many of ours lie between."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

# Modules through which a call comes here: ours, wherever kernels lie, and those that call us back.
_OURS = {"contextlib", "fastnn", "functools", "importlib", "numba"}


def warn(message: str, category: type[Warning]) -> None:
    """Warn on behalf of the innermost function on the stack that is none of this package.

    Frames are told by the names of their modules: the scripts of a book that import ours under
    its names are users, and so are tests and examples.
    """
    frame = sys._getframe(1)
    while _is_ours(frame) and frame.f_back is not None:
        frame = frame.f_back
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


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and name.partition(".")[0] in _OURS
