"""``forward`` is called as it is declared."""

import functools

import numpy as np
import pytest
from own_layers import data, network

from fastnn._forward import forward


class Seen:
    def __init__(self, function):
        self.forward = function


class ByClass:
    def forward(self, x):
        return (x,)


class WithFlag:
    def forward(self, x, train_flg=True):
        return x, train_flg


class Static:
    @staticmethod
    def forward(x, train_flg):
        return x, train_flg


class NoHash:
    __hash__ = None

    def __call__(self, x, scale=2.0):
        return x, scale


FORMS = {
    "x": (ByClass(), (1,)),
    "train_flg": (WithFlag(), (1, False)),
    "static": (Static(), (1, False)),
    "keyword": (Seen(lambda x, *, train_flg=True: (x, train_flg)), (1, False)),
    "another argument": (Seen(lambda x, scale=2.0: (x, scale)), (1, 2.0)),
    "another one and the flag": (
        Seen(lambda x, scale=2.0, train_flg=True: (x, scale, train_flg)), (1, 2.0, False)),
    "the flag by another name": (Seen(lambda x, training=True: (x, training)), (1, False)),
    "needed": (Seen(lambda x, training: (x, training)), (1, False)),
    "args": (Seen(lambda *args: args), (1, False)),
    "kwargs": (Seen(lambda x, **named: (x, named)), (1, {"train_flg": False})),
    "partial": (Seen(functools.partial(lambda a, x: (a, x), 7)), (7, 1)),
    "partial with the flag": (
        Seen(functools.partial(lambda a, x, train_flg: (a, x, train_flg), 7)), (7, 1, False)),
    "of C": (Seen(abs), 1),
    "ufunc": (Seen(np.positive), 1),
    "without a signature": (Seen(int), 1),
    "without a hash": (Seen(NoHash()), (1, 2.0)),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forward_is_called_as_it_is_declared(form):
    layer, expected = FORMS[form]
    for _ in range(2):
        assert forward(layer, 1, False) == expected


def test_a_forward_that_returns_nothing():
    with pytest.raises(ValueError, match="^Seen.forward: expected an array, got None"):
        forward(Seen(lambda x: None), 1, False)


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
