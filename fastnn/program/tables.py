"""The tables of a training program: a plan with the addresses of its arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import config
from fastnn._utils.types import Float64s, Int64s
from fastnn.kernels.program.parts import addresses, run
from fastnn.kernels.program.tables import (
    APART,
    FORWARD,
    PROGRAM,
    SEGMENT,
    STEP,
    UNKNOWN_DATA,
    UNKNOWN_STEP,
    UNKNOWN_UPDATE,
    UPDATE,
    UPDATED,
)
from fastnn.kernels.threading import threads
from fastnn.kernels.tuning import COMMON
from fastnn.layers.parameters import parameters_of
from fastnn.layers.planning import Buffer, Counter, Gradient
from fastnn.layers.state import statistics_of
from fastnn.program.data import Samples
from fastnn.program.memory import Workspace
from fastnn.program.plan import Plan, Planned
from fastnn.program.updates import Updated, Updates, packings

# What a thread's share must be, in nanoseconds, lest waiting for it takes longer.
_WORTH = COMMON.share_ns
_NS_PER_FLOP, _NS_PER_PARAMETER = COMMON.ns_per_flop, COMMON.ns_per_parameter

_UNKNOWN = {
    UNKNOWN_STEP: "a step of kind",
    UNKNOWN_UPDATE: "an update of kind",
    UNKNOWN_DATA: "data of kind",
}


class Tables:
    """Tables for :func:`fastnn.kernels.program.run.run`, and the memory that they point to.

    Parameters
    ----------
    plan : Plan
        With all of its steps. It serves these tables alone, as its buffers are theirs.
    parameters : Updated, optional
        What to update, or to compute gradients of. Without it nothing is.

    Attributes
    ----------
    counters : list of (row, str, Counter)
        Steps, and their fields for what a layer counts.
    """

    def __init__(self, plan: Plan, parameters: Updated | None = None) -> None:
        self.plan = plan
        self.workspace = Workspace()
        self._real = plan.sizes.real
        self._gradients: dict[Gradient, int] = {}
        self.program = np.zeros(1, PROGRAM)
        self.counters: list[tuple[Any, str, Counter]] = []
        plan.allocate(self.workspace)
        if parameters is not None:
            self._take_gradients(parameters)
        self._make_statistics()
        self.steps = self._steps()
        self.segments = self._segments()
        # To ask arrays of records where they are takes microseconds.
        self._program_at = self.program.ctypes.data
        self._segments_at = self.segments.ctypes.data, len(self.segments)
        updates = Updates(plan, parameters, self._gradients) if parameters is not None else None
        rows = packings(plan) if updates is None else updates.rows
        self.arrays = np.array([row.pop("arrays", []) for row in rows], np.int64)
        self.updates = _table(rows)
        if self.arrays.size:
            self.updates["arrays"] = [row.ctypes.data for row in self.arrays]
        rule = "" if parameters is None else parameters.rule
        self._fill_program(0 if updates is None else updates.squares, rule)
        self.program[0]["training"] = UPDATED if rule else FORWARD

    def _take_gradients(self, parameters: Updated) -> None:
        """Take memory for the gradients, once for each slot."""
        p, size = self.program[0], parameters.size
        flat = self.workspace.take("gradients", (max(1, self.plan.slots), size), self._real)
        p["gradients"], p["slot_step"] = flat, size
        for (layer, name), key in parameters.keys.items():
            begin = parameters.begins[key] * self._real.itemsize
            self._gradients[Gradient(layer, name)] = flat + begin

    def _make_statistics(self) -> None:
        """Give layers the running statistics that they do not have yet."""
        for _, layer in self.plan.layers:
            for name, statistics in statistics_of(layer).items():
                if statistics is None:
                    shape = next(iter(parameters_of(layer).values())).shape
                    setattr(layer, name, np.zeros(shape, self._real))

    def _fill_program(self, squares: int, rule: str) -> None:
        """Fill in what does not depend on the data, and take the memory of a batch."""
        plan, p, take = self.plan, self.program[0], self.workspace.take
        workers = plan.sizes.threads
        for name, address in addresses(self._real, rule)._asdict().items():
            p[name] = address
        p["steps"], p["updates"] = self.steps.ctypes.data, self.updates.ctypes.data
        p["n_updates"], p["n_squares"] = len(self.updates), squares
        p["block"], p["slots"], p["workers"] = plan.block, plan.slots, workers
        p["scratch_size"] = plan.scratch_size
        p["scratch"] = take("packed blocks", (workers, plan.scratch_size), self._real)
        p["losses"] = take("losses", (plan.batch,), self._real)
        p["labels"] = take("labels", (plan.batch,), np.int64)
        p["loss_sums"] = take("sums of losses", (plan.units,), np.float64)
        p["hit_sums"] = take("right answers", (plan.units,), np.int64)
        p["claims"] = take("claims", (workers, APART // 8), np.int64)
        p["ahead"] = take("samples of the next step", (workers, APART // 8), np.int64)
        p["squares"] = take("squares", (squares,), np.float64)
        p["weight_squares"] = take("squares of weights", (squares,), np.float64)

    def _steps(self) -> NDArray[Any]:
        planned = list(self.plan.steps())
        table = np.zeros(len(planned), STEP)
        for row, each in zip(table, planned, strict=True):
            self._fill(row, each)
        return table

    def _fill(self, row: Any, planned: Planned) -> None:
        """Fill in a step."""
        row["kind"], row["function"] = planned.step.kind, planned.step.address(self._real)
        for name, number in planned.step.kernel_values(self._real).items():
            row[name] = number
        for name, value in planned.values.items():
            if isinstance(value, Buffer):
                row[name], row[f"{name}_local"] = value.address, value.local
                if name in ("source", "target"):
                    row["d" if name == "source" else "h"] = value.columns
            elif isinstance(value, np.ndarray):
                row[name] = value.ctypes.data
            elif isinstance(value, Gradient):
                row[name] = self._gradients.get(value, 0)
            elif isinstance(value, Counter):
                self.counters.append((row, name, value))
            elif hasattr(value, "address"):
                row[name] = value.address
            elif value is not None and name != "of":
                row[name] = value
        if not row["columns"]:
            row["columns"] = row["d"] or row["h"]

    def _segments(self) -> NDArray[Any]:
        table = np.zeros(len(self.plan.segments), SEGMENT)
        begin = 0
        for row, segment in zip(table, self.plan.segments, strict=True):
            end = begin + len(segment.steps)
            row["begin"], row["end"] = begin, end
            row["finish"] = end if segment.finish else -1
            row["parts"] = segment.parts
            begin = end + (1 if segment.finish else 0)
        return table

    def read(self, given: Samples) -> None:
        """Let the program read these samples."""
        p, array = self.program[0], given.array
        p["data"], p["data_step"] = array.ctypes.data, array.strides[0]
        p["data_kind"], p["data_scale"] = given.kind, given.scale
        p["features"] = array.shape[1]

    def take_all(self, n: int, steps: int = 1) -> None:
        """Let each step take all of n samples, as they stand."""
        p = self.program[0]
        p["batch"], p["epoch"], p["rows"], p["order"] = n, n, n * steps, 0

    def run(
        self,
        settings: NDArray[np.float64],
        losses: Float64s,
        correct: Int64s,
        segments: NDArray[Any] | None = None,
    ) -> None:
        """Carry out as many steps as there are rows of settings of the rule.

        It takes all segments, or those that are given.

        Raises
        ------
        RuntimeError
            If it has stopped at what compiled code does not know.
        """
        p = self.program[0]
        with threads.awake(max(int(p["row_threads"]), int(p["update_threads"])) - 1):
            some = self._segments_at
            if segments is not None:
                some = segments.ctypes.data, len(segments)
            run(self._program_at, some, settings, losses, correct)
        if p["unknown"]:
            raise RuntimeError(
                f"training program: expected what its compiled code knows, got "
                f"{_UNKNOWN[int(p['unknown'])]} {p['unknown_number']}; it has stopped there"
            )


def nothing() -> tuple[NDArray[np.float64], Float64s, Int64s]:
    """Return what one step without a rule and a loss takes."""
    return np.zeros((1, 0)), np.zeros(1), np.zeros(1, np.int64)


def _table(records: list[dict[str, Any]]) -> NDArray[Any]:
    table = np.zeros(len(records), UPDATE)
    for row, record in zip(table, records, strict=True):
        for name, value in record.items():
            row[name] = value
    return table


def share(tables: Tables) -> None:
    """Say how many threads work on rows and on updates."""
    p, plan = tables.program[0], tables.plan
    available = min(config.get_num_threads(), plan.sizes.threads)
    on_rows = plan.flops * _NS_PER_FLOP
    # With slots all gradients are there, and few: one thread adds them up.
    on_updates = 0.0
    if not plan.slots:
        on_updates = plan.weight_flops * _NS_PER_FLOP + plan.parameters * _NS_PER_PARAMETER
    p["row_threads"] = min(available, 1 + int(on_rows / _WORTH))
    p["update_threads"] = min(available, 1 + int(on_updates / _WORTH))
