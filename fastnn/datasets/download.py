"""Fetching one file from the first of several mirrors that has it."""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import closing
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

from fastnn._messages.bars import Progress
from fastnn._utils import distribution as _distribution
from fastnn._utils.files import replacing
from fastnn.datasets.idx import CHUNK, open_content

__all__ = ["fetch"]


class _MirrorFailure(Exception):
    """What a mirror gave instead of the file."""


def fetch(
    name: str,
    mirrors: Sequence[str],
    folder: Path,
    *,
    size: int,
    sha256: str,
    advice: str = "",
    timeout: float = 20.0,
) -> Path:
    """Download a file into a folder, with a progress bar.

    Parameters
    ----------
    name : str
        The name of the file, at the mirrors and in the folder.
    mirrors : sequence of str
        The addresses, ending in a slash, http or https, that are tried in turn.
    folder : Path
        Where the file goes; made if need be.
    size, sha256 : int, str
        The length and the SHA-256 of the content: of the unpacked bytes if the file is gzip,
        because mirrors pack the same content differently.
    advice : str
        What to do when no mirror has the file; ends the error message.
    timeout : float
        The seconds that a mirror may be silent for.

    Returns
    -------
    Path
        The file, which appears under its name only when it is whole and checked. Several
        processes may fetch the same file at once.

    Raises
    ------
    ConnectionError
        When no mirror gave the file: what each of them answered.
    OSError
        When the folder cannot be made or written to.
    """
    _make_folder(folder)
    target = folder / name
    answers, whole = [], False
    try:
        with replacing(target) as part:
            for mirror in mirrors:
                try:
                    _receive(mirror + name, name, part, limit=2 * size + 65536, timeout=timeout)
                    _check(Path(part.name), size, sha256)
                except _MirrorFailure as failure:
                    # One line for each, whatever is in a server's own words.
                    answers.append(f"  {mirror + name}: {' '.join(str(failure).split())}")
                else:
                    whole = True
                    break
            else:
                lines = [f"{name} could not be downloaded. Mirrors tried:", *answers, advice]
                raise ConnectionError("\n".join(lines).rstrip())
    except PermissionError:
        # Windows refuses to replace a file that somebody is reading: another process was
        # first, and its copy has passed the same check.
        if not (whole and target.exists()):
            raise
    return target


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        # OSError picks the subclass that belongs to errno.
        raise OSError(
            error.errno,
            f"the folder for downloads cannot be made ({error.strerror}); "
            "set FASTNN_CACHE_DIR to a folder that can be written to",
            str(folder),
        ) from error


def _receive(url: str, name: str, part: BinaryIO, *, limit: int, timeout: float) -> None:
    """Write what an address gives to a file, which need not be the right content."""
    # The network's errors are turned into _MirrorFailure inside _body; an error of the disk is
    # none of the mirror's and goes straight up.
    part.seek(0)
    part.truncate()
    with closing(_body(url, name, limit, timeout)) as body:
        for piece in body:
            part.write(piece)
    part.flush()


def _body(url: str, name: str, limit: int, timeout: float) -> Generator[bytes, None, None]:
    """Yield what an address gives, piece by piece; refuse a body that was cut."""
    request = urllib.request.Request(url, headers={"User-Agent": f"fastnn/{_distribution.VERSION}"})
    received = 0
    try:
        with _opener().open(request, timeout=timeout) as response:
            announced = response.headers.get("Content-Length", "")
            total = int(announced) if announced.isdecimal() else None
            with Progress(total, "B", desc=name, unit_scale=True) as bar:
                while piece := response.read(CHUNK):
                    received += len(piece)
                    if received > limit:
                        raise _MirrorFailure(f"expected at most {limit:,} bytes, got more")
                    bar.advance(len(piece))
                    yield piece
    except urllib.error.HTTPError as error:
        error.close()
        raise _MirrorFailure(f"HTTP {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _MirrorFailure(str(error.reason)) from error
    except (OSError, HTTPException) as error:
        raise _MirrorFailure(f"{type(error).__name__}: {error}") from error
    # http.client ends such a body as if it were whole.
    if total is not None and received != total:
        raise _MirrorFailure(f"connection cut: expected {total:,} bytes, got {received:,}")


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener that knows http and https only, also after a redirect."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _check(part: Path, size: int, sha256: str) -> None:
    """Refuse a file whose content is not the expected one."""
    digest = hashlib.sha256()
    length = 0
    try:
        with open_content(part) as content:
            while length <= size and (chunk := content.read(CHUNK)):
                digest.update(chunk)
                length += len(chunk)
    except ValueError as error:
        raise _MirrorFailure(f"expected whole gzip data, got {error.__cause__}") from error
    if length > size:  # reading stopped there: packed data can be a thousand times longer
        raise _MirrorFailure(f"expected {size:,} bytes of content, got more")
    if digest.hexdigest() != sha256:
        raise _MirrorFailure(
            f"expected {size:,} bytes of content with SHA-256 {sha256}, "
            f"got {length:,} bytes with SHA-256 {digest.hexdigest()}"
        )
