"""Estimators in ONNX files, with the names of inputs and outputs that skl2onnx gives them.

A classifier gives "label" and "probabilities", as with skl2onnx's option ``zipmap=False``; a
regressor gives "variable".
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from fastnn._utils.files import File
from fastnn.exchange.graph import Graph, onnx_package
from fastnn.exchange.onnx_file import Value, add_network, expect_names, save
from fastnn.sklearn.building import network_of

_LABEL, _PROBABILITIES, _VARIABLE = "label", "probabilities", "variable"


def write_classifier(path: File, estimator: Any, input_name: str) -> None:
    """Write a fitted classifier: what its `predict` and `predict_proba` return."""
    check_is_fitted(estimator)
    expect_names(input_name=input_name, label=_LABEL, probabilities=_PROBABILITIES)
    if estimator._loss_entry.of_labels:
        head = _several_classes
    elif estimator._label_binarizer.y_type_.startswith("multilabel"):
        head = _several_labels
    else:
        head = _two_classes
    graph, scores, outputs = _scores(estimator, input_name)
    label, p = head(graph, scores, outputs, estimator.classes_)
    _write(path, graph, estimator, input_name, [label, p])


def write_regressor(path: File, estimator: Any, input_name: str) -> None:
    """Write a fitted regressor: what its `predict` returns, always as rows."""
    check_is_fitted(estimator)
    expect_names(input_name=input_name, variable=_VARIABLE)
    graph, y, outputs = _scores(estimator, input_name)
    if estimator.out_activation_ == "exp":
        y = graph.node(_VARIABLE, "Exp", y)
    graph.end(y, _VARIABLE)
    _write(path, graph, estimator, input_name, [Value(_VARIABLE, (outputs,))])


def _scores(estimator: Any, input_name: str) -> tuple[Graph, str, int]:
    """Return a graph of the network, the name of its scores, and how many a sample has."""
    graph, network = Graph(), estimator._linked()
    if network.dtype != np.float32:
        given = estimator.coefs_, estimator.intercepts_, "mse", np.dtype(np.float32)
        single = network_of(estimator, *given)
        single.load_state_dict(network.state_dict())
        network = single
    scores, (outputs,) = add_network(graph, "estimator", network, input_name)
    return graph, scores, int(outputs)


def _several_classes(
    graph: Graph, scores: str, outputs: int, classes: NDArray[Any]
) -> tuple[Value, Value]:
    largest = graph.node(_LABEL, "ArgMax", scores, axis=1, keepdims=0)
    label = _class_of(graph, classes, largest)
    graph.end(graph.node(_PROBABILITIES, "Softmax", scores, axis=1), _PROBABILITIES)
    return label, Value(_PROBABILITIES, (outputs,))


def _two_classes(
    graph: Graph, scores: str, outputs: int, classes: NDArray[Any]
) -> tuple[Value, Value]:
    flat = graph.array("all", np.array([-1], np.int64))
    second = graph.node(_LABEL, "Reshape", _is_above(graph, scores), flat)
    if len(classes) == 1:  # there was no other among the samples
        classes = classes.repeat(2)
    label = _class_of(graph, classes, second)
    p = graph.node(_PROBABILITIES, "Sigmoid", scores)
    rest = graph.node(_PROBABILITIES, "Sub", graph.number("one", 1), p)
    graph.end(graph.node(_PROBABILITIES, "Concat", rest, p, axis=1), _PROBABILITIES)
    return label, Value(_PROBABILITIES, (2,))


def _several_labels(
    graph: Graph, scores: str, outputs: int, classes: NDArray[Any]
) -> tuple[Value, Value]:
    graph.end(_is_above(graph, scores), _LABEL)
    graph.end(graph.node(_PROBABILITIES, "Sigmoid", scores), _PROBABILITIES)
    return Value(_LABEL, (outputs,), "INT64"), Value(_PROBABILITIES, (outputs,))


def _is_above(graph: Graph, scores: str) -> str:
    """Add what gives 1 where a score is above 0, a probability above 1/2, else 0."""
    above = graph.node(_LABEL, "Greater", scores, graph.number("zero", 0))
    return graph.node(_LABEL, "Cast", above, to=onnx_package().TensorProto.INT64)


def _class_of(graph: Graph, classes: NDArray[Any], places: str) -> Value:
    """Let the label be the class at its place."""
    if classes.dtype.kind in "biuf":
        names = graph.array("classes", classes.astype(np.int64))
        value = Value(_LABEL, (), "INT64")
    else:
        texts = [str(each).encode() for each in classes]
        names = graph.node("classes", "Constant", value_strings=texts)
        value = Value(_LABEL, (), "STRING")
    graph.end(graph.node(_LABEL, "Gather", names, places), _LABEL)
    return value


def _write(path: File, graph: Graph, estimator: Any, input_name: str, results: list[Value]) -> None:
    given = Value(input_name, (estimator.n_features_in_,))
    save(path, graph, given, results, repr(estimator))
