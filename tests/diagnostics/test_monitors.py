"""Monitors: what they measure, that they change nothing, what is said and drawn of it."""

import builtins
import copy
import io
import math
import warnings
from collections import OrderedDict
from itertools import pairwise

import numpy as np
import pytest
from routes import by_layers, replace_program
from states import everything, expect_same

from fastnn import MultiLayerNet, MultiLayerNetExtend, layers, ops, optimizers
from fastnn.callbacks import Callback
from fastnn.diagnostics import (
    Distribution,
    Monitor,
    activation_gradients,
    activations,
    dashboard,
    dead_units,
    diagnose,
    saturation,
    update_ratio,
    weight_images,
)
from fastnn.fit import History

D, C = 9, 3
EPS = np.finfo(np.float32).eps
EPS64 = np.finfo(np.float64).eps


def data(n=80, seed=910):
    rng = np.random.default_rng(seed)
    t = rng.integers(C, size=n)
    return (2 * np.eye(C, D)[t] + rng.normal(size=(n, D))).astype(np.float32), t


def network(**settings):
    return MultiLayerNet(D, [8, 7], C, **{"seed": 0} | settings)


def full_network(**settings):
    """One in which training changes more than the parameters."""
    return MultiLayerNetExtend(
        D, [8, 7], C, use_batchnorm=True, use_dropout=True, dropout_ration=0.2, seed=0, **settings
    )


def fit(net, epochs=3, **settings):
    return net.fit(*data(), epochs, 16, **{"verbose": False, "seed": 0} | settings)


def copies(net):
    return {key: p.copy() for key, p in net.params.items()}


# --- layers ------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_activations_and_gradients(activation):
    """Against the formulas in NumPy, float64."""
    net = network(activation=activation, dtype="float64", input_scale=0.5)
    x, t = data(20)
    functions = {
        "relu": (lambda z: np.maximum(z, 0), lambda y: y > 0),
        "sigmoid": (lambda z: 1 / (1 + np.exp(-z)), lambda y: y * (1 - y)),
        "tanh": (np.tanh, lambda y: 1 - y**2),
    }
    f, slope = functions[activation]
    p = net.params
    y1 = f(0.5 * x.astype(np.float64) @ p["W1"] + p["b1"])
    y2 = f(y1 @ p["W2"] + p["b2"])
    g3 = (ops.softmax(y2 @ p["W3"] + p["b3"]) - np.eye(C)[t]) / 20
    g2 = g3 @ p["W3"].T
    g1 = (g2 * slope(y2)) @ p["W2"].T
    names = ["Affine1", "Affine2"] if activation == "relu" else ["Activation_function1", "Activation_function2"]  # fmt: skip # noqa: E501
    seen = activations(net, x)
    assert list(seen) == names
    gradients = activation_gradients(net, x, t)
    assert list(gradients) == [*names, "Affine3"]
    for got, expected in zip([*seen.values(), *gradients.values()], [y1, y2, g1, g2, g3], strict=True):  # fmt: skip # noqa: E501
        # Three layers forward and three back, each with sums of D or 8 terms.
        limit = 6 * max(D, 8) * EPS64 * np.abs(expected).max()
        np.testing.assert_allclose(got, expected, rtol=0, atol=limit)


def test_activations_are_those_before_dropout_and_after_normalisation():
    seen = activations(full_network(activation="tanh"), data(20)[0])
    assert list(seen) == ["Activation_function1", "Activation_function2"]
    seen = activations(full_network(), data(20)[0])
    assert list(seen) == ["BatchNorm1", "BatchNorm2"]
    assert min(y.min() for y in seen.values()) == 0
    assert activations(MultiLayerNet(D, [], C), data(5)[0]) == {}


@pytest.mark.parametrize("name", ["full", "sigmoid", "convolution"])
def test_looking_changes_nothing(name):
    net = {"full": full_network, "sigmoid": lambda: network(activation="sigmoid")}.get(
        name, convolutional
    )()
    x, t = (images(), np.zeros(6, int)) if name == "convolution" else data(20)
    before = copy.deepcopy((net.params, getattr(net, "layers", None)))
    state = everything(net)
    for look in (activations, dead_units, saturation):
        look(net, x)
    activation_gradients(net, x, t)
    Monitor(x, t).measure(net, 0)
    expect_same(everything(net), state)
    for key, layer in before[1].items():  # nor what layers have kept for a backward pass
        kept, now = vars(layer), vars(net.layers[key])
        assert kept.keys() == now.keys()
        for attribute, value in kept.items():
            np.testing.assert_array_equal(now[attribute], value)


def convolutional():
    """Something with layers that is no network of fastnn."""

    class Plain:
        def __init__(self):
            rng = np.random.default_rng(920)
            W, b = rng.normal(size=(4, 1, 3, 3)), np.zeros(4)
            V = rng.normal(size=(4 * 4 * 4, C))
            self.params = {"W1": W, "b1": b, "W2": V}
            self.layers = OrderedDict(
                Conv1=layers.Convolution(W, b), Relu1=layers.Relu(),
                Affine1=layers.Affine(V, np.zeros(C)),
            )  # fmt: skip
            self.last_layer = layers.SoftmaxWithLoss()

    return Plain()


def images():
    return np.random.default_rng(921).normal(size=(6, 1, 6, 6))


def test_networks_of_other_kinds():
    net = convolutional()
    net.params["b1"][1] = -1000
    x, t = images(), np.zeros(6, int)
    assert activations(net, x)["Relu1"].shape == (6, 4, 4, 4)
    assert dead_units(net, x)["Relu1"].tolist() == [False, True, False, False]
    net.layers = list(net.layers.values())  # the book's networks have one or the other
    assert list(activation_gradients(net, x, t)) == ["Relu2", "Affine3"]


def test_planted_dead_units():
    net = network()
    net.params["b1"][[2, 5]] = -100
    net.params["b2"][:] = -100
    dead = dead_units(net, data()[0])
    assert np.flatnonzero(dead["Affine1"]).tolist() == [2, 5]
    assert dead["Affine2"].all()
    assert dead_units(network(activation="tanh"), data()[0]) == {}


@pytest.mark.parametrize(("activation", "low", "high"), [("sigmoid", 0.01, 0.99), ("tanh", -0.98, 0.98)])  # fmt: skip # noqa: E501
def test_planted_saturation(activation, low, high):
    net = network(activation=activation)
    net.params["W1"] *= 3
    net.params["b2"][:4] = 100
    net.params["b2"][4:] = -100
    shares = saturation(net, data()[0])
    y = activations(net, data()[0])["Activation_function1"]
    assert shares["Activation_function1"] == np.mean((y < low) | (y > high)) > 0.1
    assert shares["Activation_function2"] == 1
    assert saturation(network(), data()[0]) == {}


# --- updates -----------------------------------------------------------------------------


def test_update_ratio():
    before = {"W": np.array([[3.0, 4.0]]), "b": np.zeros(2), "c": np.array([np.nan])}
    ratios = update_ratio(before, {"W": [[3.0, 4.5]], "b": [1.0, 0.0], "c": [0.0]})
    assert ratios["W"] == 0.1
    assert math.isnan(ratios["b"]) and math.isnan(ratios["c"])


def test_ratio_of_an_sgd_step_is_rate_times_gradient():
    net = network(dtype="float64")
    x, t = data()
    before, grads = copies(net), net.gradient(x, t)
    optimizers.SGD(0.1).update(net.params, grads)
    ratios = update_ratio(before, net.params)
    for key in ("W1", "W2", "W3"):
        expected = np.linalg.norm(0.1 * grads[key]) / np.linalg.norm(before[key])
        # Its parameters are rounded, of which the step is that part.
        assert ratios[key] == pytest.approx(expected, rel=before[key].size * EPS64, abs=2 * EPS64)


# --- a monitor in a training -------------------------------------------------------------


@pytest.fixture(params=["program", "layers"])
def route(request, monkeypatch):
    if request.param == "layers":
        replace_program(monkeypatch, by_layers)
    return request.param


class Steps(Callback):
    """Keeps the parameters after every step."""

    every_steps = 1

    def on_train_begin(self):
        self.params = {len(self.history.step_losses): copies(self.network)}

    def on_steps_end(self, step):
        self.params[step] = copies(self.network)


def test_ratios_are_those_of_the_measured_steps(route):
    net, monitor, steps = full_network(), Monitor(*data(30), every=4), Steps()
    history = fit(net, optimizer=optimizers.Adam(0.01), callbacks=[monitor, steps])  # 15 steps
    assert history.route == route
    assert monitor.steps == [0, 1, 4, 8, 12, 15]
    for i, step in enumerate(monitor.steps):
        got = {key: values[i] for key, values in monitor.ratios.items()}
        if step in (0, 15):  # the end comes without notice
            assert all(map(math.isnan, got.values()))
        else:
            expected = update_ratio(steps.params[step - 1], steps.params[step])
            np.testing.assert_equal(got, expected)
    assert monitor.ratios["W1"][1] > 0 and math.isnan(monitor.ratios["b1"][1])
    for recorded in (monitor.activations, monitor.gradients, monitor.dead):
        assert all(len(values) == 6 for values in recorded.values())
    assert list(monitor.gradients) == ["BatchNorm1", "BatchNorm2", "Affine3"]
    assert repr(monitor) == "Monitor(6 measurements, steps 0 to 15)"


def test_it_stops_no_more_than_it_must():
    monitor, stops = Monitor(*data(5), every=4), [0]
    while stops[-1] < 12:
        stops.append(monitor.next_stop(stops[-1]))
    assert stops == [0, 1, 3, 4, 7, 8, 11, 12]
    assert Monitor(*data(5), every=1).next_stop(5) == 6


def test_a_monitor_changes_no_bit_of_a_training(route):
    plain, watched = full_network(), full_network()
    settings = {"validation": 0.2, "optimizer": "adam"}
    expected = fit(plain, **settings)
    history = fit(watched, **settings, callbacks=[Monitor(*data(30), every=2)])
    expect_same(everything(watched), everything(plain))
    for kept in (*expected.metrics, "step_losses", "step_hits"):
        assert getattr(history, kept) == getattr(expected, kept)


def test_it_measures_what_the_functions_return():
    net, (x, t) = network(), data(30)
    monitor = Monitor(x, t)
    monitor.measure(net, 5)
    assert monitor.steps == [5]
    for recorded, looked in (
        (monitor.activations, activations(net, x)),
        (monitor.gradients, activation_gradients(net, x, t)),
    ):
        assert list(recorded) == list(looked)
        for name, values in looked.items():
            assert recorded[name][0].std == np.std(values, dtype=np.float64)
            assert recorded[name][0].counts.sum() == values.size
    assert monitor.dead == {name: [dead.mean()] for name, dead in dead_units(net, x).items()}


def test_distribution():
    d = Distribution.of([[0.0, 0.0, -1.0], [2.0, 3.0, np.nan]])
    assert (d.mean, d.zeros) == (0.8, 2 / 6)
    assert d.std == np.std([0, 0, -1, 2, 3])
    np.testing.assert_array_equal(
        d.magnitudes, np.quantile([1, 2, 3], [0.05, 0.25, 0.5, 0.75, 0.95])
    )
    assert d.edges[[0, -1]].tolist() == [-1, 3] and d.counts.sum() == 5
    many = np.random.default_rng(930).normal(size=(300, 200)).astype(np.float32)
    d = Distribution.of(many)
    assert d.std == np.std(many, dtype=np.float64) and d.counts.sum() == 10_000
    assert d.edges[[0, -1]].tolist() == [many.min(), many.max()]
    # 0.674 is the quartile of the normal distribution, its density there 0.318.
    assert abs(d.magnitudes[2] - 0.674) < 4 * math.sqrt(0.25 / 10_000) / (2 * 0.318)
    nothing = Distribution.of([np.inf, np.nan])
    assert math.isnan(nothing.std) and nothing.counts.sum() == 0
    constant = Distribution.of(np.full(7, 0.5))
    assert constant.std == 0 and constant.counts.sum() == 7
    assert Distribution.of(np.zeros(3)).magnitudes.tolist() == [0] * 5


@pytest.mark.parametrize(
    "values",
    [
        np.float32([1, 1.0000001]), [1, 1 + EPS64, 1], [0, 5e-324], [5e-324], [1e30] * 3,
        [-1.7e308, 1.7e308], [1.7e308] * 2, np.float32([-3e38, 3e38]), [1e-310, 1e-309, 0],
    ],
    ids=str,
)  # fmt: skip
def test_distributions_of_extreme_numbers(values):
    d = Distribution.of(values)
    assert d.counts.sum() == len(values) and d.edges.shape == (41,)
    assert np.isfinite(d.edges).all() and (np.diff(d.edges) >= 0).all()
    assert d.edges[0] <= min(values) and max(values) <= d.edges[-1]
    assert d.counts[0] + d.counts[-1] > 0 or min(values) == max(values) or d.std < 1e-12


def test_a_monitor_does_not_end_the_training_that_it_watches():
    x, t = data()  # its activations are 0.5, some digits in the last place aside
    net, monitor = network(activation="sigmoid", weight_init_std=1e-6), Monitor(x, t, every=1)
    fit(net, callbacks=[monitor])
    assert monitor.steps[-1] == 15


def test_a_resumed_training_and_a_new_one():
    net, optimizer, monitor = network(), optimizers.Adam(), Monitor(*data(30), every=4)
    history = fit(net, 1, optimizer=optimizer, callbacks=[monitor])
    assert monitor.steps == [0, 1, 4, 5]
    fit(net, 3, optimizer=optimizer, callbacks=[monitor], resume=history)
    assert monitor.steps == [0, 1, 4, 5, 8, 12, 15]
    other = Monitor(*data(30), every=4)
    fit(net, 4, optimizer=optimizer, callbacks=[other], resume=history)
    assert other.steps == [15, 16, 20]
    assert not math.isnan(other.ratios["W1"][1])
    fit(network(), 1, callbacks=[monitor])
    assert monitor.steps == [0, 1, 4, 5] and len(monitor.dead["Affine1"]) == 4


def test_bad_arguments():
    x, t = data(5)
    with pytest.raises(ValueError, match="^every: expected an integer from 1"):
        Monitor(x, t, every=0)
    net = network()
    with pytest.raises(ValueError, match="^Monitor: x: expected .* of 9 features.*got \\(5, 4\\)"):
        fit(net, callbacks=[Monitor(x[:, :4], t)])
    with pytest.raises(ValueError, match="^Monitor: t: expected labels from 0 to 2, got 3"):
        fit(net, callbacks=[Monitor(x, t + 3 - t.max() + 0 * t)])
    expect_same(everything(net), everything(network()))
    monitor = Monitor(x, t)
    with pytest.raises(RuntimeError, match="^Monitor.report: it has no history"):
        monitor.report()
    monitor.measure(net, 3)
    with pytest.raises(ValueError, match="^step: expected an integer from 4"):
        monitor.measure(net, 3)
    for look in (activations, dead_units, saturation):
        with pytest.raises(TypeError, match="^network: expected one with `layers`"):
            look(object(), x)
        with pytest.raises(ValueError, match="^x: expected samples of shape"):
            look(net, x[0])
    with pytest.raises(ValueError, match="^after: expected W of shape \\(2,\\), got \\(3,\\)"):
        update_ratio({"W": np.ones(2)}, {"W": np.ones(3)})
    with pytest.raises(ValueError, match="^after: expected parameters \\['W'\\], got \\['V'\\]"):
        update_ratio({"W": np.ones(2)}, {"V": np.ones(2)})


def test_what_is_no_training():
    monitor, history = Monitor(*data(5)), history_of(FALLING)
    monitor.measure(network(), 0)
    for call, name in (
        (lambda: diagnose(3), "history"),
        (lambda: diagnose(history, 3), "monitor"),
        (lambda: dashboard(3, monitor, network()), "history"),
        (lambda: dashboard(history, None, network()), "monitor"),
        (lambda: dashboard(history, monitor, 3), "network"),
        (lambda: update_ratio(3, {}), "before"),
        (lambda: update_ratio({}, 4), "after"),
        (lambda: monitor.measure(object(), 1), "network"),
    ):
        with pytest.raises(TypeError, match=f"^{name}: expected .*, got "):
            call()


# --- verdicts ----------------------------------------------------------------------------


def history_of(losses, accuracy=(), val_accuracy=(), steps=10):
    epochs = np.reshape(losses, (-1, steps))
    return History(
        ("loss",), steps * 10, 10, 0, loss=epochs.mean(axis=1).tolist(), step_losses=list(losses),
        accuracy=list(accuracy), val_accuracy=list(val_accuracy),
    )  # fmt: skip


STEP = np.arange(200)
FALLING = 2.3 * np.exp(-STEP / 30)


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (FALLING, []),
        (np.where(STEP < 50, FALLING, np.nan), ["learning rate too high"]),
        (np.where(STEP < 50, FALLING, np.inf), ["learning rate too high"]),
        (np.where(STEP == 3, 50.0, FALLING), ["learning rate too high"]),
        (np.maximum(FALLING, 2.0 * (STEP > 150)), ["learning rate too high"]),
        (2.3 - 0.002 * STEP, ["learning rate too low"]),
        (np.full(200, 2.3), ["loss does not fall"]),
    ],
)
def test_what_a_curve_says(losses, expected):
    noise = 1 + 0.01 * np.random.default_rng(940).normal(size=200)
    assert diagnose(history_of(losses * noise)).sicknesses == expected


@pytest.mark.parametrize(
    ("train", "validation", "expected"),
    [
        ([0.8, 0.9, 0.95, 0.99, 1.0], [0.7, 0.75, 0.75, 0.75, 0.75], ["overfitting"]),
        ([0.8, 0.9, 0.95, 0.96, 0.97], [0.8, 0.88, 0.92, 0.93, 0.94], []),
        ([0.4, 0.5, 0.55, 0.56, 0.56], [0.4, 0.5, 0.55, 0.56, 0.56], ["capacity too small"]),
        ([0.3, 0.4, 0.5, 0.6, 0.7], [0.3, 0.4, 0.5, 0.6, 0.7], []),  # it still learns
    ],
)
def test_what_accuracies_say(train, validation, expected):
    verdict = diagnose(history_of(FALLING[:100], train, validation, steps=20))
    assert verdict.sicknesses == expected
    assert verdict.healthy == (not expected)
    for finding in verdict.findings:
        assert f"{train[-1]:.3f} in training, {validation[-1]:.3f}" in finding.evidence[0]


def mnist(n=2000):
    from fastnn.datasets import load_mnist

    (x, t), _ = load_mnist(subset="bundled")
    return x[:n], t[:n]


def watched(rate=0.03, epochs=4, plant=None, **settings):
    """Train on MNIST; return the network, history and monitor."""
    x, t = mnist()
    net = MultiLayerNetExtend(784, [50] * 4, 10, **{"seed": 0} | settings)
    if plant is not None:
        plant(net)
    monitor = Monitor(x[:200], t[:200], every=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # it diverges on purpose
        history = net.fit(
            x, t, epochs, 50, optimizers.SGD(rate), validation=0.1, callbacks=[monitor],
            verbose=False, seed=0,
        )  # fmt: skip
    return net, history, monitor


def kill(net):
    net.params["b2"][:40] = -100


SICK = {
    "nan": ("learning rate too high", {"rate": 10.0}, ["the loss became", "updates are"]),
    "low": ("learning rate too low", {"rate": 1e-4}, ["times below 1e-3"]),
    "small": ("bad initial values", {"weight_init_std": 0.01}, ["activations collapse", "vanish"]),
    "large": (
        "bad initial values",
        {"weight_init_std": 1.0},
        ["activations explode", "in Affine4", "the loss became"],
    ),
    "saturated": (
        "bad initial values",
        {"weight_init_std": 1.0, "activation": "tanh"},
        ["saturated activations at the start: Activation_function1"],
    ),
    "dead": ("bad initial values", {"plant": kill}, ["dead units at the start: Affine2 82%"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SICK)
def test_planted_sicknesses_are_named(name):
    sickness, settings, evidence = SICK[name]
    _, _, monitor = watched(**settings)
    verdict = monitor.report()
    assert verdict.sicknesses == [sickness]
    text = str(verdict)
    assert text.startswith("suspicious: loss ")
    for words in evidence:
        assert words in text


@pytest.mark.parametrize(
    "settings", [{}, {"activation": "tanh", "weight_init_std": "xavier"}, {"use_batchnorm": True}]
)
def test_nothing_is_said_of_a_healthy_training(settings):
    _, history, monitor = watched(epochs=6, **settings)
    assert history.accuracy[-1] > 0.8
    verdict = monitor.report()
    assert verdict.healthy, str(verdict)
    assert str(verdict).startswith("nothing suspicious: loss 2.")


def test_nothing_is_said_of_a_training_of_few_steps():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4))
    t = (x[:, 0] > 0).astype(int)
    for seed in range(30):
        monitor = Monitor(x, t)
        history = MultiLayerNet(4, [16], 2, seed=seed).fit(
            x, t, 5, callbacks=[monitor], verbose=False, seed=seed
        )
        assert len(history.step_losses) == 15
        assert diagnose(history).healthy and diagnose(history, monitor).healthy


def test_nothing_is_said_of_single_samples_or_a_warm_start():
    x, t = mnist()
    net = MultiLayerNet(784, [50, 50], 10, seed=0)
    for batch_size, optimizer, epochs in ((1, optimizers.SGD(0.01), 4), (50, "adam", 4)):
        monitor = Monitor(x[:200], t[:200], every=1000)
        history = net.fit(
            x, t, epochs, batch_size, optimizer, callbacks=[monitor], verbose=False, seed=0
        )  # fmt: skip
        assert diagnose(history).healthy, str(diagnose(history))
        assert monitor.report().healthy, str(monitor.report())
        assert monitor.chance == math.log(10)
        # What made a sickness of it before.
        assert max(history.step_losses) > 2.5 * history.step_losses[0]
        assert history.accuracy[-1] > 0.85


def test_a_brief_explosion_is_named():
    losses = np.full(3000, 2.3)
    losses[20:28] = 40
    verdict = diagnose(history_of(losses, [0.1], [0.1], steps=3000))
    assert verdict.sicknesses == ["learning rate too high"]
    assert verdict.findings[0].evidence[0] == "the loss rose from 2.3 to 40 in step 21"


def test_a_rate_is_not_both_too_high_and_too_low():
    losses = np.full(3000, 2.3)
    losses[20:80] = 40
    monitor = Monitor(*data(5))
    monitor.measure(network(), 5)
    monitor.ratios = {"W1": [1e-6]}
    verdict = diagnose(history_of(losses, [0.1], [0.1], steps=3000), monitor)
    assert verdict.sicknesses == ["learning rate too high"]


def test_units_that_die_later():
    x, t = data()
    net = network()
    monitor = Monitor(x, t)
    monitor.measure(net, 0)
    net.params["b1"][:6] = -100
    monitor.measure(net, 200)
    verdict = diagnose(history_of(FALLING), monitor)
    assert verdict.sicknesses == ["dead units"]
    assert verdict.findings[0].evidence == ["dead units at the end: Affine1 75%"]


def test_a_history_of_nothing():
    verdict = diagnose(History(("loss",), 10, 10, 0))
    assert verdict.healthy and str(verdict).startswith("nothing suspicious")
    with pytest.raises(ValueError, match="^monitor: expected measurements, got Monitor\\(0"):
        dashboard(History(("loss",), 10, 10, 0), Monitor(*data(5)), network())


# --- pictures ----------------------------------------------------------------------------

DRAWN = {
    "relu": {},
    "batch norm, dropout": {"use_batchnorm": True, "use_dropout": True},
    "tanh, one step": {"activation": "tanh", "epochs": 1, "batch_size": 80},
    "no hidden layer, no validation": {"hidden_size_list": [], "validation": None},
    "diverged": {"rate": 1e6},
    "squared error, no images": {"loss": "mean_squared_error", "input_size": 7},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWN)
def test_dashboards(name):
    settings = {"rate": 0.1, "epochs": 2, "batch_size": 16, "validation": 0.2} | DRAWN[name]
    rate, epochs, batch_size, validation = (
        settings.pop(key) for key in ("rate", "epochs", "batch_size", "validation")
    )
    features = settings.setdefault("input_size", D)
    net = MultiLayerNetExtend(
        **{"hidden_size_list": [8, 7], "output_size": C, "seed": 0} | settings
    )
    x, t = data()
    x, t = x[:, :features], np.eye(C)[t] if "loss" in settings else t
    monitor = Monitor(x[:30], t[:30], every=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        history = net.fit(
            x, t, epochs, batch_size, optimizers.SGD(rate), validation=validation,
            callbacks=[monitor], verbose=False, seed=0,
        )  # fmt: skip
    figure = dashboard(history, monitor, net, title=name)
    file = io.BytesIO()
    figure.savefig(file, dpi=30)
    assert file.getvalue().startswith(b"\x89PNG")
    assert len(figure.axes) == 9
    titles = [axes.get_title() for axes in figure.axes]
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert ("no images" in texts) == ("no images" in name)
    assert ("no hidden layers" in texts) == ("no hidden layer" in name)
    assert any(text.startswith("not finite from step") for text in texts) == (name == "diverged")
    assert ("saturated units" in titles) == ("tanh" in name)
    assert any(title.startswith("accuracy: gap") for title in titles) == (
        "no validation" not in name and "squared error" not in name and name != "diverged"
    )


@pytest.mark.slow
def test_a_dashboard_of_many_layers():
    x, t = data()
    net = MultiLayerNet(D, [8] * 14, C, weight_init_std=0.01, seed=0)
    monitor = Monitor(x, t, every=5)
    history = net.fit(x, t, 3, validation=0.2, callbacks=[monitor], verbose=False, seed=0)
    assert "(12 layers)" in str(monitor.report())
    figure = dashboard(history, monitor, net)
    figure.savefig(io.BytesIO(), dpi=100)
    for panel in (figure.axes[4], figure.axes[5]):
        boxes = [label.get_window_extent() for label in panel.get_xticklabels()]
        assert len(boxes) >= 14
        assert all(a.x1 < b.x0 for a, b in pairwise(boxes))
    verdict = figure.axes[8].texts[0]
    assert verdict.get_text().endswith("or use_batchnorm")
    assert verdict.get_window_extent().y0 > 0
    bottom, top = figure.axes[1].get_ylim()
    assert bottom < 0.5 * min(history.step_losses) < 1.5 * max(history.step_losses) < top


def test_weight_images():
    W = np.arange(1.0, 13.0).reshape(4, 3)  # three units of 2 x 2 pixels
    W[:, 1] = 0
    got = weight_images(W)
    assert got.shape == (3, 2, 2)
    np.testing.assert_allclose(got[0], 0.5 + 0.5 * np.array([[1, 4], [7, 10]]) / 10, rtol=1e-15)
    np.testing.assert_array_equal(got[1], 0.5)
    assert weight_images(np.ones((12, 5))).shape == (5, 2, 2, 3)
    assert weight_images(np.ones((12, 5)), (3, 4)).shape == (5, 3, 4)
    assert weight_images(np.ones((8, 3, 5, 4))).shape == (8, 5, 4, 3)
    three = np.zeros((12, 1))
    three[4] = 1  # the first pixel of the second channel
    assert weight_images(three)[0, 0, 0].tolist() == [0.5, 1, 0.5]
    for W, shape, text in (
        (np.ones((10, 2)), None, "^image_shape: needed, as 10 elements"),
        (np.ones((10, 2)), (3, 3), "^image_shape: expected .* of 10 elements, got \\(3, 3\\)"),
        (np.ones((8, 2)), (2, 2, 2), "^W: expected weights of images of 1 or 3 channels"),
        (np.ones(4), None, "^W: expected weights of images"),
    ):
        with pytest.raises(ValueError, match=text):
            weight_images(W, shape)


def test_without_matplotlib(monkeypatch):
    original = builtins.__import__

    def without(name, *args, **settings):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return original(name, *args, **settings)

    monitor = Monitor(*data(5))
    monitor.measure(network(), 0)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "matplotlib>=\S+"$'):
        dashboard(history_of(FALLING), monitor, network())
