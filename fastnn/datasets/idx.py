"""The IDX file format, in which MNIST and its relatives are published."""

import gzip
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from fastnn._utils.files import path_of

__all__ = ["open_content", "read_idx"]

CHUNK = 1 << 16

_GZIP = b"\x1f\x8b"
_USUAL = 32  # bytes that one of a gzip file stands for, at most, in pictures; 1032 in what is made

# The third byte of a file names the type of its numbers, which are stored big-endian.
_DTYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}


@contextmanager
def open_content(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked if it is gzip, whatever its name says.

    Parameters
    ----------
    path : str or path-like
        The file. Gzip is known by the first two bytes.

    Yields
    ------
    file object
        The content. Reading it to its end checks gzip's own checksum.

    Raises
    ------
    ValueError
        When the gzip data turn out to be damaged or cut, at the opening or at any later read.
    """
    with open(path, "rb") as raw:
        is_gzip = raw.peek(2)[:2] == _GZIP
        try:
            with gzip.GzipFile(fileobj=raw) if is_gzip else nullcontext(raw) as content:
                yield cast(BinaryIO, content)
        except (zlib.error, EOFError, gzip.BadGzipFile) as error:
            message = f"{path}: expected whole gzip data, got damaged or cut data ({error})"
            raise ValueError(message) from error


def is_packed(path: str | os.PathLike[str]) -> bool:
    """Say whether a file is gzip, whatever its name says."""
    with open(path, "rb") as raw:
        return raw.read(2) == _GZIP


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """Read an array from an IDX file, raw or gzip.

    Parameters
    ----------
    path : str or path-like
        The file. Whether it is gzip is seen from its content, not from its name.

    Returns
    -------
    ndarray
        The array, of the file's shape and type (uint8, int8, int16, int32, float32 or float64)
        in the machine's own byte order; writable.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When the file is not IDX, is damaged, or has fewer or more bytes than its header says.
    """
    path = path_of("path", path)
    dtype, shape = read_header(path)
    expected = dtype.itemsize * math.prod(shape)
    _expect_room(path, shape, dtype, expected)
    try:
        array: npt.NDArray[Any] = np.empty(shape, dtype)
    except ValueError as error:  # too many dimensions, or one of size 0 beside huge ones
        raise ValueError(
            f"{path}: expected a shape that a NumPy array can have, got {shape} ({error})"
        ) from error
    data = memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    with open_content(path) as content:
        content.read(4 + 4 * len(shape))
        length = 0
        while length < expected:
            piece = content.read(min(CHUNK, expected - length))
            if not piece:
                raise _wrong_length(path, shape, dtype, f"{length:,} bytes")
            data[length : length + len(piece)] = piece
            length += len(piece)
        if content.read(1):
            raise _wrong_length(path, shape, dtype, "more")
    if not dtype.isnative:
        array = array.byteswap(inplace=True).view(dtype.newbyteorder("="))
    return array


def read_header(path: str | os.PathLike[str]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Read what an IDX file says that it holds.

    Parameters
    ----------
    path : str or path-like
        As for :func:`read_idx`.

    Returns
    -------
    dtype, tuple of int
        Type, in the file's byte order, and shape.

    Raises
    ------
    FileNotFoundError, ValueError
        As there.
    """
    with open_content(path) as content:
        dtype, ndim = _parse_magic(path, content.read(4))
        sizes = content.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise ValueError(
            f"{path}: expected an IDX header of {4 + 4 * ndim} bytes for {ndim} dimensions, "
            f"got {4 + len(sizes)} bytes"
        )
    return dtype, struct.unpack(f">{ndim}I", sizes)


def _expect_room(
    path: str | os.PathLike[str], shape: tuple[int, ...], dtype: np.dtype[Any], expected: int
) -> None:
    """Refuse, before memory is taken, a header that claims more than the file can hold.

    A file that is not packed has its size; one that is packed as no pictures are is read through
    once, for its length.
    """
    with open(path, "rb") as raw:
        packed = raw.read(2) == _GZIP
        there = raw.seek(0, os.SEEK_END)
    length = there - 4 - 4 * len(shape)
    if packed:
        if expected <= _USUAL * there:
            return
        with open_content(path) as content:
            length = -4 - 4 * len(shape)
            while length <= expected and (piece := content.read(CHUNK)):
                length += len(piece)
    if length != expected:
        found = "more" if length > expected else f"{length:,} bytes"
        raise _wrong_length(path, shape, dtype, found)


def _wrong_length(
    path: str | os.PathLike[str], shape: tuple[int, ...], dtype: np.dtype[Any], found: str
) -> ValueError:
    expected = dtype.itemsize * math.prod(shape)
    return ValueError(
        f"{path}: expected {expected:,} bytes of data for shape {shape} of {dtype.name}, "
        f"got {found}"
    )


def _parse_magic(path: str | os.PathLike[str], magic: bytes) -> tuple[np.dtype[Any], int]:
    """Return the type and the number of dimensions that the first four bytes stand for."""
    if len(magic) < 4:
        raise ValueError(f"{path}: expected an IDX header, got a file of {len(magic)} bytes")
    if magic[:2] != b"\0\0":
        raise ValueError(
            f"{path}: expected an IDX file, whose first two bytes are 00 00, "
            f"got {magic[:2].hex(' ')}"
        )
    code, ndim = magic[2], magic[3]
    if code not in _DTYPES:
        known = ", ".join(f"{known:#04x} ({dtype.name})" for known, dtype in _DTYPES.items())
        raise ValueError(f"{path}: expected an IDX type code out of {known}, got {code:#04x}")
    if ndim == 0:
        raise ValueError(f"{path}: expected an IDX header with 1 dimension or more, got 0")
    return _DTYPES[code], ndim
