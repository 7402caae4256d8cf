"""The example of a hyper-parameter search, at its smallest size."""

import re

import pytest

from fastnn.search import Log, load

pytestmark = pytest.mark.slow


def test_hyperparameter_search(run, picture, tmp_path):
    options = ("hyperparameter_search.py", "--trials", 7, "--epochs", 2)
    options += ("--storage", tmp_path / "trials.log")
    printed = run(*options)
    results = [load(tmp_path / "trials.log", f"search-{i}") for i in (1, 2, 3)]
    assert [len(result) for result in results] == [7, 2, 2]
    assert results[0].ranges == {"lr": Log(1e-6, 1e-2), "weight decay": Log(1e-8, 1e-4)}
    best = re.findall(r"^Best-(\d) \(val_accuracy ([\d.]+)\)", printed, re.M)
    assert [int(place) for place, _ in best] == [1, 2, 3, 4, 5, 1, 2, 1, 2]
    first = [float(value) for _, value in best[:5]]
    assert first == sorted(first, reverse=True)
    for result in results:
        assert f"{result.name}: lr {result.ranges['lr']!r}, weight decay" in printed
        for border in result.border:
            assert str(border) in printed
    assert printed.count("best: accuracy 0.") == 2
    picture("hyperparameter_search.png")
    picture("hyperparameter_ranges.png")
    assert run(*options) == printed  # from the file


def test_search_in_processes(run, tmp_path):
    options = ("search_in_processes.py", "--trials", 4, "--epochs", 1, "--workers", 2)
    printed = run(*options)
    done = re.search(r"^trials of each process: (\d), (\d); in sqlite:///", printed, re.M)
    result = load(f"sqlite:///{tmp_path}/search.db")
    assert sum(map(int, done.groups())) == len(result) >= 4
    assert f"search: {len(result)} trials" in printed
