"""Scores of many samples in one call are those of the layers."""

import numpy as np
import pytest

from fastnn import MultiLayerNetExtend, get_num_threads, layers, set_num_threads
from fastnn.kernels.threading import threads
from fastnn.layers.folding import folded
from fastnn.program import inference as _inference

D, C = 12, 4


@pytest.fixture(autouse=True)
def _always(monkeypatch):
    monkeypatch.setattr(_inference, "WORTH", 1)


def network(hidden=(33, 20), dtype="float64", trained=True, **settings):
    net = MultiLayerNetExtend(D, hidden, C, seed=0, dtype=dtype, **settings)
    if trained:
        x, t = data(64), np.arange(64) % C
        net.fit(x, t, 2, 16, "momentum", verbose=False, seed=0)
    return net


def data(n=500, dtype="float64"):
    return np.random.default_rng(930).normal(size=(n, D)).astype(dtype)


def by_layers(net, x):
    out = np.asarray(x).reshape(len(x), -1).astype(net.dtype)
    if net.input_scale != 1:
        out = out * net.dtype.type(net.input_scale)
    for layer in net.layers.values():
        out = layer.forward(out, False)
    return out


def scores(net, x):
    """Return the scores of one call, which must have taken place."""
    result = _inference.scores(net, x)
    assert result is not None
    np.testing.assert_array_equal(net.predict(x), result)
    return result


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("n", [1, 5, 97, 1000])
def test_same_bits_without_norms_and_dropout(dtype, activation, n):
    net, x = network(dtype=dtype, activation=activation), data(n, dtype)
    before = x.copy()
    np.testing.assert_array_equal(scores(net, x), by_layers(net, x))
    np.testing.assert_array_equal(x, before)


def test_same_bits_of_wide_layers():
    net, x = network((300, 800, 260), "float32", trained=False), data(300, "float32")
    np.testing.assert_array_equal(scores(net, x), by_layers(net, x))


def bound(net, x):
    """Return how far scores may be off: each product rounds once for each of its terms."""
    eps, size, error = np.finfo(net.dtype).eps, np.abs(x), np.zeros(x.shape)
    for layer in net.layers.values():
        if isinstance(layer, layers.Affine):
            W = np.abs(layer.W)
            error = error @ W + (len(W) + 4) * eps * (size @ W + np.abs(layer.b))
            size = size @ W + np.abs(layer.b)
        elif isinstance(layer, layers.BatchNormalization):
            slope = np.abs(layer.gamma) / np.sqrt(layer.running_var + layer.eps)
            size = (size + np.abs(layer.running_mean)) * slope + np.abs(layer.beta)
            error = error * slope + 8 * eps * size
    return 2 * error + np.finfo(net.dtype).tiny


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("inverted", [False, True])
def test_norms_and_dropout_within_rounding(dtype, activation, inverted):
    net = network(
        dtype=dtype, activation=activation, use_batchnorm=True, use_dropout=True,
        dropout_ration=0.3,
    )  # fmt: skip
    for layer in net.layers.values():
        if isinstance(layer, layers.Dropout):
            layer.inverted = inverted
    x = data(700, dtype)
    expected, limit = by_layers(net, x), bound(net, x)
    assert (np.abs(scores(net, x) - expected) <= limit).all()
    assert limit.max() < 1e-3 * np.abs(expected).max() or dtype == "float32"


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e3, 1e12])
@pytest.mark.parametrize("variance", [0, 1e-20, 1e20])
def test_norms_of_any_size(scale, variance):
    net = network(use_batchnorm=True)
    net.params["gamma1"] *= scale
    net.layers["BatchNorm2"].running_var[::2] = variance
    x = data(200)
    assert (np.abs(scores(net, x) - by_layers(net, x)) <= bound(net, x)).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e308])
def test_norms_that_cannot_be_in_the_weights(bad):
    net = network(use_batchnorm=True)
    net.params["gamma1"][3] = bad
    if bad == 1e308:
        net.params["W1"][0] = 1e10
    assert _inference.scores(net, data()) is None
    np.testing.assert_array_equal(net.predict(data()), by_layers(net, data()))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(bad):
    net, x = network(), data()
    x[7, 3] = bad
    np.testing.assert_array_equal(scores(net, x), by_layers(net, x))
    assert np.isfinite(np.delete(scores(net, x), 7, axis=0)).all()
    net.params["W2"][1, 2] = bad
    np.testing.assert_array_equal(scores(net, x), by_layers(net, x))


@pytest.mark.parametrize("kind", ["uint8", "int64", ">f8", "float32", "bool"])
def test_kinds_of_data(kind, tmp_path):
    net = network(input_scale=1 / 128)
    x = (np.random.default_rng(931).random((300, D)) * 255).astype(kind)
    expected = by_layers(net, x)
    np.testing.assert_array_equal(scores(net, x), expected)
    np.testing.assert_array_equal(scores(net, np.asfortranarray(x)), expected)
    np.testing.assert_array_equal(scores(net, x.reshape(300, 3, 2, 2)), expected)
    np.testing.assert_array_equal(scores(net, x[::-1]), expected[::-1])
    np.testing.assert_array_equal(scores(net, np.repeat(x, 2, axis=1)[:, ::2]), expected)
    mapped = np.memmap(tmp_path / "x", x.dtype, "w+", shape=x.shape)
    mapped[...] = x
    np.testing.assert_array_equal(scores(net, mapped), expected)


@pytest.mark.parametrize("form", [np.asfortranarray, lambda W: np.repeat(W, 2, axis=1)[:, ::2]])
def test_weights_of_any_layout(form):
    net, x = network(), data()
    expected = by_layers(net, x)
    net.layers["Affine1"].W = form(net.params["W1"])
    np.testing.assert_array_equal(scores(net, x), expected)


def test_weights_of_another_type_go_through_the_layers():
    net, x = network(dtype="float32"), data(dtype="float32")
    net.layers["Affine1"].W = net.params["W1"].astype(np.float64)
    assert _inference.scores(net, x) is None


def test_what_it_is_not_for_goes_through_the_layers():
    class Own(MultiLayerNetExtend):
        def predict(self, x, train_flg=False):
            return super().predict(x, train_flg) + 1

    class Swish(layers.Relu):
        pass

    own = Own(D, [5], C, seed=0)
    assert _inference.scores(own, data()) is None
    net = network()
    net.layers["Swish"] = Swish()
    assert _inference.scores(net, data()) is None
    net = network(use_batchnorm=True, trained=False)
    assert _inference.scores(net, data()) is None  # no statistics
    net = network()
    net.layers["Dropout9"] = layers.Dropout(0.5)
    assert _inference.scores(net, data()) is None
    with pytest.raises(ValueError, match=f"{D + 1}"):
        network().predict(np.ones((5, D + 1)))
    assert network().predict(np.ones((0, D))).shape == (0, C)


def test_shapes_of_a_norm_that_do_not_fit():
    net = network(use_batchnorm=True)
    net.layers["BatchNorm1"].running_mean = np.zeros(7)
    with pytest.raises(ValueError, match="running_mean"):
        net.predict(data())


def test_settings_of_layers_come_along():
    """Those of an activation, or of a layer whose weights take in what stands beside it."""
    rng = np.random.default_rng(931)
    affine = layers.Affine(rng.normal(size=(D, C)), rng.normal(size=C))
    relu, last = layers.Relu(), layers.AffineRelu(rng.normal(size=(C, C)), rng.normal(size=C))
    given = {"dropout": layers.Dropout(0.5), "affine": affine, "relu": relu, "last": last}
    for i, layer in enumerate(given.values()):
        layer.slope = i
    found = dict(folded([*given.items()], np.dtype("float64")))
    assert {name: layer.slope for name, layer in found.items()} == {
        "affine": 1, "relu": 2, "last": 3,
    }  # fmt: skip
    np.testing.assert_array_equal(found["affine"].W, affine.W * 0.5)


def test_layers_keep_what_they_have_kept_of_a_training_pass():
    """Another thread may be between its forward and its backward pass."""
    net = network(use_batchnorm=True, use_dropout=True)
    net.gradient(data(), np.arange(500) % C)
    before = {name: dict(vars(layer)) for name, layer in net.layers.items()}
    scores(net, data())
    for name, layer in net.layers.items():
        assert vars(layer).keys() == before[name].keys()
        assert all(value is before[name][key] for key, value in vars(layer).items())


@pytest.mark.parametrize("hidden", [(33, 20), (300, 260)], ids=["plain", "packed"])
def test_the_same_bits_for_any_number_of_threads(monkeypatch, hidden):
    monkeypatch.setattr(threads, "_available", 4)
    before, net, x = get_num_threads(), network(hidden, use_batchnorm=True), data(1001)
    try:
        set_num_threads(1)
        expected = scores(net, x)
        for n in 2, 3, 4:
            set_num_threads(n)
            np.testing.assert_array_equal(scores(net, x), expected)
    finally:
        set_num_threads(before)


def test_little_work_goes_through_the_layers(monkeypatch):
    monkeypatch.undo()
    net = network()
    assert _inference.scores(net, data(10)) is None
    assert _inference.scores(net, data(1 << 17)) is not None
