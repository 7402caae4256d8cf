"""Networks as a whole: gradients, names, dtypes, seeds, both backends."""

import copy
import itertools
import math
import pickle

import numpy as np
import pytest
import rounding

from fastnn import layers, optimizers
from fastnn.config import use_backend
from fastnn.networks import MultiLayerNet, MultiLayerNetExtend, TwoLayerNet

EPS = np.finfo(np.float64).eps

KINDS = {
    "MultiLayerNetExtend": lambda **kw: MultiLayerNetExtend(
        **{"input_size": 6, "hidden_size_list": [8, 7], "output_size": 3, "seed": 0} | kw
    ),
    "MultiLayerNet": lambda **kw: MultiLayerNet(
        **{"input_size": 6, "hidden_size_list": [8, 7], "output_size": 3, "seed": 0} | kw
    ),
    "TwoLayerNet": lambda **kw: TwoLayerNet(
        **{"input_size": 6, "hidden_size": 8, "output_size": 3, "seed": 0} | kw
    ),
}
every_kind = pytest.mark.parametrize("build", list(KINDS.values()), ids=list(KINDS))
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@pytest.fixture(params=["numba", "numpy"])
def backend(request):
    with use_backend(request.param):
        yield request.param


def batch(seed, n=10, features=6, classes=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, features)), rng.integers(classes, size=n)


# --- gradients --------------------------------------------------------------------------


def relative_error(a, n):
    """|a - n| / max(|a|, |n|) in the Euclidean norm; 0 where both are zero."""
    size = max(np.linalg.norm(a), np.linalg.norm(n))
    return np.linalg.norm(a - n) / size if size else 0.0


def check_gradient(net, x, t):
    numeric = net.numerical_gradient(x, t)
    analytic = net.gradient(x, t)
    assert analytic.keys() == numeric.keys() == net.params.keys()
    for key, p in net.params.items():
        a, n = analytic[key], numeric[key]
        assert a.shape == p.shape
        # What is left of differences of the loss, good to a few eps, over 2h = 2e-4.
        noise = 50 * EPS / 2e-4 * np.sqrt(p.size)
        if key[0] == "b" and f"gamma{key[1:]}" in net.params:
            # Batch normalisation takes the mean away, and with it the bias.
            assert np.linalg.norm(a) < noise and np.linalg.norm(n) < noise, key
        else:
            assert np.linalg.norm(a) > 1e3 * noise, key
            assert relative_error(a, n) < 1e-6, key


@pytest.mark.parametrize(
    ("activation", "use_batchnorm", "use_dropout", "decay"),
    list(itertools.product(["relu", "sigmoid", "tanh"], [False, True], [False, True], [0, 0.1])),
)
def test_gradient_check(activation, use_batchnorm, use_dropout, decay, backend):
    # The seed keeps each ReLU further than h from its kink.
    net = MultiLayerNetExtend(
        4, [5, 4], 3, activation, weight_decay_lambda=decay, use_batchnorm=use_batchnorm,
        use_dropout=use_dropout, dropout_ration=0.3, dtype=np.float64, seed=2,
    )  # fmt: skip
    x, t = batch(300, n=12, features=4)
    check_gradient(net, x, t)


@pytest.mark.parametrize("build", [KINDS["MultiLayerNet"], KINDS["TwoLayerNet"]])
def test_gradient_check_of_the_plain_networks(build, backend):
    net = build(weight_init_std=0.5, dtype=np.float64)
    check_gradient(net, *batch(301))


def test_numerical_gradient_leaves_the_network_as_it_was():
    net = MultiLayerNetExtend(
        4, [5], 3, use_batchnorm=True, use_dropout=True, dtype=np.float64, seed=0
    )
    x, t = batch(302, features=4)
    net.gradient(x, t)
    norm, dropout = net.layers["BatchNorm1"], net.layers["Dropout1"]
    mean, var, step = norm.running_mean.copy(), norm.running_var.copy(), dropout.step
    params = {key: p.copy() for key, p in net.params.items()}
    first, second = net.numerical_gradient(x, t), net.numerical_gradient(x, t)
    for key, p in params.items():
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)
        np.testing.assert_array_equal(net.params[key], p, err_msg=key)
    np.testing.assert_array_equal(norm.running_mean, mean)
    np.testing.assert_array_equal(norm.running_var, var)
    assert dropout.step == step


@every_kind
def test_gradients_are_fresh_arrays(build):
    net = build()
    x, t = batch(303)
    first = net.gradient(x, t)
    kept = {key: g.copy() for key, g in first.items()}
    second = net.gradient(x[::-1] + 1, t)
    for key, g in first.items():
        np.testing.assert_array_equal(g, kept[key], err_msg=key)
        assert not np.shares_memory(g, second[key])
        assert not any(np.shares_memory(g, p) for p in net.params.values())


@every_kind
def test_gradient_leaves_the_data_loss(build):
    net = build()
    x, t = batch(304)
    net.gradient(x, t)
    assert net.last_layer.loss == net.loss(x, t, train_flg=True)


# --- names and arrays -------------------------------------------------------------------


def test_names_of_the_plain_network():
    net = MultiLayerNet(6, [8, 7], 3, "tanh")
    assert list(net.params) == ["W1", "b1", "W2", "b2", "W3", "b3"]
    assert list(net.layers) == [
        "Affine1", "Activation_function1", "Affine2", "Activation_function2", "Affine3",
    ]  # fmt: skip
    assert {key: p.shape for key, p in net.params.items()} == {
        "W1": (6, 8), "b1": (8,), "W2": (8, 7), "b2": (7,), "W3": (7, 3), "b3": (3,),
    }  # fmt: skip
    assert isinstance(net.last_layer, layers.SoftmaxWithLoss)


def test_names_of_the_extended_network():
    net = MultiLayerNetExtend(6, [8, 7], 3, "tanh", use_batchnorm=True, use_dropout=True)
    hidden = ["Affine", "BatchNorm", "Activation_function", "Dropout"]
    assert list(net.layers) == [f"{name}{i}" for i in (1, 2) for name in hidden] + ["Affine3"]
    assert set(net.params) == {
        "W1", "b1", "gamma1", "beta1", "W2", "b2", "gamma2", "beta2", "W3", "b3",
    }  # fmt: skip
    for i, size in enumerate([8, 7], start=1):
        np.testing.assert_array_equal(net.params[f"gamma{i}"], np.ones(size))
        np.testing.assert_array_equal(net.params[f"beta{i}"], np.zeros(size))


def test_relu_is_fused_with_the_layer_before_it():
    net = MultiLayerNet(6, [8, 7], 3)
    kinds = [type(layer) for layer in net.layers.values()]
    assert kinds == [layers.AffineRelu, layers.AffineRelu, layers.Affine]
    net = MultiLayerNetExtend(6, [8], 3, use_batchnorm=True)
    kinds = [type(layer) for layer in net.layers.values()]
    assert kinds == [layers.Affine, layers.BatchNormRelu, layers.Affine]


@every_kind
def test_gradient_of_the_data_is_not_computed(build):
    net, (x, t) = build(), batch(305)
    net.last_layer.forward(net.predict(x, train_flg=True), t)
    dout = net.last_layer.backward()
    for layer in reversed(net.layers.values()):
        assert dout is not None
        dout = layer.backward(dout)
    assert dout is None


@pytest.mark.parametrize("use_batchnorm", [False, True])
def test_params_are_the_arrays_of_the_layers(use_batchnorm):
    net = MultiLayerNetExtend(6, [8, 7], 3, use_batchnorm=use_batchnorm, seed=0)
    arrays = dict(net.params)
    x, t = batch(305)
    before, optimizer = net.predict(x, train_flg=True), optimizers.Momentum()
    for _ in range(3):
        optimizer.update(net.params, net.gradient(x, t))
    assert all(net.params[key] is array for key, array in arrays.items())
    for i in (1, 2, 3):
        affine = net.layers[f"Affine{i}"]
        assert affine.W is arrays[f"W{i}"] and affine.b is arrays[f"b{i}"]
    for i in (1, 2) if use_batchnorm else ():
        norm = net.layers[f"BatchNorm{i}"]
        assert norm.gamma is arrays[f"gamma{i}"] and norm.beta is arrays[f"beta{i}"]
    assert np.all(np.any(net.predict(x, train_flg=True) != before, axis=1))


def expect_one_buffer(net):
    """Check that parameters follow one another on cache lines, and that the layers hold them."""
    line, begin = 64, net.params["W1"].ctypes.data
    assert begin % 64 == 0
    assert len({id(p.base) for p in net.params.values()}) == 1
    for p in net.params.values():
        assert p.flags.carray
        assert p.ctypes.data == begin
        begin += -(-p.size // line) * line * p.itemsize
    held = {id(getattr(layer, name, None)) for layer in net.layers.values()
            for name in ("W", "b", "gamma", "beta")}  # fmt: skip
    assert held - {id(None)} == {id(p) for p in net.params.values()}


def by_pickle(net):
    return pickle.loads(pickle.dumps(net))


@dtypes
@pytest.mark.parametrize("again", [lambda net: net, copy.deepcopy, by_pickle, copy.copy])
def test_parameters_lie_in_one_buffer(again, dtype):
    net = MultiLayerNetExtend(6, [8, 70], 3, use_batchnorm=True, dtype=dtype, seed=0)
    x, t = batch(306)
    net.gradient(x, t)
    kept = {key: p.copy() for key, p in net.params.items()}
    other = again(net)
    expect_one_buffer(net)
    expect_one_buffer(other)
    shares = again not in (copy.deepcopy, by_pickle)
    assert np.shares_memory(other.params["W1"], net.params["W1"]) == shares
    np.testing.assert_array_equal(other.predict(x), net.predict(x))
    optimizers.SGD(0.1).update(other.params, other.gradient(x, t))
    for key, p in kept.items():
        assert np.array_equal(net.params[key], p) != shares or not p.any(), key


@pytest.mark.parametrize("again", [copy.deepcopy, by_pickle])
def test_copies_train_alike(again):
    net = MultiLayerNetExtend(6, [8], 3, use_batchnorm=True, use_dropout=True, seed=0)
    x, t = batch(306)
    optimizers.SGD(0.1).update(net.params, net.gradient(x, t))
    other = again(net)
    for each in (net, other):
        optimizers.SGD(0.1).update(each.params, each.gradient(x, t))
    for key, p in net.params.items():
        np.testing.assert_array_equal(other.params[key], p, err_msg=key)
    np.testing.assert_array_equal(other.predict(x), net.predict(x))


def test_network_without_hidden_layers_is_softmax_regression():
    net = MultiLayerNet(6, [], 3, weight_init_std=0.1, dtype=np.float64, seed=0)
    x, t = batch(306)
    W, b = net.params["W1"], net.params["b1"]
    limit = 4 * 6 * EPS * np.abs(x).max() * np.abs(W).max()
    np.testing.assert_allclose(net.predict(x), x @ W + b, rtol=0, atol=limit)
    y = np.exp(x @ W + b)
    y /= y.sum(axis=1, keepdims=True)
    grads = net.gradient(x, t)
    expected = x.T @ (y - np.eye(3)[t]) / len(x)
    limit = 4 * len(x) * EPS * np.abs(x).max()
    np.testing.assert_allclose(grads["W1"], expected, rtol=0, atol=limit)


def test_forward_pass_step_by_step():
    net = MultiLayerNet(6, [8], 3, dtype=np.float64, seed=0)
    x, _ = batch(307)
    p = net.params
    p["b1"][...] = np.linspace(-1, 1, 8)
    expected = np.maximum(x @ p["W1"] + p["b1"], 0) @ p["W2"] + p["b2"]
    limit = 4 * (6 + 8) * EPS * np.abs(x).max() * max(np.abs(p["W1"]).max(), 1) * 8
    np.testing.assert_allclose(net.predict(x), expected, rtol=0, atol=limit)


# --- seeds, initial values --------------------------------------------------------------


@every_kind
def test_seed_decides_the_parameters(build):
    one, same, other, wide = build(), build(), build(seed=1), build(dtype=np.float64)
    for key, p in one.params.items():
        np.testing.assert_array_equal(p, same.params[key], strict=True)
        np.testing.assert_array_equal(p, wide.params[key].astype(np.float32), strict=True)
        assert np.array_equal(p, other.params[key]) == key.startswith("b")


def test_seed_decides_the_dropout_masks():
    def run(seed):
        net = MultiLayerNetExtend(6, [20, 20], 3, "tanh", use_dropout=True, seed=seed)
        x, t = batch(308)
        net.gradient(x, t)
        return [net.layers[f"Dropout{i}"].mask for i in (1, 2)]

    one, same, other = run(0), run(0), run(1)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    assert not np.array_equal(*one)


def test_without_seed_networks_differ():
    nets = [MultiLayerNet(6, [8], 3) for _ in range(2)]
    assert not np.array_equal(*(net.params["W1"] for net in nets))


@pytest.mark.parametrize(
    ("rule", "gain"),
    [("relu", 2), ("he", 2), ("He", 2), ("sigmoid", 1), ("tanh", 1), ("xavier", 1), (0.3, None)],
)
def test_initial_weights_follow_the_rule(rule, gain):
    net = MultiLayerNet(150, [200, 100], 50, weight_init_std=rule, seed=0)
    for i in (1, 2, 3):
        W, b = net.params[f"W{i}"], net.params[f"b{i}"]
        std = rule if gain is None else math.sqrt(gain / W.shape[0])
        # The standard error of a mean is std / sqrt(n), that of a deviation std / sqrt(2n).
        assert abs(W.mean()) < 5 * std / math.sqrt(W.size)
        assert abs(W.std() - std) < 5 * std / math.sqrt(2 * W.size)
        assert not b.any()


def test_two_layer_net_starts_with_small_weights():
    net = TwoLayerNet(300, 100, 10, seed=0)
    for key in ("W1", "W2"):
        W = net.params[key]
        assert abs(W.std() - 0.01) < 5 * 0.01 / math.sqrt(2 * W.size)


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_loss_starts_at_the_log_of_the_classes(classes):
    net = TwoLayerNet(20, 30, classes, dtype=np.float64, seed=0)
    x, t = batch(309, n=50, features=20, classes=classes)
    spread = np.abs(net.predict(x)).max()
    assert 0 < spread < 0.05
    # Scores within +-a keep each log-probability within 2a of that of equal scores.
    assert abs(net.loss(x, t) - -math.log(1 / classes)) <= 2 * spread


def test_weight_penalty_is_half_lambda_times_the_squares_of_the_weights():
    x, t = batch(310)
    plain = MultiLayerNetExtend(6, [8], 3, use_batchnorm=True, dtype=np.float64, seed=0)
    decayed = MultiLayerNetExtend(
        6, [8], 3, weight_decay_lambda=0.3, use_batchnorm=True, dtype=np.float64, seed=0
    )
    squares = sum(np.sum(p**2) for key, p in plain.params.items() if key[0] == "W")
    expected = plain.loss(x, t) + 0.3 / 2 * squares
    assert abs(decayed.loss(x, t) - expected) <= 100 * EPS * expected
    grads, others = decayed.gradient(x, t), plain.gradient(x, t)
    for key, p in plain.params.items():
        expected = others[key] + (0.3 * p if key[0] == "W" else 0)
        limit = 4 * EPS * np.abs(expected).max()
        np.testing.assert_allclose(grads[key], expected, rtol=0, atol=limit, err_msg=key)
    assert decayed.last_layer.loss == plain.last_layer.loss


# --- dtypes and forms of the input ------------------------------------------------------


@pytest.mark.parametrize("use_batchnorm", [False, True])
@pytest.mark.parametrize("use_dropout", [False, True])
@pytest.mark.parametrize("given", [np.float32, np.float64, np.uint8, np.float16])
@dtypes
def test_one_dtype_end_to_end(dtype, given, use_dropout, use_batchnorm, backend):
    net = MultiLayerNetExtend(
        6, [8, 7], 3, weight_decay_lambda=0.1, use_batchnorm=use_batchnorm,
        use_dropout=use_dropout, dtype=dtype, seed=0,
    )  # fmt: skip
    x, t = batch(311)
    x = (np.abs(x) * 50).astype(given)
    assert net.predict(x).dtype == net.predict(x, train_flg=True).dtype == dtype
    for key, g in net.gradient(x, t).items():
        assert g.dtype == net.params[key].dtype == dtype, key
    for layer in net.layers.values():
        if isinstance(layer, layers.BatchNormalization):
            assert layer.running_mean.dtype == layer.running_var.dtype == dtype


def test_default_dtype_is_float32():
    assert {p.dtype for p in MultiLayerNet(6, [8], 3).params.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("targets", [np.float32, np.float64, np.int64, bool])
@dtypes
def test_one_hot_targets_do_not_change_the_dtype(dtype, targets, backend):
    net = MultiLayerNet(6, [8], 3, dtype=dtype, seed=0)
    x, t = batch(312)
    for key, g in net.gradient(x, np.eye(3, dtype=targets)[t]).items():
        assert g.dtype == dtype, key


@every_kind
@pytest.mark.parametrize("form", ["one-hot", "column", "uint8", "list"])
def test_forms_of_the_targets_agree(form, build):
    x, t = batch(313)
    other = {
        "one-hot": np.eye(3)[t], "column": t[:, np.newaxis], "uint8": t.astype(np.uint8),
        "list": t.tolist(),
    }[form]  # fmt: skip
    net = build(dtype=np.float64)
    loss, grads = net.loss(x, t), net.gradient(x, t)
    assert abs(net.loss(x, other) - loss) <= 8 * EPS * loss
    for key, g in net.gradient(x, other).items():
        limit = 16 * EPS * len(x) * np.abs(grads[key]).max()
        np.testing.assert_allclose(g, grads[key], rtol=0, atol=limit, err_msg=key)
    assert net.accuracy(x, other) == net.accuracy(x, t)


def test_images_are_flattened():
    net = MultiLayerNet(12, [8], 3, seed=0)
    x, t = batch(314, features=12)
    images = x.reshape(-1, 3, 2, 2)
    np.testing.assert_array_equal(net.predict(images), net.predict(x))
    grads = net.gradient(x, t)
    for key, g in net.gradient(images, t).items():
        np.testing.assert_array_equal(g, grads[key], err_msg=key)


@every_kind
def test_data_are_not_written(build):
    net, (x, t) = build(dtype=np.float64), batch(315)
    kept = x.copy(), t.copy()
    x.flags.writeable = t.flags.writeable = False
    net.gradient(x, t)
    net.loss(x, t)
    net.accuracy(x, t)
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(t, kept[1])


# --- training and inference -------------------------------------------------------------


def test_accuracy_counts_the_right_samples():
    net = MultiLayerNet(3, [], 3)
    net.params["W1"][...] = np.eye(3)
    x = np.eye(3)[[0, 1, 2, 0]]
    assert net.accuracy(x, np.array([0, 1, 2, 0])) == 1.0
    assert net.accuracy(x, np.array([0, 1, 2, 1])) == 0.75
    assert net.accuracy(x, np.array([1, 2, 0, 1])) == 0.0


def test_accuracy_with_the_squared_error_compares_the_largest():
    net = MultiLayerNet(3, [], 3, loss="mean_squared_error")
    net.params["W1"][...] = np.eye(3)
    x = np.eye(3)[[0, 1, 2, 0]]
    t = np.array([[0.9, 0.2, 0.1], [0.3, 0.4, 0.1], [0.1, 0.2, 5.0], [0.1, 0.2, 0.1]])
    assert net.accuracy(x, t) == 0.75
    for labels in (np.array([0, 1, 2, 1]), np.array([[0], [1], [2], [1]])):
        with pytest.raises(ValueError, match=r"^t: expected targets of shape \(4, 3\), got \(4,"):
            net.accuracy(x, labels)


def test_loss_of_the_squared_error():
    net = MultiLayerNet(6, [8], 2, weight_decay_lambda=0.1, dtype=np.float64, seed=0,
                        loss="mean_squared_error")  # fmt: skip
    assert isinstance(net.last_layer, layers.IdentityWithLoss)
    x, _ = batch(318)
    t = np.linspace(-1, 1, 20).reshape(10, 2)
    squares = sum(np.sum(W**2) for key, W in net.params.items() if key[0] == "W")
    expected = np.sum((net.predict(x) - t) ** 2) / 20 + 0.05 * squares
    assert abs(net.loss(x, t) - expected) < 100 * EPS * expected


@every_kind
@dtypes
def test_input_scale(build, dtype):
    x = np.random.default_rng(319).integers(256, size=(10, 6), dtype=np.uint8)
    t = np.arange(10) % 3
    net, other = build(dtype=dtype, input_scale=1 / 255), build(dtype=dtype)
    scaled = x.astype(dtype) * dtype(1 / 255)
    assert net.input_scale == 1 / 255
    np.testing.assert_array_equal(net.predict(x), other.predict(scaled))
    assert net.loss(x, t) == other.loss(scaled, t)
    assert net.accuracy(x, t) == other.accuracy(scaled, t)
    grads = other.gradient(scaled, t)
    for key, g in net.gradient(x, t).items():
        np.testing.assert_array_equal(g, grads[key], strict=True)
    assert x.dtype == np.uint8 and not np.array_equal(net.predict(x), other.predict(x))


def test_predictions_do_not_train():
    net = MultiLayerNetExtend(6, [8], 3, use_batchnorm=True, use_dropout=True, seed=0)
    x, t = batch(316)
    net.gradient(x, t)
    norm, dropout = net.layers["BatchNorm1"], net.layers["Dropout1"]
    mean, var, step = norm.running_mean.copy(), norm.running_var.copy(), dropout.step
    scores = net.predict(x)
    assert net.accuracy(x, t) == np.mean(scores.argmax(axis=1) == t)
    net.loss(x, t)
    np.testing.assert_array_equal(net.predict(x), scores)
    np.testing.assert_array_equal(norm.running_mean, mean)
    np.testing.assert_array_equal(norm.running_var, var)
    assert dropout.step == step
    assert not np.array_equal(net.predict(x, train_flg=True), scores)
    assert not np.array_equal(norm.running_mean, mean)
    assert dropout.step == step + 1


def test_dropout_ratio_reaches_the_layers():
    net = MultiLayerNetExtend(6, [8, 7], 3, use_dropout=True, dropout_ration=0.25)
    assert [net.layers[f"Dropout{i}"].dropout_ratio for i in (1, 2)] == [0.25, 0.25]


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("use_batchnorm", [False, True])
@pytest.mark.parametrize("use_dropout", [False, True])
def test_backends_agree_on_training(activation, use_batchnorm, use_dropout):
    steps, x, t = 30, *batch(317, n=60, features=20, classes=5)

    def train(backend, seed=None):
        with use_backend(backend):
            net = MultiLayerNetExtend(
                20, [30, 15], 5, activation, weight_decay_lambda=0.01,
                use_batchnorm=use_batchnorm, use_dropout=use_dropout, dropout_ration=0.2,
                dtype=np.float64, seed=0,
            )  # fmt: skip
            if seed is not None:
                rounding.moving(net, seed)
            optimizer, losses = optimizers.Momentum(0.05), []
            for step in range(steps):
                rows = np.arange(step, step + 20) % 60
                optimizer.update(net.params, net.gradient(x[rows], t[rows]))
                losses.append(net.last_layer.loss)
        return {**net.params, "losses": np.array(losses)}

    results, expected = train("numba"), train("numpy")
    limits = rounding.limits(expected, lambda seed: train("numpy", seed), lambda key: "all")
    for key, result in results.items():
        np.testing.assert_allclose(result, expected[key], rtol=0, atol=limits[key], err_msg=key)
    assert expected["losses"][-1] != expected["losses"][0]


# --- errors -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"input_size": 0}, ValueError, "input_size"),
        ({"input_size": 6.0}, TypeError, "input_size"),
        ({"output_size": -1}, ValueError, "output_size"),
        ({"output_size": "3"}, TypeError, "output_size"),
        ({"hidden_size_list": [8, 0]}, ValueError, r"hidden_size_list\[1\]"),
        ({"hidden_size_list": [8.5]}, TypeError, r"hidden_size_list\[0\]"),
        ({"activation": "step"}, ValueError, "activation: expected one of relu, sigmoid, tanh"),
        ({"weight_init_std": "lecun"}, ValueError, "weight_init_std: .*he, .*xavier"),
        ({"weight_init_std": -0.1}, ValueError, "weight_init_std"),
        ({"weight_init_std": math.nan}, ValueError, "weight_init_std"),
        ({"weight_init_std": None}, TypeError, "weight_init_std"),
        ({"weight_decay_lambda": -1}, ValueError, "weight_decay_lambda"),
        ({"weight_decay_lambda": "1"}, TypeError, "weight_decay_lambda"),
        ({"dropout_ration": 1}, ValueError, "dropout_ration"),
        ({"dropout_ration": -0.5}, ValueError, "dropout_ration"),
        ({"dtype": np.float16}, TypeError, "dtype: expected float32 or float64, got float16"),
        ({"dtype": np.int64}, TypeError, "dtype: expected float32 or float64, got int64"),
        (
            {"loss": "hinge"},
            ValueError,
            "loss: expected one of cross_entropy, binary_cross_entropy, mean_squared_error",
        ),
        ({"input_scale": 0}, ValueError, "input_scale: expected a number above 0, got 0"),
        ({"input_scale": "1"}, TypeError, "input_scale: expected a number above 0, got '1'"),
    ],
)
def test_settings_out_of_range(settings, error, text):
    with pytest.raises(error, match=f"^{text}"):
        KINDS["MultiLayerNetExtend"](**settings)


def test_activation_in_any_case():
    net = MultiLayerNet(6, [8], 3, "Sigmoid")
    assert isinstance(net.layers["Activation_function1"], layers.Sigmoid)


@pytest.mark.parametrize("call", ["loss", "gradient", "accuracy"])
@pytest.mark.parametrize(
    ("n", "t"), [(0, []), (3, [0, 1]), (2, [0, 1, 2])], ids=["empty", "fewer", "more"]
)
def test_targets_that_do_not_fit(call, n, t):
    net = MultiLayerNet(6, [8], 3, seed=0)
    with pytest.raises(ValueError, match=r"at least one|t: expected"):
        getattr(net, call)(np.ones((n, 6)), np.array(t, int))


@pytest.mark.parametrize("call", ["loss", "gradient"])
@pytest.mark.parametrize("t", [[0, 3], [-1, 0]])
def test_labels_out_of_range(call, t):
    net = MultiLayerNet(6, [8], 3, seed=0)
    with pytest.raises(ValueError, match="t: expected labels from 0 to 2"):
        getattr(net, call)(np.ones((2, 6)), np.array(t))


def test_wrong_number_of_features():
    with pytest.raises(ValueError, match=r"^x: expected samples of 6 features, .*\(2, 5\)"):
        MultiLayerNet(6, [8], 3, seed=0).predict(np.ones((2, 5)))
