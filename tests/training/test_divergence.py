"""A loss that is not finite: where a training stops, what it says, and what it is put back to."""

import copy
import math
import os
import pickle
import signal
import warnings

import numpy as np
import pytest
from routes import by_layers, replace_program, set_stretch
from states import everything, expect_same

import fastnn
from fastnn import MultiLayerNet, MultiLayerNetExtend, Network, Trainer, config
from fastnn.callbacks import Callback, Checkpoint, EarlyStopping, load_checkpoint, newest_checkpoint
from fastnn.ensembles import Snapshots
from fastnn.fit import DivergenceWarning
from fastnn.layers import Affine, Relu
from fastnn.optimizers import SGD, Adam, Momentum
from fastnn.training.weights import TrainingState

N, D, C, SIZE = 60, 4, 3, 10
STEPS = N // SIZE  # an epoch
RNG = np.random.default_rng(860)
X, T = RNG.normal(size=(N, D)).astype(np.float32), RNG.integers(C, size=N)
REAL = RNG.normal(size=(N, C)).astype(np.float32)


def network(kind="plain"):
    if kind == "plain":
        return MultiLayerNet(D, [6], C, seed=0)
    if kind == "squares":
        return MultiLayerNet(D, [6], C, "tanh", seed=0, loss="mse")
    return MultiLayerNetExtend(D, [6, 5], C, use_batchnorm=True, use_dropout=True, seed=0)


def exploding(at):
    """Return a schedule whose rate is too high in one step, counted from 0."""
    return lambda steps: np.where(steps == at, 1e30, 1.0)


def fit(net, epochs, **settings):
    """Train; let no warning through but that of a divergence, and return the history."""
    t = REAL if net.last_layer.__class__.__name__ == "IdentityWithLoss" else T
    settings = {"batch_size": SIZE, "verbose": False, "seed": 0} | settings
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DivergenceWarning)
        return net.fit(X, t, epochs, **settings)


def state_of(net, optimizer, history):
    """Return all that a training changes."""
    found = everything(net) | {f"average of {k}": a for k, a in (history.averages or {}).items()}
    for name, value in vars(optimizer).items():
        arrays = value if isinstance(value, dict) else {"": value}
        found |= {f"{name} of {key}": np.array(array) for key, array in arrays.items()}
    return found


@pytest.fixture(params=["program", "layers", "numpy"])
def route(request, monkeypatch):
    if request.param == "layers":
        replace_program(monkeypatch, by_layers)
    before = config.get_backend()
    if request.param == "numpy":
        config.set_backend("numpy")
    yield request.param
    config.set_backend(before)


# --- where it is put back to -------------------------------------------------------------

# The step whose rate is too high, counted from 0, and the epochs that the network has then had.
CASES = {
    "in the first epoch": (2, 0),
    "in the middle": (2 * STEPS + 3, 2),
    "at an end, so that the next epoch begins badly": (2 * STEPS - 1, 1),
    "after more steps than lie between copies": (20 * STEPS + 1, 20),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["plain", "squares", "normalised"])
@pytest.mark.parametrize("callbacks", [(), (Callback(),)], ids=["alone", "with a callback"])
@pytest.mark.parametrize("route", ["program", "layers"], indirect=True)
def test_it_is_put_back_to_the_beginning_of_an_epoch(case, kind, callbacks, route):
    at, epochs = CASES[case]
    net, optimizer = network(kind), Adam(0.01)
    settings = {"callbacks": callbacks, "ema": 0.9}
    history = fit(net, 40, schedule=exploding(at), optimizer=optimizer, **settings)
    assert history.diverged.steps == epochs * STEPS
    assert history.diverged.step == at + 2 == len(history.step_losses)
    assert history.diverged.epoch == (at + 1) // STEPS + 1
    assert not math.isfinite(history.diverged.loss)
    other, others = network(kind), Adam(0.01)
    expected = fit(other, epochs, optimizer=others, **settings)
    got = state_of(net, optimizer, history)
    if epochs == 0:  # there, states are those before the first step
        expect_same(everything(net), everything(network(kind)))
    else:
        expect_same(got, state_of(other, others, expected))
    # It goes on as one that never had the step.
    resumed = fit(net, epochs + 2, resume=history, schedule=np.ones_like, **settings)
    expected = fit(other, epochs + 2, resume=expected, schedule=np.ones_like, **settings)
    assert resumed is history and resumed.diverged is None
    assert resumed.step_losses == expected.step_losses and resumed.epochs == epochs + 2
    expect_same(everything(net), everything(other))


@pytest.mark.parametrize("stretch", [0, 100], ids=["steps by themselves", "all steps at once"])
@pytest.mark.parametrize("at", [0, 1, 99, 100, 101, 250])
@pytest.mark.parametrize("route", ["program", "layers"], indirect=True)
def test_epochs_of_one_step(at, stretch, route, monkeypatch):
    set_stretch(monkeypatch, stretch)
    net, optimizer = network(), Momentum(0.05)
    history = fit(net, 300, batch_size=N, optimizer=optimizer, schedule=exploding(at))
    assert (history.diverged.step, history.diverged.steps) == (at + 2, at)
    assert history.epochs == at + 1 and len(history.step_losses) == at + 2
    other, others = network(), Momentum(0.05)
    expected = fit(other, at, batch_size=N, optimizer=others, schedule=np.ones_like)
    expect_same(everything(net), everything(other))
    if at:
        expect_same(state_of(net, optimizer, history), state_of(other, others, expected))


def test_a_step_that_is_bad_ends_the_training_before_its_update(route):
    """What was never restored would be finite too if it went on."""
    seen = []

    class Last(Callback):
        every_steps = 1

        def on_steps_end(self, step):
            seen.append((step, all(np.isfinite(p).all() for p in self.network.params.values())))

    history = fit(network(), 3, optimizer="SGD", schedule=exploding(3), callbacks=[Last()])
    assert seen == [(step, True) for step in range(1, 5)]
    assert history.diverged.step == 5


@pytest.mark.parametrize("callbacks", [(), (Callback(),)], ids=["alone", "with a callback"])
@pytest.mark.parametrize("size", [SIZE, N])
def test_parameters_that_are_not_finite_at_the_end_count_too(callbacks, size, route):
    steps = N // size
    net = network()
    settings = {"batch_size": size, "callbacks": callbacks, "optimizer": SGD(0.1)}
    history = fit(net, 3, schedule=lambda at: np.where(at == 3 * steps - 1, 1e300, 1.0), **settings)
    assert all(map(math.isfinite, history.step_losses)) and history.epochs == 3
    assert history.diverged.steps == 2 * steps and history.diverged.parameter in net.params
    assert "is not finite after epoch 3" in history.diverged.message
    other = network()
    fit(other, 2, **settings)
    expect_same(everything(net), everything(other))


def test_a_training_that_was_resumed_in_the_middle_of_an_epoch():
    class Interrupting(Callback):
        every_steps = STEPS + 2

        def on_steps_end(self, step):
            if step == STEPS + 2:
                raise KeyboardInterrupt

    net = network()
    with pytest.raises(KeyboardInterrupt):
        fit(net, 3, callbacks=[Interrupting()])
    before = everything(net)
    history = fit(net, 3, schedule=exploding(STEPS + 3), resume=net.history)
    assert history.diverged.steps == STEPS + 2
    assert "the middle of epoch 2" in history.diverged.message
    assert f"stopped at step {STEPS + 5} and put back to {STEPS + 2}" in repr(history)
    expect_same(everything(net), before)
    # Epochs later its copy is that of the middle, from which steps are done again.
    history = fit(net, 9, schedule=exploding(4 * STEPS + 1), resume=history)
    assert history.diverged.steps == 4 * STEPS
    other = network()
    fit(other, 4)
    expect_same(everything(net), everything(other))


def test_ctrl_c_while_it_is_put_back_comes_when_all_is_noted(ctrl_c, monkeypatch, route):
    def interrupted(state):
        os.kill(os.getpid(), signal.SIGINT)
        put_back(state)

    put_back = TrainingState.put_back
    net, run = network(), trainer(optimizer_param={"lr": 1e30})
    with monkeypatch.context() as patched:
        patched.setattr(TrainingState, "put_back", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(net, 9, schedule=exploding(STEPS + 3), optimizer=SGD(0.1))
        with pytest.raises(KeyboardInterrupt):
            run.train()
    assert net.history.diverged.steps == STEPS and net.history.interrupted
    fit(net, 3, schedule=np.ones_like, resume=net.history)
    other = network()
    fit(other, 3, optimizer=SGD(0.1))
    expect_same(everything(net), everything(other))
    assert run.diverged.steps == 0 == run.current_iter == len(run.train_loss_list)


def test_a_lower_rate_goes_on_from_there(route):
    net, other = network("normalised"), network("normalised")
    history = fit(net, 3, optimizer=SGD(1e30))
    history.optimizer.lr = 0.1
    fit(net, 3, resume=history)
    fit(other, 3, optimizer=SGD(0.1))
    expect_same(everything(net), everything(other))


def test_a_network_that_is_not_finite_from_the_start_stays_as_it_is():
    net = network()
    net.params["W1"][0, 0] = np.inf
    before = everything(net)
    history = fit(net, 3)
    assert (history.diverged.step, history.diverged.steps) == (1, 0)
    expect_same(everything(net), before)


class Heavy:
    """An optimizer of one's own, with states in a dict, an array and numbers."""

    def __init__(self):
        self.lr, self.steps, self.norms = 0.1, 0, np.zeros(2)
        self.v, self.of = {}, {"a": 1}
        self.unknown = [object()]

    def update(self, params, grads):
        self.steps += 1
        self.norms[:] += 1
        self.of["a"] += 1
        for key, g in grads.items():
            self.v[key] = 0.9 * self.v.get(key, 0) + g
            params[key] -= (self.lr * self.v[key]).astype(params[key].dtype)


def test_an_optimizer_of_ones_own_is_put_back():
    net, optimizer, other, others = network(), Heavy(), network(), Heavy()
    fit(net, 3, optimizer=optimizer, schedule=exploding(STEPS + 1))
    fit(other, 1, optimizer=others)
    expect_same(everything(net), everything(other))
    assert (optimizer.steps, optimizer.of, optimizer.norms.tolist()) == (6, {"a": 7}, [6, 6])
    expect_same(optimizer.v, others.v)
    fit(net, 1, optimizer=(fresh := Heavy()), schedule=exploding(0))
    assert fresh.v == {} and fresh.steps == 0


def test_the_memory_of_copies_is_used_again():
    net, optimizer = network("normalised"), Adam()
    fit(net, 1, optimizer=optimizer)
    state = TrainingState(net, optimizer, None)
    state.keep(0)
    found = [*state._weights.params.values(), *state._arrays["m"].values()]
    state.keep(1)
    again = [*state._weights.params.values(), *state._arrays["m"].values()]
    assert len(found) == 2 * len(net.params) and all(map(lambda a, b: a is b, found, again))


# --- what it says ------------------------------------------------------------------------


def test_the_warning_says_where_and_why(route):
    net = network()
    with pytest.warns(fastnn.DivergenceWarning) as caught:
        history = net.fit(X, T, 9, SIZE, SGD(1e30), verbose=False, seed=0)
    (warning,) = caught
    assert warning.filename == __file__ and issubclass(DivergenceWarning, RuntimeWarning)
    found, text = history.diverged, str(warning.message)
    assert text == found.message
    assert (
        f"the loss became {found.loss} in epoch 1, step {found.step}; the learning rate 1e+30"
        in text
    )
    assert found.layer == "Affine2" and "the output of Affine2 is the first" in text
    assert "the largest parameter is" in text and "the beginning of epoch 1 again" in text
    assert net.history is history


@pytest.mark.parametrize("at", [0, 4, STEPS - 1, STEPS + 2, 2 * STEPS - 1])
@pytest.mark.parametrize("size", [SIZE, 7, N])
def test_the_largest_gradient_of_the_step_before_where_none_is_finite(at, size, route):
    """It is that of the step whose rate was too high, with the parameters before its update."""
    net, other = network("normalised"), network("normalised")
    history = fit(net, 20, batch_size=size, schedule=exploding(at), optimizer=SGD(0.1))
    found, steps = history.diverged, history.steps_per_epoch
    assert found.step == at + 2 and "; in the step before the largest gradient" in found.message

    class Gradients(Callback):
        every_steps = 1

        def on_steps_end(self, step):
            if step == at:
                rows = np.arange(N) if steps == 1 else fastnn.ops.permutation(N, 0, at // steps)
                rows = rows[at % steps * size :][:size]
                self.sizes = {
                    key: float(np.abs(g).max())
                    for key, g in self.network.gradient(X[rows], T[rows]).items()
                }
                raise KeyboardInterrupt

    if at == 0:
        return
    gradients = Gradients()
    with pytest.raises(KeyboardInterrupt):
        fit(other, 20, batch_size=size, optimizer=SGD(0.1), callbacks=[gradients])
    key = max(gradients.sizes, key=gradients.sizes.get)
    assert (found.parameter, found.gradient) == (key, gradients.sizes[key])


def test_the_largest_gradient_of_a_loss_that_overflows_by_itself(route):
    """All outputs are finite, and so are gradients; the sum of squares is not."""
    net = Network([Affine(6), Relu(), Affine(C)], loss="mse", input_size=D, seed=0)
    net.params["Affine2.b"][1] = 1e25
    found = fit(net, 1, batch_size=N).diverged
    assert (found.step, found.loss, found.layer) == (1, math.inf, "")
    sizes = {key: float(np.abs(g).max()) for key, g in net.gradient(X, REAL).items()}
    key = max(sizes, key=sizes.get)
    assert (found.parameter, found.gradient) == (key, pytest.approx(sizes[key]))
    assert "all layers' outputs are finite, the largest one 1.0e+25 in Affine2" in found.message
    assert (
        f"the largest gradient is {found.gradient:.1e}, that of {found.parameter}" in found.message
    )
    assert "before any update" in found.message


def test_a_scale_that_makes_samples_infinite():
    net = MultiLayerNet(D, [6], C, seed=0, input_scale=1e39)
    assert "samples times input_scale are not finite" in fit(net, 1).diverged.message


@pytest.mark.parametrize("name", ["x", "t"])
def test_a_sample_that_is_not_finite_is_told_from_a_rate(tmp_path, name, route):
    net = network("squares")
    arrays = {"x": X, "t": REAL}
    array = np.memmap(tmp_path / name, np.float32, "w+", shape=arrays[name].shape)
    array[...] = arrays[name]
    array[17, 2] = np.nan
    arrays[name] = array
    before = everything(net)
    with pytest.warns(DivergenceWarning, match=rf"there is nan in {name}\[17, 2\]") as caught:
        history = net.fit(arrays["x"], arrays["t"], 3, SIZE, SGD(0.1), verbose=False)
    assert "rate" not in str(caught[0].message).replace("which no learning rate helps", "")
    assert history.diverged.parameter == "" and history.epochs == 0
    expect_same(everything(net), before)


def test_a_saturated_softmax_has_a_finite_loss(route):
    net = network()
    net.params["b2"][...] = [0, 1e30, -1e30]
    history = fit(net, 1, optimizer=SGD(1e-3))
    assert history.diverged is None and history.loss[0] > 1e28


def test_a_warning_that_is_an_error_leaves_the_network_put_back():
    net, ended = network(), []

    class Ending(Callback):
        def on_train_end(self):
            ended.append(self.history.diverged.step)

    with pytest.raises(DivergenceWarning):
        net.fit(X, T, 3, SIZE, SGD(1e30), verbose=False, callbacks=[Ending()])
    assert ended == [net.history.diverged.step]
    expect_same(everything(net), everything(network()))


def test_it_goes_on_where_it_is_only_to_warn(route):
    net = network()
    with pytest.warns(DivergenceWarning, match="the loss became") as caught:
        history = net.fit(X, T, 3, SIZE, SGD(1e30), verbose=False, on_divergence="warn")
    assert len(caught) == 1 and "stopped" not in str(caught[0].message)
    assert history.diverged is None and len(history.step_losses) == 3 * STEPS
    assert not math.isfinite(history.loss[-1])


def test_both_kinds_have_the_same_bits_as_long_as_all_is_finite(route):
    found = []
    for choice in ("stop", "warn"):
        net = network("normalised")
        history = fit(net, 3, on_divergence=choice, ema=0.9)
        found.append(state_of(net, history.optimizer, history))
        assert history.diverged is None
    expect_same(*found)


@pytest.mark.parametrize("wrong", ["raise", None, True])
def test_bad_choices(wrong):
    with pytest.raises(ValueError, match="^on_divergence: expected one of stop, warn, got"):
        fit(network(), 1, on_divergence=wrong)
    with pytest.raises(ValueError, match="^on_divergence: expected one of stop, warn, got"):
        Trainer(network(), X, T, X, T, on_divergence=wrong)


def test_copies_of_a_history_know_of_it():
    history = fit(network(), 3, schedule=exploding(STEPS + 1))
    for other in (copy.deepcopy(history), pickle.loads(pickle.dumps(history))):
        assert repr(other.diverged) == repr(history.diverged)
        assert len(other.step_losses) == STEPS + 3
        assert other.interrupted is False


# --- callbacks ---------------------------------------------------------------------------


def finite(params):
    return all(np.isfinite(p).all() for p in params.values())


@pytest.mark.parametrize("choice", ["stop", "warn"])
@pytest.mark.parametrize("at", [2 * STEPS - 1, 2 * STEPS + 1])
def test_a_checkpoint_is_never_of_parameters_that_are_not_finite(tmp_path, at, choice):
    net, path = network(), tmp_path / "file"
    settings = {"schedule": lambda steps: np.where(steps == at, 1e300, 1.0), "optimizer": SGD(0.1)}
    history = fit(net, 4, callbacks=[Checkpoint(path)], on_divergence=choice, **settings)
    assert finite(net.params) == (choice == "stop")
    other = network()
    loaded = load_checkpoint(path, other)
    assert finite(other.params) and loaded.diverged is None
    assert loaded.epochs == (
        history.diverged.steps // STEPS or 1 if history.diverged else at // STEPS
    )


def test_a_checkpoint_of_what_led_to_it_is_written_again(tmp_path):
    """Its last step made parameters that are huge, but finite; the next loss is not."""
    net, path = network(), tmp_path / "file"
    fit(net, 4, callbacks=[Checkpoint(path)], schedule=exploding(2 * STEPS - 1), optimizer=SGD(0.1))
    other = network()
    loaded = load_checkpoint(path, other)
    expect_same(everything(other), everything(net))
    assert (loaded.epochs, len(loaded.step_losses)) == (1, STEPS)
    fit(other, 3, resume=loaded, schedule=np.ones_like)
    expected = network()
    fit(expected, 3, optimizer=SGD(0.1))
    expect_same(everything(other), everything(expected))


def test_a_file_of_its_own_of_what_led_to_it_stays_under_another_name(tmp_path):
    name = tmp_path / "{epoch}.npz"
    history = fit(
        network(),
        4,
        callbacks=[Checkpoint(name)],
        schedule=exploding(2 * STEPS - 1),
        optimizer="SGD",
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == ["1.npz", "2.npz.diverged"]
    assert newest_checkpoint(name) == tmp_path / "1.npz" and history.sound == 1
    other = network()
    assert load_checkpoint(tmp_path / "2.npz.diverged", other).epochs == 2 and finite(other.params)


@pytest.mark.parametrize("name", ["file", "{epoch}.npz"])
def test_a_sample_that_is_not_finite_takes_no_epoch_back(tmp_path, name, route):
    """It comes with the first step of an epoch, whose parameters are as good as any."""

    class Spoiling(Callback):
        def on_epoch_end(self, epoch):
            if epoch == 2:
                self.x[:SIZE, 1] = np.nan

    net, spoiling = network(), Spoiling()
    spoiling.x = np.memmap(tmp_path / "x", np.float32, "w+", shape=X.shape)
    spoiling.x[...] = X
    callbacks = [spoiling, Checkpoint(tmp_path / name), EarlyStopping("loss")]
    settings = {"optimizer": SGD(0.1), "shuffle": False, "verbose": False}
    with pytest.warns(DivergenceWarning, match="there is nan in x"):
        history = net.fit(spoiling.x, T, 4, SIZE, callbacks=callbacks, **settings)
    assert (history.diverged.step, history.diverged.steps) == (2 * STEPS + 1, 2 * STEPS)
    expected, other = network(), network()
    expected.fit(X, T, 2, SIZE, **settings)
    loaded = load_checkpoint(newest_checkpoint(tmp_path / name), other)
    assert loaded.epochs == 2
    expect_same(everything(net), everything(expected))
    expect_same(everything(other), everything(expected))


@pytest.mark.parametrize("assigned", [np.ones(6).tolist(), np.ones(6)], ids=["list", "float64"])
@pytest.mark.parametrize("others", [(), (EarlyStopping("loss"), Checkpoint)], ids=["alone", "more"])
def test_what_a_callback_assigns_is_taken_up_at_once(tmp_path, assigned, others, route):
    class Assigning(Callback):
        def on_epoch_end(self, epoch):
            self.network.params["b1"] = assigned

    net, given = network(), list(assigned)
    callbacks = [c(tmp_path / "file") if c is Checkpoint else c for c in others]
    history = fit(net, 4, callbacks=[Assigning(), *callbacks], schedule=exploding(2 * STEPS))
    assert history.diverged.steps == 2 * STEPS
    np.testing.assert_array_equal(net.params["b1"], np.ones(6, np.float32))
    assert net.layers["Affine1"].b is net.params["b1"] and list(assigned) == given


def test_a_parameter_that_a_callback_takes_out_stays_as_it_is():
    class Freezing(Callback):
        def on_epoch_end(self, epoch):
            self.network.params.pop("Affine1.W", None)

    class Own(Relu):
        pass

    net = Network([Affine(6), Own(), Affine(C)], input_size=D, seed=0)
    history = fit(net, 4, callbacks=[Freezing()], schedule=exploding(STEPS), optimizer="SGD")
    assert history.diverged.steps == STEPS and "Affine1.W" not in net.params
    history = fit(net, 4, callbacks=[Freezing()], schedule=exploding(STEPS - 1), optimizer="SGD")
    assert history.diverged.steps == 0 and finite(net.params)


@pytest.mark.parametrize(("at", "epochs"), [(3 * STEPS + 1, 2), (3 * STEPS - 1, 2)])
def test_the_best_network_is_none_that_led_to_it(at, epochs):
    """Epochs 1 and 2 are good, 3 is better as far as losses before its last step say."""
    net = network()
    stopping = EarlyStopping("loss", patience=9)
    history = fit(net, 9, callbacks=[stopping], schedule=exploding(at), optimizer=SGD(0.1))
    assert stopping.best_epoch == 3 == int(np.argmin(history.loss)) + 1
    other = network()
    fit(other, 3 if at > 3 * STEPS else epochs, optimizer=SGD(0.1))
    expect_same(everything(net), everything(other))


def test_copies_of_the_network_that_led_to_it_go():
    snapshots = Snapshots()
    history = fit(network(), 9, callbacks=[snapshots], schedule=exploding(4 * STEPS - 1))
    assert snapshots.epochs == [1, 2, 3] and len(snapshots.networks) == 3
    assert (history.epochs, history.sound) == (4, 3)


# --- Trainer -----------------------------------------------------------------------------


def trainer(**settings):
    net = MultiLayerNet(D, [6, 5], C, seed=0)
    settings = {"optimizer": "Adam", "optimizer_param": {"lr": 0.01}, "seed": 0} | settings
    return Trainer(net, X, T, X, T, 4, SIZE, verbose=False, **settings)


@pytest.mark.parametrize("lower", [0.01, 0.001])
def test_trainer_is_put_back_twice(lower):
    """The second time not to a copy of what led to the first one, or to the rate before it."""
    run, other = trainer(), trainer()
    for at, steps in ((2 * STEPS - 1, STEPS), (2 * STEPS + 2, 2 * STEPS)):
        while run.current_iter < at:
            run.train_step()
        run.optimizer.lr = 1e30
        with pytest.warns(DivergenceWarning):
            run.train_step()
            run.train_step()
        assert run.current_iter == run.diverged.steps == steps
        while other.current_iter < steps:
            other.train_step()
        assert run.optimizer.lr == other.optimizer.lr
        expect_same(everything(run.network), everything(other.network))
        run.optimizer.lr = other.optimizer.lr = lower


@pytest.mark.parametrize("at", [0, 3, 2 * STEPS + 1, 2 * STEPS - 1])
def test_trainer_is_put_back_and_goes_on(at):
    run, other = trainer(), trainer()
    for _ in range(at):
        run.train_step()
    run.optimizer.lr = 1e30
    with pytest.warns(DivergenceWarning, match="the learning rate 1e") as caught:
        while run.diverged is None:
            run.train_step()
        assert run.diverged.step == at + 2
        assert run.optimizer.lr == (1e30 if at == 0 else 0.01)  # as it was there
        if at == 0:
            run.train()  # and so it comes to the same: nothing new
    steps = run.diverged.steps
    assert len(caught) == 1 and steps == at // STEPS * STEPS
    assert run.current_iter == steps == len(run.train_loss_list)
    assert run.current_epoch == len(run.train_acc_list) == len(run.test_acc_list) == steps // STEPS
    for _ in range(steps):
        other.train_step()
    expect_same(everything(run.network), everything(other.network))
    run.optimizer.lr = 0.01
    run.train()
    other.train()
    assert run.train_loss_list == other.train_loss_list and run.diverged is None
    assert run.test_acc_list == other.test_acc_list
    expect_same(everything(run.network), everything(other.network))
