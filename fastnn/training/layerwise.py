"""Training steps layer by layer, from Python: for every network and optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from fastnn import layers, optimizers
from fastnn._utils import interrupts
from fastnn._utils.types import Array, Float64s, Int64s, Samples
from fastnn.layers.adoption import is_ours
from fastnn.layers.normalization import without_batch
from fastnn.layers.record import right_of
from fastnn.layers.state import layer_state, named_layers, set_layer_state
from fastnn.optimizers.updater import Updater, rate_of
from fastnn.program.executor import Network, StepSettings

# What stands for a rate of 0, which updates refuse: times any gradient it is far below the
# last digit of a parameter.
_NO_RATE = float(np.finfo(np.float64).tiny)


class LayerSteps:
    """An executor that calls ``network.gradient`` and ``optimizer.update`` for each step.

    Parameters
    ----------
    network : Network
    optimizer : Updater
    x : ndarray, shape (N, ...)
    t : ndarray
        Targets, as `network.gradient` takes them.
    batch_size : int
    settings : StepSettings
    reason : str
        Why it is this executor.
    weights : ndarray of float64, shape (N,), optional
        Of the samples; the network is one of ours.
    """

    name = "layers"

    def __init__(
        self,
        network: Network,
        optimizer: Updater,
        x: Samples,
        t: Samples,
        batch_size: int,
        settings: StepSettings,
        reason: str,
        weights: Float64s | None = None,
    ) -> None:
        self.reason = reason
        self.done = 0
        self.averages: dict[str, Array] | None = None
        if settings.ema is not None:
            self.averages = {key: p.copy() for key, p in network.params.items()}
        self._network, self._optimizer = network, optimizer
        ours: Any = network
        self._gradient: Callable[..., dict[str, Array]] = network.gradient
        if is_ours(network) and not ours._has_own("gradient"):
            self._gradient = ours._gradient  # the runner looks at losses that are not finite
        self._x, self._t, self._weights = x, t, weights
        self._batch_size = batch_size
        self._settings = settings
        self._right = right_of(network)

    def prepare(self) -> None:
        """Do nothing: which kernels layers call shows in the first step."""

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
        """Carry out steps; see :class:`fastnn.program.executor.Executor`."""
        self.done = 0
        network: Any = self._network
        optimizer: Any = self._optimizer
        before = rate = rate_of(optimizer)
        decay = getattr(network, "weight_decay_lambda", 0)
        with interrupts.held() as interrupt:
            try:
                batches = _batches(rows, batch_size, rates.size // epochs, epochs)
                for i, (wanted, batch) in enumerate(zip(rates.tolist(), batches, strict=True)):
                    # An optimizer that changes its own rate may do so as long as nobody else does.
                    if before is not None and wanted != rate:
                        rate = wanted
                        optimizer.lr = rate or _NO_RATE
                    if self._settings.alpha and penalties is not None:
                        penalties[i] = self._penalise(batch)
                    losses[i], correct[i], whole = self._step(batch)
                    if not whole:
                        break
                    self.done = i + 1
                    interrupt.release()
            finally:
                if rate != before:
                    optimizer.lr = before
                if self._settings.alpha:
                    network.weight_decay_lambda = decay

    def _penalise(self, rows: Int64s | slice) -> float:
        """Let the network have the penalty for these samples; return it."""
        ours: Any = self._network
        mass = len(self._t[rows]) if self._weights is None else self._weights[rows].sum()
        ours.weight_decay_lambda = self._settings.alpha / mass
        penalty: float = ours._penalty()
        return penalty

    def _step(self, rows: Int64s | slice) -> tuple[float, int, bool]:
        """Take a step; return the loss, right answers, and whether there was an update."""
        network = self._network
        before = layer_state(network)
        try:
            t = self._t[rows]
            if self._weights is None:
                grads = self._gradient(self._x[rows], t)
            else:
                grads = self._gradient(self._x[rows], t, self._weights[rows])
            if self._batch_size == 1:
                self._expect_batch()
            if self.averages is not None and self.averages.keys() != network.params.keys():
                raise ValueError("params: changed since training began")
            last = network.last_layer
            loss = _number(last)
            correct = 0 if self._right is None else int(np.count_nonzero(self._right(last.x, t)))
            if self._settings.stops and not math.isfinite(loss):
                return loss, correct, False
            grads = self._clipped(grads)
            with interrupts.held_to_the_end():  # what is updated by half is not taken back
                self._update(grads)
        except BaseException:
            set_layer_state(network, before)
            raise
        self._average()
        return loss, correct, True

    def _expect_batch(self) -> None:
        """Raise ValueError if a layer can learn nothing from one sample at a time."""
        for name, layer in named_layers(self._network).items():
            if isinstance(layer, layers.BatchNormalization) and layer.is_alone:
                raise without_batch(name)

    def _update(self, grads: dict[str, Array]) -> None:
        """Let the optimizer change the parameters; raise if it has made others instead."""
        params = self._network.params
        if isinstance(self._optimizer, optimizers.Optimizer):
            self._optimizer.update(params, grads)
            return
        before = dict(params)
        made: Any = self._optimizer.update(params, grads)  # type: ignore[func-returns-value]
        others = {key: p for key, p in params.items() if p is not before.get(key)}
        # A network of one's own may look them up in `params` anew.
        if others and is_ours(self._network):
            params.update(before)
            name = next(iter(others))
            raise ValueError(
                f"optimizer: expected update to change arrays in place, p -= lr * g, "
                f"got another array for params[{name!r}]"
            )
        if isinstance(made, Mapping) and all(
            getattr(made.get(key), "shape", None) == p.shape and made[key] is not p
            for key, p in before.items()
        ):
            raise ValueError(
                "optimizer: expected update to change arrays in place, p -= lr * g, "
                "got new ones that it returned"
            )

    def _clipped(self, grads: dict[str, Array]) -> dict[str, Array]:
        value, norm = self._settings.clip_value, self._settings.clip_norm
        if value is not None:
            grads = {key: np.clip(g, -value, value) for key, g in grads.items()}
        if norm is not None:
            used = [grads[key] for key in self._network.params if key in grads]
            with np.errstate(all="ignore"):
                size = math.sqrt(sum(float(np.square(g, dtype=np.float64).sum()) for g in used))
                if size > norm:
                    grads = {key: g * g.dtype.type(norm / size) for key, g in grads.items()}
        return grads

    def _average(self) -> None:
        decay = self._settings.ema
        if self.averages is None or decay is None:
            return
        for key, average in self.averages.items():
            average *= average.dtype.type(decay)
            average += average.dtype.type(1 - decay) * self._network.params[key]

    def describe(self) -> str:
        """Return the steps, their sizes, and why they are done layer by layer."""
        network: Any = self._network
        params = network.params
        lines = [f"route: layer by layer ({self.reason})", f"batch: {self._batch_size} samples"]
        lines += [f"  {key}: {type(layer).__name__}" for key, layer in _named(network)]
        lines.append(f"  {type(network.last_layer).__name__}")
        kind = type(self._optimizer).__name__
        states = 0
        if isinstance(self._optimizer, optimizers.Optimizer):
            states = len(self._optimizer.rule.states)
        else:
            kind += " (its memory is not known)"
        size, nbytes = sum(p.size for p in params.values()), sum(p.nbytes for p in params.values())
        lines.append(f"  {kind}")
        lines.append(f"parameters: {size:,} in {len(params)} arrays, {nbytes:,} bytes")
        lines.append(f"gradients: {nbytes:,} bytes; optimizer state: {states * nbytes:,} bytes")
        multiplications = sum(p.size for p in params.values() if p.ndim == 2)
        flops = 6 * self._batch_size * multiplications
        lines.append(f"matrix products: about {flops:,} flops a step")
        return "\n".join(lines)


def _batches(
    rows: Int64s | None, batch_size: int, steps: int, epochs: int
) -> Iterator[Int64s | slice]:
    """Yield the samples of each step; an epoch's last one may have fewer."""
    for epoch in range(epochs):
        for step in range(steps):
            if rows is None:
                yield slice(None)
            else:
                some = rows.reshape(epochs, -1)[epoch]
                yield some[step * batch_size : (step + 1) * batch_size]


def _named(network: Any) -> list[tuple[str, Any]]:
    return list(getattr(network, "layers", {}).items())


def _number(last: Any) -> float:
    """Return the loss that the last layer has left in the forward pass."""
    loss: Any = getattr(last, "loss", None)
    if np.size(loss) != 1 or np.asarray(loss).dtype.kind not in "fiu":
        shape = f"an array of shape {np.shape(loss)}" if np.ndim(loss) else repr(loss)
        raise TypeError(
            f"last_layer.loss: expected the mean loss, a number, from forward on, got {shape}"
        )
    return float(np.asarray(loss).reshape(()))
