"""The network of an estimator: initial values as scikit-learn draws them, and its layers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from fastnn import layers
from fastnn._utils.types import Array
from fastnn.networks import Network

_ACTIVATIONS: dict[str, Any] = {
    "identity": None,
    "logistic": layers.Sigmoid,
    "tanh": layers.Tanh,
    "relu": layers.Relu,
}


def initial_values(
    units: list[int], activation: str, random_state: np.random.RandomState, real: np.dtype[Any]
) -> tuple[list[Array], list[Array]]:
    """Return weights and biases, uniform within Glorot's bound (Glorot and Bengio, 2010).

    Parameters
    ----------
    units : list of int
        Features, hidden units of each layer, outputs.
    activation : str
    random_state : RandomState
    real : dtype

    Returns
    -------
    coefs, intercepts : list of ndarray
    """
    coefs, intercepts = [], []
    for before, after in pairwise(units):
        bound = np.sqrt((2.0 if activation == "logistic" else 6.0) / (before + after))
        coefs.append(random_state.uniform(-bound, bound, (before, after)).astype(real))
        intercepts.append(random_state.uniform(-bound, bound, after).astype(real))
    return coefs, intercepts


def network_of(
    estimator: Any, coefs: list[Array], intercepts: list[Array], loss: Any, real: np.dtype[Any]
) -> Network:
    """Return a network of copies of weights and biases, with the layers that an estimator asks for.

    Parameters
    ----------
    estimator : estimator
    coefs, intercepts : list of ndarray
    loss : str or layer
        As :class:`fastnn.Network` takes it.
    real : dtype
        Of all parameters.
    """
    seeds = np.random.default_rng(getattr(estimator, "_dropout_seed", None))
    found: list[Any] = []
    for i, (W, b) in enumerate(zip(coefs, intercepts, strict=True)):
        found.append(layers.Affine(np.array(W, real), np.array(b, real)))
        if i == len(coefs) - 1:
            break
        if estimator.batch_norm:
            found.append(layers.BatchNormalization())
        kind = _ACTIVATIONS[estimator.activation]
        if kind is not None:
            found.append(kind())
        if estimator.dropout:
            seed = int(seeds.integers(2**63))
            found.append(layers.Dropout(estimator.dropout, seed=seed))
    return Network(found, loss=loss, input_size=len(coefs[0]), dtype=real)


def affine_arrays(network: Network) -> tuple[list[Array], list[Array]]:
    """Return the weights and biases of a network, which are trained in place."""
    found = [layer for layer in network.layers.values() if isinstance(layer, layers.Affine)]
    return [layer.W for layer in found], [layer.b for layer in found]
