"""The methods of a network in one compiled call each, where its layers are the book's own.

Layers hold afterwards what they would hold if they had been called one by one; what few scripts
ask for is read from the memory of the pass when they do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from fastnn import config
from fastnn import layers as ours
from fastnn._utils.types import Array, Labels
from fastnn.dropin.dlfs import layers as theirs
from fastnn.dropin.dlfs._usual import usual
from fastnn.dropin.dlfs.batchnorm import EPS, BatchNormalization
from fastnn.dropin.dlfs.layers import Affine, Dropout, Relu, Sigmoid
from fastnn.layers.planning import Unsupported
from fastnn.program.data import samples
from fastnn.program.inference import scores_of
from fastnn.program.passes import Passes
from fastnn.program.program import same

Found = dict[tuple[str, str], Array]  # gradients, by a layer's name and the parameter's

_REAL = np.dtype(np.float64)
_ELEMENTS = 8 << 20  # of a batch's activations; of larger ones nothing is kept
_PLANS = 8  # for batches of different sizes
_TOLD = (BatchNormalization, Dropout)  # they expect to be told whether they are in training
_FUSED = {Affine: ours.AffineRelu, BatchNormalization: ours.BatchNormRelu}  # with Relu after them


def _methods(kind: type) -> tuple[Any, Any]:
    return getattr(kind, "forward", None), getattr(kind, "backward", None)


# What layers call and its methods, as they are here: scripts may put others in their place.
_FUNCTIONS = theirs.sigmoid, theirs.softmax, theirs.cross_entropy_error
_METHODS = {kind: _methods(kind) for kind in (Affine, BatchNormalization, Dropout, Relu, Sigmoid)}


class CompiledLayers:
    """The layers of a network as passes take them, and the passes that were made for them.

    Parameters
    ----------
    book : dict of str to layer
        Of ``common.layers``, by name.
    flagged : callable
        Says of a layer's name whether the network tells that layer if it is in training.

    Raises
    ------
    Unsupported
        If there is another layer, one that stands at two places, one that acts in training by
        itself or would refuse to be told, or parameters that are not plain arrays of float64.
    """

    def __init__(self, book: dict[str, Any], flagged: Callable[[str], bool]) -> None:
        if (theirs.sigmoid, theirs.softmax, theirs.cross_entropy_error) != _FUNCTIONS:
            raise Unsupported("common.layers has another function")
        self._book = dict(book)
        self._facts = [*_facts(book)]
        self._found = [*_shadows(book)]
        if not self._found or type(next(iter(book.values()))) is not Affine:
            raise Unsupported("the first layer is not an affine one")
        if len({*map(id, book.values())}) < len(book):
            raise Unsupported("a layer stands at two places")
        for name, layer in book.items():
            if flagged(name) != (type(layer) in _TOLD):
                raise Unsupported(f"{name} is not told what it expects")
        affine = [layer.W.shape for layer in book.values() if type(layer) is Affine]
        self._features, self._classes = affine[0][0], affine[-1][1]
        self._plans: dict[tuple[int, bool, int], _Plan] = {}

    def are(self, book: dict[str, Any]) -> bool:
        """Say whether layers and arrays are still those that this was made of."""
        return same([*_facts(book)], self._facts)

    def forward(self, x: Any, training: bool) -> Array | None:
        """Return the scores of a batch, or None if it is not for this."""
        if not self._takes(x):
            return None
        plan = self._plan(len(x), training)
        if plan is not None:
            return plan.forward(x)
        if training:
            return None
        return self._infer(x)

    def gradients(self, x: Any, t: Any, loss: Any) -> Found | None:
        """Return the gradients of all layers, which keep theirs; or None if it is not for this.

        `loss` is the last layer.
        """
        if not self._takes(x):
            return None
        labels = _labels(t, len(x), self._classes)
        if labels is None or (plan := self._plan(len(x), True)) is None:
            return None
        return plan.backward(x, t, labels, loss)

    def _takes(self, x: Any) -> bool:
        return usual(x) and x.ndim > 1 and x.shape[0] * self._features == x.size > 0

    def _plan(self, n: int, training: bool) -> _Plan | None:
        key = n, training, config.get_num_threads()
        if key not in self._plans:
            if n * sum(array.size for array in self._facts if np.ndim(array) == 1) > _ELEMENTS:
                return None
            while len(self._plans) >= _PLANS:
                del self._plans[next(iter(self._plans))]
            self._plans[key] = _Plan(self._book, self._found, self._features, n, training)
        return self._plans[key]

    def _infer(self, x: Array) -> Array | None:
        for name, shadow in self._found:
            if isinstance(shadow, ours.BatchNormalization):
                shadow.running_mean = self._book[name].running_mean
                shadow.running_var = self._book[name].running_var
        try:
            scores = scores_of(self._found, samples(x, 1.0, _REAL), _REAL)
        except Unsupported:
            return None
        names = {Affine: ("x", "original_x_shape"), Relu: ("mask",), Sigmoid: ("out",)}
        # As they are now: scripts may update the parameters before they ask.
        copies = [*map(_copied, self._book.values())]
        for layer, copy in zip(self._book.values(), copies, strict=True):
            if type(layer) in names:
                again = partial(_call_again, copies, x, copy)
                layer._compute_later(**{n: partial(again, n) for n in names[type(layer)]})
        return scores


def _copied(layer: Any) -> Any:
    """Return a layer with the same numbers."""
    kind = type(layer)
    if kind is Affine:
        return Affine(layer.W.copy(), layer.b.copy())
    if kind is BatchNormalization:
        arrays = layer.gamma.copy(), layer.beta.copy()
        return kind(*arrays, layer.momentum, layer.running_mean, layer.running_var)
    return Dropout(layer.dropout_ratio) if kind is Dropout else kind()


def _call_again(layers: list[Any], x: Array, layer: Any, name: str) -> Any:
    """Return what a layer keeps of a pass at test time, by calling the layers one by one."""
    for each in layers:
        arguments = (False,) if isinstance(each, _TOLD) else ()
        x = each.forward(x, *arguments)
    return vars(layer)[name]


def _facts(book: dict[str, Any]) -> Iterator[Any]:
    """Yield what plans are made of: layers, their arrays, numbers, and functions."""
    yield theirs.sigmoid
    yield theirs.softmax
    yield theirs.cross_entropy_error
    for name, layer in book.items():
        yield name
        yield layer
        kind = type(layer)
        yield from _methods(kind)
        if kind is Affine:
            yield layer.W
            yield layer.b
        elif kind is BatchNormalization:
            yield layer.gamma
            yield layer.beta
            yield float(layer.momentum)
        elif kind is Dropout:
            yield float(layer.dropout_ratio)


def _shadows(book: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the layers of :mod:`fastnn.layers` that do what those of the book do."""
    before: Any = None
    items = [*book.items()]
    for i, (name, layer) in enumerate(items):
        kind, fused = type(layer), i + 1 < len(items) and type(items[i + 1][1]) is Relu
        replaced = kind in _METHODS and _METHODS[kind] != _methods(kind)
        if replaced or {"forward", "backward"} & vars(layer).keys():
            raise Unsupported(f"{name} has a method of its own")
        if kind is Affine:
            _expect_plain(name, layer.W, layer.b)
            yield name, (ours.AffineRelu if fused else ours.Affine)(layer.W, layer.b)
        elif kind is BatchNormalization:
            _expect_plain(name, layer.gamma, layer.beta)
            zeros = np.zeros((2, *layer.gamma.shape))
            norm = ours.BatchNormRelu if fused else ours.BatchNormalization
            yield name, norm(layer.gamma, layer.beta, layer.momentum, *zeros, eps=EPS)
        elif kind is Dropout:
            yield name, ours.Dropout(layer.dropout_ratio)
        elif kind is Sigmoid:
            yield name, ours.Sigmoid()
        elif kind is not Relu:
            raise Unsupported(f"{name} is of type {kind.__name__}")
        elif before not in _FUSED:
            yield name, ours.Relu()
        before = kind


def _expect_plain(name: str, *arrays: Any) -> None:
    if not all(usual(a) and a.dtype == _REAL and a.flags.carray for a in arrays):
        raise Unsupported(f"{name} has parameters that are not plain arrays of float64")


def _labels(t: Any, n: int, classes: int) -> Labels | None:
    """Return labels as passes take them, if they are labels or one-hot rows, for each sample."""
    if type(t) is not np.ndarray or t.dtype.kind not in "iuf":
        return None
    if t.shape == (n, classes) and classes > 1:
        labels = t.argmax(axis=1)
        one_hot = np.count_nonzero(t) == n and (t[np.arange(n), labels] == 1).all()
        return labels if one_hot else None
    if t.shape != (n,) or t.dtype.kind == "f" or t.min() < 0 or t.max() >= classes:
        return None
    return np.array(t, np.int64)


class _Plan:
    """Passes for batches of one size, and what layers keep of them."""

    def __init__(
        self,
        book: dict[str, Any],
        found: list[tuple[str, Any]],
        features: int,
        n: int,
        training: bool,
    ) -> None:
        self._book, self._training, self._n = book, training, n
        self._passes = Passes(found, features, n, _REAL, training)
        self._first = next(iter(book.values()))
        self._norms: list[tuple[str, Any, Any]] = [
            (name, book[name], shadow)
            for name, shadow in found
            if isinstance(shadow, ours.BatchNormalization)
        ]
        self._dropouts = [(n, layer) for n, layer in book.items() if type(layer) is Dropout]
        self._later: list[tuple[Any, dict[str, Callable[[], Any]]]] = []
        self._now: list[tuple[Any, dict[str, Any]]] = []
        outputs = {name for name, _ in found}
        where = ""
        for name, layer in book.items():
            where = name if name in outputs else where  # that of the layer it is fused with
            self._keep(name, layer, where)
        self._gradients = [
            (name, book[name], p, array.copy)
            for (name, p), array in self._passes.gradients(copied=False).items()
        ]
        if not training:
            for name, _ in self._dropouts:
                self._passes.memory(f"{name} mask")[...] = True

    def _keep(self, name: str, layer: Any, where: str) -> None:
        """Note what a layer keeps of a pass, and how to read it from memory."""
        kind, array = type(layer), self._passes.array
        later: dict[str, Callable[[], Any]] = {}
        now: dict[str, Any] = {}
        if kind is Affine and layer is not self._first:
            x = array(name, "input")
            later["x"], now["original_x_shape"] = x.copy, x.shape
        elif kind is Relu:
            later["mask"] = partial(_is_not_positive, array(where, "output"))
        elif kind is Sigmoid:
            later["out"] = array(where, "output").copy
        elif kind is BatchNormalization:
            x = array(name, "input")
            now["input_shape"] = x.shape
            if self._training:
                mean, rstd = (self._passes.memory(f"{name} {part}") for part in ("mean", "rstd"))
                now["batch_size"] = self._n
                later["_saved"] = partial(_copies, x, mean, rstd)
                later |= layer.computed()
        if later:
            self._later.append((layer, later))
        if now:
            self._now.append((layer, now))

    def forward(self, x: Array) -> Array:
        """Return the scores of a batch."""
        self._before()
        scores = self._passes.forward(self._rows(x)).copy()
        self._after()
        return scores

    def backward(self, x: Array, t: Any, labels: Labels, loss: Any) -> Found:
        """Return gradients, and let the layers keep them."""
        self._before()
        self._passes.backward(self._rows(x), labels)
        self._after()
        found = self._passes.gradients()
        for name, layer, p, later in self._gradients:
            if p == "W":  # the network returns another array
                layer._compute_later(dW=later)
            else:
                vars(layer)[f"d{p}"] = found[name, p]
        loss.keep(self._passes.scores.copy(), t)
        return found

    def _rows(self, x: Array) -> Array:
        rows = x.reshape(self._n, -1)
        vars(self._first).update(x=rows, original_x_shape=x.shape)
        return np.ascontiguousarray(rows)

    def _before(self) -> None:
        """Draw masks, and give batch normalisation the running statistics."""
        for name, layer in self._dropouts:
            if self._training:
                mask = self._passes.memory(f"{name} mask")
                layer.draw(mask.shape)
                mask[...] = layer.mask
        for name, layer, shadow in self._norms:
            layer.begin(shadow.running_mean.size)
            if self._training:
                shadow.running_mean[...] = layer.running_mean
                shadow.running_var[...] = layer.running_var
            else:
                self._passes.memory(f"{name} mean")[...] = layer.running_mean
                slope, shift, _ = self._passes.memory(f"{name} scales")
                slope[...] = shadow.gamma / np.sqrt(layer.running_var + EPS)
                shift[...] = shadow.beta

    def _after(self) -> None:
        """Let the layers keep what they keep of a pass."""
        for layer, later in self._later:
            layer._compute_later(**later)
        for layer, now in self._now:
            vars(layer).update(now)
        if self._training:
            for _, layer, shadow in self._norms:
                layer.running_mean = shadow.running_mean.copy()
                layer.running_var = shadow.running_var.copy()


def _is_not_positive(y: Array) -> Any:
    return y <= 0


def _copies(*arrays: Array) -> tuple[Array, ...]:
    return tuple(array.copy() for array in arrays)
