"""network.fit: learning, batches, rates, callbacks, bad arguments."""

import copy
import dataclasses
import inspect
import math
import re
import warnings

import fitting
import numpy as np
import pytest
from fitting import C, D, data, fit, full_network, network
from routes import StepSettings
from states import everything, expect_same

from fastnn import MultiLayerNet, MultiLayerNetExtend, ops, optimizers, schedules
from fastnn.callbacks import Callback
from fastnn.training.settings import FitSettings

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
    assert warning.filename == fitting.__file__  # which calls it


def test_divergence_for_real():
    net = network()
    huge = {"optimizer": optimizers.SGD(1e30), "on_divergence": "warn"}
    (warning,) = caught(lambda: fit(net, epochs=3, **huge))
    assert "learning rate 1e+30" in str(warning.message)
    assert not math.isfinite(net.history.loss[-1])
    assert caught(fit) == []


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
        ({"validation": 1.0}, ValueError, r"validation: expected .* in \(0, 1\), got 1.0"),
        ({"validation": 0}, ValueError, r"validation: expected \(x, t\), .* or a number"),
        ({"validation": "all"}, TypeError, r"validation: expected \(x, t\), .* or a number"),
        ({"validation": (X,)}, ValueError, r"validation: expected \(x, t\), .*, got 1 items"),
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
