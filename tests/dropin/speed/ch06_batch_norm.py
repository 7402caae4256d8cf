"""Networks with and without batch normalisation on 1,000 images, batch 100, SGD, accuracies."""

import time

import numpy as np
from common.multi_layer_net_extend import MultiLayerNetExtend
from common.optimizer import SGD
from dataset.mnist import load_mnist

(x_train, t_train), _ = load_mnist(normalize=True)
x_train, t_train = x_train[:1000], t_train[:1000]
np.random.seed(0)
start = time.perf_counter()
for scale in (1.0, 0.1, 0.01):
    networks = [
        MultiLayerNetExtend(784, [100] * 5, 10, weight_init_std=scale, use_batchnorm=norm)
        for norm in (True, False)
    ]
    optimizer = SGD(lr=0.01)
    for i in range(300):
        batch = np.random.choice(1000, 100)
        x, t = x_train[batch], t_train[batch]
        for network in networks:
            optimizer.update(network.params, network.gradient(x, t))
        if i % 10 == 0:
            accuracies = [network.accuracy(x_train, t_train) for network in networks]
seconds = time.perf_counter() - start
print("accuracies", *accuracies)
print("seconds", seconds)
