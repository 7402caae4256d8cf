"""Layers and parameters that would be passed over in training are refused."""

import numpy as np
import pytest
from own_layers import C, D, Listed, Named, Scale, Unnamed, Within, data, network, square

from fastnn import MultiLayerNet, Network, layers, optimizers


class OnlyBias(Listed):
    def backward(self, dout):
        dx = super().backward(dout)
        self.grads = self.grads[1:]
        return dx


class WrongShape(Scale):
    def backward(self, dout):
        dx = super().backward(dout)
        self.grads["shift"] = dout
        return dx


class NoInputGradient(Scale):
    def backward(self, dout):
        super().backward(dout)


def with_params(params):
    layer = Scale(C)
    layer.params = params
    return layer


REFUSED = {
    "no names": (lambda: Unnamed(*square(C)), "^layers.'Own'.: expected a layer that names .* W, "),
    "a layer within": (
        lambda: Within(layers.Affine(*square(C))), "^layers.'Own'.: .* with inner.W, for which"),
    "two layers within": (
        lambda: Within(layers.Tanh(), Unnamed(*square(C))), "^layers.'Own'.: .* inner.1..W, for"),
    "a layer within that names some": (
        lambda: Within(Scale(C)), "inner.params.'Wide'., a parameter of a layer within it"),
    "too few gradients": (lambda: OnlyBias(*square(C)), "^layers.'Own'..grads.0.: expected .*3, 3"),
    "a gradient of another shape": (
        lambda: WrongShape(C), "^layers.'Own'..grads.'shift'.: expected .*, got .*40, 3"),
    "params that are no dict": (lambda: with_params(3), "^Scale.params: expected a dict"),
    "integers": (
        lambda: with_params({"Wide": np.ones(C, int), "shift": np.ones(C)}),
        "^layers.'Own'..params.'Wide'.: expected an array of a floating dtype, got int64"),
    "lists in a layer of ours": (
        lambda: layers.Affine(np.eye(C).tolist(), np.zeros(C)),
        "^layers.'Own'..W: expected an array of a floating dtype, got list"),
    "a list as a parameter": (
        lambda: with_params({"Wide": [1.0], "shift": np.ones(C)}), "floating dtype, got list"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("call", ["fit", "gradient"])
def test_layers_that_would_not_be_trained_are_refused(what, call):
    build, text = REFUSED[what]
    net = network(use_batchnorm=True)
    net.fit(*data(), 1, verbose=False)
    kept = {key: p.copy() for key, p in net.params.items()}
    statistics = net.layers["BatchNorm1"].running_mean.copy()
    net.layers["Own"] = build()
    with pytest.raises((ValueError, TypeError), match=text):
        net.fit(*data(), 1, verbose=False) if call == "fit" else net.gradient(*data())
    for key, p in kept.items():
        np.testing.assert_array_equal(net.params[key], p)
    if call == "fit":
        np.testing.assert_array_equal(net.layers["BatchNorm1"].running_mean, statistics)


@pytest.mark.parametrize("form", ["d{}", "d_{}", "grad_{}", "{}_grad", "g_{}", "{}_gradient"])
def test_gradients_by_other_names_are_seen(form):
    net = network()
    net.layers["Own"] = Named(*square(C), form)
    name = form.format("weight")
    with pytest.raises(ValueError, match=f"with weight, for which backward has left {name}, and"):
        net.gradient(*data())


def test_a_layer_that_returns_no_gradient():
    net = network()
    net.layers["Own"] = NoInputGradient(C)
    with pytest.raises(ValueError, match="^layers: expected backward of the layer after Affine2"):
        net.gradient(*data())


@pytest.mark.parametrize("call", ["fit", "gradient", "save"])
def test_params_and_layers_that_contradict_each_other(call, tmp_path):
    def do(net):
        arguments = (tmp_path / "net.npz",) if call == "save" else data()
        getattr(net, call)(*arguments)

    net = network()
    net.params["W1"] = net.params["W1"] * 2
    net.layers["Affine1"].W = net.params["W1"] * 2
    with pytest.raises(ValueError, match=r"^params\['W1'\]: expected the array that layers\['Aff"):
        do(net)
    W = net.layers["Affine1"].W = net.params["W1"]  # as the book's load_params does
    do(net)
    assert net.params["W1"] is net.layers["Affine1"].W is W
    net.params["W9"] = np.ones(3)
    with pytest.raises(ValueError, match=r"^params\['W9'\]: expected an array that a layer names"):
        do(net)
    del net.params["W9"]
    net.layers["Affine2"] = Within(net.layers["Affine2"])
    with pytest.raises(ValueError, match=r"inner.W, which is params\['W2'\]"):
        do(net)
    assert [*net.params] == ["W1", "b1", "W2", "b2"]
    net = network()
    net.layers["Again"] = net.layers["Activation_function1"]
    with pytest.raises(ValueError, match=r"^layers\['Again'\]: expected another object than"):
        do(net)


def test_two_parameters_with_one_key():
    net = network()
    net.layers["A.b"], net.layers["A"] = Scale(C), Scale(C)
    net.layers["A"].params = {"b.Wide": np.ones(C), "shift": np.ones(C)}
    with pytest.raises(ValueError, match="expected a key of its own, got 'A.b.Wide'"):
        net.gradient(*data())


def test_a_network_with_a_gradient_of_its_own_may_have_other_params():
    class Own(MultiLayerNet):
        def gradient(self, x, t):
            return {**super().gradient(x, t), "extra": self.params["extra"] * 0 + 1}

    net = Own(D, [4], C, seed=0)
    net.params["extra"] = np.zeros(2)
    net.fit(*data(), 1, 10, optimizers.SGD(0.5), verbose=False)
    np.testing.assert_array_equal(net.params["extra"], -2)  # four steps


@pytest.mark.parametrize("what", [layers.Sigmoid, np.tanh, 3, None], ids=str)
def test_what_is_no_layer(what):
    net = network()
    net.layers["Own"] = what
    with pytest.raises(TypeError, match=r"^layers\['Own'\]: expected an object with forward and"):
        net.fit(*data(), 1, verbose=False)
    net = network()
    net.last_layer = what
    with pytest.raises(TypeError, match="^last_layer: expected an object with forward and backwar"):
        net.gradient(*data())


def test_layers_that_are_none_at_all():
    net = network()
    net.layers = list(net.layers.values())
    with pytest.raises(TypeError, match="^layers: expected a dict of names and layers, got "):
        net.fit(*data(), 1, verbose=False)
    net = network()
    net.layers.clear()
    with pytest.raises(ValueError, match="^network: expected layers with parameters"):
        net.fit(*data(), 1, verbose=False)


@pytest.mark.parametrize(
    ("layer", "size", "text"),
    [
        (lambda: layers.Affine(np.ones((3, 4)), np.ones(5)), 3, r"b: expected shape \(4,\)"),
        (
            lambda: layers.Convolution(np.ones((2, 1, 2, 2)), np.ones(3)),
            (1, 4, 4),
            r"b: expected shape \(2,\), one for each filter, got \(3,\)",
        ),
        (
            lambda: layers.BatchNormalization(np.ones(3), np.ones(4)),
            3,
            r"expected samples for beta of shape \(4,\), got shape \(3,\)",
        ),
    ],
)
def test_parameters_of_a_layer_that_do_not_fit_each_other(layer, size, text):
    with pytest.raises(ValueError, match=rf"^layers\['\w+1'\]: {text}"):
        Network([layer()], input_size=size, dtype="float64")
