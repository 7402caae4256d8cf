"""Files of named arrays in the format of the package `safetensors`.

A file is the length of its header (eight bytes, the lowest first), the header, which is JSON, and
the arrays one after the other. The header has the dtype, the shape and the place of each array, and
texts by name in ``__metadata__``. It is read and written here, not by that package, which returns
no metadata of a file object, knows no bfloat16 in NumPy, and writes to memory or over the old file.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from typing import Any, BinaryIO

import numpy as np

from fastnn._utils import schema
from fastnn._utils import validation as numbers
from fastnn._utils.files import File, writing
from fastnn._utils.types import Array

_METADATA = "__metadata__"
_LONGEST = 100_000_000  # bytes of a header, as that package has it
_AT_ONCE = 1 << 24  # bytes that are read
_DTYPES: Mapping[str, str] = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
    "I16": "<i2", "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items() if name != "BF16"}


def write(file: File, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write arrays, and texts, to a path or a file object, as :func:`archive.write` does.

    Raises
    ------
    TypeError
        If the format has no name for the dtype of an array; nothing has been written then.
    """
    # Those of wide numbers first, so that all are aligned.
    order = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    header: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    end = 0
    for name in order:
        array = arrays[name]
        if _little(array) not in _NAMES:
            raise TypeError(f"{name}: expected a dtype such as float32, got {array.dtype}")
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": _NAMES[_little(array)],
            "shape": [*array.shape],
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with writing(file) as write_all:
        write_all(len(text).to_bytes(8, "little") + text)
        for name in order:
            if arrays[name].size:
                write_all(np.ascontiguousarray(arrays[name], _little(arrays[name])).data)


def _little(array: Array) -> np.dtype[Any]:
    """Return the dtype of an array, of the byte order that files have."""
    return array.dtype.newbyteorder("<")


def is_one(stream: BinaryIO, named: bool) -> bool:
    """Say whether a file that can go back looks like one of this format.

    An archive does not, whatever its name; what looks like neither does if it is `named` so.
    """
    start = stream.tell()
    begin = stream.read(9)
    stream.seek(start)
    return begin[8:] == b"{" or (named and not begin.startswith(b"PK"))


def read_from(stream: BinaryIO, source: str, what: str) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays of a file, and its metadata.

    Parameters
    ----------
    stream : file object
        Read from where it is to its end.
    source, what : str
        Its name, and what it should be, for messages.

    Returns
    -------
    arrays : dict of str to ndarray
        Those of bfloat16 as float32, all others as they are.
    metadata : dict of str to str

    Raises
    ------
    ValueError
        If the file is damaged, or of another format.
    """
    try:
        return _read(stream)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(
            f"path: expected a {what}, a file of the format safetensors, got {source}: {error}"
        ) from error


def _read(stream: BinaryIO) -> tuple[dict[str, Array], dict[str, str]]:
    start = stream.tell()
    size = stream.seek(0, os.SEEK_END) - start
    stream.seek(start)
    length = int.from_bytes(stream.read(8), "little")
    if size < 8 or length > min(size - 8, _LONGEST):
        raise ValueError(
            f"expected 8 bytes, and a header as long as they say, of at most {_LONGEST:,} bytes, "
            f"got {size:,} bytes" + (f" and a header of {length:,}" if size >= 8 else "")
        )
    header = json.loads(stream.read(length).decode(), object_pairs_hook=_once)
    entries = schema.keyed(lambda name, value: value)("header", header)
    metadata = schema.keyed(schema.text)(_METADATA, entries.pop(_METADATA, {}))
    places = {name: _place(name, entry) for name, entry in entries.items()}
    end = 0
    for name, (*_, begin, after) in sorted(places.items(), key=lambda item: item[1][2:]):
        if begin != end:
            raise ValueError(
                f"{name}: expected data_offsets that begin at {end}, where the array before ends, "
                f"got {begin}"
            )
        end = after
    if end != size - 8 - length:
        raise ValueError(f"expected {end:,} bytes of arrays, got {size - 8 - length:,}")
    arrays: dict[str, Array] = {}
    for name, (code, shape, begin, _) in places.items():
        stream.seek(start + 8 + length + begin)
        arrays[name] = _array(stream, name, code, shape)
    stream.seek(start + size)
    return arrays, metadata


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a dict of JSON, each of whose names is there once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("header: expected arrays of different names")
    return found


def _place(name: str, entry: Any) -> tuple[str, tuple[int, ...], int, int]:
    """Return dtype, shape, begin and end of an array, which fit each other."""
    found = schema.entries(
        {
            "dtype": lambda where, value: numbers.one_of(where, value, tuple(_DTYPES)),
            "shape": schema.listed(_count),
            "data_offsets": schema.listed(_count),
        }
    )(name, entry)
    shape, offsets = tuple(found["shape"]), found["data_offsets"]
    wanted = math.prod(shape) * np.dtype(_DTYPES[found["dtype"]]).itemsize
    if len(offsets) != 2 or offsets[1] - offsets[0] != wanted:
        raise ValueError(
            f"{name}.data_offsets: expected begin and end of {wanted:,} bytes, {found['dtype']} of "
            f"shape {shape}, got {offsets}"
        )
    return found["dtype"], shape, *offsets


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(f"{name}: expected an integer, got {value}")
    return numbers.integer(name, value, 0)


def _array(stream: BinaryIO, name: str, code: str, shape: tuple[int, ...]) -> Array:
    array = np.empty(shape, _DTYPES[code])
    rest = array.reshape(-1).view(np.uint8).data
    while rest:
        part = stream.read(min(len(rest), _AT_ONCE))
        if not part:
            raise ValueError(f"{name}: expected {len(rest):,} bytes more")
        rest[: len(part)] = part
        rest = rest[len(part) :]
    if code == "BF16":  # the upper half of float32
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(array.dtype.newbyteorder("="), copy=False)
