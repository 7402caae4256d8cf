"""A training in a file: network, optimizer, history and the settings of ``fit``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn._utils import archive, interrupts, schema
from fastnn._utils.archive import Contents
from fastnn._utils.files import File, Path_
from fastnn._utils.types import Array
from fastnn._utils.warnings import warn
from fastnn.layers.adoption import is_ours
from fastnn.layers.state import split
from fastnn.optimizers import OPTIMIZERS
from fastnn.optimizers.state import completed, expect_state, optimizer_state
from fastnn.optimizers.updater import as_of, expect_optimizer, go_on, owner_of
from fastnn.training.checkpoint_name import CheckpointName
from fastnn.training.history import History
from fastnn.training.recorded import expect_recorded
from fastnn.training.schedules import build, describe

if TYPE_CHECKING:
    from pathlib import Path

_WHAT = "checkpoint"
_APART = "averages", "optimizer", "owner", "schedule"  # in a history, but kept apart from it here

_OPTIMIZER = schema.entries(
    {
        "type": schema.text,
        "settings": schema.keyed(lambda name, value: value),  # checked by the optimizer
        "states": schema.listed(schema.text),
    }
)


def save_checkpoint(
    path: File, network: Any, optimizer: Any = None, history: History | None = None
) -> None:
    """Write all that a training needs to go on to a file, as a :class:`Checkpoint` does.

    It is what :func:`load_checkpoint` reads: after a training, also one that Ctrl-C or an error
    has ended in the middle of an epoch, or at any time in a callback. Where the network has the
    best weights until the training is resumed, the file has those that it goes on from.

    Parameters
    ----------
    path : str, path or file object
        A file that is there is replaced when the new one is whole. A file object, open for writing
        bytes, is written to as it stands.
    network : Network
    optimizer : Optimizer, optional
        By default that of the history.
    history : History, optional
        By default that of the network's last training.

    Raises
    ------
    TypeError, ValueError
        If one is not as above, there is none, or what it keeps cannot be written, before anything
        is.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.callbacks import load_checkpoint, save_checkpoint
    >>> x, t = np.ones((6, 4)), np.zeros(6, int)
    >>> net, file = MultiLayerNet(4, [8], 3, seed=0), io.BytesIO()
    >>> _ = net.fit(x, t, epochs=2, verbose=False)
    >>> save_checkpoint(file, net)
    >>> other = MultiLayerNet(4, [8], 3)
    >>> history = other.fit(x, t, epochs=3, resume=load_checkpoint(file, other), verbose=False)
    >>> history.epochs
    3
    """
    _expect_network(network)
    history = network.history if history is None else history
    if not isinstance(history, History):
        raise TypeError(f"history: expected that of a training, got {history!r}")
    optimizer = history.optimizer if optimizer is None else optimizer
    if optimizer is None:
        raise ValueError("optimizer: expected that of the training, which its history has lost")
    expect_optimizer(optimizer)
    facts, groups = network._parts()
    averages = history.averages
    last = history.last_weights(network)
    if last is not None:
        facts["network"]["state"], groups["layers"] = split(last.layers)
        groups["params"], averages = last.params, last.averages
    optimizer = as_of(optimizer, owner_of(network))
    settings, states = optimizer_state(optimizer)
    states = completed(optimizer, states, groups["params"])
    recorded = {k: v for k, v in history.facts().items() if k not in _APART}
    facts |= {
        "optimizer": {"type": type(optimizer).__name__, "settings": settings, "states": [*states]},
        "history": {k: v for k, v in recorded.items() if not isinstance(v, list)},
        "schedule": describe(history.schedule),
    }
    groups |= {
        "averages": averages or {},
        "history": {k: np.array(v) for k, v in recorded.items() if isinstance(v, list)},
        **{f"optimizer/{name}": values or {} for name, values in states.items()},
    }
    archive.write(path, facts, groups)


def load_checkpoint(path: File, network: Any, optimizer: Any = None) -> History:
    """Bring a network and an optimizer to where a :class:`Checkpoint` was written.

    ``network.fit(x, t, epochs, batch_size, resume=history)`` then goes on as if the training had
    not ended, with the same bits: with its optimizer, schedule, clipping and order of samples.

    Parameters
    ----------
    path : str, path or file object
        A file object is open for reading bytes, and is read to its end.
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
    TypeError
        If it is no network, or no file that is open for reading bytes.
    ValueError
        If the file is no checkpoint, or that of another network or optimizer; nothing has
        been changed then.
    FileNotFoundError
        If there is no such file.
    """
    _expect_network(network)
    contents = archive.read(path, _WHAT)
    facts = contents.facts
    with contents.reading(_WHAT):
        lacking = [name for name in ("optimizer", "history", "schedule") if name not in facts]
        if lacking:
            raise ValueError(f"expected {', '.join(lacking)}, got {', '.join(facts)}")
        kept = _OPTIMIZER("optimizer", facts["optimizer"])
        recorded = _recorded(contents)
        averages = _averages(contents, recorded["ema"])
        schedule = build(facts["schedule"])
        if schedule is not None and not recorded["scheduled"]:
            raise ValueError("history.scheduled: expected True, as there is a schedule, got False")
    if optimizer is None:
        if kept["type"].lower() not in OPTIMIZERS:
            raise ValueError(
                f"optimizer: expected one of type {kept['type']}, as in the file "
                f"{contents.source}, got None"
            )
        optimizer = OPTIMIZERS[kept["type"].lower()]()
    if type(optimizer).__name__ != kept["type"]:
        raise ValueError(
            f"optimizer: expected {kept['type']}, as in the file {contents.source}, got "
            f"{type(optimizer).__name__}"
        )
    with contents.reading(_WHAT):
        states = {name: _group(contents, f"optimizer/{name}") or None for name in kept["states"]}
        expect_state(optimizer, kept["settings"], states, _group(contents, "params"))
    history = History(
        **recorded,
        averages=averages,
        optimizer=optimizer,
        owner=owner_of(network),
        schedule=schedule,
    )
    with interrupts.held():  # all or nothing
        network._restore(contents)
        go_on(optimizer, network)
        for name, value in {**kept["settings"], **states}.items():
            setattr(optimizer, name, value)
    return history


def _expect_network(network: Any) -> None:
    if not is_ours(network):
        raise TypeError(f"network: expected a network of fastnn.networks, got {network!r}")


def _group(contents: Contents, name: str) -> dict[str, Array]:
    if name not in contents.groups:
        raise ValueError(f"groups: expected one of {name!r}, got {', '.join(contents.groups)}")
    return contents.groups[name]


def _recorded(contents: Contents) -> dict[str, Any]:
    """Return the facts and lists of a history, checked."""
    given = schema.keyed(lambda name, value: value)("history", contents.facts.get("history"))
    return expect_recorded(given, _group(contents, "history"), apart=_APART)


def _averages(contents: Contents, ema: float | None) -> dict[str, Array] | None:
    """Return the moving average of the parameters, checked; None if there is none."""
    params, averages = _group(contents, "params"), _group(contents, "averages")
    schema.same_names("averages", averages, params if ema is not None else ())
    for key, average in averages.items():
        if (average.shape, average.dtype) != (params[key].shape, params[key].dtype):
            raise ValueError(
                f"averages/{key}: expected {params[key].dtype} of shape {params[key].shape}, like "
                f"the parameter, got {average.dtype} of shape {average.shape}"
            )
    return averages or None


def newest_checkpoint(path: Path_) -> Path:
    """Return the file to resume from, of those that ``Checkpoint(path)`` has written.

    It is the one with the most epochs; of several with as many, as other trainings may have left
    there, the one with the most steps, and then the last one written. What cannot be read is
    passed over, with a warning.

    Parameters
    ----------
    path : str or path
        As for :class:`Checkpoint`, with the same fields in braces, or without.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If the name has other braces.
    FileNotFoundError
        If there is no such file.
    """
    name = CheckpointName(path)
    found = []
    for file in name.candidates():
        try:
            contents = archive.read(file, _WHAT, only=("history",))
            with contents.reading(_WHAT):
                history = History(**_recorded(contents))
        except ValueError as error:
            warn(f"passed over: {error}", RuntimeWarning)
            continue
        if name.of(history) == file:
            steps = len(history.step_losses)
            found.append((history.epochs, steps, file.stat().st_mtime_ns, file))
    if not found:
        raise FileNotFoundError(f"path: there is no checkpoint {path}")
    return max(found)[-1]
