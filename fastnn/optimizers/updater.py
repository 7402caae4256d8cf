"""What a training asks of an optimizer."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.ops.updates import owner as owners
from fastnn.ops.updates.owner import Owner
from fastnn.optimizers import OPTIMIZERS, Optimizer

# Of networks that are not ours, whose dicts of parameters have none.
_owners: WeakKeyDictionary[Any, Owner] = WeakKeyDictionary()


class Updater(Protocol):
    """What a training asks of an optimizer."""

    def update(self, params: dict[str, Array], grads: dict[str, Array]) -> None:
        """Change the arrays in `params` in place."""
        ...


def rate_of(optimizer: Updater) -> float | None:
    """Return the learning rate of an optimizer, or None if it has no such number."""
    rate = getattr(optimizer, "lr", None)
    return float(rate) if isinstance(rate, (int, float, np.number)) else None


def optimizer_of(optimizer: Any, settings: Mapping[str, Any]) -> Updater:
    """Return an optimizer that is named, made with the settings, or the one that is given."""
    if isinstance(optimizer, str):
        name = numbers.one_of("optimizer", optimizer.lower(), tuple(OPTIMIZERS))
        return OPTIMIZERS[name](**settings)
    expect_optimizer(optimizer, "a name or an optimizer")
    return optimizer  # type: ignore[no-any-return]


def expect_optimizer(optimizer: Any, expected: str = "an optimizer") -> None:
    """Raise TypeError unless something has an optimizer's `update`."""
    # A dict and a set have an update of their own.
    others = type, Mapping, set
    if isinstance(optimizer, others) or not callable(getattr(optimizer, "update", None)):
        raise TypeError(
            f"optimizer: expected {expected}, an object with update(params, grads), "
            f"got {optimizer!r}"
        )


def owner_of(network: Any) -> Owner | None:
    """Return what the parameters of a network are known by; None if it cannot be told."""
    owner: Owner | None = getattr(getattr(network, "params", None), "owner", None)
    if owner is None:
        try:
            owner = _owners.setdefault(network, Owner())
        except TypeError:  # it has no hash, or no weak references
            return None
    return owner


def go_on(optimizer: Any, network: Any) -> None:
    """Let one of our optimizers go on with its state for a network, or begin anew with it."""
    owner = owner_of(network)
    if isinstance(optimizer, Optimizer) and owner is not None:
        owners.belong(optimizer, owner)


def whose(optimizer: Any) -> Owner | None:
    """Return whose parameters one of our optimizers updates; None if nobody's yet."""
    return optimizer._belonging().owner if isinstance(optimizer, Optimizer) else None


def give_back(optimizer: Any, owner: Owner | None) -> None:
    """Let one of our optimizers belong to whom it did, as :func:`whose` has returned it."""
    if isinstance(optimizer, Optimizer):
        owners.belong(optimizer, owner)


def resume(optimizer: Any, owner: Owner | None, network: Any) -> None:
    """Let one of our optimizers go on for a network with its state for the owner."""
    now = owner_of(network)
    ours = isinstance(optimizer, Optimizer)
    if ours and owner is not None and now is not None and owner is not now:
        owners.hand_over(optimizer, owner, now)
    else:
        go_on(optimizer, network)


def as_of(optimizer: Any, owner: Owner | None) -> Any:
    """Return an optimizer as it is for an owner; its arrays are shared."""
    if owner is None or not isinstance(optimizer, Optimizer):
        return optimizer
    return owners.as_of(optimizer, owner)


def anew(optimizer: Any) -> Any:
    """Return an optimizer with the settings of another one, and without state if it is ours."""
    if isinstance(optimizer, Optimizer):
        return owners.anew(optimizer)
    return copy.deepcopy(optimizer)


@contextmanager
def in_training(optimizer: Any, owner: Owner | None, network: Any) -> Iterator[None]:
    """Let one of our optimizers train a network, to go on with its state for the owner, if given.

    At the end a rate that has been changed is noted as the network's. If this training is within
    another one, begun by a callback, the optimizer goes back to that.
    """
    if not isinstance(optimizer, Optimizer):
        yield
        return
    own = optimizer._belonging()
    around, former = own.training, own.owner
    resume(optimizer, owner, network)
    own.training = training = owners.Training(own.owner, optimizer.lr)
    try:
        yield
    finally:
        owners.belong(optimizer, training.owner)
        owners.note_rate(optimizer, training.rate)
        own.training = None
        if around is not None:
            owners.belong(optimizer, former)
        own.training = around
