"""Optimizers of the user's own: those that train, and one that would train nothing."""

import numpy as np
import pytest
from own_layers import Line, N, data, network

from fastnn import Trainer


class Steps:
    lr = 0.1

    def __init__(self, update):
        self.update = update


def rebinding(params, grads):
    for key, p in params.items():
        params[key] = p - 0.1 * grads[key]


def returning(params, grads):
    return {key: p - 0.1 * grads[key] for key, p in params.items()}


def in_place(params, grads):
    for key, p in params.items():
        p -= 0.1 * grads[key]
    return params


@pytest.mark.parametrize("train", ["fit", "Trainer"])
def test_an_optimizer_that_makes_other_arrays_trains_nothing(train):
    def run(net, optimizer):
        if train == "fit":
            net.fit(*data(), 1, optimizer=optimizer, verbose=False)
        else:
            Trainer(net, *data(), *data(), 1, N, optimizer, verbose=False).train_step()

    for update, text in ((rebinding, r"params\['W1'\]"), (returning, "new ones that it returned")):
        net = network()
        before = dict(net.params)
        with pytest.raises(ValueError, match=f"^optimizer: expected update to .* in place.*{text}"):
            run(net, Steps(update))
        assert all(net.params[key] is p for key, p in before.items())
        np.testing.assert_array_equal(net.params["W1"], network().params["W1"])
    net = network()
    run(net, Steps(in_place))
    assert not np.array_equal(net.params["W1"], network().params["W1"])


def test_a_network_of_ones_own_may_look_parameters_up_anew():
    net = Line()
    Trainer(net, *data(), *data(), 1, N, Steps(rebinding), verbose=False).train_step()
    assert net.params["w"][0] == -0.1


def test_an_optimizer_that_returns_what_it_measured():
    def measuring(params, grads):
        for key, p in params.items():
            p -= 0.1 * grads[key]
        return {"norm": 1.0}

    net = network()
    before = net.params["W1"].copy()
    net.fit(*data(), 1, 8, Steps(measuring), verbose=False)
    assert not np.array_equal(net.params["W1"], before)
