"""The functions that Python calls for update rules: with arrays, or dicts of them, at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from fastnn.kernels.calls import plain
from fastnn.kernels.calls.routine import Routine, address_of, bits, shared
from fastnn.kernels.machine import words
from fastnn.kernels.machine.signature import Signature
from fastnn.kernels.threading import threads

_Dict = TypeVar("_Dict", bound=type[dict[Any, Any]])

AN_ARRAY, DICTS = words.AN_ARRAY, words.DICTS
ANYTHING = AN_ARRAY | DICTS

_NO_CHECKS = {"float": words.ANY_FLOAT, "int": words.ANY_INT}


class InRange(NamedTuple):
    """A setting that is a float, from the lowest up to the highest, which is not one of them."""

    low: float
    high: float

    def record(self) -> list[int]:
        """Return its record (see :mod:`fastnn.kernels.machine.words`)."""
        return [words.IN_RANGE, bits(self.low), bits(self.high)]


class Counted(NamedTuple):
    """A setting that is an integer of at least 1 after something is added to it."""

    added: int

    def record(self) -> list[int]:
        """Return its record."""
        return [words.COUNTED, 1 - self.added, np.iinfo(np.int64).max - self.added, self.added]


class Flag(NamedTuple):
    """A setting that is True or False."""

    def record(self) -> list[int]:
        """Return its record."""
        return [words.FLAG]


class OneOf(NamedTuple):
    """A setting that is one of some objects, with what the kernel is given for each."""

    values: Mapping[Any, Any]

    def record(self) -> list[int]:
        """Return its record."""
        return [words.CHOICE, *(int(n) for o, v in self.values.items() for n in (id(o), v))]


Check = InRange | Counted | Flag | OneOf


_of_updates = np.zeros(words.UPDATE_WORDS, np.int64)


@functools.cache
def _shared() -> Any:
    """Return the table that all update rules share."""
    table = _of_updates
    values = {
        words.TRUE: id(True),
        words.DICT: id(dict),
        words.STR: id(str),
        words.SIZE_OF: address_of("PyDict_Size"),
        words.NEXT: address_of("PyDict_Next"),
        words.COMPARE: address_of("PyUnicode_Compare"),
    }
    for index, value in values.items():
        table[index] = value
    return table


def read_as_dict(kind: _Dict) -> _Dict:
    """Let update rules read a class as they read dict, whose methods it has; return the class."""
    _of_updates[words.OTHER_DICT] = id(kind)
    return kind


class UpdateRoutine(Routine):
    """An update rule, for Python.

    Parameters
    ----------
    name : str
    takes : {AN_ARRAY, DICTS, ANYTHING}
    checks : sequence of Check, optional
        What the settings are to be; none if that has been looked at.

    Attributes
    ----------
    checked : callable
        Takes arrays, or dicts of arrays that have the keys of the first in the same order, and
        settings, and returns None when it has updated the parameters; else it has done nothing, and
        :meth:`update` may do it.
    """

    _caller = "fastnn_update"

    def __init__(
        self, name: str, takes: int = ANYTHING, checks: Sequence[Check] | None = None
    ) -> None:
        super().__init__(name)
        self._takes, self._checks = takes, checks

    def _new_tables(self) -> list[Any]:
        return [_table(self._signature, self._takes, self._checks)]

    def _plain_call(self) -> Callable[..., Any]:
        return plain.refused

    def update(self, *args: Any) -> bool:
        """Update parameters, on as many threads as that is worth; return whether it was done.

        If not, nothing has been written: arrays or settings are not plainly what they are to be, or
        two arrays share memory.
        """
        while (cost := self._trusted(*args)) is not None:
            if cost is NotImplemented:
                return False
            if cost >= 0:
                threads.run(self, args, cost)
                break
            self._load(-1 - cost)
        return True


@functools.cache
def routine(name: str) -> UpdateRoutine:
    """Return an update rule that takes what has been checked."""
    return UpdateRoutine(name)


def _table(signature: Signature, takes: int, checks: Sequence[Check] | None) -> Any:
    """Return the table of a routine."""
    table = np.zeros(words.RECORDS + words.SETTING * len(signature.numbers), np.int64)
    ((cost, _),) = signature.cost
    values = {
        words.SHARED: shared().ctypes.data,
        words.UPDATES: _shared().ctypes.data,
        words.KINDS: len(signature.arrays),
        words.SETTINGS: len(signature.numbers),
        words.COST: bits(cost),
        words.TAKES: takes,
        words.TRUSTED: checks is None,
    }
    for index, value in values.items():
        table[index] = value
    if checks is None:
        records = [[_NO_CHECKS[p.kind]] for p in signature.numbers]
    else:
        records = [check.record() for check in checks]
    for record, row in zip(records, table[words.RECORDS :].reshape(-1, words.SETTING), strict=True):
        row[: len(record)] = record
    return table
