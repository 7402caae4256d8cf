"""Layers of the user's own in a stack: how they are built, and what is not known of them."""

import math

import numpy as np
import pytest
from own_layers import Scale
from small_networks import C, D, data

from fastnn import Network
from fastnn.gradient_check import gradient_check
from fastnn.layers import Affine


class Projection:
    """A layer with weights that are made when its input is known."""

    def __init__(self, size):
        self.size = size
        self.params = None

    def build(self, shape, rng, dtype):
        W = rng.normal(size=(math.prod(shape), self.size)).astype(dtype)
        self.params = {"W": W}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"]

    def backward(self, dout):
        self.grads = {"W": self.x.T @ dout}
        return dout @ self.params["W"].T


class Hidden:
    """A layer that says nothing of what it gives, and does not take zeros."""

    def forward(self, x):
        if not x.any():
            raise ZeroDivisionError("all zero")
        self.norm = np.abs(x).sum()
        return x / self.norm

    def backward(self, dout):
        return dout


class Told(Hidden):
    def output_shape(self, shape):
        return shape


def test_an_own_layer_that_is_built():
    net = Network([Affine(5), Projection(4), Affine(C)], seed=0, dtype="float64")
    x, t = data()
    assert gradient_check(net, x, t).ok
    assert net.params["Projection1.W"].shape == (5, 4)
    assert net.params["Projection1.W"].dtype == np.float64
    assert net.params["Affine2.W"].shape == (4, C)


def test_an_own_layer_whose_output_is_not_known():
    stack = [Affine(5), Hidden(), Affine(C)]
    with pytest.raises(
        ValueError, match=r"^layers\['Affine2'\]: .*\['Hidden1'\].*ZeroDivisionError \(all zero\)"
    ):
        Network(stack, input_size=D)
    net = Network([Affine(5), Told(), Affine(C)], input_size=D)
    assert net.output_size == C
    net = Network([Affine(5), Hidden(), Affine(np.ones((5, C)), np.ones(C))], input_size=D)
    assert net.output_size == C
    assert [row[2] for row in net.summary().rows] == [(5,), None, (C,)]


def test_a_last_layer_whose_output_is_not_known():
    net, (x, t) = Network([Affine(C), Hidden()], input_size=D, seed=0), data()
    assert net.predict(x).shape == (40, C)
    assert 0 <= net.accuracy(x, t) <= 1
    with pytest.raises(ValueError, match="^network: .*output_size.*output_shape"):
        net.fit(x, t, verbose=False)
    net.output_size = C
    assert net.fit(x, t, verbose=False).reason == "Hidden1 is of type Hidden"


def test_an_own_layer_is_asked_in_a_copy():
    layer = Scale(5)
    Network([Affine(5), layer, Affine(C)], input_size=D)
    assert vars(layer).keys() == {"params"}


def test_build_that_sets_nothing():
    class Idle(Projection):
        def build(self, shape, rng, dtype):
            pass

    with pytest.raises(ValueError, match=r"^layers\['Idle1'\]: expected Idle.build to set params"):
        Network([Idle(3)], input_size=D)
