"""Samples and targets that would be a wrong turn: refused, or named where they come to light."""

import numpy as np
import pytest
from routes import set_stretch

from fastnn import MultiLayerNet, Network, Trainer, ops
from fastnn.diagnostics import sanity_checks
from fastnn.ensembles import soft_targets
from fastnn.gradient_check import gradient_check
from fastnn.layers import Affine, Relu, SoftmaxWithLoss
from fastnn.optimizers import SGD

N, D, C = 30, 4, 3
X = np.random.default_rng(0).normal(size=(N, D))
T = np.random.default_rng(1).integers(C, size=N)
REAL = np.random.default_rng(2).normal(size=(N, C))
SQUARES = 'loss="mean_squared_error"'


def network(loss="cross_entropy", outputs=C, **settings):
    return MultiLayerNet(D, [5], outputs, loss=loss, seed=0, **settings)


def fit(net, x, t):
    net.fit(x, t, 1, verbose=False)


def validate(net, x, t):
    right = T if net.output_size == C else np.zeros(N, int)
    net.fit(X, right, 1, validation=(x, t), verbose=False)


def train(net, x, t):
    Trainer(net, x, t, X, np.zeros(N, int), 1, 10, verbose=False).train()


CALLS = {
    "fit": fit,
    "validation": validate,
    "Trainer": train,
    "gradient": lambda net, x, t: net.gradient(x, t),
    "accuracy": lambda net, x, t: net.accuracy(x, t),
    "loss": lambda net, x, t: net.loss(x, t),
}


def changed(t, row, column, value):
    t = np.array(t, np.float64)
    t[row, column] = value
    return t


ONE_HOT = np.eye(C)[T]
WRONG = {
    "real": (REAL, f"got -.* in row ., column .; .*{SQUARES}"),
    "negative": (changed(ONE_HOT, 7, 1, -0.25), f"got -0.25 in row 7, column 1; .*{SQUARES}"),
    "a sum": (changed(ONE_HOT, 9, T[9], 0.75), "got a sum of 0.75 in row 9; .* t.sum"),
    "counts": (np.full((N, C), 4), "got a sum of 12 in row 0; "),
    "several classes": (np.ones((N, C), bool), "got a sum of 3 in row 0; "),
    "no class": (changed(ONE_HOT, 4, slice(None), 0), "got a sum of 0 in row 4; "),
    "NaN": (changed(ONE_HOT, 5, 2, np.nan), "got nan in row 5, column 2$"),
    "infinity": (changed(ONE_HOT, 5, 2, np.inf), "got inf in row 5, column 2$"),
    "rounded too far": (np.full((N, C), 0.33), "got a sum of 0.99 in row 0; "),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("what", WRONG)
def test_targets_that_are_no_probabilities(what, call):
    t, text = WRONG[what]
    net = network()
    before = {key: p.copy() for key, p in net.params.items()}
    name = {"validation": "validation t", "Trainer": "t_train"}.get(call, "t")
    with pytest.raises(ValueError, match=f"^{name}: expected rows of probabilities, {text}"):
        CALLS[call](net, X, t)
    for key, p in before.items():
        np.testing.assert_array_equal(net.params[key], p)


@pytest.mark.parametrize("classes", [2, 3, 10, 1000])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_probabilities_as_rounded_as_their_dtype(dtype, classes):
    """Softmax in a dtype, mixed with labels and smoothed there, and converted to another."""
    scores = 5 * np.random.default_rng(classes).normal(size=(200, classes))
    kind = np.dtype(dtype).type
    with np.errstate(under="ignore"):
        p = np.exp(scores - scores.max(axis=1, keepdims=True)).astype(dtype)
        p /= p.sum(axis=1, keepdims=True, dtype=dtype)
        p = kind(0.9) * p + kind(0.1) * np.eye(classes, dtype=dtype)[np.arange(200) % classes]
        p = p * kind(0.9) + kind(0.1 / classes)
    assert p.dtype == dtype
    net = MultiLayerNet(D, [], classes, seed=0)
    x = np.random.default_rng(0).normal(size=(200, D))
    loss = net.loss(x, p)
    wide = p.astype(np.float64)
    assert loss == ops.softmax_cross_entropy(net.predict(x), p)[0]
    if dtype != "float16":  # a sum of float64 is off by that of float32 at most
        assert net.loss(x, wide) == loss
    fit(net, x, p)


def test_a_teacher_in_single_precision():
    teacher = MultiLayerNet(D, [8], C, seed=1)
    fit(network(dtype="float64"), X, soft_targets(teacher, X, 3).astype(np.float64))


@pytest.mark.parametrize("dtype", ["float16", "float64", "int8", "uint8", "bool"])
def test_one_hot_targets_of_any_dtype(dtype):
    for call in CALLS.values():
        call(network(), X, ONE_HOT.astype(dtype))


# --- labels -------------------------------------------------------------------------------


LABELS = {
    "text": (np.array(["cat", "dog", "cow"])[T], TypeError, "np.unique.t, return_inverse=True"),
    "objects": (np.array(["cat", "dog", "cow"], object)[T], TypeError, "np.unique.t, return_inve"),
    "bytes": (np.array([b"cat", b"dog", b"cow"])[T], TypeError, "np.unique.t, return_inverse=True"),
    "real": (T + 0.5, TypeError, f"got float64; .*{SQUARES}"),
    "real in a column": (T[:, np.newaxis] + 0.5, TypeError, f"got float64; .*{SQUARES}"),
    "NaN": (
        np.where(T == 1, np.nan, T),
        ValueError,
        r"labels from 0 to 2, got nan in .*t.*\[\d+\]$",
    ),
    "from 1": (T + 1, ValueError, "labels from 0 to 2, got 3; t - 1 makes"),
    "gaps": (T * 10, ValueError, "labels from 0 to 2, got 20$"),
    "-1 and 1": (np.where(T > 0, 1, -1), ValueError, "got -1; .*np.unique.t, return_inverse=True"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("what", LABELS)
def test_labels_of_other_kinds(what, call):
    t, error, text = LABELS[what]
    if call == "fit" and what in ("text", "objects", "from 1", "gaps"):
        return  # see test_labels.py
    name = {"validation": "validation t", "Trainer": "t_train"}.get(call, "t")
    with pytest.raises(error, match=f"^{name}: expected .*{text}"):
        CALLS[call](network(), X, t)


def test_one_output_is_no_class():
    text = (
        "expected at least 2 with the cross-entropy, .* got 1; .*binary_cross_entropy.*" + SQUARES
    )
    with pytest.raises(ValueError, match=f"^output_size: {text}"):
        network(outputs=1)
    with pytest.raises(ValueError, match=f"^output_size: {text}"):
        Network([Affine(5), Relu(), Affine(1)], input_size=D)
    net = Network([Affine(5), Relu(), Affine(1)])
    with pytest.raises(ValueError, match=f"^output_size: {text}"):
        fit(net, X, T > 0)
    assert net.input_size is None
    with pytest.raises(ValueError, match=rf"^x.shape\[1\]: {text}"):
        SoftmaxWithLoss().forward(X[:, :1], np.zeros(N, int))
    for name, call in CALLS.items():
        if name == "Trainer":
            continue
        net = network("mse", 1)
        net.last_layer = SoftmaxWithLoss()
        with pytest.raises(ValueError, match=text):
            call(net, X, np.zeros(N, int))


def test_the_squared_error_by_its_short_name():
    ours, theirs = network("mse", 1), network("mean_squared_error", 1)
    fit(ours, X, X[:, :1])
    fit(theirs, X, X[:, :1])
    assert type(ours.last_layer) is type(theirs.last_layer)
    for outputs, t, text in (
        (C, T, r"\(30, 3\), got \(30,\); np.eye\(3\)\[t.ravel\(\)\] makes one-hot"),
        (C, X[:, :2], r"\(30, 3\), got \(30, 2\)$"),
    ):
        with pytest.raises(ValueError, match=f"^t: expected targets of shape {text}"):
            fit(network("mse", outputs), X, t)


# --- NaN and infinity ---------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_samples_that_are_not_finite(value, dtype):
    x = X.astype(dtype)
    x[17, 2] = value
    for call, name in (("fit", "x"), ("validation", "validation x"), ("Trainer", "x_train")):
        with pytest.raises(
            ValueError, match=rf"^{name}: expected finite .*{value} in {name}\[17, 2"
        ):
            CALLS[call](network(), x, T)
    t = REAL.astype(dtype)
    t[4, 1] = value
    for call, name in (("fit", "t"), ("Trainer", "t_train")):
        with pytest.raises(
            ValueError, match=rf"^{name}: expected finite .*{value} in {name}\[4, 1\]"
        ):
            CALLS[call](network("mse"), X, t)


def test_checks_name_samples_that_are_not_finite():
    x = changed(X, 17, 2, np.nan)
    for check in (gradient_check, sanity_checks):
        with pytest.raises(ValueError, match=r"^x: expected finite numbers, got nan in x\[17, 2\]"):
            check(network(), x, T)


def test_the_place_in_images_and_in_many_samples():
    x = np.zeros((6000, 28, 28), np.float32)
    x[5123, 7, 21] = np.nan
    with pytest.raises(ValueError, match=r"nan in x\[5123, 7, 21\]"):
        MultiLayerNet(784, [], 2).fit(x, np.zeros(6000, int), verbose=False)


def mapped(path, x):
    file = np.memmap(path, x.dtype, "w+", shape=x.shape)
    file[...] = x
    return file


@pytest.mark.parametrize("layerwise", [False, True])
@pytest.mark.parametrize("batch_size", [4, N])
def test_a_file_is_named_when_the_loss_is_not_finite(tmp_path, batch_size, layerwise):
    x = X.copy()
    x[17, 2] = np.nan
    net = network()
    if layerwise:
        net.gradient = net.gradient
    with pytest.warns(RuntimeWarning, match=r"the loss became nan .*; there is nan in x\[17, 2\]"):
        net.fit(mapped(tmp_path / "x", x), T, 2, batch_size, verbose=False)


@pytest.mark.parametrize("wrong", [None, (X.copy(), REAL)], ids=["x", "t"])
def test_a_validation_loss_that_is_not_finite_is_told_once(tmp_path, wrong):
    loss, right, held_out = "cross_entropy", T, X.copy()
    targets, name = T, "x"
    if wrong is not None:
        loss, right = "mse", REAL
        targets, name = mapped(tmp_path / "t", changed(REAL, 17, 2, np.nan)), "t"
    else:
        held_out[17, 2] = np.nan
    held_out = mapped(tmp_path / "x", held_out)
    net = network(loss)
    with pytest.warns(RuntimeWarning) as caught:
        net.fit(X, right, 3, 7, validation=(held_out, targets), verbose=False)
    (warning,) = caught
    assert warning.filename == __file__
    expected = (
        rf"the validation loss became nan in epoch 1; there is nan in validation {name}[17, 2]"
    )
    assert str(warning.message) == expected
    assert np.isnan(net.history.val_loss).all() and np.isfinite(net.history.loss).all()


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("stretch", [0, 100], ids=["steps by themselves", "all steps at once"])
def test_infinity_shows_a_step_later(tmp_path, batch_size, stretch, monkeypatch):
    """tanh of infinity is 1; the gradient of the weights is not finite."""
    set_stretch(monkeypatch, stretch)
    x = X.copy()
    x[17, 2] = np.inf
    net = MultiLayerNet(D, [5], C, "tanh", seed=0)
    with pytest.warns(RuntimeWarning, match=r"the loss became nan .*; there is inf in x\[17, 2\]"):
        net.fit(mapped(tmp_path / "x", x), T, 2, batch_size, SGD(0.1), verbose=False, shuffle=False)


def test_a_network_that_is_not_finite_before_the_training():
    net = network()
    net.params["W1"][0, 0] = np.inf
    with pytest.warns(RuntimeWarning, match="step 1; before any update: initial parameters, "):
        fit(net, X, T)


def test_a_rate_that_is_too_high_still_is():
    net = network("mse")
    with pytest.warns(
        RuntimeWarning, match="step ([2-9]|[1-9][0-9]+); the learning rate 1000.0 may be too"
    ):
        net.fit(X, REAL, 50, 10, SGD(1000.0), verbose=False)


# --- other forms --------------------------------------------------------------------------


class Frame:
    """What pandas' and other libraries' tables have."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)

    def __len__(self):
        return len(self.array)


def test_tables_and_lists():
    results = []
    for x, t in ((X, T), (Frame(X), Frame(T)), (X.tolist(), T.tolist())):
        net = network()
        net.fit(x, t, 2, 7, validation=(x, t), verbose=False, seed=0)
        results.append(net.params["W1"].copy())
        Trainer(net, x, t, x, t, 1, 10, verbose=False, seed=0).train()
        assert net.accuracy(x, t) == net.accuracy(X, T)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_forms_that_are_no_numbers():
    with pytest.raises(TypeError, match=r"^x: .*got dtype object; array.astype\(float\) converts"):
        fit(network(), X.astype(object), T)
    with pytest.raises(ValueError, match="^x: expected an array of real numbers: .*inhomogeneous"):
        fit(network(), [[1, 2], [3]], T[:2])
    with pytest.raises(ValueError, match=r"^x: .*got \(4,\); x\[np.newaxis\] makes one sample"):
        fit(network(), X[0], T[:1])
    with pytest.raises(ValueError, match=r"^x: .*got \(30,\); x.reshape\(-1, 1\) makes a column"):
        fit(MultiLayerNet(1, [], C), X[:, 0], T)
    with pytest.raises(TypeError, match="^x: expected an array of real numbers, got None"):
        fit(network(), None, T)
    with pytest.raises(TypeError, match="^x: expected numbers, got an array .* masked"):
        fit(network(), np.ma.masked_array(X, X > 1), T)
    with pytest.raises(
        TypeError, match=r"^validation: expected \(x, t\), .*, got ndarray of shape \(30"
    ):
        network().fit(X, T, validation=X, verbose=False)
    with pytest.raises(ValueError, match=r"^x: expected samples of 4 features, .*\(2, 3\)"):
        network().predict(X[:2, :3])


class Sparse:
    def toarray(self):
        return X


def test_tables_that_are_no_arrays():
    with pytest.raises(TypeError, match=r"^x: .*, got Sparse; its toarray\(\) makes one"):
        fit(network(), Sparse(), T)


def test_what_a_trainer_cannot_train():
    with pytest.raises(TypeError, match="^x_test: expected an array of samples, got None"):
        Trainer(network(), X, T, None, None)
    with pytest.raises(
        TypeError, match="^network: expected an object, got the class MultiLayerNet"
    ):
        Trainer(MultiLayerNet, X, T, X, T)
    with pytest.raises(ValueError, match="^network: expected one with classes"):
        Trainer(network("mse", 1), X, X[:, :1], X, X[:, :1])


def test_settings_of_networks():
    assert type(network("MSE").last_layer) is type(network("mse").last_layer)
    with pytest.raises(ValueError, match="^loss: expected one of .*, mse, got 'l2'"):
        network("l2")
    with pytest.raises(TypeError, match="^dtype: expected float32 or float64, got 'half-float'"):
        network(dtype="half-float")
    with pytest.raises(TypeError, match="^seed: expected an integer, got 1.5"):
        MultiLayerNet(D, [5], C, seed=1.5)


def test_integers_as_objects():
    labels = np.array([int(t) for t in T], object)
    for call in CALLS.values():
        call(network(), X, labels)


@pytest.mark.parametrize("seed", [np.random.default_rng(1), np.random.SeedSequence(1), [1, 2]])
def test_seeds_of_other_kinds(seed):
    assert MultiLayerNet(D, [5], C, seed=seed).params["W1"].any()


def test_probabilities_kept_in_four_digits():
    p = np.random.default_rng(3).dirichlet(np.ones(C), N).round(4)
    assert np.abs(p.sum(axis=1) - 1).max() > 5e-5
    network().gradient(X, p)


@pytest.mark.parametrize("large", [2**70, -(2**70)])
def test_integers_beyond_64_bits(large):
    t = [large, 1]
    for call in (MultiLayerNet(3, [2], 3).accuracy, ops.softmax_cross_entropy):
        with pytest.raises(ValueError, match="^t: expected integers of 64 bits, got larger ones$"):
            call(np.zeros((2, 3)), t)
