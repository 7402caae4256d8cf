"""The updates of a training program: which rows of which parameter each goes through."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

from fastnn._utils.types import Array
from fastnn.kernels.gemm.sizes import COLUMNS32, COLUMNS64, ROWS
from fastnn.kernels.program.tables import BIAS, NORM, WEIGHTS
from fastnn.kernels.tuning import COMMON
from fastnn.layers.parameters import is_decayed, parameters_of
from fastnn.layers.planning import Gradient, Memory, Product
from fastnn.program.plan import Plan

# Bytes of a weight's rows, their gradient and states that one update goes through, and how many
# updates there should be for each thread, so that none waits long for the last one.
_UPDATE_BYTES, _SHARES = COMMON.update_bytes, COMMON.update_shares


class Updated(Protocol):
    """What is updated; see :class:`fastnn.program.parameters.Parameters`."""

    rule: str  # empty if gradients alone are computed
    keys: dict[tuple[str, str], str]
    begins: dict[str, int]
    size: int
    states: dict[str, dict[str, Array]]
    averages: dict[str, Array] | None


def packings(plan: Plan) -> list[dict[str, Any]]:
    """Return updates that do nothing but pack weights."""
    found = []
    for name, layer in plan.layers:
        product = plan.products.get(name)
        if product is not None and product.packed is not None:
            W = getattr(layer, product.weights)
            found.append(_of_weights(W, product) | {"bottom": W.shape[0]})
    return found


class Updates:
    """The updates of all parameters.

    Parameters
    ----------
    plan : Plan
    parameters : Updated
    gradients : dict of Gradient to int
        Addresses.

    Attributes
    ----------
    rows : list of dict
        Fields of the program's table, the long ones first: then threads end at about the same time.
        Ahead of them those of a product in halves, so that threads update rows of W that they read.
    squares : int
        Sums of squares of gradients: of parts that do not depend on how many threads there are.
    """

    def __init__(self, plan: Plan, parameters: Updated, gradients: Mapping[Gradient, int]) -> None:
        self._plan, self._parameters, self._gradients = plan, parameters, gradients
        self.rows: list[dict[str, Any]] = []
        self.squares = 0
        for name, layer in plan.layers:
            for attribute, array in parameters_of(layer).items():
                self._add(name, layer, attribute, array)
        self.rows = _dealt(self.rows, plan.sizes.threads)

    def _add(self, name: str, layer: Any, attribute: str, array: Array) -> None:
        """Add the updates of a parameter."""
        key = self._parameters.keys[name, attribute]
        product = self._plan.products.get(name)
        gradient = self._gradients[Gradient(name, attribute)]
        record: dict[str, Any] = {"kind": NORM, "d": 1, "h": 1, "size": array.size}
        square_size, tall = array.size, 1
        if product is not None and attribute == product.weights:
            record |= _of_gradient(product) | _of_weights(array, product) | {"dW": gradient}
            square_size, tall = ROWS * array.shape[1], array.shape[0]
        elif product is not None and attribute == product.bias:
            record |= _of_gradient(product) | {"kind": BIAS}
        elif attribute in (summed := self._plan.sums.get(name, {})):
            given = summed[attribute]
            record["sums"] = given.memory.address + given.begin * array.itemsize
            record["sums_step"] = given.memory.shape[-1]
        record["penalised"] = is_decayed(key, layer, attribute, array)
        record["square"], record["square_size"] = self.squares, square_size
        self.squares += -(-array.size // square_size)
        arrays, taken = self._arrays(key, array, gradient)
        step = self._rows_of_update(array, record)
        cut = product.cut if product is not None and record["kind"] == WEIGHTS else 0
        for half, (begin, end) in enumerate(((0, cut), (cut, max(1, tall)))):
            for top in range(begin, end, step):
                part = _part(record, arrays, taken, array, top, min(end, top + step))
                self.rows.append(part | ({"half": half} if cut else {}))

    def _arrays(self, key: str, array: Array, gradient: int) -> tuple[dict[str, int], list[int]]:
        """Return where what an update goes through begins, and what of it the rule takes."""
        given = self._parameters
        arrays = {"p": array.ctypes.data, "g": gradient}
        states = [state[key].ctypes.data for state in given.states.values()]
        taken = [*arrays.values(), *states]
        if given.averages is not None:
            arrays["average"] = given.averages[key].ctypes.data
        return arrays, taken

    def _rows_of_update(self, array: Array, record: dict[str, Any]) -> int:
        """Return how many rows of W an update takes: whole tiles, and panels of W^T."""
        if record["kind"] != WEIGHTS:
            return int(array.shape[0])
        unit = int(ROWS)
        if record["transposed"]:
            unit = math.lcm(ROWS, COLUMNS32 if array.itemsize == 4 else COLUMNS64)
        row_bytes = 4 * array.shape[1] * array.itemsize
        share = self._plan.parameters // (_SHARES * self._plan.sizes.threads)
        wanted = min(_UPDATE_BYTES // row_bytes, share // array.shape[1])
        return int(max(1, wanted // unit) * unit)


def _dealt(rows: list[dict[str, Any]], threads: int) -> list[dict[str, Any]]:
    """Return updates in such an order that each half belongs to streams of its own.

    They are dealt out to streams one by one.
    """
    halves: list[list[dict[str, Any]]] = [[], []]
    rest: list[dict[str, Any]] = []
    for record in rows:
        half = record.pop("half", None)
        (rest if half is None else halves[half]).append(record)
    dealt: list[dict[str, Any]] = []
    while all(halves):
        for half, count in zip(halves, (threads // 2, threads - threads // 2), strict=True):
            dealt += half[:count]
            del half[:count]
    rest.sort(key=lambda record: -record["size"])
    return [*dealt, *halves[0], *halves[1], *rest]


def _address(memory: Memory | None) -> int:
    return 0 if memory is None else memory.address


def _of_weights(W: Array, product: Product) -> dict[str, Any]:
    return {
        "kind": WEIGHTS,
        "d": W.shape[0],
        "h": W.shape[1],
        "W": W.ctypes.data,
        "packed": _address(product.packed),
        "transposed": _address(product.transposed),
    }


def _of_gradient(product: Product) -> dict[str, Any]:
    """Return what a gradient is computed from: x and dz."""
    assert product.dz is not None
    return {
        "source": product.source.address,
        "dz": product.dz.address,
        "dz_packed": _address(product.dz_packed),
        "d": product.source.columns,
        "h": product.dz.columns,
    }


def _part(
    record: dict[str, Any],
    arrays: dict[str, int],
    taken: list[int],
    array: Array,
    top: int,
    bottom: int,
) -> dict[str, Any]:
    """Return the update of some rows of a parameter."""
    if record["kind"] != WEIGHTS:
        return record | arrays | {"arrays": taken}
    columns = array.shape[1]
    shift = top * columns * array.itemsize
    shifted = {name: address + shift for name, address in arrays.items()}
    return (
        record
        | shifted
        | {
            "arrays": [address + shift for address in taken],
            "top": top,
            "bottom": bottom,
            "size": (bottom - top) * columns,
            "square": record["square"] + top // ROWS,
        }
    )
