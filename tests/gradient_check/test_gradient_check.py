"""Gradient checks: right gradients pass, planted bugs are found, kinks are told apart."""

import pickle

import numpy as np
import pytest

from fastnn import layers, ops
from fastnn.gradient_check import (
    Kink,
    check_function,
    check_layer,
    gradient_check,
    relative_error,
    verdict,
)
from fastnn.networks import MultiLayerNet, MultiLayerNetExtend

RNG = np.random.default_rng
FEW = {"entries": 4, "steps": (1e-3, 1e-4, 1e-5, 1e-6)}


def batch(n=3, features=6, classes=4, seed=0):
    rng = RNG(seed)
    return rng.normal(size=(n, features)), rng.integers(classes, size=n)


def network(activation="relu", sizes=(8, 7), **settings):
    return MultiLayerNetExtend(6, list(sizes), 4, activation, seed=1, **settings)


def verdicts(report):
    return {key: check.verdict for key, check in report.checks.items()}


# --- relative error and verdict ---------------------------------------------------------


def test_relative_error_by_hand():
    a = [1.0, -1.0, 0.0, 2.0, 0.0, 1e-300, np.nan, np.inf]
    n = [1.0, 1.0, 0.0, 1.0, 3.0, 0.0, 1.0, np.inf]
    expected = [0, 2, 0, 0.5, 1, 1, np.nan, np.nan]
    np.testing.assert_array_equal(relative_error(a, n), expected)
    np.testing.assert_array_equal(relative_error(n, a), expected)


@pytest.mark.parametrize(
    ("error", "kinks", "smooth", "deep"),
    [
        (0.0, "happy", "happy", "happy"),
        (1e-7, "happy", "happy", "happy"),
        (1.1e-7, "okay", "too high without kinks", "okay"),
        (1e-4, "okay", "too high without kinks", "okay"),
        (1.1e-4, "uncomfortable", "uncomfortable", "okay at this depth"),
        (1e-2, "uncomfortable", "uncomfortable", "okay at this depth"),
        (1.1e-2, "probably wrong", "probably wrong", "probably wrong"),
        (np.nan, "probably wrong", "probably wrong", "probably wrong"),
    ],
)
def test_verdicts_of_the_notes(error, kinks, smooth, deep):
    assert verdict(error, kinks=True) == kinks
    assert verdict(error, kinks=False) == smooth
    assert verdict(error, kinks=True, depth=10) == deep
    deep = "okay at this depth" if deep == "okay" else deep
    assert verdict(error, kinks=False, depth=10) == deep


# --- networks ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "settings"),
    [
        ("relu", {}),
        ("tanh", {}),
        ("sigmoid", {"loss": "mean_squared_error"}),
        ("tanh", {"use_batchnorm": True}),
        ("relu", {"use_batchnorm": True, "use_dropout": True, "weight_decay_lambda": 0.1}),
        ("sigmoid", {"sizes": [8] * 11}),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_right_gradients_pass(activation, settings, dtype):
    net = network(activation, dtype=dtype, **settings)
    x, t = batch(5)
    if "loss" in settings:
        t = RNG(2).normal(size=(5, 4))
    report = gradient_check(net, x, t, samples=5, **FEW)
    assert report.ok, str(report)
    assert report.dtype == "float64" and report.samples == 5
    assert report.checks.keys() == net.params.keys()
    assert bool(report.penalty) == ("weight_decay_lambda" in settings)
    assert report.worst.error < 1e-4
    assert set(verdicts(report).values()) <= {
        "happy", "happy, rounding apart", "zero", "too small to tell",
    }  # fmt: skip


def test_the_network_stays_as_it_is():
    net = network(use_batchnorm=True, use_dropout=True, weight_decay_lambda=0.1)
    x, t = batch(40)
    net.fit(x, t, 2, 20, "SGD", verbose=False, seed=0)
    net.gradient(x[:3], t[:3])
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    before, data = pickle.dumps(net), (x.copy(), t.copy())
    gradient_check(net, x, t, entries=2, burn_in=3)
    assert pickle.dumps(net) == before
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    np.testing.assert_array_equal(x, data[0])
    np.testing.assert_array_equal(t, data[1])


def test_the_same_seed_gives_the_same_report():
    net, (x, t) = network(use_dropout=True), batch(40)
    first, same, other = (
        str(gradient_check(net, x, t, entries=3, burn_in=2, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == same != other


def test_each_parameter_gets_its_share_and_half_of_it_has_a_gradient():
    net, (x, t) = MultiLayerNet(600, [8], 4, "tanh", seed=0), batch(features=600)
    x[:, 5:] = 0  # as pixels that are black in all samples
    report = gradient_check(net, x, t, entries=10, steps=1e-4)
    assert {key: len(check.indices) for key, check in report.checks.items()} == {
        "W1": 10, "b1": 8, "W2": 10, "b2": 4,
    }  # fmt: skip
    moved = [index for index in report.checks["W1"].indices if index[0] < 5]
    assert len(set(report.checks["W1"].indices)) == 10
    assert len(moved) >= 5 and report.checks["W1"].zero.sum() == 10 - len(moved) > 0
    everything = gradient_check(network(), *batch(), entries=None, steps=1e-4)
    assert {key: len(c.indices) for key, c in everything.checks.items()} == {
        key: p.size for key, p in network().params.items()
    }


# --- bugs in networks -------------------------------------------------------------------


class Scaled(MultiLayerNetExtend):
    """A network some of whose gradients are wrong by a factor."""

    wrong, factor = "W1", 2.0

    def gradient(self, x, t):
        grads = super().gradient(x, t)
        grads[self.wrong] = grads[self.wrong] * self.factor
        return grads


def scaled(wrong, factor, activation="relu", **settings):
    net = Scaled(6, [8, 7], 4, activation, seed=1, **settings)
    net.wrong, net.factor = wrong, factor
    return net


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.0, -1.0, 2.0, 1 / 3])
@pytest.mark.parametrize("wrong", ["W1", "b1", "gamma2", "beta2", "W3", "b3"])
def test_a_wrong_factor_is_found_in_each_kind_of_parameter(wrong, factor):
    use_batchnorm = wrong[0] not in "b" or wrong != "b1"
    net = scaled(wrong, factor, use_batchnorm=use_batchnorm, use_dropout=True)
    report = gradient_check(net, *batch(), **FEW)
    assert not report.ok and report.verdict == "probably wrong"
    assert report.worst.parameter == wrong
    assert report.worst.error == pytest.approx(abs(1 - factor) / max(1, abs(factor)), rel=1e-4)
    assert [key for key, check in report.checks.items() if not check.ok] == [wrong]


def test_gradients_that_are_not_finite_are_wrong():
    report = gradient_check(scaled("W2", np.nan), *batch(), **FEW)
    assert not report.ok and report.verdict == "probably wrong"
    assert report.worst.parameter == "W2" and "FAIL: the largest error is nan" in str(report)


@pytest.mark.parametrize(
    ("activation", "error", "expected", "ok"),
    [
        ("tanh", 1e-3, "uncomfortable", False),
        ("relu", 1e-3, "uncomfortable", False),
        ("tanh", 1e-5, "too high without kinks", False),
        ("relu", 1e-5, "okay", True),
        ("tanh", 1e-9, "happy", True),
    ],
)
def test_slightly_wrong_gradients_get_the_verdict_of_the_notes(activation, error, expected, ok):
    net = scaled("W3", 1 + error, activation)
    report = gradient_check(net, *batch(), **FEW)
    assert report.checks["W3"].verdict == expected
    assert report.ok is ok
    override = gradient_check(net, *batch(), **FEW, kinks=activation == "tanh")
    assert override.checks["W3"].verdict == {
        "okay": "too high without kinks", "too high without kinks": "okay",
    }.get(expected, expected)  # fmt: skip


class OnlySlope(layers.Tanh):
    """Forgets the slope, which is one where activations are near zero."""

    def backward(self, dout):
        return np.array(dout)


def test_a_burn_in_shows_what_the_start_hides():
    net = MultiLayerNet(6, [8], 4, "tanh", weight_init_std=1e-5, seed=0)
    net.layers["Activation_function1"] = OnlySlope()
    x, _ = batch(200)
    t = x[:, :4].argmax(axis=1)
    start = gradient_check(net, x, t, kinks=True, **FEW)
    assert start.ok and start.burn_in_losses is None
    later = gradient_check(net, x, t, burn_in=200, kinks=True, **FEW)
    assert not later.ok
    before, after = later.burn_in_losses
    assert after < before - 0.1
    assert f"after 200 training steps: loss {before:.3f} to {after:.3f}" in str(later)


def test_a_burn_in_without_success_is_told():
    net = scaled("b3", -1.0)
    for p in net.params.values():
        p[...] = 0  # nothing but the last bias has a gradient
    report = gradient_check(net, *batch(40), burn_in=30, **FEW)
    assert "the loss did not go down in the burn-in" in str(report)


# --- data loss and penalty apart --------------------------------------------------------


def test_a_large_penalty_does_not_hide_a_wrong_data_gradient():
    class Wrong(MultiLayerNet):
        def gradient(self, x, t):
            strength, self.weight_decay_lambda = self.weight_decay_lambda, 0
            grads = super().gradient(x, t)
            self.weight_decay_lambda = strength
            # Twice the data gradient, and the right one of the penalty.
            return {k: 2 * g + (strength * self.params[k] if k[0] == "W" else 0) for k, g in
                    grads.items()}  # fmt: skip

    net = Wrong(6, [8], 4, "tanh", weight_decay_lambda=1e6, dtype="float64", seed=0)
    x, t = batch()
    together = relative_error(net.gradient(x, t)["W2"], net.numerical_gradient(x, t)["W2"])
    assert together.max() < 1e-4
    report = gradient_check(net, x, t, **FEW)
    assert {key for key, check in report.checks.items() if not check.ok} == net.params.keys()
    assert all(check.ok for check in report.penalty.values())
    assert "data loss, without weight penalty:" in str(report)


@pytest.mark.parametrize("strength", [1e-8, 0.1, 30.0])
def test_a_wrong_penalty_is_found_whatever_its_strength(strength):
    class Wrong(MultiLayerNet):
        def gradient(self, x, t):
            grads = super().gradient(x, t)
            grads["W2"] += self.weight_decay_lambda * self.params["W2"]
            return grads

    net = Wrong(6, [8], 4, weight_decay_lambda=strength, seed=0)
    report = gradient_check(net, *batch(), **FEW)
    assert all(check.ok for check in report.checks.values())
    assert {key: check.ok for key, check in report.penalty.items()} == {
        "W1": True, "b1": True, "W2": False, "b2": True,
    }  # fmt: skip
    assert report.worst.error == pytest.approx(0.5, rel=1e-6)
    assert "at W2" in str(report) and "of the weight penalty: probably wrong" in str(report)
    assert "without weight penalty: b1, b2" in str(report)


# --- kinks ------------------------------------------------------------------------------


def near_a_kink(distance, wrong=None):
    """Return a network with a unit's input just above zero, the samples, and the unit."""
    net = scaled("W3" if wrong is None else wrong, 1.0 if wrong is None else 2.0, dtype="float64")
    x, t = batch(1)
    unit = 5
    net.params["b1"][unit] -= (x @ net.params["W1"])[0, unit] - distance
    return net, x, t, unit


def test_a_difference_that_crosses_a_kink_is_told_apart():
    net, x, t, unit = near_a_kink(5e-6)
    report = gradient_check(net, x, t, samples=1, entries=8)
    check = report.checks["b1"]
    row = check.indices.index((unit,))
    np.testing.assert_array_equal(check.crossed[row], check.steps > 5e-6)
    # At the usual step the difference is off by far, though the gradient is right.
    assert check.errors[row, check.steps == 1e-5] > 0.1
    assert report.ok and check.verdict in ("happy", "happy, rounding apart")
    assert not check.on_kink.any()
    crossed = [k for k in report.crossed if k.parameter == "b1" and k.index == (unit,)]
    assert Kink("b1", (unit,), 1e-5, "Affine1", 0, (unit,)) in crossed
    assert min(k.step for k in crossed) == 1e-5
    assert (
        "b1[5] moved by 1e-05 crosses the kink of Affine1, unit 5, sample 0"
        in map(str, report.crossed)
    )  # fmt: skip
    assert "differences that crossed a kink count for nothing" in str(report)


def test_an_entry_whose_every_step_crosses_a_kink_is_not_judged():
    net, x, t, unit = near_a_kink(5e-6)
    report = gradient_check(net, x, t, samples=1, entries=8, steps=1e-5)
    check = report.checks["b1"]
    assert [check.indices[i] for i in np.flatnonzero(check.on_kink)] == [(unit,)]
    assert report.ok and check.judged == 7
    assert "kink: every step crossed one" in str(report)
    assert np.isnan(report.errors()).sum() == sum(c.on_kink.sum() for c in report.checks.values())
    assert report.errors(crossed=True).max() > 0.1


def test_a_bug_beside_a_kink_is_found():
    net, x, t, _ = near_a_kink(5e-6, wrong="b1")
    report = gradient_check(net, x, t, samples=1, entries=8)
    assert not report.ok and report.worst.parameter == "b1"


def test_smooth_networks_cross_nothing():
    net = network("tanh", use_batchnorm=True, use_dropout=True)
    assert gradient_check(net, *batch()).crossed == []


# --- report -----------------------------------------------------------------------------


def test_errors_fall_with_the_step_and_rise_again():
    report = gradient_check(network("tanh"), *batch())
    median = np.median(report.errors(), axis=0)
    steps = report.steps.tolist()
    assert steps == sorted(steps, reverse=True) and len(steps) == 8
    best = steps.index(report.best_step)
    assert 1e-6 <= report.best_step <= 1e-3
    assert median[0] > 1e3 * median[best] and median[-1] > 1e2 * median[best]
    # Truncation: the square of the step.
    assert median[0] / median[1] == pytest.approx(100, rel=0.1)


def test_single_precision_on_request_shows_what_it_loses():
    net, (x, t) = network("tanh"), batch()
    single = gradient_check(net, x, t, dtype="float32")
    double = gradient_check(net, x, t)
    best = [np.nanmin(np.nanmedian(r.errors(), axis=0)) for r in (single, double)]
    assert best[0] > 1e3 * best[1]
    assert single.dtype == "float32" and "float32" in str(single)


def test_text_of_a_report():
    net = network(use_batchnorm=True, weight_decay_lambda=0.1)
    report = gradient_check(net, *batch(), entries=4)
    text = str(report)
    lines = text.splitlines()
    assert lines[0] == (
        "gradient check of MultiLayerNetExtend (3 samples, float64, h from 1e-02 to 1e-09)"
    )
    assert lines[2].split()[:5] == ["parameter", "checked", "zero", "small", "kink"]
    assert [line.split()[0] for line in lines[3:13]] == list(net.params)
    assert "too small to tell" in next(line for line in lines if line.startswith("b1 "))
    assert "A bias before batch normalisation has no gradient at all." in " ".join(lines)
    assert lines[-1].startswith("ok: the largest error is ") and "best h 1e-0" in lines[-1]
    assert repr(report).startswith("GradientReport(MultiLayerNetExtend: ok: the largest")
    assert max(map(len, lines)) < 130


def test_a_report_is_drawn():
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    report = gradient_check(network(), *batch(), entries=3)
    axes = report.plot()
    assert {line.get_label() for line in axes.lines} >= set(report.checks)
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert report.plot(axes) is axes
    plt.close(axes.figure)


def test_where_nothing_can_be_judged_nothing_is_ok():
    net = network(dtype="float64")
    for p in net.params.values():
        p[...] = 0
    net.params["b3"][...] = [0, -800, -800, -800]
    x, _ = batch()
    report = gradient_check(net, x, np.zeros(3, int))
    assert not report.ok and report.worst is None
    assert str(report).endswith("FAIL: every gradient is zero, on a kink, or too small to tell")


def test_tiny_gradients_are_told():
    x = np.array([0.3, 0.5])
    report = check_function(lambda x: 1e-12 * np.sin(x).sum(), lambda x: 1e-12 * np.cos(x), x)
    assert not report.ok and report.checks["x"].small.all()
    assert "Multiply the loss by a constant" in str(report)
    assert check_function(lambda x: np.sin(x).sum(), np.cos, x).ok


# --- networks of users ------------------------------------------------------------------


class BookRelu:
    """The book's layer, in plain NumPy."""

    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout[self.mask] = 0
        return dout


class UserNet:
    """Two layers in plain NumPy, with dropout from NumPy's global generator."""

    def __init__(self, dtype=np.float64, factor=1.0, shown=True, rng=None):
        draw = RNG(3)
        self.params = {
            "W1": draw.normal(size=(6, 5)).astype(dtype), "b1": np.zeros(5, dtype),
            "W2": draw.normal(size=(5, 4)).astype(dtype),
        }  # fmt: skip
        self.relu, self.factor, self.rng = BookRelu(), factor, rng
        if shown:
            self.layers = {"Relu1": self.relu}

    def _forward(self, x, t):
        self.h = self.relu.forward(x @ self.params["W1"] + self.params["b1"])
        self.kept = (self.rng or np.random).random(self.h.shape) > 0.3
        self.h = self.h * self.kept
        z = self.h @ self.params["W2"]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        return -np.log(self.y[np.arange(len(t)), t]).mean()

    def loss(self, x, t):
        return self._forward(x, t)

    def gradient(self, x, t):
        self._forward(x, t)
        dz = self.y.copy()
        dz[np.arange(len(t)), t] -= 1
        dz /= len(t)
        da = self.relu.backward((dz @ self.params["W2"].T) * self.kept)
        return {"W1": self.factor * x.T @ da, "b1": da.sum(axis=0), "W2": self.h.T @ dz}


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_users_networks_are_checked(dtype, shown):
    x, t = batch()
    net, wrong = UserNet(dtype, shown=shown), UserNet(dtype, 1.5, shown)
    for each in (net, wrong):
        each.params["b1"][2] -= (x @ each.params["W1"])[0, 2] - 5e-6
    report, wrong = (gradient_check(each, x, t) for each in (net, wrong))
    assert report.ok, str(report)
    # Without layers nothing is known of kinks: steps that cross one are seen to disagree.
    assert bool(report.crossed) == shown
    assert {k.layer for k in report.crossed} <= {"Relu1"}
    assert [key for key, check in wrong.checks.items() if not check.ok] == ["W1"]


def test_a_loss_that_is_not_repeatable_is_refused():
    with pytest.raises(ValueError, match="two passes with the same parameters gave .* turn off"):
        gradient_check(UserNet(rng=RNG(0)), *batch())


def test_a_network_that_computes_in_single_precision_is_refused():
    class Single(UserNet):
        def gradient(self, x, t):
            return {key: g.astype(np.float32) for key, g in super().gradient(x, t).items()}

    message = "^gradient of W1: expected float64, got float32.*build the network"
    with pytest.raises(TypeError, match=message):
        gradient_check(Single(np.float32), *batch())


def test_gradients_that_are_missing_or_of_another_shape_are_refused():
    class Missing(UserNet):
        def gradient(self, x, t):
            grads = super().gradient(x, t)
            return {"W1": grads["W1"], "W2": grads["W2"]}

    class Flat(UserNet):
        def gradient(self, x, t):
            return {key: g.ravel() for key, g in super().gradient(x, t).items()}

    with pytest.raises(ValueError, match="^gradient: expected one for each.* none for 'b1'"):
        gradient_check(Missing(), *batch())
    with pytest.raises(ValueError, match=r"^gradient of W1: expected shape \(6, 5\).*\(30,\)"):
        gradient_check(Flat(), *batch())


def with_nan():
    net = network()
    net.params["W1"][0, 0] = np.nan
    return net


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": object()}, TypeError, "^network: expected an object with params"),
        ({"network": MultiLayerNet}, TypeError, "^network: expected an object"),
        ({"x": np.zeros((0, 6)), "t": np.zeros(0, int)}, ValueError, "^x: expected at least one"),
        ({"t": np.zeros(2, int)}, ValueError, "^t: expected 3 labels"),
        ({"samples": 0}, ValueError, "^samples: "),
        ({"entries": 0}, ValueError, "^entries: "),
        ({"entries": "all"}, TypeError, "^entries: "),
        ({"steps": ()}, ValueError, "^steps: expected at least one"),
        ({"steps": (1e-3, 0)}, ValueError, "^steps: expected a number above 0"),
        ({"burn_in": -1}, ValueError, "^burn_in: "),
        ({"dtype": np.float16}, TypeError, "^dtype: expected float64 or float32, got float16"),
        ({"x": np.full((3, 6), np.nan)}, ValueError, "^x: expected finite numbers, got nan in x"),
        ({"network": with_nan()}, ValueError, "^the loss is nan"),
    ],
)
def test_bad_input(change, error, message):
    x, t = batch()
    arguments = {"network": network(), "x": x, "t": t} | change
    with pytest.raises(error, match=message):
        gradient_check(**arguments)


# --- layers -----------------------------------------------------------------------------


def affine(kind, *shape):
    rng = RNG(4)
    return kind(rng.normal(size=shape), rng.normal(size=shape[:1] if len(shape) > 2 else shape[1]))


def norm(kind):
    rng = RNG(5)
    return kind(rng.normal(size=4), rng.normal(size=4))


class HalfWeights(layers.Affine):
    def backward(self, dout):
        dx = super().backward(dout)
        self.dW = self.dW / len(self.x)
        return dx


class NoBias(layers.AffineRelu):
    def backward(self, dout):
        dx = super().backward(dout)
        self.db = np.zeros_like(self.db)
        return dx


class AllPass(layers.Relu):
    def backward(self, dout):
        return np.array(dout)


class HalfSlope(layers.Sigmoid):
    def backward(self, dout):
        return dout * self.out


class WithoutStatistics(layers.BatchNormalization):
    def backward(self, dout):
        super().backward(dout)
        return dout * self.gamma / np.sqrt(self._saved[0].var(axis=0) + self.eps)


class SummedGamma(layers.BatchNormRelu):
    def backward(self, dout):
        dx = super().backward(dout)
        self.dgamma = np.full_like(self.dgamma, self.dgamma.sum())
        return dx


class Rescaled(layers.Dropout):
    def backward(self, dout):
        return super().backward(dout) / (1 - self.dropout_ratio)


class MeanBias(layers.Convolution):
    def backward(self, dout):
        dx = super().backward(dout)
        self.db = self.db / len(self.x)
        return dx


class Everywhere(layers.MaxPool):
    def backward(self, dout):
        return np.repeat(np.repeat(dout, 2, axis=2), 2, axis=3)


class Summed(layers.SoftmaxWithLoss):
    def backward(self, dout=1):
        return super().backward(dout) * len(self.x)


class Twice(layers.IdentityWithLoss):
    def backward(self, dout=1):
        return 2 * super().backward(dout)


TWO = RNG(6).normal(size=(3, 4))
IMAGES = RNG(7).normal(size=(2, 3, 4, 4))
LAYERS = {
    "Affine": (affine(layers.Affine, 4, 5), affine(HalfWeights, 4, 5), TWO, "W"),
    "AffineRelu": (affine(layers.AffineRelu, 4, 5), affine(NoBias, 4, 5), TWO, "b"),
    "Relu": (layers.Relu(), AllPass(), TWO, "x"),
    "Sigmoid": (layers.Sigmoid(), HalfSlope(), TWO, "x"),
    "Tanh": (layers.Tanh(), OnlySlope(), TWO, "x"),
    "BatchNormalization": (norm(layers.BatchNormalization), norm(WithoutStatistics), TWO, "x"),
    "BatchNormRelu": (norm(layers.BatchNormRelu), norm(SummedGamma), TWO, "gamma"),
    "Dropout": (layers.Dropout(0.4, seed=1), Rescaled(0.4, seed=1), TWO, "x"),
    "Convolution": (
        affine(layers.Convolution, 2, 3, 2, 2), affine(MeanBias, 2, 3, 2, 2), IMAGES, "b",
    ),
    "MaxPool": (layers.MaxPool(2, 2, 2), Everywhere(2, 2, 2), IMAGES, "x"),
    "SoftmaxWithLoss": (layers.SoftmaxWithLoss(), Summed(), (TWO, [0, 3, 1]), "x"),
    "IdentityWithLoss": (layers.IdentityWithLoss(), Twice(), (TWO, TWO[::-1] + 1), "x"),
}  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "given", "key"), LAYERS.values(), ids=LAYERS)
def test_a_planted_bug_is_found_in_each_kind_of_layer(right, wrong, given, key):
    given = given if isinstance(given, tuple) else (given,)
    before = pickle.dumps((right, given))
    report = check_layer(right, *given)
    assert report.ok, str(report)
    assert report.name == type(right).__name__
    assert pickle.dumps((right, given)) == before
    found = check_layer(wrong, *given)
    assert [name for name, check in found.checks.items() if not check.ok] == [key]
    assert found.checks.keys() == report.checks.keys()


def test_a_loss_near_zero_is_rounded_as_probabilities_are():
    """The loss is the logarithm of 1 - 1e-10: its digits beyond 1e-16 are lost."""
    net = MultiLayerNet(2, [], 2, seed=0, dtype="float64")
    net.params["W1"][...] = [[11.5, -11.5], [0, 0]]
    report = gradient_check(net, np.array([[1.0, 1.0]]), np.array([0]))
    assert report.ok, str(report)


def test_functions_of_nothing_or_of_what_cannot_change():
    with pytest.raises(ValueError, match="^x: expected at least one array, got an empty dict"):
        check_function(lambda x: 0.0, {}, {})
    x = np.ones(3)
    x.flags.writeable = False
    with pytest.raises(ValueError, match=r"^x: expected .* written to, got a read-only one"):
        check_function(np.sum, np.ones_like, x)


def test_x_may_come_from_the_same_seed_as_dout():
    """Of BatchNormalization's output times x the gradient would be nearly 0: all errors pass."""

    class Wrong(layers.BatchNormalization):
        def backward(self, dout):
            return 1.001 * super().backward(dout)

    x = np.random.default_rng(0).normal(size=(20, 5))
    args = np.ones(5), np.zeros(5)
    assert check_layer(layers.BatchNormalization(*args), x).ok
    found = check_layer(Wrong(*args), x).checks["x"]
    assert np.abs(found.analytic).max() > 0.1 and not found.ok


def test_a_layer_of_the_book_is_checked_with_its_parameters():
    class Book:
        """y = max(x, 0) W, in single precision at first, writing to what it gets."""

        def __init__(self):
            self.W = RNG(8).normal(size=(4, 2)).astype(np.float32)
            self.relu = BookRelu()

        def forward(self, x):
            self.h = self.relu.forward(x)
            return self.h @ self.W

        def backward(self, dout):
            self.dW = self.h.T @ dout
            return self.relu.backward(dout @ self.W.T)

    report = check_layer(Book(), TWO)
    assert report.ok and list(report.checks) == ["x", "W"]


def test_maxima_that_change_places_are_kinks():
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    x[0, 0, 1, 0] = x[0, 0, 1, 1] - 5e-6
    report = check_layer(layers.MaxPool(2, 2, 2), x)
    kinks = {(k.index, k.step, k.layer, k.sample, k.unit) for k in report.crossed if k.step < 1e-4}
    assert kinks == {
        ((0, 0, 1, place), 1e-5, "MaxPool", 0, (0, 0, 0)) for place in (0, 1)
    }  # fmt: skip
    assert report.ok


def test_bad_input_of_layers():
    with pytest.raises(TypeError, match="^layer: expected an object with forward and backward"):
        check_layer(np.sin, TWO)
    with pytest.raises(TypeError, match="^x: expected an array of a floating dtype, got int64"):
        check_layer(layers.Relu(), np.arange(3))


# --- functions --------------------------------------------------------------------------


def test_a_function_of_several_arrays_as_in_the_course():
    x, t = batch()
    params = {"W": RNG(9).normal(size=(6, 4)), "b": np.zeros(4)}

    def loss(params):
        z = x @ params["W"] + params["b"]
        value, dz = ops.softmax_cross_entropy(z, t)
        return value + 0.05 * np.square(params["W"]).sum(), {
            "W": x.T @ dz + 0.1 * params["W"], "b": dz.sum(axis=0),
        }  # fmt: skip

    before = {key: p.copy() for key, p in params.items()}
    for gradient in (lambda p: loss(p)[1], loss(params)[1]):
        report = check_function(lambda p: loss(p)[0], gradient, params, entries=None)
        assert report.ok, str(report)
    for key, p in params.items():
        np.testing.assert_array_equal(p, before[key])
    grads = loss(params)[1]
    assert not check_function(lambda p: loss(p)[0], grads | {"W": grads["W"].T.reshape(6, 4)},
                              params).ok  # fmt: skip


def test_an_exception_leaves_the_array_as_it_was():
    x, calls = np.array([0.1, 0.2]), []

    def f(x):
        calls.append(1)
        if len(calls) > 9:
            raise ZeroDivisionError
        return float(np.sin(x).sum())

    before = x.copy()
    with pytest.raises(ZeroDivisionError):
        check_function(f, np.cos, x)
    np.testing.assert_array_equal(x, before)


def test_functions_of_single_precision_are_refused():
    with pytest.raises(TypeError, match=r"^x: expected an array of float64, got float32; x.astype"):
        check_function(np.sum, np.ones_like, np.ones(3, np.float32))
    with pytest.raises(TypeError, match=r"^x\['W'\]: expected an array of float64, got list"):
        check_function(np.sum, np.ones_like, {"W": [1.0]})
