"""network.fit: what is recorded and said, and how long stretches of steps are."""

import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
from fitting import data, fake_clock, fit, full_network, network
from numba.core.compiler_lock import global_compiler_lock
from routes import STRETCH
from states import everything, expect_same

from fastnn import ops
from fastnn.fit import History


def test_losses_and_hits_are_means_over_samples(fake):
    fake(losses=[1.0, 2.0, 7.0, 1.0, 1.0, 1.0])
    history = fit(xt=data(10), batch_size=4)
    assert history.loss == [(4 * 1 + 4 * 2 + 2 * 7) / 10, 1.0]
    assert history.accuracy == [6 / 10, 6 / 10]
    assert history.step_losses == [1.0, 2.0, 7.0, 1.0, 1.0, 1.0]
    assert history.metrics == ("loss", "accuracy")
    assert history.val_loss == history.val_accuracy == []
    assert len(history.seconds) == 2 and min(history.seconds) > 0


def test_validation_is_inference_without_penalty():
    net = full_network(weight_decay_lambda=0.1, dtype="float64")
    held_out = data(2500, seed=801)
    history = fit(net, validation=held_out, epochs=1)
    loss, _ = ops.softmax_cross_entropy(net.predict(held_out[0]), held_out[1])
    # A mean over tiles of the data, and one over the whole.
    assert abs(history.val_loss[0] - loss) < 2500 * np.finfo(float).eps * loss
    assert history.val_accuracy == [net.accuracy(*held_out)]


@pytest.mark.parametrize(("share", "size"), [(0.25, 25), (1e-9, 1), (0.994, 99)])
def test_a_share_is_held_out_at_the_end(share, size, fake):
    route = fake()
    x, t = data()
    net = network()
    history = fit(net, (x, t), validation=share)
    np.testing.assert_array_equal(route.x, x[:-size])
    np.testing.assert_array_equal(route.t, t[:-size])
    assert history.samples == 100 - size
    assert history.val_accuracy == [net.accuracy(x[-size:], t[-size:])] * 2


def test_history_as_text(fake):
    fake(losses=[0.5, 0.5])
    history = fit(xt=data(8), batch_size=4, epochs=1, validation=data(4))
    assert re.fullmatch(
        r"History\(1 epochs of 2 steps, route fake: loss 0.5000, accuracy 0.5000, "
        r"val_loss \d\.\d{4}, val_accuracy \d\.\d{4}, \d+\.\d\d s, [\d,]+ samples/s\)",
        repr(history),
    )
    assert list(history.row(1)) == [*history.metrics, "lr", "seconds"]
    assert repr(History(("loss",), 3, 2, 0)) == "History(0 epochs of 2 steps, route )"


def test_no_epochs():
    net = network()
    history = fit(net, epochs=0)
    expect_same(everything(net), everything(network()))
    assert history.loss == history.step_losses == []


@pytest.mark.parametrize("terminal", [True, False])
def test_what_it_says(capsys, monkeypatch, terminal):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    history = fit(verbose=True, validation=0.5)
    out, err = capsys.readouterr()
    lines = [line for line in out.splitlines() if line.strip()]
    assert lines == [f"epoch {i}/2: {history.line(i)}" for i in (1, 2)]
    assert "val_accuracy" in lines[0] and "samples/s" in lines[0]
    if terminal:
        assert "100/100" in err and "epoch=2/2" in err and "loss=" in err
    else:
        assert err == ""
    fit(verbose=False)
    assert tuple(capsys.readouterr()) == ("", "")


@pytest.mark.parametrize("step", [1e-6, 1e-3, 0.02, 1.0])
def test_stretches_are_short_but_not_too_short(step, monkeypatch, fake):
    route = fake(after_step=fake_clock(monkeypatch, step))
    fit(xt=data(4096), batch_size=1, epochs=4 if step < 0.1 else 1)
    longest = max(1, STRETCH / step)
    assert max(route.sizes) <= longest
    assert sum(route.sizes) == len(route.rows)
    if step == 1e-3:  # once the length is found, all but the last of an epoch have it
        found = [size for size in route.sizes if size > 0.9 * longest]
        assert sum(found) > 0.9 * sum(route.sizes)


def test_compiling_does_not_count(monkeypatch, fake):
    import_module("fastnn.kernels.machine.made")  # with it Numba comes, and is listened to

    def after_step():
        if len(route.rows) % 100 == 1:  # the first step of all, and others
            with global_compiler_lock:
                now.time += 3600.0
        now.time += 1 / 1024

    now = SimpleNamespace(time=0.0)
    monkeypatch.setattr(time, "perf_counter", lambda: now.time)
    route = fake(after_step=after_step)
    # A thread that has not compiled yet, so that no difference is rounded.
    with ThreadPoolExecutor(1) as pool:
        history = pool.submit(fit, xt=data(4096), batch_size=16, epochs=4).result()
    assert history.seconds == [0.25] * 4 and history.elapsed == 0.0
    assert history.line(1).endswith("0.25 s, 16,384 samples/s")
    sizes = list(route.sizes)
    once = fake(after_step=fake_clock(monkeypatch, 1 / 1024))
    fit(xt=data(4096), batch_size=16, epochs=4)
    assert sizes == once.sizes
