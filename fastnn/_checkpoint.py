"""A training in a file: an npz archive of plain arrays, and of settings as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import _state as state
from fastnn._types import Array

if TYPE_CHECKING:
    from fastnn.fit import History

Path_ = str | os.PathLike[str]

_FORMAT = 1
_APART = "averages", "optimizer"  # in a history, but kept apart from it here


def save_checkpoint(path: Path, network: Any, optimizer: Any, history: History) -> None:
    """Write network, optimizer and history; a file that is there is replaced at the end."""
    settings, states = state.optimizer_state(optimizer)
    names = [f.name for f in dataclasses.fields(history) if f.name not in _APART]
    recorded = {name: getattr(history, name) for name in names}
    layers = state.layer_state(network)
    facts = {
        "format": _FORMAT,
        "optimizer": {"type": type(optimizer).__name__, "settings": settings, "states": [*states]},
        "layers": {k: v for k, v in layers.items() if not isinstance(v, np.ndarray)},
        "history": {k: v for k, v in recorded.items() if not isinstance(v, list)},
    }
    arrays: dict[str, Array] = {"facts": np.array(json.dumps(facts))}
    groups = {
        "params": network.params,
        "layers": {k: v for k, v in layers.items() if isinstance(v, np.ndarray)},
        "averages": history.averages or {},
        "history": {k: np.array(v) for k, v in recorded.items() if isinstance(v, list)},
    }
    groups |= {f"optimizer/{name}": values or {} for name, values in states.items()}
    for group, members in groups.items():
        arrays |= {f"{group}/{key}": a for key, a in members.items()}
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(part, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _group(file: Any, group: str) -> dict[str, Array]:
    """Return the arrays whose names begin with that of a group, without it."""
    prefix = f"{group}/"
    return {key[len(prefix) :]: file[key] for key in file.files if key.startswith(prefix)}


def load_checkpoint(path: Path_, network: Any, optimizer: Any) -> History:
    """Bring a network and an optimizer to where a :class:`Checkpoint` was written.

    ``network.fit(x, t, epochs, ..., optimizer=optimizer, resume=history)`` then goes on as if the
    training had not ended, with the same bits.

    Parameters
    ----------
    path : str or path
    network : MultiLayerNetExtend
        With layers of the same kinds and sizes and the same dtype. Parameters are written in
        place; running statistics of batch normalisation and seeds of dropout are set too.
    optimizer : Optimizer
        Of the same type. Its settings and state are set.

    Returns
    -------
    History
        What had been recorded.

    Raises
    ------
    ValueError
        If the file is no checkpoint, or that of another network or optimizer; nothing has
        been changed then.
    FileNotFoundError
        If there is no such file.
    """
    from fastnn.fit import History

    with np.load(path, allow_pickle=False) as file:
        try:
            facts = json.loads(str(file["facts"]))
            known = facts["format"] == _FORMAT
        except (KeyError, TypeError, ValueError):
            known = False
        if not known:
            raise ValueError(f"path: expected a checkpoint of this version of fastnn, got {path}")
        params, arrays, averages, lists = (
            _group(file, name) for name in ("params", "layers", "averages", "history")
        )
        states = {
            name: _group(file, f"optimizer/{name}") or None for name in facts["optimizer"]["states"]
        }
    layers = {**facts["layers"], **arrays}
    _expect_alike("network: parameters", _shapes(network.params), _shapes(params))
    _expect_alike("network: layers", {*state.layer_state(network)}, {*layers})
    _expect_alike("optimizer", type(optimizer).__name__, facts["optimizer"]["type"])

    for key, p in params.items():
        network.params[key][...] = p
    state.set_layer_state(network, layers)
    for name, value in {**facts["optimizer"]["settings"], **states}.items():
        setattr(optimizer, name, value)
    recorded = facts["history"] | {name: values.tolist() for name, values in lists.items()}
    recorded["metrics"] = tuple(recorded["metrics"])
    return History(**recorded, averages=averages or None, optimizer=optimizer)


def _shapes(params: dict[str, Array]) -> dict[str, Any]:
    return {key: (p.shape, str(p.dtype)) for key, p in params.items()}


def _expect_alike(name: str, ours: Any, theirs: Any) -> None:
    if ours != theirs:
        raise ValueError(f"{name}: expected {theirs}, as in the checkpoint, got {ours}")
