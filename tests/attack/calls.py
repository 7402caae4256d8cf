"""Calls of every function of `fastnn.ops`, with good arguments and with bad ones.

Functions are found from the package, their arguments from docstrings. Each case draws one function
and arguments of some layout, in memory between guard pages, and calls it on both backends, with
one thread and with two, and with outputs that are given and that are not.
"""

from __future__ import annotations

import copy
import inspect
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from fastnn import config, ops, reference
from fastnn.kernels.threading import threads
from tests.attack import values, workers
from tests.attack.described import Argument, arguments
from tests.attack.guarded import LAYOUTS, READ_LAYOUTS, Placed, Slot, place
from tests.attack.outcome import Outcome
from tests.attack.values import Draw
from tests.attack.workers import Found, Note
from tests.kernels.test_twins import CASES, compare, copied, dot

RANK, UNIT, FULL, CHUNK = 1, "cases of a function", 500_000, 25_000
COMMAND = "python -m tests.attack calls"
PROMISE = (
    "No call of a function of `fastnn.ops`, whatever its arguments, reads or writes outside its "
    "arrays, changes an input, or writes anything when it raises; both backends agree, any number "
    "of threads gives the same bits, and an error is a TypeError or ValueError that names an "
    "argument."
)
TEST = "tests/attack/test_calls.py"

FUNCTIONS: dict[str, dict[str, Argument]] = {
    name: arguments(getattr(ops, name)) for name in ops.__all__
}
NAMES = sorted(FUNCTIONS)
SLOTS = 14  # arrays of a call, one more where one is replaced, and one for those that overlap
SLOT = 1 << 21  # bytes
SMALL_GRAIN = 64  # elements worth a thread, so that small calls are shared too
_slots: list[Slot] = []


def slots() -> list[Slot]:
    """Return this process's guarded memory."""
    if not _slots:
        _slots.extend(Slot(SLOT) for _ in range(SLOTS))
    return _slots


class Failure(Exception):
    """A promise that a call did not keep."""


class Call:
    """A function with arguments that are drawn, and its calls."""

    def __init__(self, seed: int, note: Note) -> None:
        self.draw, self.note = Draw(seed), note
        self.name = self.draw.one(NAMES)
        self.arguments = FUNCTIONS[self.name]
        self.figures: Counter[str] = Counter()
        self.placed: dict[str, Placed] = {}
        self.slots = iter(slots())
        with np.errstate(all="ignore"):
            self.given = self._good()

    # Arguments ------------------------------------------------------------------------------

    def _good(self) -> dict[str, Any]:
        """Return good values of all arguments but outputs."""
        draw = self.draw
        if any(
            "FH" in shape or "OH" in shape for a in self.arguments.values() for shape in a.shapes
        ):
            values.geometry(draw, padded="pad" in self.arguments)
        known: dict[str, Any] = {
            "names": self.arguments,
            "updated": [n for n, a in self.arguments.items() if a.written],
            "positive": self.name == "softplus_backward",  # an output, of which there is no other
            # The largest target of those losses that do not take any number.
            "within": {"binary_cross_entropy": 1, "poisson": 9}.get(self.name),
            "classes": "t" in self.arguments and values.is_classes(self.arguments["t"]),
        }
        if known["classes"]:
            draw.sizes["C"] = draw.size(2)
        shapes: dict[str, tuple[int, ...]] = {}
        given: dict[str, Any] = {}
        for name in self._in_order():
            argument = self.arguments[name]
            if argument.is_output:
                continue
            if not argument.is_array:
                given[name] = values.NUMBERS[name][0](draw)
                draw.sizes.setdefault(name, given[name])
                continue
            shapes[name] = values.shape(draw, argument, shapes)
            array = values.array(draw, name, shapes[name], known)
            known[name] = given[name] = array
        if "y" in given and "pool_h" in given and given["y"].dtype.kind == "f" and draw.chance(0.8):
            x = given["x"].astype(given["y"].dtype)
            given["y"] = values.largest(draw, x, shapes["y"])
        return {name: given[name] for name in self.arguments if name in given}

    def _in_order(self) -> list[str]:
        """Return the names of arguments, those that others are like before these."""
        names = list(self.arguments)
        return sorted(names, key=lambda n: any(s[:4] == "like" for s in self.arguments[n].shapes))

    def plain(self) -> dict[str, Any]:
        """Return copies of all arguments, of no special layout."""
        return {
            name: native(value) if isinstance(value, np.ndarray) else copy.copy(value)
            for name, value in self.given.items()
        }

    def lay_out(self) -> None:
        """Put the arrays between guard pages."""
        plainly = self.draw.chance(0.4)
        for name, value in list(self.given.items()):
            if isinstance(value, np.ndarray):
                self._place(name, value, plainly)

    def _place(self, name: str, value: np.ndarray, plainly: bool = False) -> None:
        draw, written = self.draw, self.arguments[name].written
        of = LAYOUTS if written else READ_LAYOUTS
        layout = "plain" if plainly else draw.one(of)
        if layout == "swapped" and self.arguments[name].is_output:
            layout = "plain"  # of another dtype than the result's
        at_end = draw.chance(0.5)
        placed = place(next(self.slots), value, layout, at_end, written)
        self.placed[name] = placed
        self.given[name] = placed.array

    def add_outputs(self, like: dict[str, np.ndarray]) -> None:
        """Give some of the outputs, shaped like these results."""
        plainly = self.draw.chance(0.5)
        for name, argument in self.arguments.items():
            if argument.is_output and name in like and self.draw.chance(0.7):
                filled = np.full(like[name].shape, 1, like[name].dtype)
                self._place(name, filled, plainly)

    # Calls ----------------------------------------------------------------------------------

    def call(self, backend: str, threads_: int, given: dict[str, Any] | None = None) -> Any:
        """Call the function; return its results by name, or the exception."""
        given = self.given if given is None else given
        self.note(f"{self.name} on {backend} with {threads_} threads: {described(given)}")
        self.figures["calls"] += 1
        function = getattr(ops, self.name)
        grain = SMALL_GRAIN if threads_ > 1 else threads.GRAIN
        config.set_num_threads(threads_)
        try:
            with config.use_backend(backend), mock.patch.object(threads, "GRAIN", grain):
                result = function(**given)
        except Exception as error:
            return error
        finally:
            if DENORMAL == ZERO or TINY * HALF == ZERO:
                raise Failure(f"denormal numbers stay flushed after {backend}")
        return self._results(result, given)

    def _results(self, result: Any, given: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return copies of what a call returned and updated, by the names of the outputs."""
        found = {}
        several = result if isinstance(result, tuple) else (result,) if result is not None else ()
        names = returned(self.name, len(several))
        for name, value in zip(names, several, strict=True):
            output = given.get(name)
            if output is not None and value is not output:
                raise Failure(f"{name} was given, and is not what is returned")
            if value is not None:
                found[name] = native(value)
        for name, argument in self.arguments.items():
            if argument.written and not argument.is_output:
                found[name] = native(given[name])
        return found

    def expect_memory(self, error: bool) -> None:
        """Raise Failure if anything was written that is not to be; put back what was there."""
        for name, placed in self.placed.items():
            good = placed.unchanged_around() if placed.written and not error else placed.unchanged()
            if placed.written or not good:
                placed.restore()
            if not good:
                raise Failure(
                    f"{name} was written to before an error" if error
                    else f"bytes around {name} were written to" if placed.written
                    else f"{name}, an input, was written to"
                )  # fmt: skip


# Where they are flushed, a denormal number is 0, or what comes of a small one is.
DENORMAL, TINY, HALF, ZERO = np.float64(5e-324), np.finfo(np.float64).tiny, 0.5, 0.0
_RETURNS = {name: inspect.getdoc(getattr(ops, name)) for name in NAMES}


def returned(name: str, count: int) -> list[str]:
    """Return the names of what a function returns; a single array is its only output."""
    outputs = [n for n, a in FUNCTIONS[name].items() if a.is_output]
    if count == 0:
        return []
    if count == 1:
        return outputs[:1] or ["result"]
    text = re.search(r"^Returns\n-+\n(.*?)(?=^Raises)", _RETURNS[name] or "", re.S | re.M)[1]
    names = [n for head in re.findall(r"^(\w[\w, ]*) : ", text, re.M) for n in head.split(", ")]
    return ["out" if n == "y" and "out" in outputs else n for n in names][:count]


def described(given: dict[str, Any]) -> str:
    """Return arguments as text: of arrays dtype, shape and strides."""
    return ", ".join(
        f"{name}={v.dtype.str}{v.shape}" + ("" if v.flags.c_contiguous else f"/{v.strides}")
        if isinstance(v, np.ndarray)
        else f"{name}={v!r}"[:60]
        for name, v in given.items()
    )


def native(array: np.ndarray) -> np.ndarray:
    """Return a copy of an array, in C order and in this machine's order of bytes."""
    return np.array(array, np.asarray(array).dtype.newbyteorder("="), order="C")


def same_bits(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> str:
    """Return the name of a result that differs, or "". NaN may have any bits."""
    for name in a.keys() & b.keys():
        one, other = a[name], b[name]
        if one.dtype != other.dtype or one.shape != other.shape:
            return name
        if one.tobytes() != other.tobytes() and not _equal(one, other):
            return name
    return ""


def _equal(a: np.ndarray, b: np.ndarray) -> bool:
    numbers = ~np.isnan(a)  # whose sign depends on where arrays lie: that chooses a loop
    same_signs = np.array_equal(np.signbit(a[numbers]), np.signbit(b[numbers]))
    return np.array_equal(a, b, equal_nan=True) and same_signs


# Good calls -----------------------------------------------------------------------------------


def good(call: Call) -> None:
    """Good arguments: no error, memory as it was, the same bits however it is computed."""
    call.lay_out()
    first = _good_call(call, "numba", 1)
    expected = first
    call.add_outputs(first)
    second = _good_call(call, "numba", 2)
    if name := same_bits(first, second):
        raise Failure(f"{name} has other bits with two threads or a given output")
    if call.draw.chance(0.3):
        again = call.call("numba", 1, call.plain())
        if isinstance(again, Exception) or (name := same_bits(first, again)):
            raise Failure(f"{name} has other bits for arrays of another layout")
    with recorded(call) as records:
        theirs = _good_call(call, "numpy", 1)
    call.figures["results compared between backends"] += len(theirs)
    with np.errstate(all="ignore"):
        agree(call, expected, theirs, records)


def _good_call(call: Call, backend: str, threads_: int) -> dict[str, np.ndarray]:
    got = call.call(backend, threads_)
    call.expect_memory(isinstance(got, Exception))
    if isinstance(got, Exception):
        raise Failure(f"good arguments raise {type(got).__name__}: {got}")
    return got


@contextmanager
def recorded(call: Call) -> Iterator[list[tuple[str, dict[str, Any], dict[str, Any]]]]:
    """Record, for each reference that is called, its name and its arguments before and after."""
    records: list[tuple[str, dict[str, Any], dict[str, Any]]] = []

    def recording(name: str, twin: Callable) -> Callable:
        names = list(inspect.signature(twin).parameters)

        def record(*args: Any) -> None:
            named = dict(zip(names, args, strict=True))
            before = copied(named)
            twin(*args)
            records.append((name, before, copied(named)))

        return record

    twins = {name: recording(name, getattr(reference, name)) for name in reference.__all__}
    # BLAS may pass over a term with a factor 0, and so over its NaN.
    with mock.patch.multiple(reference, **twins), mock.patch.object(np, "dot", dot):
        yield records


def agree(call: Call, ours: dict, theirs: dict, records: list) -> None:
    """Raise Failure where results are further apart than rounding takes them."""
    if ours.keys() != theirs.keys():
        raise Failure(f"backends return other things: {sorted(ours)}, {sorted(theirs)}")
    for name, array in theirs.items():
        if array.shape != ours[name].shape or array.dtype != ours[name].dtype:
            raise Failure(f"{name} has another shape or dtype on the other backend")
    if call.draw.kind == "extreme":
        return
    left = dict(theirs)
    for name, before, after in records:
        case = CASES[name]
        read = (a for key, a in before.items() if key not in case.written)  # losses are float64
        is_double = any(isinstance(a, np.ndarray) and a.dtype == values.F8 for a in read)
        wide = np.longdouble if is_double else np.float64
        exact = copied(before, wide)
        getattr(reference, name)(**exact)
        magnitude = case.magnitude(copied(before, wide), exact)
        terms = case.terms(before)
        for key in case.written:
            if before[key] is None:
                continue
            ours_name = _of(after[key], left)
            if ours_name is None:
                continue
            got = ours[ours_name].reshape(after[key].shape)
            expected = left.pop(ours_name).reshape(got.shape)
            try:
                for each in (got, expected):
                    compare(key, each, expected, exact[key], magnitude.get(key), terms)
            except AssertionError as error:
                raise Failure(f"backends differ: {str(error).splitlines()[0]}") from None
    if left and records:
        raise Failure(f"results come from no reference: {', '.join(left)}")


def _of(array: np.ndarray, results: dict[str, np.ndarray]) -> str | None:
    """Return the name of the result that is a copy of this array."""
    for name, result in results.items():
        if result.size == array.size and np.array_equal(
            result.reshape(-1), array.reshape(-1).astype(result.dtype),
            equal_nan=array.dtype.kind == "f",
        ):  # fmt: skip
            return name
    return None


# Bad calls ------------------------------------------------------------------------------------


class Lookalike:
    """Is no array, though it has a shape."""

    shape, dtype, ndim, size = (2, 3), np.dtype(np.float64), 2, 6


NO_ARRAYS = [
    None,
    "text",
    1j,
    {},
    object(),
    Lookalike(),
    b"bytes",
    [[1, 2], [3]],
    np.datetime64("2020-01-01"),
]
BAD_DTYPES = ["complex64", "complex128", "object", "U3", "S3", "datetime64[s]", "timedelta64[s]"]


def bad(call: Call) -> None:
    """One argument that does not fit: an error that names it, the same on both backends."""
    call.lay_out()
    plain_results = call.call("numba", 1, call.plain())
    if isinstance(plain_results, Exception):
        raise Failure(f"good arguments raise {type(plain_results).__name__}: {plain_results}")
    call.add_outputs(plain_results)
    name, must = _spoil(call, call.draw.one([*call.given]))
    if name is None:
        return
    call.figures["calls with a bad argument"] += 1
    errors = []
    for backend in config.BACKENDS:
        got = call.call(backend, 2)
        call.expect_memory(isinstance(got, Exception))
        errors.append(got)
        if isinstance(got, Exception):
            expect_words(call, got, name if must == "kind" else None)
        elif must:
            raise Failure(f"{name}={call.given[name]!r:.60} is accepted")
    ours, theirs = errors
    if (type(ours), str(ours)) != (type(theirs), str(theirs)) and (
        isinstance(ours, Exception) or isinstance(theirs, Exception)
    ):
        raise Failure(f"backends raise other errors: {ours!r:.80} and {theirs!r:.80}")


def expect_words(call: Call, error: Exception, name: str | None) -> None:
    """Raise Failure unless an error is one that is documented and names an argument."""
    text = f"{type(error).__name__}: {error}"
    if type(error) not in (TypeError, ValueError):
        raise Failure(f"a bad argument raises {text}")
    first = re.match(r"(\w+): ", str(error))
    if not first or first[1] not in call.arguments:
        raise Failure(f"an error that names no argument: {text}")
    if name and first[1] != name:
        raise Failure(f"{name} is bad, the error names another argument: {text}")


def _spoil(call: Call, name: str) -> tuple[str | None, str]:
    """Make one argument bad; return its name, and "kind" where the error must name it."""
    draw, argument = call.draw, call.arguments[name]
    if not argument.is_array:
        wrong = values.NUMBERS[name][1]
        if not wrong:
            return None, ""
        call.given[name] = draw.one(wrong)
        return name, "kind"
    placed = call.placed.pop(name)
    array = placed.array
    how = draw.one(["kind", "dtype", "shape", "axes", "read-only"])
    if how == "kind":
        call.given[name] = draw.one(NO_ARRAYS[argument.is_output :])
        return name, "kind" if call.given[name] is not None or not argument.is_output else ""
    if how == "dtype":
        with np.errstate(all="ignore"):
            call.given[name] = np.zeros(array.shape).astype(draw.one(BAD_DTYPES))
        return name, "kind"
    if how == "axes":
        shape = draw.one([(*array.shape, 1), array.shape[1:], (1, *array.shape)])
        if shape == array.shape:
            return None, ""
        call._place(name, np.ones(shape, array.dtype))
        return name, "shape" if len(call.arguments) > 2 and "like" in str(argument.shapes) else ""
    if how == "shape" and array.ndim:
        shape = list(array.shape)
        axis = int(draw.rng.integers(array.ndim))
        shape[axis] = max(0, shape[axis] + draw.one([-1, 1, 2]))
        if tuple(shape) == array.shape:
            return None, ""
        call._place(name, np.ones(shape, array.dtype))
        return name, ""
    if how == "read-only" and argument.written:
        call.placed[name] = placed
        call.given[name] = array.view()
        call.given[name].flags.writeable = False
        return name, "kind"
    return None, ""


# Overlaps -------------------------------------------------------------------------------------


def overlapping(call: Call) -> None:
    """An array that is written shares memory with another: correct, or refused."""
    draw = call.draw
    expected = call.call("numba", 1, call.plain())
    if isinstance(expected, Exception):
        raise Failure(f"good arguments raise {type(expected).__name__}: {expected}")
    written = [n for n, a in call.arguments.items() if a.written and n in (expected | call.given)]
    others = [n for n, v in call.given.items() if isinstance(v, np.ndarray)]
    if not written or not others:
        return
    name = draw.one(written)
    other = draw.one([n for n in others if n != name] or others)
    if other == name:
        return
    is_output = call.arguments[name].is_output
    mine = expected[name] if is_output else call.given[name]
    theirs = call.given[other]
    memory, where = slots()[-1].part(2 * (mine.nbytes + theirs.nbytes) + 128, False)
    memory[:] = 0xA5
    whole = np.ndarray(theirs.shape, theirs.dtype, memory[64:])
    size = mine.itemsize
    shift = 64 + size * draw.one([0, 0, 1, -1, 2, int(draw.rng.integers(0, max(1, mine.size)))])
    out = np.ndarray(mine.shape, mine.dtype, memory[shift:])
    out[...] = 1 if is_output else mine
    whole[...] = theirs
    call.given |= {name: out, other: whole}
    if not is_output:
        inputs = call.plain()
        expected = call.call("numba", 1, inputs)
        if isinstance(expected, Exception):
            return
    placed = Placed(slots()[-1], out, where, True)
    call.figures["calls with overlapping arrays"] += 1
    for backend in config.BACKENDS:
        before = memory.copy()
        got = call.call(backend, 2)
        refused = isinstance(got, Exception)
        both = [whole] if call.arguments[other].written else []
        good = np.array_equal(memory, before) if refused else placed.unchanged_around(*both)
        memory[:] = before
        if not good:
            raise Failure(f"{name} that overlaps {other}: something else was written to")
        if refused:
            expect_words(call, got, None)
        elif backend == "numba" and (differs := same_bits(expected, got)):
            raise Failure(f"{differs} is wrong where {name} overlaps {other}")


# ----------------------------------------------------------------------------------------------

KINDS = [good] * 6 + [bad] * 3 + [overlapping]


def case(seed: int, note: Note) -> tuple[Counter[str], list[Found]]:
    """Make the calls of one case."""
    call = Call(seed, note)
    kind = call.draw.one(KINDS)
    found = []
    try:
        kind(call)
    except Failure as failure:
        text = f"ops.{call.name}: {failure}"
        kind = re.sub(r"\d+", "0", text.partition(": got")[0])[:110]
        found.append(Found(kind, f"{failure} ({described(call.given)})"))
    call.figures[UNIT] += 1
    return call.figures, found


def attack(amount: int, seed: int) -> Outcome:
    """Make so many cases, in processes of their own."""
    began = time.monotonic()
    tally = workers.run(f"{__name__}:case", amount, seed, COMMAND)
    figures = {"functions": str(len(NAMES)), **tally.figures}
    return Outcome(
        "calls", PROMISE, TEST, figures, tally.failures(), time.monotonic() - began,
        f"{COMMAND} --amount {amount} --seed {seed}",
    )  # fmt: skip
