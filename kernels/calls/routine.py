"""The functions that Python calls: one for each kernel, and one that asks no questions."""

from __future__ import annotations

import ctypes
import functools
import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.kernels.calls import plain
from fastnn.kernels.gemm import workspace
from fastnn.kernels.machine import catalogue, code, layout, words
from fastnn.kernels.machine.signature import REST, Parameter, Signature
from fastnn.kernels.plain.numpy_c import numpy_c
from fastnn.kernels.threading import threads

REALS = layout.DTYPES[:2]
SPACE = 1 << 20  # bytes of workspace for calls that are done at once

_NO_SPACE = np.empty(0, np.uint8)

LEFT_OUT = object()  # stands for an optional argument that there is not, in a checked call

_FASTCALL = 0x80  # METH_FASTCALL
_EMPTY = 184  # the place of PyArray_Empty in NumPy's table of functions

_KINDS = {
    "float": words.IS_FLOAT, "int": words.IS_INT, "uint": words.IS_UINT, "real": words.IS_REAL,
}  # fmt: skip
_KINDS |= {dtype.name: number for number, dtype in enumerate(layout.DTYPES)}


class _Definition(ctypes.Structure):
    """PyMethodDef: what a function of C is, to Python."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def address_of(name: str) -> int:
    """Return where a function of Python's C interface begins."""
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0


def _new_array() -> int:
    """Return where PyArray_Empty begins."""
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = get(numpy_c()._ARRAY_API, None)
    return int(ctypes.c_void_p.from_address(table + 8 * _EMPTY).value or 0)


_shared = np.zeros(words.SHARED_WORDS, np.int64)
_shared[words.ENABLED] = 1


def enable(wanted: bool) -> None:
    """Let the checked functions of routines call kernels, or have them refuse all calls."""
    _shared[words.ENABLED] = wanted


@functools.cache
def shared() -> Any:
    """Return the table that all routines share."""
    values = {
        words.NONE: id(None),
        words.LEFT_OUT: id(LEFT_OUT),
        words.NOT_IMPLEMENTED: id(NotImplemented),
        words.NDARRAY: id(np.ndarray),
        words.FLOAT: id(float),
        words.INT: id(int),
        words.BOOL: id(bool),
        words.KEEP: address_of("Py_IncRef"),
        words.DROP: address_of("Py_DecRef"),
        words.TO_INT: address_of("PyLong_AsUnsignedLongLongMask"),
        words.FROM_INT: address_of("PyLong_FromLongLong"),
        words.NEW_ARRAY: _new_array(),
        words.NEW_TUPLE: address_of("PyTuple_New"),
        words.UNLOCK: address_of("PyEval_SaveThread"),
        words.LOCK: address_of("PyEval_RestoreThread"),
        words.AS_LONG: address_of("PyLong_AsLongLongAndOverflow"),
        words.SPACE: _space().ctypes.data,
        words.BYTES: SPACE,
        words.MOST: bits(float(code.MOST)),
        words.FIRST_ITEM: layout.items(),
    }
    for index, value in values.items():
        _shared[index] = value
    for index, dtype in enumerate(layout.DTYPES):
        _shared[words.FIRST_DTYPE + index] = id(dtype)
        _shared[words.FIRST_SCALAR + index] = id(dtype.type)
    return _shared


class Routine:
    """A kernel, for Python. Nothing of it is loaded or compiled before the first :meth:`run`.

    Attributes
    ----------
    name : str
    checked : callable
        Takes the kernel's arguments, None for results to be made and LEFT_OUT for optional ones
        that are not wanted, and returns the results; or returns NotImplemented, and has done
        nothing: where arguments are not plainly what the signature says, or share memory, or the
        work may be worth several threads, or nothing is loaded yet.
    """

    _caller = "fastnn_call"

    def __init__(self, name: str) -> None:
        self.name = name
        self.checked = _refusing(name)
        self._trusted: Callable[..., Any] = self._first
        self._needs_space = False

    @functools.cached_property
    def _signature(self) -> Signature:
        return catalogue.signature(self.name)

    def _first(self, *args: Any) -> Any:
        """Load what calls the kernel; call it."""
        # One of the threads that come here at once.
        self._tables: list[Any] = self.__dict__.setdefault("_tables", self._new_tables())
        if layout.is_known():
            call = code.caller(self._caller)
            self._trusted = function(self.name, call, self._tables[-1])
            _change(self.checked, function(self.name, call, self._tables[0]))
        else:
            self._trusted = self._plain_call()
        return self._trusted(*args)

    def _new_tables(self) -> list[Any]:
        """Return tables for checked and for trusted calls."""
        return [_table(self._signature, trusted) for trusted in (False, True)]

    def _plain_call(self) -> Callable[..., Any]:
        """Return what calls the kernel where machine code cannot look into arrays."""
        return plain.trusted(self._signature, self._tables[-1], code.MOST)

    def _load(self, number: int) -> None:
        """Find the machine code for a dtype, the first where there is one for all."""
        dtype = REALS[number] if self._signature.is_real else None
        names = (self.name, *self._signature.needs)
        addresses = [code.address(name, dtype) for name in names]
        first = words.CODE + number * (1 + words.MOST_NEEDS)
        for table in self._tables:
            # The kernel last: with its address the routine begins to call it.
            table[first + 1 : first + len(names)] = addresses[1:]
            table[first] = addresses[0]

    def run(self, *args: Any) -> None:
        """Call the kernel, on as many threads as that is worth; trust the arguments."""
        while (cost := self._trusted(*args)) is not None:
            if cost is NotImplemented:
                args = self._plain(args)
            elif cost < 0:
                self._load(-1 - cost)
            else:
                threads.run(self, args, cost)
                return

    def __call__(self, *args: Any) -> None:
        """Call the kernel; the last argument is into how many pieces to cut the work."""
        space = workspace.take(0, layout.DTYPES[-1]) if self._needs_space else _NO_SPACE
        while (wanted := self._trusted(*args, space)) is not None:
            if wanted is NotImplemented:
                args = (*self._plain(args[:-1]), args[-1])
            elif wanted < 0:
                self._load(-1 - wanted)
            else:
                self._needs_space = True  # from now on it is given what there is
                space = workspace.take(wanted, layout.DTYPES[-1])
        if space is not _NO_SPACE:
            workspace.give_back(space)

    def _plain(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return arguments as machine code knows them; raise TypeError if that changes nothing."""
        parameters = self._signature.parameters
        plain = tuple(map(_known, parameters, args))
        if all(a is b for a, b in zip(plain, args, strict=True)):
            raise TypeError(f"{self.name}: expected what its signature says, got {args}")
        return plain


_NUMBERS: dict[str, Any] = {"float": float, "int": int, "uint": int}


def _known(parameter: Parameter, arg: Any) -> Any:
    """Return a number of Python, or an array with the one object of its dtype.

    Copies of a dtype, as pickle and copy.deepcopy make them, are equal to it, and others.
    """
    if parameter.kind in _NUMBERS:
        return _NUMBERS[parameter.kind](arg)
    if not isinstance(arg, np.ndarray):
        return arg
    dtype = next((known for known in layout.DTYPES if known == arg.dtype), arg.dtype)
    return arg if arg.dtype is dtype and type(arg) is np.ndarray else arg.view(dtype, np.ndarray)


@functools.cache
def routine(name: str) -> Routine:
    """Return the functions of a kernel."""
    return Routine(name)


@functools.cache
def _space() -> Any:
    return np.empty(SPACE, np.uint8)


def bits(value: float) -> int:
    """Return the bits of a float64, as an integer."""
    (bits,) = struct.unpack("q", struct.pack("d", value))
    return int(bits)


def _record(parameter: Parameter, signature: Signature) -> list[int]:
    axes = parameter.axes or ()
    has_rest = axes[-1:] == (REST,)
    flags = words.WRITTEN * parameter.written + words.OPTIONAL * parameter.optional
    flags |= words.IS_RETURNED * parameter.returned + words.HAS_REST * has_rest
    numbers = [signature.lengths.index(name) for name in axes]
    may_be = sum(1 << i for i, p in enumerate(signature.arrays) if p.name in parameter.may_be)
    record = [_KINDS[parameter.kind], flags, may_be, len(axes) - has_rest, *numbers]
    return record + [0] * (words.RECORD - len(record))


def _table(signature: Signature, trusted: bool) -> Any:
    """Return the table of a routine."""
    arrays = signature.arrays
    values = [
        shared().ctypes.data, len(signature.parameters), len(arrays), len(signature.lengths),
        sum(p.returned for p in arrays), len(signature.cost), int(trusted), len(signature.needs),
    ]  # fmt: skip
    values += [0] * (words.RECORDS - len(values))
    for parameter in signature.parameters:
        values += _record(parameter, signature)
    for factor, names in signature.cost:
        numbers = [signature.lengths.index(name) for name in names]
        values += [bits(factor), *numbers, *[-1] * (words.MOST_FACTORS - len(numbers))]
    values += [int(name) if name.isdigit() else words.UNKNOWN for name in signature.lengths]
    return np.array(values, np.int64)


_definitions: list[_Definition] = []
_make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
    ("PyCFunction_NewEx", ctypes.pythonapi)
)


def function(name: str, address: int, own: Any) -> Any:
    """Return a function of Python whose machine code is at an address, with an object of its own.

    That may be :func:`caller.call` with a table, or what returns its own object.
    """
    definition = _Definition(name.encode(), address, _FASTCALL, None)
    _definitions.append(definition)  # Python does not copy it
    return _make(ctypes.addressof(definition), own, None)


def _refusing(name: str) -> Any:
    """Return a function that refuses all arguments, and can be changed if that is possible here."""
    if not layout.is_known():
        return plain.refused
    return function(name, address_of("Py_NewRef"), NotImplemented)


def _change(function: Any, other: Any) -> None:
    """Make of a function of Python what another is: the code, and the object of its own.

    Whoever holds it calls the other from then on. Both words change in one step: no thread takes
    the code of one with the object of the other.
    """
    _changed.append(other)
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(other.__self__))  # of which both are owners then
    old, new = (
        (ctypes.c_int64 * 2).from_address(id(f) + layout.DEFINITION) for f in (function, other)
    )
    old[:] = [*new]


_changed: list[Any] = []
