"""Layers that are made when their sizes are known: shapes, initial values, seeds."""

import copy
import pickle

import numpy as np
import pytest
from own_layers import Scale
from small_networks import C, D

from fastnn import Network
from fastnn.initializers import glorot_uniform, he, normal, xavier
from fastnn.layers import (
    Affine,
    AffineRelu,
    BatchNormalization,
    BatchNormRelu,
    Convolution,
    Dropout,
    Relu,
    Sigmoid,
    Tanh,
)

ONES = np.ones((5, 4)), np.ones(4)


@pytest.mark.parametrize(
    "layer",
    [Affine(3), AffineRelu(3), Convolution(3, 2), BatchNormalization(), BatchNormRelu()],
    ids=lambda layer: type(layer).__name__,
)
def test_layers_alone(layer):
    layer = copy.deepcopy(layer)
    x = np.random.default_rng(0).normal(size=(4, 2, 5, 5))
    with pytest.raises(RuntimeError, match=rf"^{type(layer).__name__}\.forward: .*build"):
        layer.forward(x)
    shape = layer.build(x.shape[1:], rng=0, dtype="float64")
    assert layer.forward(x, True).shape == (4, *shape) == (4, *layer.output_shape(x.shape[1:]))
    before = dict(vars(layer))
    layer.build(x.shape[1:], rng=1)
    assert all(vars(layer)[key] is value for key, value in before.items())
    assert pickle.loads(pickle.dumps(layer)).forward(x, True).shape == (4, *shape)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: Affine(0), ValueError, "^W: expected an integer from 1"),
        (lambda: Affine(3, np.ones(3)), TypeError, "^W: expected an array beside b, got 3$"),
        (lambda: Affine(np.ones((3, 3))), TypeError, "^b: expected an array beside W, got None$"),
        (lambda: Affine(*ONES, init="he"), TypeError, "^init: expected None"),
        (lambda: Affine(3, init="big"), ValueError, "^init: expected one of he, .*, got 'big'$"),
        (lambda: Affine(3, init=[1]), TypeError, "^init: expected one of he, "),
        (lambda: Affine(3, init=-1.0), ValueError, "^init: expected a number of at least 0"),
        (lambda: Convolution(3, (2, 2, 2)), TypeError, "^b: expected the size of filters"),
        (lambda: Convolution(3, np.ones(3)), TypeError, "^b: expected the size of filters"),
        (lambda: Convolution(3, 0), ValueError, "^b: "),
        (
            lambda: BatchNormalization(np.ones(3)),
            TypeError,
            "^beta: expected an array beside gamma",
        ),
    ],
)
def test_bad_sizes(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize(
    ("after", "rule"),
    [
        ([Relu()], he),
        ([BatchNormalization(), Dropout(0.1), Relu()], he),
        ([Tanh()], xavier),
        ([Sigmoid()], xavier),
        ([], xavier),
        ([Affine(4), Relu()], xavier),
        ([Scale(50), Relu()], xavier),
    ],
)
def test_initial_values_by_what_follows(after, rule):
    net = Network([Affine(50), *copy.deepcopy(after), Affine(C)], input_size=D, seed=7)
    np.testing.assert_array_equal(net.params["Affine1.W"], rule((D, 50), rng=7))
    assert not net.params["Affine1.b"].any()


def test_initial_values_of_a_layer():
    for init, expected in [
        ("He", he((D, C), rng=7)),
        ("glorot_uniform", glorot_uniform((D, C), rng=7)),
        (0.5, normal((D, C), 0.5, rng=7)),
        (0, np.zeros((D, C))),
        (glorot_uniform, glorot_uniform((D, C), rng=7)),
        (lambda shape, rng, dtype: np.ones(shape, int), np.ones((D, C))),
    ]:
        net = Network([Affine(C, init=init)], input_size=D, seed=7)
        np.testing.assert_array_equal(net.params["Affine1.W"], expected)
        assert net.params["Affine1.W"].dtype == np.float32
        pickle.loads(pickle.dumps(net))


def test_initial_filters():
    net = Network([Convolution(4, (3, 2)), Relu(), Affine(C)], input_size=(2, 6, 6), seed=7)
    np.testing.assert_array_equal(net.params["Convolution1.W"], he((4, 2, 3, 2), rng=7))


def test_seeds_of_dropout():
    def seeds(seed):
        net = Network(
            [Dropout(0.5), Affine(4), Dropout(0.5), Dropout(0.5, seed=9), Affine(C)],
            input_size=D, seed=seed,
        )  # fmt: skip
        return [layer.seed for layer in net.layers.values() if isinstance(layer, Dropout)]

    assert seeds(1) == seeds(1) != seeds(2)
    assert seeds(1)[2] == 9
    assert len({*seeds(1)}) == 3
