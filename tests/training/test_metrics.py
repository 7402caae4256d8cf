"""Metrics: their values, what is recorded of them, callbacks that watch them, files with them."""

import copy
import math
import pickle
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from own_loss import OwnLoss

import fastnn
from fastnn import MultiLayerNet, Network, optimizers
from fastnn.callbacks import (
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    ReduceLROnPlateau,
    load_checkpoint,
    newest_checkpoint,
)
from fastnn.layers import Affine, SoftmaxWithLoss
from fastnn.search import Log, search
from fastnn.training.metrics import metrics_of

N, D, C = 60, 4, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D))
T = RNG.integers(C, size=N)
REAL = X[:, :2] + 0.1 * RNG.normal(size=(N, 2))
HELD_OUT = X[40:] + 0.1, T[40:]
EPS = np.finfo(np.float64).eps


def network(outputs=C, **settings):
    return MultiLayerNet(D, [8], outputs, seed=0, **settings)


def fit(net, epochs=3, t=T, **settings):
    return net.fit(X, t, epochs, 16, seed=0, verbose=False, **settings)


def f1_score(predictions, t):
    """A function of the user's: the mean of harmonic means of precision and recall."""
    found = predictions.argmax(axis=1)
    assert predictions.shape == (len(t), C) and t.shape == (len(t),)
    shares = []
    for label in range(C):
        right = np.sum((found == label) & (t == label))
        shares.append(2 * right / max(1, np.sum(found == label) + np.sum(t == label)))
    return np.mean(shares)


# --- values -------------------------------------------------------------------------------

SCORES = arrays.arrays(
    np.float32, (7, 6), elements=st.sampled_from([-1.0, 0.0, 0.5, 2.0, math.inf, math.nan])
)


def value_of(name, scores, t, parts=1, weights=None):
    (metric,) = metrics_of(name)
    sums = metric.sums()
    rows = np.array_split(np.arange(len(scores)), parts)
    for some in rows:
        sums.add(scores[some], t[some], None if weights is None else weights[some])
    return sums.value()


@given(SCORES, arrays.arrays(np.int64, 7, elements=st.integers(0, 5)), st.integers(1, 5))
def test_top_accuracy_is_that_of_a_stable_sort(scores, t, k):
    """NumPy sorts NaN behind all numbers; reversed twice, the first of equals comes first."""
    hits = 0
    for row, label in zip(scores, t, strict=True):
        order = (len(row) - 1 - np.argsort(row[::-1], kind="stable"))[::-1]
        hits += label in order[:k] and not np.isnan(row[label])
    for labels in (t, t[:, np.newaxis], np.eye(6)[t], t.astype(np.uint8)):
        assert value_of(f"top_{k}_accuracy", scores, labels, parts=3) == hits / 7
    if not np.isnan(scores).any():
        assert value_of("top_1_accuracy", scores, t) == value_of("accuracy", scores, t, 2)


@pytest.mark.parametrize("parts", [1, 7])
@pytest.mark.parametrize("mean", [0.0, 1e6])
def test_errors_of_real_valued_targets(parts, mean):
    rng = np.random.default_rng(1)
    t = mean + rng.normal(size=(200, 3)) * [1, 10, 0]
    scores = t + rng.normal(size=t.shape)
    difference = scores - t
    room = 4 * t.size * EPS
    close = {"rel": room, "abs": 0}
    absolute = value_of("mean_absolute_error", scores, t, parts)
    assert absolute == pytest.approx(np.mean(np.abs(difference)), **close)
    squared = value_of("mean_squared_error", scores, t, parts)
    assert squared == pytest.approx(np.mean(difference**2), **close)
    r2 = value_of("r2", scores[:, :2], t[:, :2], parts)
    shares = (difference[:, :2] ** 2).sum(axis=0) / ((t - t.mean(axis=0)) ** 2).sum(axis=0)[:2]
    # A mean is off by some roundings of `mean`, and so is each deviation from it.
    assert r2 == pytest.approx(np.mean(1 - shares), abs=room * (1 + mean / 1e3) * shares.max())
    exact = np.round(t)
    assert value_of("r2", exact, exact, parts) == 1  # also of the column that is constant
    assert value_of("r2", exact[:, 2:] + 1, exact[:, 2:], parts) == 0
    assert math.isnan(value_of("r2", exact[:1], exact[:1]))


WEIGHTS = RNG.random(N) * (RNG.random(N) > 0.3)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_metrics_are_those_of_scikit_learn(weights):
    metrics = pytest.importorskip("sklearn.metrics")
    net = network(2, loss="mse", dtype="float64")
    names = {"r2": "r2_score"} | {n: n for n in ("mean_absolute_error", "mean_squared_error")}
    found = net.evaluate(X, REAL, list(names), batch_size=7, sample_weight=weights)
    for name, theirs in names.items():
        expected = getattr(metrics, theirs)(REAL, net.predict(X), sample_weight=weights)
        assert found[name] == pytest.approx(expected, rel=8 * N * EPS)
    scores = RNG.normal(size=(N, C))  # no two are equal
    for k in (1, 2, 4):
        given = {"k": k, "labels": range(C), "sample_weight": weights}
        expected = metrics.top_k_accuracy_score(T, scores, **given)
        got = value_of(f"top_{k}_accuracy", scores, T, weights=weights)
        assert got == pytest.approx(expected, rel=2 * N * EPS)


@pytest.mark.parametrize(
    ("name", "loss", "t"),
    [
        ("accuracy", "cross_entropy", T),
        ("top_2_accuracy", "cross_entropy", T),
        ("r2", "mse", REAL),
        ("mean_absolute_error", "mse", REAL),
        ("mean_squared_error", "mse", REAL),
    ],
)
def test_a_weight_is_so_many_samples(name, loss, t):
    counts = RNG.integers(4, size=N)
    counts[:20] = 0  # parts of 7 without any
    scores = RNG.normal(size=(N, 2 if loss == "mse" else C))
    weighted = value_of(name, scores, t, 9, counts.astype(float))
    repeated = value_of(name, scores.repeat(counts, axis=0), t.repeat(counts, axis=0))
    assert weighted == pytest.approx(repeated, rel=32 * N * EPS)
    ones = value_of(name, scores, t, 3, np.ones(N))
    assert ones == pytest.approx(value_of(name, scores, t, 3), rel=32 * N * EPS)


def test_metrics_of_epochs_are_weighted():
    """Of the training data, of what is held out of them, and of data of their own."""
    seen = []

    def own(predictions, t, sample_weight=None):
        seen.append((len(t), sample_weight))
        return np.average(predictions.argmax(axis=1) == t, weights=sample_weight)

    net = network()
    settings = {"metrics": ["top_2_accuracy", own, f1_score], "sample_weight": WEIGHTS}
    history = fit(net, 1, validation=0.25, **settings)
    train, held_out = slice(0, 45), slice(45, N)
    for rows, prefix in ((train, ""), (held_out, "val_")):
        given = net.evaluate(X[rows], T[rows], ["top_2_accuracy"], sample_weight=WEIGHTS[rows])
        assert history[f"{prefix}top_2_accuracy"] == [given["top_2_accuracy"]]
        n, weights = seen[len(prefix) > 0]
        assert n == len(X[rows])
        np.testing.assert_array_equal(weights, WEIGHTS[rows])
    assert history["val_own"] == pytest.approx(history.val_accuracy, rel=2 * N * EPS)
    net.evaluate(X, T, own)
    assert seen[-1] == (N, None)
    w = np.arange(1.0, 21.0)
    history = fit(network(), 1, validation=(*HELD_OUT, w), metrics=[own])
    assert seen[-2] == (N, None)  # of the training data
    np.testing.assert_array_equal(seen[-1][1], w)
    assert history["val_own"] == pytest.approx(history.val_accuracy, rel=2 * N * EPS)


def test_evaluate_is_what_fit_records(route):
    net = route(network(weight_decay_lambda=0.1))
    history = fit(net, validation=HELD_OUT, metrics=["top_2_accuracy", f1_score])
    found = net.evaluate(*HELD_OUT, metrics=["top_2_accuracy", f1_score])
    assert [*found] == ["loss", "accuracy", "top_2_accuracy", "f1_score"]
    assert found == {name: history[f"val_{name}"][-1] for name in found}
    assert net.evaluate(*HELD_OUT) == {name: found[name] for name in ("loss", "accuracy")}
    assert found["accuracy"] == net.accuracy(*HELD_OUT)
    parts = net.evaluate(*HELD_OUT, metrics=f1_score, batch_size=3)
    assert parts["f1_score"] == found["f1_score"] and parts["accuracy"] == found["accuracy"]
    squares = network(2, loss="mse")
    assert [*squares.evaluate(X, REAL)] == ["loss"]
    assert squares.evaluate(X, np.eye(2)[T % 2], "accuracy").keys() == {"loss", "accuracy"}


def test_functions_get_labels_and_rows():
    got = []

    def keep(predictions, targets):
        got.append((predictions, targets))
        return np.float32(0.5)

    net = network()
    for t in (T, T[:, np.newaxis], T.astype(float), np.eye(C)[T]):
        assert net.evaluate(X, t, keep)["keep"] == 0.5
        predictions, targets = got.pop()
        np.testing.assert_array_equal(predictions, net.predict(X))
        np.testing.assert_array_equal(targets, t if t.shape == (N, C) else T)
    text = np.array([*"abcde"])
    net.fit(X, text[T], verbose=False)
    net.evaluate(X, text[T], {"mine": keep})
    np.testing.assert_array_equal(got.pop()[1], T)
    one = network(1, loss="mse")
    one.evaluate(X, REAL[:, 0], {"mine": keep})
    assert got[0][0].shape == got[0][1].shape == (N, 1)


# --- what is refused ----------------------------------------------------------------------


def broken(predictions, targets):
    raise KeyError("no such thing")


def rows(predictions, targets):
    return predictions


WRONG = {
    "unknown": (["top_accuracy"], ValueError, "expected names among .*, got 'top_accuracy'"),
    "top 0": (["top_0_accuracy"], ValueError, "expected names among"),
    "no list": (3, TypeError, "expected a list of names or functions, got 3"),
    "no name": ([3], TypeError, "expected names or functions, got 3"),
    "lambda": ([lambda p, t: 0], ValueError, "expected functions that have names"),
    "taken": ({"val_f1": f1_score}, ValueError, "expected functions .*'val_f1'"),
    "a column": ({"lr": f1_score}, ValueError, "expected functions .*'lr'"),
    "ours": ({"top_2_accuracy": f1_score}, ValueError, "expected functions .*, or taken"),
    "another": ({"mine": "accuracy"}, ValueError, "expected names among .*'mine: accuracy'"),
    "twice": ([f1_score, "accuracy", f1_score], ValueError, "expected different names, got f1"),
    "of numbers": (["r2"], ValueError, 'r2 is for networks with loss="mean_squared_error"'),
    "all": (["top_5_accuracy"], ValueError, "top_5_accuracy is .* at least 6 outputs, got 5"),
}


@pytest.mark.parametrize("what", WRONG)
def test_metrics_that_are_none(what):
    metrics, error, text = WRONG[what]
    net = network()
    for call in (lambda: net.evaluate(X, T, metrics), lambda: fit(net, metrics=metrics)):
        with pytest.raises(error, match=f"^metrics: {text}"):
            call()
    assert net.history is None


def test_functions_that_fail_are_named():
    net = network()
    for call in (lambda f: net.evaluate(X, T, [f]), lambda f: fit(net, metrics=[f])):
        with pytest.raises(RuntimeError, match="^metrics: broken raised KeyError: 'no such") as of:
            call(broken)
        assert isinstance(of.value.__cause__, KeyError)
        with pytest.raises(TypeError, match=r"^metrics: expected a number from rows, got .*shape"):
            call(rows)
    with pytest.raises(ValueError, match="^metrics: accuracy is .* 2 outputs, got 1"):
        network(1, loss="mse").evaluate(X, REAL[:, 0], "accuracy")


# --- what is recorded ---------------------------------------------------------------------

NAMES = "loss", "accuracy", "top_2_accuracy", "f1_score"
BOTH = *NAMES, *(f"val_{name}" for name in NAMES)
METRICS = ["top_2_accuracy", "accuracy", f1_score]
SCHEDULED = {"validation": 0.25, "metrics": METRICS}


@pytest.mark.parametrize("batch_size", [16, N])
def test_metrics_change_no_training(batch_size, route):
    net, plain = route(network()), route(network())
    settings = {"epochs": 3, "batch_size": batch_size, "seed": 0, "verbose": False}
    history = net.fit(X, T, **settings, metrics=METRICS)
    expected = plain.fit(X, T, **settings)
    assert history.step_losses == expected.step_losses and history.loss == expected.loss
    for key, p in plain.params.items():
        np.testing.assert_array_equal(net.params[key], p)
    assert history.metrics == NAMES and expected.metrics == NAMES[:2]
    assert [*history.measured] == [*NAMES[2:]] and expected.measured == {}
    found = net.evaluate(X, T, METRICS)
    assert {name: history[name][-1] for name in NAMES[2:]} == {n: found[n] for n in NAMES[2:]}


def test_a_history_has_them_by_name():
    history = fit(network(), **SCHEDULED)
    assert history.metrics == BOTH
    for name in BOTH:
        assert len(history[name]) == 3
    assert history["loss"] is history.loss and history["lr"] is history.lr
    assert [*history.row(2)] == [*BOTH, "lr", "seconds"]
    assert f"f1_score {history['f1_score'][-1]:.4f}" in repr(history)
    assert "val_f1_score" in history._repr_html_()
    with pytest.raises(KeyError, match="expected one of loss, .*, got 'nothing'"):
        history["nothing"]
    with pytest.raises(TypeError):
        iter(history)


def test_metrics_of_a_loss_of_ones_own():
    class Mine(SoftmaxWithLoss):
        pass

    nets = [
        Network([Affine(C)], loss=loss, seed=0) for loss in ("cross_entropy", Mine(), OwnLoss())
    ]
    histories = [fit(net, metrics=["accuracy", "top_2_accuracy"]) for net in nets]
    assert [h.metrics for h in histories] == [("loss", "accuracy", "top_2_accuracy")] * 3
    assert histories[0]["top_2_accuracy"] == pytest.approx(histories[2]["top_2_accuracy"], abs=0.1)
    assert histories[2].accuracy[-1] == nets[2].accuracy(X, T)
    again = fit(nets[2], 4, resume=histories[2])
    assert len(again.accuracy) == 4


def test_validated_averages_are_measured():
    net = network()
    history = fit(net, ema=0.9, validate_averages=True, **SCHEDULED)
    plain = fit(network(), ema=0.9, **SCHEDULED)
    assert history["f1_score"] == plain["f1_score"]
    averaged = fastnn.ensembles.averaged(net, history.averages, X)
    found = averaged.evaluate(X[45:], T[45:], METRICS)
    assert {name: history[f"val_{name}"][-1] for name in found} == found


@pytest.mark.parametrize("how", ["itself", "a copy", "a deep copy", "a pickle", "a checkpoint"])
def test_a_training_that_is_resumed_records_them_on(how, tmp_path):
    whole = fit(network(), 4, **SCHEDULED)
    net, path = network(), tmp_path / "{epoch}-{val_top_2_accuracy:.2f}-{val_f1_score:.3f}.npz"
    history = fit(net, 2, **SCHEDULED, callbacks=[Checkpoint(path)])
    optimizer, known = history.optimizer, {"metrics": METRICS}
    if how == "itself":
        known = {}
    elif how == "a copy":
        history, known = copy.copy(history), {}
    elif how == "a deep copy":
        history = copy.deepcopy(history)
    elif how == "a pickle":
        history = pickle.loads(pickle.dumps(history))
    else:
        net = network()
        history = load_checkpoint(newest_checkpoint(path), net)
        assert history["f1_score"] == whole["f1_score"][:2]
        optimizer = history.optimizer
    if known:
        with pytest.raises(ValueError, match="^metrics: expected those .* function f1_score, got"):
            fit(net, 4, validation=0.25, resume=history)
        with pytest.raises(ValueError, match="^resume: expected a history with metrics"):
            fit(net, 4, validation=0.25, resume=history, metrics=["top_2_accuracy"])
    fit(net, 4, validation=0.25, resume=history, optimizer=optimizer, **known)
    assert {name: history[name] for name in BOTH} == {name: whole[name] for name in BOTH}
    frame = copy.copy(history)
    assert frame == history and frame.measured is not history.measured


def test_names_alone_need_not_be_given_again(tmp_path):
    whole, names = fit(network(2, loss="mse"), 4, REAL, metrics=["r2"]), {"metrics": ["r2"]}
    net = network(2, loss="mse")
    fit(net, 2, REAL, **names, callbacks=[Checkpoint(tmp_path / "w.npz")])
    net = network(2, loss="mse")
    history = load_checkpoint(tmp_path / "w.npz", net)
    fit(net, 4, REAL, resume=history)
    assert history["r2"] == whole["r2"] and history.metrics == ("loss", "r2")


def test_a_divergence_takes_back_what_was_measured():
    net = network()
    with pytest.warns(fastnn.DivergenceWarning):
        history = fit(net, 8, metrics=METRICS, optimizer=optimizers.SGD(1e30), validation=0.25)
    facts = history.facts()
    assert {len(facts[name]) for name in BOTH} == {history.sound}
    assert "measured" not in facts
    net.history.optimizer.lr = 0.01
    fit(net, 8, resume=history, validation=0.25)
    assert {len(history[name]) for name in BOTH} == {8}


def test_ctrl_c_while_measuring(monkeypatch):
    calls = []

    def interrupted(predictions, t):
        calls.append(len(t))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return 0.5

    net = network()
    settings = {"validation": 0.25, "metrics": {"mine": interrupted}}
    with pytest.raises(KeyboardInterrupt):
        fit(net, **settings)
    assert calls == [45, 15, 45] and net.history.epochs == len(net.history["mine"]) == 1
    history = fit(net, resume=net.history, validation=0.25)
    assert history.loss == fit(network(), validation=0.25).loss
    assert history["val_mine"] == [0.5] * 3


# --- what watches them --------------------------------------------------------------------


def falling(values):
    """Return a metric with these values, whatever the network does."""
    rest = iter(values)
    return lambda predictions, t: next(rest)


@pytest.mark.parametrize(
    ("name", "mode", "best"),
    [("mine", "min", 3), ("mine", "max", 1), ("an_error", None, 3), ("a_score", None, 1)],
)
def test_callbacks_watch_metrics(name, mode, best):
    stopping = EarlyStopping(name, patience=9, mode=mode, restore_best=False)
    reducing = ReduceLROnPlateau(name, patience=1, mode=mode)
    metrics = {name: falling([3.0, 2.0, 1.0, 2.0])}
    history = fit(network(), 4, metrics=metrics, callbacks=[stopping, reducing])
    assert (stopping.best_epoch, stopping.best) == (best, 4.0 - best)
    assert len({*history.lr}) == (1 if best == 3 else 3)


def test_the_best_network_by_a_metric():
    net = network()
    stopping = EarlyStopping("val_top_2_accuracy", patience=2)
    history = fit(net, 30, validation=HELD_OUT, metrics=["top_2_accuracy"], callbacks=[stopping])
    best = max(history["val_top_2_accuracy"])
    assert stopping.best == best
    assert net.evaluate(*HELD_OUT, "top_2_accuracy")["top_2_accuracy"] == best


@pytest.mark.parametrize("make", [EarlyStopping, ReduceLROnPlateau, partial(Checkpoint, "c")])
def test_metrics_of_which_it_is_not_known_what_is_better(make):
    for name in ("val_mine", "val_los", "lr", 3):
        with pytest.raises(ValueError, match="^monitor: expected one of loss, .*mode=.* beside it"):
            make(name)
    with pytest.raises(ValueError, match="^mode: expected one of min, max, got 'best'"):
        make("val_loss", mode="best")
    net = network()
    for callback in (make("val_mine", mode="max"), make("r2")):
        with pytest.raises(ValueError, match="monitor: expected one of loss, accuracy, which this"):
            fit(net, callbacks=[callback])


def test_files_of_rows_have_them(tmp_path):
    path = tmp_path / "log.csv"
    net = network()
    fit(net, 2, **SCHEDULED, callbacks=[CSVLogger(path)])
    fit(net, 3, validation=0.25, resume=net.history, callbacks=[CSVLogger(path)])
    head, *lines = path.read_text().splitlines()
    assert head.split(",") == ["epoch", *BOTH, "lr", "seconds"]
    assert [float(line.split(",")[3]) for line in lines] == net.history["top_2_accuracy"]


@pytest.mark.filterwarnings("ignore::fastnn.search.BorderWarning")
def test_a_search_compares_them():
    pytest.importorskip("optuna")

    def train(trial):
        net = network(2, loss="mse")
        fit(net, trial.epochs, REAL, optimizer=optimizers.SGD(trial["lr"]), callbacks=[trial],
            validation=0.25, metrics=["mean_absolute_error"])  # fmt: skip

    result = search(train, {"lr": Log(1e-3, 1e-1)}, trials=3, epochs=3, seed=0,
                    metric="val_mean_absolute_error", verbose=False)  # fmt: skip
    assert result.best.value == min(trial.value for trial in result)
