"""fit_many: trainings side by side give what they give one after the other."""

import linecache
import signal
import threading
import time
from functools import partial

import numpy as np
import pytest

import fastnn
from fastnn import MultiLayerNet, Network, config, optimizers, schedules
from fastnn.callbacks import Callback, Checkpoint, EarlyStopping
from fastnn.layers import Affine, BatchNormalization, Dropout, Relu
from fastnn.many import FitManyError, fit_many
from fastnn.training.callbacks import CSVLogger

N, D, C = 90, 6, 3
X = np.random.default_rng(0).normal(size=(N, D))
T = np.arange(N) % C


def networks(count=4, **settings):
    return [MultiLayerNet(D, [5 + i], C, seed=i, **settings) for i in range(count)]


def stacks(count=3):
    kinds = [Affine(7), BatchNormalization(), Relu(), Dropout(0.3), Affine(C)]
    return [Network([k.__class__(*a) for k, a in zip(kinds, [(7,), (), (), (0.3,), (C,)],
                                                     strict=True)], seed=i)
            for i in range(count)]  # fmt: skip


def layerwise():
    found = networks(3)
    for network in found:
        network.gradient = network.gradient  # a method of its own
    return found


def expect_same(found, expected):
    for network, other in zip(found, expected, strict=True):
        assert network.history.step_losses == other.history.step_losses
        assert network.history.val_loss == other.history.val_loss
        assert network.history.route == other.history.route
        for key, p in network.params.items():
            np.testing.assert_array_equal(p, other.params[key])


@pytest.mark.parametrize("make", [networks, stacks, layerwise])
@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_the_same_bits_as_one_after_the_other(make, n_jobs):
    given = {"epochs": 3, "batch_size": 16, "validation": 0.2, "ema": 0.9}
    found, expected = make(), make()
    rule = optimizers.Momentum(0.05)
    histories = fit_many(
        found, X, T, **given, optimizer=rule, seed=[*range(len(found))], n_jobs=n_jobs,
        verbose=False, schedule=schedules.cosine(epochs=3),
    )  # fmt: skip
    for i, network in enumerate(expected):
        rule = optimizers.Momentum(0.05)
        network.fit(
            X, T, **given, optimizer=rule, seed=i, verbose=False,
            schedule=schedules.cosine(epochs=3),
        )  # fmt: skip
    assert [network.history for network in found] == histories
    expect_same(found, expected)


def test_one_of_each_for_each():
    class Ends(Callback):
        def on_epoch_end(self, epoch):
            return epoch == 2

    other = np.random.default_rng(1).normal(size=(50, D)), np.arange(50) % C
    given = {
        "x": [X, other[0], X],
        "t": [T, other[1], T.tolist()],
        "epochs": [1, 2, 3],
        "batch_size": (16, 8, 200),
        "optimizer": ["SGD", optimizers.Adam(0.01), None],
        "validation": [0.2, None, other],
        "callbacks": [[], [], [Ends()]],
        "metrics": [["top_2_accuracy"], [], []],
        "class_weight": [None, "balanced", {0: 2.0}],
        "sample_weight": [None, None, np.arange(N) + 1.0],
        "seed": [1, 2, 3],
        "ema": [0.5, None, None],
    }
    # Lists of numbers are data of all, not one for each.
    given["t"][2], given["sample_weight"] = T, [np.ones(N), np.ones(50), np.arange(N) + 1.0]
    found, expected = networks(3), networks(3)
    fit_many(found, **given, verbose=False)
    for i, network in enumerate(expected):
        network.fit(**{name: values[i] for name, values in given.items()}, verbose=False)
    expect_same(found, expected)
    assert [network.history.epochs for network in found] == [1, 2, 2]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "convert",
    [np.asarray, np.asfortranarray, np.ndarray.tolist, lambda x: (9 * x).astype(np.int16)],
    ids=["as it is", "by columns", "list", "integers"],
)
def test_other_samples_are_converted_to_the_same(convert, dtype):
    x, found, expected = convert(X), networks(2, dtype=dtype), networks(2, dtype=dtype)
    given = {"epochs": 2, "batch_size": 16, "seed": 0, "verbose": False}
    fit_many(found, x, T, validation=(x, T), **given)
    for network in expected:
        network.fit(x, T, validation=(x, T), **given)
    expect_same(found, expected)


class Counted:
    """A table that counts how often NumPy makes an array of it."""

    columns = tuple("abcdef")

    def __init__(self):
        self.made = 0
        self.shape = X.shape

    def __len__(self):
        return len(X)

    def __array__(self, dtype=None, copy=None):
        self.made += 1
        return X.astype(np.float32)


def test_samples_are_converted_once_for_all():
    table, found = Counted(), networks(4)
    fit_many(found, table, T, validation=(table, T), verbose=False)
    assert table.made == 1
    assert all(network.feature_names == [*"abcdef"] for network in found)


def test_samples_are_not_copied(monkeypatch):
    """What each program reads stands where it was given, or in one conversion of it."""
    from fastnn.program import program

    read, samples = [], program.samples

    def noted(*arguments):
        read.append(samples(*arguments).array)
        return samples(*arguments)

    monkeypatch.setattr(program, "samples", noted)
    x = X.astype(np.float32)
    fit_many(networks(3), x, T, verbose=False)
    assert [np.shares_memory(array, x) for array in read] == [True] * 3
    read.clear()
    fit_many(networks(3), X, T, verbose=False)
    assert [np.shares_memory(array, read[0]) for array in read] == [True] * 3


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_not_finite_are_refused(bad):
    x = X.copy()
    x[3, 2] = bad
    with pytest.raises(ValueError, match=rf"^x: expected finite numbers, got {bad} in x\[3, 2\]"):
        fit_many(networks(2), x, T, verbose=False)
    with pytest.raises(FitManyError, match="expected finite numbers"):
        fit_many(networks(2), [X, x], T, verbose=False)
    with pytest.raises(ValueError, match=r"^validation x: expected finite numbers, got"):
        fit_many(networks(2), X, T, validation=(x, T), verbose=False)


def test_numbers_too_large_for_float32_end_as_alone():
    x = X.copy()
    x[3, 2] = 1e300
    with pytest.warns(fastnn.DivergenceWarning), np.errstate(over="ignore"):
        alone = networks(1)[0].fit(x, T, seed=0, verbose=False)
    with pytest.warns(fastnn.DivergenceWarning), np.errstate(over="ignore"):
        (found,) = fit_many(networks(1), x, T, seed=0, verbose=False)
    assert found.diverged.message == alone.diverged.message


def test_threads_are_shared_out(monkeypatch):
    monkeypatch.setattr(config.threads, "_num_threads", 5)
    seen, context = [], []

    class Looks(Callback):
        def on_epoch_end(self, epoch):
            seen.append((config.get_num_threads(), threading.current_thread().name))
            context.append(np.geterr()["under"])

    def used(n_jobs):
        seen.clear()
        fit_many(networks(4), X, T, callbacks=[[Looks()] for _ in range(4)], n_jobs=n_jobs,
                 verbose=False)  # fmt: skip
        assert len(seen) == 4
        return {threads for threads, _ in seen}, {name for _, name in seen}

    with np.errstate(under="raise"):
        assert used(2)[0] == {2}
        assert used(-1)[0] == {1}
        assert used(-4)[0] == {2}  # two of them
        assert used(1) == ({5}, {"fastnn-job-1"})
    if np.lib.NumpyVersion(np.__version__) >= "2.0.0":  # whose settings belong to the context
        assert {*context} == {"raise"}
    with config.limit_num_threads(2):
        assert used(-1)[0] == {1}
    assert config.get_num_threads() == 5


class Presses(Callback):
    """Presses Ctrl-C at a step, once another network is being trained."""

    every_steps = 1

    def __init__(self, at, other, press=None):
        self.at, self.other = at, other
        self.press = press or partial(signal.raise_signal, signal.SIGINT)

    def on_steps_end(self, step):
        if step == self.at:
            while self.other.history is None or not self.other.history.step_losses:
                time.sleep(0.001)
            self.press()


def test_ctrl_c_ends_all_and_they_go_on():
    given = {"epochs": 2000, "batch_size": 16, "seed": 7, "verbose": False, "n_jobs": 2}
    found, expected = networks(3), networks(3)
    with pytest.raises(KeyboardInterrupt):
        fit_many(found, X, T, callbacks=[[Presses(4, found[1])], [], []], **given)
    assert not [t for t in threading.enumerate() if t.name.startswith("fastnn-job")]
    first, second, third = (network.history for network in found)
    assert first.interrupted and 4 <= len(first.step_losses) < 2000 * 6
    assert second.interrupted or second.epochs == 2000
    fit_many(found, X, T, resume=[first, second, third], **given)
    fit_many(expected, X, T, **given)
    expect_same(found, expected)


def test_ctrl_c_of_a_callback_ends_the_others():
    def press():
        raise KeyboardInterrupt

    found = networks(2)
    with pytest.raises(KeyboardInterrupt):
        fit_many(found, X, T, epochs=10**5, callbacks=[[Presses(4, found[1], press)], []], n_jobs=2,
                 verbose=False)  # fmt: skip
    assert [network.history.interrupted for network in found] == [True, True]


def test_an_error_of_one_is_named_and_leaves_the_others():
    class Fails(Callback):
        def on_epoch_end(self, epoch):
            raise OSError("the disk is full")

    found, expected = networks(3), networks(3)
    with pytest.raises(
        FitManyError, match=r"1 of 3 .*\nnetworks\[1\]: OSError: the disk"
    ) as raised:
        fit_many(found, X, T, epochs=2, seed=0, callbacks=[[], [Fails()], []], verbose=False)
    assert raised.value.errors.keys() == {1}
    assert raised.value.__cause__ is raised.value.errors[1]
    assert raised.value.histories == [found[0].history, None, found[2].history]
    for i in (0, 2):
        expected[i].fit(X, T, 2, seed=0, verbose=False)
    expect_same([found[0], found[2]], [expected[0], expected[2]])


@pytest.mark.parametrize("many", [{"seed": [0, 1]}, {"optimizer": [optimizers.SGD()] * 3}])
def test_lists_that_are_not_for_each(many):
    with pytest.raises(ValueError, match=next(iter(many))):
        fit_many(networks(3), X, T, **many, verbose=False)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"networks": 3}, TypeError, "networks: expected a list"),
        ({"networks": [1]}, TypeError, r"networks\[0\]: expected a network"),
        ({"x": X[:, :2]}, ValueError, "^x: expected at least one sample of 6 features"),
        ({"x": "text"}, TypeError, "^x: expected an array of real numbers"),
        ({"epochs": [1, 1, -1]}, ValueError, r"^networks\[2\]: epochs: expected an integer"),
        ({"batch_size": 0}, ValueError, r"^networks\[0\]: batch_size: expected an integer"),
        ({"n_jobs": 0}, ValueError, "n_jobs: expected an integer of at least 1, or -1"),
        ({"n_jobs": 1.5}, TypeError, "n_jobs: expected an integer"),
        ({"resume": fastnn.fit}, TypeError, "resume: expected a list of 3 histories"),
        ({"callbacks": [Checkpoint("net.npz")]}, TypeError, "expected a list of 3 lists"),
        ({"callbacks": [CSVLogger("net.csv")]}, TypeError, "expected a list of 3 lists"),
        ({"optimizer": "sdg"}, ValueError, "optimizer: expected one of"),
    ],
)
def test_arguments_that_are_refused(change, error, text):
    given = {"networks": networks(3), "x": X, "t": T, "verbose": False}
    with pytest.raises(error, match=text):
        fit_many(**(given | change))
    assert all(network.history is None for network in given["networks"])


def test_networks_that_share_something_are_refused():
    one, two = networks(2)
    with pytest.raises(ValueError, match=r"networks\[2\]: expected another network"):
        fit_many([one, two, one], X, T)
    two.layers["Affine1"] = one.layers["Affine1"]
    with pytest.raises(ValueError, match=r"networks\[1\]: expected a layer Affine1 of its own"):
        fit_many([one, two], X, T)


def test_no_network_and_no_epoch():
    assert fit_many([], X, T) == []
    (history,) = fit_many(networks(1), X, T, epochs=0, verbose=False)
    assert history.epochs == 0


def test_callbacks_of_all_are_copied_for_each():
    stopping = EarlyStopping("loss", patience=1, min_delta=10.0)
    histories = fit_many(networks(3), X, T, epochs=9, callbacks=[stopping], verbose=False)
    assert [history.epochs for history in histories] == [2, 2, 2]
    assert not hasattr(stopping, "history")


def test_warnings_point_to_the_user():
    with pytest.warns(fastnn.DivergenceWarning) as caught:
        fit_many(networks(2), X, T, epochs=9, optimizer=optimizers.SGD(1e30), verbose=False)  # here
    assert len(caught) == 2
    for found in caught:
        assert found.filename == __file__
        assert "# here" in linecache.getline(found.filename, found.lineno)


def test_one_bar_and_a_line_for_each(capsys):
    fit_many(networks(2), X, T, epochs=2)
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line.partition(": loss")[0] for line in lines) == [
        "networks[0]: epoch 2",
        "networks[1]: epoch 2",
    ]
    fit_many(networks(2), X, T, verbose="auto")
    assert capsys.readouterr().out == ""


def test_what_a_callback_trains_meanwhile_is_not_counted(monkeypatch):
    from fastnn.many import progress

    counted = []
    advance = progress.Progress.advance
    monkeypatch.setattr(
        progress.Progress,
        "advance",
        lambda self, count, facts=None: (counted.append(count), advance(self, count, facts))[1],
    )

    class Nested(Callback):
        def on_epoch_end(self, epoch):
            networks(1)[0].fit(X, T, 3, verbose=False)

    fit_many(networks(2), X, T, epochs=2, callbacks=[Nested()], verbose=False)
    of_nested = 2 * 2 * 3 * N
    assert sum(counted) == 2 * 2 * N + of_nested
