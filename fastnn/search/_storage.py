"""Where a search is kept: in memory, or in a file, a journal of Optuna."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

from optuna.exceptions import OptunaError
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from fastnn._utils import schema
from fastnn._utils.files import path_of


def open_storage(path: str | os.PathLike[str] | None) -> BaseStorage:
    """Return the storage of a file, made if there is none, or one in memory."""
    if path is None:
        return InMemoryStorage()
    path = path_of("storage", path)
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


def file_of(storage: BaseStorage) -> str:
    """Return where a storage is, for messages."""
    return str(storage.journal.path) if isinstance(storage, _Storage) else "memory"


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
