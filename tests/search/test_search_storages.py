"""Searches in databases, by several processes: one that dies, a database that goes away."""

import contextlib
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading

import optuna
import pytest
from postgres import server, until
from searching import RANGES, draws, nearness, run

from fastnn.search import _life, load
from fastnn.search._storage import open_storage

pytestmark = pytest.mark.filterwarnings("ignore::fastnn.search.BorderWarning")
TrialState = optuna.trial.TrialState


@contextlib.contextmanager
def sqlite(folder):
    yield f"sqlite:///{folder}/search.db"


@contextlib.contextmanager
def postgres(folder):
    with server() as found:
        yield found.url


KINDS = [sqlite, postgres]


@pytest.fixture
def url(request, tmp_path):
    with request.param(tmp_path) as found:
        yield found


def states(url, name="search"):
    storage = open_storage(url)
    try:
        trials = optuna.load_study(study_name=name, storage=storage).get_trials()
    finally:
        storage.engine.dispose()
    return [trial.state.name for trial in sorted(trials, key=lambda trial: trial.number)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("url", KINDS, indirect=True)
def test_a_database_keeps_what_memory_does(url):
    found = run(trials=4, storage=url)
    assert draws(found) == draws(run(trials=4))
    assert draws(run(trials=7, storage=url, n_jobs=2)) == draws(run(trials=7))
    assert draws(load(url)) == draws(run(trials=7))
    with pytest.raises(ValueError, match="has the search 'search' with .*give this search another"):
        run(trials=8, storage=url, epochs=3)
    with pytest.raises(ValueError, match="name: expected one of search, which are in .*, got 'no'"):
        load(url, "no")
    assert [t.name for t in threading.enumerate() if t.name == "fastnn-heartbeat"] == []


def test_any_storage_of_optuna():
    storage = optuna.storages.InMemoryStorage()
    run(trials=3, storage=storage)
    assert draws(run(trials=5, storage=storage)) == draws(run(trials=5))
    assert draws(load(storage)) == draws(run(trials=5))


@pytest.mark.parametrize("end", ["report", "return", "raise"])
def test_a_trial_that_others_took_for_dead_is_dropped(end):
    """It was queued again by them; here only its own result goes."""
    storage = optuna.storages.InMemoryStorage()

    def train(trial):
        if trial.number == 1 and end is not None:
            others = optuna.load_study(study_name="search", storage=storage)
            others.tell(1, state=TrialState.FAIL)
            if end == "raise":
                raise OSError("in trial 1")
            if end == "report":
                assert trial.report(nearness(trial))
        return nearness(trial)

    if end == "raise":
        with pytest.raises(OSError, match="in trial 1"):
            run(train, trials=3, storage=storage)
        end = None
    found = run(train, trials=3, storage=storage, min_epochs=1)
    assert [trial.number for trial in found] == [0, 2, 3]


@pytest.mark.parametrize(
    ("url", "error", "text"),
    [
        ("nodb://place", ValueError, "storage: expected a path, or the URL of a database"),
        ("sqlite:////no/such/folder/x.db", ConnectionError, "storage: cannot open sqlite:////no/"),
        ("redis://place", ValueError, "storage: expected a path, or the URL"),
        ("oracle://me:secret@place/db", ImportError, r"oracle://me:\*\*\*@place/db needs the"),
    ],
)
def test_databases_that_cannot_be_opened(url, error, text, monkeypatch):
    monkeypatch.setattr("fastnn.search._storage._PAUSES", (0.01,))
    with pytest.raises(error, match=text) as raised:
        run(storage=url)
    assert "secret" not in str(raised.value)
    with pytest.raises(ValueError, match="heartbeat: expected an integer from 1"):
        run(storage=url, heartbeat=0)


WORKER = """
    import sys, time
    from searching import RANGES, nearness
    from fastnn.search import search
    url, trials, stuck = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

    def train(trial):
        print(trial.number, flush=True)
        while trial.number == stuck:
            time.sleep(1)
        return nearness(trial)

    search(train, RANGES, trials, seed=0, storage=url, verbose=False)
"""


def worker(url, trials, stuck=-1):
    """Start a process that runs trials, and hangs in one of them."""
    path = os.pathsep.join([os.path.dirname(__file__) + "/../support", *filter(None, sys.path)])
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(WORKER), url, str(trials),
         str(stuck)], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("url", KINDS, indirect=True)
def test_the_trial_of_a_killed_process_fails_and_is_done_again(url):
    run(trials=1, storage=url)
    dying, living = worker(url, 8, stuck=1), None
    try:
        assert dying.stdout.readline() == "1\n"
        living = worker(url, 3)
        assert [*living.stdout] == ["2\n", "3\n"]  # it leaves the trial of the other one alone
        assert living.wait() == 0
        assert states(url) == ["COMPLETE", "RUNNING", "COMPLETE", "COMPLETE"]
        os.kill(dying.pid, signal.SIGKILL)
        dying.wait()
        seen = []

        def train(trial):
            seen.append(trial.number)
            return nearness(trial)

        def again():
            run(train, trials=len(seen) + 4, storage=url, heartbeat=1)
            return 1 in seen

        until(again, 60)
    finally:
        for process in filter(None, (dying, living)):
            process.kill()
            process.wait()
            process.stdout.close()
    assert states(url)[1] == "FAIL"
    assert seen.count(1) == 1
    found = load(url)
    assert draws(found) == draws(run(trials=len(found)))


@pytest.mark.slow
def test_a_trial_that_kills_its_processes_is_given_up(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/search.db"

    def dies(trial):
        raise SystemExit  # which is to look as if the process were killed

    from fastnn.search import _study

    monkeypatch.setattr(_study.Study, "give_back", lambda self, trial: None)
    monkeypatch.setattr(_life.Heartbeat, "_tell", lambda self, trial: None)
    for _ in range(3):
        with pytest.raises(SystemExit):
            run(dies, trials=1, storage=url)
        monkeypatch.setattr(
            optuna.storages.RDBStorage,
            "_get_stale_trial_ids",
            lambda self, study: [t._trial_id for t in self.get_all_trials(study)
                                 if t.state is TrialState.RUNNING],
        )  # fmt: skip
    (trial,) = run(trials=1, storage=url)
    assert trial.number == 1  # another one
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        assert states(url) == ["FAIL", "FAIL", "FAIL", "COMPLETE"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_database_that_is_away_for_some_seconds_is_waited_for():
    with server() as found:
        stopped = []

        def train(trial):
            if trial.number == 1:
                found.stop()
                stopped.append(threading.Timer(3, found.start))
                stopped[0].start()
            trial.report(nearness(trial))

        with_break = run(train, RANGES, 4, storage=found.url, min_epochs=1)
        stopped[0].join()
        assert draws(with_break) == draws(run(trials=4))
        assert states(found.url) == ["COMPLETE"] * 4


def test_other_errors_of_a_storage_come_through_at_once():
    def broken():
        raise optuna.exceptions.StorageInternalError("no such column")

    with pytest.raises(optuna.exceptions.StorageInternalError, match="no such column"):
        _life.patiently(broken, math.inf)
