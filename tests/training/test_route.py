"""Steps layer by layer: the same as by hand, whole or not at all; and how a route is chosen."""

import copy
import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from routes import StepSettings, Unsupported, by_layers, choose, rate_of, replace_program
from states import everything, expect_same

from fastnn import MultiLayerNet, MultiLayerNetExtend, config, optimizers

N, D, C, BATCH = 40, 5, 3, 12


def data():
    rng = np.random.default_rng(700)
    return rng.normal(size=(N, D)), rng.integers(C, size=N)


def network(**settings):
    return MultiLayerNetExtend(
        D, [8, 7], C, use_batchnorm=True, use_dropout=True, dropout_ration=0.2,
        weight_decay_lambda=0.01, dtype=np.float64, seed=0, **settings,
    )  # fmt: skip


def steps(net, optimizer, settings=None, xt=None):
    return by_layers(net, optimizer, *(xt or data()), BATCH, settings or StepSettings())


ROWS = np.random.default_rng(701).integers(
    N, size=3 * BATCH + 5
)  # three batches, and a smaller one


def run(route, rates=(0.05, 0.1, 0.02, 0.05), rows=ROWS):
    losses, hits = np.full(len(rates), -1.0), np.full(len(rates), -1)
    try:
        route.run(rows, BATCH, np.array(rates), losses, hits)
    finally:
        route.losses, route.hits = losses, hits
    return losses, hits


def by_hand(net, optimizer, rates, change=lambda grads: grads, after=lambda net: None):
    """Take the steps of `run` as a user would; return losses and hits."""
    x, t = data()
    losses, hits = [], []
    for i, rate in enumerate(rates):
        rows = ROWS[i * BATCH : (i + 1) * BATCH]
        twin = copy.deepcopy(net)
        hits.append(int((twin.predict(x[rows], True).argmax(axis=1) == t[rows]).sum()))
        grads = change(net.gradient(x[rows], t[rows]))
        losses.append(net.last_layer.loss)
        optimizer.lr = rate
        optimizer.update(net.params, grads)
        after(net)
    return losses, hits


@pytest.mark.parametrize("name", sorted(optimizers.OPTIMIZERS))
def test_steps_are_gradient_and_update(name):
    make, rates = optimizers.OPTIMIZERS[name], (0.05, 0.1, 0.02, 0.05)
    net, other, optimizer = network(), network(), make(lr=0.3)
    route = steps(net, optimizer)
    losses, hits = run(route, rates)
    expected = by_hand(other, make(lr=0.3), rates)
    assert (losses.tolist(), hits.tolist()) == expected
    expect_same(everything(net), everything(other))
    assert route.done == 4
    assert optimizer.lr == 0.3


@pytest.mark.parametrize("form", [lambda t: t[:, None], lambda t: np.eye(C)[t]])
def test_hits_for_each_form_of_the_targets(form):
    x, t = data()
    expected = run(steps(network(), optimizers.SGD()))[1]
    got = run(steps(network(), optimizers.SGD(), xt=(x, form(t))))[1]
    np.testing.assert_array_equal(got, expected)


def test_rate_of_zero_moves_nothing_but_counts():
    net, before, optimizer = network(), network(), optimizers.Adam()
    run(steps(net, optimizer), (0.0,), ROWS[:BATCH])
    for key, p in before.params.items():
        np.testing.assert_array_equal(net.params[key], p, err_msg=key)
    assert optimizer.iter == 1 and np.any(optimizer.m["W1"] != 0)
    assert net.layers["Dropout1"].step == 1


def test_an_optimizer_may_change_its_own_rate():
    class Decaying(optimizers.SGD):
        def update(self, params, grads):
            super().update(params, grads)
            self.lr *= 0.5

    optimizer = Decaying(lr=0.8)
    run(steps(network(), optimizer), (0.8,) * 4)
    assert optimizer.lr == 0.8 / 16


def test_rate_of():
    assert rate_of(optimizers.SGD(0.25)) == 0.25
    optimizer = optimizers.SGD()
    optimizer.lr = np.float32(0.5)
    assert rate_of(optimizer) == 0.5
    assert rate_of(object()) is None


# --- clipping, moving average ------------------------------------------------------------


def norm(grads):
    return np.sqrt(sum(np.sum(g**2) for g in grads.values()))


@pytest.mark.parametrize(
    "settings",
    [StepSettings(clip_value=0.01), StepSettings(clip_norm=0.05), StepSettings(0.02, 0.03)],
    ids=["value", "norm", "both"],
)
def test_clipping(settings):
    clipped = []

    def change(grads):
        if settings.clip_value is not None:
            c = settings.clip_value
            grads = {key: np.minimum(np.maximum(g, -c), c) for key, g in grads.items()}
        if settings.clip_norm is not None and norm(grads) > settings.clip_norm:
            clipped.append(norm(grads))
            grads = {key: g * (settings.clip_norm / norm(grads)) for key, g in grads.items()}
        return grads

    rates = (0.5, 1.0, 0.2, 0.5)
    net, other, free = network(), network(), network()
    run(steps(net, optimizers.Momentum(), settings), rates)
    by_hand(other, optimizers.Momentum(), rates, change)
    by_hand(free, optimizers.Momentum(), rates)
    assert clipped or settings.clip_norm is None
    # Norms of at most 200 squares differ by the order of their sums; then four steps. A bias before
    # a normalisation has nothing but rounding of what cancels.
    largest = max(np.abs(p).max() for p in other.params.values())
    limit = 4 * 200 * np.finfo(float).eps * largest
    for key, p in other.params.items():
        np.testing.assert_allclose(net.params[key], p, rtol=0, atol=limit, err_msg=key)
        changed = np.abs(free.params[key] - p).max() > 1e3 * limit
        assert changed or np.abs(p).max() <= limit, key


def test_gradients_within_the_limits_are_left_alone():
    net, other = network(), network()
    run(steps(net, optimizers.SGD(), StepSettings(1e6, 1e6)))
    run(steps(other, optimizers.SGD()))
    expect_same(everything(net), everything(other))


def test_clipping_leaves_the_arrays_of_the_network_alone():
    grads = {"W": np.full(3, 5.0)}
    net = SimpleNamespace(
        params={"W": np.ones(3)}, last_layer=SimpleNamespace(loss=1.0), gradient=lambda x, t: grads
    )
    run(by_layers(net, optimizers.SGD(), *data(), BATCH, StepSettings(1, 1)))
    np.testing.assert_array_equal(grads["W"], 5.0)
    assert (net.params["W"] < 1).all()


def test_gradients_that_are_not_finite_stay_so():
    for bad in (np.nan, np.inf):
        net = MultiLayerNet(D, [4], C, seed=0)
        net.params["b2"][0] = bad
        run(steps(net, optimizers.SGD(), StepSettings(clip_norm=1)), (0.1,), ROWS[:BATCH])
        assert np.isnan(net.params["W1"]).any() or np.isnan(net.params["W2"]).any()


def test_moving_average():
    net, other = network(), network()
    expected = {key: p.copy() for key, p in other.params.items()}

    def after(net):
        for key, p in net.params.items():
            expected[key] = 0.9 * expected[key] + (1 - 0.9) * p

    route = steps(net, optimizers.SGD(), StepSettings(ema=0.9))
    assert list(route.averages) == list(net.params)
    run(route)
    by_hand(other, optimizers.SGD(), (0.05, 0.1, 0.02, 0.05), after=after)
    for key, average in route.averages.items():
        # Three roundings in each of four steps.
        limit = 4 * 3 * np.finfo(float).eps * np.abs(expected[key]).max()
        np.testing.assert_allclose(average, expected[key], rtol=0, atol=limit, err_msg=key)
    assert np.any(route.averages["W1"] != net.params["W1"])
    assert steps(net, optimizers.SGD()).averages is None


# --- interruptions -----------------------------------------------------------------------


def raising(optimizer, number, error):
    """Make the update of one step raise an error before it changes anything."""
    update, calls = optimizer.update, []

    def patched(params, grads):
        calls.append(1)
        if len(calls) == number:
            raise error
        update(params, grads)

    optimizer.update = patched
    return optimizer


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError("no")])
def test_an_error_leaves_whole_steps(error):
    net, other = network(), network()
    route = steps(net, raising(optimizers.Adam(lr=0.3), 3, error))
    with pytest.raises(error if isinstance(error, type) else ValueError):
        run(route)
    by_hand(other, optimizers.Adam(), (0.05, 0.1))
    expect_same(everything(net), everything(other))
    assert route.done == 2
    assert (route.losses[2:] == -1).all() and (route.losses[:2] > 0).all()
    assert route._optimizer.lr == 0.3


def test_an_error_in_the_first_step_leaves_no_statistics():
    net = network()
    with pytest.raises(ValueError, match="no"):
        run(steps(net, raising(optimizers.SGD(), 1, ValueError("no"))))
    expect_same(everything(net), everything(network()))


def interrupting(net, number):
    """Make Ctrl-C come in the middle of a step."""
    gradient, calls = net.gradient, []

    def patched(x, t):
        calls.append(1)
        if len(calls) == number:
            signal.raise_signal(signal.SIGINT)
        return gradient(x, t)

    net.gradient = patched
    return net


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_waits_for_the_end_of_the_step():
    net, other = network(), network()
    route = steps(interrupting(net, 2), optimizers.Adam())
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(route)
    assert signal.getsignal(signal.SIGINT) is before
    by_hand(other, optimizers.Adam(), (0.05, 0.1))
    expect_same(everything(net), everything(other))
    assert route.done == 2


def test_a_handler_of_the_users_own_is_called_once():
    calls = []
    before = signal.signal(signal.SIGINT, lambda number, frame: calls.append(number))
    try:
        route = steps(interrupting(network(), 2), optimizers.SGD())
        run(route)
    finally:
        signal.signal(signal.SIGINT, before)
    assert calls == [signal.SIGINT]
    assert route.done == 4


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_where_the_signal_is_not_handled_in_python(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        run(steps(network(), optimizers.SGD()))
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_train_too():
    results = []
    thread = threading.Thread(
        target=lambda: results.append(run(steps(network(), optimizers.SGD())))
    )
    thread.start()
    thread.join()
    np.testing.assert_array_equal(results[0][0], run(steps(network(), optimizers.SGD()))[0])


# --- the choice --------------------------------------------------------------------------


def chosen(net=None):
    return choose(net or network(), optimizers.Adam(), *data(), BATCH, StepSettings())


def test_the_program_is_chosen_where_there_is_one(monkeypatch):
    asked = []
    replace_program(monkeypatch, lambda *args: asked.append(args) or "the program")
    net = network()
    assert chosen(net) == "the program"
    assert asked[0][0] is net and asked[0][4:] == (BATCH, StepSettings(), None)


def test_the_layers_are_chosen_where_it_declines(monkeypatch):
    def decline(*args):
        raise Unsupported("the layer Swish is not known")

    replace_program(monkeypatch, decline)
    route = chosen()
    assert (route.name, route.reason) == ("layers", "the layer Swish is not known")


def test_the_layers_are_chosen_on_the_numpy_backend(monkeypatch):
    replace_program(monkeypatch, None)  # must not be asked
    with config.use_backend("numpy"):
        assert (chosen().name, chosen().reason) == ("layers", "the backend is numpy")


def test_description():
    text = steps(network(), optimizers.Adam()).describe()
    assert "layer by layer (asked for)" in text
    assert "BatchNorm2: BatchNormRelu" in text and "Dropout1: Dropout" in text
    size = sum(p.size for p in network().params.values())
    assert f"{size:,} in 10 arrays, {8 * size:,} bytes" in text
    assert f"optimizer state: {16 * size:,} bytes" in text
    assert f"{6 * BATCH * (D * 8 + 8 * 7 + 7 * C):,} flops" in text
