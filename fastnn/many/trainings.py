"""Trainings of several networks side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex

from numpy.typing import ArrayLike

from fastnn._messages.bars import is_watched
from fastnn.many.given import Shared, each, rows_to_train_on
from fastnn.many.jobs import Jobs, jobs_of
from fastnn.many.progress import Together
from fastnn.many.remote import Executor, Remote, expect_executor
from fastnn.networks import Network
from fastnn.training import data
from fastnn.training.progress import listener

if TYPE_CHECKING:
    from fastnn.training.history import History

Settings = dict[str, Any]


class FitManyError(RuntimeError):
    """Trainings of some networks ended with errors; the others went to their end.

    Attributes
    ----------
    errors : dict of int to Exception
        What each raised, by the network's place in the list.
    histories : list of History or None
        Those of the others, in the order of the networks.
    """

    def __init__(
        self, message: str, errors: dict[int, Exception], histories: list[History | None]
    ) -> None:
        super().__init__(message)
        self.errors, self.histories = errors, histories


def fit_many(
    networks: Iterable[Network],
    x: ArrayLike | Sequence[ArrayLike],
    t: ArrayLike | Sequence[ArrayLike],
    *,
    epochs: SupportsIndex | Sequence[SupportsIndex] = 1,
    batch_size: SupportsIndex | Sequence[SupportsIndex] = 128,
    optimizer: Any = None,
    validation: Any = None,
    callbacks: Any = (),
    schedule: Any = None,
    clip_value: SupportsFloat | Sequence[SupportsFloat | None] | None = None,
    clip_norm: SupportsFloat | Sequence[SupportsFloat | None] | None = None,
    ema: SupportsFloat | Sequence[SupportsFloat | None] | None = None,
    shuffle: bool | Sequence[bool | None] | None = None,
    seed: SupportsIndex | Sequence[SupportsIndex | None] | None = None,
    resume: Sequence[History | None] | None = None,
    on_divergence: Any = "stop",
    validate_averages: bool | Sequence[bool] = False,
    metrics: Any = None,
    sample_weight: Any = None,
    class_weight: Any = None,
    n_jobs: SupportsIndex = -1,
    executor: Executor | None = None,
    verbose: Any = True,
) -> list[History]:
    """Train several networks at the same time, in threads of this process or on an executor.

    Each ends up with the same bits as by ``network.fit`` with its arguments, one after the other.
    A small network gains little from a second thread, several of them all there is: `n_jobs`
    trainings on C threads take C / `n_jobs` each, at least one.

    All arguments but the last three are those of :meth:`fastnn.Network.fit`: one for all networks,
    or a list (or tuple) of as many as there are networks, one for each. Of what is a list for one
    network already, a list for each has these: `x` arrays or tables of two axes at least; `t` and
    `sample_weight` arrays or columns, not lists of numbers; `validation`, in a list, pairs in
    tuples, shares or None; `callbacks` and `metrics` lists; `class_weight` strings, dicts, arrays
    or None.

    Samples are not copied. What a training program would convert, such as integers or lists, or
    float64 for networks of float32, is converted once for all networks of a dtype.

    Ctrl-C ends all trainings, each after a whole step: KeyboardInterrupt comes through when all
    have ended. ``network.history`` of those that had begun has what was recorded, and
    ``fit_many(..., resume=[network.history for network in networks])`` goes on from there.

    Parameters
    ----------
    networks : iterable of Network
        All different, without layers in common. They are trained in place.
    x, t, epochs, batch_size, schedule, clip_value, clip_norm, ema, shuffle, seed
    on_divergence, validate_averages, metrics, sample_weight, class_weight
        As for ``network.fit``, one for all or a list. One seed gives all networks the samples in
        the same order.
    optimizer : Optimizer or str, or list
        Of one for all, each network has a new one with the same settings:
        ``history.optimizer``.
    validation : (x, t) or float, or list
    callbacks : iterable of Callback, or list of such
        Of those for all, each network has copies. Those that write to a file are to be given for
        each network.
    resume : list of History or None, optional
        One for each network; None where a training begins.
    n_jobs : int
        How many trainings run at the same time: -1 for as many as there are threads
        (:func:`fastnn.get_num_threads`), -2 for one less, and so on.
    executor : Executor, optional
        Carries out the trainings instead, each on one thread, in other processes or on other
        machines: a ``concurrent.futures.ProcessPoolExecutor`` or a ``dask.distributed.Client``, to
        which samples are sent once; `n_jobs` has no meaning then. Networks and arguments are
        pickled; parameters come back into the networks here, of layers of your own as
        ``network.save`` has them, and so do the histories. Callbacks are called there. After Ctrl-C
        trainings that have not come back leave their networks as they were.
    verbose : bool or "auto"
        Whether to show one progress bar for all, and to print a line for each network that is
        trained.

    Returns
    -------
    list of History
        In the order of the networks.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, before any training; or if all networks refuse their data
        with the same words.
    FitManyError
        If some trainings end with an error: it names them, and is raised when all others have come
        to their end.

    Examples
    --------
    >>> import numpy as np
    >>> import fastnn
    >>> x = np.random.default_rng(0).normal(size=(300, 4))
    >>> t = (x[:, 0] > 0).astype(int)
    >>> networks = [fastnn.MultiLayerNet(4, [16], 2, seed=seed) for seed in range(8)]
    >>> histories = fastnn.fit_many(
    ...     networks, x, t, epochs=20, batch_size=32, seed=list(range(8)), verbose=False
    ... )
    >>> all(history.loss[-1] < history.loss[0] for history in histories)
    True
    """
    found = expect_networks(networks)
    arguments = {
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "validation": validation,
        "callbacks": callbacks,
        "schedule": schedule,
        "clip_value": clip_value,
        "clip_norm": clip_norm,
        "ema": ema,
        "shuffle": shuffle,
        "seed": seed,
        "resume": resume,
        "on_divergence": on_divergence,
        "validate_averages": validate_averages,
        "metrics": metrics,
        "sample_weight": sample_weight,
        "class_weight": class_weight,
    }
    jobs = jobs_of(n_jobs, len(found))
    if executor is not None:
        expect_executor(executor)
    shared = Shared()
    settings = _settings(found, x, t, arguments, shared)
    if verbose == "auto":
        verbose = is_watched()
    _expect_valid(found, settings)
    samples = [rows_to_train_on(one["x"], one["validation"]) * one["epochs"] for one in settings]
    finite = shared.finite() if len(found) > 1 else ()
    with Together(samples, bool(verbose)) as progress:
        calls = [
            partial(_fit, i, network, given, progress, finite)
            for i, (network, given) in enumerate(zip(found, settings, strict=True))
        ]
        running: Jobs | Remote = Jobs(calls, jobs)
        if executor is not None:
            running = Remote(executor, found, settings, partial(_ended, progress))
        running.run(progress.look)
    histories = [running.results.get(i) for i in range(len(found))]
    return expect_no_errors(histories, running.errors)


def expect_networks(networks: Any) -> list[Network]:
    """Return a list of networks that can be trained at the same time.

    Raises
    ------
    TypeError, ValueError
        If something else is among them, or two have a layer in common.
    """
    if not isinstance(networks, Iterable):
        raise TypeError(f"networks: expected a list of networks, got {networks!r}")
    found = list(networks)
    owners: dict[int, tuple[int, str]] = {}
    for i, network in enumerate(found):
        if not isinstance(network, Network):
            raise TypeError(f"networks[{i}]: expected a network of fastnn, got {network!r}")
        parts = {"itself": network, **network.layers, "last_layer": network.last_layer}
        for name, part in parts.items():
            j, _ = owners.setdefault(id(part), (i, name))
            if j != i:
                what = "another network" if part is network else f"a layer {name} of its own"
                raise ValueError(
                    f"networks[{i}]: expected {what}, got that of networks[{j}], which is trained "
                    "at the same time"
                )
    return found


def _settings(
    networks: list[Network], x: Any, t: Any, arguments: Settings, shared: Shared
) -> list[Settings]:
    """Return the arguments of each training; samples are converted."""
    count = len(networks)
    given = {name: each(name, value, count) for name, value in arguments.items()}
    xs, ts = each("x", x, count), each("t", t, count)
    settings = [{name: values[i] for name, values in given.items()} for i in range(count)]
    for i, (network, one) in enumerate(zip(networks, settings, strict=True)):
        one["x"], one["t"] = shared.samples("x", xs[i], network), ts[i]
        one["validation"] = shared.validation("validation", one["validation"], network)
    return settings


def _expect_valid(networks: list[Network], settings: list[Settings]) -> None:
    """Raise TypeError or ValueError, which names the network, if a setting is not valid."""
    from fastnn.training.settings import FitSettings

    count = len(networks)
    for i, one in enumerate(settings):
        rest = {name: value for name, value in one.items() if name not in ("x", "t")}
        try:
            checked = FitSettings.from_arguments(**rest, verbose=False)
        except (TypeError, ValueError) as error:
            if count == 1:
                raise
            raise type(error)(f"networks[{i}]: {error}") from None
        one["epochs"], one["callbacks"] = checked.epochs, checked.callbacks
        if not hasattr(one["x"], "__len__"):
            raise TypeError(f"x: expected samples, got {one['x']!r}")


def _fit(
    i: int, network: Network, given: Settings, progress: Together, finite: tuple[Any, ...]
) -> History:
    history = None
    listener.set(progress.listener(i))  # in a context of its own
    data.finite.set(finite)
    try:
        history = network.fit(**given, verbose=False)
    finally:
        _ended(progress, i, history)
    return history


def _ended(progress: Together, i: int, history: History | None) -> None:
    """Take note that a training has ended; without a history by an error."""
    line = "ended by an error"
    if history is not None:
        line = f"epoch {history.epochs}: {history.line(history.epochs)}" if history.epochs else ""
    progress.end(i, f"networks[{i}]: {line or 'no epoch'}")


def expect_no_errors(
    histories: list[History | None], errors: dict[int, Exception]
) -> list[History]:
    """Return the histories, or raise what came instead of some."""
    if not errors:
        return [history for history in histories if history is not None]
    first = min(errors)
    texts = {(type(error), str(error)) for error in errors.values()}
    if len(errors) == len(histories) and len(texts) == 1:
        raise errors[first]
    lines = [f"networks[{i}]: {type(errors[i]).__name__}: {errors[i]}" for i in sorted(errors)]
    raise FitManyError(
        f"{len(errors)} of {len(histories)} trainings ended with an error; the others came to "
        "their end\n" + "\n".join(lines),
        errors,
        histories,
    ) from errors[first]
