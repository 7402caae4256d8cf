"""Learning-rate schedules: functions for the `schedule` of ``network.fit``.

A schedule takes an array of step numbers, counted from 0, and returns the factors on the learning
rate of the optimizer. Any function that does so will do; ``np.vectorize(f, otypes=[float])`` makes
one of a function of a single step. Lengths are steps, or ``epochs=``, which ``fit`` turns into
steps. To reduce the rate where a metric stops improving, there is a callback:
:class:`fastnn.callbacks.ReduceLROnPlateau`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import schema
from fastnn._utils import validation as numbers
from fastnn._utils.types import Float64s, Int64s

__all__ = ["cosine", "exponential", "in_steps", "inverse_time", "step_decay", "warmup"]

# Step numbers, counted from 0, to factors on the learning rate.
Schedule = Callable[[Int64s], ArrayLike]


def in_steps(schedule: Schedule, steps_per_epoch: SupportsIndex) -> Schedule:
    """Return a schedule with its lengths in steps, where it has them in epochs; as ``fit`` does.

    Parameters
    ----------
    schedule : function
        One of this module, also within :func:`warmup`; others are returned as they are.
    steps_per_epoch : int
        At least 1.

    Returns
    -------
    function

    Raises
    ------
    TypeError, ValueError
        If `steps_per_epoch` is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import schedules
    >>> schedules.in_steps(schedules.cosine(epochs=2), steps_per_epoch=2)(np.arange(5)).round(3)
    array([1.   , 0.854, 0.5  , 0.146, 0.   ])
    """
    count = numbers.integer("steps_per_epoch", steps_per_epoch, 1)
    if not isinstance(schedule, partial) or schedule.func not in _LENGTHS:
        return schedule
    settings = dict(schedule.keywords)
    if "epochs" in settings:
        name, least = _LENGTHS[schedule.func]
        settings[name] = max(least, round(settings.pop("epochs") * count))
    if settings.get("then") is not None:
        settings["then"] = in_steps(settings["then"], count)
    return partial(schedule.func, **settings)


def _length(
    name: str, steps: SupportsIndex | None, epochs: SupportsFloat | None, least: int
) -> dict[str, Any]:
    """Return a length in steps, or in epochs, by its name."""
    if (steps is None) == (epochs is None):
        given = "neither" if steps is None else "both"
        raise TypeError(f"{name}, epochs: expected one of the two, got {given}")
    if epochs is None:
        return {name: numbers.integer(name, steps, least)}  # type: ignore[arg-type]
    check = numbers.positive if least else numbers.not_negative
    return {"epochs": check("epochs", epochs)}


def _expect_steps(name: str, steps: int | None) -> int:
    if steps is None:
        raise ValueError(
            f"{name}: its length is in epochs, which fit turns into steps; elsewhere, "
            "fastnn.schedules.in_steps(schedule, steps_per_epoch) does"
        )
    return steps


def step_decay(
    every: SupportsIndex | None = None,
    factor: SupportsFloat = 0.5,
    *,
    epochs: SupportsFloat | None = None,
) -> Schedule:
    """Multiply by a factor again and again: factor^(step // every).

    Step decay of the CS231n notes ("Neural networks 3", annealing the learning rate).

    Parameters
    ----------
    every : int
        Steps between two decays, at least 1.
    factor : float
        In [0, 1].
    epochs : float
        Epochs between two decays, above 0, in place of `every`.

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
        **_length("every", every, epochs, 1),
        factor=numbers.fraction("factor", factor),
    )


def _step_decay(
    step: Int64s, *, factor: float, every: int | None = None, epochs: float | None = None
) -> Float64s:
    return np.power(factor, step // _expect_steps("step_decay", every), dtype=np.float64)


def exponential(k: SupportsFloat) -> Schedule:
    """Decay exponentially: exp(-k step) (CS231n notes, "Neural networks 3").

    Parameters
    ----------
    k : float
        Decay a step, at least 0.

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
        Decay a step, at least 0.

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


def cosine(
    steps: SupportsIndex | None = None,
    final: SupportsFloat = 0.0,
    *,
    epochs: SupportsFloat | None = None,
) -> Schedule:
    """Fall along half a cosine: final + (1 - final) (1 + cos(pi step / steps)) / 2.

    Equation 5 of Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts",
    2017, without restarts.

    Parameters
    ----------
    steps : int
        Length of the fall, at least 1; after it the factor stays at `final`.
    final : float
        In [0, 1].
    epochs : float
        Length in epochs, above 0, in place of `steps`: as many as ``fit`` is to train, as a rule.

    Returns
    -------
    function

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range.
    """
    return partial(
        _cosine, **_length("steps", steps, epochs, 1), final=numbers.fraction("final", final)
    )


def _cosine(
    step: Int64s, *, final: float, steps: int | None = None, epochs: float | None = None
) -> Float64s:
    steps = _expect_steps("cosine", steps)
    share = np.minimum(step, steps) / steps
    return np.asarray(final + (1 - final) * (1 + np.cos(np.pi * share)) / 2)


def warmup(
    steps: SupportsIndex | None = None,
    then: Schedule | None = None,
    *,
    epochs: SupportsFloat | None = None,
) -> Schedule:
    """Rise in a straight line, (step + 1) / steps, and then follow another schedule.

    Goyal et al., "Accurate, large minibatch SGD", 2017, section 2.2.

    Parameters
    ----------
    steps : int
        Length of the rise, at least 0; the last of them has factor 1.
    then : function, optional
        What follows, counted from 0 at the end of the rise; 1 if not given.
    epochs : float
        Length of the rise in epochs, at least 0, in place of `steps`.

    Returns
    -------
    function

    Raises
    ------
    TypeError, ValueError
        If a length is out of its range or `then` is no function.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import schedules
    >>> schedules.warmup(4, then=schedules.step_decay(1))(np.arange(7))
    array([0.25, 0.5 , 0.75, 1.  , 1.  , 0.5 , 0.25])
    """
    if then is not None and not callable(then):
        raise TypeError(f"then: expected a function of step numbers, got {then!r}")
    return partial(_warmup, **_length("steps", steps, epochs, 0), then=then)


def _warmup(
    step: Int64s, *, then: Schedule | None, steps: int | None = None, epochs: float | None = None
) -> Any:
    steps = _expect_steps("warmup", steps)
    rise = (step + 1) / max(steps, 1)
    after = np.ones(step.shape) if then is None else then(np.maximum(step - steps, 0))
    return np.where(step < steps, rise, after)


# What a length in epochs becomes, and how short that may be.
_LENGTHS: dict[Any, tuple[str, int]] = {
    _step_decay: ("every", 1), _cosine: ("steps", 1), _warmup: ("steps", 0),
}  # fmt: skip


def describe(schedule: Any) -> Any:
    """Return a schedule as plain data, None if there is none or one that is not fastnn's."""
    if not isinstance(schedule, partial) or schedule.func.__module__ != __name__:
        return None
    settings = dict(schedule.keywords)
    then = settings.get("then")
    if then is not None:
        settings["then"] = describe(then)
        if settings["then"] is None:
            return None
    return {"name": schedule.func.__name__.removeprefix("_"), "settings": settings}


_NAMED: dict[str, Callable[..., Schedule]] = {
    made.__name__: made for made in (step_decay, exponential, inverse_time, cosine, warmup)
}
_DESCRIBED = schema.entries(
    {
        "name": lambda name, value: numbers.one_of(name, value, tuple(_NAMED)),
        "settings": schema.keyed(lambda name, value: value),  # checked by the schedule
    }
)


def build(described: Any) -> Any:
    """Return the schedule that :func:`describe` made data of.

    Raises
    ------
    TypeError, ValueError
        If these are no such data.
    """
    if described is None:
        return None
    given = _DESCRIBED("schedule", described)
    settings = given["settings"]
    if "then" in settings:
        settings = {**settings, "then": build(settings["then"])}
    try:
        return _NAMED[given["name"]](**settings)
    except (TypeError, ValueError) as error:
        raise type(error)(f"schedule: {error}") from None
