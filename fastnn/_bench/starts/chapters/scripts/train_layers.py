"""Chapter 5: train two layers, which are called one by one."""

import numpy as np
from common.layers import Affine, Relu, SoftmaxWithLoss
from dataset.mnist import load_mnist

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, one_hot_label=True)
np.random.seed(0)  # noqa: NPY002
affine = [Affine(0.01 * np.random.randn(d, h), np.zeros(h)) for d, h in ((784, 50), (50, 10))]  # noqa: NPY002
layers, last = [affine[0], Relu(), affine[1]], SoftmaxWithLoss()


def loss(x, t):
    """Return the loss of a batch."""
    for layer in layers:
        x = layer.forward(x)
    return last.forward(x, t)


for _ in range(1200):
    rows = np.random.choice(len(x_train), 100)  # noqa: NPY002
    x, t = x_train[rows], t_train[rows]
    loss(x, t)
    dout = last.backward(1)
    for layer in reversed(layers):
        dout = layer.backward(dout)
    for layer in affine:
        layer.W -= 0.1 * layer.dW
        layer.b -= 0.1 * layer.db
    after = loss(x, t)
print(after, loss(x_test, t_test))
