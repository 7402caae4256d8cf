"""The compiled training program: many steps of a training in one call.

A program is planned once for a network, an optimizer, data and a batch size
(:mod:`fastnn._plan`). It trains the arrays that the network and the optimizer have, so that
there is nothing to copy back; gradients and everything between layers stand in memory of its own.
:func:`fastnn.kernels.program.run` follows the plan.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import layers
from fastnn._explain import explain
from fastnn._parameters import Parameters, known_layers, parameter_keys
from fastnn._plan import Plan, Sizes
from fastnn._route import Float64s, Int64s, StepSettings, Unsupported
from fastnn._source import as_used, samples, targets
from fastnn._tables import Tables
from fastnn.kernels import program_tables as kinds
from fastnn.kernels import threads
from fastnn.kernels.program import run

__all__ = ["Program"]

# What a thread's share must be, in nanoseconds, lest waiting for it takes longer.
_WORTH = 4000
_NS_PER_FLOP, _NS_PER_PARAMETER = 1 / 100, 0.5


class Program:
    """A route that trains in compiled code; see :class:`fastnn._route.Route`.

    Parameters
    ----------
    network : MultiLayerNetExtend
    optimizer : Optimizer
    x : array_like, shape (N, D), or (N, ...) with D elements a sample
        float32, float64 and uint8 are read where they lie, others converted now.
    t : array_like
        Labels (N,) or (N, 1), or targets (N, C).
    batch_size : int
    settings : StepSettings

    Raises
    ------
    Unsupported
        If there is a layer, an optimizer or data that no program is made for.
    """

    name = "program"
    reason = ""

    def __init__(
        self,
        network: Any,
        optimizer: Any,
        x: ArrayLike,
        t: ArrayLike,
        batch_size: int,
        settings: StepSettings,
    ) -> None:
        self._network, self._optimizer, self._settings = network, optimizer, settings
        self._layers = known_layers(network)
        self._samples = samples(x, network.input_scale, network.dtype)
        self._n, self._features = self._samples.array.shape
        self._sizes = Sizes(min(batch_size, self._n), threads.get_num_threads(), network.dtype)
        self._dense = type(network.last_layer) is layers.IdentityWithLoss
        classes = self._plan(gathered=True).widths[-1]
        self._targets = targets(t, self._n, classes, network.dtype, self._dense)
        self._parameters = Parameters(network, self._layers, optimizer, settings.ema is not None)
        self._shapes = {key: p.shape for key, p in network.params.items()}
        self.averages = self._parameters.averages
        self.done = 0
        self._made: dict[bool, tuple[tuple[int, ...], Tables]] = {}

    def _plan(self, gathered: bool) -> Plan:
        return Plan(self._layers, self._features, self._sizes, gathered)

    def _tables(self, gathered: bool) -> Tables:
        """Return the tables, made anew if an array of the network is another one by now."""
        before, tables = self._made.get(gathered, ((), None))
        if tables is None or before != self._arrays():
            shapes = {key: p.shape for key, p in self._network.params.items()}
            if shapes != self._shapes:
                raise ValueError("params: arrays have other shapes than when training began")
            self._parameters.keys = parameter_keys(self._network, self._layers)
            tables = self._make(gathered)
            self._made[gathered] = self._arrays(), tables
        return tables

    def _arrays(self) -> tuple[int, ...]:
        """Return the identities of the arrays that tables point to."""
        names = "W", "b", "gamma", "beta", "running_mean", "running_var"
        return tuple(id(getattr(layer, name, None)) for _, layer in self._layers for name in names)

    def _make(self, gathered: bool) -> Tables:
        plan = self._plan(gathered)
        used = None
        if not gathered:
            used = as_used(self._samples, self._sizes.real)
            plan.data.address = used.ctypes.data
        scores = plan.forward()
        if plan.layers and scores is plan.data:
            raise Unsupported("the network returns its input")
        d = plan.buffer("gradient of the scores", scores.columns)
        dense = self._targets.ndim == 2
        loss = kinds.DENSE_CROSS_ENTROPY if dense else kinds.CROSS_ENTROPY
        plan.add(kinds.SQUARED_ERROR if self._dense else loss, source=scores, target=d)
        plan.backward(d)
        tables = Tables(plan, self._parameters)
        if used is not None:
            tables.workspace.keep("samples", used)
        p = tables.program[0]
        data = self._samples.array
        p["data"], p["data_step"] = data.ctypes.data, data.strides[0]
        p["data_kind"], p["data_scale"] = self._samples.kind, self._samples.scale
        p["features"] = self._features
        p["targets"], p["classes"] = self._targets.ctypes.data, scores.columns if dense else 0
        if dense and gathered:
            p["goals"] = tables.workspace.take(
                "targets", (self._sizes.batch, scores.columns), self._sizes.real
            )
        p["rule"] = self._parameters.rule()
        p["penalty"] = self._network.weight_decay_lambda
        p["clip_value"] = self._settings.clip_value or 0
        p["clip_norm"] = self._settings.clip_norm or 0
        p["decay"] = self._settings.ema or 0
        return tables

    def run(
        self, rows: Int64s | None, batch_size: int, rates: Float64s, losses: Float64s, hits: Int64s
    ) -> None:
        """Carry out steps; see :class:`fastnn._route.Route`.

        Without `rows`, every step takes all samples, in the order in which they stand.
        """
        self.done = 0
        tables = self._tables(gathered=rows is not None)
        p = tables.program[0]
        if rows is None:
            p["batch"], p["rows"], p["order"] = self._n, self._n * rates.size, 0
        else:
            rows = _checked(rows, self._n)
            p["batch"], p["rows"], p["order"] = batch_size, rows.size, rows.ctypes.data
        self._parameters.install()
        p["iteration"] = getattr(self._optimizer, "iter", 0)
        p["passes"], p["done"] = 0, 0
        for step, layer in tables.dropouts:
            step["calls"] = layer.step
        settings = self._parameters.settings()
        p["settings"] = settings.ctypes.data
        _share(tables)
        helpers = max(int(p["row_threads"]), int(p["update_threads"])) - 1
        if helpers:
            threads.wake(helpers)
        try:
            run(tables.program, tables.segments, np.ascontiguousarray(rates), losses, hits)
        finally:
            self.done = int(p["done"])
            if hasattr(self._optimizer, "iter"):
                self._optimizer.iter = int(p["iteration"])
            for _, layer in tables.dropouts:
                layer.step += self.done

    def describe(self) -> str:
        """Return the plan as text."""
        tables = self._tables(gathered=self._sizes.batch < self._n)
        _share(tables)
        states = self._parameters.states.values()
        state_bytes = sum(array.nbytes for state in states for array in state.values())
        return explain(tables, self._optimizer, state_bytes)


def _checked(rows: Int64s, n: int) -> Int64s:
    if rows.size and (rows.min() < 0 or rows.max() >= n):
        raise ValueError(f"rows: expected numbers from 0 to {n - 1}")
    return np.ascontiguousarray(rows, np.int64)


def _share(tables: Tables) -> None:
    """Say how many threads work on rows and on updates, and wake them."""
    p, plan = tables.program[0], tables.plan
    available = min(threads.get_num_threads(), plan.sizes.threads)
    on_rows = plan.flops * _NS_PER_FLOP
    on_updates = (
        0 if plan.slots else plan.weight_flops
    ) * _NS_PER_FLOP + plan.parameters * _NS_PER_PARAMETER
    p["row_threads"] = min(available, 1 + int(on_rows / _WORTH))
    p["update_threads"] = min(available, 1 + int(on_updates / _WORTH))
