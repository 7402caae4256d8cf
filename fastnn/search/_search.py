"""One search: what it checks, and its loop over trials."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex

import numpy as np

from fastnn._messages.bars import Progress
from fastnn._utils import distribution as _distribution
from fastnn._utils import interrupts
from fastnn._utils import validation as numbers
from fastnn._utils.warnings import warn
from fastnn.many.jobs import Jobs, jobs_of
from fastnn.search._ranges import Range, checked
from fastnn.search._result import BorderWarning, SearchResult
from fastnn.search._trial import Trial
from fastnn.training.divergence import DivergenceWarning

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

    from fastnn.search._study import Study

Train = Callable[[Trial], SupportsFloat | None]
_SAMPLERS, _PRUNERS, _SCORES = ("random", "tpe"), ("median", "halving"), ("last", "best")


def optuna_side() -> Any:
    """Return the module that needs Optuna; raise ImportError if that is not installed."""
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        command = _distribution.install_command("search")
        raise ImportError(f"fastnn.search needs Optuna: {command}") from error
    from fastnn.search import _study

    return _study


def search(
    train: Train,
    ranges: Mapping[str, Range],
    trials: SupportsIndex = 100,
    *,
    epochs: SupportsIndex | None = None,
    metric: str = "val_accuracy",
    maximize: bool | None = None,
    score: str = "last",
    sampler: str = "random",
    pruner: str | None = "median",
    min_epochs: SupportsIndex = 5,
    seed: SupportsIndex | None = None,
    storage: str | os.PathLike[str] | BaseStorage | None = None,
    name: str = "search",
    n_jobs: SupportsIndex = 1,
    heartbeat: SupportsIndex = 60,
    verbose: bool = True,
) -> SearchResult:
    """Search for good hyper-parameters: train with many values, and compare.

    Random values on the right scale find more than a grid, as some hyper-parameters matter far
    more than others (Bergstra and Bengio, "Random search for hyper-parameter optimization",
    2012). Compare on validation data, never on the test data. Optuna does the work.

    With `storage`, a search goes on where it ended: call it again, and it runs as many trials as
    lack. Ctrl-C, or an exception of `train`, comes through at once; that trial is done again
    then, with the same values. Several processes may run the same search at once.

    In a database, a trial whose process is killed is told as failed once its `heartbeat` has been
    missing twice, and is done again, with the same values, by the next process that begins a trial;
    after three such deaths it is given up. A database that is away is waited for, up to a minute.

    A file has no heartbeat: the trial of a process that is killed is not done again there; one with
    other values takes its place. If it was writing, the next one waits up to half a minute for its
    lock, a file with ".lock" after the storage's name. A last line that was cut off, as by a full
    disk, is dropped.

    Parameters
    ----------
    train : function of a Trial
        Trains a network with the trial's values and reports the metric after each epoch:
        ``network.fit(..., callbacks=[trial])``, or :meth:`Trial.report`. It may return the
        metric instead, or NaN for values that cannot be used: a history has no epoch, and no
        metric, if ``history.diverged`` in the first one.
    ranges : dict of str to Range
        :class:`Log`, :class:`Uniform`, :class:`Int` or :class:`Choice`, by name.
    trials : int
        How many there should be in the end, those in `storage` included. Processes that share
        the work may each finish one more.
    epochs : int, optional
        What ``trial.epochs`` says. A trial that has reported so many is complete.
    metric : str
        What is compared: of ``network.fit`` "val_accuracy", "val_loss", "accuracy", "loss", or the
        name of one of its `metrics`.
    maximize : bool, optional
        Whether more is better; by default unless the metric's name ends with "loss" or "error".
    score : {"last", "best"}
        Whether a trial's last epoch counts, or its best one.
    sampler : {"random", "tpe"}
        Random search, or tree-structured Parzen estimators (Bergstra et al., 2011), which look
        where good trials were.
    pruner : {"median", "halving"} or None
        Which trials are ended early: those worse than the median of the trials that ran to their
        end, after five of them; or the worse half at each look (successive halving). Looked at
        are epochs `min_epochs`, twice as many, four times, and so on.
    min_epochs : int
        No trial is ended before this epoch, at least 1, unless it diverges.
    seed : int, optional
        Chooses the values: trial by trial the same with the same seed, in one process.
    storage : str, path or optuna.storages.BaseStorage, optional
        Where to keep the trials, with their curves. A file, a journal of Optuna, made if there is
        none. Or the URL of a database, such as "sqlite:///search.db" or
        "postgresql+psycopg://user@host/name", whose tables are made if there are none. Or any
        storage of Optuna, as it is. In memory if not given: what ends the search, Ctrl-C too, then
        loses them.
    name : str
        Of this search in its storage.
    n_jobs : int
        How many trials run at the same time, in threads of this process, each with its share of
        those that kernels may use (:func:`fastnn.fit_many`); -1 for as many as there are. `train`
        is called by several threads then. Random values are the same for any number; which trials
        are ended early, and what "tpe" draws, depend on what has ended by then.
    heartbeat : int
        Seconds from one sign of life of a trial to the next, in a database that is named by its
        URL, at least 1.
    verbose : bool
        Whether to show a progress bar.

    Returns
    -------
    SearchResult

    Raises
    ------
    ImportError
        If Optuna, or the driver of the database, is not installed.
    ConnectionError
        If the database cannot be opened.
    TypeError, ValueError
        If an argument is not as above, or the storage has a search of this name with other
        ranges, metric, score or epochs.

    Warns
    -----
    BorderWarning
        If the best value lies at the border of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet, optimizers
    >>> from fastnn.search import Log, search
    >>> x = np.random.default_rng(0).normal(size=(300, 4))
    >>> t = (x[:, 0] > 0).astype(int)
    >>> def train(trial):
    ...     network = MultiLayerNet(4, [16], 2, seed=0)
    ...     network.fit(x, t, trial.epochs, 20, optimizers.SGD(trial["lr"]), validation=0.2,
    ...                 callbacks=[trial], verbose=False, seed=0)
    >>> result = search(train, {"lr": Log(1e-6, 10)}, 20, epochs=5, seed=0, verbose=False)
    >>> result.best.value > 0.9, 1e-2 < result.best["lr"] < 5
    (True, True)
    """
    if not callable(train):
        raise TypeError(f"train: expected a function of a trial, got {train!r}")
    for key, text in (("metric", metric), ("name", name)):
        if not isinstance(text, str):
            raise TypeError(f"{key}: expected a string, got {text!r}")
    trials, epochs = checked_stage(trials, epochs, sampler, pruner)
    min_epochs = numbers.integer("min_epochs", min_epochs, 1)
    heartbeat = numbers.integer("heartbeat", heartbeat, 1, 2**31 - 1)
    settings = {
        "metric": metric,
        "maximize": not metric.endswith(("loss", "error")) if maximize is None else bool(maximize),
        "score": numbers.one_of("score", score, _SCORES),
        "epochs": epochs,
        "ranges": checked(ranges),
    }
    seed = seed_of(seed)
    backend = optuna_side()
    with backend.quiet(), backend.opened(storage, heartbeat) as found:
        study = backend.Study(found, name, settings)
        study.begin(sampler, seed, pruner, min_epochs)
        try:
            _run(train, study, trials, min_epochs, verbose, n_jobs)
            study.fail_dead()
        finally:
            study.close()
        result: SearchResult = study.result()
    warn_of_borders(result)
    return result


def warn_of_borders(result: SearchResult) -> None:
    """Warn of each best value that lies at the border of its range."""
    for border in result.border:
        warn(str(border), BorderWarning)


def checked_stage(
    trials: SupportsIndex, epochs: SupportsIndex | None, sampler: str, pruner: str | None
) -> tuple[int, int | None]:
    """Return trials and epochs of a search, checked as sampler and pruner are."""
    numbers.one_of("sampler", sampler, _SAMPLERS)
    if pruner is not None:
        numbers.one_of("pruner", pruner, _PRUNERS)
    return (
        numbers.integer("trials", trials, 1),
        None if epochs is None else numbers.integer("epochs", epochs, 1),
    )


def seed_of(seed: SupportsIndex | None) -> int:
    """Return a seed that is given, checked, or a random one."""
    if seed is None:
        return int(np.random.default_rng().integers(2**63))
    return numbers.integer("seed", seed, 0, 2**64 - 1)


class _Trials:
    """The trials of one process: asked for, run, told.

    Parameters
    ----------
    train : function of a Trial
    study : Study
    count : int
        How many there are to be, those of other processes included.
    min_epochs : int
    """

    def __init__(self, train: Train, study: Study, count: int, min_epochs: int) -> None:
        self._train, self._study, self._min_epochs = train, study, min_epochs
        self._count, self._running, self._lock = count, 0, threading.Lock()
        self.ended = 0

    def __iter__(self) -> Iterator[Callable[[], None]]:
        """Yield calls, each of one trial, as long as there are too few."""
        while True:
            with self._lock:
                if self._study.done() + self._running >= self._count:
                    return
                self._running += 1
            yield self._run

    def _run(self) -> None:
        trial, told = None, False
        try:
            with interrupts.held():
                trial = self._study.ask(self._min_epochs)
            value = self._study.value(trial, self._train(trial))
            with interrupts.held():
                told = True
                self._study.tell(trial, value)
        except BaseException:
            if trial is not None and not told:
                with interrupts.held():
                    self._study.give_back(trial)
            raise
        finally:
            with self._lock:
                self._running -= 1
                self.ended += 1


def _run(
    train: Train, study: Study, trials: int, min_epochs: int, verbose: bool, n_jobs: SupportsIndex
) -> None:
    """Run trials until there are enough, those of other processes included."""
    done = study.done()
    jobs = jobs_of(n_jobs, max(1, trials - done))
    calls = _Trials(train, study, trials, min_epochs)
    with Progress(max(trials, done), " trials", verbose, done=done) as progress:
        seen = 0

        def look() -> None:
            nonlocal done, seen
            if calls.ended > seen:
                seen, before, done = calls.ended, done, study.done()
                progress.advance(done - before, partial(_best, study))

        with warnings.catch_warnings():
            # A trial that diverges is a result like others.
            warnings.simplefilter("ignore", DivergenceWarning)
            if jobs > 1:
                Jobs(calls, jobs, ends_at_error=True).run(look)
                return
            for call in calls:
                call()
                look()


def _best(study: Study) -> dict[str, str]:
    best = study.result().top(1)
    return {"best": f"{best[0].value:.4g} with {best[0]}"} if best else {}


def load(storage: str | os.PathLike[str] | BaseStorage, name: str = "search") -> SearchResult:
    """Return what a search has found so far, from its file or database.

    Parameters
    ----------
    storage : str, path or optuna.storages.BaseStorage
        What the search was given; it may still run.
    name : str
        Its name; that of a stage is name-1, name-2, ...

    Returns
    -------
    SearchResult

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or no search of this name in it.
    """
    backend = optuna_side()
    with backend.quiet():
        result: SearchResult = backend.stored(storage, name)
    return result
