"""Layers of the user's own, a network that they are put into, and its data."""

import numpy as np

from fastnn import MultiLayerNetExtend

N, D, C = 40, 5, 3


def data(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(N, D)), rng.integers(0, C, N)


def network(**settings):
    return MultiLayerNetExtend(D, [8], C, "tanh", dtype="float64", seed=3, **settings)


class Scale:
    """y = x * Wide + shift, with its parameters in dicts; forward is that of the book."""

    def __init__(self, size):
        self.params = {"Wide": np.linspace(0.5, 2, size), "shift": np.linspace(-0.1, 0.1, size)}

    def forward(self, x):
        self.x = x
        return x * self.params["Wide"] + self.params["shift"]

    def backward(self, dout):
        self.grads = {"Wide": (dout * self.x).sum(axis=0), "shift": dout.sum(axis=0)}
        return dout * self.params["Wide"]


class Listed:
    """An affine layer as in the book's second volume: lists, gradients written in place."""

    def __init__(self, W, b):
        self.params = [W, b]
        self.grads = [np.zeros_like(W), np.zeros_like(b)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0] + self.params[1]

    def backward(self, dout):
        self.grads[0][...] = self.x.T @ dout
        self.grads[1][...] = dout.sum(axis=0)
        return dout @ self.params[0].T


class Unnamed:
    """The book's Affine: W and b with dW and db, and nothing that says so."""

    def __init__(self, W, b):
        self.W, self.b = W, b
        self.dW = self.db = None

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.x.T @ dout, dout.sum(axis=0)
        return dout @ self.W.T


class Named(Unnamed):
    """The same with other names."""

    def __init__(self, W, b, gradient):
        super().__init__(W, b)
        self.weight, self.form = W, gradient

    def backward(self, dout):
        dx = super().backward(dout)
        setattr(self, self.form.format("weight"), self.dW)
        del self.W, self.dW, self.db
        return dx


class Within:
    """A layer around another one, or several."""

    def __init__(self, *inner):
        self.inner = inner[0] if len(inner) == 1 else [*inner]

    def forward(self, x, train_flg):
        for layer in self.inner if isinstance(self.inner, list) else [self.inner]:
            x = layer.forward(x)
        return x

    def backward(self, dout):
        for layer in reversed(self.inner if isinstance(self.inner, list) else [self.inner]):
            dout = layer.backward(dout)
        return dout


class Mean:
    """A last layer whose loss is the mean of the scores."""

    def forward(self, x, t):
        self.x, self.loss = x, float(np.mean(x))
        return self.loss

    def backward(self, dout):  # without a default
        return np.full_like(self.x, dout / self.x.size)


class Line:
    """A network of a user's own, with a plain dict of parameters."""

    def __init__(self):
        self.params = {"w": np.zeros(1)}
        self.last_layer = Mean()

    def gradient(self, x, t):
        self.last_layer.forward(x * self.params["w"], t)
        return {"w": np.ones(1)}

    def accuracy(self, x, t):
        return 0.0


def square(size, seed=5):
    return np.random.default_rng(seed).normal(size=(size, size)), np.zeros(size)


def put(net, name, layer, place):
    """Put a layer at a place among the others."""
    net.layers[name] = layer
    names = [key for key in net.layers if key != name]
    names.insert(place, name)
    for key in names:
        net.layers.move_to_end(key)
