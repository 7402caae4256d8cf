"""The function that Python calls for each update rule: as :mod:`caller`, for dicts of arrays.

A network has ten small parameters or a hundred, and an optimizer updates them all at each step.
Checked, handed over and cut one by one, each of them would cost what a call costs. Here one call
takes them all: it reads dicts, or arrays, puts down in a table where the arrays lie, and hands that
to the kernel, which cuts it as one range.
"""

from __future__ import annotations

from fastnn.kernels.calls.caller import is_dtype, kept
from fastnn.kernels.codegen.compile import procedure, serial
from fastnn.kernels.codegen.raw import ask, half, item, number, put, set_item, stack, word
from fastnn.kernels.machine import layout
from fastnn.kernels.machine.words import (
    ADDED,
    AN_ARRAY,
    ANY_FLOAT,
    ANY_INT,
    AS_LONG,
    BOOL,
    BYTES,
    CHOICES,
    CODE,
    COMPARE,
    COST,
    COUNTED,
    DICT,
    DICTS,
    DROP,
    ENABLED,
    FLAG,
    FLOAT,
    FROM_INT,
    HIGH,
    IN_RANGE,
    INT,
    KEEP,
    KIND,
    KINDS,
    LOCK,
    LOW,
    MOST,
    MOST_CHOICES,
    MOST_NEEDS,
    MOST_WORDS,
    NDARRAY,
    NEXT,
    NONE,
    NOT_IMPLEMENTED,
    OTHER_DICT,
    RECORDS,
    SETTING,
    SETTINGS,
    SHARED,
    SIZE_OF,
    SPACE,
    STR,
    TAKES,
    TO_INT,
    TRUE,
    TRUSTED,
    UNLOCK,
    UPDATES,
)
from fastnn.kernels.plain.table import LINE
from fastnn.kernels.updates.tables import ADDRESSES, BEGIN, SIZE

_CINT = 0xFFFFFFFF  # what C returns as an int
_FIRST_NUMBER = 5  # of the words of a kernel: addresses of two arrays and three lengths come first


@serial
def _take_integer(spec, record, obj, out):
    """Write an integer to an address, with what is added; say whether it is one in its range."""
    if word(obj + layout.TYPE) != item(item(spec, SHARED), INT):
        return False
    overflow = stack(1)
    value = ask(item(item(spec, SHARED), AS_LONG), (obj, overflow))
    put(out, value + item(record, ADDED))
    return half(overflow) == 0 and item(record, LOW) <= value <= item(record, HIGH)


@serial
def _take_setting(spec, record, obj, out):
    """Write a setting to an address; say whether it is as its record says."""
    shared, kind, of = item(spec, SHARED), item(record, KIND), word(obj + layout.TYPE)
    if kind in (ANY_FLOAT, IN_RANGE):
        if of != item(shared, FLOAT):
            return False
        put(out, word(obj + layout.VALUE))
        value = number(out)
        return kind == ANY_FLOAT or (
            number(record + 8 * LOW) <= value and value < number(record + 8 * HIGH)
        )
    if kind == ANY_INT:
        if of != item(shared, INT) and of != item(shared, BOOL):
            return False
        put(out, ask(item(shared, TO_INT), (obj,)))
        return True
    if kind == COUNTED:
        return _take_integer(spec, record, obj, out)
    if kind == FLAG:
        put(out, 1 if obj == item(item(spec, UPDATES), TRUE) else 0)
        return of == item(shared, BOOL)
    for i in range(MOST_CHOICES):
        if obj == item(record, CHOICES + 2 * i):
            put(out, item(record, CHOICES + 2 * i + 1))
            return True
    return False


@serial
def _is_dict(updates, obj):
    of = word(obj + layout.TYPE)
    return of == item(updates, DICT) or of == item(updates, OTHER_DICT)


@serial
def _are_equal(updates, one, other):
    """Say whether two keys are one, or strings that are equal."""
    if one == other:
        return True
    string = item(updates, STR)
    if word(one + layout.TYPE) != string or word(other + layout.TYPE) != string:
        return False
    return ask(item(updates, COMPARE), (one, other)) & _CINT == 0


@serial
def _read(updates, obj, rows, first, keys, values):
    """Write the values of a dict to addresses; say whether it has them all, in this order.

    The first dict tells of the keys. Others may have more.
    """
    if not _is_dict(updates, obj):
        return False
    found = stack(3)  # the place to go on at, key, value
    put(found, 0)
    for row in range(rows):
        while True:
            more = ask(item(updates, NEXT), (obj, found, found + 8, found + 16))
            if more & _CINT == 0:
                return False
            if first:
                set_item(keys, row, word(found + 8))
            if _are_equal(updates, item(keys, row), word(found + 8)):
                break
        set_item(values, row, word(found + 16))
    return True


@serial
def _real_of(shared, dtype):
    """Return 0 for float32, 1 for float64, -1 for other dtypes."""
    for i in range(2):
        if is_dtype(shared, dtype, i):
            return i
    return -1


@serial
def _are_alike(array, other):
    """Say whether two arrays have one shape."""
    axes = half(array + layout.AXES)
    if half(other + layout.AXES) != axes:
        return False
    for i in range(axes):
        if item(word(array + layout.SHAPE), i) != item(word(other + layout.SHAPE), i):
            return False
    return True


@serial
def _size(array):
    size = 1
    for i in range(half(array + layout.AXES)):
        size *= item(word(array + layout.SHAPE), i)
    return size


@serial
def _are_apart(intervals, count):
    """Say whether no two intervals meet; sorts them (Shell, 1959)."""
    gap = count // 2
    while gap > 0:
        for i in range(gap, count):
            start, end = item(intervals, 2 * i), item(intervals, 2 * i + 1)
            while i >= gap and item(intervals, 2 * (i - gap)) > start:
                set_item(intervals, 2 * i, item(intervals, 2 * (i - gap)))
                set_item(intervals, 2 * i + 1, item(intervals, 2 * (i - gap) + 1))
                i -= gap
            set_item(intervals, 2 * i, start)
            set_item(intervals, 2 * i + 1, end)
        gap //= 2
    for i in range(1, count):  # noqa: SIM110 (Numba has no generators in all)
        if item(intervals, 2 * i) < item(intervals, 2 * i - 1):
            return False
    return True


@serial
def _fill(spec, rows, objects, table, intervals, found):
    """Fill the table; say whether arrays are as kernels take them.

    `found` gets the number of their dtype, and that of elements to update.
    """
    shared, kinds = item(spec, SHARED), item(spec, KINDS)
    real, total, begin, count = -1, 0, 0, 0
    for row in range(rows):
        first, record = item(objects, row), table + 8 * row * (ADDRESSES + kinds)
        size = 0
        for kind in range(kinds):
            obj = item(objects, kind * rows + row)
            flags = layout.READABLE if kind == 1 else layout.WRITABLE
            if (
                word(obj + layout.TYPE) != item(shared, NDARRAY)
                or half(obj + layout.FLAGS) & flags != flags
            ):
                return False
            its = _real_of(shared, word(obj + layout.DTYPE))
            if its < 0 or (real >= 0 and its != real):
                return False
            real = its
            if kind == 0:
                size = _size(obj)
            elif not _are_alike(first, obj):
                return False
            data = word(obj + layout.DATA)
            set_item(record, ADDRESSES + kind, data)
            if size > 0:
                set_item(intervals, 2 * count, data)
                set_item(intervals, 2 * count + 1, data + size * (8 if real else 4))
                count += 1
        set_item(record, BEGIN, begin)
        set_item(record, SIZE, size)
        begin += (size + LINE - 1) // LINE * LINE
        total += size
    set_item(found, 0, real)
    set_item(found, 1, total)
    return _are_apart(intervals, count)


def fastnn_update(own, args, nargs):
    """Update parameters with arrays, or dicts of arrays, and numbers, as a signature has them.

    Behind these there may be two more, as those of :func:`caller.fastnn_call`.

    Dicts have the keys of the first in the order of the first, and may have others.

    Returns None when it is done, NotImplemented if arguments are not all as it says, else an
    integer, and has done nothing: the cost of a call that is not to be done at once; or, where it
    has been given workspace, how many bytes it needs; or below 0, if it has no kernel: -1 for
    float32, -2 for float64.
    """
    spec = word(own + layout.DATA)
    shared, updates = item(spec, SHARED), item(spec, UPDATES)
    kinds, settings = item(spec, KINDS), item(spec, SETTINGS)
    refused, columns = item(shared, NOT_IMPLEMENTED), ADDRESSES + kinds
    wanted_now = item(spec, TRUSTED) or item(shared, ENABLED) != 0
    at_once = nargs == kinds + settings
    if not wanted_now or not (at_once or nargs == kinds + settings + 2):
        return kept(shared, refused)
    words = stack(MOST_WORDS)
    for i in range(settings):
        record, out = spec + 8 * (RECORDS + SETTING * i), words + 8 * (_FIRST_NUMBER + i)
        if not _take_setting(spec, record, item(args, kinds + i), out):
            return kept(shared, refused)
    space, size = item(shared, SPACE), item(shared, BYTES)
    if not at_once:
        given = item(args, kinds + settings + 1)
        space, size = word(given + layout.DATA), word(word(given + layout.SHAPE))
    rows, many = 1, _is_dict(updates, item(args, 0))
    if many:
        rows = ask(item(updates, SIZE_OF), (item(args, 0),))
    if rows == 0 or item(spec, TAKES) & (DICTS if many else AN_ARRAY) == 0:
        return kept(shared, refused)
    # The table, the arrays, the intervals of memory that they take, of which one is a key for now.
    needed = 8 * rows * (columns + kinds + 2 * kinds)
    if needed > size:
        return ask(item(shared, FROM_INT), (needed,))
    objects = space + 8 * rows * columns
    intervals = objects + 8 * rows * kinds
    for kind in range(kinds):
        obj, values = item(args, kind), objects + 8 * rows * kind
        if not many:
            put(values, obj)
        elif not _read(updates, obj, rows, kind == 0, intervals, values):
            return kept(shared, refused)
    found = stack(2)
    if not _fill(spec, rows, objects, space, intervals, found):
        return kept(shared, refused)
    real, cost = item(found, 0), number(spec + 8 * COST) * item(found, 1)
    if at_once and cost > number(shared + 8 * MOST):
        return ask(item(shared, FROM_INT), (int(cost),))
    kernel = item(spec, CODE + real * (1 + MOST_NEEDS))
    if kernel == 0:
        return ask(item(shared, FROM_INT), (-1 - real,))
    set_item(words, 0, space)
    set_item(words, 1, 0)
    set_item(words, 2, rows)
    set_item(words, 3, columns)
    set_item(words, 4, 0)
    pieces = words + 8 * (_FIRST_NUMBER + settings)
    set_item(pieces, 1, 0)
    set_item(pieces, 2, 0)
    if at_once:
        put(pieces, 1)
        ask(kernel, (words,))
    else:
        put(pieces, ask(item(shared, TO_INT), (item(args, kinds + settings),)))
        # Without the interpreter's lock others may take arrays out of the dicts.
        for i in range(rows * kinds):
            ask(item(shared, KEEP), (item(objects, i),))
        state = ask(item(shared, UNLOCK), (0,))
        ask(kernel, (words,))
        ask(item(shared, LOCK), (state,))
        for i in range(rows * kinds):
            ask(item(shared, DROP), (item(objects, i),))
    return kept(shared, item(shared, NONE))


FUNCTION = procedure(fastnn_update)
