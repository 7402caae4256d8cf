"""Chapter 6: batch normalisation beside a network without."""

import numpy as np
from common.multi_layer_net_extend import MultiLayerNetExtend
from common.optimizer import SGD
from dataset.mnist import load_mnist

(x_train, t_train), _ = load_mnist(normalize=True)
x_train, t_train = x_train[:1000], t_train[:1000]
np.random.seed(0)  # noqa: NPY002
networks = [MultiLayerNetExtend(784, [100] * 5, 10, use_batchnorm=norm) for norm in (True, False)]
optimizer = SGD(lr=0.01)
for step in range(800):
    rows = np.random.choice(len(x_train), 100)  # noqa: NPY002
    x, t = x_train[rows], t_train[rows]
    for network in networks:
        optimizer.update(network.params, network.gradient(x, t))
    if step % 10 == 0:
        shares = [network.accuracy(x_train, t_train) for network in networks]
print(*shares, *(network.loss(x, t) for network in networks))
