"""Last layers of the user's own: with parameters, and with losses of other kinds."""

import numpy as np
import pytest
from own_layers import C, Mean, N, data, network

from fastnn import layers, optimizers
from fastnn.gradient_check import gradient_check

EPS = np.finfo(np.float64).eps


class Silent(Mean):
    def forward(self, x, t):
        self.x = x
        return float(np.mean(x))


class Each(Mean):
    def forward(self, x, t):
        super().forward(x, t)
        self.loss = x.mean(axis=1)
        return self.loss


def test_last_layers_of_ones_own():
    net = network()
    net.last_layer = Mean()
    before = net.params["b2"].copy()
    net.fit(*data(), 1, optimizer=optimizers.SGD(1.0), verbose=False)
    np.testing.assert_allclose(before - net.params["b2"], 1 / C, rtol=N * EPS)  # a sum of N
    for last, text in ((Silent(), "got None"), (Each(), r"got an array of shape \(40,\)")):
        net = network()
        net.last_layer = last
        with pytest.raises(TypeError, match=f"^last_layer.loss: expected the mean loss, .*{text}"):
            net.fit(*data(), 1, verbose=False)
        np.testing.assert_array_equal(net.params["W1"], network().params["W1"])


def test_a_last_layer_with_parameters():
    class Tempered(layers.SoftmaxWithLoss):
        def __init__(self):
            super().__init__()
            self.params = {"T": np.array([2.0])}

        def forward(self, x, t):
            self.given = x
            loss = super().forward(x * self.params["T"], t)
            self.x = x
            return loss

        def backward(self, dout=1):
            d = super().backward(dout)
            self.grads = {"T": np.array([np.sum(d * self.given)])}
            return d * self.params["T"]

    net = network()
    net.last_layer = Tempered()
    assert gradient_check(net, *data(), samples=4).ok
    net.fit(*data(), 1, verbose=False)
    assert net.params["last_layer.T"][0] != 2


def test_losses_of_ones_own_take_targets_of_other_kinds():
    class Several(layers.SoftmaxWithLoss):
        def forward(self, x, t):
            self.x, self.t, self.p = x, np.asarray(t), 1 / (1 + np.exp(-np.asarray(x)))
            self.loss = float(np.mean(np.square(self.p - self.t)))
            return self.loss

        def backward(self, dout=1):
            return 2 * (self.p - self.t) * self.p * (1 - self.p) / self.p.size

    net = network()
    net.last_layer = Several()
    x, _ = data()
    history = net.fit(x, (x[:, :C] > 0).astype(float), 3, 8, verbose=False)
    assert history.loss[-1] < history.loss[0]
