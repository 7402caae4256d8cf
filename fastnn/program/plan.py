"""The plan of a training program: its steps and updates, from the layers of a network.

Forward steps write each layer's output, backward steps the gradient with respect to the output of
each affine layer (dz), which is what the updates need beside its input. Activations and slopes
are applied in place where nothing else needs what they overwrite. Batch normalisation needs sums
over the whole batch, and so ends a segment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from fastnn import layers
from fastnn._utils.types import Array
from fastnn.kernels.gemm.microkernel import RELU, ROWS
from fastnn.kernels.gemm.multiply import scratch_size
from fastnn.kernels.gemm.packing import packs_b
from fastnn.kernels.program import tables
from fastnn.kernels.random.philox import WORDS
from fastnn.kernels.tuning import COMMON
from fastnn.layers.parameters import parameters_of
from fastnn.program.executor import Unsupported
from fastnn.program.memory import Workspace

_ACTIVATIONS = {
    layers.Relu: (tables.RELU, tables.RELU_SLOPE),
    layers.Sigmoid: (tables.SIGMOID, tables.SIGMOID_SLOPE),
    layers.Tanh: (tables.TANH, tables.TANH_SLOPE),
}
_AFFINE = (layers.Affine, layers.AffineRelu)
_WITH_RELU = (layers.Affine, layers.BatchNormalization)  # whose steps may end with it
_NORMS = (layers.BatchNormalization, layers.BatchNormRelu)
KNOWN = (*_ACTIVATIONS, *_AFFINE, *_NORMS, layers.Dropout)

SLOTS = COMMON.program_slots

# Bytes that the rows of a block may take in the second-level cache.
_BLOCK_BYTES = COMMON.program_block_bytes
_BLOCK_ROWS = math.lcm(tables.UNIT, ROWS) * 2


@dataclass
class Buffer:
    """An array with a row for each sample of a batch, or of a block."""

    name: str
    columns: int
    itemsize: int
    local: bool
    needed: bool = False  # by a backward step, as it is
    zeros: bool = False  # where its backward step lets nothing through, it is zero
    address: int = 0


@dataclass
class Segment:
    """Steps that threads take for their rows without waiting for each other."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    finish: dict[str, Any] | None = None


@dataclass(frozen=True)
class Sizes:
    """What a plan is made for."""

    batch: int
    threads: int
    real: np.dtype[Any]


class Plan:
    """Builds steps and updates.

    Parameters
    ----------
    found : list of (str, layer)
    features : int
    sizes : Sizes
    gathered : bool
        Whether samples are copied, row by row, before the first layer reads them.
    training : bool
        Whether what forward steps write is kept for backward steps.
    whole : bool
        Whether it is also kept for others, for all samples.
    """

    def __init__(
        self,
        found: list[tuple[str, Any]],
        features: int,
        sizes: Sizes,
        gathered: bool,
        training: bool = True,
        whole: bool = False,
    ) -> None:
        self.sizes = sizes
        self.layers = found
        self.widths = _widths(found, features)
        self.parameters = sum(
            array.size for _, layer in found for array in parameters_of(layer).values()
        )
        self.norms = any(type(layer) in _NORMS for _, layer in found)
        self.dropouts = any(type(layer) is layers.Dropout for _, layer in found)
        units = -(-sizes.batch // tables.UNIT)
        width = sum(self.widths)
        # Sums by slots save reading all activations once more, and cost as many more gradients.
        self.slots = 0
        if (
            training
            and not whole
            and 4 * min(SLOTS, units) * self.parameters <= sizes.batch * width
        ):
            self.slots = min(SLOTS, units)
        self.local = not training or (self.slots > 0 and not self.norms)
        # ReLUs that are part of the step before: the layers before and the ReLUs themselves.
        self.before_relu, self.in_step = set[str](), set[str]()
        for (before, layer), (name, following) in pairwise(found):
            if not whole and type(layer) in _WITH_RELU and type(following) is layers.Relu:
                self.before_relu.add(before)
                self.in_step.add(name)
        self.segments = [Segment()]
        self.buffers: list[Buffer] = []
        self.gathered = gathered
        self.data = self.buffer("samples", features, local=self.local and gathered)
        self.masks: dict[str, Buffer] = {}
        self.inputs: dict[str, Buffer] = {}
        self.outputs: dict[str, Buffer] = {}
        self.gradients: dict[str, Buffer] = {}  # dz of affine layers
        self.transposed: set[str] = set()  # layers with an input gradient
        # Of products in steps, and of those for gradients of weights, wherever they are.
        self.flops = self.weight_flops = 0

    def buffer(self, name: str, columns: int, local: bool | None = None, size: int = 0) -> Buffer:
        """Return a new buffer."""
        buffer = Buffer(
            name, columns, size or self.sizes.real.itemsize, self.local if local is None else local
        )
        self.buffers.append(buffer)
        return buffer

    def add(self, kind: int, **values: Any) -> None:
        """Add a step to the last segment."""
        self.segments[-1].steps.append({"kind": kind, **values})

    def end_segment(self, kind: int, **values: Any) -> None:
        """End the segment, with what comes between it and the next."""
        self.segments[-1].finish = {"kind": kind, **values}
        self.segments.append(Segment())

    def forward(self) -> Buffer:
        """Add the forward steps; return the buffer of the scores."""
        current = self.data
        if self.gathered:
            self.add(tables.GATHER, target=current)
        for name, layer in self.layers:
            self.inputs[name] = current
            if name not in self.in_step:
                current = self._forward(name, layer, current)
            self.outputs[name] = current
        return current

    def _forward(self, name: str, layer: Any, x: Buffer) -> Buffer:
        kind = type(layer)
        if kind in _ACTIVATIONS:
            if x.needed or x is self.data:
                raise Unsupported(f"{name} follows a layer that keeps its output")
            self.add(_ACTIVATIONS[kind][0], target=x)
            x.needed, x.zeros = True, kind is layers.Relu
            return x
        if kind is layers.Dropout:
            mask = self.masks[name] = self.buffer(f"{name} mask", x.columns, size=1)
            scale = 1 / (1 - layer.dropout_ratio) if layer.inverted else 1.0
            in_place = x is not self.data and (not x.needed or x.zeros or scale == 1)
            y = x if in_place else self.buffer(f"{name} output", x.columns)
            self.add(
                tables.DROPOUT, source=x, target=y, other=mask, layer=layer, scale=scale,
                ratio=layer.dropout_ratio, seed=layer.seed,
            )  # fmt: skip
            return y
        if kind in _NORMS:
            relu = kind is layers.BatchNormRelu or name in self.before_relu
            low = 0.0 if relu else -np.inf
            y = self.buffer(f"{name} output", x.columns)
            y.needed = y.zeros = relu
            self.add(tables.MOMENTS, source=x, norm=name)
            self.end_segment(
                tables.FINISH_MOMENTS, source=x, norm=name, momentum=layer.momentum, eps=layer.eps
            )
            self.add(tables.NORMALISE, source=x, target=y, norm=name, low=low)
            return y
        relu = kind is layers.AffineRelu or name in self.before_relu
        return self.affine(name, layer.W, layer.b, relu, x)

    def affine(self, name: str, W: Array, b: Array, relu: bool, x: Buffer) -> Buffer:
        """Add an affine layer."""
        y = self.buffer(f"{name} output", W.shape[1])
        y.needed = y.zeros = relu
        self.add(tables.AFFINE, source=x, target=y, W=W, b=b, flags=RELU if relu else 0, of=name)
        self.flops += 2 * self.sizes.batch * W.size
        return y

    def backward(self, d: Buffer) -> None:
        """Add the backward steps, from the gradient with respect to the scores."""
        lowest = min(i for i, (_, layer) in enumerate(self.layers) if parameters_of(layer))
        for i in range(len(self.layers) - 1, lowest - 1, -1):
            name, layer = self.layers[i]
            kind = type(layer)
            y = self.outputs[name]
            if kind in _ACTIVATIONS:
                self.add(_ACTIVATIONS[kind][1], target=d, other=y)
            elif kind is layers.Dropout:
                scale = 1 / (1 - layer.dropout_ratio) if layer.inverted else 1.0
                self.add(
                    tables.DROPOUT_SLOPE, source=d, target=d, other=self.masks[name], scale=scale
                )
            elif kind in _NORMS:
                where = {"source": d, "target": d, "other": self.inputs[name], "norm": name}
                if kind is layers.BatchNormRelu:
                    where["output"] = y
                self.add(tables.GRADIENT_SUMS, **where)
                self.end_segment(tables.FINISH_SUMS, source=d, norm=name)
                if i > lowest:
                    self.add(tables.NORM_GRADIENT, **where)
            else:
                d = self._affine_backward(name, layer, d, y, i > lowest)

    def _affine_backward(
        self, name: str, layer: Any, d: Buffer, y: Buffer, input_gradient: bool
    ) -> Buffer:
        if type(layer) is layers.AffineRelu:
            self.add(tables.RELU_SLOPE, target=d, other=y)
        self.gradients[name] = d
        x, W = self.inputs[name], layer.W
        self.weight_flops += 2 * self.sizes.batch * W.size
        if self.slots:
            self.flops += 2 * self.sizes.batch * W.size
            self.add(tables.WEIGHT_GRADIENT, source=x, target=d, other=d, of=name)
        elif packs_b(W.shape[0], self.sizes.batch, W.shape[1], W.itemsize):
            self.add(tables.PACK_ROWS, source=d, of=name)
        if not input_gradient:
            return d
        self.transposed.add(name)
        dx = self.buffer(f"{name} input gradient", W.shape[0])
        self.add(tables.INPUT_GRADIENT, source=d, target=dx, W=W, of=name)
        self.flops += 2 * self.sizes.batch * W.size
        return dx

    @property
    def block(self) -> int:
        """Rows that go through a segment at once."""
        row = sum(buffer.columns * buffer.itemsize for buffer in self.buffers)
        return max(1, _BLOCK_BYTES // (row * _BLOCK_ROWS)) * _BLOCK_ROWS

    def allocate(self, workspace: Workspace) -> None:
        """Take memory for the buffers that have none."""
        for buffer in self.buffers:
            if not buffer.address:
                rows = self.block * self.sizes.threads if buffer.local else self.sizes.batch
                kind = self.sizes.real if buffer.itemsize > 1 else np.dtype(np.bool_)
                buffer.address = workspace.take(buffer.name, (rows, buffer.columns), kind)

    def scratch_size(self) -> int:
        """Return how many elements each thread packs into."""
        sizes = [WORDS]
        n, itemsize = self.sizes.batch, self.sizes.real.itemsize
        for name, layer in self.layers:
            if type(layer) in _AFFINE:
                d, h = layer.W.shape
                sizes += [scratch_size(n, d, h, itemsize), scratch_size(d, n, h, itemsize)]
                if name in self.transposed:
                    sizes.append(scratch_size(n, h, d, itemsize))
        return int(max(sizes))


def _widths(found: list[tuple[str, Any]], features: int) -> list[int]:
    """Return the columns before each layer and after the last, checked."""
    widths = [features]
    for name, layer in found:
        before = after = widths[-1]
        if type(layer) in _AFFINE:
            after = np.shape(layer.W)[-1] if np.ndim(layer.W) == 2 else 0
        expected = {"W": (before, after)}
        for key, array in parameters_of(layer).items():
            if np.shape(array) != expected.get(key, (after,)):
                raise Unsupported(f"{name}.{key} has shape {np.shape(array)} for {before} columns")
        widths.append(after)
    return widths
