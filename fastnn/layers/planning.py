"""How a layer says to a plan what its passes are: what it may ask of a plan, and what it gets.

A plan lists the steps of a training, and its memory, before any of them is taken; see
:mod:`fastnn.program.plan`. The functions `forward` and `backward` of a layer's record add to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from fastnn.kernels.program.step import Step

if TYPE_CHECKING:
    from fastnn.layers.sizes import Shape


class Unsupported(Exception):
    """Raised by an executor for a network, optimizer or data that it is not made for.

    Its text says why, in words for users.
    """


@dataclass(eq=False)
class Buffer:
    """An array with a row for each sample of a batch, or of a block.

    Attributes
    ----------
    name : str
    columns, itemsize : int
        Of a number; 1 for booleans, 4 for integers.
    local : bool or None
        Whether it has rows for the blocks that threads work on, not for all samples; None leaves
        that to the plan.
    needed : bool
        By a backward step, as it is: no later step may write to it.
    zeros : bool
        Where the backward step that needs it lets nothing through, it is zero.
    address : int
    """

    name: str
    columns: int
    itemsize: int
    local: bool | None = None
    needed: bool = False
    zeros: bool = False
    address: int = 0


@dataclass(eq=False)
class Memory:
    """An array that belongs to a layer, such as packed weights or sums over a batch."""

    name: str
    shape: tuple[int, ...]
    address: int = 0


@dataclass(frozen=True)
class Gradient:
    """The gradient of a layer's parameter, wherever that stands."""

    layer: str
    parameter: str


@dataclass(frozen=True)
class Held:
    """An array that a layer holds, as it is when tables are made."""

    layer: Any
    name: str

    @property
    def address(self) -> int:
        """Where it begins."""
        return int(getattr(self.layer, self.name).ctypes.data)


@dataclass(frozen=True)
class Counter:
    """A number that a layer holds and that each training pass raises by one."""

    layer: Any
    name: str


@dataclass(eq=False)
class Product:
    """Parameters whose gradients are a product of rows, and so part of an update.

    Attributes
    ----------
    weights, bias : str
        Names of the layer's parameters W (d, h) and b (h,).
    source : Buffer
        The layer's input (n, d).
    cut : int
        The product with W is taken in two parts, cut before this row of W; 0 if it is not.
    packed, transposed : Memory, optional
        W and its transpose in panels, which updates keep in line with W.
    dz, dz_packed : Buffer and Memory, optional
        The gradient with respect to x W + b, and that in panels.
    """

    weights: str
    bias: str
    source: Buffer
    cut: int = 0
    packed: Memory | None = None
    transposed: Memory | None = None
    dz: Buffer | None = None
    dz_packed: Memory | None = None


@dataclass(frozen=True)
class Summed:
    """A gradient that steps leave for each unit of a batch, and updates add up.

    Attributes
    ----------
    memory : Memory
        Of shape (units, ...): a row for each.
    begin : int
        Where in a row it begins.
    """

    memory: Memory
    begin: int


class Plan(Protocol):
    """What a layer may ask of a plan.

    Attributes
    ----------
    batch, units, itemsize : int
        Samples of a batch, units that sums over it are taken of, bytes of a number.
    slots : int
        Above 0, gradients of weights are sums of steps, by as many runs of samples.
    data : Buffer
        The samples.
    inputs, outputs : dict of str to Buffer
        Of the layers, by name.
    shapes : dict of str to tuple of int
        Of a sample, before each layer, by the layer's name.
    products : dict of str to Product
        By the names of layers.
    sums : dict of str to dict of str to Summed
        By the names of layers, then of parameters.
    kept : dict of str to object
        What the forward steps of a layer leave for its backward steps.
    flops, weight_flops : int
        Operations of products in steps; of those for gradients of weights, wherever they are.
    """

    batch: int
    units: int
    itemsize: int
    slots: int
    data: Buffer
    inputs: dict[str, Buffer]
    outputs: dict[str, Buffer]
    shapes: dict[str, Shape]
    products: dict[str, Product]
    sums: dict[str, dict[str, Summed]]
    kept: dict[str, Any]
    flops: int
    weight_flops: int

    def buffer(self, name: str, columns: int, itemsize: int = 0) -> Buffer:
        """Return a new buffer, of the plan's numbers or of what `Buffer` says of `itemsize`."""
        ...

    def memory(self, name: str, shape: tuple[int, ...]) -> Memory:
        """Return new memory for numbers, zero at first."""
        ...

    def scratch(self, size: int) -> None:
        """Say that a step needs memory for so many numbers, of each thread, while it is taken."""
        ...

    def add(self, step: Step, **values: Any) -> None:
        """Add a step to the last segment; values are fields of a step in the program's table."""
        ...

    def half(self, x: Buffer, units: int) -> int:
        """Return where the columns of x are cut if a product is taken in halves, or 0."""
        ...

    def in_parts(self, parts: list[dict[str, Any]]) -> None:
        """Add the steps of an affine layer's parts, each by its values, and end the segment."""
        ...

    def end_segment(self, step: Step, **values: Any) -> None:
        """End the segment with a step for the whole batch, for which all threads wait."""
        ...
