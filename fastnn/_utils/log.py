"""What the library says on standard error, unless told to be quiet.

Most programs hear nothing: the logger is loaded with the first line.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from fastnn._utils.environment import variable

__all__ = ["say", "show"]

_ON, _OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def say(line: str) -> None:
    """Print a line, unless ``FASTNN_QUIET`` is 1 or the logger's level is above INFO."""
    if not _is_quiet():
        from fastnn._utils.logger import LOGGER

        with contextlib.suppress(AttributeError, OSError, ValueError):  # of a handler's stream
            LOGGER.info("%s", line)


def show(line: str, stream: Any) -> None:
    """Print a line if the stream can take it: what is shown must not end what it is about.

    Parameters
    ----------
    line : str
    stream : file or None
        Of a program without a console, closed, a pipe that nobody reads, on a full disk, a
        stand-in that raises what it likes: then there is no line.
    """
    if stream is None:
        return
    with contextlib.suppress(Exception):
        try:
            print(line, file=stream, flush=True)
        except UnicodeEncodeError:  # a name, in a stream of another encoding
            print(line.encode("ascii", "backslashreplace").decode(), file=stream, flush=True)


def _is_quiet() -> bool:
    return (variable("FASTNN_QUIET") or "0").lower() not in _OFF


if _is_quiet() and str(variable("FASTNN_QUIET")).lower() not in _ON:
    raise ValueError(
        f"FASTNN_QUIET: expected 1 or 0 (or {', '.join((*_ON[1:], *_OFF[1:]))}), "
        f"got {os.environ['FASTNN_QUIET']!r}"
    )
