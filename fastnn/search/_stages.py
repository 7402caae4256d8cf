"""Searches in stages, from coarse to fine."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np

from fastnn._utils import validation as numbers
from fastnn._utils.log import show
from fastnn.search._ranges import Range
from fastnn.search._result import BorderWarning, SearchResult
from fastnn.search._search import (
    Train,
    checked_stage,
    optuna_side,
    search,
    seed_of,
    warn_of_borders,
)


@dataclass(frozen=True)
class Stage:
    """One search of several, from coarse to fine.

    Parameters
    ----------
    trials : int
    epochs : int, optional
    sampler : {"random", "tpe"}
    pruner : {"median", "halving"} or None
        All as for :func:`search`.

    Raises
    ------
    TypeError, ValueError
        If one of them is not.
    """

    trials: int
    epochs: int | None = None
    sampler: str = "random"
    pruner: str | None = "median"

    def __post_init__(self) -> None:
        checked_stage(self.trials, self.epochs, self.sampler, self.pruner)


def coarse_to_fine(
    train: Train,
    ranges: Mapping[str, Range],
    stages: Sequence[Stage],
    *,
    keep: SupportsIndex | None = None,
    margin: SupportsFloat = 0.1,
    seed: SupportsIndex | None = None,
    name: str = "search",
    verbose: bool = True,
    **options: Any,
) -> list[SearchResult]:
    """Search in stages: wide ranges and few epochs first, then narrower ones about the best.

    In a first stage many values do not learn at all, which an epoch or less shows; a second one
    may take five epochs, the last one many (CS231n notes, "Neural networks 3", stage your search
    from coarse to fine).

    Parameters
    ----------
    train, ranges
        As for :func:`search`.
    stages : sequence of Stage
    keep, margin
        As for :meth:`SearchResult.narrowed`: how ranges of the next stage are made.
    seed, verbose
        As for :func:`search`. The ranges of each stage are printed too.
    name : str
        The stages are kept in the storage as name-1, name-2, ...
    **options
        More arguments of :func:`search`, for all stages; those of :class:`Stage` go there.

    Returns
    -------
    list of SearchResult
        Of each stage; the last one's best is what was sought.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, or all trials of a stage diverge.

    Warns
    -----
    BorderWarning
        If the best value of the last stage lies at the border of its range.

    Examples
    --------
    >>> import math
    >>> from fastnn.search import Log, Stage, coarse_to_fine
    >>> def train(trial):
    ...     return -abs(math.log10(trial["lr"]) + 2.5)
    >>> results = coarse_to_fine(
    ...     train, {"lr": Log(1e-6, 10)}, [Stage(20), Stage(20)], seed=0, verbose=False
    ... )
    >>> [result.ranges["lr"] for result in results]
    [Log(1e-06, 10), Log(1.06e-05, 0.493)]
    """
    if not isinstance(stages, Sequence) or not stages:
        raise TypeError(f"stages: expected a list of stages, got {stages!r}")
    for stage in stages:
        if not isinstance(stage, Stage):
            raise TypeError(f"stages: expected objects of type Stage, got {stage!r}")
    for key in ("trials", "epochs", "sampler", "pruner"):
        if key in options:
            raise TypeError(f"{key}: expected in each Stage, as stages may differ in it")
    if keep is not None:
        keep = numbers.integer("keep", keep, 1)
    margin = numbers.fraction("margin", margin)
    seeds = np.random.SeedSequence(seed_of(seed)).generate_state(len(stages), np.uint64)
    results: list[SearchResult] = []
    narrowed: Mapping[str, Range] = ranges
    for i, stage in enumerate(stages):
        if results:
            narrowed = results[-1].narrowed(keep, margin, ranges)
            narrowed = optuna_side().narrowed_once(results[-1], narrowed)
        with warnings.catch_warnings():
            # Of the last stage alone, as others reach beyond the border of the one before.
            warnings.simplefilter("ignore", BorderWarning)
            results.append(
                search(
                    train,
                    narrowed,
                    stage.trials,
                    epochs=stage.epochs,
                    sampler=stage.sampler,
                    pruner=stage.pruner,
                    seed=seeds[i],
                    name=f"{name}-{i + 1}",
                    verbose=verbose,
                    **options,
                )
            )
        if verbose:
            show(str(results[-1]), sys.stdout)
    warn_of_borders(results[-1])
    return results
