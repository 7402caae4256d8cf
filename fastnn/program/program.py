"""The compiled training program: many steps of a training in one call.

A program is planned once for a network, an optimizer, data and a batch size
(:mod:`fastnn.program.plan`). It trains the arrays that the network and the optimizer have, so that
there is nothing to copy back; gradients and everything between layers stand in memory of its own.
:func:`fastnn.kernels.program.run.run` follows the plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastnn import config
from fastnn._messages import compiling
from fastnn._utils.interrupts import held
from fastnn._utils.mapped import is_mapped
from fastnn._utils.reprs import written
from fastnn._utils.types import Float64s, Int64s
from fastnn.kernels.machine import code, native
from fastnn.kernels.program.parts import addresses, missing, prepare
from fastnn.layers.adoption import adopt
from fastnn.layers.normalization import without_batch
from fastnn.layers.planning import Unsupported
from fastnn.layers.record import record_of
from fastnn.layers.state import lasting, statistics_kept, statistics_of
from fastnn.program.data import Converted, as_used, is_for_blocks, rows_of, samples, targets
from fastnn.program.executor import StepSettings
from fastnn.program.explain import explain
from fastnn.program.parameters import Parameters, known_layers
from fastnn.program.plan import Plan, Sizes, shape_of, shapes_of
from fastnn.program.tables import Tables, share

__all__ = ["Program"]

_ALL_MOVE = nullcontext()  # of running statistics


class Program:
    """An executor that trains in compiled code; see :class:`fastnn.program.executor.Executor`.

    Parameters
    ----------
    network : Network
    optimizer : Optimizer
    x : array_like, shape (N, D), or (N, ...) with D elements a sample
        float32, float64 and uint8 are read where they lie, others converted now; those in a mapped
        file some at a time.
    t : array_like
        Labels (N,) or (N, 1), or targets (N, C).
    batch_size : int
    settings : StepSettings
    weights : ndarray of float64, shape (N,), optional
        Of the samples.

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
        weights: Float64s | None = None,
    ) -> None:
        self._network, self._optimizer, self._settings = network, optimizer, settings
        self._layers = known_layers(network)
        self._batch_size = batch_size
        self._x = rows_of(x)
        self._n, self._shape = len(self._x), shape_of(network, self._x.shape[1:])
        self._loss = record_of(network.last_layer)
        assert self._loss is not None
        shapes = shapes_of(self._layers, self._shape)
        self._classes = math.prod(shapes[-1])
        # Where one sample has one number for each that statistics are kept of.
        self._normalised = [
            name
            for (name, layer), shape in zip(self._layers, shapes, strict=False)
            if statistics_of(layer) and np.size(layer.gamma) == math.prod(shape)
        ]
        if self._normalised and batch_size == 1:
            raise without_batch(self._normalised[0])
        dense = self._loss.of_labels is None
        self._targets = targets(t, self._n, self._classes, network.dtype, dense)
        self._weights = None if weights is None else np.array(weights, np.float64)
        self._converted: Converted | None = None
        if is_for_blocks(self._x) or is_mapped(self._targets):
            given = self._x, self._targets, self._weights, batch_size
            self._converted = Converted(*given, network.input_scale, network.dtype)
            self._samples = self._converted.samples
        else:
            self._samples = samples(self._x, network.input_scale, network.dtype)
        # A step on all samples takes them as they stand, as a rule.
        self._gathers = batch_size < self._n
        # What is planned, to see that it can be, is also what the first run takes.
        planned = self._facts_of_plan(), self._plan(self._gathers)
        self._planned: tuple[list[Any], Plan] | None = planned
        self._parameters = Parameters(network, self._layers, optimizer, settings.ema is not None)
        self._shapes = {key: p.shape for key, p in network.params.items()}
        self.averages = self._parameters.averages
        self.done = 0
        self._made: dict[bool, tuple[list[Any], Tables]] = {}

    def __repr__(self) -> str:
        return written(
            type(self).__name__,
            network=self._network,
            optimizer=self._optimizer,
            samples=self._n,
            batch_size=self._batch_size,
        )

    def _plan(self, gathered: bool) -> Plan:
        batch = self._batch_size if gathered else self._n
        sizes = Sizes(batch, config.get_num_threads(), self._network.dtype)
        plan = Plan(self._layers, self._shape, sizes, gathered)
        scores = plan.forward()
        if scores is plan.data:
            raise Unsupported("the network returns its input")
        d = plan.buffer("gradient of the scores", scores.columns)
        assert self._loss is not None
        loss = self._loss.of_targets if self._targets.ndim == 2 else self._loss.of_labels
        assert loss is not None
        values = {"source": scores, "target": d}
        if self._loss.of_step:
            values["setting"] = getattr(self._network.last_layer, self._loss.of_step)
        plan.add(loss, **values)
        plan.backward(d)
        return plan

    def _tables(self, gathered: bool) -> Tables:
        """Return the tables, made anew if an array of the network is another one by now."""
        before, tables = self._made.get(gathered, ([], None))
        if tables is None or not same(before, self._facts()):
            adopt(self._network)  # what a callback has put into it
            if list(self._network.layers.values()) != [layer for _, layer in self._layers]:
                raise ValueError("layers: changed since training began")
            if record_of(self._network.last_layer) is not self._loss:
                raise ValueError("last_layer: its type changed since training began")
            shapes = {key: p.shape for key, p in self._network.params.items()}
            if shapes != self._shapes:
                raise ValueError("params: shapes of arrays changed since training began")
            if self._network.input_scale != self._samples.scale:
                raise ValueError("input_scale: changed since training began")
            try:
                self._parameters.take(self._network, self._layers)
                tables = self._make(gathered)
            except Unsupported as error:
                raise ValueError(f"network: changed since training began: {error}") from None
            self._parameters.install()
            self._made[gathered] = self._facts(), tables
        return tables

    def _facts(self) -> list[Any]:
        """Return what tables were made of: arrays that they point to, settings of layers.

        To keep the arrays keeps their memory, and tells them from others, which could come to
        stand where they stood.
        """
        facts = [*self._facts_of_plan(), float(self._network.input_scale)]
        facts += self._network.params.values()
        for name in self._optimizer.rule.states:
            facts += (getattr(self._optimizer, name) or {}).values()
        return facts

    def _facts_of_plan(self) -> list[Any]:
        facts: list[Any] = [config.get_num_threads()]
        for layer in (*self._network.layers.values(), self._network.last_layer):
            facts.append(layer)
            facts += lasting(layer).values()
        return facts

    def _plan_of(self, gathered: bool) -> Plan:
        """Return the plan that was made at first, if it is for this and still true, or another."""
        planned, self._planned = self._planned, None
        if planned is not None:
            facts, plan = planned
            if plan.gathered == gathered and same(facts, self._facts_of_plan()):
                return plan
        return self._plan(gathered)

    def _make(self, gathered: bool) -> Tables:
        plan, dense = self._plan_of(gathered), self._targets.ndim == 2
        used, goals, weights = None, self._targets, self._weights
        if self._converted is not None:
            goals, weights = self._converted.targets, self._converted.weights
        if not gathered:
            whole, real = self._samples, plan.sizes.real
            if self._converted is not None:  # a batch is all of the file
                whole = samples(self._x, whole.scale, real)
                goals = np.ascontiguousarray(self._targets, real if dense else np.int64)
                weights = self._weights
            used = as_used(whole, real)
            plan.data.address, plan.data.local = used.ctypes.data, False
        tables = Tables(plan, self._parameters)
        if used is not None:
            tables.workspace.keep("samples", used)
            tables.workspace.keep("goals", goals)
        tables.read(self._samples)
        p = tables.program[0]
        p["targets"] = goals.ctypes.data
        p["weights"] = 0 if weights is None else weights.ctypes.data
        if dense and gathered:
            p["goals"] = tables.workspace.take(
                "targets", (plan.batch, self._classes), plan.sizes.real
            )
        p["clip_value"] = self._settings.clip_value or 0
        p["clip_norm"] = self._settings.clip_norm or 0
        p["decay"], p["stops"] = self._settings.ema or 0, self._settings.stops
        return tables

    def prepare(self) -> None:
        """Compile or load ahead what the first step would. Ctrl-C comes through between parts."""
        real = self._network.dtype
        plan = self._planned[1] if self._planned else self._plan(self._gathers)
        rule = self._parameters.rule
        parts = missing(real, (planned.step for planned in plan.steps()), rule)
        with compiling.task("the training program", len(parts)), held() as interrupt:
            for part in parts:
                code.address(*part)
                interrupt.release()
        addresses(real, rule)
        for planned in plan.steps():
            planned.step.address(real)
        prepare()

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
        """Carry out steps; see :class:`fastnn.program.executor.Executor`.

        Without `rows`, every step takes all samples, in the order in which they stand.
        """
        self.done = 0
        if rows is not None:
            rows = self._checked(rows, batch_size, rates.size, epochs)
        if penalties is None or not self._settings.alpha:
            penalties = np.zeros(rates.size if self._settings.alpha else 0)
        else:
            _expect_for_each("penalties", penalties, np.float64, rates.size)
        _expect_for_each("losses", losses, np.float64, rates.size)
        _expect_for_each("correct", correct, np.int64, rates.size)
        tables = self._tables(gathered=rows is not None)
        share(tables)
        if rows is None:
            tables.take_all(self._n, rates.size)
            self._run(tables, rates, losses, correct, penalties)
            return
        for steps, begin, end, together in self._parts(rows.size, batch_size, epochs):
            some = rows[begin:end]
            at = some if self._converted is None else self._converted.take(some)
            p = tables.program[0]
            p["batch"], p["epoch"] = batch_size, at.size // together
            p["rows"], p["order"] = at.size, native.address_of(at)
            alone = min(at.size, batch_size) == 1  # which leaves running statistics alone
            kept = (layer for name, layer in self._layers if name in self._normalised)
            with statistics_kept(kept) if alone else _ALL_MOVE:
                self._run(tables, rates[steps], losses[steps], correct[steps], penalties[steps])
            if self.done < steps.stop:  # it has stopped there
                return

    def _parts(
        self, size: int, batch_size: int, epochs: int
    ) -> Iterator[tuple[slice, int, int, int]]:
        """Return what each call takes: steps, where rows begin and end, and how many epochs.

        Steps that are converted together are one call, and a sample alone is one.
        """
        rows = size // epochs
        end = steps = -(-rows // batch_size)
        if self._normalised and rows % batch_size == 1:
            end -= 1
        if end == steps and self._converted is None:
            yield slice(0, epochs * steps), 0, size, epochs
            return
        most = end if self._converted is None else len(self._converted.targets) // batch_size
        bounds = [*range(0, end, max(1, most)), *([end] if end < steps else []), steps]
        for epoch in range(epochs):
            for first, last in pairwise(bounds):
                until = epoch * rows + min(rows, last * batch_size)
                taken = slice(epoch * steps + first, epoch * steps + last)
                yield taken, epoch * rows + first * batch_size, until, 1

    def _run(
        self,
        tables: Tables,
        rates: Float64s,
        losses: Float64s,
        correct: Int64s,
        penalties: Float64s,
    ) -> None:
        """Take steps on the rows that the tables say, and count them."""
        p = tables.program[0]
        p["penalty"] = self._network.weight_decay_lambda
        p["alpha"] = self._settings.alpha
        p["penalties"] = native.address_of(penalties) if self._settings.alpha else 0
        p["passes"], p["done"] = 0, 0
        for step, name, counter in tables.counters:
            step[name] = getattr(counter.layer, counter.name)
        settings = self._parameters.settings(rates)
        try:
            tables.run(settings, losses, correct)
        finally:
            done = int(p["done"])
            self.done += done
            self._optimizer._advance(done)
            for _, _, counter in tables.counters:
                before = getattr(counter.layer, counter.name)
                setattr(counter.layer, counter.name, before + done)

    def _checked(self, rows: Int64s, batch_size: int, steps: int, epochs: int) -> Int64s:
        """Return a copy of the rows, which nobody can change after it was checked."""
        rows = np.array(rows, np.int64)
        if not 1 <= batch_size <= self._batch_size:
            raise ValueError(
                f"batch_size: expected an integer from 1 to {self._batch_size}, "
                f"which the program was made for, got {batch_size}"
            )
        each, left = divmod(rows.size, epochs)
        if rows.ndim != 1 or left or -(-each // batch_size) * epochs != steps:
            raise ValueError(
                f"rows: expected those of {steps} steps with {batch_size} samples in {epochs} "
                f"epochs, got shape {rows.shape}"
            )
        if rows.size and (rows.min() < 0 or rows.max() >= self._n):
            raise ValueError(f"rows: expected numbers from 0 to {self._n - 1}")
        return rows

    def describe(self) -> str:
        """Return the plan as text."""
        tables = self._tables(self._gathers)
        share(tables)
        states = self._parameters.states.values()
        state_bytes = sum(array.nbytes for state in states for array in state.values())
        return explain(tables, self._optimizer, state_bytes)


def _expect_for_each(name: str, array: Any, dtype: type[np.generic], steps: int) -> None:
    """Raise ValueError unless compiled code can write a number for each step to the array."""
    if array.shape != (steps,) or array.dtype != dtype or not array.flags.carray:
        raise ValueError(
            f"{name}: expected {steps} numbers of {np.dtype(dtype)}, side by side, got "
            f"{array.dtype} of shape {array.shape}"
        )


def same(facts: list[Any], others: list[Any]) -> bool:
    """Say whether arrays and layers are the same, and numbers and strings equal."""
    return len(facts) == len(others) and all(
        a is b or (isinstance(a, (bool, int, float, str)) and bool(a == b))
        for a, b in zip(facts, others, strict=True)
    )
