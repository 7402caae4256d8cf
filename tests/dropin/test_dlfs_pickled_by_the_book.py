"""What the book's own code has pickled, in a script that goes on with it on fastnn."""

import importlib
import pickle
import sys

import numpy as np
import pytest
from book_networks import KINDS, attributes, batch, network

LAYERS = {
    "Relu": lambda m: m.layers.Relu(),
    "Sigmoid": lambda m: m.layers.Sigmoid(),
    "Affine": lambda m: m.layers.Affine(np.sin(np.arange(12.0)).reshape(6, 2), np.ones(2)),
    "Dropout": lambda m: m.layers.Dropout(0.5),
    "BatchNormalization": lambda m: m.layers.BatchNormalization(np.ones(6), np.ones(6)),
    "Convolution": lambda m: m.layers.Convolution(
        np.sin(np.arange(8.0)).reshape(2, 1, 2, 2), np.ones(2), pad=1
    ),
    "Pooling": lambda m: m.layers.Pooling(2, 2, stride=1),
}
RNG = np.random.default_rng(3)
ROWS, IMAGES = RNG.normal(size=(4, 6)), RNG.normal(size=(3, 2, 5, 4))


def from_the_book(dlfs, m, thing, monkeypatch):
    """Return what was made with the transcription, as the modules `m` unpickle it."""

    def stand_for(side):
        for name in ("layers", "multi_layer_net", "multi_layer_net_extend", "optimizer"):
            monkeypatch.setitem(sys.modules, f"common.{name}", getattr(side, name))

    monkeypatch.setitem(sys.modules, "common", importlib.import_module("fastnn.dropin"))
    stand_for(dlfs.book)
    text = pickle.dumps(thing)
    stand_for(m)
    return pickle.loads(text)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_go_back_first(dlfs, name, monkeypatch):
    x = ROWS
    if name in ("Convolution", "Pooling"):
        x = IMAGES[:, :1]

    def action(m):
        layer = LAYERS[name](dlfs.book)
        y = layer.forward(x)
        layer = from_the_book(dlfs, m, layer, monkeypatch)
        seen = [layer.backward(np.cos(y)), m.visible(layer), layer.forward(2 * x)]
        return seen, layer.backward(np.sin(y)), m.visible(layer)

    dlfs.compare(action)


def test_pooling_of_several_channels(dlfs, monkeypatch):
    def action(m):
        layer = dlfs.book.layers.Pooling(3, 2, stride=2)
        y = layer.forward(IMAGES)
        return from_the_book(dlfs, m, layer, monkeypatch).backward(np.cos(y))

    dlfs.compare(action)


@pytest.mark.parametrize("kind", KINDS)
def test_networks(dlfs, kind, monkeypatch):
    def action(m):
        net, optimizer = network(dlfs.book, kind), dlfs.book.optimizer.Adam()
        x, t = batch()
        optimizer.update(net.params, net.gradient(x, t))
        net, optimizer = from_the_book(dlfs, m, (net, optimizer), monkeypatch)
        dout = net.last_layer.backward(1)
        for layer in reversed(net.layers.values()):
            dout = layer.backward(dout)
        seen = [dout, attributes(m, net), net.predict(x)]
        optimizer.update(net.params, net.gradient(x, t))
        return seen, net.predict(x), m.visible(optimizer)

    dlfs.compare(action, rounded=True)
