"""Training of networks with layers, losses or a predict of the user's own."""

import numpy as np
import pytest
from own_layers import C, D, Listed, N, Scale, data, network, put, square

from fastnn import MultiLayerNetExtend, Trainer, layers, optimizers

EPS = np.finfo(np.float64).eps


@pytest.mark.parametrize("settings", [{}, {"clip_norm": 0.05}, {"clip_value": 0.01}, {"ema": 0.5}],
                         ids=["plain", "norm", "value", "ema"])  # fmt: skip
def test_fit_trains_as_the_layers_by_hand(settings):
    x, t = data()
    ours, theirs = (network(weight_decay_lambda=0.2) for _ in range(2))
    put(ours, "Own", Listed(*square(8)), 1)
    put(theirs, "Own", layers.Affine(*square(8)), 1)
    history = ours.fit(x, t, 3, 7, optimizers.Momentum(0.1), verbose=False, seed=0, **settings)
    reference = theirs.fit(x, t, 3, 7, optimizers.Momentum(0.1), verbose=False, seed=0, **settings)
    assert (history.route, reference.route) == ("layers", "program")
    assert "Own is of type Listed" in history.reason
    same = dict(zip(ours.params, theirs.params, strict=True))
    # Each of 18 steps rounds sums of up to 40 terms, about 1, and Momentum adds up ten gradients.
    off = {"rtol": 0, "atol": 18 * N * EPS * 10}
    assert same["Own.0"] == "Own.W" and same["W2"] == "W2"
    for key, other in same.items():
        np.testing.assert_allclose(ours.params[key], theirs.params[other], **off)
        if "ema" in settings:
            average = history.averages[key]
            np.testing.assert_allclose(average, reference.averages[other], **off)
    assert ours.params["Own.0"] is ours.layers["Own"].params[0]
    assert not np.array_equal(ours.params["Own.0"], square(8)[0])
    # What is computed with them adds up 5, 8 and 8 products of them.
    off["atol"] *= 5 * 8 * 8
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), **off)
    np.testing.assert_allclose(ours.loss(x, t), theirs.loss(x, t), **off)


def test_trainer_trains_own_layers_and_notices_changes():
    x, t = data()
    net = network()
    trainer = Trainer(net, x, t, x, t, 2, 10, "SGD", {"lr": 0.5}, verbose=False, seed=0)
    trainer.train_step()
    assert trainer.route == "program"
    net.layers["Own"] = Scale(C)
    before = net.layers["Own"].params["shift"].copy()
    trainer.train()
    assert trainer.route == "layers"
    assert not np.array_equal(net.params["Own.shift"], before)


def test_a_training_notices_what_changed_since_the_last_one():
    x, t = data()
    net = network()
    assert net.fit(x, t, 1, verbose=False).route == "program"
    net.layers["Own"] = Scale(C)
    assert net.fit(x, t, 1, verbose=False).route == "layers"
    assert [*net.params][4:] == ["Own.Wide", "Own.shift"]
    del net.layers["Own"]
    assert net.fit(x, t, 1, verbose=False).route == "program"
    assert [*net.params] == ["W1", "b1", "W2", "b2"]


def test_a_history_of_other_parameters_is_not_resumed():
    net = network()
    net.fit(*data(), 1, ema=0.9, verbose=False)
    net.layers["Own"] = Scale(C)
    with pytest.raises(ValueError, match="^resume: expected a history with averages of W1"):
        net.fit(*data(), 2, resume=net.history, verbose=False)


class Poly(MultiLayerNetExtend):
    def predict(self, x, train_flg=False):
        return super().predict(np.hstack([x, np.square(x)]), train_flg)


def test_a_trainer_takes_networks_with_a_predict_of_their_own():
    x, t = data()
    net = Poly(2 * D, [8], C, seed=0)
    before = net.params["W1"].copy()
    Trainer(net, x, t, x, t, 2, 8, verbose=False).train()
    assert not np.array_equal(net.params["W1"], before)
