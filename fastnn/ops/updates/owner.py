"""Whose parameters an optimizer updates: each network has a state and a rate of its own."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary


class Owner:
    """What the parameters of one network are known by; it holds nothing.

    A dict of parameters that has one, as its attribute `owner`, is known again by an optimizer.
    """

    __slots__ = ("__weakref__",)


class Rates(NamedTuple):
    """A learning rate that a training has changed: what it was before, and what it is."""

    before: float
    now: float


class Kept(NamedTuple):
    """What an optimizer keeps for an owner while it updates the parameters of another one."""

    state: dict[str, Any]
    rates: Rates | None


class Training(NamedTuple):
    """Whose parameters are trained, and the learning rate at the beginning."""

    owner: Owner | None
    rate: float


class Belonging:
    """Whose parameters an optimizer updates now, and what it keeps for others.

    Attributes
    ----------
    owner : Owner or None
        Before the first one, the state belongs to whoever comes.
    rates : Rates or None
        Of the owner.
    kept : WeakKeyDictionary of Owner to Kept
        As long as the others are there.
    training : Training or None
        The one that has begun and not ended.
    """

    __slots__ = ("kept", "owner", "rates", "training")

    def __init__(self) -> None:
        self.owner: Owner | None = None
        self.rates: Rates | None = None
        self.kept: WeakKeyDictionary[Owner, Kept] = WeakKeyDictionary()
        self.training: Training | None = None


def belong(optimizer: Any, owner: Owner | None) -> None:
    """Let an optimizer go on with the state for an owner, or begin anew if there is none."""
    own: Belonging = optimizer._belonging()
    if owner is own.owner:
        return
    before, own.owner = own.owner, owner
    if before is None or owner is None:
        return
    if own.training is not None and own.training.owner is before:
        note_rate(optimizer, own.training.rate)
    rates, own.rates = own.rates, None
    if rates is not None and rates.now == optimizer.lr:
        optimizer.lr = rates.before
    else:
        rates = None
    begun = optimizer._begun()
    own.kept[before] = Kept({name: getattr(optimizer, name) for name in begun}, rates)
    kept = own.kept.pop(owner, None) or Kept(begun, None)
    vars(optimizer).update(kept.state)
    _take_rate(optimizer, kept.rates)


def as_of(optimizer: Any, owner: Owner) -> Any:
    """Return an optimizer with the state for an owner, whose arrays are shared: this if it can be.

    Another one belongs to nobody, so that it, and copies of it, go on with that state.
    """
    own: Belonging = optimizer._belonging()
    if own.owner is None or own.owner is owner:
        return optimizer
    other = object.__new__(type(optimizer))
    vars(other).update(vars(optimizer))
    its: Belonging = other._belonging()
    its.owner, its.rates, its.kept = own.owner, own.rates, own.kept.copy()
    belong(other, owner)
    its.owner, its.kept = None, WeakKeyDictionary()
    return other


def hand_over(optimizer: Any, owner: Owner, to: Owner) -> None:
    """Let an optimizer go on for another owner with a copy of the state for the first one."""
    given = as_of(optimizer, owner)
    state, rates = copy.copy(given), given._belonging().rates
    belong(optimizer, to)
    vars(optimizer).update({name: getattr(state, name) for name in optimizer._begun()})
    _take_rate(optimizer, rates)


def anew(optimizer: Any) -> Any:
    """Return an optimizer with the same settings that has made no update."""
    other = copy.copy(as_of(optimizer, Owner()))
    vars(other).update(other._begun())
    return other


def note_rate(optimizer: Any, before: float) -> None:
    """Note the rate of an optimizer as the owner's, if it is not what it was before a training."""
    own: Belonging = optimizer._belonging()
    noted = own.rates is not None and own.rates.now == optimizer.lr
    if noted or optimizer.lr == before:
        return
    if own.rates is not None and own.rates.now == before:
        before = own.rates.before
    own.rates = Rates(before, optimizer.lr)


def _take_rate(optimizer: Any, rates: Rates | None) -> None:
    """Take the rate of an owner, unless the script has set another one meanwhile."""
    if rates is not None and rates.before == optimizer.lr:
        optimizer.lr, optimizer._belonging().rates = rates.now, rates
