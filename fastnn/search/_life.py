"""Trials in a database: signs of life, what becomes of those without, a database that is away."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage

from fastnn._utils import interrupts

PATIENCE = 60.0  # seconds that a database may be away
_PAUSES = 0.1, 2.0  # seconds from one attempt to the next: at first, at most

Result = TypeVar("Result")


def patiently(call: Callable[[], Result], patience: float = PATIENCE) -> Result:
    """Call a function of a storage, again and again while its database cannot be reached.

    It must be one that may be called twice: the first call may have been carried out.
    """
    pause, until = _PAUSES[0], time.monotonic() + patience
    while True:
        try:
            return call()
        except StorageInternalError as error:
            if not _is_away(error.__cause__) or time.monotonic() + pause > until:
                raise
        interrupts.let_through()
        time.sleep(pause)
        pause = min(2 * pause, _PAUSES[1])


def _is_away(cause: BaseException | None) -> bool:
    """Say whether an error is that of a connection, or of a database that others have locked."""
    errors: Any = sys.modules.get("sqlalchemy.exc")
    return errors is not None and isinstance(
        cause, (errors.OperationalError, errors.InterfaceError)
    )


class Heartbeat:
    """Tells a database, from a thread, that trials of this process are alive.

    Parameters
    ----------
    storage : BaseStorage
        Of others than databases nothing is told.
    """

    def __init__(self, storage: BaseStorage) -> None:
        self._storage: Any = storage
        found = getattr(storage, "get_heartbeat_interval", lambda: None)()
        self.interval: int | None = found
        self._alive: set[int] = set()
        self._lock, self._over = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, trial: int) -> None:
        """Tell of a trial, by its number in the database, from now on."""
        self._tell(trial)
        with self._lock:
            self._alive.add(trial)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._beat, name="fastnn-heartbeat", daemon=True
                )
                self._thread.start()

    def end(self, trial: int) -> None:
        """Tell of a trial no more."""
        with self._lock:
            self._alive.discard(trial)

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _beat(self) -> None:
        while not self._over.wait(self.interval):
            with self._lock:
                alive = [*self._alive]
            for trial in alive:
                self._tell(trial)

    def _tell(self, trial: int) -> None:
        with suppress(StorageInternalError):  # the next one may come through
            self._storage.record_heartbeat(trial)
