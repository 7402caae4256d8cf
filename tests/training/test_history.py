"""The parts of a history, and files and pickles from before it had any."""

import copy
import dataclasses
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fastnn import MultiLayerNetExtend, optimizers, schedules
from fastnn.callbacks import load_checkpoint
from fastnn.fit import History

# A checkpoint after the third epoch of `trained`, and a pickle of its history without averages,
# from before the modules of training stood in a folder.
DATA = Path(__file__).parent / "data"

SETTINGS = {
    "samples": 9, "batch_size": 5, "seed": 7, "shuffle": True, "clip_value": 1.0,
    "clip_norm": 2.0, "ema": 0.9, "scheduled": True,
}  # fmt: skip


def network():
    return MultiLayerNetExtend(
        2, [4], 3, use_batchnorm=True, use_dropout=True, dropout_ration=0.25, seed=0
    )


def fit(net, epochs=3, **settings):
    x = (np.arange(24).reshape(12, 2) % 7 / 7).astype(np.float32)
    return net.fit(x, np.arange(12) % 3, epochs, 5, validation=0.25, verbose=False, **settings)


def trained():
    return fit(
        network(), optimizer=optimizers.Adam(0.01), schedule=schedules.cosine(epochs=5),
        clip_value=1.0, clip_norm=2.0, ema=0.9, seed=7,
    )  # fmt: skip


def pickled():
    return pickle.loads((DATA / "history.pickle").read_bytes())


def expect_settings(history):
    assert {name: getattr(history, name) for name in SETTINGS} == SETTINGS
    steps = np.arange(12)
    np.testing.assert_array_equal(
        schedules.in_steps(history.schedule, history.steps_per_epoch)(steps),
        schedules.cosine(10)(steps),
    )


def expect_same(one, other):
    assert one == other and repr(one) == repr(other)
    assert one.averages.keys() == other.averages.keys()
    for key, average in one.averages.items():
        np.testing.assert_array_equal(average, other.averages[key])


def test_a_checkpoint_from_before_parts_is_loaded():
    net = network()
    history = load_checkpoint(DATA / "checkpoint.npz", net)
    expect_settings(history)
    assert history == pickled() and repr(history) == repr(pickled())
    assert history.averages.keys() == net.params.keys()
    assert (history.route, history.reason) == ("layers", "the backend is numpy")
    assert (history.epochs, history.elapsed, len(history.step_hits)) == (3, 0.0, 6)
    assert history.metrics == ("loss", "accuracy", "val_loss", "val_accuracy")
    assert isinstance(history.optimizer, optimizers.Adam) and history.optimizer.iter == 6
    losses = list(history.loss)
    assert fit(net, 5, resume=history) is history
    assert history.loss[:3] == losses and history.epochs == 5
    assert history.lr[3:] == (0.01 * schedules.cosine(10)(np.array([7, 9]))).tolist()


def test_attributes_are_set_in_the_parts_that_have_them():
    history = trained()
    for name, value in {"seed": 3, "ema": 0.5, "schedule": None}.items():
        setattr(history, name, value)
        assert getattr(history, name) == getattr(history.settings, name) == value
    for name, value in {"elapsed": 2.5, "averages": None, "optimizer": None}.items():
        setattr(history, name, value)
        assert getattr(history, name) == getattr(history.state, name) == value
    assert copy.deepcopy(history) == history


def test_a_pickle_from_before_parts_is_loaded():
    history = pickled()
    expect_settings(history)
    assert history.epochs == 3 and history.optimizer is None


def test_copies_have_an_optimizer_of_their_own():
    history = trained()
    assert history.optimizer is not None
    for copied in (pickle.loads(pickle.dumps(history)), copy.deepcopy(history)):
        expect_same(copied, history)
        expect_settings(copied)
        assert copied.optimizer is not history.optimizer and copied.owner is None
        assert vars(copied.optimizer).keys() == vars(history.optimizer).keys()
        assert copied.optimizer.iter == history.optimizer.iter
        copied.loss.append(0.0)
    assert history.epochs == 3


def test_a_history_with_other_attributes():
    history = trained()
    same = dataclasses.replace(history)
    assert same == history and same.optimizer is history.optimizer and same.owner is history.owner
    other = dataclasses.replace(history, route="layers", loss=[1.0], batch_size=7, elapsed=0.5)
    assert (other.route, other.loss, other.batch_size, other.elapsed) == ("layers", [1.0], 7, 0.5)
    assert (other.seed, other.val_loss) == (history.seed, history.val_loss)
    assert history.batch_size != 7 and history.elapsed != 0.5 and history.route != "layers"
    with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
        dataclasses.replace(history, nothing=1)
    with pytest.raises(TypeError, match="missing .* 'seed'"):
        History(history.metrics, 10, 5)


def test_attributes_of_the_parts_are_those_of_the_history():
    history = trained()
    for part in (history.settings, history.state):
        for name, value in vars(part).items():
            assert getattr(history, name) is value


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", 8), ("ema", None), ("elapsed", 1.0), ("route", "other"), ("step_hits", [1])],
)
def test_histories_that_differ(name, value):
    facts = trained().facts()
    assert History(**facts) == History(**facts)
    assert History(**{**facts, name: value}) != History(**facts)


def test_schedules_and_averages_are_not_compared():
    facts = trained().facts()
    others = {"schedule": schedules.exponential(1), "averages": None, "optimizer": object()}
    assert History(**{**facts, **others}) == History(**facts)


def test_a_name_that_no_part_has():
    with pytest.raises(TypeError, match="momentum"):
        History(("loss",), 3, 2, 0, momentum=0.9)


def test_settings_stay_as_they_are():
    history = trained()
    before = history.settings
    fit_again = network()
    fit_again.params["W1"][...] = 0
    with pytest.raises(ValueError, match="^resume: expected a history with metrics"):
        fit_again.fit(np.ones((3, 2)), [0, 1, 2], 9, 5, ema=0.5, resume=history)
    assert history.settings is before
    fit(fit_again, 3, ema=0.5, resume=history)
    assert history.settings == replace(before, ema=0.5) and before.ema == 0.9
