"""Callbacks: when they stop, what they bring back, what they write."""

import csv
import io
import math
import os
import pickle
import time
from types import SimpleNamespace

import numpy as np
import pytest
from routes import by_layers, replace_program
from states import everything, expect_same, of_layers

import fastnn
from fastnn import MultiLayerNet, MultiLayerNetExtend, optimizers, schedules
from fastnn.callbacks import (
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    ReduceLROnPlateau,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from fastnn.fit import History
from fastnn.training import callbacks as _callbacks
from fastnn.training import epochs as _epochs

D, C = 5, 3


def data(n=50):
    rng = np.random.default_rng(900)
    return rng.normal(size=(n, D)).astype(np.float32), rng.integers(C, size=n)


def network(seed=0, **settings):
    return MultiLayerNetExtend(
        D,
        [8, 7],
        C,
        use_batchnorm=True,
        use_dropout=True,
        dropout_ration=0.2,
        seed=seed,
        **settings,
    )


def fit(net, epochs=4, **settings):
    settings = {"verbose": False, "seed": 0} | settings
    return net.fit(*data(), epochs, 16, **settings)


@pytest.fixture
def script(monkeypatch):
    """Let validation give made-up values, epoch by epoch; keep the network of each epoch."""

    def install(losses, accuracies=None):
        values = iter(zip(losses, accuracies or [0.5] * len(losses), strict=True))
        networks = []

        def evaluate(net, x, t, metrics, weights):
            networks.append(everything(net))
            return next(values)

        monkeypatch.setattr(_epochs, "evaluate", evaluate)
        return networks

    return install


# --- early stopping ----------------------------------------------------------------------

NAN = math.nan


@pytest.mark.parametrize(
    ("losses", "settings", "epochs", "best"),
    [
        ([5, 4, 3, 2, 1], {}, 5, 5),
        ([5, 4, 4, 4, 1], {}, 4, 2),
        ([5, 6, 4, 6, 3], {}, 5, 5),
        ([5, 4, 5], {"patience": 1}, 3, 2),
        ([5, 4.9, 4.8, 1], {"min_delta": 0.5}, 3, 1),
        ([5, 4.9, 4.4, 4.3, 4.2], {"min_delta": 0.5}, 5, 3),
        ([NAN, 5, NAN, NAN, 1], {}, 4, 2),
        ([NAN, NAN, 1], {}, 2, 0),
    ],
)
def test_early_stopping(losses, settings, epochs, best, script):
    networks = script(losses)
    net, stopping = network(), EarlyStopping(**{"patience": 2} | settings)
    history = fit(net, len(losses), validation=0.2, callbacks=[stopping])
    assert (history.epochs, stopping.best_epoch) == (epochs, best)
    assert best == 0 or stopping.best == losses[best - 1]
    kept = networks[best - 1] if best else networks[-1]
    for key, p in net.params.items():
        np.testing.assert_array_equal(p, kept[key], err_msg=key)
    for key, value in of_layers(net).items():
        expected = kept[key] if key.startswith("BatchNorm") else networks[-1][key]
        np.testing.assert_array_equal(value, expected, err_msg=key)


def test_the_last_network_may_be_kept(script):
    networks = script([1, 2, 3])
    net = network()
    fit(net, 3, validation=0.2, callbacks=[EarlyStopping(patience=2, restore_best=False)])
    expect_same(everything(net), networks[-1])


def test_the_best_of_a_training_that_was_not_stopped_comes_back_too(script):
    networks = script([1, 2])
    net = network()
    fit(net, 2, validation=0.2, callbacks=[EarlyStopping(patience=9)])
    np.testing.assert_array_equal(net.params["W1"], networks[0]["W1"])


def test_more_accuracy_is_better(script):
    script([1] * 5, [0.5, 0.6, 0.6, 0.55, 0.7])
    stopping = EarlyStopping("val_accuracy", patience=2)
    history = fit(network(), 5, validation=0.2, callbacks=[stopping])
    assert (history.epochs, stopping.best, stopping.best_epoch) == (4, 0.6, 2)


def test_patience_goes_on_in_a_resumed_training(script):
    script([1, 2, 2, 2, 2])
    net, optimizer = network(), optimizers.Adam()
    settings = {"validation": 0.2, "optimizer": optimizer}
    history = fit(net, 2, **settings)
    stopping = EarlyStopping(patience=2)
    history = fit(net, 5, **settings, callbacks=[stopping], resume=history)
    assert (history.epochs, stopping.best_epoch) == (3, 1)


def test_the_training_loss_may_be_monitored():
    stopping = EarlyStopping("loss", patience=1, min_delta=100)
    assert fit(network(), 4, callbacks=[stopping]).epochs == 2


# --- reduction on a plateau --------------------------------------------------------------


def test_reduction_on_a_plateau(script):
    script([5, 4, 4, 4, 4, 4, 3, 3])
    optimizer = optimizers.SGD(0.8)
    reduction = ReduceLROnPlateau(factor=0.5, patience=2, min_lr=0.15)
    net = network()
    history = fit(net, 8, optimizer=optimizer, validation=0.2, callbacks=[reduction])
    assert history.lr == [0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.2]
    script([5, 5, 5, 5])
    fit(net, 4, optimizer=optimizer, validation=0.2, callbacks=[reduction])
    assert optimizer.lr == 0.15
    optimizer.lr = 0.1  # below the least rate already
    script([5, 5, 5, 5])
    fit(net, 4, optimizer=optimizer, validation=0.2, callbacks=[reduction])
    assert optimizer.lr == 0.1


def test_reduction_needs_a_rate():
    class Plain:
        def update(self, params, grads):
            pass

    with pytest.raises(TypeError, match="^ReduceLROnPlateau: expected an optimizer with a number"):
        fit(network(), optimizer=Plain(), callbacks=[ReduceLROnPlateau("loss")])


# --- checkpoints -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["sgd", "momentum", "adagrad", "adamw", "nadam", "amsgrad", "lion"]
)
def test_a_resumed_training_has_the_same_bits(name, tmp_path):
    make, path = optimizers.OPTIMIZERS[name], tmp_path / "checkpoint.npz"

    def settings():
        return {
            "validation": 0.2, "ema": 0.9, "clip_norm": 1.0, "schedule": schedules.cosine(12),
            "callbacks": [Checkpoint(path), ReduceLROnPlateau("loss", 0.5, 1, min_delta=0.5)],
        }  # fmt: skip

    whole, optimizer = network(), make(lr=0.05)
    expected = fit(whole, 4, optimizer=optimizer, **settings())

    fit(network(), 2, optimizer=make(lr=0.05), **settings())
    other, its = network(seed=1), make(lr=0.7)
    history = load_checkpoint(path, other, its)
    assert history.epochs == 2 and history.lr == expected.lr[:2]
    assert history.optimizer is its
    history = fit(other, 4, resume=history, **settings() | {"seed": None})

    expect_same(everything(other), everything(whole))
    assert vars(its).keys() == vars(optimizer).keys() and its.lr == optimizer.lr < 0.05
    for state in its.rule.states:
        expect_same(getattr(its, state), getattr(optimizer, state))
    expect_same(history.averages, expected.averages)
    for kept in (*expected.metrics, "lr", "step_losses", "step_hits", "seed"):
        assert getattr(history, kept) == getattr(expected, kept), kept


@pytest.mark.parametrize("lengths", ["steps", "epochs"])
def test_a_training_from_its_file_alone(lengths, tmp_path):
    """Network, optimizer, schedule, clipping, average and order of samples are in the file."""
    path = tmp_path / "checkpoint.npz"
    schedule = schedules.warmup(3, then=schedules.cosine(14))
    if lengths == "epochs":
        schedule = schedules.warmup(epochs=0.5, then=schedules.cosine(epochs=3.5))

    def settings():
        return {
            "optimizer": optimizers.Momentum(0.05), "ema": 0.9, "clip_norm": 1.0,
            "clip_value": 0.5, "schedule": schedule,
            "shuffle": False,
        }  # fmt: skip

    whole = network()
    expected = fit(whole, 4, **settings())
    fit(network(), 2, callbacks=[Checkpoint(path)], **settings())
    net = fastnn.load(path)
    history = load_checkpoint(path, net)
    history = net.fit(*data(), 4, 16, resume=history, verbose=False)
    expect_same(everything(net), everything(whole))
    expect_same(history.averages, expected.averages)
    expect_same(history.optimizer.v, expected.optimizer.v)
    timed = {"seconds": [], "elapsed": 0.0}
    assert History(**history.facts() | timed) == History(**expected.facts() | timed)


def test_a_schedule_that_a_file_cannot_hold(tmp_path):
    path, net = tmp_path / "checkpoint.npz", network()

    def own(steps):
        return 1 / (1.0 + steps)

    for schedule in (own, schedules.warmup(2, then=own)):
        expected = fit(network(), 3, schedule=schedule)
        fit(network(), 2, schedule=schedule, callbacks=[Checkpoint(path)])
        history = load_checkpoint(path, net)
        pickled = pickle.loads(pickle.dumps(net.fit(*data(), 0, 16, verbose=False)))
        assert pickled.epochs == 0
        before = everything(net)
        with pytest.raises(ValueError, match="^schedule: expected the function of the training"):
            fit(net, 3, resume=history)
        expect_same(everything(net), before)
        assert fit(net, 3, resume=history, schedule=schedule).lr == expected.lr


def test_an_optimizer_of_the_users_own_has_to_be_given(tmp_path):
    class Own(optimizers.SGD):
        pass

    path = tmp_path / "checkpoint.npz"
    fit(network(), 1, optimizer=Own(0.1), callbacks=[Checkpoint(path)])
    with pytest.raises(ValueError, match="^optimizer: expected one of type Own, .*npz, got N"):
        load_checkpoint(path, network())
    assert load_checkpoint(path, network(), Own(0.2)).optimizer.lr == 0.1


def test_into_a_network_and_optimizer_in_use(tmp_path):
    path = tmp_path / "checkpoint.npz"
    net, optimizer = network(), optimizers.Adam(0.01)
    fit(net, 1, optimizer=optimizer, callbacks=[Checkpoint(path)])
    kept, m, arrays = everything(net), optimizer.m["W1"].copy(), dict(net.params)
    fit(net, 1, optimizer=optimizer)
    load_checkpoint(path, net, optimizer)
    expect_same(everything(net), kept)
    np.testing.assert_array_equal(optimizer.m["W1"], m)
    assert optimizer.iter == 4
    assert all(net.params[key] is a for key, a in arrays.items())
    assert net.layers["Affine1"].W is net.params["W1"]


def test_nothing_is_pickled(tmp_path):
    path = tmp_path / "checkpoint.npz"
    fit(network(), 1, callbacks=[Checkpoint(path)])
    with np.load(path, allow_pickle=False) as file:
        kinds = {file[name].dtype.kind for name in file.files}
        assert {"params/W1", "optimizer/m/W1", "layers/BatchNorm1.running_var"} <= set(file.files)
    assert kinds <= set("fiU")


def test_state_that_would_have_to_be_pickled(tmp_path):
    for state in ({"W1": [1]}, [1.0], {"W1": np.array([None])}):
        optimizer = optimizers.SGD()
        optimizer.extra = state
        with pytest.raises(TypeError, match="^optimizer: expected numbers.*got extra of"):
            fit(network(), 1, optimizer=optimizer, callbacks=[Checkpoint(tmp_path / "c.npz")])
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_file_before(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.npz"
    fit(network(), 1, callbacks=[Checkpoint(path)])
    content = path.read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="no space left"):
        fit(network(), 1, callbacks=[Checkpoint(path)])
    assert path.read_bytes() == content
    assert os.listdir(tmp_path) == ["checkpoint.npz"]


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [({}, [1, 2, 3, 4, 5]), ({"every": 2}, [2, 4]), ({"monitor": "val_loss"}, [1, 3, 5]),
     ({"monitor": "val_loss", "every": 3}, [3])],
)  # fmt: skip
def test_when_a_checkpoint_is_written(settings, epochs, script, tmp_path, monkeypatch):
    script([5, 6, 4, 4, 3])
    written = []

    def save(path, net, optimizer, history):
        written.append(history.epochs)

    monkeypatch.setattr(_callbacks, "save_checkpoint", save)
    fit(network(), 5, validation=0.2, callbacks=[Checkpoint(tmp_path / "c.npz", **settings)])
    assert written == epochs


def test_epochs_that_are_not_written_are_not_the_best(script, tmp_path):
    """Nor are those of a file that is not there any more."""
    path = tmp_path / "c.npz"
    settings = {"validation": 0.2, "callbacks": [Checkpoint(path, "val_loss", every=2)]}
    script([1, 5, 1, 4, 1, 6])
    net = network()
    fit(net, 2, **settings)
    assert load_checkpoint(path, network()).epochs == 2
    history = fit(net, 6, **settings, resume=net.history)
    assert load_checkpoint(path, network()).epochs == 4
    path.unlink()
    script([7, 7])
    fit(net, 8, **settings, resume=history)
    assert load_checkpoint(path, network()).epochs == 8


# --- names of checkpoints ----------------------------------------------------------------


def test_each_epoch_has_a_file_of_its_own(script, tmp_path):
    script([0.5, 0.25, 0.125])
    path = tmp_path / "w-{epoch:02d}-{val_loss:.2f}{{}}.npz"
    net = network()
    history = fit(net, 3, validation=0.2, callbacks=[Checkpoint(path)])
    names = ["w-01-0.50{}.npz", "w-02-0.25{}.npz", "w-03-0.12{}.npz"]
    assert sorted(os.listdir(tmp_path)) == names
    for epoch, name in enumerate(names, start=1):
        assert load_checkpoint(tmp_path / name, network()).epochs == epoch
    assert newest_checkpoint(path) == tmp_path / names[-1]
    # Of another training; of none; of a name that is not this one's.
    script([0.75, 0.75])
    fit(network(), 2, validation=0.2, callbacks=[Checkpoint(path)])
    save_checkpoint(tmp_path / "w-09-0.12{}.npz", net, history=history)
    net.save(tmp_path / "other.npz")
    assert newest_checkpoint(path) == tmp_path / names[-1]
    (tmp_path / names[-1]).write_bytes(b"damaged")
    with pytest.warns(RuntimeWarning, match=r"passed over: path: expected a checkpoint .*w-03"):
        assert newest_checkpoint(path) == max(
            (tmp_path / "w-02-0.25{}.npz", tmp_path / "w-02-0.75{}.npz"),
            key=lambda file: file.stat().st_mtime_ns,
        )


def test_the_newest_of_one_name(tmp_path):
    path = tmp_path / "c.npz"
    with pytest.raises(FileNotFoundError, match="^path: there is no checkpoint .*c.npz"):
        newest_checkpoint(path)
    with pytest.raises(FileNotFoundError, match="^path: there is no checkpoint .*none"):
        newest_checkpoint(tmp_path / "none" / "{epoch}.npz")
    fit(network(), 1, callbacks=[Checkpoint(path)])
    assert newest_checkpoint(str(path)) == path


def test_a_monitored_training_goes_on_from_the_best_file_that_is_there(script, tmp_path):
    path = tmp_path / "{epoch}.npz"
    script([0.5, 0.25, 0.5])
    settings = {"validation": 0.2, "callbacks": [Checkpoint(path, "val_loss")]}
    net = network()
    fit(net, 3, **settings)
    assert sorted(os.listdir(tmp_path)) == ["1.npz", "2.npz"]
    (tmp_path / "2.npz").unlink()
    script([0.5, 0.375])
    fit(net, 5, **settings, resume=net.history)
    assert sorted(os.listdir(tmp_path)) == ["1.npz", "5.npz"]


@pytest.mark.parametrize(
    "name",
    ["{}.npz", "{0}.npz", "{step}.npz", "{epoch.real}.npz", "{epoch[0]}.npz", "{epoch!r}.npz", "{",
     "{epoch:q}.npz", "{loss:d}.npz", "{epoch:{lr}}.npz", "a}.npz"],
)  # fmt: skip
def test_names_with_other_braces(name, tmp_path):
    for make in (Checkpoint, newest_checkpoint):
        with pytest.raises(
            ValueError, match=r"^path: expected in braces one of epoch, loss, .* in "
        ):
            make(tmp_path / name)


def test_names_of_what_a_training_does_not_record(tmp_path):
    for field in ("val_loss", "val_accuracy"):
        checkpoint = Checkpoint(tmp_path / f"{{epoch}}-{{{field}:.3f}}.npz")
        text = f"^path: expected in braces one of epoch, loss, accuracy, lr, seconds, .*{field}"
        with pytest.raises(ValueError, match=text):
            fit(network(), 1, callbacks=[checkpoint])
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*{epoch}"):
        fit(network(), 1, callbacks=[Checkpoint(tmp_path / "{epoch}" / "w.npz")])
    assert not os.listdir(tmp_path)


# --- checkpoints at any time -------------------------------------------------------------


class Ends(Callback):
    """Raise after a step."""

    every_steps = 1

    def __init__(self, step):
        self.step = step

    def on_steps_end(self, step):
        if step == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("step", [3, 4, 5])  # of four an epoch
def test_a_checkpoint_in_the_middle_of_an_epoch(step):
    settings = {"ema": 0.9, "schedule": schedules.cosine(12)}
    whole, net, other, file = network(), network(), network(1), io.BytesIO()
    expected = fit(whole, 3, **settings)
    with pytest.raises(KeyboardInterrupt):
        fit(net, 3, callbacks=[Ends(step)], **settings)
    save_checkpoint(file, net)
    history = load_checkpoint(file, other)
    assert len(history.step_losses) == step
    history = other.fit(*data(), 3, 16, resume=history, verbose=False)
    expect_same(everything(other), everything(whole))
    expect_same(history.averages, expected.averages)
    assert history.step_losses == expected.step_losses


def test_a_checkpoint_of_layers_that_were_added_since():
    net, file = network(), io.BytesIO()
    fit(net, 1)
    net.layers["Affine4"] = fastnn.layers.Affine(np.eye(C, dtype="f4"), np.zeros(C, "f4"))
    save_checkpoint(file, net)
    state = load_checkpoint(file, net).optimizer.m
    assert state.keys() == net.params.keys() and not state["Affine4.W"].any()


def test_what_is_no_training(tmp_path):
    net, path = network(), tmp_path / "c.npz"
    for call, error, text in (
        (lambda: save_checkpoint(path, net), TypeError, "history: expected that of a training"),
        (lambda: save_checkpoint(path, object()), TypeError, "network: expected a network"),
        (lambda: save_checkpoint(path, net, history={}), TypeError, "history: expected"),
        (
            lambda: load_checkpoint(path, optimizers.Adam()),
            TypeError,
            "network: expected a network",
        ),
    ):
        with pytest.raises(error, match=f"^{text}"):
            call()
    history = fit(net, 1)
    for other in history, "Adam", {}:  # a history in the optimizer's place
        with pytest.raises(TypeError, match="^optimizer: expected an optimizer, .*, got ") as info:
            save_checkpoint(path, net, other)
        assert str(info.value).endswith(repr(other))
    history.optimizer = None
    with pytest.raises(ValueError, match="^optimizer: expected that of the training"):
        save_checkpoint(path, net)
    assert not path.exists()
    save_checkpoint(path, net, optimizers.SGD(0.5))
    assert load_checkpoint(path, net).optimizer.lr == 0.5


@pytest.mark.parametrize(
    ("net", "optimizer", "text"),
    [
        (MultiLayerNet(D, [8, 7], C), optimizers.Adam(), "network: parameters: expected .*gamma1"),
        (network(dtype="float64"), optimizers.Adam(), "network: parameters: expected .*float32"),
        (
            MultiLayerNetExtend(D, [8, 7], C, use_batchnorm=True),
            optimizers.Adam(),
            "network: layers: expected .*Dropout1",
        ),
        (network(), optimizers.AdamW(), "optimizer: expected Adam, as in the .*, got AdamW"),
    ],
)
def test_a_checkpoint_of_something_else(net, optimizer, text, tmp_path):
    path = tmp_path / "checkpoint.npz"
    fit(network(), 1, callbacks=[Checkpoint(path)])
    before, settings = everything(net), dict(vars(optimizer))
    with pytest.raises(ValueError, match=f"^{text}"):
        load_checkpoint(path, net, optimizer)
    expect_same(everything(net), before)
    assert vars(optimizer) == settings


def test_a_file_that_is_no_checkpoint(tmp_path):
    np.savez(tmp_path / "other.npz", x=np.ones(3))
    with pytest.raises(ValueError, match="^path: expected a checkpoint written by this version"):
        load_checkpoint(tmp_path / "other.npz", network(), optimizers.Adam())
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "missing.npz", network(), optimizers.Adam())
    with pytest.raises(FileNotFoundError, match="^path: there is no folder .*missing"):
        fit(network(), 1, callbacks=[Checkpoint(tmp_path / "missing" / "c.npz")])


# --- comma-separated values --------------------------------------------------------------


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_csv(tmp_path):
    path, net, optimizer = tmp_path / "log.csv", network(), optimizers.Adam()
    settings = {"optimizer": optimizer, "validation": 0.2, "callbacks": [CSVLogger(path)]}
    history = fit(net, 2, **settings)
    assert len(rows(path)) == 2
    history = fit(net, 3, **settings, resume=history)
    for epoch, row in enumerate(rows(path), start=1):
        numbers = {name: float(value) for name, value in row.items()}
        assert numbers == {"epoch": epoch, **history.row(epoch)}
    assert epoch == 3
    fit(net, 1, **settings)  # another training: another file
    assert len(rows(path)) == 1


def test_csv_of_a_training_that_goes_on_from_an_older_checkpoint(tmp_path):
    path, checkpoint = tmp_path / "log.csv", tmp_path / "checkpoint.npz"
    net = network()
    fit(net, 4, callbacks=[CSVLogger(path), Checkpoint(checkpoint, every=3)])
    history = load_checkpoint(checkpoint, net)
    fit(net, 5, callbacks=[CSVLogger(path)], resume=history)
    assert [row["epoch"] for row in rows(path)] == ["1", "2", "3", "4", "5"]
    with pytest.raises(ValueError, match=r"^CSVLogger: expected the columns epoch,loss.*, got 1$"):
        path.write_text("1\n2\n")
        fit(net, 6, callbacks=[CSVLogger(path)], resume=history)
    assert path.read_text() == "1\n2\n"
    with pytest.raises(FileNotFoundError, match="^path: there is no folder"):
        fit(network(), 1, callbacks=[CSVLogger(tmp_path / "missing" / "log.csv")])


class Fails(Callback):
    """Raises at the end of an epoch, before the callbacks after it are called."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, epoch):
        if epoch == self.epoch:
            raise ZeroDivisionError


def text_of(history):
    lines = [",".join(["epoch", *history.metrics, "lr", "seconds"])]
    for epoch in range(1, history.epochs + 1):
        lines.append(",".join(map(repr, [epoch, *history.row(epoch).values()])))
    return "".join(f"{line}\r\n" for line in lines).encode()


@pytest.mark.parametrize("step", [11, pytest.param(1, marks=pytest.mark.slow)])
def test_csv_that_was_cut_off_anywhere(step, tmp_path):
    """What a process leaves that is killed while it writes; rows of epochs are there once."""
    path, checkpoint, net = tmp_path / "log.csv", tmp_path / "c.npz", network()
    fit(net, 2, callbacks=[CSVLogger(path), Checkpoint(checkpoint)])
    whole = path.read_bytes()
    assert whole == text_of(net.history)
    for end in range(0, len(whole) + 1, step):
        path.write_bytes(whole[:end])
        history = load_checkpoint(checkpoint, net)
        fit(net, 3, callbacks=[CSVLogger(path)], resume=history)
        assert path.read_bytes() == text_of(history), end
        assert path.read_bytes().startswith(whole)


def test_csv_that_is_damaged(tmp_path):
    path, net = tmp_path / "log.csv", network()
    history = fit(net, 3, callbacks=[CSVLogger(path)])
    whole = path.read_bytes()
    head, one, two, three = whole.splitlines(keepends=True)
    for rows in (
        [], [three], [one, three], [two, one], [one, two[:9], three], [one, two[:9] + b"\n", three],
        [one, two, two, three], [one, bytes(40), three], [one, b"\xff" + two, three],
        [one, two.replace(b"2,", b"two,", 1), three], [one, two.replace(b"\r", b"\x0c"), three],
        [one, two.replace(b",", b", ", 1), three], [one, two.replace(b"\r", b"\r\r"), three],
    ):  # fmt: skip
        path.write_bytes(b"".join([head, *rows]))
        fit(net, 3, callbacks=[CSVLogger(path)], resume=history)
        assert path.read_bytes() == whole, rows
    path.unlink()
    fit(net, 4, callbacks=[CSVLogger(path)], resume=history)
    assert path.read_bytes() == text_of(history)


def test_csv_catches_up_after_a_callback_that_raised(tmp_path):
    path, net = tmp_path / "log.csv", network()
    with pytest.raises(ZeroDivisionError):
        fit(net, 4, callbacks=[Fails(2), CSVLogger(path)])
    assert len(rows(path)) == 1 and net.history.epochs == 2
    fit(net, 2, callbacks=[CSVLogger(path)], resume=net.history)  # has no epochs left
    assert path.read_bytes() == text_of(net.history)
    fit(net, 4, callbacks=[CSVLogger(path)], resume=net.history)
    assert path.read_bytes() == text_of(net.history)


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes with names")
def test_csv_that_somebody_follows(tmp_path):
    path, net = tmp_path / "log.csv", network()
    fit(net, 1, callbacks=[CSVLogger(path)])
    with open(path, "rb") as file:
        seen = file.read()
        fit(net, 3, callbacks=[CSVLogger(path)], resume=net.history)
        assert seen + file.read() == text_of(net.history)


class Refuses(Callback):
    """Raises at the beginning."""

    def on_train_begin(self):
        raise ValueError("refused")


def test_what_does_not_begin_changes_nothing(tmp_path):
    path, net = tmp_path / "log.csv", network()
    history = fit(net, 2, callbacks=[CSVLogger(path)], clip_norm=1.0)
    text, before = path.read_text(), dict(vars(history))
    for settings in (
        {"callbacks": [CSVLogger(path), Refuses()]},
        {
            "callbacks": [CSVLogger(path), Refuses()],
            "resume": history,
            "ema": 0.5,
            "clip_norm": 2.0,
        },
        {"schedule": lambda steps: -1.0 - steps, "resume": history},
    ):
        with pytest.raises(ValueError, match=r"^refused|^schedule: expected numbers of at least 0"):
            fit(net, 3, **settings)
        assert net.history is history and vars(history) == before
        assert path.read_text() == text
    assert fit(net, 3, resume=history).epochs == 3


# --- in the middle of an epoch -----------------------------------------------------------


class Recorder(Callback):
    """Writes down when it is called, and what the training has recorded by then."""

    def __init__(self, every_steps=None, fail_at=None):
        self.every_steps, self.fail_at = every_steps, fail_at
        self.calls = []

    def on_steps_end(self, step):
        self.calls.append((step, len(self.history.step_losses), self.history.epochs))
        if step == self.fail_at:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch):
        self.calls.append(f"epoch {epoch}")


class AtSteps(Recorder):
    """Is called after steps of its choice."""

    def __init__(self, *stops):
        super().__init__()
        self.stops = stops

    def next_stop(self, step):
        return next((stop for stop in self.stops if stop > step), None)


@pytest.fixture(params=["program", "layers"])
def route(request, monkeypatch):
    if request.param == "layers":
        replace_program(monkeypatch, by_layers)
    return request.param


def test_stops_within_epochs_change_no_bit(route):
    plain, watched = network(), network()
    settings = {"optimizer": "adam", "schedule": schedules.cosine(16), "ema": 0.9}
    expected = fit(plain, **settings)
    recorders = [Recorder(3), AtSteps(1, 2, 8), Recorder(1), Recorder()]
    history = fit(watched, **settings, callbacks=recorders)  # epochs of 4 steps
    assert history.route == route
    assert recorders[0].calls == [
        (3, 3, 0), "epoch 1", (6, 6, 1), "epoch 2", (9, 9, 2), (12, 12, 2), "epoch 3", (15, 15, 3),
        "epoch 4",
    ]  # fmt: skip
    assert [call[0] for call in recorders[1].calls if call[0] != "e"] == [1, 2, 8]
    assert [call[0] for call in recorders[2].calls if call[0] != "e"] == [*range(1, 17)]
    assert [call for call in recorders[3].calls if call[0] != "e"] == []
    expect_same(everything(watched), everything(plain))
    expect_same(history.averages, expected.averages)
    for kept in (*expected.metrics, "lr", "step_losses", "step_hits"):
        assert getattr(history, kept) == getattr(expected, kept), kept


def test_a_resumed_training_stops_at_the_same_steps():
    plain, net = network(), network()
    fit(plain, optimizer=optimizers.Adam())
    optimizer, recorder = optimizers.Adam(), Recorder(3, fail_at=6)
    with pytest.raises(KeyboardInterrupt):
        fit(net, optimizer=optimizer, callbacks=[recorder])
    assert [call[0] for call in recorder.calls] == [3, "e", 6]
    recorder = Recorder(3)
    fit(net, optimizer=optimizer, callbacks=[recorder], resume=net.history)
    assert [call[0] for call in recorder.calls] == ["e", 9, 12, "e", 15, "e"]
    expect_same(everything(net), everything(plain))


def test_stops_of_a_training_with_one_step_an_epoch():
    recorder, plain, net = Recorder(2), network(), network()
    net.fit(*data(), 5, 50, callbacks=[recorder], verbose=False)
    plain.fit(*data(), 5, 50, verbose=False)
    assert recorder.calls == [
        "epoch 1", (2, 2, 1), "epoch 2", "epoch 3", (4, 4, 3), "epoch 4", "epoch 5",
    ]  # fmt: skip
    expect_same(everything(net), everything(plain))


def test_the_rate_may_be_changed_within_an_epoch():
    class Stop(Callback):
        every_steps = 5

        def on_steps_end(self, step):
            self.optimizer.lr = 0.25

    whole, apart = network(), network()
    history = fit(whole, 2, optimizer=optimizers.SGD(0.5), callbacks=[Stop()])
    fit(apart, 2, optimizer=optimizers.SGD(0.5), schedule=lambda i: np.where(i < 5, 1, 0.5))
    assert history.lr == [0.5, 0.25]
    expect_same(everything(whole), everything(apart))


def test_time_at_stops_is_not_the_epochs(monkeypatch):
    class Sleep(Callback):
        every_steps = 1

        def on_steps_end(self, step):
            clock.now += 100.0

    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    assert fit(network(), 2, callbacks=[Sleep()]).seconds == [0.0, 0.0]


@pytest.mark.parametrize(
    ("callback", "error", "text"),
    [
        (Recorder(0), ValueError, r"Recorder.every_steps: expected an integer from 1 .* got 0"),
        (Recorder(1.5), TypeError, "Recorder.every_steps: expected an integer, got 1.5"),
        (
            type("Past", (Callback,), {"next_stop": lambda self, step: step})(),
            ValueError,
            r"Past.next_stop\(0\): expected an integer from 1 .*, got 0",
        ),
    ],
)
def test_stops_that_are_none(callback, error, text):
    net = network()
    with pytest.raises(error, match=f"^{text}"):
        fit(net, callbacks=[callback])
    expect_same(everything(net), everything(network()))


# --- errors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: EarlyStopping("val_los"), ValueError, "monitor: expected one of loss, accuracy"),
        (lambda: EarlyStopping(patience=0), ValueError, "patience: expected an integer from 1"),
        (
            lambda: EarlyStopping(min_delta=-1),
            ValueError,
            "min_delta: expected a number of at least 0",
        ),
        (lambda: ReduceLROnPlateau(factor=1), ValueError, r"factor: expected a number in \(0, 1\)"),
        (lambda: ReduceLROnPlateau(patience=0.5), TypeError, "patience: expected an integer"),
        (
            lambda: ReduceLROnPlateau(min_lr=-1),
            ValueError,
            "min_lr: expected a number of at least 0",
        ),
        (lambda: ReduceLROnPlateau("lr"), ValueError, "monitor: expected one of"),
        (lambda: Checkpoint("c", "best"), ValueError, "monitor: expected one of"),
        (lambda: Checkpoint("c", every=0), ValueError, "every: expected an integer from 1"),
    ],
)
def test_settings_out_of_range(make, error, text):
    with pytest.raises(error, match=f"^{text}"):
        make()


@pytest.mark.parametrize(
    "callback", [EarlyStopping(), ReduceLROnPlateau(), Checkpoint("c", "val_loss")]
)
def test_what_is_monitored_must_be_there(callback):
    net = network()
    with pytest.raises(ValueError, match=r"monitor: expected one of loss, accuracy.*validation="):
        fit(net, callbacks=[callback])
    expect_same(everything(net), everything(network()))


def test_who_ends_a_training_is_told(capsys):
    fit(
        network(),
        30,
        validation=0.2,
        verbose=True,
        callbacks=[EarlyStopping(patience=1, min_delta=9)],
    )
    assert capsys.readouterr().out.splitlines()[-1] == "EarlyStopping: the training ends here"
