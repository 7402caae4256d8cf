"""What the chapter says of initial values, batch normalisation, weight decay and dropout."""

import math
import re

import numpy as np
import pytest

from fastnn import MultiLayerNet, MultiLayerNetExtend, optimizers
from fastnn.datasets import load_mnist
from fastnn.layers import AffineRelu, Sigmoid, Tanh

pytestmark = pytest.mark.slow


def numbers(out, label):
    """Return the numbers of the line of a table that begins with a label."""
    (line,) = (line for line in out.splitlines() if line.startswith(label))
    return [float(text) for text in re.findall(r"(?<![\w.])\d+\.?\d*(?![\w.])", line[len(label) :])]


@pytest.fixture(scope="module")
def digits():
    (x, t), _ = load_mnist(subset="bundled")
    return x[:1000], t[:1000]


def activations(rule, activation, dtype=np.float64):
    """Return those of five layers of 100 units, of standard normal samples."""
    x = np.random.default_rng(0).standard_normal((1000, 100)).astype(dtype)
    network = MultiLayerNet(100, [100] * 5, 10, activation, rule, dtype=dtype, seed=0)
    found = []
    for layer in network.layers.values():
        x = layer.forward(x)
        if isinstance(layer, (AffineRelu, Sigmoid, Tanh)):
            found.append(x)
    assert len(found) == 5
    return found


def test_relu_keeps_its_scale_with_he():
    """Of samples of mean square 1 each layer makes values of mean square 1 (He et al., 2015).

    It is the mean over 100 units of a quantity of relative variance 5, so that its logarithm
    walks sqrt(5 / 100) = 0.22 a layer: 0.5 in five layers, of which 3 deviations are 1.5.
    """
    for z in activations("he", "relu"):
        assert abs(math.log(np.square(z).mean())) < 1.5
        assert 0.4 < np.mean(z == 0) < 0.6


def test_relu_vanishes_with_a_hundredth():
    """A layer without biases only scales with its weights: by 0.01 / sqrt(2 / 100), 14 times."""
    shrinks = 0.01 / math.sqrt(2 / 100)
    pairs = zip(activations(0.01, "relu"), activations("he", "relu"), strict=True)
    for layer, (small, he) in enumerate(pairs, start=1):
        # Scaled values round differently, by an eps or so in a layer, sums of 100 by up to 100.
        atol = 100 * layer * np.finfo(float).eps * np.abs(small).max()
        np.testing.assert_allclose(small, shrinks**layer * he, rtol=0, atol=atol)
    assert small.std() < 1e-5


@pytest.mark.parametrize("activation, low, high", [("sigmoid", 0.05, 0.95), ("tanh", -0.95, 0.95)])
def test_curves_saturate_with_one_and_not_with_xavier(activation, low, high):
    for one, xavier in zip(
        activations(1.0, activation), activations("xavier", activation), strict=True
    ):
        assert np.mean((one < low) | (one > high)) > 0.6
        assert np.mean((xavier < low) | (xavier > high)) < 0.1
        assert xavier.std() > 0.1
    # Sums of 100 standard normals in layer 1: beyond where the sigmoid is 0.95, ln 19.
    beyond = math.log(19) if activation == "sigmoid" else math.atanh(0.95)
    share = math.erfc(beyond / 10 / math.sqrt(2))
    z = activations(1.0, activation)[0]
    assert np.mean((z < low) | (z > high)) == pytest.approx(share, abs=0.03)


def with_equal_weights(value, activation, dtype):
    network = MultiLayerNet(784, [37, 101], 10, activation, 0, dtype=dtype, seed=0)
    for key, p in network.params.items():
        if key.startswith("W"):
            p[...] = value
    return network


def distinct_units(W):
    return np.unique(W, axis=1).shape[1]


OPTIMIZERS = {
    "SGD": lambda: optimizers.SGD(0.1),
    "Momentum": lambda: optimizers.Momentum(0.1),
    "Adam": optimizers.Adam,
}


class Unknown(optimizers.SGD):
    """The program does not know it, so that networks are trained layer by layer."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation, value", [("sigmoid", 0), ("tanh", 0.01), ("relu", 0.01)])
@pytest.mark.parametrize("name", [*OPTIMIZERS, "layers"])
def test_equal_units_stay_equal(digits, name, activation, value, dtype):
    """To the last bit: 100 steps change the weights, and no two units differently."""
    network = with_equal_weights(value, activation, dtype)
    optimizer = OPTIMIZERS[name]() if name in OPTIMIZERS else Unknown(0.1)
    history = network.fit(*digits, 10, 100, optimizer, verbose=False, seed=0)
    assert history.route == ("program" if name in OPTIMIZERS else "layers")
    for key, H in (("W1", 37), ("W2", 101)):
        W = network.params[key]
        assert np.abs(W - value).max() > 1e-6
        assert distinct_units(W) == 1, f"{distinct_units(W)} of {H} units differ"
    assert distinct_units(network.params["W3"].T) == 1


def test_random_units_stay_different(digits):
    network = MultiLayerNet(784, [37, 101], 10, "sigmoid", seed=0)
    network.fit(*digits, 10, 100, optimizers.SGD(0.1), verbose=False, seed=0)
    assert distinct_units(network.params["W1"]) == 37
    assert distinct_units(network.params["W2"]) == 101


def test_zeros_with_relu_learn_nothing_but_the_last_bias(digits):
    network = with_equal_weights(0, "relu", np.float32)
    network.fit(*digits, 3, 100, optimizers.SGD(0.1), verbose=False, seed=0)
    for key, p in network.params.items():
        assert np.any(p) == (key == "b3"), key


def test_batch_normalisation_does_not_see_the_scale_of_weights(digits):
    """In training mode it divides it out: only eps, beside variances above 1, tells it apart."""
    x = digits[0][:100]
    scores = []
    for std in (1, 100):
        network = MultiLayerNetExtend(
            784, [50, 50], 10, weight_init_std=std, use_batchnorm=True, dtype=np.float64, seed=0
        )
        network.params["W3"][...] = 1
        scores.append(network.predict(x, train_flg=True))
    np.testing.assert_allclose(scores[1], scores[0], rtol=0, atol=50 * 1e-6)


def test_initial_values(run, picture):
    out = run("initial_values.py", "--iterations", 300, "--activations", "relu")
    _, mnist, equal = out.split("MNIST, 784")
    small, xavier, he = (numbers(mnist, label) for label in ("std 0.01", "Xavier", "He"))
    # Losses of the first and last steps, accuracy.
    assert small[:2] == pytest.approx([math.log(10)] * 2, abs=0.005)
    assert small[2] == pytest.approx(0.1, abs=0.03)
    assert he[1] < xavier[1] < small[1] - 0.1
    assert he[2] > 0.7
    for activation, rule in (("sigmoid", "Xavier"), ("ReLU", "He")):
        zero, constant, random = (
            numbers(equal, f"{activation}, {start}") for start in ("zero", "all 0.01", rule)
        )
        # Distinct units and ranks of two layers, loss, accuracy.
        assert zero[:4] == ([1, 1, 1, 1] if activation == "sigmoid" else [1, 1, 0, 0])
        assert constant[:4] == [1, 1, 1, 1]
        assert random[:4] == [100, 100, 100, 100]
        assert random[5] > 2 * max(zero[5], constant[5])
    for name in ("activations_relu", "initial_values_mnist", "initial_values_symmetry"):
        picture(f"{name}.png")


def test_batch_normalization(run, picture):
    out = run("batch_normalization.py", "--images", 500, "--epochs", 8)
    rows = np.array([numbers(out, f"{std:.5f}")[:4] for std in np.logspace(0, -4, 16)])
    normalised, plain = rows[:, 0], rows[:, 1]
    # Where plain networks are at chance for want of signal the others know half the images.
    middle = slice(5, 13)  # 0.046 to 0.00063
    assert plain[middle].max() < 0.2
    assert normalised[middle].min() > 0.5
    assert np.all(normalised[4:] > plain[4:])
    assert out.count("plain: loss is nan") == 2  # 1 and 0.54
    picture("batch_normalization.png")


def test_overfitting(run, picture):
    out = run("overfitting.py", "--epochs", 151, "--test-images", 1000)
    plain, decay, dropout = (
        numbers(out, label)
        for label in ("plain  ", "weight decay, lambda 0.1", "dropout, ratio 0.2")
    )
    for epochs, train, test, gap, *_ in (plain, decay, dropout):
        assert epochs in (151, 226)
        assert gap == pytest.approx(train - test, abs=0.0011)
    assert plain[1] == 1.0 and plain[3] > 0.15
    for trained in (decay, dropout):
        assert trained[1] < 0.97
        assert trained[3] < plain[3] - 0.02
    assert "by heart" in out
    picture("overfitting.png")


def test_overfitting_of_a_short_run_at_full_size(run):
    out = run("overfitting.py", "--full", "--epochs", 2, "--test-images", 100)
    for label in ("plain  ", "weight decay, lambda 0.1", "dropout, ratio 0.2"):
        assert numbers(out, label)[0] == 2
    assert "by heart" not in out and "more --epochs" in " ".join(out.split())
