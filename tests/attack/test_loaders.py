"""Damaged files: a slice, and faults that must be found."""

import random
import time

import pytest

from tests.attack import loaders, mutations
from tests.attack.loaders import Loader


@pytest.mark.slow
def test_a_slice():
    outcome = loaders.attack(4 * len(loaders.LOADERS), 0)
    assert outcome.failures == ()
    assert outcome.figures["refused"] > 10


def _make(path):
    path.write_bytes(b"good")


def _cutting(content, random_):
    return content[:2]


def _bare(path):
    if path.read_bytes() != b"good":
        raise KeyError("facts")


def _greedy(path):
    if path.read_bytes() != b"good":
        bytes(10 * loaders.MEMORY)


def _slow(path):
    if path.read_bytes() != b"good":
        time.sleep(60)


def _nameless(path):
    if path.read_bytes() != b"good":
        raise ValueError("damaged")


def _named(path):
    if path.read_bytes() != b"good":
        raise ValueError(f"{path} is damaged")


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (_bare, "KeyError: 'facts'"),
        (_greedy, "MemoryError"),
        (_slow, "Timeout"),
        (_nameless, "does not name the file"),
    ],
)
def test_planted_faults_are_found(read, message, monkeypatch):
    if read is _slow:
        monkeypatch.setattr(loaders, "LIMIT", 0.5)
    _, failures = loaders.files([Loader("x", _make, read, (_cutting,))], 1, 0)
    assert len(failures) == 1 and message in failures[0]


def test_a_refusal_that_names_the_file_is_right():
    figures, failures = loaders.files([Loader("x", _make, _named, (_cutting,))], 2, 0)
    assert failures == [] and figures["refused"] == 2


@pytest.mark.parametrize("loader", loaders.LOADERS, ids=lambda loader: loader.name)
def test_mutations_change_files_and_can_be_made_again(loader):
    content = loaders.contents(loader.name)
    for way in loader.ways:
        made = [way(content, random.Random(seed)) for seed in range(5)]
        assert sum(each != content for each in made) >= 3
        if way is not mutations.archive:  # a zip file has no time stamps here either
            assert made == [way(content, random.Random(seed)) for seed in range(5)]
