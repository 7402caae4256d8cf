"""Sanity checks: each finds its planted bug, healthy networks pass, nothing is changed."""

import math
import pickle

import numpy as np
import pytest

from fastnn import layers
from fastnn.datasets import load_mnist
from fastnn.diagnostics import (
    check_generalisation,
    check_gradients,
    check_initial_loss,
    check_overfitting,
    check_penalty,
    sanity_checks,
)
from fastnn.networks import MultiLayerNet, MultiLayerNetExtend
from fastnn.optimizers import SGD, Adam

NAMES = [
    "loss at chance",
    "penalty",
    "gradients",
    "overfits few samples",
    "beats chance on new samples",
]


@pytest.fixture(scope="module")
def mnist():
    (x, t), _ = load_mnist(subset="bundled")
    return x[:1000], t[:1000]


def network(kind=MultiLayerNetExtend, **settings):
    return kind(784, [50, 50], 10, seed=0, **settings)


# --- all of them ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"use_batchnorm": True, "use_dropout": True, "weight_decay_lambda": 1e-4},
        {"activation": "sigmoid"},
        {"weight_init_std": 0.01, "dtype": "float64"},
    ],
)
def test_healthy_networks_pass_and_stay_as_they_are(mnist, settings):
    net, state = network(**settings), np.random.get_state()[1].copy()  # noqa: NPY002
    before = pickle.dumps(net)
    report = sanity_checks(net, *mnist)
    assert report.ok and report.failed == [], str(report)
    assert [check.name for check in report.checks] == NAMES
    assert pickle.dumps(net) == before
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


class WrongSign(MultiLayerNetExtend):
    """A wrong gradient: it goes uphill in the first layer."""

    def gradient(self, x, t):
        grads = super().gradient(x, t)
        return grads | {"W1": -grads["W1"]}


class SumLoss(layers.SoftmaxWithLoss):
    """A loss off by a factor: the sum over the batch, in place of the mean."""

    def forward(self, x, t):
        self.loss = super().forward(x, t) * len(x)
        return self.loss

    def backward(self, dout=1):
        return super().backward(dout) * len(self.x)


@pytest.mark.slow
def test_each_planted_bug_is_caught(mnist):
    x, t = mnist
    summed = network()
    summed.last_layer = SumLoss()
    failed = {
        "a wrong gradient": sanity_checks(network(WrongSign), x, t).failed,
        "a loss off by a factor": sanity_checks(summed, x, t).failed,
        "labels shuffled": sanity_checks(network(), x, np.random.default_rng(0).permutation(t))
        .failed,
    }  # fmt: skip
    assert "gradients" in failed["a wrong gradient"]
    assert failed["a loss off by a factor"] == ["loss at chance"]
    assert failed["labels shuffled"] == ["beats chance on new samples"]


def test_text_of_a_report(mnist):
    x, t = mnist
    report = sanity_checks(network(weight_init_std=1.0), x, np.roll(t, 1))
    assert report.failed == ["loss at chance", "beats chance on new samples"]
    text = str(report)
    lines = text.splitlines()
    assert lines[0].startswith(
        "FAIL  loss at chance: 2.3026 with small weights, expected ln 10 = 2.3026; "
    )
    assert lines[1] == (
        "      The initial weights are too large: take He's with ReLU, Xavier's without."
    )
    assert lines[2].startswith("ok    penalty: the loss goes from ")
    assert "do labels belong to their samples?" in text
    assert report["penalty"].ok and not report.ok
    with pytest.raises(KeyError, match="unheard of"):
        report["unheard of"]


# --- loss at chance ---------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 10, 100])
@pytest.mark.parametrize("one_hot", [True, False])
def test_loss_at_chance(classes, one_hot):
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=(50, 8)), rng.integers(classes, size=50)
    check = check_initial_loss(
        MultiLayerNet(8, [16], classes, seed=0), x, np.eye(classes)[t] if one_hot else t
    )
    assert check.ok and f"ln {classes} = {math.log(classes):.4f}" in check.text
    assert check.values["small"] == pytest.approx(math.log(classes), rel=1e-3)
    assert check.values["initial"] > check.values["small"]


@pytest.mark.parametrize("factor", [2, 0.5, 100, 1 / 100, 1.02, np.nan])
def test_a_loss_off_by_a_factor(mnist, factor):
    class Factor(MultiLayerNetExtend):
        def loss(self, x, t, train_flg=False):
            return factor * super().loss(x, t, train_flg)

    check = check_initial_loss(network(Factor), *mnist)
    assert not check.ok
    assert f"The loss is {factor:.4g} times what it should be" in check.advice


def test_the_penalty_does_not_count_in_the_loss_at_chance(mnist):
    net = network(weight_decay_lambda=1e6)
    assert check_initial_loss(net, *mnist).ok
    assert net.weight_decay_lambda == 1e6


def test_too_large_initial_weights(mnist):
    check = check_initial_loss(network(weight_init_std=1.0), *mnist)
    assert not check.ok and check.advice.startswith("The initial weights are too large")


def test_samples_that_are_not_scaled(mnist):
    x, t = mnist
    check = check_initial_loss(network(), x * 255, t)
    assert not check.ok and check.advice.startswith("The samples are large: their standard devi")
    assert check_initial_loss(network(input_scale=1 / 255), x * 255, t).ok


def test_what_to_expect_of_other_losses():
    rng = np.random.default_rng(2)
    x, t = rng.normal(size=(50, 8)), rng.normal(size=(50, 3))
    squares = MultiLayerNet(8, [16], 3, loss="mean_squared_error", seed=0)
    check = check_initial_loss(squares, x, t)
    assert check.ok
    assert check.values["expected"] == pytest.approx(0.5 * np.square(t).sum() / 50)

    class Hinge(layers.SoftmaxWithLoss):
        def forward(self, x, t):
            margins = np.maximum(0, x - x[np.arange(len(t)), t][:, np.newaxis] + 1)
            return float((margins.sum() - len(t)) / len(t))

    net = MultiLayerNet(8, [16], 10, seed=0)
    net.last_layer = Hinge()
    labels = rng.integers(10, size=50)
    assert check_initial_loss(net, x, labels, expected=9).ok
    assert not check_initial_loss(net, x, labels).ok


# --- penalty ----------------------------------------------------------------------------


def test_the_loss_rises_with_the_penalty(mnist):
    net = network()
    check = check_penalty(net, *mnist, strengths=(0, 1, 2))
    squares = sum(np.square(net.params[f"W{i}"], dtype=np.float64).sum() for i in (1, 2, 3))
    assert check.ok and check.values["strengths"].tolist() == [0, 1, 2]
    np.testing.assert_allclose(np.diff(check.values["losses"]), squares / 2, rtol=1e-6)


@pytest.mark.parametrize("penalty", [0.0, -1.0])
def test_a_penalty_that_is_forgotten_or_has_the_wrong_sign(mnist, penalty):
    class Wrong(MultiLayerNetExtend):
        def _penalty(self):
            return penalty * super()._penalty()

    check = check_penalty(network(Wrong), *mnist)
    assert check.ok is False and "It should rise" in check.advice


def test_networks_without_penalty(mnist):
    net = network()
    check = check_penalty(net, *mnist, penalty="reg")
    assert check.ok is None
    assert str(check) == "-     penalty: the network has no attribute reg"
    net.reg = 0.1
    assert check_penalty(net, *mnist, penalty="reg").ok is False  # nothing looks at it


@pytest.mark.parametrize("strengths", [(), (1,), (1, 1), (2, 1)])
def test_strengths_must_rise(mnist, strengths):
    with pytest.raises(ValueError, match="^strengths: expected at least two rising"):
        check_penalty(network(), *mnist, strengths=strengths)


# --- gradients, overfitting, generalisation ---------------------------------------------


def test_a_wrong_gradient_that_still_overfits(mnist):
    class Half(MultiLayerNetExtend):
        def gradient(self, x, t):
            grads = super().gradient(x, t)
            return grads | {"W2": grads["W2"] / 2}

    net = network(Half)
    assert check_overfitting(net, *mnist).ok
    check = check_gradients(net, *mnist)
    assert not check.ok and "W2 (probably wrong)" in check.advice


def test_a_wrong_gradient_of_the_penalty(mnist):
    class Twice(MultiLayerNetExtend):
        def gradient(self, x, t):
            grads = super().gradient(x, t)
            return grads | {"W2": grads["W2"] + self.weight_decay_lambda * self.params["W2"]}

    check = check_gradients(network(Twice, weight_decay_lambda=1e-6), *mnist)
    assert not check.ok and check.advice.endswith("penalty of W2")


def test_overfitting_without_dropout_and_penalty(mnist):
    net = network(use_dropout=True, weight_decay_lambda=10.0)
    check = check_overfitting(net, *mnist)
    losses = check.values["losses"]
    assert check.ok and "accuracy 100%" in check.text
    assert losses[0] > 2 and losses[-1] < 0.01 <= losses[:-1].min()
    assert net.layers["Dropout1"].dropout_ratio == 0.5 and net.weight_decay_lambda == 10


class Uphill(MultiLayerNetExtend):
    """A wrong gradient: it goes uphill."""

    def gradient(self, x, t):
        return {key: -g for key, g in super().gradient(x, t).items()}


@pytest.mark.parametrize(
    ("kind", "optimizer"),
    [(Uphill, None), (MultiLayerNetExtend, SGD(1e-5)), (MultiLayerNetExtend, SGD(1e5))],
    ids=["uphill", "rate too low", "rate too high"],
)
def test_what_does_not_overfit(mnist, kind, optimizer):
    check = check_overfitting(network(kind), *mnist, steps=60, optimizer=optimizer)
    assert check.ok is False and "is a gradient wrong, the learning rate" in check.advice


def test_optimizers_are_copied(mnist):
    optimizer = Adam(lr=0.01)
    before = pickle.dumps(optimizer)
    check_overfitting(network(), *mnist, optimizer=optimizer)
    check_generalisation(network(), *mnist, optimizer=optimizer, epochs=1)
    assert pickle.dumps(optimizer) == before
    by_name, default = (check_overfitting(network(), *mnist, optimizer=o) for o in ("Adam", None))
    assert by_name.text == default.text


def test_shuffled_labels_and_scrambled_features_overfit_but_do_not_generalise(mnist):
    x, t = mnist
    rng = np.random.default_rng(3)
    for wrong in ((x, rng.permutation(t)), (rng.permuted(x, axis=1), t)):
        assert check_overfitting(network(), *wrong).ok
        check = check_generalisation(network(), *wrong)
        assert check.ok is False and "do labels belong to their samples?" in check.advice
    # Sorted by class, as data sets may be: what is held out is drawn.
    order = np.argsort(t, kind="stable")
    check = check_generalisation(network(), x[order], t[order])
    assert check.ok and check.values["accuracy"] > 0.7 > 0.2 > check.values["chance"]


def test_generalisation_without_dropout_and_penalty(mnist):
    net = network(activation="sigmoid", use_dropout=True, weight_decay_lambda=1.0)
    assert check_generalisation(net, *mnist, epochs=10).ok
    assert net.layers["Dropout1"].dropout_ratio == 0.5 and net.weight_decay_lambda == 1


def test_targets_that_are_no_classes(mnist):
    rng = np.random.default_rng(4)
    net = MultiLayerNet(8, [100], 1, loss="mean_squared_error", seed=0)
    x, t = rng.normal(size=(60, 8)), rng.normal(size=(60, 1))
    report = sanity_checks(net, x, t)
    assert report.ok, str(report)
    assert report["beats chance on new samples"].ok is None
    assert "accuracy" not in report["overfits few samples"].text


@pytest.mark.parametrize("scale", [1e-4, 1, 100])
def test_regressions_overfit_whatever_the_size_of_their_targets(scale):
    x = np.random.default_rng(5).normal(size=(40, 4))
    t = scale * (x @ np.array([[1.0], [2], [3], [4]]) + 20)
    net = MultiLayerNet(4, [32], 1, loss="mean_squared_error", seed=0)
    check = check_overfitting(net, x, t)
    assert check.ok and check.text.endswith("steps, targets standardised"), str(check)
    if scale == 1:  # the targets as they are, with an optimizer of one's own
        check = check_overfitting(net, x, t, optimizer=Adam(0.01))
        assert check.ok and "standardised" not in check.text, str(check)
        limit = 0.01 * np.var(t[:20]) / 2
        assert check.values["losses"][-1] < limit <= check.values["losses"][-2]

    class Wrong(MultiLayerNet):
        def gradient(self, x, t):
            return {key: -g for key, g in super().gradient(x, t).items()}

    wrong = Wrong(4, [32], 1, loss="mean_squared_error", seed=0)
    assert check_overfitting(wrong, x, t, steps=50).ok is False


def test_targets_that_are_all_zero():
    net = MultiLayerNet(4, [32], 1, loss="mean_squared_error", seed=0)
    check = check_initial_loss(net, np.ones((5, 4)), np.zeros((5, 1)))
    assert check.ok is None
    assert check.text == "the mean of t^2 / 2 = 0: there is nothing to compare with"


@pytest.mark.parametrize(("n", "results"), [(50, {None}), (200, {None, True}), (400, {True})])
def test_right_networks_generalise_also_from_few_samples(n, results):
    found = set()
    for seed in range(6):
        x = np.random.default_rng(seed).normal(size=(n, 8))
        t = (x[:, 0] > 0).astype(int)
        check = check_generalisation(MultiLayerNet(8, [32], 2, seed=seed), x, t, seed=seed)
        found.add(check.ok)
    assert found == results
    if n == 50:
        assert "10 new samples are too few" in check.text


def test_a_single_class_cannot_be_told_from_chance():
    x = np.random.default_rng(6).normal(size=(50, 8))
    assert check_generalisation(MultiLayerNet(8, [4], 2), x, np.zeros(50, int)).ok is None


# --- bad input --------------------------------------------------------------------------

CHECKS = [
    check_initial_loss, check_penalty, check_gradients, check_overfitting, check_generalisation,
    sanity_checks,
]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"network": object()}, TypeError, "^network: expected an object with"),
        ({"x": np.zeros((0, 784)), "t": np.zeros(0, int)}, ValueError, "^x: expected at least"),
        ({"t": np.zeros(3, int)}, ValueError, "^t: expected 1000 labels"),
    ],
)
def test_bad_input(mnist, check, change, error, message):
    with pytest.raises(error, match=message):
        check(**{"network": network(), "x": mnist[0], "t": mnist[1]} | change)


@pytest.mark.parametrize(
    ("check", "change", "error", "message"),
    [
        (check_initial_loss, {"expected": 0}, ValueError, "^expected: "),
        (check_initial_loss, {"samples": 0}, ValueError, "^samples: "),
        (check_overfitting, {"steps": 0}, ValueError, "^steps: "),
        (check_overfitting, {"optimizer": 3}, TypeError, "^optimizer: "),
        (check_overfitting, {"optimizer": "Adamant"}, ValueError, "^optimizer: "),
        (check_generalisation, {"epochs": 0}, ValueError, "^epochs: "),
        (check_generalisation, {"samples": 9}, ValueError, "^samples: "),
        (check_generalisation, {"optimizer": SGD}, TypeError, "^optimizer: "),
    ],
)
def test_bad_settings(mnist, check, change, error, message):
    with pytest.raises(error, match=message):
        check(network(), *mnist, **change)
