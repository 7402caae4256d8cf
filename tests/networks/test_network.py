"""Any stack of layers: sizes, names, gradients, routes, files, texts."""

import copy
import math
import pickle
from functools import partial

import joblib
import numpy as np
import pytest
import rounding
from hypothesis import given, settings
from hypothesis import strategies as st
from own_layers import Listed, Mean, Scale, square
from states import everything, expect_same

import fastnn
from fastnn import (
    MultiLayerNet,
    MultiLayerNetExtend,
    Network,
    Trainer,
    ensembles,
    load,
    optimizers,
)
from fastnn.config import use_backend
from fastnn.diagnostics import activations, sanity_checks
from fastnn.gradient_check import gradient_check
from fastnn.initializers import glorot_uniform, he, normal, xavier
from fastnn.layers import (
    Affine,
    AffineRelu,
    BatchNormalization,
    BatchNormRelu,
    Convolution,
    Dropout,
    Identity,
    IdentityWithLoss,
    MaxPool,
    Relu,
    Sigmoid,
    SoftmaxWithLoss,
    Tanh,
)
from fastnn.layers.record import records
from fastnn.second_order import lbfgs

D, C = 6, 3


def data(n=40, shape=(D,), seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, *shape)), rng.integers(C, size=n)


def images(n=20, seed=0):
    return data(n, (2, 6, 6), seed)


def plain(**given):
    return Network([Affine(8), Relu(), Affine(7), Relu(), Affine(C)], **given)


def convolutional(**settings):
    return Network(
        [
            Convolution(4, 3, pad=1), BatchNormalization(), Relu(), MaxPool(2, 2),
            Convolution(3, 2, stride=1), Tanh(), Dropout(0.2), Affine(5), Sigmoid(), Affine(C),
        ],
        **settings,
    )  # fmt: skip


def full(**settings):
    return Network(
        [Affine(8), BatchNormalization(), Relu(), Dropout(0.3), Affine(C)],
        **{"weight_decay_lambda": 0.1} | settings,
    )


# --- the same as the book's networks ----------------------------------------------------


def as_the_books(batchnorm, dropout, activation, **settings):
    """Return a network of MultiLayerNetExtend's layers, in a list."""
    kinds = {"relu": (AffineRelu, BatchNormRelu), "tanh": (Affine, BatchNormalization)}
    affine, norm = kinds[activation]
    stack = []
    for size in (8, 7):
        stack.append(Affine(size, init="he") if batchnorm else affine(size, init="he"))
        stack += [norm()] if batchnorm else []
        stack += [Tanh()] if activation == "tanh" else []
        stack += [Dropout(0.3)] if dropout else []
    return Network([*stack, Affine(C, init="he")], **settings)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("batchnorm", [False, True])
def test_bits_of_the_books_networks(batchnorm, dropout, activation, dtype, backend):
    settings = {"weight_decay_lambda": 0.01, "dtype": dtype, "seed": 3}
    theirs = MultiLayerNetExtend(
        D, [8, 7], C, activation, "he", use_dropout=dropout, dropout_ration=0.3,
        use_batchnorm=batchnorm, **settings,
    )  # fmt: skip
    ours = as_the_books(batchnorm, dropout, activation, input_size=D, **settings)
    x, t = data()
    with use_backend(backend):
        histories = [net.fit(x, t, 2, 8, verbose=False, seed=1) for net in (ours, theirs)]
    assert histories[0].route == histories[1].route
    assert histories[0].step_losses == histories[1].step_losses
    for mine, other in zip(ours.layers.values(), theirs.layers.values(), strict=True):
        assert type(mine) is type(other)
        for name in ("W", "b", "gamma", "beta", "running_mean", "running_var"):
            if hasattr(other, name):
                np.testing.assert_array_equal(getattr(mine, name), getattr(other, name))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [8, 40])
def test_bits_of_layers_that_are_fused(dtype, batch_size):
    theirs = MultiLayerNet(D, [8, 7], C, dtype=dtype, seed=0)
    ours = Network(
        [Affine(8, init="he"), Relu(), Affine(7, init="he"), Relu(), Affine(C, init="he")],
        input_size=D, dtype=dtype, seed=0,
    )  # fmt: skip
    x, t = data()
    histories = [net.fit(x, t, 3, batch_size, verbose=False, seed=1) for net in (ours, theirs)]
    assert [h.route for h in histories] == ["program", "program"]
    assert histories[0].step_losses == histories[1].step_losses
    for mine, other in zip(ours.params.values(), theirs.params.values(), strict=True):
        np.testing.assert_array_equal(mine, other)
    np.testing.assert_array_equal(ours.predict(x), theirs.predict(x))


def test_the_books_networks_are_networks():
    for net in (MultiLayerNet(D, [4], C), MultiLayerNetExtend(D, [4], C, use_dropout=True)):
        assert isinstance(net, Network)
    assert fastnn.Network is Network


# --- sizes ------------------------------------------------------------------------------


def test_sizes_and_keys():
    net = full(input_size=D)
    assert {key: p.shape for key, p in net.params.items()} == {
        "Affine1.W": (D, 8), "Affine1.b": (8,),
        "BatchNormalization1.gamma": (8,), "BatchNormalization1.beta": (8,),
        "Affine2.W": (8, C), "Affine2.b": (C,),
    }  # fmt: skip
    assert list(net.layers) == ["Affine1", "BatchNormalization1", "Relu1", "Dropout1", "Affine2"]
    assert (net.input_size, net.output_size) == (D, C)
    assert len({id(p.base) for p in net.params.values()}) == 1
    for name, layer in net.layers.items():
        for key in ("W", "b", "gamma", "beta"):
            if hasattr(layer, key):
                assert getattr(layer, key) is net.params[f"{name}.{key}"]


def test_names_from_a_dict():
    net = Network({"hidden": Affine(8), "relu": Relu(), "scores": Affine(C)}, input_size=D)
    assert list(net.params) == ["hidden.W", "hidden.b", "scores.W", "scores.b"]


@pytest.mark.parametrize(
    ("call", "size"),
    [
        (lambda net, x, t: net.fit(x, t, verbose=False), D),
        (lambda net, x, t: net.predict(x), D),
        (lambda net, x, t: net.predict(x=x), D),
        (lambda net, x, t: net.loss(x, t), D),
        (lambda net, x, t: net.accuracy(x, t), D),
        (lambda net, x, t: net.gradient(x, t), D),
        (lambda net, x, t: net.numerical_gradient(x[:2], t[:2]), D),
        (lambda net, x, t: net.predict(x.reshape(-1, 1, 2, 3)), D),  # which Affine takes as rows
        (lambda net, x, t: Trainer(net, x, t, x, t, 1, 8, verbose=False).train(), D),
        (lambda net, x, t: gradient_check(net, x, t), D),
        (lambda net, x, t: sanity_checks(net, x, t), D),
        (lambda net, x, t: ensembles.Ensemble([net.fit(x, t, verbose=False) and net]), D),
    ],
)
def test_sizes_come_from_samples(call, size):
    net, (x, t) = plain(seed=0), data()
    assert (net.input_size, net.output_size, net.params) == (None, None, {})
    call(net, x, t)
    assert (net.input_size, net.output_size) == (size, C)
    assert list(net.params) == [f"Affine{i}.{name}" for i in (1, 2, 3) for name in "Wb"]


def test_sizes_from_samples_are_those_that_are_given():
    first, second = plain(seed=4), plain(seed=4, input_size=D)
    x, _ = data()
    np.testing.assert_array_equal(first.predict(x), second.predict(x))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda net, x, t: net.fit(x, t[:3], verbose=False), "^t: expected 40 labels"),
        (lambda net, x, t: net.fit(x[:, :2], t // 2 + 2, verbose=False), "label"),
        (lambda net, x, t: net.fit(x, [*"ab"] * 20, verbose=False), "^t: expected 3 classes"),
        (lambda net, x, t: net.loss(x, t[:3]), "^t: "),
        (lambda net, x, t: net.fit(x, t, verbose=False, validation=2), "^validation: "),
    ],
)
def test_an_error_leaves_a_network_without_sizes(call, error):
    net, (x, t) = plain(seed=0), data()
    with pytest.raises(ValueError, match=error):
        call(net, x, t)
    assert (net.input_size, net.output_size, net.params) == (None, None, {})
    assert net.layers["Affine1"].W is None
    np.testing.assert_array_equal(net.predict(x), plain(seed=0).predict(x))


def test_an_error_after_steps_leaves_the_sizes():
    class Broken(fastnn.callbacks.Callback):
        def on_epoch_end(self, epoch):
            raise ValueError("broken")

    net, (x, t) = plain(seed=0), data()
    with pytest.raises(ValueError, match="broken"):
        net.fit(x, t, 2, callbacks=[Broken()], verbose=False)
    assert net.input_size == D
    assert len(net.history.step_losses) == 1


def test_sizes_from_a_first_layer_that_has_its_weights():
    net = Network([Dropout(0.1, seed=0), Affine(np.ones((D, 4)), np.ones(4)), Relu(), Affine(C)])
    assert (net.input_size, net.output_size) == (D, C)
    np.testing.assert_array_equal(net.params["Affine1.W"], np.ones((D, 4)))


def test_a_layer_that_is_put_in_later():
    net = plain(input_size=D, seed=0)
    net.layers["Affine3"] = Affine(5)
    net.layers["Relu3"] = Relu()
    net.layers["Affine4"] = Affine(4)
    x, _ = data()
    assert net.predict(x).shape == (40, 4)
    assert net.params["Affine4.W"].shape == (5, 4)
    assert net.output_size == 4
    net.layers["Affine4"] = Affine(np.ones((9, 4)), np.ones(4))
    net.layers["Affine5"] = Affine(2)
    with pytest.raises(ValueError, match=r"^layers\['Affine4'\]: expected samples of 9 features"):
        net.gradient(*data())
    assert net.layers["Affine5"].W is None


def test_a_last_layer_that_is_put_in_later_says_how_many_labels_there_are():
    net = plain(input_size=D, seed=0)
    x, _ = data()
    net.layers["Affine3"] = Affine(C + 4)
    net.fit(x, np.arange(len(x)) % (C + 4), verbose=False)
    assert net.output_size == C + 4


def test_networks_of_the_same_layers_train_the_same_arrays():
    x, t = data()
    net = plain(input_size=D, seed=0)
    other = Network(net.layers, loss=net.last_layer, input_size=D)
    shallow = copy.copy(net)
    part = Network([net.layers["Affine1"], net.layers["Relu1"], Affine(C)], input_size=D, seed=1)
    for each in (net, other, shallow, part):
        before = net.layers["Affine1"].W.copy()
        assert each.fit(x, t, verbose=False).route == "program"
        assert not np.array_equal(net.layers["Affine1"].W, before)
    for each in (net, other, shallow, part):
        each.predict(x)
        assert each.params["Affine1.W"] is net.layers["Affine1"].W


@pytest.mark.parametrize("name", ["", 5, None, "last_layer", "a\0b"])
def test_names_of_layers_that_are_put_in_later(name, tmp_path):
    net = plain(input_size=D, seed=0)
    net.layers[name] = Affine(C)
    for use in (partial(net.fit, *data()), partial(net.save, tmp_path / "net.npz")):
        with pytest.raises(ValueError, match="^layers: expected names of layers, got "):
            use()
    assert [*tmp_path.iterdir()] == []
    with pytest.raises(ValueError, match="^layers: expected names of layers, got "):
        Network({name: Affine(C)}, input_size=D)


@pytest.mark.parametrize(
    ("owner", "setting", "values"),
    [
        ("Dropout1", "dropout_ratio", (1.0, -0.1, np.nan, None, "0.5")),
        ("Dropout1", "seed", (-1, 2**64, 0.5, None)),
        ("Dropout1", "step", (-1, 2**64, 0.5, None)),
        ("BatchNormalization1", "momentum", (-1, 2, np.nan, None, "0.5")),
        ("BatchNormalization1", "eps", (-1, np.nan, None, "0.5")),
        ("", "weight_decay_lambda", (-1, np.nan, None, "0.5")),
    ],
)
def test_settings_are_checked_where_they_are_changed(owner, setting, values):
    net = Network([Affine(5), BatchNormalization(), Dropout(0.5), Affine(C)], input_size=D)
    holder = net.layers.get(owner, net)
    before = getattr(holder, setting)
    for value in values:
        with pytest.raises((TypeError, ValueError), match=f"^{setting}: expected an? .*, got "):
            setattr(holder, setting, value)
        assert getattr(holder, setting) == before


ONES = np.ones((5, 4)), np.ones(4)


@pytest.mark.parametrize(
    ("stack", "settings", "error", "text"),
    [
        ([], {}, ValueError, "^layers: expected at least one layer, got none$"),
        (3, {}, TypeError, "^layers: expected a list of layers, or a dict of them, got 3$"),
        ({"last_layer": Affine(C)}, {}, ValueError, "^layers: expected names .*'last_layer'$"),
        ([Affine], {}, TypeError, r"^layers\['type1'\]: expected an object with forward"),
        ([Affine(C), SoftmaxWithLoss()], {}, TypeError, r"^layers\['SoftmaxWithLoss1'\]: "),
        ([Affine(C)], {"loss": "hinge"}, ValueError, "^loss: expected one of .*, got 'hinge'$"),
        ([Affine(C)], {"loss": SoftmaxWithLoss}, TypeError, "^loss: expected one of "),
        ([Affine(C)], {"input_size": 0}, ValueError, "^input_size: expected an integer"),
        ([Affine(C)], {"input_size": (1, 2.5)}, TypeError, r"^input_size\[1\]: "),
        ([Affine(C)], {"input_size": ()}, ValueError, r"^input_size: .*got \(\)$"),
        ([Affine(C)], {"dtype": "int32"}, TypeError, "^dtype: expected float32 or float64"),
        ([Affine(C)], {"seed": -1}, ValueError, "^seed: "),
        (
            [Convolution(4, 3), Affine(C)], {"input_size": 784}, ValueError,
            r"^layers\['Convolution1'\]: expected images of shape \(C, H, W\), got shape \(784,\)$",
        ),
        (
            [Convolution(4, 3), MaxPool(3, 3), MaxPool(3, 3), Affine(C)],
            {"input_size": (1, 6, 6)}, ValueError,
            r"^layers\['MaxPool2'\]: input: expected images that a window of 3 x 3 fits in",
        ),
        (
            [Affine(*ONES), Affine(*ONES)], {}, ValueError,
            r"^layers\['Affine2'\]: expected samples of 5 features, .* got shape \(4,\)$",
        ),
        (
            [Affine(8), BatchNormalization(*ONES[1:], np.ones(4)), Affine(C)], {"input_size": D},
            ValueError, r"^layers\['BatchNormalization1'\]: expected samples for gamma of shape",
        ),
        (
            [Convolution(4, 3)], {"input_size": (1, 6, 6)}, ValueError,
            r"^layers\['Convolution1'\]: expected a last layer that gives scores",
        ),
        (
            [Affine(4, init=lambda shape, rng, dtype: np.ones(3))], {"input_size": D}, ValueError,
            r"^layers\['Affine1'\]: init: expected a function that returns shape \(6, 4\)",
        ),
    ],
)  # fmt: skip
def test_bad_stacks(stack, settings, error, text):
    with pytest.raises(error, match=text):
        Network(copy.deepcopy(stack), **settings)


def test_an_error_builds_no_layer():
    stack = [Affine(4), Relu(), Affine(*ONES)]
    with pytest.raises(ValueError, match="Affine2"):
        Network(stack, input_size=(D + 1))
    Network([*stack[:2], Affine(5)], input_size=D)  # the first one is free to take another size


@pytest.mark.parametrize("use", ["explain", "save", "list"])
def test_without_sizes(use, tmp_path):
    net = plain()
    with pytest.raises(RuntimeError, match=r"^layers\['Affine1'\]: .*input_size.* fit or predict"):
        {
            "explain": lambda: net.explain(),
            "save": lambda: net.save(tmp_path / "net.npz"),
            "list": lambda: ensembles.Ensemble([net]),
        }[use]()


def test_images_without_sizes_cannot_be_explained():
    net = Network(
        [Convolution(np.ones((2, 2, 3, 3)), np.ones(2)), Affine(np.ones((32, C)), ONES[1][:C])]
    )
    assert net.input_size is None and len(net.params) == 4
    with pytest.raises(RuntimeError, match="^network: .*input_size"):
        net.explain()
    x, t = images()
    net.loss(x, t)
    assert net.input_size == (2, 6, 6)


# --- layers made from sizes -------------------------------------------------------------


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


# --- gradients --------------------------------------------------------------------------

STACKS = {
    "affine": (D, lambda: [Affine(5), Affine(C)]),
    "relu": (D, lambda: [Affine(5), Relu(), Affine(C)]),
    "affine, relu in one": (D, lambda: [AffineRelu(5), Affine(C)]),
    "sigmoid": (D, lambda: [Affine(5), Sigmoid(), Affine(C)]),
    "tanh, last": (D, lambda: [Affine(5), Tanh(), Affine(C), Tanh()]),
    "norm": (D, lambda: [BatchNormalization(), Affine(5), BatchNormalization(), Tanh(), Affine(C)]),
    "norm, relu in one": (D, lambda: [Affine(5), BatchNormRelu(), Affine(C)]),
    "dropout": (D, lambda: [Dropout(0.3), Affine(9), Dropout(0.3, inverted=True), Affine(C)]),
    "identity": (D, lambda: [Identity(), Affine(5), Identity(), Affine(C), Identity()]),
    "own": (D, lambda: [Scale(D), Affine(C), Listed(*square(C))]),
    "convolution": ((2, 6, 6), lambda: [Convolution(3, 3, stride=2, pad=1), Tanh(), Affine(C)]),
    "pool": ((2, 6, 6), lambda: [Convolution(3, 3), Tanh(), MaxPool(3, 2, stride=1), Affine(C)]),
    "norm of channels": ((2, 6, 6), lambda: [Convolution(3, 3), BatchNormalization(), Affine(C)]),
    "norm of pixels": ((2, 4, 4), lambda: [BatchNormalization(per_pixel=True), Affine(C)]),
}  # fmt: skip


# Kinds without settings that have to be given stand between two affine layers.
STACKS |= {
    record.label: (D, partial(lambda kind: [Affine(5), kind(), Affine(C)], record.kind))
    for record in records()
    if record.activation and not record.parameters
}


def test_every_kind_is_in_a_stack():
    found = {type(layer) for _, make in STACKS.values() for layer in make()}
    kinds = {record.kind for record in records() if not record.is_loss}
    assert kinds <= found, kinds - found


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("name", STACKS)
def test_gradients_against_differences(name, backend):
    size, make = STACKS[name]
    net = Network(make(), input_size=size, weight_decay_lambda=0.01, dtype="float64", seed=1)
    x, t = data(8, np.atleast_1d(size), seed=2)
    with use_backend(backend):
        report = gradient_check(net, x, t, samples=8)
    assert report.ok, report
    assert report.checks.keys() == net.params.keys()


@pytest.mark.parametrize("loss", ["mse", "mean_squared_error", IdentityWithLoss()])
def test_gradients_of_squared_errors(loss):
    net = Network([Affine(5), Tanh(), Affine(2)], loss=loss, input_size=D, dtype="float64", seed=1)
    x, t = data()[0], data(40, (2,), 5)[0]
    assert gradient_check(net, x, t).ok
    assert net.fit(x, t, 1, 8, verbose=False).route == "program"


def test_a_loss_of_ones_own():
    net = Network([Affine(C)], loss=Mean(), input_size=D, dtype="float64", seed=1)
    x, t = data()
    assert net.loss(x, t) == np.mean(net.predict(x))
    history = net.fit(x, t, 1, 8, verbose=False)
    assert history.reason == "last_layer is of type Mean"


@pytest.mark.slow
def test_a_convolutional_network_against_torch():
    torch = pytest.importorskip("torch")
    net = Network(
        [
            Convolution(4, 3, stride=1, pad=1), BatchNormalization(momentum=0.9, eps=1e-5), Relu(),
            MaxPool(2, 2), Convolution(6, 2), Relu(), Affine(5), Tanh(), Affine(C),
        ],
        input_size=(2, 6, 6), dtype="float64", seed=0,
    )  # fmt: skip
    other = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(),
        torch.nn.MaxPool2d(2), torch.nn.Conv2d(4, 6, 2), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(24, 5), torch.nn.Tanh(), torch.nn.Linear(5, C),
    ).double()  # fmt: skip
    theirs = list(other.parameters())
    for mine, p in zip(net.params.values(), theirs, strict=True):
        p.data = torch.from_numpy(mine.T.copy() if mine.ndim == 2 else mine.copy())
    x, t = images()

    def steps(seed=None):
        ours = copy.deepcopy(net)
        if seed is not None:
            rounding.moving(ours, seed)
        sgd = fastnn.optimizers.SGD(0.1)
        for _ in range(3):
            sgd.update(ours.params, ours.gradient(x, t))
        return ours.params

    optimizer = torch.optim.SGD(other.parameters(), 0.1)
    for _ in range(3):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(other(torch.from_numpy(x)), torch.from_numpy(t))
        loss.backward()
        optimizer.step()
    expected = steps()
    far = rounding.limits(expected, steps, lambda key: "")
    for (key, mine), p in zip(expected.items(), theirs, strict=True):
        other_one = p.detach().numpy()
        np.testing.assert_allclose(
            mine, other_one.T if mine.ndim == 2 else other_one, rtol=0, atol=far[key], err_msg=key
        )


# --- samples ----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 6, 6), (6, 6), (36,), (6, 6, 1)])
def test_samples_in_other_shapes(shape):
    x, t = data(10, (1, 6, 6))
    net = Network([Convolution(2, 3), Relu(), Affine(C)], input_size=(1, 6, 6), seed=0)
    expected = net.gradient(x, t)
    expect_same(net.gradient(x.reshape(10, *shape), t), expected)
    np.testing.assert_array_equal(net.predict(x.reshape(10, *shape)), net.predict(x))
    other = copy.deepcopy(net)
    for each, samples in ((net, x), (other, x.reshape(10, *shape))):
        each.fit(samples, t, 2, 4, seed=0, verbose=False, validation=(samples, t))
    expect_same(everything(other), everything(net))
    assert activations(net, x.reshape(10, *shape)).keys() == {"Relu1"}


@pytest.mark.parametrize("shape", [(2, 3, 6), (6, 2, 3), (3, 12), (35,), (2, 1, 6, 6)])
def test_samples_of_wrong_shapes(shape):
    net = Network([Convolution(2, 2), Affine(C)], input_size=(3, 2, 6), seed=0)
    x, t = np.zeros((4, *shape)), np.zeros(4, int)
    for call in (net.predict, lambda x: net.fit(x, t, verbose=False)):
        with pytest.raises(ValueError, match=r"^x: expected .* shape \(3, 2, 6\), .* 36 features"):
            call(x)


def test_scaled_images():
    x = np.random.default_rng(0).integers(256, size=(30, 784)).astype(np.uint8)
    t = np.random.default_rng(1).integers(C, size=30)
    net = Network([Affine(5), Relu(), Affine(C)], input_scale=1 / 255, seed=0)
    assert net.fit(x.reshape(30, 1, 28, 28), t, 1, 10, seed=0, verbose=False).route == "program"
    other = Network([Affine(5), Relu(), Affine(C)], input_size=784, input_scale=1 / 255, seed=0)
    other.fit(x, t, 1, 10, seed=0, verbose=False)
    expect_same(net.params, other.params)


# --- routes -----------------------------------------------------------------------------


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
        (lambda: convolutional(input_size=(2, 6, 6)), "Convolution1 is of type Convolution"),
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
    assert capsys.readouterr().out.startswith(
        "route: layer by layer (Convolution1 is of type Convolution)"
    )


# --- layers of the user's own -----------------------------------------------------------


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


# --- copies and files -------------------------------------------------------------------

MADE = {
    "plain": lambda: plain(input_size=D, seed=0),
    "without sizes": lambda: plain(seed=0),
    "full": lambda: full(input_size=D, seed=0, dtype="float64", input_scale=0.5),
    "squared error": lambda: Network([Affine(C)], loss="mse", input_size=D),
    "images": lambda: convolutional(input_size=(2, 6, 6), seed=0),
}


def of(name):
    x, t = images() if name == "images" else data()
    return x, np.eye(C)[t] if name == "squared error" else t


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("way", ["deepcopy", "pickle", "joblib", "file", "file, used"])
def test_copies(name, way, tmp_path):
    net, (x, t) = MADE[name](), of(name)
    if way.startswith("file") or name != "without sizes":
        net.fit(x, t, 1, 8, seed=0, verbose=False)

    def filed(net):
        path = tmp_path / "net.npz"
        net.save(path)
        if way == "file":
            return load(path)
        other = MADE[name]()
        other.load(path)
        return other

    def dumped(net):
        joblib.dump(net, tmp_path / "net.joblib")
        return joblib.load(tmp_path / "net.joblib")

    ways = {
        "deepcopy": copy.deepcopy,
        "pickle": lambda net: pickle.loads(pickle.dumps(net)),
        "joblib": dumped,
        "file": filed,
        "file, used": filed,
    }
    again = ways[way](net)
    assert type(again) is Network
    assert repr(again) == repr(net)
    assert repr(again.summary()) == repr(net.summary())
    expect_same(everything(again), everything(net))
    before = copy.deepcopy(everything(net))
    for each in (net, again):
        each.fit(x, t, 1, 8, seed=1, verbose=False)
    expect_same(everything(again), everything(net))
    assert again.history.step_losses == net.history.step_losses
    if before:
        assert any((before[key] != p).any() for key, p in net.params.items())


def test_files_of_other_stacks(tmp_path):
    path = tmp_path / "net.npz"
    full(input_size=D).save(path)
    for other in (plain(input_size=D), plain()):
        before = everything(other)
        with pytest.raises(
            ValueError, match="^network: (parameters|layers): expected .*, as in the file"
        ):
            other.load(path)
        expect_same(everything(other), before)
    assert other.input_size is None
    Network([Affine(4), Scale(4), Affine(C)], input_size=D).save(path)
    with pytest.raises(ValueError, match="^path: expected .*Scale.*: build it as your script does"):
        load(path)
    Network([Affine(C)], loss=Mean(), input_size=D).save(path)
    with pytest.raises(ValueError, match="^path: expected .*Mean"):
        load(path)


def test_a_class_of_ones_own_comes_back_as_a_network(tmp_path):
    class Own(Network):
        pass

    Own([Affine(C)], input_size=D).save(tmp_path / "net.npz")
    assert type(load(tmp_path / "net.npz")) is Network


def test_what_is_not_trained_stays_so_in_files(tmp_path):
    net, (x, t) = plain(input_size=D, seed=0), data()
    first = net.params.pop("Affine1.W").copy()
    net.fit(x, t, 1, 8, verbose=False)
    net.save(tmp_path / "net.npz")
    again = load(tmp_path / "net.npz")
    assert list(again.params) == list(net.params)
    np.testing.assert_array_equal(again.layers["Affine1"].W, first)
    np.testing.assert_array_equal(again.predict(x), net.predict(x))
    again.fit(x, t, 1, 8, verbose=False)
    np.testing.assert_array_equal(again.layers["Affine1"].W, first)


def test_keys_and_shared_arrays_come_back(tmp_path):
    net = Network({"in": Affine(D), "out": Affine(D), "last": Affine(C)}, input_size=D, seed=0)
    net.layers["out"].W = net.layers["in"].W
    x, t = data()
    net.gradient(x, t)
    net.layers["renamed"] = net.layers.pop("last")
    net.gradient(x, t)
    net.save(tmp_path / "net.npz")
    again = load(tmp_path / "net.npz")
    assert again.layers["out"].W is again.layers["in"].W
    assert list(again.params) == list(net.params)
    expect_same(again.gradient(x, t), net.gradient(x, t))


def test_checkpoints_go_on(tmp_path):
    x, t = images()
    path = tmp_path / "point.npz"
    whole = convolutional(input_size=(2, 6, 6), seed=0)
    whole.fit(x, t, 3, 8, seed=0, verbose=False)
    net = convolutional(input_size=(2, 6, 6), seed=0)
    net.fit(x, t, 1, 8, seed=0, verbose=False, callbacks=[fastnn.callbacks.Checkpoint(path)])
    again = load(path)
    history = fastnn.callbacks.load_checkpoint(path, again)
    again.fit(x, t, 3, 8, resume=history, verbose=False)
    expect_same(everything(again), everything(whole))


# --- what takes networks ----------------------------------------------------------------


def test_techniques():
    x, t = data()
    members = [full(input_size=D, seed=seed) for seed in range(2)]
    snapshots = ensembles.Snapshots(every=1)
    for net in members:
        net.fit(x, t, 2, 8, verbose=False, ema=0.9, callbacks=[snapshots])
    team = ensembles.Ensemble(members)
    np.testing.assert_allclose(team.predict(x).sum(axis=1), 1, rtol=4 * np.finfo(np.float32).eps)
    assert type(snapshots.networks[0]) is Network
    assert type(ensembles.averaged(net, net.history.averages, x)) is Network
    ensembles.distill(plain(input_size=D), team, x, verbose=False)
    smooth = Network([Affine(4), Tanh(), Affine(C)], dtype="float64", input_size=D, seed=0)
    result = lbfgs(smooth, x, t, 5, verbose=False)
    assert result.loss[-1] < result.loss[0]


# --- texts ------------------------------------------------------------------------------


def test_summary():
    assert str(convolutional(input_size=(2, 6, 6)).summary()).splitlines() == [
        "layer                kind                                output        parameters",
        "Convolution1         Convolution(4, 3, stride=1, pad=1)  (N, 4, 6, 6)          76",
        "BatchNormalization1  BatchNormalization()                (N, 4, 6, 6)           8",
        "Relu1                Relu()                              (N, 4, 6, 6)           0",
        "MaxPool1             MaxPool(2, 2)                       (N, 4, 3, 3)           0",
        "Convolution2         Convolution(3, 2, stride=1, pad=0)  (N, 3, 2, 2)          51",
        "Tanh1                Tanh()                              (N, 3, 2, 2)           0",
        "Dropout1             Dropout(0.2)                        (N, 3, 2, 2)           0",
        "Affine1              Affine(5)                           (N, 5)                65",
        "Sigmoid1             Sigmoid()                           (N, 5)                 0",
        "Affine2              Affine(3)                           (N, 3)                18",
        "total                                                                         218",
    ]


def test_summary_without_sizes():
    lines = str(Network([Affine(4), Scale(4)]).summary()).splitlines()
    assert lines == [
        "layer    kind       output  parameters",
        "Affine1  Affine(4)  ?                ?",
        "Scale1   Scale()    ?                ?",
        "total                                ?",
    ]


def test_summary_of_the_books_network():
    summary = MultiLayerNet(784, [100], 10).summary()
    assert summary.total == 79_510
    assert summary.rows == [
        ("Affine1", "AffineRelu(100)", (100,), 78_500), ("Affine2", "Affine(10)", (10,), 1_010),
    ]  # fmt: skip


def test_summary_in_notebooks():
    html = Network({"<a>": Affine(1000), "b": Affine(C)}, input_size=D).summary()._repr_html_()
    assert "<td" in html and "&lt;a&gt;" in html and ">7,000<" in html


def test_repr():
    net = Network(
        [Convolution(2, (3, 2), pad=1), MaxPool(2, 2, stride=1), Dropout(0.25, inverted=True),
         BatchNormalization(per_pixel=True), Scale(1), Affine(C)], loss="mse", dtype="float64",
    )  # fmt: skip
    assert repr(net) == (
        "Network([Convolution(2, (3, 2), stride=1, pad=1), MaxPool(2, 2, stride=1), "
        "Dropout(0.25, inverted=True), BatchNormalization(per_pixel=True), Scale(), Affine(3)], "
        "loss='mean_squared_error', input_size=None, dtype=float64)"
    )
    assert repr(MultiLayerNet(D, [4], C)) == (
        "MultiLayerNet([AffineRelu(4), Affine(3)], loss='cross_entropy', input_size=6, "
        "dtype=float32)"
    )
