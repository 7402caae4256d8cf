"""The sizes of a network: those that it is given, or else those of its first samples."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn._utils.tables import expect_names
from fastnn.layers import SoftmaxWithLoss
from fastnn.layers.parameters import where_of
from fastnn.layers.record import loss_of
from fastnn.layers.sizes import Shape, is_built
from fastnn.networks import building
from fastnn.ops._targets import one_output

if TYPE_CHECKING:
    from fastnn.networks.network import Network

_Method = TypeVar("_Method", bound=Callable[..., Any])


def sizes_first(method: _Method) -> _Method:
    """Let a method give a network without sizes those of the samples that it is called with.

    Samples in a table must have the columns that the network was trained on.
    """

    @functools.wraps(method)
    def with_sizes(self: Network, x: ArrayLike, *arguments: Any, **named: Any) -> Any:
        if self.feature_names is not None:
            expect_names("x", x, self.feature_names)
        if self.input_size is not None:
            return method(self, x, *arguments, **named)
        with sized(self, x):
            return method(self, x, *arguments, **named)

    return cast(_Method, with_sizes)


def build(network: Network) -> None:
    """Build the layers that are not yet, and check how all fit; an error changes nothing."""
    if network.input_size is None:
        name = next(name for name, layer in network.layers.items() if not is_built(layer))
        raise RuntimeError(
            f"{where_of(name)}: expected a layer whose sizes are known: give the network an "
            "input_size, or call fit or predict with samples first"
        )
    shape = network.input_size if isinstance(network.input_size, tuple) else (network.input_size,)
    with building.undone(network.layers, network._rng):
        after = building.build(network.layers, shape, network._rng, network.dtype)
        name, last = list(after.items())[-1]
        if last == (1,) and type(network.last_layer) is SoftmaxWithLoss:
            raise one_output()
        if loss_of(network) is not None and last is not None and len(last) != 1:
            raise ValueError(
                f"{where_of(name)}: expected a last layer that gives scores, one row a sample, "
                f"got one that gives shape {last} for a sample"
            )
    if last is not None:
        network.output_size = last[0] if len(last) == 1 else last


@contextmanager
def sized(network: Network, x: ArrayLike) -> Iterator[None]:
    """Take sizes from samples; undo that if there is an error before training begins."""
    if network.input_size is not None:
        yield
        return
    shape = np.shape(x)
    if len(shape) < 2 or 0 in shape:
        raise ValueError(
            f"x: expected samples of shape (N, D) or (N, ...), as the network has no "
            f"input_size yet, got {shape}"
        )
    flat = building.flattens(network.layers.values())
    with sized_as(network, math.prod(shape[1:]) if flat else shape[1:]):
        yield


@contextmanager
def sized_as(network: Any, size: Any) -> Iterator[None]:
    """Take a size where there is none yet; undo that after an error before training begins."""
    if network.input_size is not None or size is None:
        yield
        return
    before, params, history = dict(vars(network)), dict(network.params), network.history
    with building.undone(network.layers, network._rng, lambda: network.history is history):
        try:
            network.input_size = size_of("input_size", size)
            build(network)
            network._begin()
            yield
        except Exception:
            if network.history is history:
                vars(network).clear()
                vars(network).update(before)
                network.params.clear()
                network.params.update(params)
            raise


def size_of(name: str, value: Any) -> int | Shape:
    """Return a number of features or the shape of a sample, checked."""
    if not isinstance(value, (tuple, list)):
        return numbers.integer(name, value, 1)
    sizes = tuple(numbers.integer(f"{name}[{i}]", size, 1) for i, size in enumerate(value))
    if not sizes:
        raise ValueError(f"{name}: expected a number of features, or the shape of a sample, got ()")
    return sizes if len(sizes) > 1 else sizes[0]
