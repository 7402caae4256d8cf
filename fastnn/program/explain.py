"""The plan of a training program as text."""

from __future__ import annotations

from typing import Any

from fastnn.kernels.program.kinds import PRODUCTS
from fastnn.layers.planning import Buffer
from fastnn.program.plan import Plan, Planned
from fastnn.program.tables import Tables


def explain(tables: Tables, optimizer: Any, state_bytes: int) -> str:
    """Return the route, the steps, who takes them, and the memory they need."""
    plan, p = tables.plan, tables.program[0]
    n = plan.sizes.batch
    lines = [
        "route: compiled training program, any number of steps in one call",
        f"batch: {n:,} samples of {plan.widths[0]:,} numbers, {plan.sizes.real}",
        f"rows on {_threads(int(p['row_threads']))}, "
        f"updates on {_threads(int(p['update_threads']))}",
    ]
    for i, segment in enumerate(plan.segments):
        rows = f"blocks of {min(n, plan.block):,} rows"
        if segment.parts > 1:
            rows += f", in {segment.parts} parts of columns"
        lines.append(f"segment {i + 1}: for {rows}" if len(plan.segments) > 1 else f"for {rows}")
        lines += [f"  {_line(planned, n)}" for planned in segment.steps]
        if segment.finish:
            lines.append(f"all wait: {segment.finish.step.label}")
    lines.append(f"all wait: {len(tables.updates)} updates")
    lines.append(f"  {_updates(plan)}, then {type(optimizer).__name__}")
    lines.append(f"matrix products: {plan.flops + _weight_flops(plan):,} flops a step")
    lines += _memory(tables, state_bytes)
    return "\n".join(lines)


def _threads(n: int) -> str:
    return "1 thread" if n == 1 else f"{n} threads"


def _line(planned: Planned, n: int) -> str:
    """Return a step with its sizes."""
    values, text = planned.values, planned.step.label
    source, target = values.get("source"), values.get("target")
    if planned.step in PRODUCTS:
        assert isinstance(source, Buffer) and isinstance(target, Buffer)
        columns = values.get("columns", source.columns)
        flops = 2 * n * columns * target.columns
        relu = " + ReLU" if values.get("flags") else ""
        return f"{values['of']} {text}{relu} ({columns} x {target.columns}), {flops:,} flops"
    buffer = target or source
    assert isinstance(buffer, Buffer)
    relu = " + ReLU" if values.get("low") == 0 or values.get("flags") else ""
    return f"{text}{relu} ({values.get('columns', buffer.columns)})"


def _updates(plan: Plan) -> str:
    return "sum of the gradients of slots" if plan.slots else "weight and bias gradients"


def _weight_flops(plan: Plan) -> int:
    """Return the operations of the products that are part of updates."""
    return 0 if plan.slots else plan.weight_flops


def _memory(tables: Tables, state_bytes: int) -> list[str]:
    """Return the buffers and their bytes, the large ones first."""
    plan = tables.plan
    size = plan.parameters * plan.sizes.real.itemsize
    lines = [
        f"parameters: {plan.parameters:,}, {size:,} bytes; optimizer state: {state_bytes:,} bytes"
    ]
    arrays = sorted(tables.workspace.arrays, key=lambda pair: -pair[1].nbytes)
    total = sum(array.nbytes for _, array in arrays)
    lines.append(f"workspace: {total:,} bytes")
    lines += [f"  {name} {array.shape}, {array.nbytes:,} bytes" for name, array in arrays]
    return lines
