"""Stacks of layers of all kinds, drawn at random, with parameters as after some training."""

import numpy as np

from fastnn import Network, layers
from fastnn.layers.state import statistics_of

FLAT = {
    "Affine": lambda rng: layers.Affine(int(rng.integers(1, 12))),
    "AffineRelu": lambda rng: layers.AffineRelu(int(rng.integers(1, 12))),
}
ANY = {
    "BatchNormalization": lambda rng: layers.BatchNormalization(eps=1e-4),
    "BatchNormRelu": lambda rng: layers.BatchNormRelu(per_pixel=bool(rng.integers(2))),
    "Dropout": lambda rng: layers.Dropout(0.3, inverted=bool(rng.integers(2))),
    "Elu": lambda rng: layers.Elu(rng.uniform(0, 2)),
    "Flatten": lambda rng: layers.Flatten(),
    "Gelu": lambda rng: layers.Gelu(["none", "tanh"][rng.integers(2)]),
    "Identity": lambda rng: layers.Identity(),
    "LayerNormalization": lambda rng: layers.LayerNormalization(eps=1e-2),
    "LeakyRelu": lambda rng: layers.LeakyRelu(rng.uniform(0, 2)),
    "Relu": lambda rng: layers.Relu(),
    "Sigmoid": lambda rng: layers.Sigmoid(),
    "Silu": lambda rng: layers.Silu(),
    "Softplus": lambda rng: layers.Softplus(),
    "Tanh": lambda rng: layers.Tanh(),
}
IMAGES = {
    "Convolution": lambda rng: layers.Convolution(
        int(rng.integers(1, 5)), (2, 3), stride=int(rng.integers(1, 3)), pad=int(rng.integers(1, 3))
    ),
    "MaxPool": lambda rng: layers.MaxPool(2, 1, stride=1),
}
ONE_AXIS = layers.LayerNormalization  # have its arrays; in PyTorch those for images have several
KINDS = {**FLAT, **ANY, **IMAGES}


def stack(seed, as_torch=False):
    """Return a network, and samples for it; of the forms that PyTorch has, too, if so wanted."""
    rng = np.random.default_rng(seed)
    images = bool(rng.integers(2))
    size = (2, int(rng.integers(5, 8)), 6) if images else int(rng.integers(1, 9))
    found, now = [], images
    for name in rng.permutation([*KINDS])[:7]:
        if name in IMAGES and not now:
            continue
        found.append(KINDS[name](rng))
        now = now and not isinstance(found[-1], (layers.Affine, layers.Flatten))
    if as_torch:
        found = [each for each in found if not (images and isinstance(each, ONE_AXIS))]
    for layer in found if as_torch else ():
        for name, value in (("inverted", True), ("per_pixel", False)):
            if hasattr(layer, name):
                setattr(layer, name, value)
    scale = 1.0 if as_torch else rng.choice([1.0, 0.3])
    net = Network([*found, layers.Affine(3)], input_size=size, input_scale=scale, seed=seed)
    spread(net, rng)
    return net, rng.normal(size=(7, *np.atleast_1d(size))).astype(np.float32)


def spread(net, rng):
    """Move biases, scales and running statistics away from where they begin."""
    for key, p in net.params.items():
        if not key.rpartition(".")[2].startswith("W"):
            p += rng.normal(0, 0.3, p.shape).astype(p.dtype)
    for layer in net.layers.values():
        if statistics_of(layer) and rng.integers(4):  # some have none yet
            size, dtype = np.shape(layer.gamma), net.dtype
            layer.running_mean = rng.normal(0, 0.3, size).astype(dtype)
            layer.running_var = rng.uniform(0.2, 2, size).astype(dtype)
