"""Forward and backward passes through the layers of a network, each in one call.

What layers would keep of a pass stands in the memory of the plan until the next one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn import config
from fastnn._utils.types import Array, Labels
from fastnn.kernels.program import kinds
from fastnn.kernels.program.tables import FORWARD, GRADIENTS
from fastnn.layers.parameters import parameters_of
from fastnn.layers.planning import Buffer
from fastnn.program.data import Samples
from fastnn.program.memory import Layout
from fastnn.program.plan import Plan, Sizes, known
from fastnn.program.tables import Tables, nothing, share


class _Gradients:
    """Where gradients stand in one flat buffer; see :class:`fastnn.program.updates.Updated`."""

    def __init__(self, found: list[tuple[str, Any]]) -> None:
        self.rule = ""
        self.states: dict[str, dict[str, Array]] = {}
        self.averages: dict[str, Array] | None = None
        self.keys: dict[tuple[str, str], str] = {}
        arrays = {}
        for name, layer in found:
            for attribute, array in parameters_of(layer).items():
                key = self.keys[name, attribute] = f"{attribute} of {name}"
                arrays[key] = array
        self._layout: Layout[str] = Layout(arrays)
        self.begins, self.size = self._layout.begins, self._layout.size

    def views(self, flat: Array) -> dict[tuple[str, str], Array]:
        """Return the parts of a flat buffer, by layer and name."""
        views = self._layout.views(flat)
        return {where: views[key] for where, key in self.keys.items()}


class _Plan(Plan):
    """Steps in which dropout takes masks that are given, or all, and scales what is kept."""

    def __init__(
        self, found: list[tuple[str, Any]], features: int, sizes: Sizes, training: bool
    ) -> None:
        super().__init__(found, (features,), sizes, gathered=True, whole=True)
        self._as_in_training = training

    def _forward(self, name: str, layer: Any, x: Buffer) -> Buffer:
        given = known(name, layer).forward_given
        if given is not None:
            return given(self, name, layer, x, self._as_in_training)
        return super()._forward(name, layer, x)


class Passes:
    """Passes for batches of one size.

    Parameters
    ----------
    found : list of (str, layer)
        Layers of :mod:`fastnn.layers`, whose arrays are read where they lie.
    features, n : int
        Columns and rows of a batch.
    real : dtype
        Of parameters, activations and gradients.
    training : bool
        Whether batch normalisation and dropout act as in training; if not, there is no backward
        pass.

    Attributes
    ----------
    scores : ndarray, shape (n, classes)
        Of the last pass.

    Raises
    ------
    Unsupported
        If there is a layer that no program is made for.
    """

    def __init__(
        self,
        found: list[tuple[str, Any]],
        features: int,
        n: int,
        real: np.dtype[Any],
        training: bool,
    ) -> None:
        self._training = training
        plan = _Plan(found, features, Sizes(n, config.get_num_threads(), real), training)
        scores = plan.forward()
        forward = len(plan.segments), len(plan.segments[-1].steps)
        self._layout = _Gradients(found)
        if training:
            d = plan.buffer("gradient of the scores", scores.columns)
            plan.add(kinds.CROSS_ENTROPY, source=scores, target=d)
            plan.backward(d)
        self._buffers = {"input": plan.inputs, "output": plan.outputs}
        self._tables = Tables(plan, self._layout if training else None)
        self._arrays = dict(self._tables.workspace.arrays)
        self.scores: Array = self._arrays[scores.name]
        self._forward = self._tables.segments[: forward[0]].copy()
        last = self._forward[-1]
        last["end"], last["finish"] = last["begin"] + forward[1], -1
        self._tables.take_all(n)
        self._nothing = nothing()

    def array(self, name: str, kind: str) -> Array:
        """Return what a layer has taken (``"input"``) or given (``"output"``) in the last pass."""
        return self._arrays[self._buffers[kind][name].name]

    def memory(self, name: str) -> NDArray[Any]:
        """Return other memory by its name, such as a layer's mask or mean."""
        return self._arrays[name]

    def forward(self, x: Array) -> Array:
        """Return the scores of a batch, which stand there until the next pass."""
        p = self._tables.program[0]
        p["training"] = FORWARD
        self._run(x, self._forward)
        return self.scores

    def backward(self, x: Array, labels: Labels) -> None:
        """Compute the gradients of softmax and cross-entropy."""
        p = self._tables.program[0]
        p["training"], p["targets"] = GRADIENTS, labels.ctypes.data
        self._run(x, self._tables.segments)

    def gradients(self, copied: bool = True) -> dict[tuple[str, str], Array]:
        """Return gradients by layer and name: copies, or the arrays that the next pass fills."""
        if not self._training:
            return {}
        flat = self._arrays["gradients"][0]
        return self._layout.views(flat.copy() if copied else flat)

    def _run(self, x: Array, segments: NDArray[Any]) -> None:
        self._tables.read(Samples(x, 1.0))
        share(self._tables)
        self._tables.run(*self._nothing, segments)
