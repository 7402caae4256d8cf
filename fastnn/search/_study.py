"""Optuna's side of a search: its file, what trials draw, and what is kept of them.

Imported when a search starts, as nothing else needs Optuna.
"""

from __future__ import annotations

import json
import math
import os
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from fastnn.search._ranges import Choice, Int, Log, Range, Uniform, from_json, to_json
from fastnn.search._result import FinishedTrial, SearchResult
from fastnn.search._trial import Trial

_SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
}
_DONE = (TrialState.COMPLETE, TrialState.PRUNED)
# Attributes that are written beside what Optuna keeps.
_TRIAL, _DRAW, _SETTINGS, _NARROWED = (
    f"fastnn_{what}" for what in ("trial", "draw", "settings", "narrowed")
)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from printing a line for each trial."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def open_storage(path: str | os.PathLike[str] | None) -> BaseStorage:
    """Return the storage of a file, made if there is none, or one in memory."""
    if path is None:
        return InMemoryStorage()
    path = Path(path)
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(f"storage: there is no folder {path.absolute().parent}")
    if path.is_dir():
        raise IsADirectoryError(f"storage: expected a file, got the folder {path}")
    if path.exists():
        with open(path, "rb") as file:
            begin = file.read(10)
        if not b'{"op_code"'.startswith(begin):
            raise ValueError(f"storage: {path} is a file of something else")
    return JournalStorage(_Journal(path))


class _Journal(JournalFileBackend):
    """A journal in a file, which goes on after a last line that was cut off.

    That happens when the disk is full, or a process is killed while it writes. Optuna's own
    appends to that line, and then cannot read the file any more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Unlike symbolic links, this lock works on Windows too.
        self._open_lock = JournalFileOpenLock(str(path))
        super().__init__(str(path), lock_obj=self._open_lock)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Return lines; raise ValueError if one cannot be read."""
        line = log_number_from + 1
        try:
            for log in super().read_logs(log_number_from):
                yield log
                line += 1
        except json.JSONDecodeError as error:
            raise ValueError(
                f"storage: {self._path} is damaged in line {line}: remove that line and "
                f"those after it, or give another file"
            ) from error

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write lines."""
        if self._is_cut():
            self._open_lock.acquire()
            try:
                if self._is_cut():  # and not a line that another process was writing
                    os.truncate(self._path, self._path.read_bytes().rfind(b"\n") + 1)
            finally:
                self._open_lock.release()
        super().append_logs(logs)

    def _is_cut(self) -> bool:
        with open(self._path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(0, end - 1))
            return file.read(1) not in (b"", b"\n")


def pruner(name: str | None, min_epochs: int) -> BasePruner:
    """Return Optuna's pruner; it is asked at epochs `min_epochs`, twice as many, four times..."""
    if name == "median":
        return MedianPruner()
    if name == "halving":
        return SuccessiveHalvingPruner(min_resource=min_epochs, reduction_factor=2)
    return NopPruner()


class _Draws(BaseSampler):
    """A sampler that starts anew for each trial, from the seed and the trial's number.

    So a trial draws the same values in whichever process it runs, and when a search is resumed;
    processes that share a file draw different ones.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._sampler = make(0)
        self.number = 0

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        # A trial that was interrupted is queued again under its number: do not count it twice.
        if _DRAW in trial.user_attrs:
            self.number = trial.user_attrs[_DRAW]
        else:
            others = study.get_trials(deepcopy=False)
            again = [t for t in others if t.number < trial.number and _DRAW in t.user_attrs]
            self.number = trial.number - len(again)
        seed = np.random.SeedSequence((self._seed, self.number)).generate_state(1)[0]
        self._sampler = self._make(int(seed))
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Any
    ) -> None:
        self._sampler.after_trial(study, trial, state, values)


def _distribution(range_: Range) -> BaseDistribution:
    if isinstance(range_, Choice):
        return CategoricalDistribution(range_.options)
    if isinstance(range_, Int):
        return IntDistribution(range_.low, range_.high, log=range_.log)
    assert isinstance(range_, (Log, Uniform))
    return FloatDistribution(range_.low, range_.high, log=isinstance(range_, Log))


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
                raise ValueError(f"name: {name!r} is a study of Optuna, but no search of fastnn")
            mine = {**settings, "ranges": _json(settings["ranges"])}
            written = _agreed(self._study, _SETTINGS, mine)
        self._settings = {**written, "ranges": _ranges(written["ranges"])}
        # By Optuna's number: what has been looked at, as there may be thousands.
        self._finished: dict[int, FinishedTrial] = {}
        for key, value in (settings or {}).items():
            if self._settings[key] != value:
                raise ValueError(
                    f"{key}: the storage has the search {name!r} with {self._settings[key]}, "
                    f"expected the same, got {value}; give this search another name or file"
                )

    def begin(self, sampler: str, seed: int, pruner: BasePruner) -> None:
        """Say how trials are drawn and pruned from here on."""
        self._draws = _Draws(_SAMPLERS[sampler], seed)
        self._study.sampler, self._study.pruner = self._draws, pruner

    def done(self) -> int:
        """Return how many trials have finished, in all processes."""
        return len(self._study.get_trials(deepcopy=False, states=_DONE))

    def ask(self, min_epochs: int) -> Trial:
        """Return a new trial."""
        ranges = self._settings["ranges"]
        asked = self._study.ask({name: _distribution(r) for name, r in ranges.items()})
        self._asked = asked

        def is_bad(epoch: int, value: float) -> bool:
            times, rest = divmod(epoch, min_epochs)
            if rest or times & (times - 1):  # writing takes longer than a small network's epoch
                return False
            asked.report(value, epoch)
            return asked.should_prune()

        return Trial(
            {name: asked.params[name] for name in ranges},
            self._draws.number,
            self._settings["epochs"],
            self._settings["metric"],
            is_bad,
        )

    def give_back(self, trial: Trial) -> None:
        """Have a trial that an exception ended done again, by whoever asks next."""
        self._study.tell(self._asked, state=TrialState.FAIL)
        self._study.enqueue_trial(dict(trial.values), user_attrs={_DRAW: trial.number})

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
        self._asked.set_user_attr(_TRIAL, kept)
        if state == "complete":
            self._study.tell(self._asked, value)
        else:
            self._study.tell(self._asked, state=TrialState.PRUNED)

    def result(self) -> SearchResult:
        """Return what was found so far."""
        for trial in self._study.get_trials(deepcopy=False, states=_DONE):
            if trial.number not in self._finished:
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


def _ranges(written: dict[str, list[Any]]) -> dict[str, Range]:
    return {name: from_json(*values) for name, values in written.items()}


def narrowed_once(result: SearchResult, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Return the ranges for the search after this one, the same in all processes."""
    return _ranges(_agreed(result.study, _NARROWED, _json(ranges)))


def _finished(trial: FrozenTrial, ranges: dict[str, Range]) -> FinishedTrial:
    kept = trial.user_attrs[_TRIAL]
    duration = trial.duration
    return FinishedTrial(
        kept["number"],
        {name: trial.params[name] for name in ranges},
        kept["state"],
        kept["value"],
        kept["curves"],
        duration.total_seconds() if duration is not None else math.nan,
    )


def stored(path: str | os.PathLike[str], name: str) -> SearchResult:
    """Return the result of a search that a file has."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"storage: there is no file {path}")
    storage = open_storage(path)
    names = optuna.get_all_study_names(storage)
    if name not in names:
        raise ValueError(f"name: expected one of {', '.join(sorted(names))}, got {name!r}")
    return Study(storage, name).result()
