"""Gradient checks of layers of the user's own."""

import numpy as np
import pytest
from own_layers import C, D, Listed, Scale, data, square

from fastnn import MultiLayerNetExtend
from fastnn.gradient_check import check_layer, gradient_check


class Both(Scale):
    """Has its parameters as attributes too, and computes with these."""

    def __init__(self, size):
        super().__init__(size)
        self.params = {key: p.astype(np.float32) for key, p in self.params.items()}
        self.Wide, self.shift = self.params.values()

    def forward(self, x):
        self.x = x
        return x * self.Wide + self.shift

    def backward(self, dout):
        super().backward(dout)
        return dout * self.Wide


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_checks_in_double_precision_of_layers_in_single(kind):
    W, b = (p.astype(np.float32) for p in square(C))
    layer = Both(C) if kind == "dict" else Listed(W, b)
    net = MultiLayerNetExtend(D, [8], C, "tanh", seed=3)
    net.layers["Own"] = layer
    report = gradient_check(net, *data(), samples=6)
    assert report.ok and report.dtype == "float64"
    assert net.params["Own.Wide" if kind == "dict" else "Own.0"].dtype == np.float32
    report = check_layer(layer, np.random.default_rng(1).normal(size=(4, C)))
    assert report.ok and len(report.checks) == 3


def test_layers_by_themselves_are_checked_with_what_they_name():
    x = np.random.default_rng(1).normal(size=(4, 3))
    for layer, names in ((Scale(3), ["Wide", "shift"]), (Listed(*square(3)), ["0", "1"])):
        report = check_layer(layer, x)
        assert report.ok and [*report.checks] == ["x", *names]
