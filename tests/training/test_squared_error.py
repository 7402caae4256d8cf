"""network.fit with the squared error."""

import numpy as np
import pytest
from fitting import D, fit

from fastnn import MultiLayerNet, MultiLayerNetExtend, optimizers


def regression(n=200, outputs=2):
    rng = np.random.default_rng(802)
    x = rng.normal(size=(n, D))
    return x, np.tanh(x @ rng.normal(size=(D, outputs)))


@pytest.mark.parametrize("use_batchnorm", [False, True])
def test_gradient_of_the_squared_error(use_batchnorm):
    net = MultiLayerNetExtend(
        D, [6], 2, "tanh", weight_decay_lambda=0.1, use_batchnorm=use_batchnorm,
        dtype=np.float64, seed=0, loss="mean_squared_error", input_scale=0.5,
    )  # fmt: skip
    x, t = regression(20)
    numeric, analytic = net.numerical_gradient(x, t), net.gradient(x, t)
    for key, n in numeric.items():
        # Differences are good to h^2 = 1e-8 of the third derivative, and to eps / h.
        error = np.linalg.norm(analytic[key] - n)
        assert error < 1e-6 * np.linalg.norm(n) + 1e-10, key
    data_loss = np.sum((net.predict(x) - t) ** 2) / 40
    limit = 2 * t.size * np.finfo(float).eps * net.loss(x, t)
    assert abs(net.loss(x, t) - net._penalty() - data_loss) < limit


def test_trajectory_with_the_squared_error(layerwise):
    """A linear network against the formula: dE/dW = x^T (x W + b - t) / N."""
    x, t = regression()
    net = MultiLayerNet(
        D, [], 2, dtype=np.float64, seed=0, loss="mean_squared_error", input_scale=0.5
    )
    W, b = net.params["W1"].copy(), net.params["b1"].copy()
    history = fit(
        net, (x, t), epochs=2, batch_size=64, optimizer=optimizers.SGD(0.1), shuffle=False
    )
    losses = []
    for _ in range(2):
        for begin in range(0, 200, 64):
            rows = slice(begin, begin + 64)
            error = 0.5 * x[rows] @ W + b - t[rows]
            losses.append(np.sum(error**2) / 2 / len(error))
            W = W - 0.1 * 0.5 * x[rows].T @ error / len(error)
            b = b - 0.1 * error.mean(axis=0)
    # Eight steps, each of which sums over 64 samples and adds less to W and b than stands there.
    limit = 8 * 64 * np.finfo(float).eps
    np.testing.assert_allclose(history.step_losses, losses, rtol=2 * limit)
    np.testing.assert_allclose(net.params["W1"], W, rtol=0, atol=limit * np.abs(x).max())
    np.testing.assert_allclose(net.params["b1"], b, rtol=0, atol=limit)
    assert history.metrics == ("loss",) and history.accuracy == []


def test_learns_a_function():
    x, t = regression()
    net = MultiLayerNet(D, [20], 2, "tanh", seed=0, loss="mean_squared_error")
    history = fit(net, (x, t), epochs=40, optimizer=optimizers.Adam(0.01), validation=(x, t))
    assert history.val_loss[-1] < 0.1 * history.val_loss[0]
    assert history.metrics == ("loss", "val_loss")


def test_a_last_layer_of_the_users_own():
    class Absolute:
        """The mean of |x - t|."""

        loss = None

        def forward(self, x, t):
            self.difference = x - t
            self.loss = float(np.abs(self.difference).mean())
            return self.loss

        def backward(self, dout=1):
            return np.sign(self.difference) / self.difference.size

    x, t = regression()
    net = MultiLayerNet(D, [20], 2, "tanh", seed=0)
    net.last_layer = Absolute()
    history = fit(net, (x, t), epochs=20, optimizer=optimizers.Adam(0.01), validation=(x, t))
    assert history.metrics == ("loss", "val_loss")
    assert abs(history.val_loss[-1] - np.abs(net.predict(x) - t).mean()) < 1e-6
    assert history.val_loss[-1] < 0.3 * history.loss[0]
    with pytest.raises(ValueError, match=r"^t: expected 200 targets, got shape \(\)"):
        fit(net, (x, 1.0))
