"""Chapter 8: a deeper convolutional network with dropout before its end."""

import sys, os

sys.path.append(os.pardir)
import numpy as np
from dataset.mnist import load_mnist
from common.layers import *
from common.optimizer import Adam


class DeepConvNet:
    def __init__(self, input_dim=(1, 28, 28), filters=(3, 3, 4, 4), hidden_size=12, output_size=10):
        pre_node_nums = [input_dim[0] * 9] + [n * 9 for n in filters[:-1]]
        pre_node_nums += [filters[-1] * 7 * 7, hidden_size]
        weight_init_scales = np.sqrt(2.0 / np.array(pre_node_nums))

        self.params = {}
        pre_channel_num = input_dim[0]
        for idx, n in enumerate(filters):
            self.params["W" + str(idx + 1)] = weight_init_scales[idx] * np.random.randn(
                n, pre_channel_num, 3, 3
            )
            self.params["b" + str(idx + 1)] = np.zeros(n)
            pre_channel_num = n
        self.params["W5"] = weight_init_scales[4] * np.random.randn(filters[-1] * 49, hidden_size)
        self.params["b5"] = np.zeros(hidden_size)
        self.params["W6"] = weight_init_scales[5] * np.random.randn(hidden_size, output_size)
        self.params["b6"] = np.zeros(output_size)

        self.layers = []
        for idx in range(1, 5):
            self.layers.append(
                Convolution(
                    self.params["W" + str(idx)], self.params["b" + str(idx)], stride=1, pad=1
                )
            )
            self.layers.append(Relu())
            if idx % 2 == 0:
                self.layers.append(Pooling(pool_h=2, pool_w=2, stride=2))
        self.layers.append(Affine(self.params["W5"], self.params["b5"]))
        self.layers.append(Relu())
        self.layers.append(Dropout(0.5))
        self.layers.append(Affine(self.params["W6"], self.params["b6"]))
        self.layers.append(Dropout(0.5))
        self.last_layer = SoftmaxWithLoss()

    def predict(self, x, train_flg=False):
        for layer in self.layers:
            if isinstance(layer, Dropout):
                x = layer.forward(x, train_flg)
            else:
                x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.last_layer.forward(self.predict(x, train_flg=True), t)

    def accuracy(self, x, t, batch_size=50):
        if t.ndim != 1:
            t = np.argmax(t, axis=1)
        acc = 0.0
        for i in range(int(x.shape[0] / batch_size)):
            y = self.predict(x[i * batch_size : (i + 1) * batch_size], train_flg=False)
            acc += np.sum(np.argmax(y, axis=1) == t[i * batch_size : (i + 1) * batch_size])
        return acc / x.shape[0]

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.last_layer.backward(1)
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        grads = {}
        weighted = [layer for layer in self.layers if isinstance(layer, (Convolution, Affine))]
        for i, layer in enumerate(weighted):
            grads["W" + str(i + 1)] = layer.dW
            grads["b" + str(i + 1)] = layer.db
        return grads


np.random.seed(16)
(x_train, t_train), (x_test, t_test) = load_mnist(flatten=False)
network = DeepConvNet()
optimizer = Adam(lr=0.01)
for i in range(5):
    batch_mask = np.random.choice(200, 30)
    grads = network.gradient(x_train[batch_mask], t_train[batch_mask])
    optimizer.update(network.params, grads)
    print(i, repr(network.last_layer.loss), {key: np.abs(g).sum() for key, g in grads.items()})
print(network.accuracy(x_test[:100], t_test[:100]), optimizer.iter)

# The trained network in float16.
x = x_test[:20].astype(np.float16)
for layer in network.layers:
    if isinstance(layer, (Convolution, Affine)):
        layer.W = layer.W.astype(np.float16)
        layer.b = layer.b.astype(np.float16)
half = network.predict(x)
print(half.dtype, np.argmax(half, axis=1))
relu = Relu()
print(relu.forward(x - np.float16(0.5)).dtype, relu.mask.sum())
