"""The tables of a training program: a plan with the addresses of its arrays."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastnn import layers
from fastnn._utils.types import Array
from fastnn.kernels.gemm.microkernel import COLUMNS32, COLUMNS64, ROWS
from fastnn.kernels.gemm.packing import packed_size, packs_b
from fastnn.kernels.layers.affine import is_few
from fastnn.kernels.program import tables as kinds
from fastnn.kernels.program.parts import addresses
from fastnn.kernels.threading import threads
from fastnn.kernels.tuning import COMMON
from fastnn.layers.parameters import is_decayed, parameters_of
from fastnn.program.memory import Workspace
from fastnn.program.plan import Buffer, Plan

# Bytes of a weight's rows, their gradient and states that one update goes through, and how many
# updates there should be for each thread, so that none waits long for the last one.
_UPDATE_BYTES, _SHARES = COMMON.update_bytes, COMMON.update_shares

# What a thread's share must be, in nanoseconds, lest waiting for it takes longer.
_WORTH = COMMON.share_ns
_NS_PER_FLOP, _NS_PER_PARAMETER = COMMON.ns_per_flop, COMMON.ns_per_parameter


_UNKNOWN = {
    kinds.UNKNOWN_STEP: "a step of kind",
    kinds.UNKNOWN_UPDATE: "an update of kind",
    kinds.UNKNOWN_DATA: "data of kind",
}


class Updated(Protocol):
    """What is updated; see :class:`fastnn.program.parameters.Parameters`."""

    rule: str  # empty if gradients alone are computed
    keys: dict[tuple[str, str], str]
    begins: dict[str, int]
    size: int
    states: dict[str, dict[str, Array]]
    averages: dict[str, Array] | None


class Tables:
    """Tables for :func:`fastnn.kernels.program.run.run`, and the memory that they point to.

    Parameters
    ----------
    plan : Plan
        With all of its steps.
    parameters : Updated, optional
        What to update, or to compute gradients of. Without it nothing is.
    """

    def __init__(
        self,
        plan: Plan,
        parameters: Updated | None = None,
    ) -> None:
        self.plan = plan
        self.workspace = Workspace()
        self._real = plan.sizes.real
        self._packed: dict[tuple[str, int], int] = {}
        self._norms: dict[str, dict[str, int]] = {}
        self._gradients: dict[tuple[str, str], int] = {}
        self._squares = 0
        plan.allocate(self.workspace)
        n = plan.sizes.batch
        units = -(-n // kinds.UNIT)
        slots = max(1, plan.slots)
        self.program = np.zeros(1, kinds.PROGRAM)
        p = self.program[0]
        if parameters is not None:
            flat = self.workspace.take("gradients", (slots, parameters.size), self._real)
            p["gradients"], p["slot_step"] = flat, parameters.size
            for where, key in parameters.keys.items():
                begin = parameters.begins[key] * self._real.itemsize
                self._gradients[where] = flat + begin
        for name, layer in plan.layers:
            self._prepare(name, layer, units, parameters is not None)
        self.steps = self._steps()
        self.segments = self._segments()
        updates = self._updates(parameters) if parameters else self._packings()
        self.arrays = np.array([u.pop("arrays", []) for u in updates], np.int64)
        self.updates = _table(updates)
        if self.arrays.size:
            self.updates["arrays"] = [row.ctypes.data for row in self.arrays]
        rule = parameters.rule if parameters else ""
        p["training"] = kinds.UPDATED if rule else kinds.FORWARD
        parts = addresses(self._real, plan.norms, plan.dropouts, rule)
        for name, address in parts._asdict().items():
            p[name] = address
        p["steps"], p["updates"] = self.steps.ctypes.data, self.updates.ctypes.data
        p["n_updates"] = len(self.updates)
        p["block"], p["slots"] = plan.block, plan.slots
        p["scratch_size"] = plan.scratch_size()
        p["workers"] = plan.sizes.threads
        p["scratch"] = self.workspace.take(
            "packed blocks", (plan.sizes.threads, plan.scratch_size()), self._real
        )
        p["losses"] = self.workspace.take("losses", (n,), self._real)
        p["labels"] = self.workspace.take("labels", (n,), np.int64)
        p["loss_sums"] = self.workspace.take("sums of losses", (units,), np.float64)
        p["hit_sums"] = self.workspace.take("right answers", (units,), np.int64)
        p["n_squares"] = self._squares
        p["claims"] = self.workspace.take(
            "claims", (plan.sizes.threads, kinds.APART // 8), np.int64
        )
        p["squares"] = self.workspace.take("squares", (self._squares,), np.float64)

    def _prepare(self, name: str, layer: Any, units: int, training: bool) -> None:
        """Take the memory that belongs to a layer rather than to a step."""
        take, real, n = self.workspace.take, self._real, self.plan.sizes.batch
        if isinstance(layer, layers.Affine):
            d, h = layer.W.shape
            if packs_b(n, d, h, real.itemsize):
                size = packed_size(d, h, real.itemsize)
                self._packed[name, kinds.AFFINE] = take(f"{name} W packed", (size,), real)
            if not training:
                return
            if name in self.plan.transposed and not is_few(n, h, real.itemsize):
                size = packed_size(h, d, real.itemsize)
                self._packed[name, kinds.INPUT_GRADIENT] = take(f"{name} W^T packed", (size,), real)
            if not self.plan.slots and packs_b(d, n, h, real.itemsize):
                size = packed_size(n, h, real.itemsize)
                self._packed[name, kinds.PACK_ROWS] = take(f"{name} dz packed", (size,), real)
        elif isinstance(layer, layers.BatchNormalization):
            size = layer.gamma.size
            sums = take(f"{name} sums", (units, 2, size), real)
            mean = take(f"{name} mean", (size,), real)
            rstd = take(f"{name} rstd", (size,), real)
            if layer.running_mean is None:
                layer.running_mean = np.zeros(size, real)
            if layer.running_var is None:
                layer.running_var = np.zeros(size, real)
            self._norms[name] = {
                "partial": sums,
                "mean": mean,
                "rstd": rstd,
                "gamma": layer.gamma.ctypes.data,
                "beta": layer.beta.ctypes.data,
                "dgamma": self._gradients.get((name, "gamma"), 0),
                "dbeta": self._gradients.get((name, "beta"), 0),
                "running_mean": layer.running_mean.ctypes.data,
                "running_var": layer.running_var.ctypes.data,
            }

    def _steps(self) -> NDArray[Any]:
        records = []
        for segment in self.plan.segments:
            finish = [segment.finish] if segment.finish else []
            _expect_kinds(segment.steps, kinds.OF_ROWS)
            _expect_kinds(finish, kinds.OF_BATCH)
            records += [*segment.steps, *finish]
        table = np.zeros(len(records), kinds.STEP)
        self.dropouts = []
        for row, record in zip(table, records, strict=True):
            self._fill(row, record)
            if record["kind"] == kinds.DROPOUT:
                self.dropouts.append((row, record["layer"]))
        return table

    def _fill(self, row: Any, record: dict[str, Any]) -> None:
        """Fill in a step."""
        kind = record["kind"]
        for name, value in record.items():
            if isinstance(value, Buffer):
                row[name] = value.address
                row[f"{name}_local"] = value.local
                if name in ("source", "target"):
                    row["d" if name == "source" else "h"] = value.columns
            elif isinstance(value, np.ndarray):
                row[name] = value.ctypes.data
            elif name == "norm":
                for field, address in self._norms[value].items():
                    row[field] = address
            elif name == "of":
                row["packed"] = self._packed.get((value, kind), 0)
                if kind == kinds.WEIGHT_GRADIENT:
                    row["dW"], row["db"] = (self._gradients[value, p] for p in ("W", "b"))
            elif name != "layer":
                row[name] = value

    def _segments(self) -> NDArray[Any]:
        table = np.zeros(len(self.plan.segments), kinds.SEGMENT)
        begin = 0
        for row, segment in zip(table, self.plan.segments, strict=True):
            end = begin + len(segment.steps)
            row["begin"], row["end"] = begin, end
            row["finish"] = end if segment.finish else -1
            begin = end + (1 if segment.finish else 0)
        return table

    def _packings(self) -> list[dict[str, Any]]:
        """Return updates that do nothing but pack weights."""
        return [
            {
                "kind": kinds.WEIGHTS,
                "W": layer.W.ctypes.data,
                "d": layer.W.shape[0],
                "h": layer.W.shape[1],
                "bottom": layer.W.shape[0],
                "packed": self._packed[name, kinds.AFFINE],
            }
            for name, layer in self.plan.layers
            if (name, kinds.AFFINE) in self._packed
        ]

    def _updates(self, parameters: Updated) -> list[dict[str, Any]]:
        """Return the updates, the long ones first: then threads end at about the same time."""
        total = self.plan.parameters
        rows: list[dict[str, int]] = []
        for name, layer in self.plan.layers:
            for attribute, array in parameters_of(layer).items():
                key = parameters.keys[name, attribute]
                penalised = is_decayed(key, layer, attribute, array)
                record = {"kind": kinds.NORM, "penalised": penalised, "d": 1, "h": 1}
                record["size"] = array.size
                if attribute == "b":
                    record |= self._of_gradient(name, kinds.BIAS)
                if attribute == "W":
                    record |= self._of_gradient(name, kinds.WEIGHTS)
                    record |= {
                        "d": array.shape[0],
                        "h": array.shape[1],
                        "W": array.ctypes.data,
                        "dW": self._gradients[name, "W"],
                        "packed": self._packed.get((name, kinds.AFFINE), 0),
                        "transposed": self._packed.get((name, kinds.INPUT_GRADIENT), 0),
                    }
                arrays = {
                    "p": array.ctypes.data,
                    "g": self._gradients[name, attribute],
                }
                states = [state[key].ctypes.data for state in parameters.states.values()]
                if parameters.averages is not None:
                    arrays["average"] = parameters.averages[key].ctypes.data
                step = self._rows_of_update(array, record, total)
                # Sums of squares are of parts that do not depend on how many threads there are.
                record["square"] = self._squares
                record["square_size"] = array.size if attribute != "W" else ROWS * array.shape[1]
                self._squares += -(-array.size // record["square_size"])
                for top in range(0, max(1, array.shape[0] if attribute == "W" else 1), step):
                    rows.append(_part(record, arrays, states, array, top, step))
        rows.sort(key=lambda record: -record["size"])
        return rows

    def _of_gradient(self, name: str, kind: int) -> dict[str, int]:
        x, dz = self.plan.inputs[name], self.plan.gradients[name]
        return {
            "kind": kind,
            "source": x.address,
            "dz": dz.address,
            "dz_packed": self._packed.get((name, kinds.PACK_ROWS), 0),
            "d": x.columns,
            "h": dz.columns,
        }

    def _rows_of_update(self, array: Array, record: dict[str, Any], total: int) -> int:
        """Return how many rows of W an update takes: whole tiles, and panels of W^T."""
        if record["kind"] != kinds.WEIGHTS:
            return int(array.shape[0])
        unit = int(ROWS)
        if record["transposed"]:
            unit = math.lcm(ROWS, COLUMNS32 if array.itemsize == 4 else COLUMNS64)
        row_bytes = 4 * array.shape[1] * array.itemsize
        share = total // (_SHARES * self.plan.sizes.threads)
        wanted = min(_UPDATE_BYTES // row_bytes, share // array.shape[1])
        return int(max(1, wanted // unit) * unit)


def expect_known(program: NDArray[Any]) -> None:
    """Raise RuntimeError if a run of a program has stopped at what compiled code does not know."""
    p = program[0]
    if p["unknown"]:
        raise RuntimeError(
            f"training program: expected what its compiled code knows, got "
            f"{_UNKNOWN[int(p['unknown'])]} {p['unknown_number']}; it has stopped there"
        )


def _expect_kinds(steps: list[dict[str, Any]], known: range) -> None:
    for step in steps:
        if step["kind"] not in known:
            raise ValueError(
                f"step: expected a kind from {known.start} to {known.stop - 1}, got {step['kind']}"
            )


def _table(records: list[dict[str, Any]]) -> NDArray[Any]:
    table = np.zeros(len(records), kinds.UPDATE)
    for row, record in zip(table, records, strict=True):
        for name, value in record.items():
            row[name] = value
    return table


def _part(
    record: dict[str, Any],
    arrays: dict[str, int],
    states: list[int],
    array: Array,
    top: int,
    step: int,
) -> dict[str, Any]:
    """Return the update of some rows of a parameter."""
    taken = [arrays["p"], arrays["g"], *states]
    if record["kind"] != kinds.WEIGHTS:
        return record | arrays | {"arrays": taken}
    bottom, columns = min(array.shape[0], top + step), array.shape[1]
    shift = top * columns * array.itemsize
    shifted = {name: address + shift for name, address in arrays.items()}
    return (
        record
        | shifted
        | {
            "arrays": [address + shift for address in taken],
            "top": top,
            "bottom": bottom,
            "size": (bottom - top) * columns,
            "square": record["square"] + top // ROWS,
        }
    )


def share(tables: Tables) -> None:
    """Say how many threads work on rows and on updates."""
    p, plan = tables.program[0], tables.plan
    available = min(threads.get_num_threads(), plan.sizes.threads)
    on_rows = plan.flops * _NS_PER_FLOP
    # With slots all gradients are there, and few: one thread adds them up.
    on_updates = 0.0
    if not plan.slots:
        on_updates = plan.weight_flops * _NS_PER_FLOP + plan.parameters * _NS_PER_PARAMETER
    p["row_threads"] = min(available, 1 + int(on_rows / _WORTH))
    p["update_threads"] = min(available, 1 + int(on_updates / _WORTH))
