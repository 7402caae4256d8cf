"""The plan of a training program: its steps and memory, from the layers of a network.

Forward steps write each layer's output, backward steps the gradient with respect to the output of
each affine layer (dz), which is what the updates need beside its input. Activations and their
gradients are applied in place where nothing else needs what they overwrite. Batch normalisation
needs sums over the whole batch, and so ends a segment.

What the steps of a layer are, its record says (:mod:`fastnn.layers.record`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn.kernels.gemm.sizes import ROWS
from fastnn.kernels.plain.memory import CACHE_LINE
from fastnn.kernels.program import kinds
from fastnn.kernels.program.step import Step
from fastnn.kernels.program.tables import UNIT
from fastnn.kernels.tuning import COMMON
from fastnn.layers.parameters import parameters_of
from fastnn.layers.planning import Buffer, Memory, Product, Summed, Unsupported
from fastnn.layers.record import Record, record_of
from fastnn.layers.sizes import Shape
from fastnn.program.memory import Workspace

SLOTS = COMMON.program_slots
_HALVED = COMMON.program_halved

_KINDS = {1: np.bool_, 4: np.int32}  # of a buffer that has no numbers of the plan's, by bytes

# Bytes that the rows of a block may take in the second-level cache.
_BLOCK_BYTES = COMMON.program_block_bytes
_BLOCK_ROWS = math.lcm(UNIT, ROWS) * 2


@dataclass
class Planned:
    """A step, and the fields of its row in the program's table."""

    step: Step
    values: dict[str, Any]


@dataclass
class Segment:
    """Steps that threads take for their rows without waiting for each other."""

    steps: list[Planned] = field(default_factory=list)
    finish: Planned | None = None
    parts: int = 1  # each of which is as many of the steps


@dataclass(frozen=True)
class Sizes:
    """What a plan is made for."""

    batch: int
    threads: int
    real: np.dtype[Any]


class Plan:
    """Builds steps; it is what layers see as :class:`fastnn.layers.planning.Plan`.

    Parameters
    ----------
    found : list of (str, layer)
    shape : tuple of int
        Of a sample.
    sizes : Sizes
    gathered : bool
        Whether samples are copied, row by row, before the first layer reads them.
    training : bool
        Whether what forward steps write is kept for backward steps.
    whole : bool
        Whether it is also kept for others, for all samples.

    Raises
    ------
    Unsupported
        If shapes do not fit, or there is a layer that no program is made for.
    """

    def __init__(
        self,
        found: list[tuple[str, Any]],
        shape: Shape,
        sizes: Sizes,
        gathered: bool,
        training: bool = True,
        whole: bool = False,
    ) -> None:
        self.sizes = sizes
        self.layers = found
        self.batch, self.itemsize = sizes.batch, sizes.real.itemsize
        self.units = -(-sizes.batch // UNIT)
        shapes = shapes_of(found, shape)
        self.shapes = {name: before for (name, _), before in zip(found, shapes, strict=False)}
        self.widths = [math.prod(each) for each in shapes]
        self.parameters = sum(
            array.size for _, layer in found for array in parameters_of(layer).values()
        )
        # Sums by slots save reading all activations once more, and cost as many more gradients.
        slots = min(SLOTS, self.units)
        by_slots = 4 * slots * self.parameters <= sizes.batch * sum(self.widths)
        self.slots = slots if training and not whole and by_slots else 0
        self._training, self._whole = training, whole
        # Layers whose forward pass is part of that of the layer before, by the name of that one.
        self._following = {} if whole else following(found)
        self._absorbed = {name for name, _ in self._following.values()}
        self.segments = [Segment()]
        self.buffers: list[Buffer] = []
        self.memories: list[Memory] = []
        self.gathered = gathered
        self.data = self.buffer("samples", self.widths[0])
        self.inputs: dict[str, Buffer] = {}
        self.outputs: dict[str, Buffer] = {}
        self.products: dict[str, Product] = {}
        self.sums: dict[str, dict[str, Summed]] = {}
        self.kept: dict[str, Any] = {}
        self.flops = self.weight_flops = 0
        self.scratch_size = 1

    def buffer(self, name: str, columns: int, itemsize: int = 0) -> Buffer:
        """Return a new buffer."""
        buffer = Buffer(name, columns, itemsize or self.itemsize)
        self.buffers.append(buffer)
        return buffer

    def memory(self, name: str, shape: tuple[int, ...]) -> Memory:
        """Return new memory for numbers, zero at first."""
        memory = Memory(name, shape)
        self.memories.append(memory)
        return memory

    def scratch(self, size: int) -> None:
        """Let there be memory for so many numbers for each thread."""
        self.scratch_size = max(self.scratch_size, int(size))

    def add(self, step: Step, **values: Any) -> None:
        """Add a step to the last segment."""
        self.segments[-1].steps.append(Planned(step, values))

    def end_segment(self, step: Step, **values: Any) -> None:
        """End the segment, with what comes between it and the next."""
        self.segments[-1].finish = Planned(step, values)
        self.segments.append(Segment())

    def half(self, x: Buffer, units: int) -> int:
        """Return where the features are cut of which a product is taken in halves, or 0.

        That is so for samples with many more features than the layer has units: less is handed from
        core to core then. The order of sums depends on it, so it depends on shapes alone.
        """
        step = math.lcm(ROWS, CACHE_LINE // self.itemsize)
        half = x.columns // 2 // step * step
        is_first = x is self.data and not self.slots and self._training and not self._whole
        return half if is_first and x.columns >= _HALVED * units else 0

    def in_parts(self, parts: list[dict[str, Any]]) -> None:
        """Take parts of an affine layer's sum, the first, in the segment so far, and end it.

        Each is given by the values of its step, `left` and `columns` among them.
        """
        copies, self.segments[-1].steps = self.segments[-1].steps, []
        for values in parts:
            columns = {name: values[name] for name in ("left", "columns")}
            for planned in copies:
                self.add(planned.step, **planned.values | columns)
            self.add(kinds.AFFINE, **values)
        self.segments[-1].parts = len(parts)
        self.segments.append(Segment())

    def steps(self) -> Iterator[Planned]:
        """Yield the steps in the order of the program's table."""
        for segment in self.segments:
            yield from segment.steps
            if segment.finish is not None:
                yield segment.finish

    def forward(self) -> Buffer:
        """Add the forward steps; return the buffer of the scores."""
        current = self.data
        if self.gathered:
            self.add(kinds.GATHER, target=current)
        for name, layer in self.layers:
            self.inputs[name] = current
            if name not in self._absorbed:
                current = self._forward(name, layer, current)
            self.outputs[name] = current
        return current

    def _forward(self, name: str, layer: Any, x: Buffer) -> Buffer:
        record = known(name, layer)
        forward = record.forward
        if name in self._following:
            forward = record.absorbs[type(self._following[name][1])]
        assert forward is not None
        return forward(self, name, layer, x)

    def backward(self, d: Buffer) -> None:
        """Add the backward steps, from the gradient with respect to the scores."""
        lowest = min(i for i, (_, layer) in enumerate(self.layers) if parameters_of(layer))
        for i in range(len(self.layers) - 1, lowest - 1, -1):
            name, layer = self.layers[i]
            record = known(name, layer)
            assert record.backward is not None
            d = record.backward(self, name, layer, d, i > lowest)

    @property
    def block(self) -> int:
        """Rows that go through a segment at once."""
        row = sum(buffer.columns * buffer.itemsize for buffer in self.buffers)
        return max(1, _BLOCK_BYTES // (row * _BLOCK_ROWS)) * _BLOCK_ROWS

    @property
    def local(self) -> bool:
        """Whether threads keep a block of rows at most: all steps but updates are one segment."""
        return (self.slots > 0 or not self._training) and len(self.segments) == 1

    def allocate(self, workspace: Workspace) -> None:
        """Take memory for what has none."""
        for buffer in self.buffers:
            if buffer.local is None:
                buffer.local = self.local
            if not buffer.address:
                rows = self.block * self.sizes.threads if buffer.local else self.batch
                own = buffer.itemsize == self.itemsize
                kind = self.sizes.real if own else np.dtype(_KINDS[buffer.itemsize])
                buffer.address = workspace.take(buffer.name, (rows, buffer.columns), kind)
        for memory in self.memories:
            memory.address = workspace.take(memory.name, memory.shape, self.sizes.real)


def following(found: list[tuple[str, Any]]) -> dict[str, tuple[str, Any]]:
    """Return layers that the one before takes into its forward pass, by the name of that one."""
    return {
        before: each
        for (before, layer), each in pairwise(found)
        if type(each[1]) in known(before, layer).absorbs
    }


def known(name: str, layer: Any) -> Record:
    """Return the record of a layer that programs are made of."""
    record = record_of(layer)
    if record is None or record.forward is None or record.backward is None:
        raise Unsupported(f"{name} is of type {type(layer).__name__}")
    return record


def shape_of(network: Any, shape: Shape) -> Shape:
    """Return the shape of a sample for the first layer: a network may be given samples as rows."""
    size = network.input_size
    return size if isinstance(size, tuple) and math.prod(size) == math.prod(shape) else shape


def shapes_of(found: list[tuple[str, Any]], shape: Shape) -> list[Shape]:
    """Return the shapes of a sample before each layer and after the last, checked."""
    shapes = [shape]
    for name, layer in found:
        record, before = known(name, layer), shapes[-1]
        after, of_parameters = record.shapes(layer, before) if record.shapes else (before, {})
        for key, array in parameters_of(layer).items():
            if np.shape(array) != of_parameters.get(key, (math.prod(before),)):
                raise Unsupported(
                    f"{name}.{key} has shape {np.shape(array)} for samples of shape {before}"
                )
        shapes.append(after)
    return shapes
