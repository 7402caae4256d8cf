"""network.fit: batches, what is recorded, schedules, interruptions, bad arguments."""

import copy
import dataclasses
import inspect
import math
import re
import signal
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from numba.core.compiler_lock import global_compiler_lock
from routes import STRETCH, StepSettings, by_layers, replace_program
from states import everything, expect_same

from fastnn import MultiLayerNet, MultiLayerNetExtend, ops, optimizers, schedules
from fastnn.callbacks import Callback
from fastnn.fit import History
from fastnn.training.settings import FitSettings

D, C = 5, 3


def data(n=100, seed=800):
    """Three clouds around distant centres."""
    rng = np.random.default_rng(seed)
    t = rng.integers(C, size=n)
    return (4 * np.eye(C, D)[t] + 0.5 * rng.normal(size=(n, D))).astype(np.float32), t


def network(**settings):
    return MultiLayerNet(D, [8], C, **{"seed": 0} | settings)


def full_network(**settings):
    """One in which training changes more than the parameters."""
    return MultiLayerNetExtend(
        D, [8, 7], C, use_batchnorm=True, use_dropout=True, dropout_ration=0.2, seed=0, **settings
    )


def fit(net=None, xt=None, epochs=2, batch_size=16, **settings):
    net = net or network()
    settings = {"verbose": False, "seed": 0} | settings
    return net.fit(*(xt or data()), epochs, batch_size, **settings)


@pytest.fixture
def layerwise(monkeypatch):
    """Train layer by layer, whatever else there is."""
    replace_program(monkeypatch, by_layers)


class Fake:
    """A route that learns nothing, writes down what it is asked, and can be interrupted."""

    name, reason, averages, done = "fake", "made up", None, 0

    def __init__(self, losses=(), stop_at=None, after_step=lambda: None):
        self.rows, self.rates, self.sizes = [], [], []
        self.losses, self.stop_at, self.after_step = iter(losses), stop_at, after_step

    def __call__(self, network, optimizer, x, t, batch_size, settings):
        self.x, self.t, self.batch_size, self.settings = x, t, batch_size, settings
        return self

    def prepare(self):
        pass

    def run(self, rows, batch_size, rates, losses, hits):
        if rows is None:  # all samples at each step
            rows = np.tile(np.arange(len(self.x)), len(rates))
        assert rows.dtype == hits.dtype == np.int64 and rates.dtype == losses.dtype == np.float64
        assert rates.shape == losses.shape == hits.shape == (-(-rows.size // batch_size),)
        self.done = 0
        for i, rate in enumerate(rates):
            if len(self.rows) == self.stop_at:
                self.stop_at = None
                raise KeyboardInterrupt
            self.rows.append(rows[i * batch_size : (i + 1) * batch_size].copy())
            self.rates.append(float(rate))
            losses[i], hits[i] = next(self.losses, 1.0), 2
            if self.settings.stops and not math.isfinite(losses[i]):
                break
            self.done += 1
            self.after_step()
        self.sizes.append(len(rates))


@pytest.fixture
def fake(monkeypatch):
    def install(**settings):
        route = Fake(**settings)
        replace_program(monkeypatch, route)
        return route

    return install


# --- learning ----------------------------------------------------------------------------


def test_learns_separable_data():
    net = network()
    optimizer, held_out = optimizers.Adam(0.05), data(seed=801)
    history = net.fit(*data(), 30, 128, optimizer, held_out, verbose=False, seed=0)
    assert history.val_accuracy[-1] == net.accuracy(*data(seed=801)) == 1.0
    assert history.loss[-1] < 0.5 * history.loss[0]
    assert net.history is history
    assert history.steps_per_epoch == 1 and history.samples == 100


def test_defaults(fake):
    route = fake()
    net = network()
    history = net.fit(*data(300), verbose=False)
    assert history.epochs == 1 and [len(rows) for rows in route.rows] == [128, 128, 44]
    assert route.rates == [optimizers.Adam().lr] * 3
    assert (history.route, history.reason) == ("fake", "made up")


def test_steps_on_all_samples_are_recorded_as_epochs(fake):
    route = fake(losses=[4.0, 3.0, 2.0, 1.0])
    net = network()
    schedule = lambda step: 1 / (1 + step)  # noqa: E731
    history = net.fit(*data(), 4, 100, optimizers.SGD(0.5), verbose=False, schedule=schedule)
    assert (history.loss, history.accuracy) == ([4.0, 3.0, 2.0, 1.0], [0.02] * 4)
    assert history.lr == route.rates == [0.5, 0.25, 0.5 / 3, 0.125]
    assert len(history.seconds) == 4 and min(history.seconds) > 0
    for rows in route.rows:
        np.testing.assert_array_equal(rows, np.arange(100))


def test_an_interruption_among_steps_on_all_samples(fake):
    route = fake(stop_at=3)
    net = network()
    with pytest.raises(KeyboardInterrupt):
        net.fit(*data(), 5, 100, verbose=False)
    assert net.history.epochs == len(net.history.seconds) == 3
    history = net.fit(*data(), 5, 100, verbose=False, resume=net.history)
    assert history.epochs == len(history.lr) == 5 == len(route.rows)


def test_steps_are_those_by_hand(layerwise):
    net, other = full_network(), full_network()
    history = fit(net, optimizer=optimizers.Adam(0.01))
    x, t = data()
    optimizer, losses = optimizers.Adam(0.01), []
    for epoch in range(2):
        order = ops.permutation(100, 0, epoch)
        for rows in np.split(order, range(16, 100, 16)):
            grads = other.gradient(x[rows], t[rows])
            losses.append(other.last_layer.loss)
            optimizer.update(other.params, grads)
    expect_same(everything(net), everything(other))
    assert history.step_losses == losses
    sizes = [16] * 6 + [4]
    for epoch in range(2):
        mean = np.average(losses[7 * epoch : 7 * epoch + 7], weights=sizes)
        assert abs(history.loss[epoch] - mean) < 8 * np.finfo(float).eps * mean


@pytest.mark.parametrize("name", ["SGD", "momentum", "AdamW"])
def test_optimizers_by_name(name, layerwise):
    net, other = network(), network()
    fit(net, optimizer=name)
    fit(other, optimizer=optimizers.OPTIMIZERS[name.lower()]())
    expect_same(everything(net), everything(other))


def test_an_optimizer_of_the_users_own(layerwise):
    class Plain:
        def update(self, params, grads):
            for key, p in params.items():
                p -= 0.125 * grads[key]  # a product without rounding

    net, other = network(), network()
    history = fit(net, optimizer=Plain())
    fit(other, optimizer=optimizers.SGD(0.125))
    expect_same(everything(net), everything(other))
    assert math.isnan(history.lr[0])
    with pytest.raises(TypeError, match="^schedule: expected an optimizer with a number `lr`"):
        fit(optimizer=Plain(), schedule=np.ones_like)


# --- batches -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "batch_size", "sizes"),
    [(100, 32, [32, 32, 32, 4]), (64, 32, [32, 32]), (7, 100, [7]), (1, 8, [1]), (5, 1, [1] * 5)],
)
def test_an_epoch_takes_each_sample_once(n, batch_size, sizes, fake):
    route = fake()
    history = fit(xt=data(n), batch_size=batch_size, epochs=3)
    per_epoch = len(sizes)
    assert [len(rows) for rows in route.rows] == sizes * 3
    assert route.batch_size == history.batch_size == min(n, batch_size)
    assert history.steps_per_epoch == per_epoch
    epochs = [np.concatenate(route.rows[i * per_epoch :][:per_epoch]) for i in range(3)]
    for rows in epochs:
        np.testing.assert_array_equal(np.sort(rows), np.arange(n))
    if n > 7:
        assert not np.array_equal(epochs[0], epochs[1])
        assert not np.array_equal(epochs[1], epochs[2])


@pytest.mark.parametrize(("n", "batch_size"), [(100, 32), (7, 100), (1, 8), (5, 1)])
def test_sizes_of_batches_for_real(n, batch_size):
    net = full_network() if min(n, batch_size) > 1 else MultiLayerNet(D, [4], C, seed=0)
    history = fit(net, xt=data(n), batch_size=batch_size, validation=data(3))
    assert len(history.step_losses) == 2 * -(-n // batch_size)
    assert np.isfinite(history.step_losses).all() and np.isfinite(history.val_loss).all()


def test_without_shuffling(fake):
    route = fake()
    fit(shuffle=False)
    np.testing.assert_array_equal(np.concatenate(route.rows), np.tile(np.arange(100), 2))


def test_seed_decides_the_order(fake):
    def order(seed):
        route = fake()
        history = fit(seed=seed)
        return np.concatenate(route.rows).tolist(), history.seed

    assert order(0) == order(0)
    assert order(0) != order(1)
    (rows, seed), (others, _) = order(None), order(None)
    assert rows != others
    assert order(seed)[0] == rows


def forms():
    x, t = data()
    byte = np.clip(np.rint(30 * x + 60), 0, 255).astype(np.uint8)
    scaled = byte.astype(np.float32) * np.float32(1 / 255)
    return {
        "Fortran order": ((x, t), (np.asfortranarray(x), t), 1.0),
        "every second": ((x, t), (np.repeat(x, 2, axis=1)[:, ::2], np.repeat(t, 2)[::2]), 1.0),
        "float64": ((x, t), (x.astype(np.float64), t), 1.0),
        "lists": ((x, t), (x.tolist(), t.tolist()), 1.0),
        "column of labels": ((x, t), (x, t[:, None].astype(np.uint8)), 1.0),
        "images": ((x, t), (x[:, None, :, None], t), 1.0),
        "bytes": ((scaled, t), (byte, t), 1 / 255),
        "read-only": ((x, t), tuple(map(read_only, (x, t))), 1.0),
    }


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


@pytest.mark.parametrize("name", forms())
def test_forms_of_the_data(name):
    plain, other, scale = forms()[name]
    net, same = network(), network(input_scale=scale)
    history = fit(net, plain, validation=plain)
    assert fit(same, other, validation=other).step_losses == history.step_losses
    expect_same(everything(same), everything(net))
    np.testing.assert_array_equal(same.predict(other[0]), net.predict(plain[0]))


def test_one_hot_targets():
    x, t = data()
    net, other = network(), network()
    history = fit(net, (x, t), validation=(x, t))
    same = fit(other, (x, np.eye(C)[t]), validation=(x, np.eye(C)[t]))
    assert same.accuracy == history.accuracy and same.val_accuracy == history.val_accuracy
    limit = 14 * 16 * np.finfo(np.float32).eps
    np.testing.assert_allclose(same.step_losses, history.step_losses, rtol=limit)


def test_a_memory_map_is_not_read_as_a_whole(tmp_path, fake):
    x, t = data()
    x.tofile(tmp_path / "x")
    mapped = np.memmap(tmp_path / "x", np.float32, "r", shape=x.shape)
    route = fake()
    fit(xt=(mapped, t), validation=0.2)
    assert np.shares_memory(route.x, mapped)


def test_a_memory_map_gives_the_same(tmp_path):
    x, t = data()
    x.tofile(tmp_path / "x")
    net, other = network(), network()
    fit(net, (np.memmap(tmp_path / "x", np.float32, "r", shape=x.shape), t))
    fit(other, (x, t))
    expect_same(everything(net), everything(other))


# --- what is recorded --------------------------------------------------------------------


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


def fake_clock(monkeypatch, step):
    """Let each step take some seconds on the engine's clock."""
    now = SimpleNamespace(time=0.0)
    monkeypatch.setattr(time, "perf_counter", lambda: now.time)

    def after_step():
        now.time += step

    return after_step


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


# --- learning rates ----------------------------------------------------------------------


def test_schedule_sees_every_step_once_and_in_order(fake):
    route, seen = fake(), []

    def schedule(steps):
        seen.append(steps)
        return 1 / (1 + steps)

    optimizer = optimizers.SGD(0.5)
    history = fit(optimizer=optimizer, schedule=schedule, epochs=3)
    assert route.rates == pytest.approx([0.5 / (1 + i) for i in range(21)], rel=1e-15)
    assert history.lr == pytest.approx([0.5 / 7, 0.5 / 14, 0.5 / 21], rel=1e-15)
    assert optimizer.lr == 0.5
    assert all(steps.dtype == np.int64 for steps in seen)


def test_schedule_is_followed(layerwise):
    net, other = network(), network()
    fit(net, optimizer=optimizers.SGD(0.1), schedule=lambda steps: np.where(steps < 7, 1, 0))
    fit(other, optimizer=optimizers.SGD(0.1), epochs=1)
    expect_same(everything(net), everything(other))


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (lambda steps: np.ones(3), r"a number for each of 7 steps, got float64 of shape \(3,\)"),
        (
            lambda steps: 1.0,
            r"a number for each of 7 steps, got float64 of shape \(\); np.vectorize",
        ),
        (lambda step: 0.1 if step > 3 else 1, "a function of an array .*ambiguous.*np.vectorize"),
        (lambda step: math.exp(-step), "a function of an array of step numbers, .*np.vectorize"),
        (lambda steps: ["a"] * len(steps), "a number for each of 7 steps, got <U1"),
        (lambda steps: 3.0 - steps, r"numbers of at least 0, got -1.0 for step 4"),
        (
            lambda steps: np.where(steps == 2, np.nan, 1),
            "numbers of at least 0, got nan for step 2",
        ),
        (
            lambda steps: np.where(steps == 2, np.inf, 1),
            "numbers of at least 0, got inf for step 2",
        ),
    ],
)
def test_a_schedule_that_does_not_fit(schedule, text):
    net = network()
    with pytest.raises(ValueError, match=f"^schedule: expected {text}"):
        fit(net, schedule=schedule)
    expect_same(everything(net), everything(network()))


# --- clipping, moving average ------------------------------------------------------------


def test_settings_reach_the_route(fake):
    route = fake()
    fit(clip_value=1, clip_norm=2, ema=0.5)
    assert route.settings == StepSettings(1.0, 2.0, 0.5, stops=True)
    fit(on_divergence="warn")
    assert route.settings == StepSettings()


def test_averages():
    net = network()
    history = fit(net, ema=0.9)
    assert history.averages.keys() == net.params.keys()
    start = network()
    for key, average in history.averages.items():
        low = np.minimum(start.params[key], net.params[key]).min()
        assert average.shape == net.params[key].shape and average.min() >= low - 0.1
        assert not np.array_equal(average, net.params[key])
    assert fit().averages is None


# --- interruptions -----------------------------------------------------------------------


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

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return evaluate(*args)

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


# --- callbacks ---------------------------------------------------------------------------


class Noting(Callback):
    def __init__(self, stop_after=None):
        self.events, self.stop_after = [], stop_after

    def on_train_begin(self):
        self.events.append(("begin", self.history.epochs))

    def on_epoch_end(self, epoch):
        self.events.append((epoch, self.history.epochs))
        return epoch == self.stop_after

    def on_train_end(self):
        self.events.append(("end", self.history.epochs))


def test_callbacks_are_called_in_order():
    first, second = Noting(), Noting(stop_after=2)
    net = network()
    history = fit(net, epochs=5, callbacks=[first, second])
    assert first.events == second.events == [("begin", 0), (1, 1), (2, 2), ("end", 2)]
    assert history.epochs == 2
    assert first.network is net and first.history is history
    assert isinstance(first.optimizer, optimizers.Adam)


def test_the_end_is_not_called_after_an_error(fake):
    fake(stop_at=9)
    noting = Noting()
    with pytest.raises(KeyboardInterrupt):
        fit(callbacks=(noting,))
    assert noting.events == [("begin", 0), (1, 1)]


def test_a_callback_may_change_the_rate(fake):
    class Halving(Callback):
        def on_epoch_end(self, epoch):
            self.optimizer.lr /= 2

    route = fake()
    optimizer = optimizers.SGD(0.4)
    fit(optimizer=optimizer, callbacks=[Halving()], epochs=3, batch_size=100)
    assert route.rates == [0.4, 0.2, 0.1]
    assert optimizer.lr == 0.05


# --- divergence --------------------------------------------------------------------------


def caught(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return [w for w in found if issubclass(w.category, RuntimeWarning)]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_divergence_is_announced_once(bad, fake):
    fake(losses=[1.0] * 8 + [bad, 1.0, bad])
    settings = {"schedule": lambda steps: 1.0 + steps, "on_divergence": "warn"}
    (warning,) = caught(lambda: fit(optimizer="SGD", epochs=3, **settings))
    text = rf"the loss became {bad} in epoch 2, step 9; the learning rate 0.09 may be too high"
    assert re.fullmatch(text, str(warning.message))
    assert warning.filename == __file__


def test_divergence_for_real():
    net = network()
    huge = {"optimizer": optimizers.SGD(1e30), "on_divergence": "warn"}
    (warning,) = caught(lambda: fit(net, epochs=3, **huge))
    assert "learning rate 1e+30" in str(warning.message)
    assert not math.isfinite(net.history.loss[-1])
    assert caught(fit) == []


# --- the squared error -------------------------------------------------------------------


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


# --- errors ------------------------------------------------------------------------------

X, T = data()


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"epochs": -1}, ValueError, "epochs: expected an integer from 0"),
        ({"epochs": 1.5}, TypeError, "epochs: expected an integer, got 1.5"),
        ({"batch_size": 0}, ValueError, "batch_size: expected an integer from 1"),
        ({"batch_size": "8"}, TypeError, "batch_size: expected an integer, got '8'"),
        ({"optimizer": "sgdm"}, ValueError, "optimizer: expected one of .*rmsprop.*, got 'sgdm'"),
        ({"optimizer": optimizers.Adam}, TypeError, "optimizer: expected a name or an optimizer"),
        ({"optimizer": {}}, TypeError, "optimizer: expected a name or an optimizer, .*, got {}"),
        ({"optimizer": 3}, TypeError, "optimizer: expected a name or an optimizer, .*, got 3"),
        ({"schedule": 0.5}, TypeError, "schedule: expected a function of step numbers, got 0.5"),
        ({"schedule": schedules.cosine}, TypeError, r"schedule: .*schedules.cosine\(...\)"),
        ({"clip_value": 0}, ValueError, "clip_value: expected a number above 0, got 0"),
        ({"clip_norm": -1}, ValueError, "clip_norm: expected a number above 0, got -1"),
        ({"clip_norm": "1"}, TypeError, "clip_norm: expected a number above 0, got '1'"),
        ({"ema": 1}, ValueError, r"ema: expected a number in \[0, 1\), got 1"),
        ({"seed": -1}, ValueError, "seed: expected an integer from 0"),
        ({"seed": 0.5}, TypeError, "seed: expected an integer, got 0.5"),
        ({"resume": 3}, TypeError, "resume: expected a History, got 3"),
        ({"callbacks": 3}, TypeError, "callbacks: expected a list of callbacks, got 3"),
        ({"callbacks": [3]}, TypeError, "callbacks: expected objects of type Callback, got 3"),
        ({"callbacks": [Noting]}, TypeError, "callbacks: expected objects of type Callback, got <"),
        ({"validation": 1.0}, ValueError, r"validation: expected a pair .* in \(0, 1\), got 1.0"),
        ({"validation": 0}, ValueError, r"validation: expected a pair \(x, t\) or a number"),
        ({"validation": "all"}, TypeError, r"validation: expected a pair \(x, t\) or a number"),
        ({"validation": (X,)}, ValueError, r"validation: expected a pair .*, got 1 items"),
        ({"validation": (X, T[:5])}, ValueError, r"validation t: expected 100 labels"),
        ({"validation": (X[:, :3], T)}, ValueError, r"validation x: .* 5 features.*\(100, 3\)"),
        ({"validation": 0.5, "xt": (X[:1], T[:1])}, ValueError, "validation: 0.5 of 1 samples"),
        ({"xt": (X[:, :3], T)}, ValueError, r"x: expected at least one sample of 5 feat.*3\)"),
        ({"xt": (X[:0], T[:0])}, ValueError, r"x: expected at least one sample .*\(0, 5\)"),
        ({"xt": (X[0], T)}, ValueError, r"x: expected at least one sample .*got \(5,\)"),
        ({"xt": (X.astype(complex), T)}, TypeError, "x: expected an array of real numbers"),
        ({"xt": (X, T[:-1])}, ValueError, r"t: expected 100 labels of shape \(100,\) or .*\(99,\)"),
        ({"xt": (X, T // 2 + 2)}, ValueError, "t: expected labels from 0 to 2, got 3"),
        ({"xt": (X, T // 2 - 1)}, ValueError, "t: expected labels from 0 to 2, got -1"),
        ({"xt": (X, T + 0.5)}, TypeError, "t: expected labels that are integers, got float64"),
        ({"xt": (X, np.eye(4)[T])}, ValueError, r"t: expected 100 labels .*\(100, 4\)"),
        ({"xt": (X, list("abc"))}, TypeError, "t: expected an array of real numbers"),
        ({"shuffle": "no"}, TypeError, "shuffle: expected True or False, got 'no'"),
    ],
)  # fmt: skip
def test_bad_arguments(changes, error, text):
    net = network()
    kept = net.history
    with pytest.raises(error, match=f"^{text}"):
        fit(net, **changes)
    expect_same(everything(net), everything(network()))
    assert net.history is kept


def test_targets_of_the_squared_error():
    net = MultiLayerNet(D, [4], 2, loss="mean_squared_error")
    with pytest.raises(ValueError, match=r"^t: expected targets of shape \(100, 2\), got \(100,\)"):
        fit(net, data())


# --- the plan ----------------------------------------------------------------------------


def test_explain(capsys, layerwise):
    net = full_network()
    before = copy.deepcopy(net)
    net.explain("sgd", 32)
    out = capsys.readouterr().out
    assert "asked for" in out and "32 samples" in out and "SGD" in out
    expect_same(everything(net), everything(before))
    net.explain()
    assert "Adam" in capsys.readouterr().out
    with pytest.raises(ValueError, match="^batch_size: "):
        net.explain(batch_size=0)


def test_settings_are_all_arguments_but_the_data():
    asked = [*inspect.signature(MultiLayerNetExtend.fit).parameters]
    assert asked == ["self", "x", "t", *(f.name for f in dataclasses.fields(FitSettings))]
