"""Chapter 5: a network of layers in an OrderedDict, its gradient check and its training."""

import sys, os

sys.path.append(os.pardir)
import numpy as np
from dataset.mnist import load_mnist
from common.layers import *
from common.gradient import numerical_gradient
from collections import OrderedDict


class MulLayer:
    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dout):
        return dout * self.y, dout * self.x


class TwoLayerNet:
    def __init__(self, input_size, hidden_size, output_size, weight_init_std=0.01):
        self.params = {}
        self.params["W1"] = weight_init_std * np.random.randn(input_size, hidden_size)
        self.params["b1"] = np.zeros(hidden_size)
        self.params["W2"] = weight_init_std * np.random.randn(hidden_size, output_size)
        self.params["b2"] = np.zeros(output_size)

        self.layers = OrderedDict()
        self.layers["Affine1"] = Affine(self.params["W1"], self.params["b1"])
        self.layers["Relu1"] = Relu()
        self.layers["Affine2"] = Affine(self.params["W2"], self.params["b2"])
        self.lastLayer = SoftmaxWithLoss()

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.lastLayer.forward(self.predict(x), t)

    def accuracy(self, x, t):
        y = np.argmax(self.predict(x), axis=1)
        if t.ndim != 1:
            t = np.argmax(t, axis=1)
        return np.sum(y == t) / float(x.shape[0])

    def numerical_gradient(self, x, t):
        loss_W = lambda W: self.loss(x, t)
        return {key: numerical_gradient(loss_W, self.params[key]) for key in self.params}

    def gradient(self, x, t):
        self.loss(x, t)
        dout = 1
        dout = self.lastLayer.backward(dout)
        layers = list(self.layers.values())
        layers.reverse()
        for layer in layers:
            dout = layer.backward(dout)
        grads = {}
        grads["W1"], grads["b1"] = self.layers["Affine1"].dW, self.layers["Affine1"].db
        grads["W2"], grads["b2"] = self.layers["Affine2"].dW, self.layers["Affine2"].db
        return grads


apple, tax = MulLayer(), MulLayer()
print("price:", tax.forward(apple.forward(100, 2), 1.1), apple.backward(tax.backward(1)[0]))

np.random.seed(5)
(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, one_hot_label=True)

small = TwoLayerNet(input_size=784, hidden_size=2, output_size=10, weight_init_std=0.1)
small.params["W1"] = small.params["W1"][300:400]
small.layers["Affine1"].W = small.params["W1"]
x_batch, t_batch = x_train[:3, 300:400], t_train[:3]
grad_numerical = small.numerical_gradient(x_batch, t_batch)
grad_backprop = small.gradient(x_batch, t_batch)
for key in grad_numerical.keys():
    diff = np.average(np.abs(grad_backprop[key] - grad_numerical[key]))
    print(key, "close:", diff < 1e-6, "backprop:", np.abs(grad_backprop[key]).sum())

network = TwoLayerNet(input_size=784, hidden_size=50, output_size=10)
train_loss_list, train_acc_list = [], []
iter_per_epoch = max(x_train.shape[0] / 100, 1)
for i in range(25):
    batch_mask = np.random.choice(x_train.shape[0], 100)
    x_batch = x_train[batch_mask]
    t_batch = t_train[batch_mask]
    grad = network.gradient(x_batch, t_batch)
    for key in ("W1", "b1", "W2", "b2"):
        network.params[key] -= 0.1 * grad[key]
    loss = network.loss(x_batch, t_batch)
    train_loss_list.append(loss)
    if i % iter_per_epoch == 0:
        train_acc = network.accuracy(x_train, t_train)
        test_acc = network.accuracy(x_test, t_test)
        train_acc_list.append(train_acc)
        print(train_acc, test_acc)
print(train_loss_list, train_acc_list)
print(type(network.layers["Relu1"].mask), network.layers["Relu1"].mask.sum())
