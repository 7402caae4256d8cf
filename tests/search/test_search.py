"""The search for hyper-parameters: what it draws, ends early, keeps, narrows and warns of."""

import logging
import math
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import searching
from searching import RANGES, at, draws, learn, nearness, run

from fastnn.search import BorderWarning, Log, Stage, Uniform, coarse_to_fine, load

# Most trainings here have their best value wherever it falls.
pytestmark = pytest.mark.filterwarnings("ignore::fastnn.search.BorderWarning")


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
    assert warning.filename == searching.__file__  # which calls it
    assert str(warning.message) == str(border)
    for part in ("lr", f"{border.value:.3g}", "upper", "Log(1e-06, 0.01)", "further"):
        assert part in str(warning.message)
    assert str(border) in str(result)


@pytest.mark.filterwarnings("error::fastnn.search.BorderWarning")
def test_no_border_warning_for_a_best_value_inside():
    assert run().border == []


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


# Several trials at the same time


def test_the_same_values_in_several_threads():
    alone = run(learn, {"lr": Log(1e-4, 1)}, 12, epochs=2, pruner=None)
    names = set()

    def train(trial):
        names.add(threading.current_thread().name)
        time.sleep(0.01)
        return learn(trial)

    found = run(train, {"lr": Log(1e-4, 1)}, 12, epochs=2, pruner=None, n_jobs=3)
    assert draws(found) == draws(alone) and len(found) == 12
    assert [trial.curves for trial in found] == [trial.curves for trial in alone]
    assert names == {"fastnn-job-1", "fastnn-job-2", "fastnn-job-3"}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_of_one_trial_gives_all_that_run_back(tmp_path, error):
    both, path = threading.Barrier(2), tmp_path / "search.journal"

    def train(trial):
        both.wait(10)
        if trial.number == 1:
            raise error("in trial 1")
        while True:  # until it is ended
            learn(trial)

    options = {"ranges": {"lr": Log(1e-4, 1)}, "trials": 4, "epochs": 1, "storage": path}
    with pytest.raises(error):
        run(train, **options, n_jobs=2)
    assert len(load(path)) == 0
    assert draws(run(learn, **options)) == draws(run(learn, **(options | {"storage": None})))


def test_n_jobs_is_checked():
    with pytest.raises(ValueError, match="n_jobs: expected an integer of at least 1, or -1"):
        run(n_jobs=0)
