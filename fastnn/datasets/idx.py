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

__all__ = ["open_content", "read_idx"]

CHUNK = 1 << 16

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
        is_gzip = raw.peek(2)[:2] == b"\x1f\x8b"
        try:
            with gzip.GzipFile(fileobj=raw) if is_gzip else nullcontext(raw) as content:
                yield cast(BinaryIO, content)
        except (zlib.error, EOFError, gzip.BadGzipFile) as error:
            message = f"{path}: expected whole gzip data, got damaged or cut data ({error})"
            raise ValueError(message) from error


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
    with open_content(path) as content:
        dtype, ndim = _parse_magic(path, content.read(4))
        sizes = content.read(4 * ndim)
        if len(sizes) < 4 * ndim:
            raise ValueError(
                f"{path}: expected an IDX header of {4 + 4 * ndim} bytes for {ndim} dimensions, "
                f"got {4 + len(sizes)} bytes"
            )
        shape = struct.unpack(f">{ndim}I", sizes)
        # A damaged header can claim any size. Python integers cannot overflow, and memory is
        # taken only for what has been read.
        expected = dtype.itemsize * math.prod(shape)
        data = bytearray()
        while chunk := content.read(min(CHUNK, expected + 1 - len(data))):
            data += chunk
    if len(data) != expected:
        found = "more" if len(data) > expected else f"{len(data):,} bytes"
        raise ValueError(
            f"{path}: expected {expected:,} bytes of data for shape {shape} of {dtype.name}, "
            f"got {found}"
        )
    try:
        array: npt.NDArray[Any] = np.ndarray(shape, dtype, buffer=data)
    except ValueError as error:  # too many dimensions, or one of size 0 beside huge ones
        raise ValueError(
            f"{path}: expected a shape that a NumPy array can have, got {shape} ({error})"
        ) from error
    return array.astype(dtype.newbyteorder("="), copy=False)


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
