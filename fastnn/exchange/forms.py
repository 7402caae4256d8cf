"""The nodes that do at inference what a layer does, for each kind of layer.

Operators are those of ONNX's operator set 17, of 2022, which runtimes since then know. GELU, which
came later as an operator, is made of others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastnn._utils.types import Array
from fastnn.exchange.graph import Graph
from fastnn.layers import (
    Affine,
    AffineRelu,
    BatchNormalization,
    BatchNormRelu,
    Convolution,
    Dropout,
    Elu,
    Flatten,
    Gelu,
    Identity,
    LayerNormalization,
    LeakyRelu,
    MaxPool,
    Relu,
    Sigmoid,
    Silu,
    Softplus,
    Tanh,
)
from fastnn.layers.parameters import where_of
from fastnn.layers.record import record_of
from fastnn.layers.sizes import Shape
from fastnn.ops._windows import window

OPSET = 17

Form = Callable[[Graph, str, Any, str, Shape], str]


def add(graph: Graph, name: str, layer: Any, x: str, shape: Shape) -> tuple[str, Shape]:
    """Add the nodes of a layer.

    Parameters
    ----------
    graph : Graph
    name : str
        The layer's.
    layer : layer
    x : str
        Name of its input.
    shape : tuple of int
        Of the input for a sample.

    Returns
    -------
    y : str
        Name of its output.
    shape : tuple of int
        Of the output for a sample.

    Raises
    ------
    ValueError
        If ONNX has no form for the layer.
    """
    record = record_of(layer)
    if record is None or record.kind not in FORMS or "forward" in vars(layer):
        raise ValueError(
            f"{where_of(name)}: expected a layer of fastnn.layers, whose form in ONNX is known, "
            f"got one of your own, {type(layer).__name__}"
        )
    for each in (*record.parameters, *record.statistics):
        array = getattr(layer, each)
        if array is not None and array.dtype != np.float32:
            raise ValueError(
                f"{where_of(name)}.{each}: expected an array of float32, got {array.dtype}"
            )
    y = FORMS[record.kind](graph, name, layer, x, shape)
    after = getattr(layer, "output_shape", None)
    return y, shape if after is None else tuple(after(shape))


def _plain(op: str, *settings: str) -> Form:
    """Return the form of a layer that is one operator, with settings of the same names."""

    def form(graph: Graph, name: str, layer: Any, x: str, shape: Shape) -> str:
        return graph.node(name, op, x, **{each: getattr(layer, each) for each in settings})

    return form


def _then_relu(form: Form) -> Form:
    """Return the form of a layer with a ReLU in it."""
    return lambda graph, name, *rest: graph.node(name, "Relu", form(graph, name, *rest))


def _rows(graph: Graph, name: str, x: str, shape: Shape) -> str:
    return x if len(shape) == 1 else graph.node(name, "Flatten", x, axis=1)


def _samples(graph: Graph, name: str, rows: str, shape: Shape) -> str:
    """Undo what :func:`_rows` does."""
    if len(shape) == 1:
        return rows
    to = graph.array(f"{name}.shape", np.array([-1, *shape], np.int64))
    return graph.node(name, "Reshape", rows, to)


def _affine(graph: Graph, name: str, layer: Affine, x: str, shape: Shape) -> str:
    W, b = graph.array(f"{name}.W", layer.W), graph.array(f"{name}.b", layer.b)
    return graph.node(name, "Gemm", _rows(graph, name, x, shape), W, b)


def _convolution(graph: Graph, name: str, layer: Convolution, x: str, shape: Shape) -> str:
    W, b = graph.array(f"{name}.W", layer.W), graph.array(f"{name}.b", layer.b)
    pad, stride = layer.pad, layer.stride
    return graph.node(name, "Conv", x, W, b, pads=[pad] * 4, strides=[stride] * 2)


def _max_pool(graph: Graph, name: str, layer: MaxPool, x: str, shape: Shape) -> str:
    height, width, stride = window(layer.pool_h, layer.pool_w, layer.stride)
    return graph.node(name, "MaxPool", x, kernel_shape=[height, width], strides=[stride] * 2)


def _normalise(graph: Graph, name: str, layer: BatchNormalization, x: str, shape: Shape) -> str:
    if layer.per_pixel:
        x = _rows(graph, name, x, shape)
    arrays: dict[str, Array] = {"gamma": layer.gamma, "beta": layer.beta}
    for each in ("running_mean", "running_var"):
        held = getattr(layer, each)
        arrays[each] = np.zeros_like(layer.gamma) if held is None else held
    names = [graph.array(f"{name}.{each}", array) for each, array in arrays.items()]
    y = graph.node(name, "BatchNormalization", x, *names, epsilon=layer.eps)
    return _samples(graph, name, y, shape) if layer.per_pixel else y


def _layer_norm(graph: Graph, name: str, layer: LayerNormalization, x: str, shape: Shape) -> str:
    arrays = (graph.array(f"{name}.{each}", getattr(layer, each)) for each in ("gamma", "beta"))
    rows = _rows(graph, name, x, shape)
    y = graph.node(name, "LayerNormalization", rows, *arrays, axis=1, epsilon=layer.eps)
    return _samples(graph, name, y, shape)


def _dropout(graph: Graph, name: str, layer: Dropout, x: str, shape: Shape) -> str:
    if layer.inverted or layer.dropout_ratio == 0:
        return x
    return graph.node(name, "Mul", x, graph.number(f"{name}.kept", 1 - layer.dropout_ratio))


def _silu(graph: Graph, name: str, layer: Silu, x: str, shape: Shape) -> str:
    return graph.node(name, "Mul", x, graph.node(name, "Sigmoid", x))


def _gelu(graph: Graph, name: str, layer: Gelu, x: str, shape: Shape) -> str:
    """Add x / 2 (1 + erf(x / sqrt(2))), or x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))."""

    def by(a: str, factor: str, number: float) -> str:
        return graph.node(name, "Mul", a, graph.number(f"{name}.{factor}", number))

    if layer.approximate == "none":
        bent = graph.node(name, "Erf", by(x, "scale", math.sqrt(0.5)))
    else:
        cube = graph.node(name, "Mul", x, graph.node(name, "Mul", x, x))
        inner = graph.node(name, "Add", x, by(cube, "cubic", 0.044715))
        bent = graph.node(name, "Tanh", by(inner, "scale", math.sqrt(2 / math.pi)))
    share = graph.node(name, "Add", bent, graph.number(f"{name}.one", 1.0))
    return graph.node(name, "Mul", by(x, "half", 0.5), share)


FORMS: Mapping[type[Any], Form] = {
    Affine: _affine,
    AffineRelu: _then_relu(_affine),
    BatchNormalization: _normalise,
    BatchNormRelu: _then_relu(_normalise),
    Convolution: _convolution,
    Dropout: _dropout,
    Elu: _plain("Elu", "alpha"),
    Flatten: lambda graph, name, layer, x, shape: _rows(graph, name, x, shape),
    Gelu: _gelu,
    Identity: lambda graph, name, layer, x, shape: x,
    LayerNormalization: _layer_norm,
    LeakyRelu: lambda graph, name, layer, x, shape: graph.node(
        name, "LeakyRelu", x, alpha=layer.negative_slope
    ),
    MaxPool: _max_pool,
    Relu: _plain("Relu"),
    Sigmoid: _plain("Sigmoid"),
    Silu: _silu,
    Softplus: _plain("Softplus"),
    Tanh: _plain("Tanh"),
}
