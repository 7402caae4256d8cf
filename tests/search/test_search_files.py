"""Searches that are kept in a file: they go on, and processes share them."""

import json
import math
import os
import subprocess
import sys
import textwrap

import pytest
from searching import RANGES, draws, nearness, run

from fastnn._utils import interrupts
from fastnn.search import Log, load, search
from fastnn.search import _study as backend

# Most trainings here have their best value wherever it falls.
pytestmark = pytest.mark.filterwarnings("ignore::fastnn.search.BorderWarning")


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
