"""The function that Python calls for each kernel: it looks into the arguments, and calls.

It is of the form ``METH_FASTCALL`` of Python's: it takes an object of its own, here an array, the
table of its routine (:mod:`fastnn.kernels.machine.words`), then the address of the arguments, and
how many they are. It asks Python for nothing but references and new results, by addresses, and so
takes some 50 nanoseconds where a function of Python that looks into as many arrays takes thousands.
"""

from __future__ import annotations

from fastnn.kernels.codegen.compile import procedure, serial
from fastnn.kernels.codegen.raw import ask, half, item, number, put, set_item, stack, word
from fastnn.kernels.machine import layout
from fastnn.kernels.machine.words import (
    ARRAYS,
    AS_LONG,
    AXES,
    BOOL,
    BYTES,
    CODE,
    DROP,
    ENABLED,
    FIRST_DTYPE,
    FIRST_ITEM,
    FIRST_SCALAR,
    FLAGS,
    FLOAT,
    FROM_INT,
    HAS_REST,
    INT,
    IS_FLOAT,
    IS_INT,
    IS_REAL,
    IS_RETURNED,
    IS_UINT,
    KEEP,
    KIND,
    LEFT_OUT,
    LENGTHS,
    LOCK,
    MAY_BE,
    MOST,
    MOST_LENGTHS,
    MOST_NEEDS,
    MOST_PARAMETERS,
    MOST_WORDS,
    NAMED,
    NDARRAY,
    NEEDS,
    NEW_ARRAY,
    NEW_TUPLE,
    NONE,
    NOT_IMPLEMENTED,
    OPTIONAL,
    PARAMETERS,
    RECORD,
    RECORDS,
    RETURNED,
    SHARED,
    SPACE,
    TERM,
    TERMS,
    TO_INT,
    TRUSTED,
    UNKNOWN,
    UNLOCK,
    WRITTEN,
)

_MOST_COST = 2.0**62  # that an integer can hold


@serial
def kept(shared, obj):
    """Return an object with one reference more."""
    ask(item(shared, KEEP), (obj,))
    return obj


@serial
def _dtype_of(shared, record, real):
    """Return the number of a parameter's dtype; `real` is that of the call."""
    kind = item(record, KIND)
    return real if kind == IS_REAL else kind


@serial
def _lengths_fit(obj, record, lengths, rest):
    """Say whether an array has the lengths that are known, and note those that it tells of.

    `rest` has how many axes `*` stands for, and the address of their lengths.
    """
    axes, shape, named = half(obj + layout.AXES), word(obj + layout.SHAPE), item(record, NAMED)
    has_rest = item(record, FLAGS) & HAS_REST != 0
    if axes < named or (axes > named and not has_rest):
        return False
    for j in range(named):
        index, length = item(record, AXES + j), item(shape, j)
        if item(lengths, index) == UNKNOWN:
            set_item(lengths, index, length)
        elif item(lengths, index) != length:
            return False
    if has_rest:
        index, own = item(record, AXES + named), shape + 8 * named
        if item(rest, 0) < 0:
            set_item(rest, 0, axes - named)
            set_item(rest, 1, own)
            size = 1
            for j in range(axes - named):
                size *= item(own, j)
            set_item(lengths, index, size)
        else:
            if item(rest, 0) != axes - named:
                return False
            for j in range(axes - named):
                if item(own, j) != item(item(rest, 1), j):
                    return False
    return True


@serial
def is_dtype(shared, dtype, index):
    """Say whether an object is equal to the dtype of a number; copies of dtypes are others."""
    if dtype == item(shared, FIRST_DTYPE + index):
        return True
    order = half(dtype + layout.ORDER // 4 * 4) >> 8 * (layout.ORDER % 4) & 0xFF
    native = order in (layout.NATIVE, layout.NO_ORDER)
    return native and word(dtype + layout.SCALAR) == item(shared, FIRST_SCALAR + index)


@serial
def _array_fits(shared, obj, record, real):
    """Return the number of a real array's dtype, `real` of others, or -2 if it does not fit."""
    flags = layout.WRITABLE if item(record, FLAGS) & WRITTEN else layout.READABLE
    if (
        word(obj + layout.TYPE) != item(shared, NDARRAY)
        or half(obj + layout.FLAGS) & flags != flags
    ):
        return -2
    dtype, kind = word(obj + layout.DTYPE), item(record, KIND)
    if kind >= 0:
        return real if is_dtype(shared, dtype, kind) else -2
    for i in range(2):
        if is_dtype(shared, dtype, i):
            return i if real in (-1, i) else -2
    return -2


@serial
def _bytes(record, lengths, itemsize):
    """Return how many bytes an array takes."""
    size, named = itemsize, item(record, NAMED)
    for j in range(named + (1 if item(record, FLAGS) & HAS_REST else 0)):
        size *= item(lengths, item(record, AXES + j))
    return size


@serial
def _itemsize(dtype):
    """Return the bytes of a number, by the number of its dtype."""
    return 4 if dtype in (0, 4) else (8 if dtype < 4 else 1)


@serial
def _are_apart(spec, table, lengths, real):
    """Say whether no array that is written to shares memory with another."""
    shared, arrays = item(spec, SHARED), stack(MOST_PARAMETERS)
    count = 0
    for i in range(item(spec, PARAMETERS)):
        record = spec + 8 * (RECORDS + RECORD * i)
        if item(record, KIND) >= IS_REAL:
            set_item(arrays, count, record)
            count += 1
    for i in range(count):
        one = item(arrays, i)
        if item(one, FLAGS) & WRITTEN and item(table, i) != 0:
            begin = item(table, i)
            end = begin + _bytes(one, lengths, _itemsize(_dtype_of(shared, one, real)))
            for j in range(count):
                same = item(table, j) == begin and item(one, MAY_BE) >> j & 1
                if j != i and item(table, j) != 0 and not same:
                    other = item(arrays, j)
                    size = _bytes(other, lengths, _itemsize(_dtype_of(shared, other, real)))
                    if begin < item(table, j) + size and item(table, j) < end:
                        return False
    return True


@serial
def _cost(spec, lengths):
    """Return what a call costs, in elements of a cheap loop."""
    terms = spec + 8 * (RECORDS + RECORD * item(spec, PARAMETERS))
    total = 0.0
    for i in range(item(spec, TERMS)):
        product, j = number(terms + 8 * TERM * i), 1
        while j < TERM and item(terms, TERM * i + j) >= 0:
            product *= item(lengths, item(terms, TERM * i + j))
            j += 1
        total += product
    return min(total, _MOST_COST)


@serial
def _make(spec, args, table, made, lengths, rest, real):
    """Make the results that are not given; return whether there is memory for them.

    `made` gets a reference to each, or 0.
    """
    shared, array = item(spec, SHARED), 0
    for i in range(item(spec, PARAMETERS)):
        record = spec + 8 * (RECORDS + RECORD * i)
        if item(record, KIND) < IS_REAL:
            continue
        flags = item(record, FLAGS)
        if flags & IS_RETURNED and item(args, i) == item(shared, NONE):
            shape, named = stack(64), item(record, NAMED)
            axes = named
            for j in range(named):
                set_item(shape, j, item(lengths, item(record, AXES + j)))
            if flags & HAS_REST:
                axes += item(rest, 0)
                for j in range(item(rest, 0)):
                    set_item(shape, named + j, item(item(rest, 1), j))
            dtype = item(shared, FIRST_DTYPE + _dtype_of(shared, record, real))
            result = ask(item(shared, NEW_ARRAY), (axes, shape, kept(shared, dtype), 0))
            if result == 0:
                return False
            set_item(made, array, result)
            set_item(table, array, word(result + layout.DATA))
        array += 1
    return True


@serial
def _drop(shared, made, count):
    for i in range(count):
        if item(made, i) != 0:
            ask(item(shared, DROP), (item(made, i),))


@serial
def _results(spec, args, made):
    """Return what a call returns: None, an array, or a tuple of arrays."""
    shared, count = item(spec, SHARED), item(spec, RETURNED)
    if count == 0:
        return kept(shared, item(shared, NONE))
    pack = 0
    if count > 1:
        pack = ask(item(shared, NEW_TUPLE), (count,))
        if pack == 0:
            _drop(shared, made, item(spec, ARRAYS))
            return 0
    array, done = 0, 0
    for i in range(item(spec, PARAMETERS)):
        record = spec + 8 * (RECORDS + RECORD * i)
        if item(record, KIND) < IS_REAL:
            continue
        if item(record, FLAGS) & IS_RETURNED:
            result = item(made, array)
            if result == 0:
                given = item(args, i)
                absent = given == item(shared, LEFT_OUT)
                result = kept(shared, item(shared, NONE) if absent else given)
            if count == 1:
                return result
            put(pack + item(shared, FIRST_ITEM) + 8 * done, result)
            done += 1
        array += 1
    return pack


def fastnn_call(own, args, nargs):
    """Call a kernel with objects of Python: arrays and numbers, as its signature has them.

    Those of a trusted routine, which have been checked, may have two more behind them, into how
    many pieces to cut the work, and an array of bytes for workspace: then the interpreter's lock is
    given up during the call.

    Returns the results that the signature has, or NotImplemented if arguments are not all as it
    says, the kernel refuses them, or the call is not one to be done at once. A trusted routine,
    whose arguments have been checked, returns None when it is done. Else it returns an integer, and
    has done nothing: the cost of a call that is not to be done at once; or, where it has been given
    workspace, how many bytes it needs; or below 0, if it has no kernel: -1 for float32, -2 for
    float64.
    """
    spec = word(own + layout.DATA)
    shared, count = item(spec, SHARED), item(spec, PARAMETERS)
    trusted, n_arrays, n_lengths = item(spec, TRUSTED), item(spec, ARRAYS), item(spec, LENGTHS)
    refused = item(shared, NOT_IMPLEMENTED)
    at_once = nargs == count
    wanted_now = trusted or item(shared, ENABLED) != 0
    if not wanted_now or not (at_once or (trusted and nargs == count + 2)):
        return kept(shared, refused)
    table, lengths = stack(MOST_WORDS), stack(MOST_LENGTHS)
    made, rest = stack(MOST_PARAMETERS), stack(2)
    known = spec + 8 * (RECORDS + RECORD * count + TERM * item(spec, TERMS))
    for i in range(n_lengths):
        set_item(lengths, i, item(known, i))
    set_item(rest, 0, -1)
    array, numbers, real = 0, n_arrays + n_lengths, -1
    for i in range(count):
        obj, record = item(args, i), spec + 8 * (RECORDS + RECORD * i)
        kind, flags = item(record, KIND), item(record, FLAGS)
        if kind == IS_FLOAT:
            if word(obj + layout.TYPE) != item(shared, FLOAT):
                return kept(shared, refused)
            set_item(table, numbers, word(obj + layout.VALUE))
            numbers += 1
        elif kind in (IS_INT, IS_UINT):
            of, far = word(obj + layout.TYPE), stack(1)
            if of not in (item(shared, INT), item(shared, BOOL)):
                return kept(shared, refused)
            if trusted:
                value = ask(item(shared, TO_INT), (obj,))
            else:
                value = ask(item(shared, AS_LONG), (obj, far))
                if half(far) != 0 or (kind == IS_UINT and value < 0):
                    return kept(shared, refused)
            set_item(table, numbers, value)
            numbers += 1
        else:
            set_item(table, array, 0)
            left_out = obj == item(shared, NONE if trusted else LEFT_OUT) and flags & OPTIONAL
            to_make = obj == item(shared, NONE) and flags & IS_RETURNED and not trusted
            if not left_out and not to_make:
                found = _array_fits(shared, obj, record, real)
                if found == -2 or not _lengths_fit(obj, record, lengths, rest):
                    return kept(shared, refused)
                real = found
                set_item(table, array, word(obj + layout.DATA))
            array += 1
    for i in range(n_lengths):
        if item(lengths, i) == UNKNOWN:
            return kept(shared, refused)
        set_item(table, n_arrays + i, item(lengths, i))
    cost = _cost(spec, lengths)
    if at_once and cost > number(shared + 8 * MOST):
        if trusted:
            return ask(item(shared, FROM_INT), (int(cost),))
        return kept(shared, refused)
    if not trusted and not _are_apart(spec, table, lengths, real):
        return kept(shared, refused)
    code = CODE + max(real, 0) * (1 + MOST_NEEDS)
    kernel = item(spec, code)
    if kernel == 0:
        if trusted:
            return ask(item(shared, FROM_INT), (-1 - max(real, 0),))
        return kept(shared, refused)
    for i in range(n_arrays):
        set_item(made, i, 0)
    if not trusted and not _make(spec, args, table, made, lengths, rest, real):
        _drop(shared, made, n_arrays)
        return 0
    for i in range(item(spec, NEEDS)):
        set_item(table, numbers + 3 + i, item(spec, code + 1 + i))
    if at_once:
        set_item(table, numbers, 1)
        set_item(table, numbers + 1, item(shared, SPACE))
        set_item(table, numbers + 2, item(shared, BYTES))
        wanted = ask(kernel, (table,))
    else:
        space = item(args, count + 1)
        set_item(table, numbers, ask(item(shared, TO_INT), (item(args, count),)))
        set_item(table, numbers + 1, word(space + layout.DATA))
        set_item(table, numbers + 2, word(word(space + layout.SHAPE)))
        state = ask(item(shared, UNLOCK), (0,))
        wanted = ask(kernel, (table,))
        ask(item(shared, LOCK), (state,))
    if wanted != 0:
        _drop(shared, made, n_arrays)
        if trusted and wanted > 0:
            return ask(item(shared, FROM_INT), (int(cost) if at_once else wanted,))
        return kept(shared, refused)
    if trusted:
        return kept(shared, item(shared, NONE))
    return _results(spec, args, made)


FUNCTION = procedure(fastnn_call)
