"""What the optimizers share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, SupportsFloat

import numpy as np

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.ops import _updates as rules

State = dict[str, Array]


class Optimizer(ABC):
    """What the optimizers share.

    Parameters
    ----------
    **settings : float
        The rule's numbers by name, such as ``lr``. They become attributes, which may be changed
        between updates.
    """

    lr: float
    weight_decay: float

    _rule: ClassVar[str]
    _state_names: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **settings: SupportsFloat) -> None:
        for name, value in settings.items():
            setattr(self, name, numbers.number(name, value, rules.RANGES[name]))
        for name in self._state_names:
            setattr(self, name, None)

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
        settings = self._settings()
        states: dict[str, State] = {name: getattr(self, name) or {} for name in self._state_names}
        if not rules.update_dicts(self._rule, params, grads, states, settings):
            states = {name: _complete(state, params) for name, state in states.items()}
            rules.update_each(self._rule, params, grads, states, settings)
            for name, state in states.items():
                setattr(self, name, state)

    @abstractmethod
    def _settings(self) -> tuple[Any, ...]:
        """Return the settings of the rule, checked."""


def _complete(state: State, params: Mapping[str, Array]) -> State:
    """Return the state with an array of zeros for each parameter that it lacks."""
    lacking = {key: np.zeros_like(p) for key, p in params.items() if key not in state}
    return state | lacking if lacking else state
