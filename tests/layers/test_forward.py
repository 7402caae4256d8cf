"""``forward`` is called as it is declared."""

import functools

import numpy as np
import pytest
from own_layers import data, network


class Layer:
    """Its backward is nobody's concern here."""

    def backward(self, dout):
        return dout


class Seen(Layer):
    def __init__(self, function):
        self.forward = function


class ByClass(Layer):
    def forward(self, x):
        return (x,)


class WithFlag(Layer):
    def forward(self, x, train_flg=True):
        return x, train_flg


class Static(Layer):
    @staticmethod
    def forward(x, train_flg):
        return x, train_flg


class NoHash:
    __hash__ = None

    def __call__(self, x, scale=2.0):
        return x, scale


X = data()[0]
FORMS = {
    "x": (ByClass(), (X,)),
    "train_flg": (WithFlag(), (X, False)),
    "static": (Static(), (X, False)),
    "keyword": (Seen(lambda x, *, train_flg=True: (x, train_flg)), (X, False)),
    "another argument": (Seen(lambda x, scale=2.0: (x, scale)), (X, 2.0)),
    "another one and the flag": (
        Seen(lambda x, scale=2.0, train_flg=True: (x, scale, train_flg)), (X, 2.0, False)),
    "the flag by another name": (Seen(lambda x, training=True: (x, training)), (X, False)),
    "needed": (Seen(lambda x, training: (x, training)), (X, False)),
    "args": (Seen(lambda *args: args), (X, False)),
    "kwargs": (Seen(lambda x, **named: (x, named)), (X, {"train_flg": False})),
    "partial": (Seen(functools.partial(lambda a, x: (a, x), 7)), (7, X)),
    "partial with the flag": (
        Seen(functools.partial(lambda a, x, train_flg: (a, x, train_flg), 7)), (7, X, False)),
    "of C": (Seen(abs), abs(X)),
    "ufunc": (Seen(np.positive), X),
    "without a signature": (Seen(type), type(X)),
    "without a hash": (Seen(NoHash()), (X, 2.0)),
}  # fmt: skip


def alone(layer):
    """Return a network of one layer, with nothing to train."""
    net = network()
    net.layers.clear()
    net.layers["Own"], net.params = layer, {}
    return net


def items(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("form", FORMS)
def test_forward_is_called_as_it_is_declared(form):
    layer, expected = FORMS[form]
    for _ in range(2):
        got = alone(layer).predict(X)
        assert type(got) is type(expected)
        for value, other in zip(items(got), items(expected), strict=True):
            if isinstance(other, np.ndarray):
                np.testing.assert_array_equal(value, other)
            else:
                assert value == other


def test_a_forward_that_returns_nothing():
    with pytest.raises(ValueError, match="^Seen.forward: expected an array, got None"):
        alone(Seen(lambda x: None)).predict(X)


def test_errors_inside_forward_come_through():
    class Faulty:
        def forward(self, x):
            return len(3)

        def backward(self, dout):
            return dout

    net = network()
    net.layers["Faulty"] = Faulty()
    with pytest.raises(TypeError, match="object of type 'int' has no len"):
        net.predict(data()[0])


@pytest.mark.parametrize("default", [None, 0, 1, False, True])
def test_a_flag_with_a_default_is_given(default):
    seen = []

    class Flagged:
        def forward(self, x, is_test=default):
            seen.append(is_test)
            return x

        def backward(self, dout):
            return dout

    net = network()
    net.layers["Flagged"] = Flagged()
    net.gradient(*data())
    net.predict(data()[0])
    assert seen == [True, False]
