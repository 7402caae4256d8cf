"""The logger ``fastnn``, with a handler that prints on standard error.

A program that has handlers of its own, by ``logging.basicConfig()`` or otherwise, gets the lines
through those alone.
"""

from __future__ import annotations

import contextlib
import logging
import sys

__all__ = ["LOGGER"]

LOGGER = logging.getLogger("fastnn")


class _Stderr(logging.Handler):
    """Prints where no other handler does, above progress bars."""

    def createLock(self) -> None:
        """Have none: held while a full pipe blocks, it would keep the process from ending."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Print a record, without a lock."""
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        stream = sys.stderr  # the present one
        if stream is None or _others(record.levelno):
            return
        # Bars are there only if someone has imported them.
        tqdm = getattr(sys.modules.get("tqdm"), "tqdm", None)
        clear = tqdm.external_write_mode(stream) if tqdm else contextlib.nullcontext()
        try:
            with clear:
                stream.write(f"{self.format(record)}\n")
                stream.flush()
        except (AttributeError, OSError, ValueError):  # closed, or a stand-in that is no file
            pass


def _others(level: int) -> bool:
    """Say whether a handler of the program shows records of a level, and not in a file only."""
    logger: logging.Logger | None = LOGGER
    while logger is not None:
        for handler in logger.handlers:
            hidden = isinstance(handler, (_Stderr, logging.FileHandler, logging.NullHandler))
            if not hidden and handler.level <= level:
                return True
        logger = logger.parent if logger.propagate else None
    return False


if LOGGER.level == logging.NOTSET:  # else the program has chosen one before
    LOGGER.setLevel(logging.INFO)
_handler = _Stderr()
_handler.setFormatter(logging.Formatter("fastnn: %(message)s"))
LOGGER.addHandler(_handler)
