"""Networks in ONNX files.

What has no arrays in it is made by the package onnx. The arrays are written from where they are,
behind it: that package would copy them twice, which is much for large networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastnn._utils import validation as numbers
from fastnn._utils.distribution import VERSION
from fastnn._utils.files import File, writing
from fastnn._utils.types import Array
from fastnn.exchange.forms import OPSET, add
from fastnn.exchange.graph import Graph, onnx_package
from fastnn.layers.adoption import adopt
from fastnn.layers.record import takes
from fastnn.layers.sizes import Shape

_FORMAT = 8  # of files with this operator set: a newer one is refused by older runtimes
_MOST = 2**31 - 1  # bytes of a message, which all parsers take

# Numbers of fields, which files have in place of names.
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
_BYTES = 2  # the type of a field whose length comes before it


class Value(NamedTuple):
    """What a file takes or gives.

    Attributes
    ----------
    name : str
    shape : tuple of int
        For a sample.
    kind : {"FLOAT", "INT64", "STRING"}
    """

    name: str
    shape: Shape
    kind: str = "FLOAT"


def write(
    file: File,
    networks: Sequence[Any],
    activation: str,
    input_name: str,
    output_name: str,
    description: str,
) -> None:
    """Write one network, or the mean of several with the same input and output, to a file.

    Parameters
    ----------
    file : str, path or file object
    networks : sequence of Network
    activation : {"", "softmax", "sigmoid"}
        What is put after each.
    input_name, output_name : str
    description : str
        What the file says of itself.
    """
    expect_names(input_name=input_name, output_name=output_name)
    graph, results = Graph(), []
    after: Shape = ()
    for i, network in enumerate(networks):
        where = f"networks[{i}]" if len(networks) > 1 else "network"
        graph.prefix = f"{where}/" if len(networks) > 1 else ""
        result, after = add_network(graph, where, network, input_name)
        if activation:
            result = _activated(graph, activation, result, after)
        results.append(result)
    graph.prefix = ""
    result = graph.node("mean", "Mean", *results) if len(results) > 1 else results[0]
    graph.end(result, output_name)
    given = Value(input_name, _input_shape(networks[0]))
    save(file, graph, given, [Value(output_name, after)], description)


def activation_of(network: Any, softmax: bool, sigmoid: bool) -> str:
    """Return what is to be put after a network, as :func:`write` takes it.

    Raises
    ------
    TypeError, ValueError
        If it is not what belongs to the network's loss; a loss of one's own may have any.
    """
    kind, last = takes(network), type(network.last_layer).__name__
    if numbers.flag("softmax", softmax) and kind == "answers":
        raise ValueError(
            f"softmax: expected False for a network with {last}, whose probabilities "
            "sigmoid=True gives, got True"
        )
    if numbers.flag("sigmoid", sigmoid) and (softmax or kind not in ("answers", "")):
        got = "softmax=True beside it" if softmax else last
        raise ValueError(
            'sigmoid: expected a network with loss="binary_cross_entropy", whose scores become '
            f"probabilities by it, got {got}"
        )
    return "softmax" if softmax else "sigmoid" if sigmoid else ""


def expect_names(**names: str) -> None:
    """Raise TypeError or ValueError if names of what a file takes and gives are none, or equal."""
    of_value: dict[str, str] = {}
    for name, value in names.items():
        if not isinstance(value, str) or not value:
            raise TypeError(f"{name}: expected a string, got {numbers.brief(value)}")
        if value in of_value:
            other = "the input" if of_value[value] == "input_name" else of_value[value]
            raise ValueError(f"{name}: expected another name than {other}'s, got {value}")
        of_value[value] = name


def add_network(graph: Graph, where: str, network: Any, x: str) -> tuple[str, Shape]:
    """Add the nodes of a network.

    Parameters
    ----------
    graph : Graph
    where : str
        What errors call the network.
    network : Network
    x : str
        Name of its input.

    Returns
    -------
    y : str
        Name of its output, the scores.
    shape : tuple of int
        Of the output for a sample.
    """
    if network.dtype != np.float32:
        raise TypeError(
            f"{where}: expected one of float32, which runtimes of ONNX take, got {network.dtype}; "
            "one like it of float32 takes its arrays by load_state_dict(network.state_dict())"
        )
    if network._has_own("predict"):
        raise TypeError(
            f"{where}: expected one whose layers are all that it does, got "
            f"{type(network).__name__} with a predict of its own"
        )
    adopt(network)
    shape = _input_shape(network)
    if network.input_scale != 1:
        x = graph.node("input_scale", "Mul", x, graph.number("scale", network.input_scale))
    for name, layer in network.layers.items():
        x, shape = add(graph, name, layer, x, shape)
    return x, shape


def _activated(graph: Graph, activation: str, scores: str, shape: Shape) -> str:
    """Add the node that makes probabilities of scores; return the name of its output."""
    if activation == "sigmoid":
        return graph.node("probabilities", "Sigmoid", scores)
    if len(shape) != 1 or shape == (1,):
        raise ValueError(
            f"softmax: expected a network of several scores for a sample, got shape {shape}"
        )
    return graph.node("probabilities", "Softmax", scores, axis=1)


def _input_shape(network: Any) -> Shape:
    size = network.input_size
    if size is None:
        raise RuntimeError(
            "network: expected one whose sizes are known: give it an input_size, or call fit or "
            "predict with samples first"
        )
    return size if isinstance(size, tuple) else (size,)


def save(
    file: File, graph: Graph, given: Value, results: Sequence[Value], description: str
) -> None:
    """Write a graph to a file.

    Parameters
    ----------
    file : str, path or file object
    graph : Graph
        Whose results have their names.
    given : Value
    results : sequence of Value
    description : str
        What the file says of itself.
    """
    onnx = onnx_package()
    helper, kinds = onnx.helper, onnx.TensorProto
    inputs, outputs = (
        [
            helper.make_tensor_value_info(name, getattr(kinds, kind), ["batch", *shape])
            for name, shape, kind in values
        ]
        for values in ([given], results)
    )
    body = helper.make_graph(graph.nodes, "network", inputs, outputs).SerializeToString()
    model = helper.make_model(
        onnx.GraphProto(),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_FORMAT,
        producer_name="fastnn",
        producer_version=VERSION,
        doc_string=description,
    )
    model.ClearField("graph")
    start = model.SerializeToString()
    heads = {name: _head(onnx, name, array) for name, array in graph.arrays.items()}
    length = len(body) + sum(
        len(heads[name]) + array.nbytes for name, array in graph.arrays.items()
    )
    if len(start) + length > _MOST - 32:
        raise ValueError(
            f"network: expected at most {_MOST:,} bytes, which a file of ONNX may have, "
            f"got {length:,}"
        )
    with writing(file) as write_all:
        write_all(start + _before(_GRAPH, length) + body)
        for name, array in graph.arrays.items():
            write_all(heads[name])
            write_all(array.reshape(-1).data)


def _head(onnx: Any, name: str, array: Array) -> bytes:
    """Return what comes before the bytes of an array."""
    kind = onnx.TensorProto.FLOAT if array.dtype.kind == "f" else onnx.TensorProto.INT64
    tensor = onnx.TensorProto(name=name, data_type=kind, dims=array.shape).SerializeToString()
    tensor += _before(_RAW_DATA, array.nbytes)
    return _before(_INITIALIZER, len(tensor) + array.nbytes) + bytes(tensor)


def _before(field: int, length: int) -> bytes:
    """Return what comes before a field of so many bytes: its number and type, and its length."""
    return bytes([*_varint(field << 3 | _BYTES), *_varint(length)])


def _varint(number: int) -> Iterator[int]:
    """Yield an integer as protobuf writes it: seven bits a byte, the lowest first."""
    while number > 127:
        yield number & 127 | 128
        number >>= 7
    yield number
