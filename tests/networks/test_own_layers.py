"""Layers that are put into ``network.layers``: the user's own, and fastnn's at other places."""

import copy
import functools
import pickle

import joblib
import numpy as np
import pytest

import fastnn
from fastnn import MultiLayerNet, MultiLayerNetExtend, Trainer, callbacks, layers, optimizers
from fastnn._forward import forward
from fastnn.gradient_check import check_layer, gradient_check

N, D, C = 40, 5, 3
EPS = np.finfo(np.float64).eps


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
            x = forward(layer, x, train_flg)
        return x

    def backward(self, dout):
        for layer in reversed(self.inner if isinstance(self.inner, list) else [self.inner]):
            dout = layer.backward(dout)
        return dout


def square(size, seed=5):
    return np.random.default_rng(seed).normal(size=(size, size)), np.zeros(size)


def put(net, name, layer, place):
    """Put a layer at a place among the others."""
    net.layers[name] = layer
    names = [key for key in net.layers if key != name]
    names.insert(place, name)
    for key in names:
        net.layers.move_to_end(key)


PLACES = {"before": (0, D), "between": (1, 8), "after": (99, C)}


# --- what is trained ----------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["dict", "list", "ours"])
@pytest.mark.parametrize("settings", [{}, {"use_batchnorm": True}], ids=["plain", "batchnorm"])
def test_gradients_of_all_parameters(kind, place, settings):
    number, size = PLACES[place]
    net = network(weight_decay_lambda=0.3, **settings)
    W, b = square(size)
    layer = {"dict": lambda: Scale(size), "list": lambda: Listed(W, b),
             "ours": lambda: layers.Affine(W, b)}[kind]()  # fmt: skip
    before = [*net.params]
    put(net, "More", layer, number)
    names = {"dict": ["Wide", "shift"], "list": ["0", "1"], "ours": ["W", "b"]}[kind]
    report = gradient_check(net, *data(), samples=6)
    assert report.ok, report
    assert [*net.params] == [*before, *(f"More.{name}" for name in names)]
    assert [*report.checks] == [*net.params]
    # Weight decay is of what is called W, and of matrices without a name.
    judged = {key for key, check in report.penalty.items() if check.verdict == "happy"}
    assert judged == {"W1", "W2", f"More.{names[0]}"}
    numerical = net.numerical_gradient(*data())
    # Centred differences with h = 1e-4 are off by h^2 / 6 times a third derivative, at most the
    # cube of an input (about 3) times that of the weights behind it (about 2).
    for key, g in net.gradient(*data()).items():
        np.testing.assert_allclose(g, numerical[key], rtol=0, atol=1e-8 / 6 * 3**3 * 2**3)


@pytest.mark.parametrize("settings", [{}, {"clip_norm": 0.05}, {"clip_value": 0.01}, {"ema": 0.5}],
                         ids=["plain", "norm", "value", "ema"])  # fmt: skip
def test_fit_trains_as_the_layers_by_hand(settings):
    x, t = data()
    ours, theirs = (network(weight_decay_lambda=0.2) for _ in range(2))
    put(ours, "Own", Listed(*square(8)), 1)
    put(theirs, "Own", layers.Affine(*square(8)), 1)
    history = ours.fit(x, t, 3, 7, optimizers.Momentum(0.1), verbose=False, seed=0, **settings)
    reference = theirs.fit(x, t, 3, 7, optimizers.Momentum(0.1), verbose=False, seed=0, **settings)
    assert (history.route, reference.route) == ("layers", "program")
    assert "Own is of type Listed" in history.reason
    same = dict(zip(ours.params, theirs.params, strict=True))
    # Each of 18 steps rounds sums of up to 40 terms, about 1, and Momentum adds up ten gradients.
    off = {"rtol": 0, "atol": 18 * N * EPS * 10}
    assert same["Own.0"] == "Own.W" and same["W2"] == "W2"
    for key, other in same.items():
        np.testing.assert_allclose(ours.params[key], theirs.params[other], **off)
        if "ema" in settings:
            average = history.averages[key]
            np.testing.assert_allclose(average, reference.averages[other], **off)
    assert ours.params["Own.0"] is ours.layers["Own"].params[0]
    assert not np.array_equal(ours.params["Own.0"], square(8)[0])
    # What is computed with them adds up 5, 8 and 8 products of them.
    off["atol"] *= 5 * 8 * 8
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), **off)
    np.testing.assert_allclose(ours.loss(x, t), theirs.loss(x, t), **off)


def test_trainer_trains_own_layers_and_notices_changes():
    x, t = data()
    net = network()
    trainer = Trainer(net, x, t, x, t, 2, 10, "SGD", {"lr": 0.5}, verbose=False, seed=0)
    trainer.train_step()
    assert trainer.route == "program"
    net.layers["Own"] = Scale(C)
    before = net.layers["Own"].params["shift"].copy()
    trainer.train()
    assert trainer.route == "layers"
    assert not np.array_equal(net.params["Own.shift"], before)


def test_a_training_notices_what_changed_since_the_last_one():
    x, t = data()
    net = network()
    assert net.fit(x, t, 1, verbose=False).route == "program"
    net.layers["Own"] = Scale(C)
    assert net.fit(x, t, 1, verbose=False).route == "layers"
    assert [*net.params][4:] == ["Own.Wide", "Own.shift"]
    del net.layers["Own"]
    assert net.fit(x, t, 1, verbose=False).route == "program"
    assert [*net.params] == ["W1", "b1", "W2", "b2"]


def test_layers_that_are_replaced_moved_and_removed():
    x, t = data()
    net = network()
    old = net.layers["Affine2"]
    net.layers["Affine2"] = layers.Affine(np.ones((8, 4)), np.zeros(4))
    net.layers["Last"] = layers.Affine(np.ones((4, C)), np.zeros(C))
    assert net.fit(x, t, 1, verbose=False).route == "program"
    assert [*net.params] == ["W1", "b1", "W2", "b2", "Last.W", "Last.b"]
    assert net.params["W2"] is net.layers["Affine2"].W and net.params["W2"].shape == (8, 4)
    assert not np.array_equal(net.params["Last.W"], np.ones((4, C)))
    net.layers["Old"] = old
    del net.layers["Last"], net.layers["Affine2"]
    assert sorted(net.gradient(x, t)) == ["Old.W", "Old.b", "W1", "b1"]
    assert net.params["Old.W"] is old.W
    # An array keeps its key wherever its layer is.
    net.layers["Elsewhere"] = net.layers.pop("Affine1")
    net.layers.move_to_end("Elsewhere", last=False)
    assert sorted(net.gradient(x, t)) == ["Old.W", "Old.b", "W1", "b1"]


def test_an_activation_as_the_last_layer():
    x, t = data()
    net = network(loss="mean_squared_error")
    net.layers["Tanh"] = layers.Tanh()
    net.layers["Own"] = Within(layers.Sigmoid())  # nothing to train, and nothing to say
    assert gradient_check(net, x, np.eye(C)[t], samples=4).ok
    assert net.fit(x, np.eye(C)[t], 1, verbose=False).route == "layers"


def test_gradients_of_a_shared_array_are_added():
    net = MultiLayerNetExtend(D, [8, 8], C, "tanh", dtype="float64", seed=3)
    net.layers["Affine2"] = layers.Affine(*square(8))
    net.layers["Again"] = layers.Affine(net.layers["Affine2"].W, np.zeros(8))
    names = [*net.layers]
    for name in names[names.index("Affine2") + 1 : -1]:
        net.layers.move_to_end(name)
    assert [*net.layers][2:4] == ["Affine2", "Again"]
    assert gradient_check(net, *data(), samples=4).ok
    assert [*net.params][6:] == ["Again.b"]
    history = net.fit(*data(), 1, verbose=False)
    assert history.route == "layers" and "two layers share" in history.reason


def test_a_layer_that_holds_arrays_of_params():
    """It need not say more: attributes of these arrays have gradients beside them."""
    net = network()
    net.layers["Affine2"] = Unnamed(net.params["W2"], net.params["b2"])
    assert gradient_check(net, *data(), samples=4).ok
    net.fit(*data(), 1, verbose=False)
    assert net.params["W2"] is net.layers["Affine2"].W and len(net.params) == 4


def test_parameters_that_are_made_in_the_first_pass():
    class Late(Scale):
        def __init__(self):
            self.params, self.grads = {}, {}

        def forward(self, x):
            if not self.params:
                super().__init__(x.shape[1])
            return super().forward(x)

    net = network()
    net.layers["Late"] = Late()
    net.fit(*data(), 2, 10, optimizers.SGD(0.5), verbose=False)
    assert not np.array_equal(net.params["Late.shift"], np.linspace(-0.1, 0.1, C))
    late = network()
    late.layers["Late"] = Late()
    with pytest.raises(ValueError, match="^params: there are others than when training began"):
        late.fit(*data(), 1, ema=0.9, verbose=False)


def test_a_last_layer_with_parameters():
    class Tempered(layers.SoftmaxWithLoss):
        def __init__(self):
            super().__init__()
            self.params = {"T": np.array([2.0])}

        def forward(self, x, t):
            self.given = x
            loss = super().forward(x * self.params["T"], t)
            self.x = x
            return loss

        def backward(self, dout=1):
            d = super().backward(dout)
            self.grads = {"T": np.array([np.sum(d * self.given)])}
            return d * self.params["T"]

    net = network()
    net.last_layer = Tempered()
    assert gradient_check(net, *data(), samples=4).ok
    net.fit(*data(), 1, verbose=False)
    assert net.params["last_layer.T"][0] != 2


# --- kept and copied ----------------------------------------------------------------------


@pytest.mark.parametrize("again", [
    copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), fastnn.ensembles.averaged,
], ids=["deepcopy", "pickle", "averaged"])  # fmt: skip
def test_copies_train_their_own_arrays(again):
    x, t = data()
    net = network()
    put(net, "Own", Listed(*square(8)), 1)
    net.fit(x, t, 1, verbose=False)
    kept = {key: p.copy() for key, p in net.params.items()}
    other = again(net, net.params) if again is fastnn.ensembles.averaged else again(net)
    other.fit(x, t, 1, verbose=False)
    for key, p in net.params.items():
        np.testing.assert_array_equal(p, kept[key])
        assert not np.array_equal(other.params[key], p)
    assert other.params["Own.0"] is other.layers["Own"].params[0]


def test_files_and_checkpoints(tmp_path):
    x, t = data()

    def built():
        net = network()
        put(net, "Own", Scale(8), 1)
        return net

    net, path = built(), tmp_path / "net.npz"
    net.fit(x, t, 2, 7, ema=0.9, seed=0, callbacks=[callbacks.Checkpoint(path)], verbose=False)
    other = built()
    history = callbacks.load_checkpoint(path, other)
    assert other.params["Own.Wide"] is other.layers["Own"].params["Wide"]
    np.testing.assert_array_equal(other.predict(x), net.predict(x))
    net.fit(x, t, 4, 7, resume=net.history, verbose=False)
    other.fit(x, t, 4, 7, resume=history, verbose=False)
    for key, p in net.params.items():
        np.testing.assert_array_equal(other.params[key], p)
    # Another order of the layers is another function.
    put(other, "Own", other.layers["Own"], 2)
    with pytest.raises(ValueError, match="^network: layers: expected "):
        other.load(path)
    with pytest.raises(ValueError, match="^path: expected a network of fastnn's own layers"):
        fastnn.load(path)


def test_a_history_of_other_parameters_is_not_resumed():
    net = network()
    net.fit(*data(), 1, ema=0.9, verbose=False)
    net.layers["Own"] = Scale(C)
    with pytest.raises(ValueError, match="^resume: expected a history with averages of W1"):
        net.fit(*data(), 2, resume=net.history, verbose=False)


class Both(Scale):
    """Has its parameters as attributes too, and computes with these."""

    def __init__(self, size):
        super().__init__(size)
        self.params = {key: p.astype(np.float32) for key, p in self.params.items()}
        self.Wide, self.shift = self.params.values()

    def forward(self, x):
        self.x = x
        return x * self.Wide + self.shift

    def backward(self, dout):
        super().backward(dout)
        return dout * self.Wide


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_checks_in_double_precision_of_layers_in_single(kind):
    W, b = (p.astype(np.float32) for p in square(C))
    layer = Both(C) if kind == "dict" else Listed(W, b)
    net = MultiLayerNetExtend(D, [8], C, "tanh", seed=3)
    net.layers["Own"] = layer
    report = gradient_check(net, *data(), samples=6)
    assert report.ok and report.dtype == "float64"
    assert net.params["Own.Wide" if kind == "dict" else "Own.0"].dtype == np.float32
    report = check_layer(layer, np.random.default_rng(1).normal(size=(4, C)))
    assert report.ok and len(report.checks) == 3


def test_layers_by_themselves_are_checked_with_what_they_name():
    x = np.random.default_rng(1).normal(size=(4, 3))
    for layer, names in ((Scale(3), ["Wide", "shift"]), (Listed(*square(3)), ["0", "1"])):
        report = check_layer(layer, x)
        assert report.ok and [*report.checks] == ["x", *names]


# --- what is refused ----------------------------------------------------------------------


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
    "whole numbers": (
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


def test_params_that_are_empty_say_that_nothing_is_trained():
    net = network()
    net.layers["Own"] = Unnamed(*square(C))
    net.layers["Own"].params = {}
    net.fit(*data(), 1, verbose=False)
    np.testing.assert_array_equal(net.layers["Own"].W, square(C)[0])
    assert len(net.params) == 4


def test_a_layer_that_returns_no_gradient():
    net = network()
    net.layers["Own"] = NoInputGradient(C)
    with pytest.raises(ValueError, match="^layers: expected backward of the layer after Affine2"):
        net.gradient(*data())


@pytest.mark.parametrize("call", ["predict", "loss", "numerical_gradient"])
def test_arrays_of_params_that_are_not_the_layers_are_not_passed_over(call):
    net = network()
    net.params = {key: p.copy() for key, p in net.params.items()}  # to put kept ones back
    with pytest.raises(ValueError, match=r"^params\['W1'\]: expected the array that layers\['Aff"):
        getattr(net, call)(*data()[: 1 if call == "predict" else 2])


@pytest.mark.parametrize("call", ["fit", "gradient", "save"])
def test_params_and_layers_that_contradict_each_other(call, tmp_path):
    def do(net):
        arguments = (tmp_path / "net.npz",) if call == "save" else data()
        getattr(net, call)(*arguments)

    net = network()
    net.params["W1"] = net.params["W1"] * 2
    with pytest.raises(ValueError, match=r"^params\['W1'\]: expected the array that layers\['Aff"):
        do(net)
    net.layers["Affine1"].W = net.params["W1"]  # as the book's load_params does
    do(net)
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


# --- optimizers and losses of one's own ---------------------------------------------------


class Steps:
    lr = 0.1

    def __init__(self, update):
        self.update = update


def rebinding(params, grads):
    for key, p in params.items():
        params[key] = p - 0.1 * grads[key]


def returning(params, grads):
    return {key: p - 0.1 * grads[key] for key, p in params.items()}


def in_place(params, grads):
    for key, p in params.items():
        p -= 0.1 * grads[key]
    return params


@pytest.mark.parametrize("train", ["fit", "Trainer"])
def test_an_optimizer_that_makes_other_arrays_trains_nothing(train):
    def run(net, optimizer):
        if train == "fit":
            net.fit(*data(), 1, optimizer=optimizer, verbose=False)
        else:
            Trainer(net, *data(), *data(), 1, N, optimizer, verbose=False).train_step()

    for update, text in ((rebinding, r"params\['W1'\]"), (returning, "new ones that it returned")):
        net = network()
        before = dict(net.params)
        with pytest.raises(ValueError, match=f"^optimizer: expected update to .* in place.*{text}"):
            run(net, Steps(update))
        assert all(net.params[key] is p for key, p in before.items())
        np.testing.assert_array_equal(net.params["W1"], network().params["W1"])
    net = network()
    run(net, Steps(in_place))
    assert not np.array_equal(net.params["W1"], network().params["W1"])


def test_a_network_of_ones_own_may_look_parameters_up_anew():
    class Line:
        def __init__(self):
            self.params = {"w": np.zeros(1)}
            self.last_layer = Mean()

        def gradient(self, x, t):
            self.last_layer.forward(x * self.params["w"], t)
            return {"w": np.ones(1)}

        def accuracy(self, x, t):
            return 0.0

    net = Line()
    Trainer(net, *data(), *data(), 1, N, Steps(rebinding), verbose=False).train_step()
    assert net.params["w"][0] == -0.1


class Mean:
    def forward(self, x, t):
        self.x, self.loss = x, float(np.mean(x))
        return self.loss

    def backward(self, dout):  # without a default
        return np.full_like(self.x, dout / self.x.size)


class Silent(Mean):
    def forward(self, x, t):
        self.x = x
        return float(np.mean(x))


class Each(Mean):
    def forward(self, x, t):
        super().forward(x, t)
        self.loss = x.mean(axis=1)
        return self.loss


def test_last_layers_of_ones_own():
    net = network()
    net.last_layer = Mean()
    before = net.params["b2"].copy()
    net.fit(*data(), 1, optimizer=optimizers.SGD(1.0), verbose=False)
    np.testing.assert_allclose(before - net.params["b2"], 1 / C, rtol=N * EPS)  # a sum of N
    for last, text in ((Silent(), "got None"), (Each(), r"got an array of shape \(40,\)")):
        net = network()
        net.last_layer = last
        with pytest.raises(TypeError, match=f"^last_layer.loss: expected the mean loss, .*{text}"):
            net.fit(*data(), 1, verbose=False)
        np.testing.assert_array_equal(net.params["W1"], network().params["W1"])


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


# --- forward as it is declared ------------------------------------------------------------


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


# --- what worked before, and has to -------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "mmap_mode"), [({}, None), ({"compress": 1}, None), ({}, "r")]
)
def test_networks_from_joblib_learn(settings, mmap_mode, tmp_path):
    net = network(use_batchnorm=True)
    net.layers["Own"] = Scale(C)
    net.layers["List"] = Listed(*square(C))
    net.gradient(*data())
    path = tmp_path / "net.joblib"
    joblib.dump(net, path, **settings)
    again = joblib.load(path, mmap_mode=mmap_mode)
    assert [*again.params] == [*net.params]
    np.testing.assert_array_equal(again.predict(data()[0]), net.predict(data()[0]))
    if mmap_mode:  # what is mapped to be read, in layers that are not ours, cannot be trained
        return
    for each in (net, again):
        each.fit(*data(), 2, 8, seed=0, verbose=False)
    for key, p in net.params.items():
        np.testing.assert_array_equal(again.params[key], p)
    np.testing.assert_array_equal(again.predict(data()[0]), net.predict(data()[0]))


@pytest.mark.parametrize("how", ["loop", "fit"])
def test_parameters_that_are_taken_out_are_not_trained(how):
    net = network()
    net.fit(*data(), 1, verbose=False)
    frozen = {key: net.params.pop(key) for key in ("W1", "b1")}
    kept = {key: p.copy() for key, p in frozen.items()}
    moved = net.params["W2"].copy()
    if how == "fit":
        net.fit(*data(), 2, 8, verbose=False)
    else:
        for _ in range(2):
            optimizers.SGD(0.1).update(net.params, net.gradient(*data()))
    assert [*net.params] == ["W2", "b2"] and not np.array_equal(net.params["W2"], moved)
    for key, p in kept.items():
        np.testing.assert_array_equal(frozen[key], p)
    for copied in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        copied.fit(*data(), 1, 8, verbose=False)
        assert [*copied.params] == ["W2", "b2"]
        np.testing.assert_array_equal(copied.layers["Affine1"].W, kept["W1"])
    net.params.update(frozen)
    assert sorted(net.gradient(*data())) == ["W1", "W2", "b1", "b2"]


class Keeps:
    """A layer that keeps its input, and the gradient, under names like a parameter's."""

    def forward(self, x):
        self.x = x
        return x

    def backward(self, dout):
        self.dx = dout
        return dout


def test_samples_that_a_layer_keeps_are_no_parameters():
    net = network()
    net.layers = type(net.layers)([("Keeps", Keeps()), *net.layers.items()])
    x, t = data()
    for _ in range(2):
        assert len(net.gradient(x, t)) == 4


class Poly(MultiLayerNetExtend):
    def predict(self, x, train_flg=False):
        return super().predict(np.hstack([x, np.square(x)]), train_flg)


def test_a_trainer_takes_networks_with_a_predict_of_their_own():
    x, t = data()
    net = Poly(2 * D, [8], C, seed=0)
    before = net.params["W1"].copy()
    Trainer(net, x, t, x, t, 2, 8, verbose=False).train()
    assert not np.array_equal(net.params["W1"], before)


def test_an_optimizer_that_returns_what_it_measured():
    def measuring(params, grads):
        for key, p in params.items():
            p -= 0.1 * grads[key]
        return {"norm": 1.0}

    net = network()
    before = net.params["W1"].copy()
    net.fit(*data(), 1, 8, Steps(measuring), verbose=False)
    assert not np.array_equal(net.params["W1"], before)


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


def test_losses_of_ones_own_take_targets_of_other_kinds():
    class Several(layers.SoftmaxWithLoss):
        def forward(self, x, t):
            self.x, self.t, self.p = x, np.asarray(t), 1 / (1 + np.exp(-np.asarray(x)))
            self.loss = float(np.mean(np.square(self.p - self.t)))
            return self.loss

        def backward(self, dout=1):
            return 2 * (self.p - self.t) * self.p * (1 - self.p) / self.p.size

    net = network()
    net.last_layer = Several()
    x, _ = data()
    history = net.fit(x, (x[:, :C] > 0).astype(float), 3, 8, verbose=False)
    assert history.loss[-1] < history.loss[0]
