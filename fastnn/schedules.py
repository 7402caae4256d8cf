"""Learning-rate schedules: functions for the `schedule` of ``network.fit``.

A schedule takes an array of step numbers, from 0 up, and returns the factors on the learning
rate of the optimizer. Any function that does so will do. To reduce the rate where a metric has
stopped to get better, there is a callback: :class:`fastnn.callbacks.ReduceLROnPlateau`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex

import numpy as np

from fastnn import _numbers as numbers
from fastnn._route import Float64s, Int64s

if TYPE_CHECKING:
    from fastnn.fit import Schedule

__all__ = ["cosine", "exponential", "inverse_time", "step_decay", "warmup"]


def step_decay(every: SupportsIndex, factor: SupportsFloat = 0.5) -> Schedule:
    """Multiply by a factor again and again: factor^(step // every).

    Step decay of the CS231n notes ("Neural networks 3", annealing the learning rate).

    Parameters
    ----------
    every : int
        Steps between two decays, from 1 up.
    factor : float
        In [0, 1].

    Returns
    -------
    function

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import schedules
    >>> schedules.step_decay(2)(np.arange(6))
    array([1.  , 1.  , 0.5 , 0.5 , 0.25, 0.25])
    """
    return partial(
        _step_decay,
        every=numbers.whole("every", every, 1),
        factor=numbers.fraction("factor", factor),
    )


def _step_decay(step: Int64s, *, every: int, factor: float) -> Float64s:
    return np.power(factor, step // every, dtype=np.float64)


def exponential(k: SupportsFloat) -> Schedule:
    """Decay exponentially: exp(-k step) (CS231n notes, "Neural networks 3").

    Parameters
    ----------
    k : float
        Decay a step, from 0 up.

    Returns
    -------
    function

    Raises
    ------
    TypeError, ValueError
        If `k` is out of its range.
    """
    return partial(_exponential, k=numbers.not_negative("k", k))


def _exponential(step: Int64s, *, k: float) -> Float64s:
    return np.asarray(np.exp(-k * step))


def inverse_time(k: SupportsFloat) -> Schedule:
    """Decay as 1 / (1 + k step) (CS231n notes, "Neural networks 3").

    Parameters
    ----------
    k : float
        Decay a step, from 0 up.

    Returns
    -------
    function

    Raises
    ------
    TypeError, ValueError
        If `k` is out of its range.
    """
    return partial(_inverse_time, k=numbers.not_negative("k", k))


def _inverse_time(step: Int64s, *, k: float) -> Float64s:
    return np.asarray(1 / (1 + k * step))


def cosine(steps: SupportsIndex, final: SupportsFloat = 0.0) -> Schedule:
    """Fall along half a cosine: final + (1 - final) (1 + cos(pi step / steps)) / 2.

    Equation 5 of Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts",
    2017, without restarts.

    Parameters
    ----------
    steps : int
        Length of the fall, from 1 up; after it the factor stays at `final`.
    final : float
        In [0, 1].

    Returns
    -------
    function

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range.
    """
    return partial(
        _cosine, steps=numbers.whole("steps", steps, 1), final=numbers.fraction("final", final)
    )


def _cosine(step: Int64s, *, steps: int, final: float) -> Float64s:
    share = np.minimum(step, steps) / steps
    return np.asarray(final + (1 - final) * (1 + np.cos(np.pi * share)) / 2)


def warmup(steps: SupportsIndex, then: Schedule | None = None) -> Schedule:
    """Rise in a straight line, (step + 1) / steps, and then follow another schedule.

    Goyal et al., "Accurate, large minibatch SGD", 2017, section 2.2.

    Parameters
    ----------
    steps : int
        Length of the rise, from 0 up; the last of them has factor 1.
    then : function, optional
        What follows, counted from 0 at the end of the rise; 1 if not given.

    Returns
    -------
    function

    Raises
    ------
    TypeError, ValueError
        If `steps` is out of its range or `then` is no function.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import schedules
    >>> schedules.warmup(4, then=schedules.step_decay(1))(np.arange(7))
    array([0.25, 0.5 , 0.75, 1.  , 1.  , 0.5 , 0.25])
    """
    if then is not None and not callable(then):
        raise TypeError(f"then: expected a function of step numbers, got {then!r}")
    return partial(_warmup, steps=numbers.whole("steps", steps, 0), then=then)


def _warmup(step: Int64s, *, steps: int, then: Schedule | None) -> Any:
    rise = (step + 1) / max(steps, 1)
    after = np.ones(step.shape) if then is None else then(np.maximum(step - steps, 0))
    return np.where(step < steps, rise, after)
