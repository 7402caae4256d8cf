"""Files of plain arrays, and of facts as JSON: npz archives without pickles.

Arrays stand in them as they are, not compressed, so that a file takes about as much memory as it
has bytes.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from fastnn._utils import interrupts, schema
from fastnn._utils.files import File, reading, replacing, writing
from fastnn._utils.types import Array

if TYPE_CHECKING:
    import zipfile

Groups = Mapping[str, Mapping[str, Array]]

_FORMAT = 2
_HEADERS: Mapping[tuple[int, int], Any] = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


class Contents(NamedTuple):
    """What a file has.

    Attributes
    ----------
    source : str
        Its name, for messages.
    facts : dict
        As JSON gives them.
    groups : dict of str to dict of str to ndarray
    """

    source: str
    facts: dict[str, Any]
    groups: dict[str, dict[str, Array]]

    def reading(self, what: str) -> Any:
        """Return a context in which what is raised about the data names the file."""
        return schema.reading(self.source, what)


def write(file: File, facts: Mapping[str, Any], groups: Groups) -> None:
    """Write facts and groups of arrays: to a path, where a file is replaced by the whole one only.

    A file object is written to as it stands.
    """
    index = {"format": _FORMAT, "groups": [*groups], **facts}
    arrays: dict[str, Array] = {"facts": np.array(json.dumps(index, default=plain))}
    for group, members in groups.items():
        arrays |= {f"{group}/{key}": a for key, a in members.items()}
    # NumPy closes an archive that Ctrl-C interrupts, which can raise an error of its own instead.
    if isinstance(file, (str, os.PathLike)):
        with interrupts.held(), replacing(file) as whole:
            np.savez(whole, **arrays)  # type: ignore[arg-type]
        return
    with writing(file) as write_all:
        memory = io.BytesIO()  # an archive goes back, which what is written to may not
        with interrupts.held():
            np.savez(memory, **arrays)  # type: ignore[arg-type]
        write_all(memory.getbuffer())


def plain(value: Any) -> Any:
    """Return NumPy's numbers as Python's, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"expected a number or text to write to a file, got {value!r}")


def read(file: File, what: str, only: Collection[str] | None = None) -> Contents:
    """Return what a file of :func:`write` has.

    Parameters
    ----------
    file : str, path or file object
        A file object is read to its end.
    what : str
        What it should be, for the message.
    only : collection of str, optional
        The groups whose arrays are wanted, if not all.

    Raises
    ------
    ValueError
        If it is not a file of :func:`write`, of this format.
    """
    with reading(file) as (stream, source):
        return read_from(stream, source, what, only)


def read_from(
    stream: BinaryIO, source: str, what: str, only: Collection[str] | None = None
) -> Contents:
    """Return what an open file has, of a name for messages, as :func:`read` does."""
    try:
        facts, arrays = _facts_and_arrays(stream, only)
        stream.seek(0, os.SEEK_END)
        return Contents(source, facts, _grouped(facts["groups"], arrays))
    except Exception as error:  # damaged archives raise errors of all kinds
        raise schema.refusal(source, what, error) from error


def _facts_and_arrays(
    stream: BinaryIO, only: Collection[str] | None
) -> tuple[dict[str, Any], dict[str, Array]]:
    import zipfile

    size = stream.seek(0, os.SEEK_END)
    with zipfile.ZipFile(stream) as archive:
        members = archive.infolist()
        for member in members:
            if member.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{member.filename}: expected an array that is not compressed")
        # Members may overlap: a few bytes for very many arrays.
        total = sum(max(member.file_size, member.compress_size) for member in members)
        if total > size:
            raise ValueError(f"expected at most {size} bytes of arrays, its size, got {total}")
        names = {member.filename.removesuffix(".npy"): member for member in members}
        if len(names) < len(members):
            raise ValueError("expected arrays of different names")
        arrays = {
            name: _array(archive, member)
            for name, member in names.items()
            if only is None or name == "facts" or name.partition("/")[0] in only
        }
    if "facts" not in arrays:
        raise ValueError("expected an array facts, got none")
    facts = json.loads(str(arrays.pop("facts")))
    if not isinstance(facts, dict) or facts.get("format") != _FORMAT:
        raise ValueError(f"facts: expected format {_FORMAT}")
    schema.listed(schema.text)("groups", facts.get("groups"))
    return facts, arrays


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Array:
    """Return one array, whose header says no more than there is."""
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"{member.filename}: expected a header of NumPy's format 1 or 2")
        shape, _, dtype = _HEADERS[version](file)
        there = member.file_size - file.tell()
    declared = math.prod(shape) * dtype.itemsize
    if dtype.hasobject or declared != there:
        raise ValueError(
            f"{member.filename}: expected {declared} bytes, {dtype} of shape {shape}, got {there}"
        )
    with archive.open(member) as file:
        array: Array = npy.read_array(file, allow_pickle=False)
    return array


def _grouped(names: list[str], arrays: Mapping[str, Array]) -> dict[str, dict[str, Array]]:
    """Return arrays by group; each is in one of them."""
    groups: dict[str, dict[str, Array]] = {name: {} for name in names}
    for key, array in arrays.items():
        homes = [name for name in groups if key.startswith(f"{name}/")]
        if len(homes) != 1:
            raise ValueError(f"{key}: expected an array of one of {', '.join(names)}")
        groups[homes[0]][key[len(homes[0]) + 1 :]] = array
    return groups
