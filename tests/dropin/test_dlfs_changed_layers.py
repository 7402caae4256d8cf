"""Networks whose ``layers`` a script has changed: it adds, replaces, moves, shares, wraps them."""

import numpy as np
import pytest
from book_networks import attributes, batch, network
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn.dropin.dlfs import _compiled

MADE = ["Affine", "Relu", "Sigmoid", "Dropout", "BatchNormalization", "subclass", "wrapper", "own"]
NAMES = ["Extra", "Affine1", "Affine3", "Activation_function1", "Dropout1", "MyBatchNorm", "Z"]


def layer(m, kind, features):
    """Return a layer for so many features, of the book or a script's own."""

    class Leaky(m.layers.Relu):
        def backward(self, dout):
            return dout * np.where(self.mask, 0.1, 1.0)

    class Doubled:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.__dict__["inner"], name)

        def forward(self, x):
            return 2 * self.inner.forward(x)

        def backward(self, dout):
            return self.inner.backward(2 * dout)

    class Shift:
        def forward(self, x):
            return x + 1

        def backward(self, dout):
            return dout

    W = np.sin(np.arange(1.0, features**2 + 1)).reshape(features, features)
    ones = np.ones(features)
    makers = {
        "Affine": lambda: m.layers.Affine(W, ones * 0.5),
        "BatchNormalization": lambda: m.layers.BatchNormalization(ones, ones * 0.25),
        "Dropout": lambda: m.layers.Dropout(0.25),
        "Relu": m.layers.Relu,
        "Sigmoid": m.layers.Sigmoid,
        "subclass": Leaky,
        "wrapper": lambda: Doubled(m.layers.Affine(W, ones)),
        "own": Shift,
    }
    return makers[kind]()


def change(m, net, what, name, kind):
    """Do to the layers of a network what a script does."""
    if what == "put":
        net.layers[name] = layer(m, kind, 5)
    elif what == "delete":
        net.layers.pop(name, None)
    elif what == "to the end" and name in net.layers:
        net.layers[name] = net.layers.pop(name)
    elif what == "to the front" and name in net.layers:
        net.layers = type(net.layers)([(name, net.layers.pop(name)), *net.layers.items()])
    elif what == "share" and name in net.layers:
        net.layers[f"{name} again"] = net.layers[name]
    elif what == "plain dict":
        net.layers = dict(net.layers)


def use(m, net):
    """Return what the methods give, or the error that they raise."""
    x, t = batch(features=5)
    seen = []
    for method in (
        lambda: net.predict(x),
        lambda: net.gradient(x, t),
        lambda: net.loss(x, t),
        lambda: net.accuracy(x, t),
        lambda: net.gradient(x, np.eye(5)[t]),
        lambda: attributes(m, net),
    ):
        try:
            seen.append(method())
        except Exception as error:
            seen.append(type(error).__name__)
    return seen


changes = st.tuples(
    st.sampled_from(["put", "put", "delete", "to the end", "to the front", "share", "plain dict"]),
    st.sampled_from(NAMES),
    st.sampled_from(MADE),
)


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.sampled_from(["plain", "sigmoid", "dropout", "all"]), st.lists(changes, max_size=3))
def test_changed_layers(dlfs, kind, made):
    def action(m):
        net = network(m, kind, (5, [5, 5], 5))
        use(m, net)  # with what is compiled for the layers as they were
        for one in made:
            change(m, net, *one)
        return use(m, net)

    dlfs.compare(action, rounded=True)


@pytest.mark.parametrize("name", ["Extra", "MyDropout", "MyBatchNorm"])
@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("net_kind", ["plain", "extended"])
def test_a_layer_after_the_last(dlfs, net_kind, kind, name):
    def action(m):
        net = network(m, net_kind, (5, [5, 5], 5))
        change(m, net, "put", name, kind)
        return use(m, net)

    dlfs.compare(action, rounded=True)


@pytest.mark.parametrize("kind", ["plain", "normalised", "dropout", "all"])
def test_batches_of_which_not_all_is_kept(dlfs, kind, monkeypatch):
    """Nothing but the scores is computed of large batches at test time."""
    monkeypatch.setattr(_compiled, "_ELEMENTS", 0)

    def action(m):
        return use(m, network(m, kind, (5, [5, 5], 5)))

    dlfs.compare(action, rounded=True)
