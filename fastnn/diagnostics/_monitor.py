"""A callback that measures, every so many steps, what one looks at during a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import interrupts
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.diagnostics._initial import chance
from fastnn.diagnostics._layers import passes
from fastnn.diagnostics._measurements import Distribution, Measurements, update_ratio
from fastnn.diagnostics._verdict import Verdict, diagnose
from fastnn.training.callbacks import Callback
from fastnn.training.data import samples


class Monitor(Measurements, Callback):
    """Measure a training of ``network.fit`` every so many steps, on the same samples each time.

    It measures at the start, after the first step, after each `every` steps, and at the end.
    The training has the same bits with and without it. The history has loss and accuracies, so
    that they are not measured again.

    Parameters
    ----------
    x : array_like, shape (N, D) or (N, ...)
        The probe: some hundreds of samples, such as the first 500 of the training set.
    t : array_like, shape (N,) or (N, C)
        Their targets.
    every : int
        Steps from one measurement to the next, at least 1.

    Attributes
    ----------
    steps : list of int
        After how many steps it was measured, M times. All lists below have M entries.
    ratios : dict of str to list of float
        For each of `network.params`, :func:`update_ratio` of the last step before; NaN where
        that is not known, as at the start.
    activations : dict of str to list of Distribution
        Of each hidden layer, by its name in `network.layers`.
    gradients : dict of str to list of Distribution
        Of the loss with respect to activations, and last to the scores.
    dead : dict of str to list of float
        Share of dead units in each layer of ReLUs.
    saturated : dict of str to list of float
        Share of saturated activations in each layer of sigmoids or tanhs.
    chance : float
        Loss of a network that knows nothing, on the probe; NaN if it is not known.

    Raises
    ------
    TypeError, ValueError
        If `every` is out of its range; at the beginning of the training if `x` and `t` are no
        samples for the network.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.diagnostics import Monitor
    >>> x = np.random.default_rng(0).normal(size=(300, 4))
    >>> t = (x[:, 0] > 0).astype(int)
    >>> net, monitor = MultiLayerNet(4, [16], 2, seed=0), Monitor(x[:100], t[:100], every=10)
    >>> history = net.fit(x, t, 3, 30, callbacks=[monitor], verbose=False, seed=0)
    >>> monitor.steps
    [0, 1, 10, 20, 30]
    >>> 1e-3 < monitor.ratios["W1"][-1] < 1e-2
    True

    In a loop of one's own:

    >>> from fastnn.optimizers import SGD
    >>> monitor, sgd = Monitor(x[:100], t[:100]), SGD(0.1)
    >>> for step in range(1, 21):
    ...     before = {key: p.copy() for key, p in net.params.items()}
    ...     sgd.update(net.params, net.gradient(x, t))
    ...     if step % 10 == 0:
    ...         monitor.measure(net, step, before)
    >>> monitor
    Monitor(2 measurements, steps 10 to 20)
    """

    def __init__(self, x: ArrayLike, t: ArrayLike, every: SupportsIndex = 100) -> None:
        self.x, self.t = x, t
        self.every = numbers.integer("every", every, 1)
        self._clear()

    def _clear(self) -> None:
        super()._clear()
        self._before: dict[str, Array] | None = None

    def __repr__(self) -> str:
        span = f", steps {self.steps[0]} to {self.steps[-1]}" if self.steps else ""
        return f"Monitor({len(self.steps)} measurements{span})"

    def measure(
        self, network: Any, step: SupportsIndex, before: Mapping[str, Array] | None = None
    ) -> None:
        """Measure a network and add the result to the lists.

        Parameters
        ----------
        network : Network, or another with `layers`, `last_layer` and `params`
        step : int
            Steps that have been done, more than at the measurement before.
        before : dict of str to ndarray, optional
            Copies of the parameters before the last step.

        Raises
        ------
        TypeError, ValueError
            If the network has no layers, or an argument does not fit it.
        """
        step = numbers.integer("step", step, self.steps[-1] + 1 if self.steps else 0)
        if not isinstance(getattr(network, "params", None), Mapping):
            raise TypeError(f"network: expected one with `params`, a dict, got {network!r}")
        if before is None:
            ratios = dict.fromkeys(network.params, math.nan)
        else:
            ratios = update_ratio(before, network.params)
        with np.errstate(all="ignore"):  # a training may have diverged
            seen = passes(network, self.x, self.t)
        try:
            known = chance(network, np.asarray(self.t))[0]
        except ValueError:  # a loss of one's own
            known = math.nan
        parts: list[tuple[dict[str, list[Any]], dict[str, Any]]] = [
            (self.ratios, ratios),
            (self.activations, {k: Distribution.of(y) for k, y in seen.activations().items()}),
            (
                self.gradients,
                {k: Distribution.of(g) for k, g in seen.activation_gradients().items()},
            ),
            (self.dead, {name: float(dead.mean()) for name, dead in seen.dead().items()}),
            (self.saturated, seen.saturation()),
        ]
        with interrupts.held():  # all lists or none
            self.steps.append(step)
            self.chance = known
            for recorded, values in parts:
                for key, value in values.items():
                    recorded.setdefault(key, []).append(value)

    def on_train_begin(self) -> None:
        """Measure the network as it is; a new training begins new lists."""
        self.x, self.t = samples(self.network, self.x, self.t, "Monitor: ")
        step = len(self.history.step_losses)
        if step == 0 or (self.steps and self.steps[-1] > step):
            self._clear()
        if not self.steps or self.steps[-1] < step:
            self.measure(self.network, step)
        self._keep(step)

    def _is_measured(self, step: int) -> bool:
        return step == 1 or step % self.every == 0

    def _keep(self, step: int) -> None:
        """Keep the parameters if the next step is measured."""
        self._before = None
        if self._is_measured(step + 1):
            self._before = {key: p.copy() for key, p in self.network.params.items()}

    def next_stop(self, step: int) -> int:
        """Return the next step that is measured, or the one before it."""
        if self._is_measured(step + 1):
            return step + 1
        return step - step % self.every + self.every - 1

    def on_steps_end(self, step: int) -> None:
        """Measure after this step, or keep the parameters before the next one."""
        if self._is_measured(step):
            self.measure(self.network, step, self._before)
        self._keep(step)

    def on_train_end(self) -> None:
        """Measure the network as it was left, unless it was put back to where it had been."""
        step = len(self.history.step_losses)
        if self.steps[-1] < step and self.history.diverged is None:
            self.measure(self.network, step)

    def report(self) -> Verdict:
        """Return what is suspicious about the training: see :func:`diagnose`.

        Raises
        ------
        RuntimeError
            If it has not been in a training of ``network.fit``.
        """
        if not hasattr(self, "history"):
            raise RuntimeError(
                "Monitor.report: it has no history, which network.fit gives to its callbacks; "
                "call diagnose(history, monitor)"
            )
        return diagnose(self.history, self)
