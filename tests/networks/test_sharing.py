"""Layers and ``network.params`` have the same arrays, in copies and after assignments."""

import copy
import pickle

import numpy as np
import pytest
from copying import COPIES, dumped
from hypothesis import given, settings
from hypothesis import strategies as st
from own_layers import C, D, Scale, data, network

import fastnn
from fastnn import MultiLayerNet, Network, layers, optimizers
from fastnn.callbacks import Callback
from fastnn.gradient_check import gradient_check


def values(net):
    return {key: p.copy() for key, p in net.params.items()}


def expect_shared(net):
    """Check that layers and `params` have the same arrays, which can be written."""
    net.predict(data()[0])
    of_layers = {id(p.array) for p in net._adopted.parameters}
    assert {id(p) for p in net.params.values()} == of_layers
    for p in net._adopted.parameters:
        held = p.owner.params if p.declared else vars(p.owner)
        arrays = held.values() if isinstance(held, dict) else held
        assert any(array is p.array for array in arrays)
    assert all(type(p) is np.ndarray and p.flags.writeable for p in net.params.values())


# --- copies ---------------------------------------------------------------------------------


class Twice:
    """A layer that has its weights as an attribute, for its passes, and in `params`."""

    def __init__(self, size):
        self.W = np.random.default_rng(2).normal(size=(size, size))
        self.params = {"W": self.W}

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dout):
        self.grads = {"W": self.x.T @ dout}
        return dout @ self.W.T


class Computed(Twice):
    """The same, with `params` made when it is asked for."""

    def __init__(self, size):
        super().__init__(size)
        del self.params

    @property
    def params(self):
        return {"W": self.W}

    @params.deleter
    def params(self):
        pass

    @params.setter
    def params(self, given):
        pass


class Pair(Twice):
    """The same, with `params` and gradients in tuples."""

    def __init__(self, size):
        super().__init__(size)
        self.params = (self.W,)

    def backward(self, dout):
        dx = super().backward(dout)
        self.grads = (self.grads["W"],)
        return dx


class Numbered(Twice):
    """The same, with a number as a key."""

    def __init__(self, size):
        super().__init__(size)
        self.params = {0: self.W}

    def backward(self, dout):
        dx = super().backward(dout)
        self.grads = {0: self.grads["W"]}
        return dx


class Around(Twice):
    """A layer around another one, whose parameters it names, and with sums of its own."""

    def __init__(self, size):
        self.inner = [Twice(size)]
        self.params = {"W": self.inner[0].W}
        self.sums = np.zeros(size)

    def forward(self, x):
        self.sums += x.sum(axis=0)
        return self.inner[0].forward(x)

    def backward(self, dout):
        dx = self.inner[0].backward(dout)
        self.grads = self.inner[0].grads
        return dx


class First(MultiLayerNet):
    """A network that holds one of its arrays beside its layers."""

    def __init__(self):
        super().__init__(D, [8], C, seed=3)
        self.first = self.params["W1"]

    def predict(self, x, train_flg=False):
        return super().predict(x, train_flg) + 0 * self.first.sum()


def with_layer(kind):
    net = network(use_batchnorm=True)
    net.layers["Own"] = kind(C)
    net.gradient(*data())
    return net


MADE = {
    "plain": network,
    "normalised": lambda: network(use_batchnorm=True, use_dropout=True),
    "without sizes": lambda: Network([layers.Affine(4), layers.BatchNormalization(),
                                      layers.Affine(C)], seed=0),
    "an attribute of its own": First,
    **{kind.__name__: (lambda kind=kind: with_layer(kind))
       for kind in (Scale, Twice, Computed, Pair, Numbered, Around)},
}  # fmt: skip


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("name", MADE)
def test_copies_learn(name, way):
    net = MADE[name]()
    again = COPIES[way](net)
    for each in (net, again):
        each.fit(*data(), 3, 8, seed=0, verbose=False)
    expect_shared(again)
    assert again.history.route == net.history.route
    assert again.history.step_losses == net.history.step_losses
    np.testing.assert_array_equal(again.predict(data()[0]), net.predict(data()[0]))
    if name == "an attribute of its own":
        assert again.first is again.params["W1"]


@pytest.mark.parametrize("way", COPIES)
def test_a_file_is_loaded_into_a_copy(way, tmp_path):
    net, other = network(), network()
    other.fit(*data(), 1, verbose=False)
    other.save(tmp_path / "net.npz")
    again = COPIES[way](net)
    again.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(again.predict(data()[0]), other.predict(data()[0]))
    again.fit(*data(), 1, verbose=False)
    again.save(tmp_path / "net.npz")
    loaded = fastnn.load(tmp_path / "net.npz")
    np.testing.assert_array_equal(loaded.predict(data()[0]), again.predict(data()[0]))


def test_what_is_tied_and_taken_out_is_still_one_array_in_copies():
    net = Network({"in": layers.Affine(D), "out": layers.Affine(D), "last": layers.Affine(C)},
                  input_size=D, seed=0)  # fmt: skip
    net.layers["out"].W = net.layers["in"].W
    net.predict(data()[0])
    (key,) = (key for key, p in net.params.items() if p is net.layers["in"].W)
    del net.params[key]
    again = dumped(net)
    assert again.layers["out"].W is again.layers["in"].W


def test_the_key_of_a_layer_that_is_gone_goes_at_the_first_call():
    net = network(use_batchnorm=True)
    del net.layers["BatchNorm1"]
    net.predict(data()[0])
    assert sorted(net.params) == ["W1", "W2", "b1", "b2"]
    net.fit(*data(), 1, verbose=False)


def test_a_shallow_copy_shares_all_and_moves_nothing():
    net = network()
    W = net.layers["Affine1"].W = np.zeros((D, 8))
    other = copy.copy(net)
    assert other.layers is net.layers and net.layers["Affine1"].W is W
    other.fit(*data(), 1, verbose=False)
    np.testing.assert_array_equal(other.predict(data()[0]), net.predict(data()[0]))
    assert net.params["W1"] is other.params["W1"] is W


@pytest.mark.parametrize("way", ["deepcopy", "pickle", "joblib"])
@pytest.mark.parametrize("place", ["params", "dict", "layer", "another layer"])
def test_copies_have_what_was_assigned_before(place, way):
    net, W = network(), np.zeros((D, 8))
    if place == "params":
        net.params["W1"] = W
    elif place == "dict":
        net.params = {**net.params, "W1": W}
    elif place == "layer":
        net.layers["Affine1"].W = W
    else:
        net.layers["Affine1"] = layers.Affine(W, net.params["b1"])
    again = COPIES[way](net)
    for each in (again, net):
        expect_shared(each)
        np.testing.assert_array_equal(each.params["W1"], 0)


@pytest.mark.parametrize("name", ["Affine", "AffineRelu", "BatchNormalization", "Convolution"])
@pytest.mark.parametrize("way", ["out of band", "joblib, mapped"])
def test_arrays_of_copied_layers_can_be_written(name, way):
    shape = {"Convolution": (2, 5, 5)}.get(name, (4,))
    layer = {
        "Affine": lambda: layers.Affine(3),
        "AffineRelu": lambda: layers.AffineRelu(3),
        "BatchNormalization": layers.BatchNormalization,
        "Convolution": lambda: layers.Convolution(3, 3),
    }[name]()
    layer.build(shape, 0, np.float64)
    x = np.random.default_rng(0).normal(size=(6, *shape))
    layer.backward(np.ones_like(layer.forward(x)))
    again = COPIES[way](layer)
    for each in (layer, again):
        dout = np.ones_like(each.forward(x))
        each.backward(dout)
        names = [key for key in ("W", "b", "gamma", "beta") if hasattr(each, key)]
        params = {key: getattr(each, key) for key in names}
        optimizers.SGD(0.1).update(params, {key: getattr(each, f"d{key}") for key in names})
    np.testing.assert_array_equal(again.forward(x), layer.forward(x))


# --- assignments ------------------------------------------------------------------------------

CALLS = {
    "predict": lambda net, path: net.predict(data()[0]),
    "loss": lambda net, path: net.loss(*data()),
    "accuracy": lambda net, path: net.accuracy(*data()),
    "gradient": lambda net, path: net.gradient(*data()),
    "numerical_gradient": lambda net, path: net.numerical_gradient(*(a[:2] for a in data())),
    "save": lambda net, path: net.save(path),
    "summary": lambda net, path: net.summary(),
    "deepcopy": lambda net, path: copy.deepcopy(net),
    "no epoch": lambda net, path: net.fit(*data(), 0, verbose=False),
    "ensemble": lambda net, path: fastnn.ensembles.Ensemble([net]).predict(data()[0]),
    "averaged": lambda net, path: fastnn.ensembles.averaged(net, net.params),
    "gradient_check": lambda net, path: gradient_check(net, *data(), entries=1),
}  # fmt: skip

ASSIGNED = {
    "item": lambda net, W: net.params.__setitem__("W1", W),
    "update": lambda net, W: net.params.update(W1=W),
    "dict": lambda net, W: setattr(net, "params", {**net.params, "W1": W}),
    "all": lambda net, W: setattr(net, "params", {**values(net), "W1": W}),
    "layer": lambda net, W: setattr(net.layers["Affine1"], "W", W),
    "another layer": lambda net, W: net.layers.update(Affine1=layers.Affine(W, net.params["b1"])),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("how", ASSIGNED)
def test_what_is_assigned_takes_effect(how, call, tmp_path):
    net, wanted = network(), network()
    W = np.random.default_rng(4).normal(size=(D, 8))
    wanted.params["W1"][...] = W
    ASSIGNED[how](net, W)
    CALLS[call](net, tmp_path / "net.npz")
    assert net.params["W1"] is net.layers["Affine1"].W
    np.testing.assert_array_equal(net.layers["Affine1"].W, W)
    np.testing.assert_array_equal(net.predict(data()[0]), wanted.predict(data()[0]))
    if call == "save":
        loaded = fastnn.load(tmp_path / "net.npz")
        np.testing.assert_array_equal(loaded.predict(data()[0]), wanted.predict(data()[0]))
    for each in (net, wanted):
        each.fit(*data(), 2, 8, seed=0, verbose=False)
    assert net.history.step_losses == wanted.history.step_losses
    assert net.history.route == "program"


@pytest.mark.parametrize("form", [list, np.float32, np.int64, np.asfortranarray, "read-only"])
def test_what_is_assigned_may_be_of_any_real_kind_and_stays_as_it_is(form):
    W = np.arange(D * 8).reshape(D, 8) * 1.0
    given_ = W.copy()
    if form == "read-only":
        given_.flags.writeable = False
    else:
        given_ = W.tolist() if form is list else form(given_)
    kept = copy.deepcopy(given_)
    net = network()
    all_ = {**values(net), "W1": given_}
    net.params = all_
    net.predict(data()[0])
    np.testing.assert_array_equal(net.layers["Affine1"].W, W)
    net.fit(*data(), 1, verbose=False)
    assert all_["W1"] is given_ and not np.array_equal(net.params["W1"], W)
    np.testing.assert_array_equal(given_, kept)


def test_a_network_that_takes_the_params_of_another_one_is_not_tied_to_it():
    net, other = network(), MultiLayerNet(D, [8], C, "tanh", dtype="float64", seed=9)
    net.params = other.params
    np.testing.assert_array_equal(net.predict(data()[0]), other.predict(data()[0]))
    kept = values(other)
    net.fit(*data(), 1, verbose=False)
    for key, p in other.params.items():
        np.testing.assert_array_equal(p, kept[key])
        assert not np.array_equal(p, net.params[key])


def test_arrays_that_change_places():
    net = Network([layers.Affine(D), layers.Tanh(), layers.Affine(D)], input_size=D, seed=0)
    params, before = net.params, values(net)
    first, second = "Affine1.W", "Affine2.W"
    params[first], params[second] = params[second], params[first]
    net.predict(data()[0])
    np.testing.assert_array_equal(net.layers["Affine1"].W, before[second])
    np.testing.assert_array_equal(net.layers["Affine2"].W, before[first])
    params[first] = params[second]  # the values, not the array
    net.predict(data()[0])
    np.testing.assert_array_equal(net.layers["Affine1"].W, before[first])
    assert net.layers["Affine1"].W is not net.layers["Affine2"].W


def test_what_is_taken_out_may_be_put_back_with_other_values():
    net = network()
    del net.params["W1"]
    net.fit(*data(), 1, verbose=False)
    assert "W1" not in net.params
    net.params["W1"] = np.zeros((D, 8))
    assert "W1" in net.gradient(*data())
    np.testing.assert_array_equal(net.layers["Affine1"].W, 0)
    expect_shared(net)


@pytest.mark.parametrize("call", sorted({*CALLS, "fit"} - {"averaged"}))  # it gets params, too
@pytest.mark.parametrize(
    ("key", "value", "error", "text"),
    [
        ("W1", np.zeros((D, 9)), ValueError,
         r"^params\['W1'\]: expected shape \(5, 8\) like layers\['Affine1'\].W, got \(5, 9\)"),
        ("W1", np.zeros((D, 8), complex), TypeError, r"^params\['W1'\]: .* got dtype complex128"),
        ("W1", np.full((D, 8), "a"), TypeError, r"^params\['W1'\]: .* got dtype <U1"),
        ("W1", None, TypeError, r"^params\['W1'\]: expected an array of real numbers, got .*None"),
        ("w1", np.zeros((D, 8)), ValueError, r"^params\['w1'\]: expected an array that a layer"),
    ],
    ids=["shape", "complex", "text", "None", "key"],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_nothing_changes(call, key, value, error, text, tmp_path):
    net = network()
    before = values(net)
    net.params = {"b1": np.ones(8), **net.params, key: value}
    net.params["b1"] = np.ones(8)
    with pytest.raises(error, match=text):
        if call == "fit":
            net.fit(*data(), 1, verbose=False)
        else:
            CALLS[call](net, tmp_path / "net.npz")
    np.testing.assert_array_equal(net.layers["Affine1"].W, before["W1"])
    np.testing.assert_array_equal(net.layers["Affine1"].b, before["b1"])


def test_params_that_are_no_dict():
    net = network()
    net.params = [*net.params.values()]
    with pytest.raises(TypeError, match="^params: expected a dict of arrays, got "):
        net.predict(data()[0])


def test_an_array_of_a_layer_that_can_only_be_read():
    net = network()
    net.params["W1"].flags.writeable = False
    net.params["W1"] = np.zeros((D, 8))
    with pytest.raises(ValueError, match=r"^layers\['Affine1'\].W: expected .* written"):
        net.predict(data()[0])


@pytest.mark.parametrize("place", ["params", "layer"])
@pytest.mark.parametrize("own", [False, True], ids=["program", "layers"])
def test_what_a_callback_assigns_is_trained(place, own):
    class Zero(Callback):
        in_place = False

        def on_epoch_end(self, epoch):
            if self.in_place:
                self.network.params["W1"][...] = 0
            elif place == "params":
                self.network.params["W1"] = np.zeros((D, 8))
            else:
                self.network.layers["Affine1"].W = np.zeros((D, 8))

    results = []
    for in_place in (False, True):
        net, callback = network(), Zero()
        callback.in_place = in_place
        if own:
            net.layers["Own"] = Scale(C)
        history = net.fit(*data(), 3, 8, seed=0, callbacks=[callback], verbose=False)
        results.append((history.step_losses, net.predict(data()[0]).tolist()))
        assert history.route == ("layers" if own else "program")
    assert results[0] == results[1]


def scores(params, x):
    """Return what a network of a hidden layer of as many units as inputs predicts."""
    hidden = np.tanh(x @ params["W1"] + params["b1"])
    return hidden @ params["W2"] + params["b2"]


def _layer(net, i, W):
    net.layers[f"Affine{i}"].W = W


CHANGES = {
    "item": lambda net, W: net.params.__setitem__("W1", W),
    "item of another": lambda net, W: net.params.__setitem__("W1", net.params["W2"]),
    "both": lambda net, W: net.params.update(W1=net.params["W2"], W2=net.params["W1"]),
    "dict": lambda net, W: setattr(net, "params", dict(reversed({**net.params, "W2": W}.items()))),
    "in place": lambda net, W: net.params["W2"].__setitem__(..., W),
    "layer": lambda net, W: _layer(net, 1, W),
    "layer of another": lambda net, W: _layer(net, 1, net.layers["Affine2"].W.copy()),
}


@given(st.lists(st.sampled_from([*CHANGES, "copy", "pickle", "joblib", "use"]), max_size=8))
@settings(max_examples=60, deadline=None)
def test_whatever_is_assigned_in_turns_is_what_predicts(turns):
    net = MultiLayerNet(D, [D], D, "tanh", dtype="float64", seed=0)
    x, rng = data()[0], np.random.default_rng(7)
    model = values(net)
    for turn in turns:
        W = rng.normal(size=(D, D))
        if turn in ("copy", "pickle", "joblib"):
            net = {"copy": copy.copy, "joblib": dumped,
                   "pickle": lambda net: pickle.loads(pickle.dumps(net))}[turn](net)  # fmt: skip
        elif turn == "use":
            expect_shared(net)
        else:
            net.predict(x)  # what was put into one place before would contradict the other
            CHANGES[turn](net, W)
            first, second = model["W1"], model["W2"]
            W = W.copy()  # the layer keeps the array that it is given
            firsts = {"item": W, "layer": W, "dict": first, "in place": first}
            model["W1"] = firsts.get(turn, second)
            model["W2"] = {"dict": W, "in place": W, "both": first}.get(turn, second)
    np.testing.assert_allclose(net.predict(x), scores(model, x), rtol=1e-12)
    expect_shared(net)
    for key, p in model.items():
        np.testing.assert_array_equal(net.params[key], p)
