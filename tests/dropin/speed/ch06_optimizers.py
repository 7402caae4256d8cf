"""Four optimizers on MNIST, 5 layers: 784-100-100-100-100-10, batch 128, loss after each step."""

import time

import numpy as np
from common.multi_layer_net import MultiLayerNet
from common.optimizer import SGD, AdaGrad, Adam, Momentum
from dataset.mnist import load_mnist

(x_train, t_train), _ = load_mnist(normalize=True)
np.random.seed(0)
start = time.perf_counter()
optimizers = {"SGD": SGD(), "Momentum": Momentum(), "AdaGrad": AdaGrad(), "Adam": Adam()}
networks = {key: MultiLayerNet(784, [100] * 4, 10) for key in optimizers}
for _ in range(600):
    batch = np.random.choice(len(x_train), 128)
    x, t = x_train[batch], t_train[batch]
    losses = []
    for key, network in networks.items():
        optimizers[key].update(network.params, network.gradient(x, t))
        losses.append(network.loss(x, t))
seconds = time.perf_counter() - start
print("losses", *losses)
print("seconds", seconds)
