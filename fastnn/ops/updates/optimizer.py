"""What the optimizers share."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, SupportsFloat

import numpy as np

from fastnn._utils.reprs import of_settings
from fastnn._utils.types import Array
from fastnn._utils.validation import Range
from fastnn.ops._arrays import own
from fastnn.ops.updates.arrays import at_once, update_dicts, update_each
from fastnn.ops.updates.owner import Belonging, belong
from fastnn.ops.updates.rule import Rule

State = dict[str, Array]


class Optimizer:
    """What the optimizers share: settings and state around an update rule.

    Parameters
    ----------
    **settings
        The rule's by name, such as ``lr``. They become attributes, which may be changed between
        updates.

    Attributes
    ----------
    rule : Rule
        The record of the update rule.

    Notes
    -----
    State (moments, number of updates) belongs to the network that it was made for:

    - ``update(network.params, grads)``, ``network.fit`` and ``Trainer`` begin anew with a network
      that the optimizer has not updated before, and go on with one that it has, as long as that, or
      the history of its training, is there. A rate that callbacks of ``fit`` have changed stays
      with that network, too; one that a script sets holds for all.
    - Any other dict of arrays goes on with the state that is there, by key, as in the book: a
      script may put new arrays into it, or make a new dict, at each step.
    - A copy, also one from a pickle, takes the state along, and goes on with it for the network
      that it is used with first.
    """

    # Not among the attributes that copies, pickles and checkpoints have.
    __slots__ = ("__dict__", "__weakref__", "_belongs")
    _belongs: Belonging

    lr: float
    weight_decay: float
    iter: int

    rule: ClassVar[Rule]
    _first: ClassVar[Mapping[str, Any]] = MappingProxyType({"iter": 0})  # counters

    def __init__(self, **settings: SupportsFloat | str) -> None:
        # Numbers, states, names: the order in which attributes are listed, in checkpoints too.
        numbers = {
            name: v for name, v in settings.items() if isinstance(self.rule.settings[name], Range)
        }
        others = {name: v for name, v in settings.items() if name not in numbers}
        for name, value in numbers.items():
            setattr(self, name, self.rule.check(name, value))
        for name in self.rule.states:
            setattr(self, name, None)
        for name, value in others.items():
            self.rule.check(name, value)
            setattr(self, name, value)
        if self.rule.counters:
            vars(self).update(self._first)

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self))

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        for name in self.rule.states:  # of mapped files, as in joblib's workers
            state = attributes.get(name)
            if state is not None:
                attributes = {**attributes, name: {key: own(a) for key, a in state.items()}}
        vars(self).update(attributes)

    def __copy__(self) -> Any:
        """Return one whose state is its own."""
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        for name in self.rule.states:
            state = getattr(self, name)
            if state is not None:
                setattr(copied, name, {key: a.copy() for key, a in state.items()})
        return copied

    def __repr__(self) -> str:
        return of_settings(self)

    def update(self, params: Mapping[str, Array], grads: Mapping[str, Array]) -> None:
        """Change the arrays in `params` in place, by one step along `grads`.

        Parameters
        ----------
        params : mapping of str to ndarray
            Arrays of float32 or float64; they keep their identity.
        grads : mapping of str to ndarray
            Gradients of the same shapes. Keys that `params` lacks are passed over.

        Raises
        ------
        KeyError
            If `grads` lacks a key of `params`.
        TypeError, ValueError
            If shapes differ, an array cannot be updated, or a setting is out of its range.
            No parameter has been changed when an error is raised.
        """
        owner = getattr(params, "owner", None)
        if owner is not None and owner is not self._belonging().owner:
            belong(self, owner)
        rule = self.rule
        args = params, grads, *rule.read(self)
        if rule.step.checked(*args) is not None and not at_once(rule.step, *args):
            self._update(params, grads)
        if rule.counters:
            self._advance(1)

    def _update(self, params: Mapping[str, Array], grads: Mapping[str, Array]) -> None:
        """Update what is not as compiled code takes it."""
        rule = self.rule
        settings = rule.settings_of(self)
        states: dict[str, State] = {name: getattr(self, name) or {} for name in rule.states}
        if not update_dicts(rule, params, grads, states, settings):
            states = {name: _complete(state, params) for name, state in states.items()}
            update_each(rule, params, grads, states, settings)
            for name, state in states.items():
                setattr(self, name, state)

    def _belonging(self) -> Belonging:
        """Return whose parameters it updates."""
        try:
            return self._belongs
        except AttributeError:
            self._belongs = Belonging()
            return self._belongs

    def _begun(self) -> dict[str, Any]:
        """Return the state before the first update."""
        return {
            **dict.fromkeys(self.rule.states),
            **(self._first if self.rule.counters else {}),
        }

    def _counters(self, steps: int) -> dict[str, Any]:
        """Return the rule's counters at each of the next so many updates, by name."""
        if not self.rule.counters:
            return {}
        return {"step": np.arange(self.iter + 1, self.iter + 1 + steps)}

    def _advance(self, steps: int) -> None:
        """Bring the counters to where they are after so many updates more."""
        if self.rule.counters:
            self.iter += steps


def _complete(state: State, params: Mapping[str, Array]) -> State:
    """Return the state with an array of zeros for each parameter that it lacks."""
    lacking = {key: np.zeros_like(p) for key, p in params.items() if key not in state}
    return state | lacking if lacking else state
