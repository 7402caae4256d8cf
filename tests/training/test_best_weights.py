"""Best weights after Ctrl-C, and validation of the moving average."""

import copy
import io
import os
import pickle
import signal

import numpy as np
import pytest
from routes import by_layers, replace_program
from states import everything, expect_same

from fastnn import MultiLayerNet, MultiLayerNetExtend
from fastnn.callbacks import (
    Callback,
    EarlyStopping,
    ReduceLROnPlateau,
    load_checkpoint,
    save_checkpoint,
)
from fastnn.ensembles import averaged
from fastnn.fit import DivergenceWarning
from fastnn.optimizers import SGD, Adam

N, D, C, SIZE = 60, 4, 3, 10
STEPS = N // SIZE
RNG = np.random.default_rng(870)
X, T = RNG.normal(size=(N, D)).astype(np.float32), RNG.integers(C, size=N)
HELD_OUT = RNG.normal(size=(40, D)).astype(np.float32), RNG.integers(C, size=40)


@pytest.fixture(params=["program", "layers"])
def route(request, monkeypatch):
    if request.param == "layers":
        replace_program(monkeypatch, by_layers)
    return request.param


def network(plain=False):
    if plain:
        return MultiLayerNet(D, [8], C, seed=0)
    return MultiLayerNetExtend(D, [8, 7], C, use_batchnorm=True, use_dropout=True, seed=0)


def fit(net, epochs, callbacks=(), **settings):
    settings = {"optimizer": Adam(0.03), "validation": HELD_OUT, "seed": 0} | settings
    return net.fit(X, T, epochs, SIZE, callbacks=callbacks, verbose=False, **settings)


def weights(net):
    """Return what EarlyStopping restores: parameters and running statistics."""
    return {k: v for k, v in everything(net).items() if isinstance(v, np.ndarray)}


class Interrupting(Callback):
    """Ctrl-C after a step: its signal, or what Python makes of it."""

    def __init__(self, step, real=False):
        self.step, self.real = step, real

    def next_stop(self, step):
        return self.step if step < self.step else None

    def on_steps_end(self, step):
        if self.real:
            os.kill(os.getpid(), signal.SIGINT)
        else:
            raise KeyboardInterrupt


class Rateless:
    def update(self, params, grads):
        raise AssertionError


# --- Ctrl-C ------------------------------------------------------------------------------


@pytest.mark.parametrize("real", [False, True], ids=["error", "signal"])
@pytest.mark.parametrize("ema", [None, 0.9])
def test_ctrl_c_leaves_the_best_weights_until_it_goes_on(real, ema, route, ctrl_c):
    net, stopping = network(), EarlyStopping(patience=99)
    with pytest.raises(KeyboardInterrupt):
        fit(net, 9, [stopping, Interrupting(5 * STEPS + 2, real)], ema=ema)
    history = net.history
    assert history.interrupted and history.epochs == 5
    best = int(np.argmin(history.val_loss)) + 1
    assert stopping.best_epoch == best < 5
    other = network()
    expected = fit(other, best, ema=ema)
    expect_same(weights(net), weights(other))
    if ema is not None:
        expect_same(history.averages, expected.averages)
    # It goes on from the last step, with the bits of one that nobody has interrupted.
    fit(net, 7, resume=history, optimizer=None)
    through = network()
    whole = fit(through, 7, ema=ema)
    assert history.step_losses == whole.step_losses and not history.interrupted
    expect_same(everything(net), everything(through))
    if ema is not None:
        expect_same(history.averages, whole.averages)


def test_an_end_by_ctrl_c_is_that_of_a_training_that_ends_there():
    ended, interrupted = network(), network()
    fit(ended, 5, [EarlyStopping(patience=99)])
    with pytest.raises(KeyboardInterrupt):
        fit(interrupted, 9, [EarlyStopping(patience=99), Interrupting(5 * STEPS + 1)])
    expect_same(weights(interrupted), weights(ended))


def test_what_the_user_has_put_into_the_network_since_then_stays():
    net = network(plain=True)
    with pytest.raises(KeyboardInterrupt):
        fit(net, 9, [EarlyStopping(patience=99), Interrupting(5 * STEPS + 1)])
    for p in net.params.values():
        p[...] = 0
    history = fit(net, 6, resume=net.history)
    # All classes are equally likely: the logarithm and the mean of 10 of it round.
    loss = history.step_losses[5 * STEPS + 1]
    assert abs(loss - np.log(C)) < 16 * np.finfo(np.float32).eps


def test_an_error_in_the_arguments_forgets_nothing():
    net = network()
    with pytest.raises(KeyboardInterrupt):
        fit(net, 9, [EarlyStopping(patience=99), Interrupting(5 * STEPS + 1)])
    before = everything(net)
    with pytest.raises(ValueError, match="^resume: expected a history with metrics"):
        fit(net, 9, resume=net.history, validation=None)
    with pytest.raises(TypeError, match="^ReduceLROnPlateau: expected an optimizer"):
        fit(net, 9, [ReduceLROnPlateau()], resume=net.history, optimizer=Rateless())
    assert net.history.interrupted
    expect_same(everything(net), before)
    fit(net, 6, resume=net.history, optimizer=None)
    other = network()
    fit(other, 6)
    expect_same(everything(net), everything(other))


def by_file(net, other):
    file = io.BytesIO()
    save_checkpoint(file, net)
    file.seek(0)
    return other, load_checkpoint(file, other)


def by_copy(net, other):
    copied = copy.deepcopy(net)
    return copied, copied.history


def by_pickle(net, other):
    copied = pickle.loads(pickle.dumps(net))
    return copied, copied.history


@pytest.mark.parametrize("way", [by_file, by_copy, by_pickle])
@pytest.mark.parametrize("ema", [None, 0.9])
@pytest.mark.parametrize("end", ["interrupted", "diverged"])
def test_it_goes_on_elsewhere_from_where_it_goes_on_here(end, ema, way, route):
    net, at = network(), 5 * STEPS + 2
    settings = {"ema": ema, "optimizer": Adam(0.03)}
    if end == "interrupted":
        with pytest.raises(KeyboardInterrupt):
            fit(net, 9, [EarlyStopping(patience=99), Interrupting(at)], **settings)
    else:
        schedule = lambda steps: np.where(steps == at, 1e30, 1.0)  # noqa: E731
        with pytest.warns(DivergenceWarning):
            fit(net, 9, [EarlyStopping(patience=99)], schedule=schedule, **settings)
        assert net.history.diverged.steps == 5 * STEPS
    best = everything(net)
    other, history = way(net, network())
    expect_same(everything(net), best)
    through = network()
    whole = fit(through, 7, ema=ema)
    for trained, log in ((other, history), (net, net.history)):
        fit(trained, 7, resume=log, optimizer=None, schedule=np.ones_like)
        assert log.step_losses == whole.step_losses
        expect_same(everything(trained), everything(through))
        if ema is not None:
            expect_same(log.averages, whole.averages)


@pytest.mark.parametrize("step", [2, STEPS])
def test_ctrl_c_before_there_is_a_best_epoch(step):
    net, other = network(), network()
    with pytest.raises(KeyboardInterrupt):
        fit(net, 2, [EarlyStopping(), Interrupting(step)])
    with pytest.raises(KeyboardInterrupt):
        fit(other, 2, [Interrupting(step)])
    expect_same(everything(net), everything(other))


def test_an_error_is_no_ctrl_c():
    class Failing(Callback):
        def on_epoch_end(self, epoch):
            if epoch == 5:
                raise ZeroDivisionError

    net, other = network(), network()
    with pytest.raises(ZeroDivisionError):
        fit(net, 9, [EarlyStopping(patience=99), Failing()])
    fit(other, 5)
    assert not net.history.interrupted
    expect_same(everything(net), everything(other))


def test_callbacks_learn_of_it_in_order():
    class Noting(Callback):
        events: tuple = ()

        def on_interrupt(self):
            type(self).events += ("interrupted", self.history.interrupted)

        def on_train_end(self):
            type(self).events += ("end",)

    with pytest.raises(KeyboardInterrupt):
        fit(network(), 2, [Noting(), Interrupting(3)])
    assert Noting.events == ("interrupted", True)


# --- the moving average ------------------------------------------------------------------


class Measuring(Callback):
    """Validates the averaged network by hand."""

    def __init__(self):
        self.losses, self.averages = [], []

    def on_epoch_end(self, epoch):
        smooth = averaged(self.network, self.history.averages, X)
        self.losses.append((smooth.loss(*HELD_OUT), smooth.accuracy(*HELD_OUT)))
        self.averages.append({key: a.copy() for key, a in self.history.averages.items()})


@pytest.mark.parametrize("plain", [True, False], ids=["plain", "normalised"])
def test_validation_of_the_moving_average(plain, route):
    net, measuring = network(plain), Measuring()
    history = fit(net, 4, [measuring], ema=0.9, validate_averages=True)
    assert list(zip(history.val_loss, history.val_accuracy, strict=True)) == measuring.losses
    other = network(plain)
    plainly = fit(other, 4, ema=0.9)
    expect_same(everything(net), everything(other))
    expect_same(history.averages, plainly.averages)
    assert history.loss == plainly.loss
    assert all(a != b for a, b in zip(history.val_loss, plainly.val_loss, strict=True))


def test_callbacks_go_by_the_moving_average(route):
    net, measuring = network(plain=True), Measuring()
    stopping, optimizer = EarlyStopping(patience=3), SGD(0.9)
    plateau = ReduceLROnPlateau(factor=0.5, patience=1)
    callbacks = [measuring, plateau, stopping]
    settings = {"ema": 0.7, "validate_averages": True, "optimizer": optimizer}
    history = fit(net, 40, callbacks, **settings)
    losses = [loss for loss, _ in measuring.losses]
    best = int(np.argmin(losses)) + 1
    assert history.val_loss == losses and history.epochs == best + 3 < 40
    assert (stopping.best, stopping.best_epoch) == (losses[best - 1], best)
    expect_same(history.averages, measuring.averages[best - 1])
    assert averaged(net, history.averages, X).loss(*HELD_OUT) == stopping.best
    assert optimizer.lr <= 0.9 / 2**3


def test_ctrl_c_while_the_moving_average_is_validated(monkeypatch):
    net, other = network(), network()

    def interrupted(*given, **settings):
        raise KeyboardInterrupt

    from fastnn.training import evaluation

    monkeypatch.setattr(evaluation, "evaluate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(net, 2, ema=0.9, validate_averages=True)
    monkeypatch.undo()
    fit(other, 1, ema=0.9)
    expect_same(everything(net), everything(other))


def test_a_training_that_is_resumed_has_its_average():
    net = network()
    history = fit(net, 2, ema=0.9, validate_averages=True)
    history = fit(net, 4, resume=history, validate_averages=True)
    whole = fit(network(), 4, ema=0.9, validate_averages=True)
    assert history.epochs == 4 == len(set(history.val_loss)) and whole.ema == 0.9


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({}, ValueError, "expected ema= beside it, got None"),
        ({"ema": 0.9, "validation": None}, ValueError, "expected validation= beside it, got None"),
        ({"validate_averages": 1, "ema": 0.9}, TypeError, "expected True or False, got 1"),
    ],
)
def test_what_it_needs(settings, error, text):
    net = network()
    before = everything(net)
    with pytest.raises(error, match=f"^validate_averages: {text}"):
        fit(net, 1, **{"validate_averages": True} | settings)
    expect_same(everything(net), before)
