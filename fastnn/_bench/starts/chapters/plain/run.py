"""What the scripts import, in plain NumPy; run with the path of one, this file runs it."""

import os
import pickle
import runpy
import sys

import numpy as np


def load_mnist(normalize=True, one_hot_label=False):
    """Load images and labels, as the book does from its pickle."""
    with open(os.path.join(os.environ["FASTNN_DATA_DIR"], "mnist.pkl"), "rb") as file:
        arrays = pickle.load(file)
    halves = []
    for half in ("train", "test"):
        x, t = arrays[f"{half}_img"], arrays[f"{half}_label"]
        if normalize:
            x = x.astype(np.float32)
            x /= 255.0
        halves.append((x, np.eye(10)[t] if one_hot_label else t))
    return halves


def sigmoid(x):
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def sigmoid_grad(x):
    """Return the derivative of the sigmoid at x."""
    return (1.0 - sigmoid(x)) * sigmoid(x)


def softmax(x):
    """Return probabilities from scores."""
    powers = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return powers / np.sum(powers, axis=-1, keepdims=True)


def cross_entropy_error(y, t):
    """Return the mean of -log(y) at the labels."""
    if t.size == y.size:
        t = t.argmax(axis=1)
    return -np.sum(np.log(y[np.arange(len(y)), t] + 1e-7)) / len(y)


def numerical_gradient(f, x):
    """Return the gradient of f at x by centred differences."""
    gradient = np.zeros_like(x)
    for index in np.ndindex(*x.shape):
        before = x[index]
        x[index] = before + 1e-4
        above = f(x)
        x[index] = before - 1e-4
        gradient[index] = (above - f(x)) / 2e-4
        x[index] = before
    return gradient


class Relu:
    """max(x, 0)."""

    def forward(self, x):
        """Return the output."""
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        """Return the gradient."""
        dout[self.mask] = 0
        return dout


class Affine:
    """x W + b."""

    def __init__(self, W, b):
        self.W, self.b = W, b

    def forward(self, x):
        """Return the output."""
        self.x = x
        return np.dot(x, self.W) + self.b

    def backward(self, dout):
        """Return the gradient; leave those of W and b."""
        self.dW, self.db = np.dot(self.x.T, dout), np.sum(dout, axis=0)
        return np.dot(dout, self.W.T)


class SoftmaxWithLoss:
    """Softmax and cross-entropy."""

    def forward(self, x, t):
        """Return the loss."""
        self.y, self.t = softmax(x), t
        return cross_entropy_error(self.y, t)

    def backward(self, dout=1):
        """Return the gradient."""
        n = len(self.t)
        if self.t.size == self.y.size:
            return (self.y - self.t) / n
        dx = self.y.copy()
        dx[np.arange(n), self.t] -= 1
        return dx / n


class BatchNormalization:
    """Batch normalisation of rows."""

    def __init__(self, gamma, beta, momentum=0.9):
        self.gamma, self.beta, self.momentum = gamma, beta, momentum
        self.mean, self.var = np.zeros_like(gamma), np.zeros_like(gamma)

    def forward(self, x, train_flg=True):
        """Return the output."""
        if not train_flg:
            return self.gamma * ((x - self.mean) / np.sqrt(self.var + 10e-7)) + self.beta
        mu = x.mean(axis=0)
        self.xc = x - mu
        var = np.mean(self.xc**2, axis=0)
        self.std = np.sqrt(var + 10e-7)
        self.xn = self.xc / self.std
        kept = self.momentum
        self.mean = kept * self.mean + (1 - kept) * mu
        self.var = kept * self.var + (1 - kept) * var
        return self.gamma * self.xn + self.beta

    def backward(self, dout):
        """Return the gradient; leave those of gamma and beta."""
        n = len(dout)
        self.dbeta, self.dgamma = dout.sum(axis=0), np.sum(self.xn * dout, axis=0)
        dxn = self.gamma * dout
        dxc = dxn / self.std
        dstd = -np.sum((dxn * self.xc) / (self.std * self.std), axis=0)
        dxc += (2.0 / n) * self.xc * (0.5 * dstd / self.std)
        return dxc - np.sum(dxc, axis=0) / n


class MultiLayerNetExtend:
    """Affine layers, batch normalisation if asked for, ReLU."""

    def __init__(
        self, input_size, hidden_size_list, output_size, weight_decay_lambda=0, use_batchnorm=False
    ):
        sizes = [input_size, *hidden_size_list, output_size]
        self.decay, self.count = weight_decay_lambda, len(sizes) - 1
        self.params, self.layers, self.norms = {}, [], {}
        p = self.params
        for i in range(1, self.count + 1):
            p[f"W{i}"] = np.sqrt(2.0 / sizes[i - 1]) * np.random.randn(sizes[i - 1], sizes[i])  # noqa: NPY002
            p[f"b{i}"] = np.zeros(sizes[i])
        for i in range(1, self.count + 1):
            self.layers.append(Affine(p[f"W{i}"], p[f"b{i}"]))
            if i < self.count:
                if use_batchnorm:
                    p[f"gamma{i}"], p[f"beta{i}"] = np.ones(sizes[i]), np.zeros(sizes[i])
                    self.norms[i] = BatchNormalization(p[f"gamma{i}"], p[f"beta{i}"])
                    self.layers.append(self.norms[i])
                self.layers.append(Relu())
        self.last = SoftmaxWithLoss()

    def predict(self, x, train_flg=False):
        """Return scores."""
        for layer in self.layers:
            norm = isinstance(layer, BatchNormalization)
            x = layer.forward(x, train_flg) if norm else layer.forward(x)
        return x

    def loss(self, x, t, train_flg=False):
        """Return the loss."""
        weights = (self.params[f"W{i}"] for i in range(1, self.count + 1))
        penalty = sum(0.5 * self.decay * np.sum(W**2) for W in weights)
        return self.last.forward(self.predict(x, train_flg), t) + penalty

    def accuracy(self, x, t):
        """Return the share of samples that are right."""
        return np.sum(np.argmax(self.predict(x), axis=1) == t) / float(len(x))

    def gradient(self, x, t):
        """Return gradients."""
        self.loss(x, t, train_flg=True)
        dout = self.last.backward()
        for layer in reversed(self.layers):
            dout = layer.backward(dout)
        affine = [layer for layer in self.layers if isinstance(layer, Affine)]
        grads = {}
        for i, layer in enumerate(affine, 1):
            grads[f"W{i}"], grads[f"b{i}"] = layer.dW + self.decay * layer.W, layer.db
            if i in self.norms:
                grads[f"gamma{i}"], grads[f"beta{i}"] = self.norms[i].dgamma, self.norms[i].dbeta
        return grads


MultiLayerNet = MultiLayerNetExtend


class SGD:
    """p -= lr g."""

    def __init__(self, lr=0.01):
        self.lr = lr

    def update(self, params, grads):
        """Update all."""
        for key in params:
            params[key] -= self.lr * grads[key]


class Momentum:
    """v = momentum v - lr g; p += v."""

    def __init__(self, lr=0.01, momentum=0.9):
        self.lr, self.momentum, self.v = lr, momentum, None

    def update(self, params, grads):
        """Update all."""
        if self.v is None:
            self.v = {key: np.zeros_like(p) for key, p in params.items()}
        for key in params:
            self.v[key] = self.momentum * self.v[key] - self.lr * grads[key]
            params[key] += self.v[key]


class AdaGrad:
    """h += g^2; p -= lr g / sqrt(h)."""

    def __init__(self, lr=0.01):
        self.lr, self.h = lr, None

    def update(self, params, grads):
        """Update all."""
        if self.h is None:
            self.h = {key: np.zeros_like(p) for key, p in params.items()}
        for key in params:
            self.h[key] += grads[key] * grads[key]
            params[key] -= self.lr * grads[key] / (np.sqrt(self.h[key]) + 1e-7)


class Adam:
    """Adam as the book has it."""

    def __init__(self, lr=0.001, beta1=0.9, beta2=0.999):
        self.lr, self.beta1, self.beta2, self.iter, self.m = lr, beta1, beta2, 0, None

    def update(self, params, grads):
        """Update all."""
        if self.m is None:
            self.m = {key: np.zeros_like(p) for key, p in params.items()}
            self.v = {key: np.zeros_like(p) for key, p in params.items()}
        self.iter += 1
        lr = self.lr * np.sqrt(1.0 - self.beta2**self.iter) / (1.0 - self.beta1**self.iter)
        for key in params:
            self.m[key] += (1 - self.beta1) * (grads[key] - self.m[key])
            self.v[key] += (1 - self.beta2) * (grads[key] ** 2 - self.v[key])
            params[key] -= lr * self.m[key] / (np.sqrt(self.v[key]) + 1e-7)


MODULES = (
    "common", "common.functions", "common.gradient", "common.layers", "common.multi_layer_net",
    "common.multi_layer_net_extend", "common.optimizer", "dataset", "dataset.mnist",
)  # fmt: skip

if __name__ == "__main__":
    for name in MODULES:
        sys.modules[name] = sys.modules["__main__"]
    runpy.run_path(sys.argv[1])
