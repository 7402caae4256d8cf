"""Chapter 4: train two layers, all products written out."""

import numpy as np
from common.functions import cross_entropy_error, sigmoid, sigmoid_grad, softmax
from dataset.mnist import load_mnist

(x_train, t_train), _ = load_mnist(normalize=True, one_hot_label=True)
np.random.seed(0)  # noqa: NPY002
W1, b1 = 0.01 * np.random.randn(784, 50), np.zeros(50)  # noqa: NPY002
W2, b2 = 0.01 * np.random.randn(50, 10), np.zeros(10)  # noqa: NPY002
for _ in range(600):
    rows = np.random.choice(len(x_train), 100)  # noqa: NPY002
    x, t = x_train[rows], t_train[rows]
    a = np.dot(x, W1) + b1
    z = sigmoid(a)
    y = softmax(np.dot(z, W2) + b2)
    dy = (y - t) / len(x)
    da = sigmoid_grad(a) * np.dot(dy, W2.T)
    W2 -= 0.1 * np.dot(z.T, dy)
    b2 -= 0.1 * dy.sum(axis=0)
    W1 -= 0.1 * np.dot(x.T, da)
    b1 -= 0.1 * da.sum(axis=0)
print(cross_entropy_error(y, t))
