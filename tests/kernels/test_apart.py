"""Helpers kept off the processor of the thread that wakes them."""

import threading

import pytest

from fastnn.kernels.threading import apart
from fastnn.kernels.threading.apart import Place


class System:
    """Processors on which threads may run, as a system without any would say."""

    def __init__(self, *processors):
        self.allowed = {threading.get_native_id(): set(processors)}
        self.here, self.changes = 0, 0

    def sched_getaffinity(self, thread):
        return set(self.allowed[thread])

    def sched_setaffinity(self, thread, processors):
        if not processors:
            raise OSError("no processors")
        self.allowed[thread] = set(processors)
        self.changes += 1

    @property
    def now(self):
        return self.allowed[threading.get_native_id()]


@pytest.fixture
def system(monkeypatch):
    made = System(0, 1, 2)
    monkeypatch.setattr(apart, "os", made)
    monkeypatch.setattr(apart, "_processor", lambda: made.here)
    return made


def test_a_helper_leaves_the_processor_of_the_caller(system):
    place = Place()
    place.leave()
    assert system.now == {1, 2}
    place.free()
    assert system.now == {0, 1, 2}


def test_it_follows_a_caller_that_moves_and_asks_the_system_only_then(system):
    place = Place()
    for system.here in (0, 0, 1, 1):
        place.leave()
    assert (system.now, system.changes) == ({0, 2}, 2)
    place.free()
    place.free()
    assert (system.now, system.changes) == ({0, 1, 2}, 3)


def test_what_others_set_meanwhile_counts(system):
    place = Place()
    place.leave()
    system.sched_setaffinity(threading.get_native_id(), {2})
    place.free()
    assert system.now == {0, 2}


def test_the_only_processor_is_not_left(system):
    system.now.intersection_update({0})
    place = Place()
    place.leave()
    assert (system.now, system.changes) == ({0}, 0)


def test_a_processor_that_is_not_its_own_is_none_to_leave(system):
    system.here = 7
    place = Place()
    place.leave()
    place.free()
    assert (system.now, system.changes) == ({0, 1, 2}, 0)


def test_a_system_that_refuses_changes_nothing(system, monkeypatch):
    def refuse(*_):
        raise PermissionError

    place = Place()
    monkeypatch.setattr(system, "sched_setaffinity", refuse)
    place.leave()
    place.free()
    assert system.now == {0, 1, 2}


def test_where_processors_are_unknown_nothing_is_asked(monkeypatch):
    monkeypatch.setattr(apart, "_processor", None)
    monkeypatch.setattr(apart, "os", None)
    place = Place()
    place.leave()
    place.free()
