"""Stacks of layers that the compiled program runs, and those that run layer by layer."""

import copy

import numpy as np
import pytest
import rounding
from hypothesis import given, settings
from hypothesis import strategies as st
from own_layers import Scale
from small_networks import C, D, convolutional, data, images, plain

from fastnn import Network, optimizers
from fastnn.config import use_backend
from fastnn.layers import (
    Affine,
    AffineRelu,
    BatchNormalization,
    BatchNormRelu,
    Dropout,
    LayerNormalization,
    Relu,
    Sigmoid,
    Tanh,
)


def test_known_stacks_run_in_the_program():
    net = Network(
        [
            Dropout(0.1), Affine(5), Tanh(), Dropout(0.2), Affine(6), Affine(7), Relu(),
            BatchNormalization(), Affine(8), BatchNormalization(), Sigmoid(), Affine(C),
        ],
        seed=0,
    )  # fmt: skip
    x, t = data()
    other = copy.deepcopy(net)
    history = net.fit(x, t, 2, 8, seed=0, verbose=False)
    assert (history.route, history.reason) == ("program", "")

    def by_layers(seed=None):
        again = copy.deepcopy(other)
        if seed is not None:
            again.predict(x)
            rounding.moving(again, seed)
        with use_backend("numpy"):
            again.fit(x, t, 2, 8, seed=0, verbose=False)
        return again.params

    expected = by_layers()
    far = rounding.limits(expected, by_layers, lambda key: "")
    for key, p in net.params.items():
        np.testing.assert_allclose(p, expected[key], rtol=0, atol=far[key], err_msg=key)


KNOWN = [
    lambda: Affine(4), lambda: Affine(6), lambda: AffineRelu(5), Relu, Sigmoid, Tanh,
    BatchNormalization, BatchNormRelu, lambda: Dropout(0.3), lambda: Dropout(0.2, inverted=True),
]  # fmt: skip


@settings(deadline=None, max_examples=25)
@given(st.lists(st.sampled_from(KNOWN), max_size=6), st.integers(0, 99))
def test_any_order_is_the_same_on_both_routes(makers, seed):
    net = Network([*(make() for make in makers), Affine(C)], dtype="float64", seed=seed)
    x, t = data(24, seed=seed)
    before = net.summary()
    assert net.predict(x).shape == (24, C)
    assert before.total is None and net.summary().total == sum(p.size for p in net.params.values())

    def trained(backend, moved=None):
        again = copy.deepcopy(net)
        if moved is not None:
            rounding.moving(again, moved)
        with use_backend(backend):
            again.fit(x, t, 1, 8, optimizer=optimizers.SGD(0.1), seed=0, verbose=False)
        return again.params

    expected = trained("numpy")
    far = rounding.limits(expected, lambda moved: trained("numpy", moved), lambda key: "")
    for key, p in trained("numba").items():
        np.testing.assert_allclose(p, expected[key], rtol=0, atol=far[key], err_msg=key)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            lambda: Network([LayerNormalization(), Affine(C)], input_size=(72,)),
            "LayerNormalization1 is of type LayerNormalization",
        ),
        (
            lambda: Network({"a": Affine(4), "mine": Scale(4), "b": Affine(C)}, input_size=72),
            "mine is of type Scale",
        ),
    ],
)
def test_other_stacks_run_layer_by_layer(make, reason):
    net, (x, t) = make(), images()
    history = net.fit(x, t, 1, 8, verbose=False)
    assert (history.route, history.reason) == ("layers", reason)


def test_explain(capsys):
    plain(input_size=D).explain()
    text = capsys.readouterr().out
    assert text.startswith("route: compiled training program")
    assert "Affine1 affine + ReLU (6 x 8)" in text
    convolutional(input_size=(2, 6, 6)).explain()
    assert capsys.readouterr().out.startswith("route: compiled training program")
    Network([LayerNormalization(), Affine(C)], input_size=72).explain()
    assert capsys.readouterr().out.startswith(
        "route: layer by layer (LayerNormalization1 is of type LayerNormalization)"
    )
