"""Files that are written whole or not at all, and what a process that was killed leaves of them."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from fastnn._utils.validation import brief

if TYPE_CHECKING:
    from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Path_ = str | os.PathLike[str]
File = Path_ | BinaryIO

_PART = re.compile(r"\.fastnn-[0-9a-f]{32}\.part$")
_OLD = 24 * 3600.0  # seconds, where files cannot be locked
_NEW = 60.0  # where they can, as some network drives lock them for one machine only
_written: set[str] = set()  # now, by this process, whose locks some network drives count as one


def path_of(name: str, value: Path_) -> Path:
    """Return a path; raise TypeError for what is none: `open` takes a number for an open file."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name}: expected a str or a path, got {brief(value)}")
    from pathlib import Path

    return Path(value)


def file_at(path: Path_) -> Path:
    """Return where a file is to be written, behind links; raise if there is no such folder."""
    path = path_of("path", path)
    if not path.name:
        raise ValueError(f"path: expected the name of a file, got {str(path)!r}")
    path = path.resolve()
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path: there is no folder {path.parent}")
    return path


@contextmanager
def replacing(path: Path_) -> Iterator[BinaryIO]:
    """Yield a file that takes the place of the one at a path when the block ends without an error.

    It stands beside that one until then, locked: what a killed process has left in the folder can
    be told by that nobody holds its lock, nor has written to it for a minute, and is removed here.
    """
    path = file_at(path)
    _remove_left_over(path.parent)
    file, part = _new_part(path)
    try:
        with file:
            yield file
            file.flush()
            # Or a power cut after the rename could leave an empty file under the final name.
            os.fsync(file.fileno())
            if fcntl is None:
                file.close()  # Windows renames no file that is open
            os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
        _written.discard(str(part))


@contextmanager
def writing(file: File) -> Iterator[Callable[[Any], None]]:
    """Yield a function that writes bytes, all of them, to a path or a file object.

    A file at a path is replaced by the whole one only; a file object is written to as it stands.
    """
    if isinstance(file, (str, os.PathLike)):
        with replacing(file) as whole:
            yield lambda data: _write(whole, data)
    else:
        target = _binary(file, "write")
        yield lambda data: _write(target, data)


def _write(target: BinaryIO, data: Any) -> None:
    """Write all, though a file object may take a part at a time."""
    rest = memoryview(data).cast("B")
    while rest:
        count = target.write(rest)
        rest = rest[len(rest) if count is None else count :]


@contextmanager
def reading(file: File) -> Iterator[tuple[BinaryIO, str]]:
    """Yield a file that can go back, of a path or a file object, and its name for messages."""
    if isinstance(file, (str, os.PathLike)):
        with open(file, "rb") as stream:
            yield stream, os.fspath(file)
        return
    given = _binary(file, "read")
    source = f"file object {getattr(given, 'name', type(given).__name__)}"
    seekable = callable(getattr(given, "seekable", None)) and given.seekable()
    yield (given if seekable else io.BytesIO(given.read())), source


def _binary(file: Any, method: str) -> BinaryIO:
    """Return a file object; raise TypeError unless it is open for a method, of bytes."""
    able = getattr(file, "readable" if method == "read" else "writable", lambda: True)
    if not callable(getattr(file, method, None)) or isinstance(file, io.TextIOBase) or not able():
        raise TypeError(
            f"path: expected the name of a file, or a file that is open to {method} bytes, "
            f"got {file!r}"
        )
    return file  # type: ignore[no-any-return]


def _new_part(path: Path) -> tuple[BinaryIO, Path]:
    """Return a new file beside that at a path, open and locked, and where it is."""
    while True:
        part = path.with_name(f"{path.name}.fastnn-{os.urandom(16).hex()}.part")
        _written.add(str(part))
        try:
            # open() gives it the permissions of any new file; those of tempfile would shut out a
            # group that shares it.
            file = open(part, "x+b")  # noqa: SIM115
        except BaseException:
            _written.discard(str(part))
            raise
        if fcntl is None:
            return file, part
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(part), os.fstat(file.fileno())):
                return file, part
        file.close()  # another process was faster to lock it than this one, and has removed it
        _written.discard(str(part))


def _remove_left_over(folder: Path) -> None:
    """Remove what processes that are no more were writing in a folder."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _PART.search(entry.name) and entry.path not in _written:
                with suppress(OSError):
                    _remove_unless_written(entry)


def _remove_unless_written(entry: os.DirEntry[str]) -> None:
    if not entry.is_file(follow_symlinks=False):
        return
    age = time.time() - entry.stat().st_mtime
    if fcntl is None:
        if age > _OLD:
            os.unlink(entry.path)
        return
    if age < _NEW:
        return
    with open(entry.path, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # an OSError if it is being written
        os.unlink(entry.path)
