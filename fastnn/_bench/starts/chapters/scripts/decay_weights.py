"""Chapter 6: weight decay on few samples, judged on all test images."""

import numpy as np
from common.multi_layer_net import MultiLayerNet
from common.optimizer import SGD
from dataset.mnist import load_mnist

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
x_train, t_train = x_train[:300], t_train[:300]
np.random.seed(0)  # noqa: NPY002
network = MultiLayerNet(784, [100] * 6, 10, weight_decay_lambda=0.1)
optimizer = SGD(lr=0.01)
for step in range(180):
    rows = np.random.choice(len(x_train), 100)  # noqa: NPY002
    optimizer.update(network.params, network.gradient(x_train[rows], t_train[rows]))
    if step % 3 == 0:
        shares = network.accuracy(x_train, t_train), network.accuracy(x_test, t_test)
print(*shares, network.loss(x_train, t_train))
