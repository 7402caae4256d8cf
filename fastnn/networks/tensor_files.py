"""Networks in files of the format safetensors: arrays by PyTorch's names, and what the network is.

That stands in the metadata, so that such a file has all that an archive has.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

from fastnn._utils import archive, safetensors, schema
from fastnn._utils import validation as numbers
from fastnn._utils.archive import Contents, plain
from fastnn._utils.files import File, reading
from fastnn._utils.types import Array
from fastnn.exchange.names import tensors
from fastnn.networks.described import LEFT_OUT, WHAT

SUFFIX = ".safetensors"
_OURS, _FORMAT = "fastnn", 1


class Foreign(NamedTuple):
    """The arrays of a file that does not say what network they are of."""

    source: str
    arrays: dict[str, Array]


def is_named_so(file: File) -> bool:
    """Say whether a path ends as those of this format do."""
    return isinstance(file, (str, os.PathLike)) and str(file).lower().endswith(SUFFIX)


def write(file: File, network: Any) -> None:
    """Write a network to a file."""
    facts, groups = network._parts()
    arrays: dict[str, Array] = {}
    homes: dict[str, tuple[str, str, bool] | None] = {}
    for each in tensors(network):
        group, key = "layers", f"{each.layer}.{each.attribute}"
        if each.parameter is not None:
            key = each.parameter.key
            group = "params" if key in groups["params"] else LEFT_OUT
        known = key in groups.get(group, {})  # not statistics that there are none of yet
        arrays[each.name] = each.theirs(network)
        homes[each.name] = (group, key, each.transposed) if known else None
    there = {home[:2] for home in homes.values() if home}
    for group, members in groups.items():
        for key, array in members.items():
            if (group, key) not in there:  # what no layer names
                arrays[f"{group}.{key}"], homes[f"{group}.{key}"] = array, (group, key, False)
    index = {"format": _FORMAT, "groups": [*groups], "tensors": homes, **facts}
    # Names and orientation are PyTorch's, which readers tell by "pt".
    metadata = {"format": "pt", _OURS: json.dumps(index, default=plain)}
    safetensors.write(file, arrays, metadata)


def read(file: File) -> Contents | Foreign:
    """Return what a file of a network has, an archive or one of this format, as its bytes say.

    Raises
    ------
    ValueError
        If it is neither, or damaged.
    """
    with reading(file) as (stream, source):
        if not safetensors.is_one(stream, is_named_so(file)):
            return archive.read_from(stream, source, WHAT)
        arrays, metadata = safetensors.read_from(stream, source, WHAT)
    if _OURS not in metadata:
        return Foreign(source, arrays)
    with schema.reading(source, WHAT):
        return _contents(source, arrays, json.loads(metadata[_OURS]))


def _contents(source: str, arrays: dict[str, Array], facts: Any) -> Contents:
    if not isinstance(facts, dict) or facts.get("format") != _FORMAT:
        raise ValueError(f"metadata: expected format {_FORMAT}")
    names = schema.listed(schema.text)("groups", facts.get("groups"))
    homes = schema.keyed(schema.optional(_home))("tensors", facts.get("tensors"))
    schema.same_names("tensors", homes, arrays)
    groups: dict[str, dict[str, Array]] = {name: {} for name in names}
    for name, home in homes.items():
        if home is not None:
            group, key, transposed = home
            if group not in groups:
                raise ValueError(f"tensors[{name!r}]: expected one of {names}, got {group!r}")
            groups[group][key] = arrays[name].T if transposed else arrays[name]
    return Contents(source, facts, groups)


def _home(name: str, value: Any) -> tuple[str, str, bool]:
    if not isinstance(value, list) or len(value) != 3:
        raise ValueError(
            f"{name}: expected group, key and whether it is the transpose, got "
            f"{numbers.brief(value)}"
        )
    group, key = (schema.text(f"{name}[{i}]", value[i]) for i in range(2))
    return group, key, numbers.flag(f"{name}[2]", value[2])
