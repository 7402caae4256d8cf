"""A small network, its data and its bits, for attacks that train."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

import fastnn
from fastnn import optimizers
from fastnn.layers.state import layer_state

N, D, C = 60, 5, 3


def data() -> tuple[Any, Any]:
    """Return samples and labels."""
    rng = np.random.default_rng(3)
    return rng.normal(size=(N, D)).astype(np.float32), rng.integers(0, C, N)


X, T = data()


def network(route: str = "program", **settings: Any) -> fastnn.Network:
    """Return a network with batch normalisation and dropout, for one of the two routes."""
    settings = {"use_batchnorm": True, "use_dropout": True, "dropout_ration": 0.2, **settings}
    net = fastnn.MultiLayerNetExtend(D, [8, 8], C, seed=1, **settings)
    if route == "layers":
        gradient = net.gradient
        net.gradient = lambda x, t: gradient(x, t)  # one of its own, which no program knows
    return net


def train(net: fastnn.Network, epochs: int, **others: Any) -> fastnn.History:
    """Train it: four steps an epoch, validation, a moving average."""
    settings = {"optimizer": optimizers.Adam(0.01), "seed": 5, "ema": 0.9, "verbose": False}
    settings.update(others)
    if settings.get("resume") is not None:
        del settings["optimizer"]
    return net.fit(X[:48], T[:48], epochs, 12, validation=(X[48:], T[48:]),
                   **settings)  # fmt: skip


def bits(net: fastnn.Network) -> str:
    """Return a digest of all that training changes in a network."""
    state = {**net.params, **layer_state(net)}
    digest = hashlib.sha256()
    for key, value in state.items():
        digest.update(key.encode() + np.asarray(value).tobytes())
    return digest.hexdigest()[:16]


def finite(net: fastnn.Network) -> bool:
    """Say whether all parameters are numbers."""
    return all(np.isfinite(p).all() for p in net.params.values())
