"""One optimizer for several networks: each has a state, a number of steps and a rate of its own."""

import copy
import gc
import weakref

import numpy as np
import pytest
from copying import COPIES
from own_layers import C, D, Line, N, Scale, data

from fastnn import MultiLayerNet, Trainer, diagnostics, optimizers
from fastnn.callbacks import Callback, Checkpoint, ReduceLROnPlateau, load_checkpoint
from fastnn.fit import DivergenceWarning
from fastnn.program import Program
from fastnn.training import choice

STEPS = -(-N // 8)  # an epoch


def network(seed=0, hidden=8, own=False):
    net = MultiLayerNet(D, [hidden], C, "tanh", dtype="float64", seed=seed)
    if own:
        net.layers["Own"] = Scale(C)
    return net


def fit(net, optimizer, epochs=2, **settings):
    settings = {"optimizer": optimizer, "seed": 1, "verbose": False, **settings}
    return net.fit(*data(), epochs, 8, **settings).step_losses


def by_trainer(net, optimizer):
    run = Trainer(net, *data(), *data(), 2, 8, optimizer, verbose=False, seed=1)
    run.train()
    return run.train_loss_list


def by_loop(net, optimizer):
    losses = []
    for _ in range(6):
        grads = net.gradient(*data())
        losses.append(net.last_layer.loss)
        optimizer.update(net.params, grads)
    return losses


WAYS = {"fit": fit, "Trainer": by_trainer, "loop": by_loop}


class Mine(optimizers.NAdam):
    """A user's own, around one of ours: it trains layer by layer."""


KINDS = {**optimizers.OPTIMIZERS, "own": Mine}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", WAYS)
def test_each_network_is_trained_as_by_an_optimizer_of_its_own(kind, way):
    """As in a cross-validation, with a return to the first network."""
    train, one = WAYS[way], KINDS[kind](0.05)
    nets = [network(seed) for seed in range(3)]
    twins, others = [network(seed) for seed in range(3)], [KINDS[kind](0.05) for _ in range(3)]
    for i in (0, 1, 2, 0, 1):
        assert train(nets[i], one) == train(twins[i], others[i])
    for net, twin in zip(nets, twins, strict=True):
        for key, p in twin.params.items():
            np.testing.assert_array_equal(net.params[key], p)
    assert vars(one).keys() == vars(others[1]).keys()
    if hasattr(one, "iter"):
        assert one.iter == others[1].iter == 2 * others[2].iter


def test_steps_in_turns():
    """As two networks that are trained against each other."""
    one, others = optimizers.Adam(0.05), [optimizers.Adam(0.05) for _ in range(2)]
    nets, twins = ([network(seed) for seed in range(2)] for _ in range(2))
    for _ in range(5):
        for net, twin, other in zip(nets, twins, others, strict=True):
            one.update(net.params, net.gradient(*data()))
            other.update(twin.params, twin.gradient(*data()))
            np.testing.assert_array_equal(net.params["W1"], twin.params["W1"])


def test_networks_of_other_shapes():
    optimizer = optimizers.Adam(0.05)
    fit(network(), optimizer)
    assert fit(network(1, 5), optimizer) == fit(network(1, 5), optimizers.Adam(0.05))
    by_loop(network(1, 6), optimizer)


def test_networks_with_layers_of_ones_own():
    optimizer = optimizers.Adam(0.05)
    fit(network(own=True), optimizer)
    expected = fit(network(1, own=True), optimizers.Adam(0.05))
    assert fit(network(1, own=True), optimizer) == expected


class NoHash(Line):
    __slots__ = ()
    __hash__ = None


@pytest.mark.parametrize(("kind", "steps"), [(Line, 2), (NoHash, 4)])
def test_networks_that_are_not_ours(kind, steps):
    """One without a hash cannot be told from others: it goes on by key."""
    optimizer = optimizers.Momentum(0.1)
    for net in (kind(), kind()):
        Trainer(net, *data(), *data(), 2, N, optimizer, verbose=False).train()
    same = optimizers.Momentum(0.1)
    params = {"w": np.zeros(1)}
    for _ in range(steps):
        same.update(params, {"w": np.ones(1)})
    np.testing.assert_array_equal(optimizer.v["w"], same.v["w"])


@pytest.mark.parametrize("rebind", ["arrays", "dict"])
@pytest.mark.parametrize("kind", optimizers.OPTIMIZERS)
def test_a_plain_dict_goes_on_by_key(kind, rebind):
    """As in the book, whose scripts may put new arrays into it, or make a new dict."""
    ours, theirs = (optimizers.OPTIMIZERS[kind](0.05) for _ in range(2))
    params, others = ({"W": np.ones((3, 4)), "b": np.ones(4)} for _ in range(2))
    rng = np.random.default_rng(0)
    for _ in range(5):
        grads = {key: rng.normal(size=p.shape) for key, p in params.items()}
        new = {key: p.copy() for key, p in params.items()}
        params = new if rebind == "dict" else params | new
        ours.update(params, grads)
        theirs.update(others, grads)
    for key, p in others.items():
        np.testing.assert_array_equal(params[key], p)


def test_some_parameters_of_a_network_in_a_dict_go_on():
    ours, theirs = optimizers.Adam(0.05), optimizers.Adam(0.05)
    net, other = network(), network()
    fit(net, ours, 1)
    fit(other, theirs, 1)
    for each, optimizer in ((net, ours), (other, theirs)):
        grads = each.gradient(*data())
        some = {"W1": each.params["W1"]} if each is net else each.params
        optimizer.update(some, grads)
    np.testing.assert_array_equal(net.params["W1"], other.params["W1"])


def test_what_is_put_into_a_network_is_no_other_network():
    ours, theirs = optimizers.Adam(0.05), optimizers.Adam(0.05)
    net, other = network(), network()
    fit(net, ours, 1)
    fit(other, theirs, 1)
    for each in (net, other):
        best = {key: p * 0.5 for key, p in each.params.items()}
        if each is net:
            each.params = best
        else:
            for key, p in best.items():
                each.params[key][...] = p
    assert fit(net, ours) == fit(other, theirs)
    assert ours.iter == theirs.iter == 15


# --- copies -------------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_of_network_and_optimizer_goes_on(kind, way, together):
    net, optimizer = network(), KINDS[kind](0.05)
    fit(net, optimizer)
    if together:
        other, its = COPIES[way]((net, optimizer))
    else:
        other, its = COPIES[way](net), COPIES[way](optimizer)
    assert fit(other, its) == fit(net, optimizer)
    assert by_loop(other, its) == by_loop(net, optimizer)
    for key, p in net.params.items():
        np.testing.assert_array_equal(other.params[key], p)
    assert all(
        type(a) is np.ndarray and a.flags.writeable
        for name in its.rule.states
        for a in getattr(its, name).values()
    )


def test_a_copy_of_an_optimizer_shares_no_state():
    net, other, optimizer = network(), network(), optimizers.Adam(0.05)
    fit(net, optimizer)
    fit(other, its := copy.deepcopy(optimizer), 1)  # another trajectory
    shallow = copy.copy(optimizer)
    kept = {key: m.copy() for key, m in optimizer.m.items()}
    fit(other, shallow)
    for key, m in kept.items():
        np.testing.assert_array_equal(optimizer.m[key], m)
    assert its.iter == 15 and shallow.iter == 20 and optimizer.iter == 10


def test_a_copy_of_a_network_is_another_network():
    """As folds that begin with copies of one network."""
    net, optimizer = network(), optimizers.Adam(0.05)
    fit(net, optimizer)
    other, twin = copy.deepcopy(net), copy.deepcopy(net)
    assert fit(other, optimizer) == fit(twin, optimizers.Adam(0.05))


def test_a_shallow_copy_of_a_network_is_the_same_one():
    net, twin = network(), network()
    ours, theirs = optimizers.Adam(0.05), optimizers.Adam(0.05)
    fit(net, ours)
    fit(twin, theirs)
    assert fit(copy.copy(net), ours) == fit(twin, theirs)


def test_checks_begin_anew_with_an_optimizer_in_use():
    net, used = network(), optimizers.Adam(0.05)
    fit(network(1), used, 5)
    checks = [
        diagnostics.check_overfitting(net, *data(), optimizer=optimizer, steps=20).values["losses"]
        for optimizer in (used, optimizers.Adam(0.05))
    ]
    np.testing.assert_array_equal(*checks)
    assert used.iter == 25


def test_explain_does_not_touch_an_optimizer_in_use(capsys):
    used, net = optimizers.Adam(0.05), network(1, 5)
    fit(network(), used)
    net.explain(used)
    assert "route: compiled training program" in capsys.readouterr().out
    assert used.iter == 10 and used.m["W1"].shape == (D, 8)


def test_state_is_kept_no_longer_than_the_network():
    optimizer, first = optimizers.Adam(0.05), network()
    fit(first, optimizer)
    moments = weakref.ref(optimizer.m["W1"])
    fit(network(1), optimizer)
    gc.collect()
    assert moments() is not None
    del first
    gc.collect()
    assert moments() is None


# --- rates -------------------------------------------------------------------------------------


class Halved(Callback):
    def on_epoch_end(self, epoch):
        self.optimizer.lr *= 0.5


@pytest.mark.parametrize("own", [False, True], ids=["program", "layers"])
@pytest.mark.parametrize(
    "reduce", [Halved, lambda: ReduceLROnPlateau("loss", 0.5, 1, min_delta=1e6)]
)
def test_a_reduced_rate_stays_with_its_network(reduce, own):
    optimizer, first = optimizers.Adam(0.05), network(own=own)
    fit(first, optimizer, 3, callbacks=[reduce()])
    assert optimizer.lr < 0.05
    reduced = optimizer.lr
    fit(first, optimizer, 1)
    assert optimizer.lr == first.history.lr[0] == reduced
    second = network(1, own=own)
    assert fit(second, optimizer) == fit(network(1, own=own), optimizers.Adam(0.05))
    assert optimizer.lr == 0.05
    fit(first, optimizer, 1)
    assert first.history.lr == [reduced]
    fit(second, optimizer, 1)
    assert second.history.lr == [0.05]
    fit(first, optimizer, 3, callbacks=[reduce()])
    fit(network(2, own=own), optimizer, 1)
    assert optimizer.lr == 0.05


def test_a_reduced_rate_after_an_interruption():
    class Stop(Callback):
        def on_epoch_end(self, epoch):
            raise KeyboardInterrupt

    optimizer = optimizers.SGD(0.8)
    with pytest.raises(KeyboardInterrupt):
        fit(network(), optimizer, callbacks=[Halved(), Stop()])
    assert optimizer.lr == 0.4
    fit(network(1), optimizer)
    assert optimizer.lr == 0.8


def test_a_training_within_another_one_leaves_its_rate_and_state():
    class Probe(Callback):
        def on_epoch_end(self, epoch):
            probe = network(epoch)
            self.losses = fit(probe, self.shared or optimizers.Adam(0.05))

    results = []
    for shared in (True, False):
        net, optimizer, probe = network(), optimizers.Adam(0.05), Probe()
        probe.shared = optimizer if shared else None
        losses = fit(net, optimizer, 4, callbacks=[Halved(), probe])
        results.append((losses, net.history.lr, probe.losses, optimizer.lr, optimizer.iter))
    assert results[0] == results[1]
    assert results[0][1] == [0.05, 0.025, 0.0125, 0.00625]


@pytest.mark.parametrize("own", [False, True], ids=["program", "layers"])
@pytest.mark.parametrize("way", ["Trainer", "loop"])
@pytest.mark.parametrize("method", ["on_train_begin", "on_steps_end", "on_epoch_end"])
def test_what_a_callback_trains_leaves_rate_and_state(method, way, own):
    """Also for the callbacks after it, for what is recorded, and for where it is put back to."""
    results = []
    for shared in (True, False):
        net, optimizer = MultiLayerNet(D, [8], C, dtype="float64", seed=0), optimizers.Adam(0.05)
        if own:
            net.gradient = net.gradient

        def train(*given, shared=shared, optimizer=optimizer):
            WAYS[way](network(7), optimizer if shared else optimizers.Adam(0.05))

        probe = Callback()
        probe.every_steps = 1
        setattr(probe, method, train)
        halving = [Halved(), probe, ReduceLROnPlateau("loss", 0.5, 1, min_delta=1e6)]
        with pytest.warns(DivergenceWarning):
            losses = fit(net, optimizer, 9, callbacks=halving, schedule=exploding)
        states = {name: optimizer.m[name].tobytes() for name in net.params}
        results.append((repr(losses), net.history.lr, optimizer.lr, optimizer.iter, states))
    assert results[0] == results[1]
    assert net.history.diverged.steps == optimizer.iter > 0


def exploding(steps):
    return np.where(steps == 3 * STEPS, 1e300, 1.0)


def test_a_trainer_goes_on_with_its_rate_after_a_training_of_another_network():
    results = []
    for shared in (True, False):
        net, optimizer = network(), optimizers.Adam(0.05)
        run = Trainer(net, *data(), *data(), 2, 8, optimizer, verbose=False, seed=1)
        run.train_step()
        fit(network(1), optimizer if shared else optimizers.Adam(0.05), callbacks=[Halved()])
        run.train()
        results.append(run.train_loss_list)
    assert results[0] == results[1]


def test_a_rate_that_a_script_sets_holds_for_all():
    optimizer, first, second = optimizers.SGD(0.8), network(), network(1)
    fit(first, optimizer, callbacks=[Halved()])
    optimizer.lr = 0.3
    fit(second, optimizer)
    assert optimizer.lr == 0.3
    fit(first, optimizer)
    assert optimizer.lr == 0.3
    fit(second, optimizer, 1, callbacks=[Halved()])
    fit(first, optimizer)
    assert optimizer.lr == 0.3
    optimizer.lr = 0.2
    fit(second, optimizer)
    assert optimizer.lr == 0.2


# --- trainings that are resumed --------------------------------------------------------------


def test_a_training_is_resumed_after_another_one_with_its_optimizer():
    optimizer, first, twin = optimizers.Adam(0.05), network(), network()
    history = first.fit(*data(), 2, 8, optimizer, seed=1, verbose=False)
    fit(network(1), optimizer, callbacks=[Halved()])
    resumed = fit(first, None, 4, resume=history)
    assert resumed == fit(twin, optimizers.Adam(0.05), 4)


@pytest.mark.parametrize("way", COPIES)
def test_a_history_has_the_state_of_its_own_network(way):
    """Though its optimizer is with another one by now."""
    optimizer, first, twin = optimizers.Adam(0.05), network(), network()
    fit(first, optimizer)
    fit(network(1), optimizer, 7)
    for other in (first, copy.deepcopy(first)):
        history = COPIES[way](first.history)
        assert optimizer.iter == 35 and history.optimizer.iter == 10
        if other is not first:
            expected = fit(twin, optimizers.Adam(0.05), 4)
            assert fit(other, None, 4, resume=history) == expected
    other = COPIES[way](first)
    assert fit(other, None, 4, resume=other.history) == expected


@pytest.mark.parametrize("in_use", [False, True])
def test_a_copy_of_the_network_goes_on_with_the_history_of_the_first(in_use):
    optimizer, first, twin = optimizers.Adam(0.05), network(), network()
    fit(first, optimizer)
    other = copy.deepcopy(first)
    if in_use:
        fit(network(1), optimizer)
    resumed = fit(other, None, 4, resume=copy.copy(first.history))
    assert resumed == fit(twin, optimizers.Adam(0.05), 4)


def test_checkpoints_have_the_state_of_their_network(tmp_path):
    """Though a callback has trained another one with the optimizer meanwhile."""

    class Other(Callback):
        def on_epoch_end(self, epoch):
            fit(self.other, self.optimizer, 1)

    trained = []
    for disturbing in (Other(), Callback()):
        disturbing.other = network(1)
        path, net, optimizer = tmp_path / "checkpoint.npz", network(), optimizers.Adam(0.05)
        fit(net, optimizer, callbacks=[disturbing, Checkpoint(path)])
        other, its = network(), optimizers.Adam(0.7)
        fit(network(1), its)
        moments = its.m["W1"]
        kept = moments.copy()
        history = load_checkpoint(path, other, its)
        assert its.iter == 10
        np.testing.assert_array_equal(moments, kept)  # which belong to another network
        trained.append((net.history.step_losses, fit(other, None, 4, resume=history)))
    assert trained[0] == trained[1]


def test_an_optimizer_is_as_it_was_if_no_training_begins():
    optimizer = optimizers.Adam(0.05)
    fit(network(), optimizer)
    before = dict(vars(optimizer))

    class Refusing(Callback):
        def on_train_begin(self):
            raise ValueError("no")

    for settings in ({"callbacks": [Refusing()]}, {"batch_size": 0}):
        with pytest.raises(ValueError):
            network(1).fit(*data(), **{"batch_size": 8, **settings}, optimizer=optimizer,
                           verbose=False)  # fmt: skip
        assert all(vars(optimizer)[name] is value for name, value in before.items())


class Own:
    lr = 0.1

    def update(self, params, grads):
        for key, p in params.items():
            p -= self.lr * grads[key]


@pytest.mark.parametrize("copied", ["pickle", "deepcopy"])
@pytest.mark.parametrize("optimizer", [Own(), Mine(0.1)], ids=["own", "a subclass"])
def test_a_lost_optimizer_is_told(optimizer, copied):
    net = network()
    fit(net, optimizer)
    again = COPIES[copied](net)
    before = {key: p.copy() for key, p in again.params.items()}
    with pytest.raises(ValueError, match="^optimizer: expected the one of the training to resume"):
        fit(again, None, 4, resume=again.history)
    for key, p in before.items():
        np.testing.assert_array_equal(again.params[key], p)
    assert len(fit(again, copy.deepcopy(optimizer), 4, resume=again.history)) == 20


@pytest.mark.parametrize("kind", optimizers.OPTIMIZERS)
@pytest.mark.parametrize("way", ["pickle", "joblib, mapped", "deepcopy"])
def test_a_copied_history_goes_on_with_its_optimizer(kind, way):
    net, twin = network(), network()
    fit(net, kind)
    again = COPIES[way](net)
    resumed = fit(again, None, 4, resume=again.history)
    assert type(again.history.optimizer) is optimizers.OPTIMIZERS[kind]
    assert resumed == fit(twin, kind, 4)


def test_trainers_in_copies_go_on():
    for way in COPIES.values():
        whole, run = (
            Trainer(network(), *data(), *data(), 3, 8, "adam", {"lr": 0.05}, seed=1, verbose=False)
            for _ in range(2)
        )
        for _ in range(3):
            run.train_step()
        again = way(run)
        again.train()
        whole.train()
        assert again.train_loss_list == whole.train_loss_list
        assert again.route == "program"


@pytest.mark.parametrize("callbacks", [[], [Callback()]])
def test_a_training_leaves_nothing_to_the_collector(callbacks, monkeypatch):
    """The memory of its program goes at its end, not when the collector comes by."""
    programs = []

    def noted(*arguments):
        program = Program(*arguments)
        programs.append(weakref.ref(program))
        return program

    monkeypatch.setattr(choice, "Program", noted)
    net = network()
    gc.collect()
    gc.disable()
    try:
        fit(net, optimizers.Adam(), callbacks=callbacks)
        assert [program() for program in programs] == [None]
    finally:
        gc.enable()
