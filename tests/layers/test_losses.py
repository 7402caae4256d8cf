"""The last layers: gradients, exactness at any score, weights of samples, smoothed targets."""

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn import Network, kernels, layers, ops, optimizers
from fastnn.layers import Affine, HuberWithLoss, SigmoidWithLoss, SoftmaxWithLoss, Tanh
from fastnn.networks.building import LOSSES

N, C = 9, 4
RNG = np.random.default_rng(2026)
X = RNG.normal(size=(N, C))
LABELS = RNG.integers(C, size=N)
TARGETS = {
    "classes": LABELS,
    "answers": (RNG.random((N, C)) > 0.5).astype(float),
    "numbers": RNG.normal(scale=3, size=(N, C)),
    "counts": RNG.poisson(2, (N, C)),
}
WEIGHTS = np.append(RNG.random(N - 1), 0.0)
LAST = {
    "softmax": (SoftmaxWithLoss(), LABELS),
    "softmax, smoothed": (SoftmaxWithLoss(0.2), LABELS),
    "softmax, rows smoothed": (SoftmaxWithLoss(0.2), np.eye(C)[LABELS]),
    "sigmoid": (SigmoidWithLoss(), TARGETS["answers"]),
    "sigmoid, smoothed": (SigmoidWithLoss(label_smoothing=0.2), TARGETS["answers"]),
    "identity": (layers.IdentityWithLoss(), TARGETS["numbers"]),
    "poisson": (layers.PoissonWithLoss(), TARGETS["counts"]),
    "huber": (HuberWithLoss(0.7), TARGETS["numbers"]),
}
every = pytest.mark.parametrize("name", LAST)
EPS = np.finfo(float).eps


@every
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_gradient_is_that_of_the_loss(name, weights):
    layer, t = LAST[name]
    layer.forward(X, t, weights)
    dx, h = layer.backward(), 1e-5
    for i, j in np.ndindex(X.shape):
        step = np.zeros_like(X)
        step[i, j] = h
        high, low = (layer.forward(X + s * step, t, weights) for s in (1, -1))
        # h^2 / 6 of a third derivative of at most e^3, and the loss's rounding over 2 h.
        limit = 4 * h**2 + 64 * EPS * max(1, high) / h
        assert abs(dx[i, j] - (high - low) / (2 * h)) <= limit, (i, j)


@every
def test_weights_are_of_a_mean(name):
    """Their size does not matter, equal ones are none, and 0 leaves a sample out."""
    layer, t = LAST[name]
    plain = layer.forward(X, t), layer.backward()
    equal = layer.forward(X, t, np.full(N, 3.0)), layer.backward()
    weighted = layer.forward(X, t, WEIGHTS), layer.backward()
    scaled = layer.forward(X, t, 8 * WEIGHTS), layer.backward()
    few = layer.forward(X[:-1], t[:-1], WEIGHTS[:-1]), layer.backward()
    limit = 32 * N * EPS * np.exp(3)
    for one, other in ((plain, equal), (weighted, scaled)):
        assert abs(one[0] - other[0]) <= limit
        np.testing.assert_allclose(one[1], other[1], rtol=0, atol=limit)
    assert abs(weighted[0] - few[0]) <= limit
    np.testing.assert_allclose(weighted[1][:-1], few[1], rtol=0, atol=limit)
    assert not weighted[1][-1].any()
    assert abs(weighted[0] - plain[0]) > 1e-3


@every
def test_no_weight_above_0_is_no_loss(name):
    layer, t = LAST[name]
    assert layer.forward(X, t, np.zeros(N)) == 0
    assert not layer.backward().any()


@pytest.mark.parametrize("of", ["softmax", "sigmoid"])
def test_smoothing_is_of_the_targets(of):
    kind = {"softmax": SoftmaxWithLoss, "sigmoid": SigmoidWithLoss}[of]
    t = np.eye(C)[LABELS] if of == "softmax" else TARGETS["answers"]
    smooth = 0.7 * t + 0.3 / (C if of == "softmax" else 2)
    given_, by_hand = kind(label_smoothing=0.3), kind()
    limit = 32 * C * EPS * np.abs(X).max()
    for form in [t, LABELS] if of == "softmax" else [t]:
        assert abs(given_.forward(X, form) - by_hand.forward(X, smooth)) <= limit
        np.testing.assert_allclose(given_.backward(), by_hand.backward(), rtol=0, atol=limit)


@settings(deadline=None, max_examples=60)
@given(
    scores=st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=20),
    yes=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_the_logistic_loss_is_exact_at_any_score(scores, yes, dtype):
    limit = np.finfo(dtype)
    x = np.clip(scores, -limit.max / 32, limit.max / 32).astype(dtype)[:, np.newaxis]
    loss, dx = ops.binary_cross_entropy(x, np.full(x.shape, yes, dtype))
    wrong = (-x if yes else x).astype(np.longdouble)
    exact = np.logaddexp(0, wrong)
    assert abs(loss - exact.mean()) <= 16 * limit.eps * exact.mean() + limit.tiny
    with np.errstate(over="ignore"):
        slope = (1 if not yes else -1) / (1 + np.exp(-wrong))
    np.testing.assert_allclose(dx * len(x), slope, rtol=0, atol=16 * limit.eps)


def test_huber_is_the_squared_error_near_and_a_line_far_away():
    t = np.zeros((2, 1))
    near, far = np.array([[0.5], [-0.25]]), np.array([[10.0], [-20.0]])
    assert ops.huber(near, t)[0] == ops.mean_squared_error(near, t)[0]
    assert ops.huber(far, t, 2.0)[0] == (2 * 9 + 2 * 19) / 2
    np.testing.assert_array_equal(ops.huber(far, t, 2.0)[1], [[1], [-1]])


def test_poisson_is_0_where_the_mean_is_the_count():
    t = np.array([[1.0, 0.0, 7.0]])
    x = np.log(t, out=np.full(t.shape, -np.inf), where=t > 0)
    loss, dx = ops.poisson(x, t)
    assert abs(loss) <= 16 * EPS * 7
    np.testing.assert_allclose(dx, 0, atol=16 * EPS * 7)


OURS = {"binary_log_loss": "binary_cross_entropy", "poisson_loss": "poisson"}


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("name", OURS)
def test_losses_are_those_of_scikit_learn(name, weights):
    pytest.importorskip("sklearn", "1.7")  # the first with weights, and Poisson's loss
    theirs = getattr(importlib.import_module("sklearn.neural_network._base"), name)
    loss = OURS[name]
    t = TARGETS["answers" if loss == "binary_cross_entropy" else "counts"]
    predicted = ops.sigmoid(X) if loss == "binary_cross_entropy" else np.exp(X)
    expected = theirs(t, predicted, *([] if weights is None else [weights]))
    found = getattr(ops, loss)(X, t, weights=weights)[0]
    assert abs(found - expected) <= 64 * N * C * EPS * np.exp(3)


BAD = [
    ({"weights": np.ones(N - 1)}, ValueError, r"^weights: expected shape \(9,\)"),
    ({"weights": -np.ones(N)}, ValueError, r"got -1.0 in weights\[0\]"),
    ({"weights": np.append(np.ones(N - 1), np.nan)}, ValueError, r"got nan in weights\[8\]"),
    ({"weights": ["a"] * N}, TypeError, "^weights: "),
]


@pytest.mark.parametrize(("bad", "error", "text"), BAD)
@pytest.mark.parametrize(
    "name",
    ["softmax_cross_entropy", "binary_cross_entropy", "mean_squared_error", "poisson", "huber"],
)
def test_bad_weights(name, bad, error, text):
    t = np.eye(C)[LABELS]
    with pytest.raises(error, match=text):
        getattr(ops, name)(X, t, **bad)


@pytest.mark.parametrize(
    ("function", "t", "text"),
    [
        (
            ops.binary_cross_entropy,
            np.full((N, C), 2.0),
            r"from 0 to 1, got 2.0 in row 0, column 0",
        ),
        (ops.binary_cross_entropy, np.full((N, C), np.nan), "got nan"),
        (ops.poisson, np.full((N, C), -1), "of at least 0, got -1.0 in row 0, column 0"),
        (ops.poisson, np.full((N, C), np.inf), "of at least 0, got inf"),
    ],
)
def test_targets_out_of_range(function, t, text):
    with pytest.raises(ValueError, match=f"^t: expected finite numbers .*{text}"):
        function(X, t)


def test_settings_are_checked_and_shown():
    assert repr(SoftmaxWithLoss()) == "SoftmaxWithLoss()"
    assert repr(HuberWithLoss(2)) == "HuberWithLoss(delta=2.0)"
    with pytest.raises(ValueError, match="^delta: expected a number above 0"):
        HuberWithLoss(0)
    with pytest.raises(ValueError, match="^label_smoothing: expected a number in"):
        SigmoidWithLoss(1.5)


def net(loss, outputs=C, **settings_):
    found = [Affine(5), Tanh(), Affine(outputs)]
    return Network(found, loss=loss, input_size=C, dtype="float64", seed=0, **settings_)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_networks(name):
    network = net(name)
    t = TARGETS[LAST_TAKES[name]]
    found = network.gradient(X, t, sample_weight=WEIGHTS)
    h = 1e-5
    for key, p in network.params.items():
        for i in (0, p.size - 1):
            before = p.flat[i]
            ends = []
            for s in (1, -1):
                p.flat[i] = before + s * h
                ends.append(network.loss(X, t, sample_weight=WEIGHTS))
            p.flat[i] = before
            limit = 32 * h**2 + 64 * EPS * max(1, ends[0]) / h
            assert abs(found[key].flat[i] - (ends[0] - ends[1]) / (2 * h)) <= limit, key


LAST_TAKES = {
    "cross_entropy": "classes",
    "binary_cross_entropy": "answers",
    "mean_squared_error": "numbers",
    "poisson": "counts",
    "huber": "numbers",
}


def test_one_output_has_the_logistic_loss_named():
    with pytest.raises(ValueError, match='one output take loss="binary_cross_entropy"'):
        net("cross_entropy", outputs=1)
    with pytest.raises(ValueError, match='one output take loss="binary_cross_entropy"'):
        SoftmaxWithLoss().forward(X[:, :1], np.zeros(N, int))


def test_yes_or_no():
    network, t = net("binary_cross_entropy", outputs=1), (X[:, 0] > 0).astype(int)
    history = network.fit(
        X, t, 300, N, optimizers.SGD(0.5), verbose=False, seed=0, validation=(X, t)
    )
    assert history.val_accuracy[-1] == 1
    assert history.accuracy[-1] == history.val_accuracy[-2]  # which is before an update
    scores, found = network.predict(X), network.evaluate(X, t)
    np.testing.assert_array_equal(network.predict_classes(X), t)
    np.testing.assert_array_equal(network.predict_proba(X), ops.sigmoid(scores))
    assert found.keys() == {"loss", "accuracy"}
    assert network.accuracy(X, t) == network.accuracy(X, t[:, np.newaxis]) == 1
    assert network.accuracy(X, 1 - t) == 0
    assert found["loss"] == network.loss(X, t)


def test_several_answers_are_right_together():
    """Subset accuracy: one wrong answer makes a sample wrong."""
    network = net("binary_cross_entropy")
    t = network.predict_classes(X)
    assert t.shape == (N, C)
    np.testing.assert_array_equal(t, network.predict_proba(X) > 0.5)
    assert network.accuracy(X, t) == 1
    t[0, 1] = 1 - t[0, 1]
    assert network.accuracy(X, t) == network.evaluate(X, t)["accuracy"] == (N - 1) / N
    weighted = network.evaluate(X, t, sample_weight=np.arange(N))
    assert weighted["accuracy"] == 1


@pytest.mark.parametrize(
    ("loss", "metric", "text"),
    [
        ("binary_cross_entropy", "top_2_accuracy", "is for networks with classes, got answers"),
        ("binary_cross_entropy", "r2", "this one has answers"),
    ],
)
def test_metrics_that_do_not_fit(loss, metric, text):
    with pytest.raises(ValueError, match=text):
        net(loss).evaluate(X, TARGETS["answers"], metrics=[metric])


def test_accuracy_as_a_metric_of_answers():
    network, t = net("binary_cross_entropy"), TARGETS["answers"]
    assert network.evaluate(X, t, metrics=["accuracy"]).keys() == {"loss", "accuracy"}
    history = network.fit(X, t, 1, verbose=False, metrics=["accuracy"])
    assert history.metrics == ("loss", "accuracy")


@pytest.mark.parametrize(
    "last", [HuberWithLoss(0.5), SoftmaxWithLoss(0.25), SigmoidWithLoss(), layers.PoissonWithLoss()]
)
def test_settings_are_in_files_copies_and_text(last, tmp_path):
    import fastnn
    from fastnn.networks.copies import copy_of

    network = net(last)
    network.save(tmp_path / "net.npz")
    again = fastnn.load(tmp_path / "net.npz")
    kept = copy_of(network)
    other = net(type(last)())
    other.load(tmp_path / "net.npz")
    for each in (again, kept, other):
        assert repr(each.last_layer) == repr(last)
        assert repr(each) == repr(network)


def test_a_file_says_which_settings_there_are(tmp_path):
    network = net(HuberWithLoss(0.5))
    network.save(tmp_path / "net.npz")
    with pytest.raises(ValueError, match="last layer"):
        net("mean_squared_error").load(tmp_path / "net.npz")
    usual = net("huber")
    usual.save(tmp_path / "usual.npz")
    network.load(tmp_path / "usual.npz")
    assert network.last_layer.delta == 1


def test_several_answers_have_no_classes():
    with pytest.raises(ValueError, match="several outputs with the logistic loss"):
        net("binary_cross_entropy").classes = ["no", "yes", "maybe", "never"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize(
    "name",
    ["softmax_cross_entropy_dense", "softmax_cross_entropy", "binary_cross_entropy", "poisson"],
)
def test_an_element_has_the_same_bits_wherever_it_stands(name, smoothing, dtype):
    """In the vectors of a loop, or among the rest of it: so with any number of pieces."""
    rng = np.random.default_rng(11)
    x, t = rng.normal(size=(400, 3)).astype(dtype), rng.dirichlet(np.ones(3), 400).astype(dtype)
    w = rng.random(400).astype(dtype)
    given_ = {
        "softmax_cross_entropy": (rng.integers(0, 3, 400), w, smoothing),
        "softmax_cross_entropy_dense": (t, w, np.inf, smoothing),
        "binary_cross_entropy": (t, w, -np.inf, np.inf, smoothing),
        "poisson": (t, w, -np.inf),
    }[name]
    found = set()
    for chunks in (1, 2, 5, 100, 400):
        loss, dx = np.empty(1), np.empty_like(x)
        getattr(kernels, name)(x, *given_, loss, dx, chunks)
        found.add((loss.tobytes(), dx.tobytes()))
    assert len(found) == 1
