"""A training in a file: network, optimizer, history and the settings of ``fit``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastnn._utils import archive
from fastnn._utils.archive import Path_
from fastnn.optimizers import OPTIMIZERS
from fastnn.optimizers.state import optimizer_state
from fastnn.optimizers.updater import as_of, go_on, owner_of
from fastnn.training.history import History
from fastnn.training.schedules import build, describe

_APART = "averages", "optimizer", "owner", "schedule"  # in a history, but kept apart from it here


def save_checkpoint(path: Path, network: Any, optimizer: Any, history: History) -> None:
    """Write network, optimizer and history; a file that is there is replaced at the end."""
    facts, groups = network._parts()
    settings, states = optimizer_state(as_of(optimizer, owner_of(network)))
    recorded = {k: v for k, v in history.facts().items() if k not in _APART}
    facts |= {
        "optimizer": {"type": type(optimizer).__name__, "settings": settings, "states": [*states]},
        "history": {k: v for k, v in recorded.items() if not isinstance(v, list)},
        "schedule": describe(history.schedule),
    }
    groups |= {
        "averages": history.averages or {},
        "history": {k: np.array(v) for k, v in recorded.items() if isinstance(v, list)},
        **{f"optimizer/{name}": values or {} for name, values in states.items()},
    }
    archive.write(path, facts, groups)


def load_checkpoint(path: Path_, network: Any, optimizer: Any = None) -> History:
    """Bring a network and an optimizer to where a :class:`Checkpoint` was written.

    ``network.fit(x, t, epochs, batch_size, resume=history)`` then goes on as if the training had
    not ended, with the same bits: with its optimizer, schedule, clipping and order of samples.

    Parameters
    ----------
    path : str or path
    network : Network
        With layers of the same kinds and sizes and the same dtype, such as that of
        ``fastnn.load(path)``. Parameters are written in place; running statistics of batch
        normalisation and seeds of dropout are set too.
    optimizer : Optimizer, optional
        Of the same type. Its settings and state are set. One of fastnn's is made if not given.

    Returns
    -------
    History
        What had been recorded, and the settings of the training.

    Raises
    ------
    ValueError
        If the file is no checkpoint, or that of another network or optimizer; nothing has
        been changed then.
    FileNotFoundError
        If there is no such file.
    """
    facts, groups = archive.read(path, "network", "optimizer", "history")
    kept = facts["optimizer"]
    if optimizer is None:
        if kept["type"].lower() not in OPTIMIZERS:
            raise ValueError(f"optimizer: expected one of type {kept['type']}, got None")
        optimizer = OPTIMIZERS[kept["type"].lower()]()
    if type(optimizer).__name__ != kept["type"]:
        raise ValueError(
            f"optimizer: expected {kept['type']}, as in the file, got {type(optimizer).__name__}"
        )
    network._restore(facts, groups)
    go_on(optimizer, network)
    states = {name: groups[f"optimizer/{name}"] or None for name in kept["states"]}
    for name, value in {**kept["settings"], **states}.items():
        setattr(optimizer, name, value)
    recorded = facts["history"] | {name: a.tolist() for name, a in groups["history"].items()}
    recorded["metrics"] = tuple(recorded["metrics"])
    return History(
        **recorded,
        averages=groups["averages"] or None,
        optimizer=optimizer,
        owner=owner_of(network),
        schedule=build(facts["schedule"]),
    )
