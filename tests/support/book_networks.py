"""Networks of the book, of every kind, on either side of a comparison, and batches for them."""

import numpy as np

# Batch normalisation takes a bias before it away again, so that the bias has a gradient of 0, of
# which nothing but rounding is left: see `rounded`.
KINDS = {
    "plain": ("MultiLayerNet", {}),
    "sigmoid": ("MultiLayerNet", {"activation": "sigmoid", "weight_init_std": "xavier"}),
    "decay": ("MultiLayerNet", {"weight_init_std": 0.1, "weight_decay_lambda": 0.1}),
    "extended": ("MultiLayerNetExtend", {}),
    "normalised": ("MultiLayerNetExtend", {"use_batchnorm": True, "weight_decay_lambda": 0.01}),
    "dropout": ("MultiLayerNetExtend", {"use_dropout": True, "dropout_ration": 0.2}),
    "all": (
        "MultiLayerNetExtend",
        {
            "activation": "sigmoid",
            "weight_init_std": "Sigmoid",
            "use_dropout": True,
            "use_batchnorm": True,
            "weight_decay_lambda": 0.1,
        },
    ),
}


def network(m, kind, sizes=(12, [7, 6], 5)):
    name, settings = KINDS[kind]
    module = m.multi_layer_net if name == "MultiLayerNet" else m.multi_layer_net_extend
    return getattr(module, name)(*sizes, **settings)


def batch(n=8, dtype=np.float64, one_hot=False, features=12, classes=5):
    rng = np.random.default_rng(n)
    x, t = rng.random((n, features)).astype(dtype), rng.integers(0, classes, n)
    return x, np.eye(classes)[t] if one_hot else t


def attributes(m, net):
    """Return what is to be seen of a network, its layers included."""
    seen = m.visible(net)
    layers = {name: (type(layer).__name__, m.visible(layer)) for name, layer in net.layers.items()}
    return {**seen, "layers": layers, "last_layer": m.visible(net.last_layer)}
