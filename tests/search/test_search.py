"""The search for hyper-parameters: what it draws, ends early, keeps, narrows and warns of."""

import json
import logging
import math
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fastnn import MultiLayerNet, optimizers
from fastnn._utils import interrupts
from fastnn.search import (
    BorderWarning,
    Choice,
    Int,
    Log,
    Stage,
    Uniform,
    coarse_to_fine,
    load,
    search,
)
from fastnn.search import _study as backend

# Most trainings here have their best value wherever it falls.
pytestmark = pytest.mark.filterwarnings("ignore::fastnn.search.BorderWarning")

RANGES = {"lr": Log(1e-6, 1e-2), "decay": Log(1e-8, 1e-4)}


def nearness(trial):
    """Stands for a training: 0 at the learning rate of 1e-3."""
    return -abs(math.log10(trial["lr"]) + 3)


def run(train=nearness, ranges=RANGES, trials=20, **options):
    return search(train, ranges, trials, **{"seed": 0, "verbose": False} | options)


def draws(result):
    return [(trial.number, *trial.values.values()) for trial in result]


def at(value):
    """Return a training that reports a value of each trial's rate for ten epochs."""

    def train(trial):
        for _ in range(10):
            if trial.report(value(trial)):
                break

    return train


def learn(trial):
    """Train a network on whether the first of four numbers is positive."""
    x = np.random.default_rng(0).normal(size=(200, 4))
    net = MultiLayerNet(4, [8], 2, seed=0)
    net.fit(
        x, (x[:, 0] > 0).astype(int), trial.epochs, 20, optimizers.SGD(trial["lr"]),
        validation=0.2, callbacks=[trial], verbose=False, seed=0,
    )  # fmt: skip


# Ranges


def test_logarithmic_ranges_are_drawn_alike_in_all_powers_of_ten():
    n = 300
    result = run(lambda trial: 0.0, {"lr": Log(1e-6, 1e-2), "d": Uniform(-1, 3)}, n, pruner=None)
    for values, low, high in (
        (np.log10([trial["lr"] for trial in result]), -6, -2),
        ([trial["d"] for trial in result], -1, 3),
    ):
        shares = np.sort((np.array(values) - low) / (high - low))
        distance = np.abs(shares - (np.arange(n) + 0.5) / n).max()
        assert distance < 1.63 / math.sqrt(n)  # Kolmogorov and Smirnov at 1 %
    correlation = np.corrcoef(
        [math.log(trial["lr"]) for trial in result], [trial["d"] for trial in result]
    )[0, 1]
    assert abs(correlation) < 2.6 / math.sqrt(n)  # 1 % too


def test_integers_and_choices_are_drawn_from_all_there_are():
    ranges = {"n": Int(1, 4), "units": Int(10, 1000, log=True), "o": Choice("SGD", None, 3, True)}
    result = run(lambda trial: 0.0, ranges, 100)
    assert {trial["n"] for trial in result} == {1, 2, 3, 4}
    assert {trial["o"] for trial in result} == {"SGD", None, 3, True}
    units = [trial["units"] for trial in result]
    assert all(isinstance(n, int) for n in units) and 70 < np.median(units) < 140


@pytest.mark.parametrize(
    ("range_", "value", "end"),
    [
        (Log(1e-6, 1e-2), 0.0064, "upper"),  # 5 % of four powers of ten: from 0.00631
        (Log(1e-6, 1e-2), 0.0062, None),
        (Log(1e-6, 1e-2), 1.5e-6, "lower"),
        (Log(1e-6, 1e-2), 1.7e-6, None),
        (Uniform(0, 1), 0.951, "upper"),
        (Uniform(0, 1), 0.949, None),
        (Uniform(0, 1), 0.05, "lower"),
        (Int(1, 5), 5, "upper"),
        (Int(1, 5), 4, None),
        (Int(1, 5), 1, "lower"),
        (Int(16, 1024, log=True), 900, "upper"),
        (Int(16, 1024, log=True), 800, None),
        (Int(3, 3), 3, None),
        (Choice(1, 2, 3), 3, None),
    ],
)
def test_border(range_, value, end):
    assert range_.border(value) == end


def test_narrowed():
    lr = Log(1e-6, 1e-2)
    # A tenth of four powers of ten on each side, with three digits, outward.
    assert lr.narrowed([1e-4, 1e-3, 1e-5]) == Log(3.98e-6, 2.52e-3)
    assert lr.narrowed([1e-4, 1e-6]) == Log(1e-6, 2.52e-4)  # the best is not at that border
    # The best at a border: it comes into the middle, 1.4 powers of ten from both ends.
    assert lr.narrowed([1e-2, 1e-3]) == Log(3.98e-4, 0.252)
    assert lr.narrowed([1e-6, 1e-5]) == Log(3.98e-8, 2.52e-5)
    # Beyond the end where that is not the first range's end, but not beyond that one.
    assert Uniform(0, 0.7).narrowed([0.7, 0.6]) == Uniform(0.53, 0.7)
    assert Uniform(0, 0.5).narrowed([0.5, 0.4], within=Uniform(0, 0.55)) == Uniform(0.35, 0.55)
    assert Uniform(0, 0.5).narrowed([0.5, 0.4], within=Uniform(0, 0.9)) == Uniform(0.35, 0.65)
    assert Log(1e-3, 1).narrowed([0.1], within=Log(1e-3, 1e-2)) == Log(0.0501, 0.2)
    assert Int(1, 9).narrowed([5, 6], 0) == Int(5, 6)
    assert Int(1, 9).narrowed([9, 7], 0.1) == Int(6, 9)
    assert Int(10, 1000, log=True).narrowed([100], 0.5) == Int(10, 1000, log=True)
    assert Choice("a", "b", "c").narrowed(["c", "a", "c"]) == Choice("a", "c")


@given(
    st.lists(st.floats(0, 1), min_size=1),
    st.floats(1e-9, 1e6),
    st.floats(1.001, 1e9),
    st.floats(0.02, 1),
    st.sampled_from([Log, Uniform, Int]),
)
def test_narrowed_keeps_the_good_values(shares, low, factor, margin, kind):
    range_ = kind(*map(math.ceil, (low, low * factor))) if kind is Int else kind(low, low * factor)
    assume(range_.low < range_.high)
    values = [min(max(range_._at(share), range_.low), range_.high) for share in shares]
    if kind is Int:
        values = [round(value) for value in values]
    narrowed = range_.narrowed(values, margin)
    assert all(narrowed.low <= value <= narrowed.high for value in values)
    if range_.border(values[0]) is None:
        assert range_.low <= narrowed.low and narrowed.high <= range_.high
    elif kind is Log:
        assert narrowed.border(values[0]) is None
    # Twice the span at most; rounding moves an end by up to 0.01 sqrt(10) of it.
    assert range_._position(narrowed.low) > -1.04 and range_._position(narrowed.high) < 2.04


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Log(0, 1), ValueError, "low: expected a number above 0, got 0"),
        (lambda: Log(1e-2, 1e-6), ValueError, "high: expected a number above low, 0.01, got 1e-06"),
        (lambda: Log("a", 1), TypeError, "low: expected a number above 0, got 'a'"),
        (lambda: Uniform(0, math.inf), ValueError, "high: expected a finite number, got inf"),
        (lambda: Uniform(math.nan, 1), ValueError, "low: expected a finite number, got nan"),
        (lambda: Uniform(1, 1), ValueError, "high: expected a number above low"),
        (lambda: Int(1.5, 3), TypeError, "low: expected an integer, got 1.5"),
        (lambda: Int(4, 3), ValueError, "high: expected an integer from 4"),
        (lambda: Int(0, 3, log=True), ValueError, "low: expected an integer from 1"),
        (lambda: Choice(), ValueError, "options: expected at least one"),
        (lambda: Choice("a", "a"), ValueError, "options: expected no two alike"),
        (lambda: Choice(1.0, math.nan), ValueError, "options: expected no NaN"),
        (lambda: Choice(optimizers.SGD), TypeError, "options: expected strings, numbers"),
        (lambda: Choice(["relu", "tanh"]), TypeError, r"options: .* Choice\('relu', 'tanh'\), got"),
        (lambda: Choice(("a", 1)), TypeError, r"options: expected .*, Choice\('a', 1\), got"),
        (lambda: Log((1e-4, 1)), TypeError, r"low, high: .* Log\(0.0001, 1\), got \(0.0001, 1\)"),
        (lambda: Uniform([0, 1]), TypeError, r"low, high: .* Uniform\(0, 1\), got \[0, 1\]"),
        (lambda: Int((1, 4)), TypeError, r"low, high: expected two numbers, Int\(1, 4\)"),
        (lambda: Log(1, 2).narrowed([]), ValueError, "values: expected at least one"),
        (lambda: Log(1, 2).narrowed([1], 2), ValueError, "margin: expected"),
        (lambda: Log(1, 2).narrowed([1], within=Int(1, 2)), TypeError, "within: expected a range"),
    ],
)
def test_ranges_that_are_none(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_ranges_read_well():
    ranges = [Log(1e-6, 0.01), Uniform(0, 0.7), Int(1, 5), Int(8, 64, log=True), Choice("a", 1)]
    assert ", ".join(map(repr, ranges)) == (
        "Log(1e-06, 0.01), Uniform(0, 0.7), Int(1, 5), Int(8, 64, log=True), Choice('a', 1)"
    )


# The search


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_the_same_seed_gives_the_same_trials(sampler):
    first, again, other = (run(sampler=sampler, seed=seed) for seed in (1, 1, 2))
    assert draws(first) == draws(again)
    assert [trial.value for trial in first] == [trial.value for trial in again]
    assert not {d[1:] for d in draws(first)} & {d[1:] for d in draws(other)}


def test_without_a_seed_trials_differ():
    assert draws(run(seed=None)) != draws(run(seed=None))


def test_tpe_looks_where_good_trials_were():
    spread = {
        sampler: np.median([abs(trial.value) for trial in run(trials=40, sampler=sampler)][20:])
        for sampler in ("random", "tpe")
    }
    assert spread["tpe"] < 0.5 * spread["random"]


def test_best_and_top():
    result = run()
    values = sorted((trial.value for trial in result), reverse=True)
    assert result.best.value == values[0]
    assert [trial.value for trial in result.top(3)] == values[:3]
    assert len(result.top(50)) == len(result) == 20
    loss = run(lambda trial: -nearness(trial), metric="my_loss")
    assert loss.best.values == result.best.values
    assert run(lambda t: -nearness(t), metric="cost", maximize=False).best == loss.best


@pytest.mark.parametrize(("score", "value"), [("last", 0.25), ("best", 0.75)])
def test_score(score, value):
    def train(trial):
        for reported in (0.5, 0.75, 0.25):
            trial.report(reported, loss=1 - reported)

    trial = run(train, trials=1, score=score).best
    assert trial.value == value
    assert trial.curves == {"val_accuracy": [0.5, 0.75, 0.25], "loss": [0.5, 0.25, 0.75]}


def test_a_network_reports_by_the_callback():
    result = run(learn, {"lr": Log(1e-4, 1)}, 6, epochs=4, pruner=None)
    assert result.best["lr"] > 1e-2
    assert set(result.best.curves) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(len(curve) == 4 for trial in result for curve in trial.curves.values())
    assert all(trial.value == trial.curves["val_accuracy"][-1] for trial in result)
    by_loss = run(learn, {"lr": Log(1e-4, 1)}, 6, epochs=4, pruner=None, metric="val_loss")
    assert by_loss.best.value == min(trial.curves["val_loss"][-1] for trial in result)


def test_a_trial_that_diverges_is_bad_but_not_the_end():
    result = run(learn, {"lr": Log(0.01, 1e9)}, 12, epochs=6, sampler="tpe")
    states = {trial.state for trial in result}
    assert {"complete", "diverged"} <= states and len(result) == 12
    for trial in result:
        if trial.state == "diverged":
            assert math.isnan(trial.value) and trial.epochs < 6
            assert not all(math.isfinite(c[-1]) for c in trial.curves.values())
    assert not any(trial.state == "diverged" for trial in result.top(12))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_values_that_cannot_be_used_may_be_returned(bad):
    result = run(lambda trial: bad if trial["lr"] > 1e-4 else nearness(trial))
    assert result.best["lr"] <= 1e-4
    assert {t.state for t in result if t["lr"] > 1e-4} == {"diverged"}


def test_when_all_diverge():
    result = run(lambda trial: math.nan, trials=3)
    with pytest.raises(ValueError, match=r"no result: 3 trials \(3 diverged\)"):
        _ = result.best
    assert result.border == [] and "3 diverged" in str(result)
    with pytest.raises(ValueError, match="no result"):
        result.narrowed()


# Early ends


@pytest.mark.parametrize("pruner", ["median", "halving"])
def test_bad_trials_are_ended_early(pruner):
    train = at(lambda trial: trial["lr"])
    result = run(train, trials=40, pruner=pruner, min_epochs=2, epochs=10)
    ends = {trial.epochs for trial in result if trial.state == "pruned"}
    assert ends and ends <= {2, 4, 8}
    assert all(trial.epochs == 10 for trial in result if trial.state == "complete")
    best = max(result, key=lambda trial: trial["lr"])
    assert result.best == best and best.state == "complete"
    without = run(train, trials=40, pruner=None, epochs=10)
    assert draws(without) == draws(result)
    assert sum(t.epochs for t in result) < 0.6 * sum(t.epochs for t in without) == 0.6 * 400


def test_no_trial_is_ended_before_the_first_look_or_at_its_last_epoch():
    train = at(lambda trial: trial["lr"])
    for min_epochs, epochs in ((11, None), (10, 10)):
        result = run(train, trials=20, min_epochs=min_epochs, epochs=epochs)
        assert all(trial.state == "complete" for trial in result)


def test_pruned_trials_come_after_whole_ones():
    def train(trial):  # high rates rise and fall, others are ended before
        high = trial["lr"] > 1e-4
        for value in (0.5, 0.1) if high else (0.3, 0.3):
            if trial.report(value):
                break

    result = run(train, trials=40, min_epochs=1)
    states = [trial.state for trial in result.top(40)]
    n = states.count("complete")
    assert states == ["complete"] * n + ["pruned"] * (40 - n) and 5 < n < 40
    assert {trial.value for trial in result if trial.state == "pruned"} == {0.3}
    last = result.top(n)[-1]
    early = [trial["lr"] for trial in result.top(40) if trial.state == "pruned"]
    assert last.value == 0.1 and max(early) <= 1e-4
    assert result.narrowed(keep=40, margin=0)["lr"].low == pytest.approx(
        min(trial["lr"] for trial in result.top(n)), rel=0.01
    )


def test_a_training_of_a_network_is_ended():
    result = run(learn, {"lr": Log(1e-9, 1)}, 20, epochs=8, min_epochs=2)
    pruned = [trial for trial in result if trial.state == "pruned"]
    assert pruned and all(trial.epochs in (2, 4) for trial in pruned)
    assert max(trial.value for trial in pruned) < result.best.value


# Borders


def test_border_warning_names_the_value_the_end_and_what_to_do():
    with pytest.warns(BorderWarning) as caught:
        result = run(lambda trial: trial["lr"])
    (border,) = result.border
    assert border.name == "lr" and border.end == "upper" and border.value == result.best["lr"]
    (warning,) = caught
    assert warning.filename == __file__
    assert str(warning.message) == str(border)
    for part in ("lr", f"{border.value:.3g}", "upper", "Log(1e-06, 0.01)", "further"):
        assert part in str(warning.message)
    assert str(border) in str(result)


@pytest.mark.filterwarnings("error::fastnn.search.BorderWarning")
def test_no_border_warning_for_a_best_value_inside():
    assert run().border == []


# Files


def test_a_file_resumes(tmp_path):
    calls = []

    def train(trial):
        calls.append(trial.number)
        return nearness(trial)

    path = tmp_path / "trials.log"
    run(train, trials=4, storage=path)
    result = run(train, trials=10, storage=path)
    assert calls == list(range(10)) and len(result) == 10
    assert draws(result) == draws(run(trials=10))
    assert len(run(train, trials=10, storage=path)) == 10 and len(calls) == 10


@pytest.mark.slow
@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_was_interrupted_is_done_again(error, sampler, tmp_path):
    calls = []

    def train(trial):
        calls.append(dict(trial.values))
        if len(calls) in (15, 16):
            raise error("a bug")
        return nearness(trial)

    path = tmp_path / "trials.log"
    for _ in range(2):
        with pytest.raises(error, match="a bug"):
            run(train, storage=path, sampler=sampler)
    resumed = run(train, storage=path, sampler=sampler)
    assert calls[14] == calls[15] == calls[16] and len(calls) == 22
    assert draws(resumed) == draws(run(sampler=sampler))


def test_a_killed_process_leaves_no_hole(tmp_path):
    path = tmp_path / "trials.log"
    run(trials=3, storage=path)
    study = load(path).study
    study.ask()  # somebody begins a trial, and never ends it
    result = run(trials=6, storage=path)
    assert len(result) == 6
    assert [trial.number for trial in result] == [0, 1, 2, 4, 5, 6]


def test_a_process_that_is_killed_leaves_no_file_but_the_lock(tmp_path, monkeypatch):
    path = tmp_path / "trials.log"
    unlink = os.unlink

    def killed(file, **options):
        raise SystemExit

    def train(trial):
        monkeypatch.setattr(os, "unlink", killed)  # what comes next removes the lock
        return nearness(trial)

    with pytest.raises(SystemExit):
        search(train, RANGES, trials=1, storage=path, verbose=False)
    monkeypatch.setattr(os, "unlink", unlink)
    assert {file.name for file in tmp_path.iterdir()} == {"trials.log", "trials.log.lock"}


def test_ctrl_c_between_a_trial_and_its_note_loses_no_trial(tmp_path, monkeypatch):
    path = tmp_path / "trials.log"
    held = interrupts.held
    calls = []

    def interrupted():
        calls.append(None)
        if len(calls) == 4:  # the second trial was asked for, and has been trained
            raise KeyboardInterrupt
        return held()

    monkeypatch.setattr(interrupts, "held", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(trials=3, storage=path)
    monkeypatch.setattr(interrupts, "held", held)
    assert draws(run(trials=3, storage=path)) == draws(run(trials=3))


@pytest.mark.parametrize("left", [-10, 30, 5])
def test_a_file_that_was_cut_off_goes_on(left, tmp_path):
    """As a full disk, or a loss of power, leaves it."""
    path = tmp_path / "trials.log"
    whole = run(trials=3, storage=path)
    whole_file = path.read_bytes()
    path.write_bytes(whole_file[:left])
    if left < 0:  # else the first line is not whole
        assert len(load(path)) == 2
        assert path.read_bytes() == whole_file[:left]  # looking changes nothing
    result = run(trials=6, storage=path)
    assert len(result) == len(load(path)) == 6
    assert set(draws(whole)[:2]) < set(draws(result))
    assert not list(tmp_path.glob("*.lock*"))


def test_a_search_goes_on_after_a_line_that_another_process_left(tmp_path):
    path = tmp_path / "trials.log"

    def train(trial):
        if trial.number == 1:
            with open(path, "a") as file:
                file.write('{"op_code":5,"wor')
        return nearness(trial)

    assert draws(run(train, trials=4, storage=path)) == draws(run(trials=4))
    assert len(load(path)) == 4


def test_a_damaged_file_is_named_with_the_line(tmp_path):
    path = tmp_path / "trials.log"
    run(trials=2, storage=path)
    lines = path.read_text().splitlines(keepends=True)
    lines[5] = lines[5][:-20] + "\n"
    path.write_text("".join(lines))
    for call in (lambda: run(storage=path), lambda: load(path)):
        with pytest.raises(
            ValueError,
            match=r"^storage: .*trials.log is damaged in line 6: remove that line and those",
        ):
            call()
    path.write_text("".join(lines[:5]))
    assert len(run(trials=2, storage=path)) == 2


def change(log, path, value):
    """Return a line of a journal with another value at a path, or without one if that is `...`."""
    log = json.loads(log)
    owner, name = log, path[-1]
    for key in path[:-1]:
        # Of attributes of fastnn, whose names end in a random number.
        owner = owner[key] if key in owner else next(iter(owner.values()))
    if value is ...:
        del owner[name]
    else:
        owner[name] = value
    return json.dumps(log)


SETTINGS, KEPT = ("user_attr", "settings"), ("user_attr", "fastnn_trial")


@pytest.mark.parametrize(
    ("op_code", "path", "value", "text"),
    [
        (0, ("directions",), [7], r"is damaged in line 1: remove .*\(ValueError"),
        (0, ("directions",), [], r"search 'search' is damaged: directions: expected MAXIMIZE"),
        (0, ("directions",), [1], r"search 'search' is damaged: directions: expected MAXIMIZE"),
        (0, ("directions",), [2, 2], r"search 'search' is damaged: directions: expected MAXIMIZE"),
        (0, ("study_name",), ..., r"is damaged in line 1: remove .*\(KeyError: 'study_name'"),
        (0, ("study_name",), 1, r"is damaged in line 1: remove .*study_name: expected"),
        (1, ("op_code",), 99, r"is damaged in line \d+: remove .*\(AssertionError"),
        (4, ("datetime_start",), "noon", r"is damaged in line \d+: remove .*\(ValueError"),
        (5, ("distribution",), "[]", r"is damaged in line \d+: remove .*\(TypeError"),
        (5, ("param_value_internal",), "x", "."),
        (5, ("param_value_internal",), -5.0, "trial 0 is damaged: values.*: expected a value of"),
        (6, ("state",), 9, r"is damaged in line \d+: remove .*\(ValueError"),
        (2, ("user_attr",), {"fastnn_settings_": 3}, "'search' is damaged: settings: .*got 3"),
        (2, (*SETTINGS, "metric"), 3, "settings.metric: expected a string, got 3"),
        (2, (*SETTINGS, "maximize"), ..., "settings: expected .*; maximize is missing"),
        (2, (*SETTINGS, "score"), "best of all", "settings.score: expected one of last, best"),
        (2, (*SETTINGS, "epochs"), -1, "settings.epochs: expected an integer from 1"),
        (2, (*SETTINGS, "extra"), 1, "settings: .*got 'extra' too"),
        (2, (*SETTINGS, "ranges", "lr"), ["Log", 3, 1], r"ranges\['lr'\]: high: expected a number"),
        (2, (*SETTINGS, "ranges", "lr"), ["_Span", 3], r"ranges\['lr'\]: expected one of Choice"),
        (2, (*SETTINGS, "ranges", "lr"), ["Log"], r"ranges\['lr'\]: .*missing"),
        (2, (*SETTINGS, "ranges", "lr"), 5, r"ranges\['lr'\]: expected a list, got 5"),
        (8, ("user_attr",), {"other": 1}, "trial 0 is damaged: trial: expected a dict, got None"),
        (8, (*KEPT, "state"), "lost", "trial 0 is damaged: trial.state: expected one of complete"),
        (8, (*KEPT, "number"), 0.5, "trial.number: expected an integer, got 0.5"),
        (8, (*KEPT, "value"), "much", "trial.value: expected a number, got 'much'"),
        (8, (*KEPT, "curves"), {"loss": 1}, r"trial.curves\['loss'\]: expected a list, got 1"),
        (8, (*KEPT, "curves"), ..., "trial: expected .*; curves is missing"),
    ],
)  # fmt: skip
def test_a_line_that_is_json_and_yet_damaged(op_code, path, value, text, tmp_path):
    storage = tmp_path / "trials.log"
    run(trials=2, storage=storage)
    lines = storage.read_text().splitlines()
    code = 0 if op_code == 1 else op_code
    place = next(i for i, line in enumerate(lines) if json.loads(line)["op_code"] == code)
    lines[place] = change(lines[place], path, value)
    storage.write_text("".join(f"{line}\n" for line in lines))
    before = storage.read_bytes()
    for call in (lambda: load(storage), lambda: run(trials=3, storage=storage)):
        with pytest.raises(ValueError, match=f"^storage: .*trials.log.*{text}"):
            call()
        storage.write_bytes(before)


def test_a_line_that_is_no_text(tmp_path):
    storage = tmp_path / "trials.log"
    run(trials=2, storage=storage)
    lines = storage.read_bytes().splitlines(keepends=True)
    for line in (b"[]\n", b"3\n", b'"\xff"\n', b"null\n", b"[" * 10**5 + b"\n"):
        storage.write_bytes(b"".join([*lines[:3], line, *lines[4:]]))
        with pytest.raises(ValueError, match="^storage: .*trials.log is damaged in line 4: remove"):
            load(storage)


def test_showing_the_best_looks_at_each_trial_once(monkeypatch, capsys):
    seen, finished = [], backend._finished
    monkeypatch.setattr(
        backend, "_finished", lambda trial, ranges: seen.append(0) or finished(trial, ranges)
    )
    assert len(run(trials=20, verbose=True)) == len(seen) == 20
    assert "best" in capsys.readouterr().err


def test_all_is_in_the_file(tmp_path):
    path = tmp_path / "trials.log"

    def train(trial):
        trial.report(nearness(trial), loss=math.nan if trial.number == 2 else 0.5)

    result = run(train, storage=path, trials=5)
    loaded = load(path)
    assert [repr(trial) for trial in loaded] == [repr(trial) for trial in result]
    assert [trial.curves for trial in loaded.top(5)] == [trial.curves for trial in result.top(5)]
    assert str(loaded) == str(result) and loaded.ranges == RANGES
    for line in path.read_text().splitlines():
        json.loads(line)  # text, no pickle


PROCESS = """
    import sys, time
    from pathlib import Path
    from fastnn.search import Log, Uniform, search

    folder, me, seed = Path(sys.argv[1]), sys.argv[2], eval(sys.argv[3])
    count = 0

    def train(trial):
        global count
        count += 1
        (folder / f"training-{me}").touch()
        while len(list(folder.glob("training-*"))) < 2:  # each has one, however late it started
            time.sleep(0.01)
        time.sleep(0.01)
        return trial["d"]

    ranges = {"lr": Log(1e-6, 1e-2), "d": Uniform(0, 1)}
    result = search(train, ranges, 30, seed=seed, storage=folder / "trials.log", verbose=False)
    print(count, len(result))
"""


@pytest.mark.slow
def test_two_processes_share_a_file(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(PROCESS), str(tmp_path)]
    both = [
        subprocess.Popen([*command, str(i), "7"], stdout=subprocess.PIPE, text=True)
        for i in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    counts = [int(output.split()[0]) for output in outputs]
    result = load(tmp_path / "trials.log")
    assert min(counts) > 0
    assert sum(counts) == len(result) and len(result) in (30, 31)  # the other one's last trial
    # None lost, none alike, and the same ones as by one process.
    alone = search(
        lambda trial: trial["d"], result.ranges, len(result), seed=7, pruner=None, verbose=False,
    )  # fmt: skip
    assert draws(result) == draws(alone)


def test_processes_agree_on_the_ranges_of_the_next_stage(tmp_path):
    path = tmp_path / "trials.log"
    first, other = run(storage=path, trials=5), load(path)
    mine, theirs = first.narrowed(1), first.narrowed(5)
    assert mine != theirs
    assert backend.narrowed_once(first, mine) == backend.narrowed_once(other, theirs) == mine


def test_a_file_of_something_else_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("notes")
    with pytest.raises(ValueError, match="storage: .*notes.txt is a file of something else"):
        run(storage=path)
    assert path.read_text() == "notes"
    with pytest.raises(FileNotFoundError, match="storage: there is no folder"):
        run(storage=tmp_path / "none" / "trials.log")
    with pytest.raises(IsADirectoryError, match="storage: expected a file"):
        run(storage=tmp_path)


@pytest.mark.parametrize(
    "options",
    [
        {"ranges": {"lr": Log(1e-6, 1), "decay": Log(1e-8, 1e-4)}},
        {"ranges": {"lr": Log(1e-6, 1e-2)}},
        {"metric": "val_loss"},
        {"epochs": 3},
        {"score": "best"},
    ],
)
def test_another_search_needs_another_name(options, tmp_path):
    path = tmp_path / "trials.log"
    run(storage=path, trials=3)
    with pytest.raises(ValueError, match="another name or file"):
        run(storage=path, trials=3, **options)
    assert len(load(path)) == 3
    assert len(run(storage=path, trials=2, name="second", **options)) == 2
    assert len(load(path)) == 3


def test_load_says_what_there_is(tmp_path):
    path = tmp_path / "trials.log"
    with pytest.raises(FileNotFoundError, match="storage: there is no file"):
        load(path)
    run(storage=path, trials=1, name="mine")
    with pytest.raises(ValueError, match="name: expected one of mine, .*log, got 'search'"):
        load(path)


# Stages


def test_coarse_to_fine():
    epochs = []

    def train(trial):
        epochs.append(trial.epochs)
        return -abs(math.log10(trial["lr"]) + 1.5)  # the best rate lies beyond the range

    stages = [Stage(20, 1), Stage(10, 5, sampler="tpe"), Stage(10, 20)]
    results = coarse_to_fine(train, RANGES, stages, seed=0, verbose=False)
    assert epochs == [1] * 20 + [5] * 10 + [20] * 10
    assert [result.name for result in results] == ["search-1", "search-2", "search-3"]
    rates = [result.ranges["lr"] for result in results]
    assert rates[0] == RANGES["lr"]
    assert results[0].border[0].end == "upper" and rates[1].high > 10**-1.5
    assert rates[1] == results[0].narrowed()["lr"]
    spans = [math.log10(r.high / r.low) for r in rates]
    assert spans[0] > spans[1] > spans[2]
    assert rates[2].low < 10**-1.5 < rates[2].high
    assert abs(results[-1].best.value) < 0.1 < abs(results[0].best.value)


def test_a_stage_may_go_back_towards_the_first_ranges_but_not_beyond():
    def train(trial):  # few epochs mislead
        return -abs(trial["d"] - (0.5 if trial.epochs == 1 else 1))

    finer = Stage(20, 2)
    with pytest.warns(BorderWarning) as caught:
        results = coarse_to_fine(
            train, {"d": Uniform(0, 1)}, [Stage(20, 1), finer, finer, finer, finer],
            keep=1, margin=0.3, seed=1, verbose=False,
        )  # fmt: skip
    highs = [result.ranges["d"].high for result in results]
    assert highs[1] < 0.8 and highs[1:] == sorted(highs[1:])
    assert highs[-1] == 1 and results[-1].best["d"] > 0.95
    assert len(caught) == 1 and results[-2].border  # it warns of the last stage alone
    assert caught[0].filename == __file__


def test_stages_resume_and_print(tmp_path, capsys):
    path = tmp_path / "trials.log"
    stages = [Stage(6), Stage(4)]

    def train(trial):
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        return nearness(trial)

    left = 9
    with pytest.raises(KeyboardInterrupt):
        coarse_to_fine(train, RANGES, stages, seed=0, storage=path, verbose=False)
    left = 100
    results = coarse_to_fine(train, RANGES, stages, seed=0, storage=path)
    assert left == 100 - 2
    printed = capsys.readouterr()
    assert all(f"search-{i}: " in printed.out for i in (1, 2))
    assert repr(results[1].ranges["lr"]) in printed.out and "4/4 trials" in printed.err
    whole = coarse_to_fine(nearness, RANGES, stages, seed=0, verbose=False)
    assert [draws(result) for result in results] == [draws(result) for result in whole]
    assert load(path, "search-2").ranges == results[1].ranges


# Errors


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"train": 3}, TypeError, "train: expected a function"),
        ({"ranges": {}}, TypeError, "ranges: expected a dict"),
        ({"ranges": {"lr": (1e-6, 1e-2)}}, TypeError, "ranges: lr: expected Log, Uniform, Int"),
        ({"ranges": {"lr": (1e-6, 1)}}, TypeError, r"; as Log\(1e-06, 1\) or Uniform\(1e-06, 1\)"),
        ({"ranges": {"a": ["relu", "tanh"]}}, TypeError, r"; as Choice\('relu', 'tanh'\)$"),
        ({"ranges": {"lr": 0.1}}, TypeError, r"or Choice\(0.1\)$"),
        ({"ranges": {1: Log(1, 2)}}, TypeError, "ranges: expected names, got 1"),
        ({"trials": 0}, ValueError, "trials: expected an integer from 1"),
        ({"epochs": 0}, ValueError, "epochs: expected an integer from 1"),
        ({"sampler": "grid"}, ValueError, "sampler: expected one of random, tpe, got 'grid'"),
        ({"pruner": "all"}, ValueError, "pruner: expected one of median, halving, got 'all'"),
        ({"score": "mean"}, ValueError, "score: expected one of last, best"),
        ({"min_epochs": 0}, ValueError, "min_epochs: expected an integer from 1"),
        ({"seed": -1}, ValueError, "seed: expected an integer from 0"),
        ({"metric": None}, TypeError, "metric: expected a string, got None"),
    ],
)
def test_errors(options, error, message, tmp_path):
    path = tmp_path / "trials.log"
    with pytest.raises(error, match=message):
        run(storage=path, **options)
    assert not path.exists()


@pytest.mark.parametrize(
    ("train", "options", "error", "message"),
    [
        (lambda trial: None, {}, TypeError, "train: expected it to report to its trial"),
        (lambda trial: "good", {}, TypeError, "train: expected it to return a number or nothing"),
        (lambda trial: trial.report("0.5"), {}, TypeError, "val_accuracy: expected a number"),
        (lambda trial: trial.report(1, loss=None), {}, TypeError, "loss: expected a number"),
        (lambda trial: trial["rate"], {}, KeyError, "'rate': this search has lr, decay"),
        (lambda trial: trial.epochs, {}, ValueError, "started without epochs="),
        (learn, {"epochs": 1, "metric": "f1"}, ValueError, "metric of the search: expected one of"),
    ],
)
def test_errors_of_the_training(train, options, error, message):
    with pytest.raises(error, match=message):
        run(train, **options)


@pytest.mark.parametrize("stages", [[], None, [3]])
def test_errors_of_stages(stages):
    with pytest.raises(TypeError, match="stages: expected"):
        coarse_to_fine(nearness, RANGES, stages)
    with pytest.raises(TypeError, match="^epochs: expected in each Stage"):
        coarse_to_fine(nearness, RANGES, [Stage(2)], epochs=3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Stage(0), "trials: expected an integer from 1"),
        (lambda: Stage(5, pruner="all"), "pruner: expected one of median, halving"),
        (lambda: coarse_to_fine(None, RANGES, [Stage(1)], margin=2), "margin: expected"),
        (lambda: coarse_to_fine(None, RANGES, [Stage(1)], keep=0), "keep: expected"),
        (lambda: run(trials=1).narrowed(within={"lr": Log(1, 2)}), "within: expected ranges of lr"),
        (lambda: run(trials=1).top(0), "n: expected an integer from 1"),
    ],
)
def test_errors_come_before_the_first_trial(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_without_optuna(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    for call in (run, lambda: load(tmp_path)):
        with pytest.raises(ImportError, match=r'pip install "optuna>=\S+"$'):
            call()


@pytest.mark.slow
def test_optuna_is_imported_by_searches_alone():
    code = "import sys, fastnn, fastnn.search; sys.exit('optuna' in sys.modules)"
    folder = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=folder).returncode == 0


def test_optuna_does_not_print_a_line_for_each_trial():
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = logging.getLogger("optuna")
    before = logger.level
    logger.addHandler(handler)
    try:
        run()
    finally:
        logger.removeHandler(handler)
    assert not records and logger.level == before


def test_a_result_reads_well(capsys):
    result = run(at(nearness), trials=30, min_epochs=2, epochs=10)
    text = str(result)
    lines = text.splitlines()
    assert lines[0].startswith("search: 30 trials (") and "pruned" in lines[0]
    assert "lr Log(1e-06, 0.01), decay Log(1e-08, 0.0001)" in lines[0]
    assert [line.split(" ")[0] for line in lines[1:6]] == [f"Best-{i}" for i in range(1, 6)]
    best = result.best
    assert f"(val_accuracy {best.value:.4g}) | lr {best['lr']:.3g}, decay" in lines[1]
    assert "best val_accuracy" in repr(result)
    assert capsys.readouterr() == ("", "")
