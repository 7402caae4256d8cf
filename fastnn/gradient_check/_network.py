"""The gradient check of a network."""

from __future__ import annotations

import copy
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.gradient_check._compare import ParameterCheck
from fastnn.gradient_check._differences import (
    STEPS,
    Converted,
    Objective,
    compare,
    expect_steps,
    may_have_kinks,
)
from fastnn.gradient_check._report import GradientReport
from fastnn.layers.state import named_layers
from fastnn.networks.interface import (
    PENALTY,
    batches,
    expect_samples,
    expect_trainable,
    is_regression,
    random_state_kept,
    repeatable,
    strength,
    training_loss,
)
from fastnn.optimizers import Adam

_BATCH = 32  # samples of a step of the burn-in


@random_state_kept()
def gradient_check(
    network: Any,
    x: ArrayLike,
    t: ArrayLike,
    *,
    samples: SupportsIndex = 3,
    entries: SupportsIndex | None = 10,
    steps: Any = STEPS,
    burn_in: SupportsIndex = 0,
    penalty: str = PENALTY,
    kinks: bool | None = None,
    dtype: DTypeLike = np.float64,
    seed: SupportsIndex = 0,
) -> GradientReport:
    """Check the gradients of a network against centred differences.

    The check works on a copy: the network stays as it is, bit for bit. A network in float32 is
    copied to float64, as differences in single precision drown in rounding. Batch normalisation
    and dropout act as in training; all passes see the same dropout masks, and running
    statistics stay as they are. Of each parameter some entries are checked, half of them among
    those whose gradient is not zero.

    The data loss is checked with the weight penalty turned off, and the penalty alone, at a
    strength of at least 1: a large penalty would hide a wrong gradient of the data loss, and
    would be hidden itself if it were small.

    For layers that draw from NumPy's global generator, as the book's dropout does, that is seeded
    before each pass and set back at the end: then no other thread may draw from it meanwhile.

    Parameters
    ----------
    network : object
        One of :mod:`fastnn.networks`, or any object with `params` (a dict of arrays that it
        computes with), ``loss(x, t)`` and ``gradient(x, t)``. If `loss` knows `train_flg`, it
        is called with True. `layers`, a dict, is where kinks are looked for: in the attributes
        `mask`, `argmax` and `arg_max` of ReLU and max-pooling layers.
    x : array_like, shape (N, ...)
        Samples.
    t : array_like, shape (N,) or (N, ...)
        Targets.
    samples : int
        How many of the first samples are checked with: few, so that few kinks are near. With
        batch normalisation two are too few, since they always are normalised to -1 and 1.
    entries : int or None
        How many entries of each parameter are checked; all if None.
    steps : float or sequence of float
        Steps h of the differences (f(p + h) - f(p - h)) / 2h.
    burn_in : int
        Training steps (Adam with its usual settings, batches of up to 32 of all samples) before
        the check, which then takes place where training does.
    penalty : str
        Name of the attribute with the strength of the weight penalty, in case there is one.
    kinks : bool, optional
        Whether the loss has kinks, for the verdict. By default it has unless all layers are
        known to be smooth.
    dtype : dtype
        What to compute in: float64. float32 is for seeing how much it loses.
    seed : int
        Chooses the entries, and the batches of the burn-in.

    Returns
    -------
    GradientReport

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, if the loss is not finite, or differs between passes
        with the same parameters, or if a gradient is missing, has another shape than its
        parameter, or a coarser dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.gradient_check import gradient_check
    >>> x, t = np.random.default_rng(0).normal(size=(3, 4)), np.array([0, 2, 1])
    >>> report = gradient_check(MultiLayerNet(4, [8], 3, "tanh", seed=0), x, t)
    >>> report.ok, report.checks["W1"].verdict
    (True, 'happy')
    """
    expect_trainable(network, x)
    x, t = expect_samples(network, x, t)
    count = numbers.integer("samples", samples, 1)
    some = None if entries is None else numbers.integer("entries", entries, 1)
    sizes = expect_steps(steps)
    burn = numbers.integer("burn_in", burn_in, 0)
    seed = numbers.integer("seed", seed, 0)
    kind = np.dtype(dtype)
    if kind not in (np.float32, np.float64):
        raise TypeError(f"dtype: expected float64 or float32, got {kind}")

    checked = in_precision(network, kind)
    losses = _train(checked, x, t, burn, seed, kind) if burn else None
    x, t = _in_precision(x[:count], kind), t[:count]
    found = named_layers(checked)
    if found and hasattr(checked, "last_layer"):
        found["last_layer"] = checked.last_layer
    settings = {
        "kinks": may_have_kinks(found) if kinks is None else bool(kinks),
        "depth": sum(p.ndim > 1 for p in checked.params.values()),
    }

    loss = training_loss(checked, x, t)

    def gradients() -> dict[str, Array]:
        with repeatable(checked):
            return {key: np.array(g) for key, g in checked.gradient(x, t).items()}

    given = strength(checked, penalty)
    if given is not None:
        setattr(checked, penalty, 0.0)
    # The logarithm of a probability near 1 is near 0, but rounded as the probability is.
    squares = is_regression(checked)
    objective = Objective(checked.params, loss, gradients, found, 0.0 if squares else 1.0)
    data, crossed = compare(objective, some, sizes, seed, **settings)
    alone: dict[str, ParameterCheck] = {}
    if given:
        larger = max(given, 1.0)

        def with_penalty(function: Any) -> Any:
            setattr(checked, penalty, larger)
            try:
                return function()
            finally:
                setattr(checked, penalty, 0.0)

        def term_gradients() -> dict[str, Array]:
            whole, rest = with_penalty(gradients), gradients()
            return {key: g - rest[key] for key, g in whole.items()}

        term = Objective(checked.params, lambda: with_penalty(loss) - loss(), term_gradients)
        # Squares: the largest steps are the best, as there is no error but rounding.
        alone, _ = compare(term, some, sizes[:2], seed, kinks=False, depth=1)
    return GradientReport(
        name=type(network).__name__,
        checks=data,
        penalty=alone,
        crossed=crossed,
        samples=len(x),
        dtype=str(kind),
        has_penalty=given is not None,
        burn_in=burn,
        burn_in_losses=losses,
    )


def in_precision(network: Any, dtype: np.dtype[Any]) -> Any:
    """Return a copy of a network with parameters and statistics of another floating dtype."""
    copied = copy.deepcopy(network)
    if all(p.dtype == dtype for p in copied.params.values()):
        return copied
    converted = Converted(dtype)
    for layer in (*named_layers(copied).values(), getattr(copied, "last_layer", None)):
        converted.all_of(layer)
    for key, p in copied.params.items():
        copied.params[key] = converted(p)
    if hasattr(copied, "dtype"):
        copied.dtype = dtype
    return copied


def _in_precision(x: Array, dtype: np.dtype[Any]) -> Array:
    """Return samples in a dtype, unless they are integers."""
    return x.astype(dtype) if x.dtype.kind == "f" else x


def _train(
    network: Any, x: Array, t: Array, steps: int, seed: int, dtype: np.dtype[Any]
) -> tuple[float, float]:
    """Train for some steps; return the loss on the first samples before and after."""
    optimizer = Adam()
    loss = training_loss(network, _in_precision(x[:_BATCH], dtype), t[:_BATCH])
    before = loss()
    for rows in batches(len(x), _BATCH, steps, seed):
        batch = _in_precision(x[rows], dtype)
        optimizer.update(network.params, network.gradient(batch, t[rows]))
    return before, loss()
