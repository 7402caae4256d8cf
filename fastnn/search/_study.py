"""Optuna's side of a search: its trials, and what is kept of them.

Imported when a search starts, as nothing else needs Optuna.
"""

from __future__ import annotations

import math
import threading
import uuid
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import BaseStorage, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState

from fastnn._utils import schema
from fastnn._utils import validation as numbers
from fastnn._utils.files import path_of
from fastnn.search._draws import (
    DEATHS,
    DRAW,
    SAMPLERS,
    Draws,
    distribution,
    number_of,
    pruner_of,
)
from fastnn.search._life import Heartbeat, patiently
from fastnn.search._ranges import Range, expect_value, from_json, to_json
from fastnn.search._result import STATES, FinishedTrial, SearchResult
from fastnn.search._storage import Where, is_url, opened, place_of
from fastnn.search._trial import Trial

_DONE = (TrialState.COMPLETE, TrialState.PRUNED)
_FinishedError: type[Exception] = getattr(  # what Optuna raises since 4.2
    optuna.exceptions, "UpdateFinishedTrialError", RuntimeError
)
_MOST_DEATHS = 3  # processes that may die of a trial before it is given up
_PATIENCE_AT_END = 5.0  # seconds, where what is told also shows otherwise: a heartbeat ends
# Attributes that are written beside what Optuna keeps.
_TRIAL, _SETTINGS, _NARROWED = (f"fastnn_{what}" for what in ("trial", "settings", "narrowed"))


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from printing a line for each trial, and from warnings of heartbeats.

    They are experimental there, and only the loop that is not used here sends them by itself.
    """
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            warnings.filterwarnings(
                "ignore", "Heartbeat of storage is supposed to be used", UserWarning
            )
            yield
    finally:
        optuna.logging.set_verbosity(before)


class Study:
    """A search in its storage.

    Parameters
    ----------
    storage : BaseStorage
    name : str
    settings : dict, optional
        What must not change from one run to the next: metric, maximize, score, epochs, ranges.
        Without them the storage must have the search.

    Raises
    ------
    ValueError
        If the storage has the search with other settings.
    """

    def __init__(
        self, storage: BaseStorage, name: str, settings: dict[str, Any] | None = None
    ) -> None:
        if settings is None:
            self._study = optuna.load_study(study_name=name, storage=storage)
        else:
            self._study = optuna.create_study(
                storage=storage,
                study_name=name,
                direction="maximize" if settings["maximize"] else "minimize",
                load_if_exists=True,
            )
        written = _first_written(self._study, _SETTINGS)
        if written is None:
            if settings is None or self._study.get_trials(deepcopy=False):
                raise ValueError(
                    f"name: {name!r}, in {place_of(storage)}, is a study of Optuna, but no search "
                    "of fastnn"
                )
            mine = {**settings, "ranges": _json(settings["ranges"])}
            written = _agreed(self._study, _SETTINGS, mine)
        self._source = f"storage: {place_of(storage)}: search {name!r}"
        with _reading(self._source):
            self._settings = _SEARCH("settings", written)
            expected = "MAXIMIZE" if self._settings["maximize"] else "MINIMIZE"
            # With none, or several, no trial would ever count as done.
            if [found.name for found in self._study.directions] != [expected]:
                raise ValueError(f"directions: expected {expected} alone")
        # By Optuna's number: what has been looked at, as there may be thousands.
        self._finished: dict[int, FinishedTrial] = {}
        self._lock = threading.RLock()  # one trial is drawn at a time
        self._asked: dict[Trial, optuna.Trial] = {}  # those that run
        self._storage, self._heartbeat = storage, Heartbeat(storage)
        self._queue_dead()
        for key, value in (settings or {}).items():
            if self._settings[key] != value:
                raise ValueError(
                    f"{key}: the storage, {place_of(storage)}, has the search {name!r} with "
                    f"{self._settings[key]}, expected the same, got {value}; "
                    "give this search another name or file"
                )

    def _queue_dead(self) -> None:
        """Have a trial whose process has died done again, with the same values, by whoever asks."""

        def again(study: optuna.Study, trial: FrozenTrial) -> None:
            deaths = 1 + trial.user_attrs.get(DEATHS, 0)
            if deaths < _MOST_DEATHS:
                attributes = {DRAW: number_of(study, trial), DEATHS: deaths}
                study.enqueue_trial(trial.params, user_attrs=attributes)

        known = getattr(self._storage, "failed_trial_callback", again)
        if known is None:  # the user of a storage may have set one
            # What Optuna calls it, before 4.9 and since.
            for name in ("failed_trial_callback", "heartbeat_stale_trial_callback"):
                setattr(self._storage, name, again)

    def close(self) -> None:
        """End the thread that tells of trials."""
        self._heartbeat.close()

    def fail_dead(self) -> None:
        """Tell as failed the trials whose process has shown no sign of life for some time."""
        if self._heartbeat.interval is not None:
            with self._lock:
                patiently(lambda: fail_stale_trials(self._study))

    def _id_of(self, asked: optuna.Trial) -> int:
        study = self._storage.get_study_id_from_name(self._study.study_name)
        return self._storage.get_trial_id_from_study_id_trial_number(study, asked.number)

    def begin(self, sampler: str, seed: int, pruner: str | None, min_epochs: int) -> None:
        """Say how trials are drawn and pruned from here on."""
        self._draws = Draws(SAMPLERS[sampler], seed)
        self._study.sampler = self._draws
        self._study.pruner = pruner_of(pruner, min_epochs)

    def done(self) -> int:
        """Return how many trials have finished, in all processes."""
        return len(patiently(lambda: self._study.get_trials(deepcopy=False, states=_DONE)))

    def ask(self, min_epochs: int) -> Trial:
        """Return a new trial."""
        ranges = self._settings["ranges"]
        distributions = {name: distribution(r) for name, r in ranges.items()}
        self.fail_dead()
        with self._lock, _reading(self._source):  # which has the numbers that queued trials draw by
            asked = patiently(lambda: self._study.ask(distributions))
            number = self._draws.number
        if self._heartbeat.interval is not None:
            self._heartbeat.begin(patiently(lambda: self._id_of(asked)))

        def is_bad(epoch: int, value: float) -> bool:
            times, rest = divmod(epoch, min_epochs)
            if rest or times & (times - 1):  # writing takes longer than a small network's epoch
                return False
            try:
                patiently(lambda: asked.report(value, epoch))
                return patiently(asked.should_prune)
            except _FinishedError:  # others took it for dead, and do it again
                return True
            except StorageInternalError:  # it is looked at again later
                return False

        trial = Trial(
            {name: asked.params[name] for name in ranges},
            number,
            self._settings["epochs"],
            self._settings["metric"],
            is_bad,
        )
        self._asked[trial] = asked
        return trial

    def give_back(self, trial: Trial) -> None:
        """Have a trial that an exception ended done again, by whoever asks next."""
        asked = self._end(trial)
        tell = partial(self._study.tell, asked, state=TrialState.FAIL)
        try:
            patiently(tell, _PATIENCE_AT_END)
        except (ValueError, _FinishedError):  # others took it for dead, and do it again
            return
        self._study.enqueue_trial(dict(trial.values), user_attrs={DRAW: trial.number})

    def value(self, trial: Trial, returned: Any) -> float:
        """Return the metric of a trial: what its training returned, else what it reported."""
        if trial.state == "complete" and returned is not None:
            try:
                return float(returned)
            except (TypeError, ValueError):
                raise TypeError(
                    f"train: expected it to return a number or nothing, got {returned!r}"
                ) from None
        reported = trial.curves.get(self._settings["metric"], [])
        if not reported:
            raise TypeError(
                "train: expected it to report to its trial, as in network.fit(..., "
                "callbacks=[trial]), or to return a number; it did neither"
            )
        if self._settings["score"] == "last":
            return reported[-1]
        return max(reported) if self._settings["maximize"] else min(reported)

    def tell(self, trial: Trial, value: float) -> None:
        """Keep what a trial gave."""
        state = trial.state if math.isfinite(value) else "diverged"
        kept = {
            "number": trial.number,
            "state": state,
            "value": math.nan if state == "diverged" else value,
            "curves": trial.curves,
        }
        asked = self._asked[trial]
        told: dict[str, Any] = (
            {"values": value} if state == "complete" else {"state": TrialState.PRUNED}
        )
        with suppress(_FinishedError):  # others took it for dead, and do it again
            patiently(lambda: asked.set_user_attr(_TRIAL, kept))
            # A first attempt may have come through before its connection broke.
            patiently(lambda: self._study.tell(asked, **told, skip_if_finished=True))
        self._end(trial)

    def _end(self, trial: Trial) -> optuna.Trial:
        asked = self._asked.pop(trial)
        if self._heartbeat.interval is not None:
            with suppress(StorageInternalError):
                self._heartbeat.end(self._id_of(asked))
        return asked

    def result(self) -> SearchResult:
        """Return what was found so far."""
        for trial in patiently(lambda: self._study.get_trials(deepcopy=False, states=_DONE)):
            if trial.number not in self._finished:
                with _reading(f"{self._source}: trial {trial.number}"):
                    self._finished[trial.number] = _finished(trial, self._settings["ranges"])
        return SearchResult(
            self._study.study_name,
            self._settings["metric"],
            self._settings["maximize"],
            self._settings["ranges"],
            tuple(sorted(self._finished.values(), key=lambda trial: trial.number)),
            self._study,
        )


def _first_written(study: optuna.Study, key: str) -> Any:
    """Return the value of the first of a study's attributes that begin with a key, or None."""
    return next((v for name, v in study.user_attrs.items() if name.startswith(key)), None)


def _agreed(study: optuna.Study, key: str, value: Any) -> Any:
    """Return what all processes go by, even those that get here at once: what came first."""
    if _first_written(study, key) is None:
        study.set_user_attr(f"{key}_{uuid.uuid4().hex}", value)
    return _first_written(study, key)


def _json(ranges: Mapping[str, Range]) -> dict[str, list[Any]]:
    return {name: to_json(range_) for name, range_ in ranges.items()}


@contextmanager
def _reading(source: str) -> Iterator[None]:
    """Let what is raised about the data of a file name the file."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{source} is damaged: {error}") from error


def _number(name: str, value: Any) -> float:
    """Return a number, which may be NaN or infinite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    return value


# What a file must have of a search and of a trial.
_RANGES = schema.keyed(from_json)
_SEARCH = schema.entries(
    {
        "metric": schema.text,
        "maximize": numbers.flag,
        "score": lambda name, value: numbers.one_of(name, value, ("last", "best")),
        "epochs": schema.optional(lambda name, value: numbers.integer(name, value, 1)),
        "ranges": _RANGES,
    }
)
_KEPT = schema.entries(
    {
        "number": lambda name, value: numbers.integer(name, value, 0),
        "state": lambda name, value: numbers.one_of(name, value, STATES),
        "value": _number,
        "curves": schema.keyed(schema.listed(_number)),
    }
)


def narrowed_once(result: SearchResult, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Return the ranges for the search after this one, the same in all processes."""
    written = _agreed(result.study, _NARROWED, _json(ranges))
    with _reading(f"storage: search {result.name!r}"):
        found: dict[str, Range] = _RANGES("narrowed ranges", written)
    return found


def _finished(trial: FrozenTrial, ranges: dict[str, Range]) -> FinishedTrial:
    kept = _KEPT("trial", trial.user_attrs.get(_TRIAL))
    values = schema.entries({name: partial(expect_value, range_=r) for name, r in ranges.items()})
    duration = trial.duration
    return FinishedTrial(
        kept["number"],
        values("values", {name: v for name, v in trial.params.items() if name in ranges}),
        kept["state"],
        kept["value"],
        kept["curves"],
        duration.total_seconds() if duration is not None else math.nan,
    )


def stored(where: Where, name: str) -> SearchResult:
    """Return the result of a search that a file or a database has."""
    named = None if is_url(where) or isinstance(where, BaseStorage) else where
    if named is not None and not path_of("storage", named).is_file():
        raise FileNotFoundError(f"storage: there is no file {named}")
    with opened(where) as storage:
        names = optuna.get_all_study_names(storage)
        if name not in names:
            raise ValueError(
                f"name: expected one of {', '.join(sorted(names))}, which are in "
                f"{place_of(storage)}, got {name!r}"
            )
        return Study(storage, name).result()
