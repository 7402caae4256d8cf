"""What goes through the layers of a network: activations, and gradients with respect to them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils.types import Array, Mask
from fastnn.layers.adoption import is_ours, refresh
from fastnn.layers.calls import forward
from fastnn.layers.record import Record, records
from fastnn.ops._arrays import real
from fastnn.training.data import in_shape, targets


class Passes(NamedTuple):
    """What one pass forward, and one back where there are targets, gave for each layer.

    Attributes
    ----------
    kinds : dict of str to Record
        Of each layer whose outputs are activations.
    outputs : dict of str to ndarray
        Output of each layer.
    gradients : dict of str to ndarray
        Gradients of the loss with respect to these.
    """

    kinds: dict[str, Record]
    outputs: dict[str, Array]
    gradients: dict[str, Array]

    def activations(self) -> dict[str, Array]:
        """Return the outputs that are activations."""
        return {name: self.outputs[name] for name in self.kinds}

    def activation_gradients(self) -> dict[str, Array]:
        """Return the gradients with respect to activations, and to the last layer's output."""
        names = list(self.gradients)
        return {
            key: g for key, g in self.gradients.items() if key in self.kinds or key == names[-1]
        }

    def dead(self) -> dict[str, Mask]:
        """Return which units of the layers of ReLUs are zero for all samples."""
        return {
            name: np.all(units(self.outputs[name]) == 0, axis=0)
            for name, kind in self.kinds.items()
            if kind.can_die
        }

    def saturation(self) -> dict[str, float]:
        """Return the share of saturated activations of each layer of sigmoids or tanhs."""
        shares = {}
        for name, kind in self.kinds.items():
            if kind.saturation is not None:
                low, high = kind.saturation
                y = self.outputs[name]
                shares[name] = float(np.mean((y < low) | (y > high)))
        return shares


def units(y: Array) -> Array:
    """Return outputs (N, H), or (N, C, ...) of a convolution, with a column for each unit."""
    return np.moveaxis(y, 1, -1).reshape(-1, y.shape[1])


def _kind(layer: Any) -> Record | None:
    """Return the record of a layer of activations; the book's own are known by their names."""
    known = {record.kind.__name__: record for record in records() if record.activation}
    return next((known[c.__name__] for c in type(layer).__mro__ if c.__name__ in known), None)


def passes(network: Any, x: ArrayLike, t: ArrayLike | None = None) -> Passes:
    """Send samples through copies of the layers, as in training, and gradients back.

    The copies keep the network as it is: running statistics, seeds of dropout, and what layers
    have kept for a backward pass of the caller's.
    """
    refresh(network, x)
    parts = getattr(network, "layers", None), getattr(network, "last_layer", None)
    layers, last = copy.deepcopy(parts)
    if isinstance(layers, (list, tuple)):
        layers = {f"{type(layer).__name__}{i}": layer for i, layer in enumerate(layers, start=1)}
    if not isinstance(layers, Mapping) or not layers:
        raise TypeError(f"network: expected one with `layers`, by name or a list, got {network!r}")
    if t is not None and last is None:
        raise TypeError(f"network: expected one with a `last_layer`, got {network!r}")
    y = real("x", x)
    if y.ndim < 2 or len(y) == 0:
        raise ValueError(f"x: expected samples of shape (N, ...), at least one, got {y.shape}")
    y = y.astype(getattr(network, "dtype", np.result_type(y, np.float32)), copy=False)
    size = getattr(network, "input_size", None)
    if is_ours(network) and isinstance(size, tuple):
        y = in_shape("x", y, size)
    scale = getattr(network, "input_scale", 1.0)
    if scale != 1:
        y = y * y.dtype.type(scale)
    kinds: dict[str, Record] = {}
    outputs: dict[str, Array] = {}
    gradients: dict[str, Array] = {}
    for name, layer in layers.items():
        outputs[name] = y = forward(layer, y, True)
        kind = _kind(layer)
        if kind is not None:
            kinds[name] = kind
    if last is not None and t is not None:
        t = targets(network, t, len(y), y.shape[1]) if is_ours(network) else np.asarray(t)
        last.forward(y, t)
        dout = last.backward()
        for name in reversed(list(layers)):
            gradients[name] = dout
            dout = layers[name].backward(dout)
    return Passes(kinds, outputs, {name: gradients[name] for name in layers if name in gradients})


def activations(network: Any, x: ArrayLike) -> dict[str, Array]:
    """Return the activations of each hidden layer for some samples, as in training.

    Batch normalisation takes the statistics of these samples, and dropout drops what it would
    drop in the next training step. Nothing in the network is changed.

    Parameters
    ----------
    network : Network, or another with `layers`
        Layers of activations are known, the book's too.
    x : array_like, shape (N, D) or (N, ...)

    Returns
    -------
    dict of str to ndarray
        Arrays (N, H), or (N, C, height, width) after a convolution, by the name of the layer in
        ``network.layers``. Empty without hidden layers.

    Raises
    ------
    TypeError, ValueError
        If the network has no layers, or `x` is not as above.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.diagnostics import activations
    >>> net = MultiLayerNet(4, [8, 6], 3, activation="tanh", seed=0)
    >>> {name: y.shape for name, y in activations(net, np.ones((5, 4))).items()}
    {'Activation_function1': (5, 8), 'Activation_function2': (5, 6)}
    """
    return passes(network, x).activations()


def activation_gradients(network: Any, x: ArrayLike, t: ArrayLike) -> dict[str, Array]:
    """Return gradients of the loss with respect to activations, layer by layer.

    The loss is the mean over the samples, in training mode, without weight penalty. Nothing in
    the network is changed.

    Parameters
    ----------
    network : Network, or another with `layers` and `last_layer`
    x : array_like, shape (N, D) or (N, ...)
    t : array_like, shape (N,) or (N, C)
        Labels or targets.

    Returns
    -------
    dict of str to ndarray
        With the shapes and names of :func:`activations`; last the gradient with respect to the
        scores, (N, C), by the name of the layer that gives them.

    Raises
    ------
    TypeError, ValueError
        If the network has no layers, or `x` and `t` do not fit it.
    """
    if t is None:
        raise TypeError("t: expected an array of real numbers, got None")
    return passes(network, x, t).activation_gradients()


def dead_units(network: Any, x: ArrayLike) -> dict[str, Mask]:
    """Return which ReLU units are zero for all samples, layer by layer.

    No gradient passes such a unit, so that nothing brings it back if the samples are
    representative: take some hundreds.

    Parameters
    ----------
    network, x
        As for :func:`activations`.

    Returns
    -------
    dict of str to ndarray of bool
        Arrays (H,), or (C,) after a convolution, where a unit is a channel. Empty without ReLUs.

    Raises
    ------
    TypeError, ValueError
        As for :func:`activations`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.diagnostics import dead_units
    >>> net = MultiLayerNet(4, [8], 3, seed=0)
    >>> net.params["b1"][2] = -100
    >>> x = np.random.default_rng(0).normal(size=(200, 4))
    >>> np.flatnonzero(dead_units(net, x)["Affine1"])
    array([2])
    """
    return passes(network, x).dead()


def saturation(network: Any, x: ArrayLike) -> dict[str, float]:
    """Return which share of the activations is saturated, for layers of sigmoids or tanhs.

    That is outside [0.01, 0.99] for sigmoids and [-0.98, 0.98] for tanhs, where the gradient is
    below 4 % of its largest value.

    Parameters
    ----------
    network, x
        As for :func:`activations`.

    Returns
    -------
    dict of str to float

    Raises
    ------
    TypeError, ValueError
        As for :func:`activations`.
    """
    return passes(network, x).saturation()
