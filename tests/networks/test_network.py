"""Any stack of layers: sizes, names, gradients, samples."""

import copy
from functools import partial

import numpy as np
import pytest
import rounding
from own_layers import Listed, Mean, Scale, square
from small_networks import C, D, data, full, images, plain
from states import everything, expect_same

import fastnn
from fastnn import MultiLayerNet, MultiLayerNetExtend, Network, Trainer, ensembles
from fastnn.config import use_backend
from fastnn.diagnostics import activations, sanity_checks
from fastnn.gradient_check import gradient_check
from fastnn.layers import (
    Affine,
    AffineRelu,
    BatchNormalization,
    BatchNormRelu,
    Convolution,
    Dropout,
    Flatten,
    Identity,
    IdentityWithLoss,
    LayerNormalization,
    MaxPool,
    Relu,
    Sigmoid,
    SoftmaxWithLoss,
    Tanh,
)
from fastnn.layers.record import records
from fastnn.second_order import lbfgs

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
    "layer norm": (D, lambda: [Affine(5), LayerNormalization(), Tanh(), Affine(C)]),
    "layer norm of images": ((2, 3, 2), lambda: [LayerNormalization(), Affine(C)]),
    "flatten": ((2, 3, 2), lambda: [Flatten(), Affine(5), Tanh(), Affine(C)]),
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
