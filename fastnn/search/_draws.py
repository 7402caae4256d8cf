"""What trials draw, and which are ended early: Optuna's samplers, pruners and distributions."""

from __future__ import annotations

from collections.abc import Callable
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
from optuna.trial import FrozenTrial, TrialState

from fastnn.search._ranges import Choice, Int, Log, Range, Uniform

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "random": lambda seed: RandomSampler(seed=seed),
    "tpe": lambda seed: TPESampler(seed=seed),
}
# Attributes of a trial that is done again: the number that it draws by, and how many processes have
# died of it.
DRAW, DEATHS = "fastnn_draw", "fastnn_deaths"


def number_of(study: optuna.Study, trial: FrozenTrial) -> int:
    """Return the number that a trial draws by.

    A trial that was interrupted is queued again under its number: it does not count twice.
    """
    if DRAW in trial.user_attrs:
        return int(trial.user_attrs[DRAW])
    others = study.get_trials(deepcopy=False)
    again = [t for t in others if t.number < trial.number and DRAW in t.user_attrs]
    return trial.number - len(again)


def pruner_of(name: str | None, min_epochs: int) -> BasePruner:
    """Return Optuna's pruner; it is asked at epochs `min_epochs`, twice as many, four times..."""
    if name == "median":
        return MedianPruner()
    if name == "halving":
        return SuccessiveHalvingPruner(min_resource=min_epochs, reduction_factor=2)
    return NopPruner()


class Draws(BaseSampler):
    """A sampler that starts anew for each trial, from the seed and the trial's number.

    So a trial draws the same values in whichever process it runs, and when a search is resumed;
    processes that share a file draw different ones.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._sampler = make(0)
        self.number = 0

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self.number = number_of(study, trial)
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


def distribution(range_: Range) -> BaseDistribution:
    if isinstance(range_, Choice):
        return CategoricalDistribution(range_.options)
    if isinstance(range_, Int):
        return IntDistribution(range_.low, range_.high, log=range_.log)
    assert isinstance(range_, (Log, Uniform))
    return FloatDistribution(range_.low, range_.high, log=isinstance(range_, Log))
