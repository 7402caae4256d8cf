"""Cross-validation: a new network for each fold of the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn._utils import tables
from fastnn._utils import validation as numbers
from fastnn._utils.types import Float64s, Int64s
from fastnn._utils.warnings import warn
from fastnn.layers.record import right_of, takes
from fastnn.many.given import Shared, Table
from fastnn.many.trainings import expect_networks, fit_many
from fastnn.networks import Network, sizing
from fastnn.training.data import samples
from fastnn.training.metrics import metrics_of

if TYPE_CHECKING:
    from fastnn.training.history import History

_OURS = "validation", "resume", "x", "t"  # of the keywords of fit_many


@dataclass(frozen=True)
class CrossValidation:
    """What a cross-validation gave.

    Attributes
    ----------
    metric : str
    scores : ndarray, shape (folds,)
        The metric of each network on the fold that it was not trained on, after its last epoch. NaN
        of one that diverged in its first epoch.
    networks : list of Network
        One for each fold, trained on the others; `fastnn.ensembles.Ensemble` makes one of them.
    histories : list of History
        Whose validation data are the fold.
    rows : list of ndarray
        Which samples each fold has.
    """

    metric: str
    scores: Float64s
    networks: list[Network]
    histories: list[History]
    rows: list[Int64s]

    @property
    def mean(self) -> float:
        """Mean of the scores."""
        return float(self.scores.mean())

    @property
    def std(self) -> float:
        """Standard deviation of the scores: the root of the mean of squared differences."""
        return float(self.scores.std())

    def __repr__(self) -> str:
        return (
            f"CrossValidation({len(self.scores)} folds, {self.metric} {self.mean:.4g} "
            f"+- {self.std:.2g})"
        )


def cross_validate(
    network_factory: Callable[[], Network],
    x: ArrayLike,
    t: ArrayLike,
    folds: SupportsIndex = 5,
    *,
    metric: str | None = None,
    seed: SupportsIndex | None = None,
    n_jobs: SupportsIndex = -1,
    verbose: Any = True,
    **settings: Any,
) -> CrossValidation:
    """Train a network for each fold on the other ones, all at the same time; compare on the fold.

    Samples are dealt to folds at random, whose sizes differ by one at most. Of classes, so do the
    numbers of samples of each class (stratified folds).

    The samples are copied twice, into an order in which what a network is trained on stands side by
    side, however many folds there are.

    Parameters
    ----------
    network_factory : function
        Called without arguments for each fold, returns a new network.
    x, t : array_like
        As for ``network.fit``.
    folds : int
        How many, at least 2, at most as many as samples.
    metric : str, optional
        What scores are: "accuracy", "loss" or one of `metrics`. By default accuracy, and the loss
        of networks without.
    seed : int, optional
        Chooses folds, and the order of samples of each training; random if not given.
    n_jobs, verbose
        As for :func:`fastnn.fit_many`.
    **settings
        More keywords of :func:`fastnn.fit_many`, such as `epochs`, `batch_size`, `optimizer` and
        `executor`. `sample_weight` has one for each sample of `x`; scores are not weighted.

    Returns
    -------
    CrossValidation
        With `scores`, their `mean` and `std`, `histories` and `networks`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, before any training.
    FitManyError
        As there.

    Warns
    -----
    RuntimeWarning
        If a class has fewer samples than there are folds.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet, cross_validate
    >>> x = np.random.default_rng(0).normal(size=(300, 4))
    >>> t = (x[:, 0] > 0).astype(int)
    >>> found = cross_validate(
    ...     lambda: MultiLayerNet(4, [16], 2), x, t, 3, epochs=50, seed=0, verbose=False
    ... )
    >>> len(found.scores), found.mean > 0.6
    (3, True)
    """
    if not callable(network_factory):
        raise TypeError(f"network_factory: expected a function, got {network_factory!r}")
    for name in _OURS:
        if name in settings:
            raise TypeError(f"{name}: expected to be left out, as the folds are what says it")
    count = numbers.integer("folds", folds, 2)
    seed = _seed(seed)
    networks = [network_factory() for _ in range(count)]
    try:
        expect_networks(networks)
    except (TypeError, ValueError) as error:
        raise type(error)(f"network_factory: expected a new network each time; {error}") from None
    columns = tables.names_of(x)
    x, t = _learned(networks, x, t)
    metric = _metric(networks[0], metric, settings.get("metrics"))
    if count > len(x):
        raise ValueError(f"folds: expected at most one for each of {len(x)} samples, got {count}")
    order, ends = _dealt(_classes(networks[0], t), len(x), count, seed)
    bounds = [*pairwise(ends)]

    def parts(array: NDArray[Any], names: list[str] | None = None) -> tuple[list[Any], list[Any]]:
        """Return what to train on without each fold, and the fold."""
        twice = array[np.concatenate([order, order[: bounds[-1][0]]])]
        n = len(order)
        found = [(twice[end : begin + n], twice[begin:end]) for begin, end in bounds]
        if names is not None:
            found = [(Table(a, names), Table(b, names)) for a, b in found]
        return [a for a, _ in found], [b for _, b in found]

    # Converted before it is copied.
    xs, held_x = parts(np.asarray(Shared().samples("x", x, networks[0])), columns)
    ts, held_t = parts(t)
    weights = settings.get("sample_weight")
    if weights is not None:
        settings["sample_weight"], _ = parts(_weights(weights, len(x)))
    histories = fit_many(
        networks,
        xs,
        ts,
        validation=[*zip(held_x, held_t, strict=True)],
        seed=seed,
        n_jobs=n_jobs,
        verbose=verbose,
        **settings,
    )
    name = f"val_{metric}"
    scores = [history[name][-1] if history[name] else np.nan for history in histories]
    rows = [order[begin:end] for begin, end in bounds]
    return CrossValidation(metric, np.array(scores), networks, histories, rows)


def _seed(seed: SupportsIndex | None) -> int:
    if seed is None:
        return int(np.random.default_rng().integers(2**63))
    return numbers.integer("seed", seed, 0, 2**64 - 1)


def _learned(networks: list[Network], x: Any, t: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return samples and targets, checked; networks take classes and columns from all of them."""
    first = networks[0]
    before, history = first.feature_names, first.history
    if history is not None:
        raise ValueError("network_factory: expected an untrained network, got one with a history")
    with sizing.sized(first, x):
        found = samples(first, x, t, learns=True)
    for network in networks[1:]:
        network._classes = first._classes
    first.feature_names = before  # each takes them when it is trained
    return found


def _metric(network: Network, metric: str | None, metrics: Any) -> str:
    known = ["loss"] if right_of(network) is None else ["loss", "accuracy"]
    if metrics is not None:
        known += [each.name for each in metrics_of(metrics) if each.name not in known]
    if metric is None:
        return known[1] if right_of(network) is not None else "loss"
    return numbers.one_of("metric", metric, tuple(known))


def _weights(given: Any, n: int) -> NDArray[Any]:
    weights = np.asarray(given)
    if weights.shape != (n,):
        raise ValueError(f"sample_weight: expected {n} numbers, got shape {weights.shape}")
    return weights


def _classes(network: Network, t: NDArray[Any]) -> NDArray[Any] | None:
    """Return the class of each sample; None if there are none to deal evenly."""
    kind = takes(network)
    if kind == "answers" and t.size == len(t):
        return t.ravel() > 0.5
    if kind != "classes":
        return None
    return t.ravel() if t.size == len(t) else t.argmax(axis=1)


def _dealt(classes: NDArray[Any] | None, n: int, folds: int, seed: int) -> tuple[Int64s, list[int]]:
    """Return the samples fold by fold, and where each begins, and n at the end."""
    order = np.random.default_rng(seed).permutation(n)
    if classes is not None:
        order = order[np.argsort(classes[order], kind="stable")]
        names, counts = np.unique(np.asarray(classes), return_counts=True)
        if counts.min() < folds:
            rare = names[counts.argmin()]
            warn(
                f"class {rare} has {counts.min()} samples, fewer than the {folds} folds: some "
                "networks are trained or validated without it",
                RuntimeWarning,
            )
    fold = np.arange(n) % folds  # of the samples in this order, class by class
    rng = np.random.default_rng((seed, 1))
    dealt = [rng.permutation(order[fold == i]) for i in range(folds)]
    ends = np.cumsum([0, *map(len, dealt)]).tolist()
    return np.concatenate(dealt), ends
