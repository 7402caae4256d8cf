"""What is recorded of each epoch, as rows of a file of comma-separated values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from fastnn.training.history import History

if TYPE_CHECKING:
    from pathlib import Path


class EpochRows:
    """The rows of a training in a file, which may have been cut off anywhere.

    Parameters
    ----------
    path : Path
    history : History
        Of a training that begins, or is resumed and goes on with the rows in the file.

    Raises
    ------
    ValueError
        If the file to go on with has other columns.
    """

    def __init__(self, path: Path, history: History) -> None:
        self._path, self._history = path, history
        self._names = ("epoch", *history.metrics, "lr", "seconds")
        self._done: int | None = None  # epochs that the file has; None: it has not been looked at
        self._kept = self._in_file() if history.epochs and path.is_file() else {}

    def _in_file(self) -> dict[int, bytes]:
        """Return the whole rows of epochs that the history has, by epoch."""
        head, *lines = self._path.read_bytes().splitlines(keepends=True) or [b""]
        expected = _line(self._names)
        if head.rstrip() != expected.rstrip() and not expected.startswith(head):
            raise ValueError(
                f"CSVLogger: expected the columns {','.join(self._names)} in {self._path}, "
                f"got {head.rstrip().decode(errors='replace')}"
            )
        kept: dict[int, bytes] = {}
        for line in lines:
            epoch = self._epoch_of(line)
            if 1 <= epoch <= self._history.epochs:
                kept.setdefault(epoch, line)
        return kept

    def _epoch_of(self, line: bytes) -> int:
        """Return the epoch that a row is of, 0 if it is not whole."""
        row = line.removesuffix(b"\n").removesuffix(b"\r").decode(errors="replace")
        values = row.split(",")
        whole = line.endswith(b"\n") and len(values) == len(self._names)
        if not whole or any(map(str.isspace, row)):  # which numbers may have around them, to Python
            return 0
        try:
            [float(value) for value in values]
            return int(values[0])
        except ValueError:
            return 0

    def write(self, epochs: int) -> None:
        """Write the rows that the file lacks of so many epochs."""
        lacking = range((self._done or 0) + 1, epochs + 1)
        rows = [_line((epoch, *self._history.row(epoch).values())) for epoch in lacking]
        if self._done is None:
            rows = [self._kept.get(epoch, row) for epoch, row in enumerate(rows, start=1)]
            self._replace(b"".join([_line(self._names), *rows]))
        elif rows:
            with open(self._path, "ab") as file:
                file.write(b"".join(rows))
        self._done = epochs

    def _replace(self, content: bytes) -> None:
        """Let the file have a content; what it has of it stays, so that it may be followed."""
        if not self._path.is_file():
            self._path.write_bytes(content)
            return
        with open(self._path, "r+b") as file:
            lines = zip(file.read().splitlines(True), content.splitlines(True), strict=False)
            same = sum(len(line) for line, _ in takewhile(lambda pair: pair[0] == pair[1], lines))
            file.seek(same)
            file.truncate()
            file.write(content[same:])


def _line(values: Sequence[Any]) -> bytes:
    return (",".join(map(str, values)) + "\r\n").encode()
