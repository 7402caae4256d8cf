"""Files of plain arrays, and of facts as JSON: npz archives without pickles."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastnn._utils.types import Array

Path_ = str | os.PathLike[str]
Groups = Mapping[str, Mapping[str, Array]]

_FORMAT = 2


def file_at(path: Path_) -> Path:
    """Return where a file is to be written, behind links; raise if there is no such folder."""
    path = Path(path)
    if not path.name:
        raise ValueError(f"path: expected the name of a file, got {str(path)!r}")
    path = path.resolve()
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path: there is no folder {path.parent}")
    return path


def write(path: Path_, facts: Mapping[str, Any], groups: Groups) -> None:
    """Write facts and groups of arrays; a file that is there is replaced when all is written."""
    path = file_at(path)
    index = {"format": _FORMAT, "groups": [*groups], **facts}
    arrays: dict[str, Array] = {"facts": np.array(json.dumps(index, default=_plain))}
    for group, members in groups.items():
        arrays |= {f"{group}/{key}": a for key, a in members.items()}
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")  # of this thread alone
    try:
        with open(part, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """Return NumPy's numbers as Python's, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"expected a number or text to write to a file, got {value!r}")


def read(path: Path_, *needed: str) -> tuple[dict[str, Any], dict[str, dict[str, Array]]]:
    """Return facts and groups of arrays.

    Parameters
    ----------
    path : str or path
    *needed : str
        Facts that must be there.

    Raises
    ------
    ValueError
        If it is not a file of :func:`write`, of this format, with the facts that are needed.
    """
    # NumPy leaves a file open that it cannot read.
    with open(Path(path), "rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as file:
                facts = json.loads(str(file["facts"]))
                if facts["format"] != _FORMAT or not facts.keys() >= {*needed}:
                    raise ValueError
                arrays = {key: file[key] for key in file.files}
        except Exception as error:  # damaged archives raise errors of all kinds
            what = "checkpoint" if "history" in needed else "network or checkpoint"
            raise ValueError(
                f"path: expected a {what} written by this version of fastnn, got {os.fspath(path)}"
            ) from error
    groups: dict[str, dict[str, Array]] = {}
    for group in facts["groups"]:
        prefix = f"{group}/"
        members = (key for key in arrays if key.startswith(prefix))
        groups[group] = {key[len(prefix) :]: arrays[key] for key in members}
    return facts, groups
