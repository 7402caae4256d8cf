"""What the optimizers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, SupportsFloat

import numpy as np

from fastnn._utils.reprs import of_settings
from fastnn._utils.types import Array
from fastnn._utils.validation import Range
from fastnn.ops.updates.arrays import update_dicts, update_each
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
    """

    lr: float
    weight_decay: float
    iter: int

    rule: ClassVar[Rule]

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
            self.iter = 0

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
        rule = self.rule
        settings = rule.settings_of(self)
        states: dict[str, State] = {name: getattr(self, name) or {} for name in rule.states}
        if not update_dicts(rule, params, grads, states, settings):
            states = {name: _complete(state, params) for name, state in states.items()}
            update_each(rule, params, grads, states, settings)
            for name, state in states.items():
                setattr(self, name, state)
        if rule.counters:
            self._advance(1)

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
