"""Where a search is kept: in memory, in a file, which is a journal of Optuna, or in a database."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from fastnn._utils import schema
from fastnn._utils.files import path_of

Where = str | os.PathLike[str] | BaseStorage  # a file, the URL of a database, or one that is open

_PAUSES = 0.1, 0.3, 1.0, 3.0  # seconds from one attempt to open a database to the next
_LATE = 2  # signs of life that a trial in a database may miss


def open_storage(where: Where | None, heartbeat: int = 60) -> BaseStorage:
    """Return the storage of a file, made if there is none, of a database, or one in memory."""
    if where is None:
        return InMemoryStorage()
    if isinstance(where, BaseStorage):
        return where
    if is_url(where):
        return _database(str(where), heartbeat)
    path = path_of("storage", where)
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"storage: there is no folder {path.absolute().parent}")
    if path.is_dir():
        raise IsADirectoryError(f"storage: expected a file, got the folder {path}")
    if path.exists():
        with open(path, "rb") as file:
            begin = file.read(10)
        if not b'{"op_code"'.startswith(begin):
            raise ValueError(f"storage: {path} is a file of something else")
    return _Storage(_Journal(path))


@contextmanager
def opened(where: Where | None, heartbeat: int = 60) -> Iterator[BaseStorage]:
    """Open a storage; at the end close its connections, of which the next use opens new ones."""
    storage = open_storage(where, heartbeat)
    try:
        yield storage
    finally:
        if isinstance(storage, RDBStorage):
            storage.engine.dispose()


def is_url(where: object) -> bool:
    """Say whether a storage is named by a URL."""
    return isinstance(where, str) and "://" in where


def _database(url: str, heartbeat: int) -> RDBStorage:
    """Open a database, and make the tables that it lacks."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, DBAPIError

    try:
        shown = make_url(url).render_as_string(hide_password=True)
        for pause in (*_PAUSES, 0.0):
            try:
                return RDBStorage(
                    url,
                    # A connection may be gone when the next trial ends.
                    engine_kwargs={"pool_pre_ping": True},
                    heartbeat_interval=heartbeat,
                    grace_period=_LATE * heartbeat,
                )
            except DBAPIError as error:  # also where another process makes the same tables
                if not pause:
                    raise ConnectionError(f"storage: cannot open {shown}: {error.orig}") from error
            time.sleep(pause)
    except ArgumentError as error:
        raise ValueError(
            "storage: expected a path, or the URL of a database, such as sqlite:///search.db or "
            f"postgresql+psycopg://user@host/name, got {url!r} ({error})"
        ) from error
    except ImportError as error:
        raise ImportError(
            f'storage: {shown} needs the package of its driver, such as "psycopg[binary]" for '
            f"postgresql+psycopg://... ({error.__cause__ or error})"
        ) from error
    raise AssertionError


def place_of(storage: BaseStorage) -> str:
    """Return where a storage is, for messages."""
    if isinstance(storage, _Storage):
        return str(storage.journal.path)
    if isinstance(storage, RDBStorage):
        return str(storage.engine.url.render_as_string(hide_password=True))
    return "memory" if isinstance(storage, InMemoryStorage) else type(storage).__name__


class _Storage(JournalStorage):
    """A journal whose lines are read by Optuna, which raises errors of all kinds for some of them.

    What Optuna raises of its own accord, as for a study that is there already, comes through.
    """

    def __init__(self, journal: _Journal) -> None:
        self.journal = journal
        super().__init__(journal)

    def _sync_with_backend(self) -> None:
        try:
            super()._sync_with_backend()
        except (OSError, OptunaError):
            raise
        except Exception as error:
            raise ValueError(
                f"storage: {self.journal.path} is damaged in line {self.journal.line}: remove that "
                f"line and those after it, or give another file ({type(error).__name__}: {error})"
            ) from error


class _Lock(JournalFileOpenLock):
    """A lock of which a killed process leaves one file at most, which others take over in time.

    Optuna's own is renamed before it is removed: what is left between the two nobody removes.
    """

    def release(self) -> None:
        """Remove the file; raise RuntimeError if there is none."""
        try:
            os.unlink(self._lock_file)
        except OSError as error:
            raise RuntimeError(f"no lock {self._lock_file}") from error


class _Journal(JournalFileBackend):
    """A journal in a file, which goes on after a last line that was cut off.

    That happens when the disk is full, or a process is killed while it writes. Optuna's own
    appends to that line, and then cannot read the file any more.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.line = path, 1
        # Unlike symbolic links, this lock works on Windows too.
        self._open_lock = _Lock(str(path))
        super().__init__(str(path), lock_obj=self._open_lock)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Return lines, and keep the number of the one that is looked at."""
        self.line = log_number_from + 1
        for log in super().read_logs(log_number_from):
            if "study_name" in log:  # which Optuna takes as it is, and all messages name
                schema.text("study_name", log["study_name"])
            yield log
            self.line += 1

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines."""
        if self._is_cut():
            self._open_lock.acquire()
            try:
                if self._is_cut():  # and not a line that another process was writing
                    os.truncate(self.path, self.path.read_bytes().rfind(b"\n") + 1)
            finally:
                self._open_lock.release()
        super().append_logs(logs)

    def _is_cut(self) -> bool:
        with open(self.path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 1))
            return file.read(1) not in (b"", b"\n")
