"""Each activation in a network: routes, inference, files, copies, explanations, diagnostics."""

import copy
import pickle

import numpy as np
import pytest
import rounding
from routes import StepSettings, by_layers

import fastnn
from fastnn import MultiLayerNet, Network, optimizers
from fastnn.diagnostics import activations, dead_units, saturation
from fastnn.gradient_check import gradient_check
from fastnn.layers import (
    Affine,
    BatchNormalization,
    Convolution,
    Dropout,
    Elu,
    Gelu,
    Identity,
    LeakyRelu,
    Relu,
    Sigmoid,
    Silu,
    Softplus,
    Tanh,
)
from fastnn.program import Program
from fastnn.program.data import samples
from fastnn.program.inference import scores_of

N, D, C, BATCH, STEPS = 90, 6, 3, 15, 12

KINDS = {
    "LeakyRelu": LeakyRelu,
    "LeakyRelu 0.3": lambda: LeakyRelu(0.3),
    "Elu": Elu,
    "Elu 1.7": lambda: Elu(1.7),
    "Gelu": Gelu,
    "Gelu tanh": lambda: Gelu("tanh"),
    "Silu": Silu,
    "Softplus": Softplus,
    "Identity": Identity,
}
# With what keeps its output, drops it, or normalises it before and after; two in a row; the last.
STACKS = {
    "plain": lambda kind: [Affine(8), kind(), Affine(7), kind(), Affine(C)],
    "among others": lambda kind: [
        Affine(8), Relu(), kind(), Sigmoid(), kind(), kind(), Affine(7), BatchNormalization(),
        kind(), Dropout(0.2, seed=1), Affine(C), kind(),
    ],
    "with dropout": lambda kind: [
        kind(), Affine(8), kind(), Dropout(0.3, seed=1, inverted=True), kind(),
        Dropout(0.2, seed=2), Affine(C),
    ],
}  # fmt: skip

kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def data(dtype=np.float64):
    rng = np.random.default_rng(1)
    return rng.normal(size=(N, D)).astype(dtype), rng.integers(0, C, N)


def network(stack, kind, dtype=np.float64, **given):
    return Network(STACKS[stack](kind), input_size=D, dtype=dtype, seed=3, **given)


def trained(route, net, dtype):
    """Return parameters and losses after some steps on a route."""
    (x, t), losses = data(dtype), np.zeros(STEPS)
    rows = np.random.default_rng(6).integers(0, N, STEPS * BATCH)
    steps = route(net, optimizers.SGD(0.1), x, t, BATCH, StepSettings())
    steps.run(rows, BATCH, np.full(STEPS, 0.1), losses, np.zeros(STEPS, np.int64))
    return {**net.params, "losses": losses}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stack", STACKS)
@kinds
def test_program_and_layers_agree(kind, stack, dtype):
    expected = trained(by_layers, network(stack, kind, dtype), dtype)

    def again(seed):
        net = network(stack, kind, dtype)
        rounding.moving(net, seed)
        return trained(by_layers, net, dtype)

    limits = rounding.limits(expected, again, group=lambda key: key == "losses")
    found = trained(Program, network(stack, kind, dtype), dtype)
    for key, array in expected.items():
        far = np.abs(found[key] - array).max()
        assert far <= limits[key], f"{key}: {far}, of {limits[key]}"


@kinds
def test_fit_takes_the_program(kind):
    net, (x, t) = network("among others", kind), data()
    history = net.fit(x, t, epochs=2, batch_size=BATCH, verbose=False)
    assert history.route == "program"
    assert np.isfinite(history.loss).all()


@pytest.mark.parametrize("threads", [1, 2])
@kinds
def test_threads_give_the_same_bits(kind, threads):
    before = fastnn.get_num_threads()
    try:
        fastnn.set_num_threads(threads)
        found = trained(Program, network("plain", kind), np.float64)
        fastnn.set_num_threads(1)
        expected = trained(Program, network("plain", kind), np.float64)
    finally:
        fastnn.set_num_threads(before)
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array)


# Dropout before an activation leaves a factor that no weights take: there, layers are called.
@pytest.mark.parametrize("stack", ["plain", "among others"])
@kinds
def test_compiled_inference(kind, stack):
    net, (x, _) = network(stack, kind), data()
    trained(by_layers, net, np.float64)
    found = scores_of([*net.layers.items()], samples(x, 1.0, net.dtype), net.dtype)
    expected = x
    for layer in net.layers.values():
        expected = layer.forward(expected, False)
    eps = 256 * np.finfo(float).eps  # some ten layers, with sums of up to eight products
    np.testing.assert_allclose(found, expected, rtol=eps, atol=eps * np.abs(expected).max())


@kinds
def test_gradient_check(kind):
    net, (x, t) = network("plain", kind), data()
    report = gradient_check(net, x, t)
    assert report.ok, str(report)


@kinds
def test_images_keep_their_axes(kind):
    net = Network(
        [Convolution(4, 3), kind(), Convolution(3, 2), kind(), Affine(C)],
        input_size=(2, 6, 6), seed=0, dtype=np.float64,
    )  # fmt: skip
    rng = np.random.default_rng(2)
    x, t = rng.normal(size=(20, 2, 6, 6)), rng.integers(0, C, 20)
    losses = net.fit(x, t, epochs=3, batch_size=10, verbose=False).loss
    assert losses[-1] < losses[0]


# --- settings ---------------------------------------------------------------------------

SETTINGS = [
    (LeakyRelu, "negative_slope", 0.25, 0.5),
    (Elu, "alpha", 1.5, 0.5),
    (Gelu, "approximate", "none", "tanh"),
]
BAD = [
    (
        LeakyRelu,
        "negative_slope",
        -0.1,
        ValueError,
        "negative_slope: expected a number of at least 0",
    ),
    (
        LeakyRelu,
        "negative_slope",
        "0.1",
        TypeError,
        "negative_slope: expected a number of at least 0",
    ),
    (Elu, "alpha", np.nan, ValueError, "alpha: expected a number of at least 0, got nan"),
    (Gelu, "approximate", "erf", ValueError, "approximate: expected one of none, tanh, got 'erf'"),
]


@pytest.mark.parametrize(("kind", "name", "value", "error", "message"), BAD)
def test_settings_are_checked_when_they_are_set(kind, name, value, error, message):
    with pytest.raises(error, match=message):
        kind(value)
    layer = kind()
    before = getattr(layer, name)
    with pytest.raises(error, match=message):
        setattr(layer, name, value)
    assert getattr(layer, name) == before


@pytest.mark.parametrize(("kind", "name", "value", "other"), SETTINGS)
def test_files_keep_settings(kind, name, value, other, tmp_path):
    net, (x, _) = network("plain", lambda: kind(other)), data()
    net.save(tmp_path / "net")
    loaded = fastnn.load(tmp_path / "net")
    assert getattr(loaded.layers[f"{kind.__name__}1"], name) == other
    np.testing.assert_array_equal(loaded.predict(x), net.predict(x))
    same = network("plain", lambda: kind(value))
    same.load(tmp_path / "net")
    assert getattr(same.layers[f"{kind.__name__}2"], name) == other


@pytest.mark.parametrize(("kind", "name", "value", "other"), SETTINGS)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_keep_settings(copied, kind, name, value, other):
    net, (x, _) = network("plain", lambda: kind(other)), data()
    twin = copied(net)
    assert getattr(twin.layers[f"{kind.__name__}1"], name) == other
    np.testing.assert_array_equal(twin.predict(x), net.predict(x))
    setattr(twin.layers[f"{kind.__name__}1"], name, value)
    assert getattr(net.layers[f"{kind.__name__}1"], name) == other


@pytest.mark.parametrize(("kind", "name", "value", "other"), SETTINGS)
def test_a_changed_setting_makes_another_plan(kind, name, value, other):
    net, (x, t) = network("plain", lambda: kind(value)), data()
    program = Program(net, optimizers.SGD(0.1), x, t, BATCH, StepSettings())
    losses = []
    for now in (value, other, value):
        for layer in net.layers.values():
            if isinstance(layer, kind):
                setattr(layer, name, now)
        loss = np.zeros(1)
        program.run(np.arange(BATCH), BATCH, np.zeros(1), loss, np.zeros(1, np.int64))
        losses.append(float(loss[0]))
    assert losses[0] == losses[2] != losses[1]


# --- what others say of them ------------------------------------------------------------


def test_texts(capsys):
    found = [LeakyRelu(0.2), Elu(1.5), Gelu(), Gelu("tanh"), Silu(), Softplus(), Identity()]
    net = Network([Affine(8), *found, Affine(C)], input_size=D, seed=0)
    for text in ("LeakyRelu(0.2)", "Elu(1.5)", "Gelu()", "Gelu('tanh')", "Softplus()"):
        assert text in str(net.summary())
        assert text in repr(net)
    net.explain()
    said = capsys.readouterr().out
    for label in ("leaky ReLU", "ELU", "GELU", "GELU, tanh form", "SiLU", "softplus"):
        assert f"gradient of {label}" in said
    assert "identity" not in said.lower().replace("identity1", "")


def test_diagnostics():
    found = {name: kind() for name, kind in KINDS.items()} | {"Relu": Relu(), "Tanh": Tanh()}
    layers = {}
    for name, layer in found.items():
        layers |= {f"Affine {name}": Affine(5), name: layer}
    net = Network({**layers, "Last": Affine(C)}, input_size=D, dtype=np.float64, seed=0)
    x, _ = data()
    assert set(activations(net, x)) == set(found) - {"Identity"}
    net.layers["Affine Relu"].b[...] = -1e6
    net.layers["Affine LeakyRelu"].b[...] = -1e6
    assert set(dead_units(net, x)) == {"Relu"}
    assert set(saturation(net, x)) == {"Tanh"}


def test_the_books_networks_name_the_one_that_takes_them():
    with pytest.raises(ValueError, match=r"one of relu, .*, got 'gelu'; fastnn.Network takes"):
        MultiLayerNet(D, [8], C, activation="gelu")
