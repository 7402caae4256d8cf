"""network.fit: interruptions, and trainings that go on."""

import copy
import signal
import time
from types import SimpleNamespace

import numpy as np
import pytest
from fitting import data, fit, full_network, network
from states import everything, expect_same

from fastnn import optimizers


@pytest.mark.parametrize("stop_at", [0, 1, 6, 7, 9, 13])
def test_interrupted_and_resumed(stop_at, fake):
    route = fake(stop_at=stop_at, losses=range(14))
    net = network()
    with pytest.raises(KeyboardInterrupt):
        fit(net, schedule=lambda steps: 1.0 + steps)
    assert net.history.epochs == stop_at // 7
    assert net.history.step_losses == list(range(stop_at))
    history = fit(net, schedule=lambda steps: 1.0 + steps, seed=None, resume=net.history)
    whole = fake(losses=range(14))
    expected = fit(schedule=lambda steps: 1.0 + steps)
    assert route.rates == whole.rates
    np.testing.assert_array_equal(np.concatenate(route.rows), np.concatenate(whole.rows))
    assert (history.loss, history.accuracy, history.lr) == (
        expected.loss, expected.accuracy, expected.lr,
    )  # fmt: skip


@pytest.mark.parametrize("number", [3, 7, 10])
def test_the_same_bits_after_an_interruption(number, layerwise):
    def settings():
        return {"optimizer": optimizers.Adam(0.01), "ema": 0.9, "validation": 0.3, "epochs": 3}

    net, whole, first = full_network(), full_network(), settings()
    update, calls = first["optimizer"].update, []

    def interrupted(params, grads):
        calls.append(1)
        if len(calls) == number:
            raise KeyboardInterrupt
        update(params, grads)

    first["optimizer"].update = interrupted
    with pytest.raises(KeyboardInterrupt):
        fit(net, **first)
    assert len(net.history.step_losses) == number - 1
    history = fit(net, **first, resume=net.history)
    expected = fit(whole, **settings())
    expect_same(everything(net), everything(whole))
    assert history.step_losses == expected.step_losses
    assert history.val_loss == expected.val_loss
    for key, average in expected.averages.items():
        np.testing.assert_array_equal(history.averages[key], average)


def test_a_resumed_training_keeps_its_optimizer(layerwise):
    net, whole = network(), network()
    history = fit(net, epochs=1)
    assert history.optimizer.iter == 7
    assert fit(net, epochs=2, resume=history).optimizer.iter == 14
    fit(whole, epochs=2)
    expect_same(everything(net), everything(whole))
    assert copy.deepcopy(history) == history


def test_time_of_an_epoch_that_was_interrupted(fake, monkeypatch):
    now = SimpleNamespace(time=0.0)
    monkeypatch.setattr(time, "perf_counter", lambda: now.time)
    fake(stop_at=9, after_step=lambda: setattr(now, "time", now.time + 1.0))
    net = network()
    with pytest.raises(KeyboardInterrupt):
        fit(net)
    assert (net.history.seconds, net.history.elapsed) == ([7.0], 2.0)
    now.time = 1000.0
    assert fit(net, resume=net.history).seconds == [7.0, 7.0]


def test_interrupted_while_validating(monkeypatch):
    from fastnn.training import epochs as module

    evaluate, calls = module.evaluate, []

    def interrupted(*args, **settings):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*args, **settings)

    monkeypatch.setattr(module, "evaluate", interrupted)
    net, whole = network(), network()
    with pytest.raises(KeyboardInterrupt):
        fit(net, validation=data(9), optimizer=(adam := optimizers.Adam()), epochs=3)
    assert net.history.epochs == len(net.history.val_loss) == 1
    history = fit(net, validation=data(9), optimizer=adam, epochs=3, resume=net.history)
    expected = fit(whole, validation=data(9), epochs=3)
    expect_same(everything(net), everything(whole))
    assert (history.loss, history.val_loss) == (expected.loss, expected.val_loss)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_between_stretches_keeps_the_record(fake):
    route = fake(after_step=lambda: len(route.rows) == 3 and signal.raise_signal(signal.SIGINT))
    net = network()
    with pytest.raises(KeyboardInterrupt):
        fit(net)
    assert len(net.history.step_losses) == len(route.rows) < 14


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"xt": data(90)}, "samples 90, like this training, got 100"),
        ({"batch_size": 8}, "batch_size 8, like this training, got 16"),
        ({"seed": 5}, "seed 5, like this training, got 0"),
        ({"validation": data(9)}, "metrics .*val_loss.*, like this training"),
    ],
)
def test_resuming_another_training(changes, text):
    history = fit()
    with pytest.raises(ValueError, match=f"^resume: expected a history with {text}"):
        fit(**{"epochs": 3, "resume": history} | changes)
