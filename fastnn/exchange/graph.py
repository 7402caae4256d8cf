"""An ONNX graph: nodes, and the arrays that they take."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn._utils.distribution import install_command
from fastnn._utils.types import Array


def onnx_package() -> Any:
    """Return the package onnx; raise ImportError that says how to install it."""
    try:
        import onnx
        import onnx.helper
    except ImportError:
        raise ImportError(f"to_onnx needs the package onnx: {install_command('onnx')}") from None
    return onnx


class Graph:
    """Nodes in order, and arrays by name, each written once however many nodes take it.

    Attributes
    ----------
    nodes : list of NodeProto
    arrays : dict of str to ndarray
        C-contiguous, of float32 or int64.
    prefix : str
        Of the names to come.
    """

    def __init__(self) -> None:
        self._helper = onnx_package().helper
        self.nodes: list[Any] = []
        self.arrays: dict[str, Array] = {}
        self.prefix = ""
        self._names: dict[int, str] = {}
        self._given: list[Array] = []  # so that no two arrays have one id

    def array(self, name: str, array: Array) -> str:
        """Add an array; return its name."""
        if id(array) not in self._names:
            self._names[id(array)] = self.prefix + name
            self._given.append(array)
            kind = np.dtype("<i8") if array.dtype.kind == "i" else np.dtype("<f4")
            self.arrays[self.prefix + name] = np.ascontiguousarray(array, kind)
        return self._names[id(array)]

    def number(self, name: str, value: float) -> str:
        """Add a number of float32; return its name."""
        return self.array(name, np.array(value, np.float32))

    def node(self, name: str, op: str, *inputs: str, **attributes: Any) -> str:
        """Add a node of a layer; return the name of its output."""
        name = f"{self.prefix}{name}/{op}"
        taken = sum(node.name == name or node.name.startswith(f"{name}_") for node in self.nodes)
        name = f"{name}_{taken}" if taken else name
        self.nodes.append(self._helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def end(self, result: str, name: str) -> None:
        """Let what a node, or the input, gives be the output of the graph."""
        last = self.nodes[-1] if self.nodes else None
        if last is None or last.output[0] != result:
            self.node(name, "Identity", result)
            last = self.nodes[-1]
        last.output[0] = name
