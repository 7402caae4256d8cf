"""The trainer: what it learns, what it records, what it says."""

import math
import re
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from routes import replace_program

from fastnn import config, ops, optimizers
from fastnn.layers import Affine, SoftmaxWithLoss
from fastnn.networks import MultiLayerNet, MultiLayerNetExtend
from fastnn.trainer import OPTIMIZERS, Trainer


def blobs(seed, n=120):
    """Three clouds around distant centres: separable, so nearly all can be right."""
    rng = np.random.default_rng(seed)
    centres = 4 * np.eye(3, 5)
    t = rng.integers(3, size=n)
    return (centres[t] + 0.5 * rng.normal(size=(n, 5))).astype(np.float32), t


def trainer(network=None, n=120, n_test=60, **settings):
    network = network or MultiLayerNet(5, [10], 3, seed=0)
    settings = {"epochs": 3, "mini_batch_size": 20, "verbose": False, "seed": 0} | settings
    return Trainer(network, *blobs(400, n), *blobs(401, n_test), **settings)


class Recorder:
    """A network and optimizer that learns nothing and writes down what it is asked."""

    def __init__(self, losses=()):
        self.params = {}
        self.last_layer = SimpleNamespace(loss=0.0)
        self.losses = iter(losses)
        self.lr = 0.5
        self.batches, self.evaluated, self.events = [], [], []

    def gradient(self, x, t):
        self.batches.append((x, t))
        self.events.append("gradient")
        self.last_layer.loss = next(self.losses, 1.0)
        return {}

    def accuracy(self, x, t):
        self.evaluated.append((x, t))
        self.events.append("accuracy")
        return len(x) / 100

    def update(self, params, grads):
        self.events.append("update")


def record(losses=(), **settings):
    recorder = Recorder(losses)
    return recorder, trainer(recorder, optimizer=recorder, **settings)


# --- learning ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "lr"),
    [
        ("SGD", 0.1), ("sgd", 0.1), ("Sgd", 0.1), ("Momentum", 0.02), ("momentum", 0.02),
        ("Nesterov", 0.02), ("NESTEROV", 0.02), ("AdaGrad", 0.1), ("adagrad", 0.1),
        ("RMSProp", 0.01), ("RMSprop", 0.01), ("Adam", 0.02), ("adam", 0.02), ("AdamW", 0.02),
        ("NAdam", 0.02), ("Adamax", 0.02), ("AMSGrad", 0.02), ("Lion", 0.01),
    ],
)  # fmt: skip
def test_learns_separable_data_with_each_optimizer(name, lr):
    run = trainer(epochs=10, optimizer=name, optimizer_param={"lr": lr})
    assert type(run.optimizer) is OPTIMIZERS[name.lower()]
    assert run.optimizer.lr == lr
    run.train()
    # Half-way between two centres is 4 / sqrt(2) / 0.5 = 5.7 standard deviations off.
    assert run.train_acc_list[-1] == run.final_test_acc == 1.0
    assert np.mean(run.train_loss_list[-6:]) < 0.1 * run.train_loss_list[0]


def test_every_optimizer_has_a_name():
    kinds = [optimizers.SGD, optimizers.Momentum, optimizers.Nesterov, optimizers.AdaGrad]
    kinds += [optimizers.RMSProp, optimizers.Adam, optimizers.AdamW, optimizers.NAdam]
    kinds += [optimizers.Adamax, optimizers.AMSGrad, optimizers.Lion]
    assert dict(OPTIMIZERS) == {kind.__name__.lower(): kind for kind in kinds}


def test_learns_with_batchnorm_and_dropout():
    network = MultiLayerNetExtend(
        5, [20, 20], 3, use_batchnorm=True, use_dropout=True, dropout_ration=0.2, seed=0
    )
    run = trainer(network, epochs=10, optimizer_param={"lr": 0.1})
    run.train()
    assert run.train_acc_list[-1] > 0.95 and run.final_test_acc > 0.95


def test_default_is_sgd_at_one_hundredth():
    run = Trainer(MultiLayerNet(5, [10], 3, seed=0), *blobs(400), *blobs(401))
    assert type(run.optimizer) is optimizers.SGD
    assert run.optimizer.lr == 0.01
    assert (run.epochs, run.batch_size, run.verbose) == (20, 100, True)


def test_settings_reach_the_optimizer():
    run = trainer(optimizer="adam", optimizer_param={"lr": 0.5, "beta1": 0.25, "eps": 1e-3})
    assert (run.optimizer.lr, run.optimizer.beta1, run.optimizer.eps) == (0.5, 0.25, 1e-3)


def test_an_optimizer_may_be_given():
    given = optimizers.Adam(lr=0.02, weight_decay=0.1)
    run = trainer(optimizer=given, optimizer_param={"lr": 7})
    assert run.optimizer is given and given.lr == 0.02
    run.train()
    assert given.iter == run.max_iter == 18


# --- what is recorded, and in what order ------------------------------------------------


@pytest.mark.parametrize(
    ("n", "size", "epochs", "steps"),
    [(120, 20, 3, 6), (119, 20, 3, 5), (120, 120, 2, 1), (30, 1000, 4, 1), (7, 1, 1, 7)],
)
def test_lengths(n, size, epochs, steps):
    recorder, run = record(n=n, mini_batch_size=size, epochs=epochs)
    run.train()
    assert (run.iter_per_epoch, run.max_iter) == (steps, epochs * steps)
    assert len(run.train_loss_list) == run.current_iter == epochs * steps
    assert len(run.train_acc_list) == len(run.test_acc_list) == epochs
    assert run.current_epoch == epochs
    assert all(len(x) == len(t) == size for x, t in recorder.batches)


def test_order_of_events():
    recorder, run = record(epochs=2, mini_batch_size=60)
    run.train()
    step, evaluation = ["gradient", "update"], ["accuracy", "accuracy"]
    epoch = [*step, *evaluation, *step]
    assert recorder.events == [*epoch, *epoch, "accuracy"]


def test_losses_are_those_of_the_mini_batches():
    losses = [3.0, 2.5, 2.0, 1.5, 1.0, 0.5]
    _, run = record(losses, epochs=1)
    run.train()
    assert run.train_loss_list == losses


def test_first_loss_is_taken_before_the_update():
    run = trainer(MultiLayerNet(5, [10], 3, weight_init_std=0, seed=0))
    run.train_step()
    assert abs(run.train_loss_list[0] - math.log(3)) < 4 * np.finfo(np.float32).eps * math.log(3)


def test_samples_keep_their_targets():
    recorder, run = record()
    run.train()
    x, t = blobs(400)
    target_of = {row.tobytes(): label for row, label in zip(x, t, strict=True)}
    for rows, labels in recorder.batches:
        assert [target_of[row.tobytes()] for row in rows] == labels.tolist()
    drawn = {row.tobytes() for rows, _ in recorder.batches for row in rows}
    # 360 draws of 120 miss each with probability exp(-3); 5 standard deviations below 114.
    assert len(drawn) > 114 - 5 * math.sqrt(120 * math.exp(-3))


@pytest.mark.parametrize(("n", "train", "test"), [(None, 120, 60), (25, 25, 25), (80, 80, 60)])
def test_evaluation_on_the_first_samples(n, train, test):
    recorder, run = record(epochs=1, evaluate_sample_num_per_epoch=n)
    run.train()
    sets = [(*blobs(400), train), (*blobs(401, 60), test), (*blobs(401, 60), 60)]
    for (x, t), (all_x, all_t, size) in zip(recorder.evaluated, sets, strict=True):
        np.testing.assert_array_equal(x, all_x[:size])
        np.testing.assert_array_equal(t, all_t[:size])
    assert run.train_acc_list == [train / 100]
    assert run.test_acc_list == [test / 100]
    assert run.final_test_acc == 0.6


def test_seed_decides_the_training():
    def run(seed):
        r = trainer(seed=seed)
        r.train()
        return r.train_loss_list, r.train_acc_list, r.test_acc_list, r.network.params["W1"]

    one, same, other = run(0), run(0), run(1)
    assert one[:3] == same[:3]
    np.testing.assert_array_equal(one[3], same[3])
    assert one[0] != other[0]
    assert run(None)[0] != run(None)[0]


def test_training_may_begin_step_by_step():
    whole, parts = trainer(), trainer()
    whole.train()
    for _ in range(8):
        parts.train_step()
    assert parts.current_iter == 8 and parts.current_epoch == 2
    parts.train()
    assert parts.train_loss_list == whole.train_loss_list
    assert parts.train_acc_list == whole.train_acc_list
    assert parts.test_acc_list == whole.test_acc_list


class InOneStep:
    """A route that is asked for many steps takes them all at once, and says how many."""

    name, reason, averages, done = "fake", "", None, 0

    def __init__(self, *args):
        self.args, self.asked, self.rows, self.fail = args, [], [], False

    def prepare(self):
        pass

    def run(self, rows, batch_size, rates, losses, hits):
        self.done = 0
        if self.fail:
            raise KeyboardInterrupt
        self.asked.append((len(rates), set(rates.tolist())))
        self.rows.append(rows.copy())
        losses[:] = 1.0
        self.done = len(rates)


def test_steps_are_taken_in_stretches(monkeypatch):
    routes = []
    replace_program(monkeypatch, lambda *args: routes.append(InOneStep(*args)) or routes[-1])
    run = trainer(n=2000, epochs=2, mini_batch_size=10)
    run.train()
    (route,) = routes
    assert route.args[0] is run.network and route.args[1] is run.optimizer
    assert sum(steps for steps, _ in route.asked) == run.max_iter == 400
    assert route.asked[0] == (1, {0.01}) and len(route.asked) < 20
    assert (run.route, run.reason) == ("fake", "")
    drawn = np.concatenate(route.rows)
    expected = [ops.choices(2000, 2000, 0, step=epoch) for epoch in range(2)]
    np.testing.assert_array_equal(drawn, np.concatenate(expected))


def test_interrupted_and_continued(monkeypatch):
    routes = []
    replace_program(monkeypatch, lambda *args: routes.append(InOneStep(*args)) or routes[-1])
    run = trainer(n=2000, epochs=2, mini_batch_size=10)
    run.train_step()
    routes[0].fail = True
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert run.current_iter == len(run.train_loss_list) == 1
    routes[0].fail = False
    run.train()
    assert len(run.train_loss_list) == 400 and len(run.train_acc_list) == 2
    np.testing.assert_array_equal(
        np.concatenate(routes[0].rows),
        np.concatenate([ops.choices(2000, 2000, 0, step=epoch) for epoch in range(2)]),
    )


@pytest.mark.parametrize("call", range(1, 6))
def test_interrupted_in_an_accuracy_and_continued(call):
    """No accuracy is left out, nor taken of parameters of a later step."""
    run, whole = trainer(epochs=2), trainer(epochs=2)
    calls = []

    def interrupting(x, t):
        calls.append(0)
        if len(calls) == call:
            raise KeyboardInterrupt
        return float(run.network.params["W1"].sum())  # other parameters give another number

    run.network.accuracy = interrupting
    whole.network.accuracy = lambda x, t: float(whole.network.params["W1"].sum())
    with pytest.raises(KeyboardInterrupt):
        run.train()
    run.train()
    whole.train()
    for name in ("train_loss_list", "train_acc_list", "test_acc_list", "final_test_acc"):
        assert getattr(run, name) == getattr(whole, name)


def test_another_optimizer_or_backend_between_steps():
    run = trainer(optimizer="sgd")
    run.train_step()
    run.optimizer = optimizers.Adam()
    run.train_step()
    assert run.optimizer.iter == 1
    with config.use_backend("numpy"):
        run.train_step()
    assert (run.route, run.reason) == ("layers", "the backend is numpy")
    assert run.optimizer.iter == 2


def test_the_rate_may_be_changed_between_steps():
    run, other = trainer(), trainer()
    for rate in (0.5, 0.1, 0.3):
        run.optimizer.lr = rate
        run.train_step()
        assert run.optimizer.lr == rate
    with pytest.raises(ValueError, match="^lr: expected a number above 0"):
        run.optimizer.lr = 0
        run.train_step()
    other.train_step()
    assert run.train_loss_list[0] == other.train_loss_list[0]
    assert run.current_iter == 3


def test_the_warning_points_to_the_line_of_the_user():
    _, run = record([math.nan])
    with pytest.warns(RuntimeWarning, match="the loss became nan in epoch 1, step 1;") as found:
        run.train_step()
    assert found[0].filename == __file__
    _, run = record([1.0, math.nan])
    (warning,) = caught(run)
    assert warning.filename == __file__


def test_training_again_when_nothing_is_left_adds_nothing():
    run = trainer()
    run.train()
    lists = list(run.train_loss_list), list(run.train_acc_list), list(run.test_acc_list)
    run.train()
    assert (run.train_loss_list, run.train_acc_list, run.test_acc_list) == lists


def test_no_epochs():
    run = trainer(epochs=0)
    before = run.network.params["W1"].copy()
    run.train()
    assert run.train_loss_list == run.train_acc_list == run.test_acc_list == []
    np.testing.assert_array_equal(run.network.params["W1"], before)


def test_one_hot_targets():
    (x, t), eye = blobs(400), np.eye(3, dtype=np.float32)
    runs = []
    for targets in (t, eye[t]):
        network = MultiLayerNet(5, [10], 3, seed=0)
        runs.append(Trainer(network, x, targets, x, targets, 3, 20, verbose=False, seed=0))
        runs[-1].train()
    assert runs[0].train_acc_list == runs[1].train_acc_list
    # float32 losses of the order of one, over 18 steps.
    limit = 18 * 16 * np.finfo(np.float32).eps
    np.testing.assert_allclose(runs[0].train_loss_list, runs[1].train_loss_list, rtol=limit)


def test_data_are_not_written():
    x, t = blobs(400)
    kept = x.copy(), t.copy()
    x.flags.writeable = t.flags.writeable = False
    Trainer(MultiLayerNet(5, [10], 3, seed=0), x, t, x, t, 2, 20, verbose=False, seed=0).train()
    np.testing.assert_array_equal(x, kept[0])
    np.testing.assert_array_equal(t, kept[1])


# --- what it says -----------------------------------------------------------------------


def test_silence(capsys):
    trainer(verbose=False).train()
    assert tuple(capsys.readouterr()) == ("", "")


@pytest.mark.parametrize("terminal", [True, False])
def test_what_it_says(capsys, monkeypatch, terminal):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    run = trainer(verbose=True)
    run.train()
    out, err = capsys.readouterr()
    *lines, last = out.splitlines()
    assert last == f"test accuracy after 3 epochs: {run.final_test_acc:.4f}"
    if terminal:
        assert "360/360" in err and "100%" in err and "samples/s" in err
        assert "epoch=3/3" in err and not lines
    else:
        losses = [f"{np.mean(run.train_loss_list[: 6 * i][-10:]):.4f}" for i in (1, 2, 3)]
        assert err == "" and lines == [
            f"epoch {i}/3: loss {losses[i - 1]}, test acc {run.test_acc_list[i - 1]:.3f}"
            for i in (1, 2, 3)
        ]


def test_verbose_or_not_the_numbers_are_the_same(capsys):
    loud, silent = trainer(verbose=True), trainer(verbose=False)
    loud.train()
    silent.train()
    assert capsys.readouterr().out
    assert loud.train_loss_list == silent.train_loss_list
    assert loud.test_acc_list == silent.test_acc_list


def caught(run):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        run.train()
    return [w for w in found if issubclass(w.category, RuntimeWarning)]


def test_divergence_is_announced_once():
    run = trainer(optimizer_param={"lr": 1e30}, on_divergence="warn")
    (warning,) = caught(run)
    assert not math.isfinite(run.train_loss_list[-1])
    assert len(run.train_loss_list) == run.max_iter
    first = next(i for i, loss in enumerate(run.train_loss_list) if not math.isfinite(loss))
    text = str(warning.message)
    assert re.search(rf"epoch {first // 6 + 1}, step {first + 1};", text)
    assert "learning rate 1e+30" in text


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_divergence_names_epoch_step_and_rate(bad):
    _, run = record([1.0] * 7 + [bad, 1.0, bad, bad], epochs=3)
    (warning,) = caught(run)
    assert str(warning.message).startswith(f"the loss became {bad} in epoch 2, step 8;")
    assert "learning rate 0.5 " in str(warning.message)


def test_divergence_in_the_first_step_of_an_epoch():
    _, run = record([1.0] * 6 + [math.nan], epochs=2)
    (warning,) = caught(run)
    assert "epoch 2, step 7;" in str(warning.message)


def test_no_divergence_no_warning():
    assert caught(trainer()) == []


# --- errors -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sgdm", "", "rms prop"])
def test_unknown_optimizer(name):
    with pytest.raises(ValueError, match="^optimizer: ") as error:
        trainer(optimizer=name)
    for known in OPTIMIZERS:
        assert re.search(rf"\b{known}\b", str(error.value))
    assert repr(name) in str(error.value)


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [
        ({"epochs": -1}, ValueError, "epochs"),
        ({"epochs": 1.5}, TypeError, "epochs"),
        ({"mini_batch_size": 0}, ValueError, "mini_batch_size"),
        ({"mini_batch_size": "20"}, TypeError, "mini_batch_size"),
        ({"evaluate_sample_num_per_epoch": 0}, ValueError, "evaluate_sample_num_per_epoch"),
        ({"evaluate_sample_num_per_epoch": 2.5}, TypeError, "evaluate_sample_num_per_epoch"),
        ({"optimizer_param": {"lr": 0}}, ValueError, "lr"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 0.5}, TypeError, "seed"),
        ({"optimizer": "momentum", "optimizer_param": {"momentum": 1}}, ValueError, "momentum"),
    ],
)
def test_settings_out_of_range(settings, error, name):
    with pytest.raises(error, match=f"^{name}: expected"):
        trainer(**settings)


@pytest.mark.parametrize("which", ["train", "test"])
@pytest.mark.parametrize(("n_x", "n_t"), [(10, 9), (9, 10)])
def test_samples_and_targets_differ_in_number(which, n_x, n_t):
    sets = {"train": blobs(400), "test": blobs(401)}
    sets[which] = np.zeros((n_x, 5), np.float32), np.zeros(n_t, int)
    with pytest.raises(ValueError, match=f"^t_{which}: expected {n_x} labels.*got shape .{n_t},"):
        Trainer(MultiLayerNet(5, [10], 3), *sets["train"], *sets["test"])


@pytest.mark.parametrize("which", ["train", "test"])
def test_no_samples(which):
    sets = {"train": blobs(400), "test": blobs(401)}
    sets[which] = np.zeros((0, 5), np.float32), np.zeros(0, int)
    with pytest.raises(ValueError, match=rf"^x_{which}: expected at least one.*\(0, 5\)"):
        Trainer(MultiLayerNet(5, [10], 3), *sets["train"], *sets["test"])


@pytest.mark.parametrize("optimizer", [optimizers.Adam, 3, None])
def test_an_optimizer_that_is_none(optimizer):
    with pytest.raises(TypeError, match="^optimizer: expected a name or an optimizer, .* got "):
        trainer(optimizer=optimizer)


class Stacked:
    """A network of the user's own with its layers in a list, as in CS231n."""

    def __init__(self):
        self.layers = [Affine(np.full((4, 3), 0.1), np.zeros(3))]
        self.params = {"W": self.layers[0].W, "b": self.layers[0].b}
        self.last_layer = SoftmaxWithLoss()

    def predict(self, x):
        return self.layers[0].forward(x)

    def loss(self, x, t):
        return self.last_layer.forward(self.predict(x), t)

    def accuracy(self, x, t):
        return float(np.mean(self.predict(x).argmax(axis=1) == t))

    def gradient(self, x, t):
        self.loss(x, t)
        self.layers[0].backward(self.last_layer.backward())
        return {"W": self.layers[0].dW, "b": self.layers[0].db}


def test_layers_in_a_list():
    x, t = np.random.default_rng(0).random((8, 4)), np.arange(8) % 3
    net = Stacked()
    Trainer(net, x, t, x, t, 2, 4, verbose=False).train()
    assert not np.array_equal(net.params["W"], np.full((4, 3), 0.1))


@pytest.mark.parametrize(
    ("loss", "name"),
    [("poisson", "PoissonWithLoss"), ("mse", "IdentityWithLoss"), ("huber", "HuberWithLoss")],
)
def test_a_single_output_without_classes_is_refused(loss, name):
    network, x, t = MultiLayerNet(5, [10], 1, loss=loss), np.ones((20, 5)), np.ones(20)
    with pytest.raises(ValueError, match=f"network: expected .*, got one with {name} and a single"):
        Trainer(network, x, t, x, t)
