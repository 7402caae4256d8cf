"""Training with each loss, and with weights of samples and of classes, on both routes."""

import numpy as np
import pytest
from routes import StepSettings, by_layers

from fastnn import Network, get_num_threads, optimizers, set_num_threads
from fastnn.kernels.threading import threads
from fastnn.kernels.tuning import COMMON
from fastnn.layers import Affine, HuberWithLoss, SigmoidWithLoss, SoftmaxWithLoss, Tanh
from fastnn.program import Program
from fastnn.program import tables as tables_module

N, D, C, BATCH, STEPS = 90, 5, 3, 40, 6
RNG = np.random.default_rng(1020)
X = RNG.normal(size=(N, D))
LABELS = RNG.integers(C, size=N)
ROWS = np.eye(C)[LABELS]
ANSWERS, COUNTS = (RNG.random((N, C)) > 0.4) * 1.0, RNG.poisson(2, (N, C))
WEIGHTS = RNG.random(N) * (RNG.random(N) > 0.2)
CASES = {
    "labels": ("cross_entropy", LABELS),
    "labels, smoothed": (SoftmaxWithLoss(0.2), LABELS),
    "rows": ("cross_entropy", ROWS),
    "rows, smoothed": (SoftmaxWithLoss(0.2), ROWS),
    "answers": ("binary_cross_entropy", ANSWERS),
    "answers, smoothed": (SigmoidWithLoss(0.2), ANSWERS),
    "squared error": ("mean_squared_error", RNG.normal(size=(N, C))),
    "poisson": ("poisson", COUNTS),
    "huber": (HuberWithLoss(0.5), RNG.normal(scale=2, size=(N, C))),
}
every = pytest.mark.parametrize("name", CASES)
both = pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])


def network(loss, outputs=C, dtype="float64"):
    found = [Affine(8), Tanh(), Affine(outputs)]
    return Network(found, loss=loss, input_size=D, dtype=dtype, seed=0)


def run(route, name, weights, dtype="float64", whole=False, x=X):
    """Take some steps; return all that came of them."""
    loss, t = CASES[name]
    net = network(loss, dtype=dtype)
    rows = None if whole else np.random.default_rng(7).integers(N, size=STEPS * BATCH - 9)
    given = net, optimizers.SGD(0.05), x, t, N if whole else BATCH, StepSettings()
    executor = route(*given, weights=weights)
    losses, hits = np.zeros(STEPS), np.zeros(STEPS, np.int64)
    executor.run(rows, given[4], np.full(STEPS, 0.05), losses, hits)
    return losses, hits, {key: p.copy() for key, p in net.params.items()}


@every
@both
@pytest.mark.parametrize("whole", [False, True], ids=["batches", "whole"])
def test_both_routes_agree(name, weights, whole):
    ours, theirs = (run(route, name, weights, whole=whole) for route in (Program, by_layers))
    # Sums over a batch in other orders, of gradients that change parameters step by step.
    limit = STEPS * N * 8 * np.finfo(float).eps
    np.testing.assert_allclose(ours[0], theirs[0], rtol=limit, atol=limit)
    np.testing.assert_array_equal(ours[1], theirs[1])
    for key, p in ours[2].items():
        np.testing.assert_allclose(p, theirs[2][key], rtol=0, atol=limit)


@pytest.fixture
def crowd(monkeypatch):
    """Let there be more threads than processors, which share each step of tiny networks."""
    take = tables_module.Tables.run

    def shared(tables, *args):
        tables.program["taken"], tables.program["alone"] = COMMON.alone_first, 1 << 60
        take(tables, *args)

    monkeypatch.setattr(tables_module.Tables, "run", shared)
    monkeypatch.setattr(threads, "_available", 5)
    monkeypatch.setattr(tables_module, "_WORTH", 1e-9)
    before = get_num_threads()
    yield
    set_num_threads(before)


@every
@both
def test_the_same_bits_for_any_number_of_threads(crowd, name, weights):
    found = []
    for n in (1, 2, 5):
        set_num_threads(n)
        found.append(run(Program, name, weights, dtype="float32"))
    for losses, hits, params in found[1:]:
        np.testing.assert_array_equal(losses, found[0][0])
        np.testing.assert_array_equal(hits, found[0][1])
        for key, p in params.items():
            np.testing.assert_array_equal(p, found[0][2][key])


@every
def test_samples_in_a_file_have_their_weights(name, tmp_path):
    """Those are converted some at a time, and weights with them."""
    path = tmp_path / "x.npy"
    np.save(path, X.astype(np.float16))
    here = run(Program, name, WEIGHTS, x=np.load(path))
    mapped = run(Program, name, WEIGHTS, x=np.load(path, mmap_mode="r"))
    np.testing.assert_array_equal(here[0], mapped[0])
    for key, p in here[2].items():
        np.testing.assert_array_equal(p, mapped[2][key])


def fit(t, loss="cross_entropy", **settings):
    net = network(loss)
    settings = {"optimizer": optimizers.SGD(0.1), "verbose": False, "seed": 3} | settings
    history = net.fit(X, t, 3, BATCH, **settings)
    return net, history


def expect_same(one, other):
    limit = 9 * N * 8 * np.finfo(float).eps
    for key, p in one[0].params.items():
        np.testing.assert_allclose(p, other[0].params[key], rtol=0, atol=limit)
    np.testing.assert_allclose(one[1].step_losses, other[1].step_losses, rtol=limit)


COUNT = np.bincount(LABELS)
FORMS = {
    "dict": ({0: 2.0, 1: 0.5}, [2, 0.5, 1]),
    "array": (np.array([2.0, 0.5, 3.0]), [2, 0.5, 3]),
    "balanced": ("balanced", N / (C * COUNT)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("t", [LABELS, ROWS], ids=["labels", "rows"])
def test_weights_of_classes_are_weights_of_their_samples(form, t):
    given, each = FORMS[form]
    expected = np.asarray(each)[LABELS]
    one, other = fit(t, class_weight=given), fit(t, sample_weight=expected)
    assert one[1].route == "program"
    expect_same(one, other)
    net = one[0]
    assert net.loss(X, t, class_weight=given) == net.loss(X, t, sample_weight=expected)
    assert net.evaluate(X, t, class_weight=given) == net.evaluate(X, t, sample_weight=expected)
    found = net.gradient(X, t, class_weight=given)
    for key, g in net.gradient(X, t, sample_weight=expected).items():
        np.testing.assert_array_equal(g, found[key])


def test_weights_of_classes_by_their_names():
    names = np.array(["ash", "birch", "cedar"])
    one = fit(names[LABELS], class_weight={"birch": 3.0})
    expect_same(one, fit(LABELS, class_weight={1: 3.0}))
    with pytest.raises(ValueError, match="^class_weight: expected classes .*'ash'.* got 'oak'"):
        fit(names[LABELS], class_weight={"oak": 1})


def test_weights_of_both_kinds_are_multiplied():
    one = fit(LABELS, sample_weight=WEIGHTS, class_weight=[1, 2, 3])
    expect_same(one, fit(LABELS, sample_weight=WEIGHTS * np.array([1, 2, 3])[LABELS]))


def test_weights_of_yes_and_no():
    t = (LABELS > 0).astype(int)
    net = network("binary_cross_entropy", outputs=1)
    expected = net.loss(X, t, sample_weight=np.where(t == 1, 4.0, 1.0))
    assert net.loss(X, t, class_weight={1: 4.0}) == expected
    count = np.bincount(t)
    balanced = net.loss(X, t, sample_weight=(N / (2 * count))[t])
    assert net.loss(X, t, class_weight="balanced") == balanced


def test_a_share_held_out_has_its_weights():
    net, history = fit(LABELS, sample_weight=WEIGHTS, validation=0.2)
    n = round(0.8 * N)
    expected = net.evaluate(X[n:], LABELS[n:], sample_weight=WEIGHTS[n:])
    assert history.val_loss[-1] == expected["loss"]
    assert history.val_accuracy[-1] == expected["accuracy"]


def test_evaluation_in_parts_is_the_weighted_mean():
    net = network("cross_entropy")
    whole = net.evaluate(X, LABELS, sample_weight=WEIGHTS)
    parts = net.evaluate(X, LABELS, sample_weight=WEIGHTS, batch_size=7)
    limit = 8 * N * np.finfo(float).eps
    assert abs(whole["loss"] - parts["loss"]) <= limit * whole["loss"]
    assert abs(whole["accuracy"] - parts["accuracy"]) <= limit
    right = net.predict_classes(X) == LABELS
    assert abs(whole["accuracy"] - WEIGHTS[right].sum() / WEIGHTS.sum()) <= limit


def test_a_batch_without_weight_changes_nothing():
    net = network("cross_entropy")
    before = {key: p.copy() for key, p in net.params.items()}
    history = net.fit(
        X, LABELS, 1, N - 1, optimizers.SGD(1.0), verbose=False, shuffle=False,
        sample_weight=np.r_[np.zeros(N - 1), 1.0],
    )  # fmt: skip
    assert history.step_losses[0] == 0 and history.step_losses[1] > 0
    only = network("cross_entropy")
    only.fit(X[-1:], LABELS[-1:], 1, 1, optimizers.SGD(1.0), verbose=False)
    limit = 8 * np.finfo(float).eps
    for key, p in net.params.items():
        np.testing.assert_allclose(p, only.params[key], rtol=0, atol=limit)
        assert np.abs(p - before[key]).max() > 1e-3


class Own(SoftmaxWithLoss):
    """A loss of a user's."""


BAD = [
    ({"sample_weight": np.ones(N + 1)}, ValueError, r"^sample_weight: expected shape \(90,\)"),
    ({"sample_weight": -np.ones(N)}, ValueError, "^sample_weight: expected finite numbers of at"),
    ({"sample_weight": np.full(N, np.inf)}, ValueError, r"got inf in sample_weight\[0\]"),
    ({"sample_weight": np.zeros(N)}, ValueError, "^sample_weight: expected a weight above 0"),
    ({"sample_weight": "balanced"}, TypeError, "^sample_weight: expected an array of real"),
    ({"class_weight": "equal"}, ValueError, "^class_weight: expected one of balanced, got 'equal'"),
    ({"class_weight": {7: 1.0}}, ValueError, "^class_weight: expected classes of .*, got 7"),
    ({"class_weight": {0: -1.0}}, ValueError, r"^class_weight\[0\]: expected a number of at"),
    ({"class_weight": [1, 2]}, ValueError, r"^class_weight: expected shape \(3,\), one for each"),
    ({"class_weight": [0, 0, 0]}, ValueError, "^class_weight: expected a weight above 0"),
    ({"loss": "huber", "class_weight": [1, 1, 1]}, ValueError, "^class_weight: .* a network"),
    ({"loss": Own(), "sample_weight": np.ones(N)}, ValueError, "^sample_weight: .* a network"),
]  # fmt: skip


@pytest.mark.parametrize(("bad", "error", "text"), BAD)
def test_bad_weights_change_nothing(bad, error, text):
    bad = dict(bad)
    net = network(bad.pop("loss", "cross_entropy"))
    before = {key: p.copy() for key, p in net.params.items()}
    t = ROWS if isinstance(net.last_layer, HuberWithLoss) else LABELS
    for call in (net.evaluate, net.loss, net.gradient, net.fit):
        with pytest.raises(error, match=text):
            call(X, t, **bad)
    assert net.history is None
    for key, p in net.params.items():
        np.testing.assert_array_equal(p, before[key])


def test_the_share_to_train_on_has_some_weight():
    weights = np.zeros(N)
    weights[-1] = 1
    with pytest.raises(ValueError, match="^sample_weight: expected a weight above 0"):
        fit(LABELS, sample_weight=weights, validation=0.2)


def test_weights_change_between_steps_with_a_setting():
    """A callback may change the setting of a loss; the program follows."""
    from fastnn.callbacks import Callback

    class Sharper(Callback):
        def on_epoch_end(self, epoch):
            self.network.last_layer.label_smoothing = 0.0

    smooth, plain = network(SoftmaxWithLoss(0.5)), network(SoftmaxWithLoss(0.5))
    given = {"optimizer": "SGD", "verbose": False, "seed": 3}
    smooth.fit(X, LABELS, 2, BATCH, callbacks=[Sharper()], **given)
    history = plain.fit(X, LABELS, 1, BATCH, **given)
    plain.last_layer.label_smoothing = 0.0
    plain.fit(X, LABELS, 2, BATCH, resume=history, verbose=False)
    for key, p in smooth.params.items():
        np.testing.assert_array_equal(p, plain.params[key])


def test_validation_with_weights():
    """They are those of its samples, whatever the training has."""
    held_out, w = (X[:30] + 0.1, LABELS[:30]), WEIGHTS[:30]
    for of_training in (None, WEIGHTS):
        net = network("cross_entropy")
        given = {"sample_weight": of_training, "seed": 0, "verbose": False}
        history = net.fit(X, LABELS, 2, BATCH, validation=(*held_out, w), **given)
        expected = net.evaluate(*held_out, sample_weight=w)
        assert {name: history[f"val_{name}"][-1] for name in expected} == expected
        assert expected != net.evaluate(*held_out)
        plain = network("cross_entropy")
        without = plain.fit(X, LABELS, 2, BATCH, validation=held_out, **given)
        assert without.loss == history.loss and without.val_loss != history.val_loss


@pytest.mark.parametrize(
    ("weights", "error", "text"),
    [
        (WEIGHTS, ValueError, r"validation weights: expected shape \(30,\).*got \(90,\)"),
        (np.zeros(30), ValueError, "validation weights: expected a weight above 0 among 30"),
        (-np.ones(30), ValueError, "validation weights: expected finite numbers of at least 0"),
        (["a"] * 30, TypeError, "validation weights: "),
    ],
)
def test_weights_of_validation_are_checked(weights, error, text):
    net = network("cross_entropy")
    before = {key: p.copy() for key, p in net.params.items()}
    with pytest.raises(error, match=text):
        net.fit(X, LABELS, validation=(X[:30], LABELS[:30], weights), verbose=False)
    with pytest.raises(ValueError, match=r"validation: expected \(x, t\), .*got 4 items"):
        net.fit(X, LABELS, validation=(X, LABELS, WEIGHTS, 1), verbose=False)
    for key, p in net.params.items():
        np.testing.assert_array_equal(p, before[key])
    assert net.history is None
