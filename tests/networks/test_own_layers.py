"""Layers that are put into ``network.layers``: the user's own, and fastnn's at other places."""

import numpy as np
import pytest
from own_layers import C, D, Listed, Scale, Unnamed, Within, data, network, put, square

from fastnn import MultiLayerNetExtend, layers, optimizers
from fastnn.gradient_check import gradient_check

PLACES = {"before": (0, D), "between": (1, 8), "after": (99, C)}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["dict", "list", "ours"])
@pytest.mark.parametrize(
    "settings",
    [{}, pytest.param({"use_batchnorm": True}, marks=pytest.mark.slow)],
    ids=["plain", "batchnorm"],
)
def test_gradients_of_all_parameters(kind, place, settings):
    number, size = PLACES[place]
    net = network(weight_decay_lambda=0.3, **settings)
    W, b = square(size)
    layer = {"dict": lambda: Scale(size), "list": lambda: Listed(W, b),
             "ours": lambda: layers.Affine(W, b)}[kind]()  # fmt: skip
    before = [*net.params]
    put(net, "More", layer, number)
    names = {"dict": ["Wide", "shift"], "list": ["0", "1"], "ours": ["W", "b"]}[kind]
    report = gradient_check(net, *data(), samples=6)
    assert report.ok, report
    assert [*net.params] == [*before, *(f"More.{name}" for name in names)]
    assert [*report.checks] == [*net.params]
    # Weight decay is of what is called W, and of matrices without a name.
    judged = {key for key, check in report.penalty.items() if check.verdict == "happy"}
    assert judged == {"W1", "W2", f"More.{names[0]}"}
    numerical = net.numerical_gradient(*data())
    # Centred differences with h = 1e-4 are off by h^2 / 6 times a third derivative, at most the
    # cube of an input (about 3) times that of the weights behind it (about 2).
    for key, g in net.gradient(*data()).items():
        np.testing.assert_allclose(g, numerical[key], rtol=0, atol=1e-8 / 6 * 3**3 * 2**3)


def test_layers_that_are_replaced_moved_and_removed():
    x, t = data()
    net = network()
    old = net.layers["Affine2"]
    net.layers["Affine2"] = layers.Affine(np.ones((8, 4)), np.zeros(4))
    net.layers["Last"] = layers.Affine(np.ones((4, C)), np.zeros(C))
    assert net.fit(x, t, 1, verbose=False).route == "program"
    assert [*net.params] == ["W1", "b1", "W2", "b2", "Last.W", "Last.b"]
    assert net.params["W2"] is net.layers["Affine2"].W and net.params["W2"].shape == (8, 4)
    assert not np.array_equal(net.params["Last.W"], np.ones((4, C)))
    net.layers["Old"] = old
    del net.layers["Last"], net.layers["Affine2"]
    assert sorted(net.gradient(x, t)) == ["Old.W", "Old.b", "W1", "b1"]
    assert net.params["Old.W"] is old.W
    # An array keeps its key wherever its layer is.
    net.layers["Elsewhere"] = net.layers.pop("Affine1")
    net.layers.move_to_end("Elsewhere", last=False)
    assert sorted(net.gradient(x, t)) == ["Old.W", "Old.b", "W1", "b1"]


def test_an_activation_as_the_last_layer():
    x, t = data()
    net = network(loss="mean_squared_error")
    net.layers["Tanh"] = layers.Tanh()
    net.layers["Own"] = Within(layers.Sigmoid())  # nothing to train, and nothing to say
    assert gradient_check(net, x, np.eye(C)[t], samples=4).ok
    assert net.fit(x, np.eye(C)[t], 1, verbose=False).route == "layers"


def test_gradients_of_a_shared_array_are_added():
    net = MultiLayerNetExtend(D, [8, 8], C, "tanh", dtype="float64", seed=3)
    net.layers["Affine2"] = layers.Affine(*square(8))
    net.layers["Again"] = layers.Affine(net.layers["Affine2"].W, np.zeros(8))
    names = [*net.layers]
    for name in names[names.index("Affine2") + 1 : -1]:
        net.layers.move_to_end(name)
    assert [*net.layers][2:4] == ["Affine2", "Again"]
    assert gradient_check(net, *data(), samples=4).ok
    assert [*net.params][6:] == ["Again.b"]
    history = net.fit(*data(), 1, verbose=False)
    assert history.route == "layers" and "two layers share" in history.reason


def test_a_layer_that_holds_arrays_of_params():
    """It need not say more: attributes of these arrays have gradients beside them."""
    net = network()
    net.layers["Affine2"] = Unnamed(net.params["W2"], net.params["b2"])
    assert gradient_check(net, *data(), samples=4).ok
    net.fit(*data(), 1, verbose=False)
    assert net.params["W2"] is net.layers["Affine2"].W and len(net.params) == 4


def test_parameters_that_are_made_in_the_first_pass():
    class Late(Scale):
        def __init__(self):
            self.params, self.grads = {}, {}

        def forward(self, x):
            if not self.params:
                super().__init__(x.shape[1])
            return super().forward(x)

    net = network()
    net.layers["Late"] = Late()
    net.fit(*data(), 2, 10, optimizers.SGD(0.5), verbose=False)
    assert not np.array_equal(net.params["Late.shift"], np.linspace(-0.1, 0.1, C))
    late = network()
    late.layers["Late"] = Late()
    with pytest.raises(ValueError, match="^params: changed since training began"):
        late.fit(*data(), 1, ema=0.9, verbose=False)


class Keeps:
    """A layer that keeps its input, and the gradient, under names like a parameter's."""

    def forward(self, x):
        self.x = x
        return x

    def backward(self, dout):
        self.dx = dout
        return dout


def test_samples_that_a_layer_keeps_are_no_parameters():
    net = network()
    net.layers = type(net.layers)([("Keeps", Keeps()), *net.layers.items()])
    x, t = data()
    for _ in range(2):
        assert len(net.gradient(x, t)) == 4


def test_params_that_are_empty_say_that_nothing_is_trained():
    net = network()
    net.layers["Own"] = Unnamed(*square(C))
    net.layers["Own"].params = {}
    net.fit(*data(), 1, verbose=False)
    np.testing.assert_array_equal(net.layers["Own"].W, square(C)[0])
    assert len(net.params) == 4
