"""Networks in ONNX files.

What has no arrays in it is made by the package onnx. The arrays are written from where they are,
behind it: that package would copy them twice, which is much for large networks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastnn._utils import validation as numbers
from fastnn._utils.distribution import VERSION
from fastnn._utils.files import File, writing
from fastnn._utils.types import Array
from fastnn.exchange.forms import OPSET, add
from fastnn.exchange.graph import Graph, onnx_package
from fastnn.layers.adoption import adopt
from fastnn.layers.sizes import Shape

_FORMAT = 8  # of files with this operator set: a newer one is refused by older runtimes
_MOST = 2**31 - 1  # bytes of a message, which all parsers take

# Numbers of fields, which files have in place of names.
_GRAPH, _INITIALIZER, _RAW_DATA = 7, 5, 9
_BYTES = 2  # the type of a field whose length comes before it


def write(
    file: File,
    networks: Sequence[Any],
    softmax: bool,
    input_name: str,
    output_name: str,
    description: str,
) -> None:
    """Write one network, or the mean of several with the same input and output, to a file.

    Parameters
    ----------
    file : str, path or file object
    networks : sequence of Network
    softmax : bool
        Whether softmax is put after each.
    input_name, output_name : str
    description : str
        What the file says of itself.
    """
    for name, value in (("input_name", input_name), ("output_name", output_name)):
        if not isinstance(value, str) or not value:
            raise TypeError(f"{name}: expected a string, got {numbers.brief(value)}")
    if input_name == output_name:
        raise ValueError(f"output_name: expected another name than the input's, got {output_name}")
    softmax = numbers.flag("softmax", softmax)
    graph, results = Graph(), []
    after: Shape = ()
    for i, network in enumerate(networks):
        where = f"networks[{i}]" if len(networks) > 1 else "network"
        graph.prefix = f"{where}/" if len(networks) > 1 else ""
        result, after = _network(graph, where, network, softmax, input_name)
        results.append(result)
    graph.prefix = ""
    result = graph.node("mean", "Mean", *results) if len(results) > 1 else results[0]
    graph.end(result, output_name)
    before = _input_shape(networks[0])
    _write(file, graph, (input_name, before), (output_name, after), description)


def _network(graph: Graph, where: str, network: Any, softmax: bool, x: str) -> tuple[str, Shape]:
    """Add the nodes of a network; return the name of its output and the shape of a sample's."""
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
    if softmax:
        if len(shape) != 1 or shape == (1,):
            raise ValueError(
                f"softmax: expected a network of several scores for a sample, got shape {shape}"
            )
        x = graph.node("probabilities", "Softmax", x, axis=1)
    return x, shape


def _input_shape(network: Any) -> Shape:
    size = network.input_size
    if size is None:
        raise RuntimeError(
            "network: expected one whose sizes are known: give it an input_size, or call fit or "
            "predict with samples first"
        )
    return size if isinstance(size, tuple) else (size,)


def _write(
    file: File,
    graph: Graph,
    given: tuple[str, Shape],
    result: tuple[str, Shape],
    description: str,
) -> None:
    onnx = onnx_package()
    helper, real = onnx.helper, onnx.TensorProto.FLOAT
    inputs, outputs = (
        [helper.make_tensor_value_info(name, real, ["batch", *shape])]
        for name, shape in (given, result)
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
