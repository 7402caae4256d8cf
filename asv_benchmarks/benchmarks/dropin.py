"""Steps of scripts for the book's modules, in float64: gradient, update, loss after it."""

from functools import lru_cache

import numpy as np

from .common import IMPLS, Timed, ready

SCRIPTS = ["chapter 6", "batchnorm", "dropout", "convolutional"]
BATCH = 100


@lru_cache
def _book():
    """Return what the scripts import."""
    from fastnn import dropin  # younger than the oldest commits

    with dropin.installed("dlfs"):
        from common import layers, multi_layer_net_extend, optimizer

        return layers, multi_layer_net_extend, optimizer


class _ConvNet:
    """The book's first network with a convolution: 30 filters 5 x 5, pooled, 100 units."""

    def __init__(self, layers):
        rng = np.random.default_rng(0)
        shapes = {"1": (30, 1, 5, 5), "2": (30 * 12 * 12, 100), "3": (100, 10)}
        self.params = {}
        for i, shape in shapes.items():
            self.params[f"W{i}"] = 0.01 * rng.standard_normal(shape)
            self.params[f"b{i}"] = np.zeros(shape[0] if len(shape) == 4 else shape[1])
        W1, b1, W2, b2, W3, b3 = self.params.values()
        self.layers = [
            layers.Convolution(W1, b1), layers.Relu(), layers.Pooling(2, 2, 2),
            layers.Affine(W2, b2), layers.Relu(), layers.Affine(W3, b3),
        ]  # fmt: skip
        self.last_layer = layers.SoftmaxWithLoss()

    def loss(self, x, t):
        for layer in self.layers:
            x = layer.forward(x)
        return self.last_layer.forward(x, t)

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.last_layer.backward(1)
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        grads = {}
        for i, place in (("1", 0), ("2", 3), ("3", 5)):
            layer = self.layers[place]
            grads[f"W{i}"], grads[f"b{i}"] = layer.dW, layer.db
        return grads


def step(script):
    layers, networks, optimizers = _book()
    rng = np.random.default_rng(0)
    shape = (BATCH, 1, 28, 28) if script == "convolutional" else (BATCH, 784)
    x, t = rng.random(shape, np.float32), rng.integers(10, size=BATCH)
    if script == "convolutional":
        net = _ConvNet(layers)
    else:
        net = networks.MultiLayerNetExtend(
            784, [100] * 5, 10, use_batchnorm=script == "batchnorm", use_dropout=script == "dropout"
        )
    # So small a rate that thousands of steps leave the network as it was.
    update = optimizers.Adam(lr=1e-9).update

    def call():
        update(net.params, net.gradient(x, t))
        net.loss(x, t)

    return call


class Dropin(Timed):
    params = [IMPLS, SCRIPTS]
    param_names = ["impl", "script"]

    def time_step(self, impl, script):
        ready(impl, step, script)()
