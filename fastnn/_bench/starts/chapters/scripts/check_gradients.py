"""Chapter 5: gradients by differences, of three samples."""

import numpy as np
from common.gradient import numerical_gradient
from common.layers import Affine, Relu, SoftmaxWithLoss
from dataset.mnist import load_mnist

(x, t), _ = load_mnist(normalize=True, one_hot_label=True)
x, t = x[:3], t[:3]
np.random.seed(0)  # noqa: NPY002
W = [0.01 * np.random.randn(784, 50), 0.01 * np.random.randn(50, 10)]  # noqa: NPY002
layers = [Affine(W[0], np.zeros(50)), Relu(), Affine(W[1], np.zeros(10))]
last = SoftmaxWithLoss()


def loss(_):
    """Return the loss."""
    y = x
    for layer in layers:
        y = layer.forward(y)
    return last.forward(y, t)


print(sum(np.abs(numerical_gradient(loss, each)).sum() for each in W))
