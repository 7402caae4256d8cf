"""Chapter 6: four optimizers, a network each."""

import numpy as np
from common.multi_layer_net import MultiLayerNet
from common.optimizer import SGD, AdaGrad, Adam, Momentum
from dataset.mnist import load_mnist

(x_train, t_train), _ = load_mnist(normalize=True)
np.random.seed(0)  # noqa: NPY002
optimizers = (SGD(), Momentum(), AdaGrad(), Adam())
networks = [MultiLayerNet(784, [100] * 4, 10) for _ in optimizers]
for _ in range(500):
    rows = np.random.choice(len(x_train), 128)  # noqa: NPY002
    x, t = x_train[rows], t_train[rows]
    losses = []
    for optimizer, network in zip(optimizers, networks, strict=True):
        optimizer.update(network.params, network.gradient(x, t))
        losses.append(network.loss(x, t))
print(*losses)
