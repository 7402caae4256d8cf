"""What carries out the steps of a training: the interface, and its settings.

There are two: the compiled training program, which does many steps in one call, and
:class:`fastnn.training.layerwise.LayerSteps`, which calls the layers one by one and works for every
network. Both give the same numbers within rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from fastnn._utils.types import Array, Float64s, Int64s, Samples


class Network(Protocol):
    """What a training asks of a network."""

    params: dict[str, Array]
    last_layer: Any

    def gradient(self, x: Array, t: Samples) -> dict[str, Array]:
        """Return the gradients and leave the loss in ``last_layer.loss``."""
        ...

    def accuracy(self, x: Array, t: Samples) -> float:
        """Return the share of samples that are classified correctly."""
        ...


@dataclass(frozen=True)
class StepSettings:
    """What is part of a step besides the network and the optimizer.

    Attributes
    ----------
    clip_value : float or None
        Gradients are clipped to [-clip_value, clip_value], elementwise.
    clip_norm : float or None
        After that, gradients are scaled by clip_norm / norm where norm, the root of the sum of
        all squares, is above it (Pascanu, Mikolov and Bengio, 2013).
    ema : float or None
        Decay d of the moving average of parameters: a = d a + (1 - d) p after each update.
        It starts as a copy of the parameters.
    stops : bool
        Whether a run ends at a loss that is not finite, before the update of that step.
    alpha : float
        If not 0, the penalty on weights is alpha / (2 m) sum(W^2), with the samples m of the batch,
        or the sum of their weights, in place of that of the network: as scikit-learn takes it.
    """

    clip_value: float | None = None
    clip_norm: float | None = None
    ema: float | None = None
    stops: bool = False
    alpha: float = 0.0


class Executor(Protocol):
    """Something that carries out steps.

    Attributes
    ----------
    name : str
        "program" or "layers".
    reason : str
        Why it is not the program; empty if it is.
    averages : dict of str to ndarray, or None
        The moving average, with the keys of `network.params`; None without `ema`.
    done : int
        Steps that the last run did.
    """

    name: str
    reason: str
    averages: dict[str, Array] | None
    done: int

    def prepare(self) -> None:
        """Compile ahead what the first step would compile, where that is known."""
        ...

    def run(
        self,
        rows: Int64s | None,
        batch_size: int,
        rates: Float64s,
        losses: Float64s,
        correct: Int64s,
        epochs: int = 1,
        penalties: Float64s | None = None,
    ) -> None:
        """Carry out steps. An exception leaves network and optimizer as after a whole step.

        Where the settings say so a run stops at a loss that is not finite: `done` is then less
        than there are steps, and the loss of the next one is filled in.

        Parameters
        ----------
        rows : ndarray of int64, or None
            The samples of all steps: those of an epoch one after the other, `batch_size` each, so
            that its last one may have fewer. None: each step uses all, as they stand.
        batch_size : int
        rates : ndarray of float64, shape (steps,)
            Learning rates. 0 is allowed.
        losses : ndarray of float64, shape (steps,)
            Filled with the mean loss of each batch before its update, without weight penalty.
        correct : ndarray of int64, shape (steps,)
            Filled with the number of samples in each batch whose largest score is the
            target's, before the update; 0 for the mean squared error.
        epochs : int
            How many have as many of the rows each.
        penalties : ndarray of float64, shape (steps,), optional
            Filled with the penalties on weights, before each update, where `alpha` is set.
        """
        ...

    def describe(self) -> str:
        """Return the plan as text."""
        ...
