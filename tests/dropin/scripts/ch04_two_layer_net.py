"""Chapter 4: losses, numerical gradients, and a tiny network trained with them."""

import sys, os

sys.path.append(os.pardir)
import numpy as np
from dataset.mnist import load_mnist
from common.functions import *
from common.gradient import numerical_gradient


class TwoLayerNet:
    def __init__(self, input_size, hidden_size, output_size, weight_init_std=0.01):
        self.params = {}
        self.params["W1"] = weight_init_std * np.random.randn(input_size, hidden_size)
        self.params["b1"] = np.zeros(hidden_size)
        self.params["W2"] = weight_init_std * np.random.randn(hidden_size, output_size)
        self.params["b2"] = np.zeros(output_size)

    def predict(self, x):
        W1, W2 = self.params["W1"], self.params["W2"]
        b1, b2 = self.params["b1"], self.params["b2"]
        z1 = sigmoid(np.dot(x, W1) + b1)
        return softmax(np.dot(z1, W2) + b2)

    def loss(self, x, t):
        return cross_entropy_error(self.predict(x), t)

    def accuracy(self, x, t):
        y = np.argmax(self.predict(x), axis=1)
        t = np.argmax(t, axis=1)
        return np.sum(y == t) / float(x.shape[0])

    def numerical_gradient(self, x, t):
        loss_W = lambda W: self.loss(x, t)
        grads = {}
        for key in ("W1", "b1", "W2", "b2"):
            grads[key] = numerical_gradient(loss_W, self.params[key])
        return grads

    def gradient(self, x, t):
        W2 = self.params["W2"]
        a1 = np.dot(x, self.params["W1"]) + self.params["b1"]
        z1 = sigmoid(a1)
        y = softmax(np.dot(z1, W2) + self.params["b2"])
        dy = (y - t) / x.shape[0]
        da1 = np.dot(dy, W2.T) * sigmoid_grad(a1)
        return {
            "W1": np.dot(x.T, da1),
            "b1": np.sum(da1, axis=0),
            "W2": np.dot(z1.T, dy),
            "b2": np.sum(dy, axis=0),
        }


def function_2(x):
    return x[0] ** 2 + x[1] ** 2


def gradient_descent(f, init_x, lr=0.01, step_num=100):
    x = init_x
    for _ in range(step_num):
        x -= lr * numerical_gradient(f, x)
    return x


print(gradient_descent(function_2, np.array([-3.0, 4.0]), lr=0.1, step_num=30))

y = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])
t = np.array([0, 0, 1, 0, 0, 0, 0, 0, 0, 0])
print(repr(mean_squared_error(y, t)), repr(cross_entropy_error(y, t)))
print(step_function(np.array([-1.0, 1.0, 2.0])), relu(np.array([-1.0, 1.0, 2.0])))

np.random.seed(4)
(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, flatten=False, one_hot_label=True)
# 7 x 7 pixels, so that numerical gradients are quick.
x_train = x_train[:, 0, ::4, ::4].reshape(len(x_train), -1)
x_test = x_test[:, 0, ::4, ::4].reshape(len(x_test), -1)

network = TwoLayerNet(input_size=49, hidden_size=3, output_size=10, weight_init_std=1)
x_batch, t_batch = x_train[:4], t_train[:4]
grad_numerical = network.numerical_gradient(x_batch, t_batch)
grad_backprop = network.gradient(x_batch, t_batch)
for key in grad_numerical.keys():
    diff = np.average(np.abs(grad_backprop[key] - grad_numerical[key]))
    print(key, "close:", diff < 1e-6, "numerical:", np.abs(grad_numerical[key]).sum())

learning_rate = 0.1
for i in range(3):
    batch_mask = np.random.choice(len(x_train), 5)
    x_batch, t_batch = x_train[batch_mask], t_train[batch_mask]
    grad = network.numerical_gradient(x_batch, t_batch)
    for key in ("W1", "b1", "W2", "b2"):
        network.params[key] -= learning_rate * grad[key]
    print("loss:", repr(network.loss(x_batch, t_batch)))
print(
    "train acc, test acc | "
    + str(network.accuracy(x_train, t_train))
    + ", "
    + str(network.accuracy(x_test, t_test))
)
