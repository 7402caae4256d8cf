"""Tables of arrays: what gets into one, and that a kernel updates just that, whatever the cut."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastnn import kernels, reference
from fastnn.kernels.threading.driver import LINE
from fastnn.kernels.updates import tables

# Each rule with settings, and its number of arrays to a parameter.
RULES = {
    "sgd_": (2, (0.1, 0.01)),
    "momentum_": (3, (0.1, 0.9, 0.01)),
    "nesterov_": (3, (0.1, 0.9, 0.01)),
    "adagrad_": (3, (0.1, 1e-7, 0.01)),
    "rmsprop_": (3, (0.1, 0.99, 1e-7, 0.01)),
    "adam_": (4, (3, 0.1, 0.9, 0.999, 1e-7, 0.01, False, True)),
    "nadam_": (4, (3, 0.2, 0.1, 0.9, 0.999, 1e-8, 0.004, 0.01)),
    "adamax_": (4, (3, 0.1, 0.9, 0.999, 1e-8, 0.01)),
    "amsgrad_": (5, (3, 0.1, 0.9, 0.999, 1e-8, 0.01)),
    "lion_": (3, (0.1, 0.9, 0.99, 0.01)),
}
DTYPES = ["float32", "float64"]


def draw(seed, shapes, kinds, dtype):
    """Return positive arrays of these shapes, as many of each as there are kinds."""
    rng = np.random.default_rng(seed)
    return tuple(rng.random(shape).astype(dtype) for _ in range(kinds) for shape in shapes)


LENGTHS = st.one_of(
    st.integers(0, 3), st.sampled_from([LINE - 1, LINE, LINE + 1, 3 * LINE, 1000, 5003])
)
SHAPES = st.one_of(
    st.just(()), st.tuples(LENGTHS), st.tuples(st.integers(0, 9), st.integers(0, 17))
)


@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None, max_examples=40)
@given(shapes=st.lists(SHAPES, min_size=1, max_size=12), dtype=st.sampled_from(DTYPES))
@example(shapes=[(0,)], dtype="float32")
@example(shapes=[(0,), (0, 3)], dtype="float64")
@example(shapes=[(784, 100), (100,), (100, 10), (10,)], dtype="float32")
@example(shapes=[()] * 70, dtype="float32")
def test_all_arrays_at_once_are_each_on_its_own(rule, shapes, dtype):
    kinds, numbers = RULES[rule]
    kernel = getattr(kernels, rule)
    alone, twin = (draw(0, shapes, kinds, dtype) for _ in range(2))
    for i in range(len(shapes)):
        table, like, total = tables.tabulate(alone[i :: len(shapes)], kinds)
        assert total == alone[i].size
        kernel(table, like, *numbers, 1)
        getattr(reference, rule)(*twin[i :: len(shapes)], *numbers)
    for chunks in (1, 2, 5):
        together = draw(0, shapes, kinds, dtype)
        table, like, total = tables.tabulate(together, kinds)
        assert total == sum(p.size for p in together[: len(shapes)])
        kernel(table, like, *numbers, chunks)
        for a, b, c in zip(together, alone, twin, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
            np.testing.assert_allclose(a, c, rtol=0, atol=64 * np.finfo(dtype).eps)


def test_a_cut_is_at_a_multiple_of_a_line_of_each_array():
    table, _, _ = tables.tabulate(draw(0, [(1,), (LINE + 1,), (0,), (5,)], 2, "float32"), 2)
    assert table[:, tables.BEGIN].tolist() == [0, LINE, 3 * LINE, 3 * LINE]
    assert table[:, tables.SIZE].tolist() == [1, LINE + 1, 0, 5]


# --- what gets in -----------------------------------------------------------------------


def read_only(a):
    a.flags.writeable = False
    return a


def unaligned(a):
    memory = np.zeros(a.nbytes + 1, np.uint8)
    inside = memory[1:].view(a.dtype).reshape(a.shape)
    inside[...] = a
    return inside


class Subclass(np.ndarray):
    pass


UNFIT = {
    "list": lambda a: a.tolist(),
    "None": lambda a: None,
    "subclass": lambda a: a.view(Subclass),
    "other float": lambda a: a.astype(np.float64 if a.dtype == np.float32 else np.float32),
    "half": lambda a: a.astype(np.float16),
    "whole": lambda a: a.view(f"i{a.itemsize}"),
    "complex": lambda a: a.astype(np.complex64),
    "object": lambda a: a.astype(object),
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "fortran": lambda a: np.asfortranarray(a),
    "strided": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "backwards": lambda a: a[::-1],
    "unaligned": unaligned,
    "flat": lambda a: a.reshape(-1),
    "one axis more": lambda a: a[None],
    "transposed": lambda a: a.reshape(a.shape[::-1]),
    "longer": lambda a: np.concatenate([a, a]),
    "empty": lambda a: a[:0],
}


@pytest.mark.parametrize("where", range(8))
@pytest.mark.parametrize("unfit", UNFIT)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_kernels_do_not_take(unfit, where, dtype):
    arrays = draw(0, [(6, 11), (3, 5)], 4, dtype)
    assert tables.tabulate(arrays, 4) is not None
    changed = list(arrays)
    changed[where] = UNFIT[unfit](arrays[where])
    assert tables.tabulate(tuple(changed), 4) is None


@pytest.mark.parametrize("where", range(8))
def test_only_gradients_may_be_read_only(where):
    arrays = draw(0, [(6, 11), (3, 5)], 4, "float32")
    read_only(arrays[where])
    assert (tables.tabulate(arrays, 4) is not None) == (where in (2, 3))


def test_dtypes_that_are_equal_but_not_the_same_object():
    """As in arrays that come out of a pickle."""
    arrays = list(draw(0, [(6, 11), (3, 5)], 4, "float32"))
    for i in (0, 3):
        arrays[i] = arrays[i].view(np.dtype("f4", metadata={"unit": "m"}))
        assert arrays[i].dtype is not np.dtype("f4")
    assert tables.tabulate(tuple(arrays), 4) is not None


INTERVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6)), min_size=2, max_size=12)


@settings(deadline=None, max_examples=300)
@given(intervals=INTERVALS, kinds=st.sampled_from([1, 2]))
@example(intervals=[(0, 5), (5, 5)], kinds=2)
@example(intervals=[(0, 5), (4, 5)], kinds=2)
@example(intervals=[(0, 6), (0, 6)], kinds=2)
@example(intervals=[(0, 6), (2, 1)], kinds=1)
@example(intervals=[(3, 0), (0, 6)], kinds=1)
def test_no_two_share_memory(intervals, kinds):
    memory = np.zeros(80)
    if kinds == 2:
        intervals = intervals[: len(intervals) // 2 * 2]
        half = len(intervals) // 2
        # A gradient is as long as its parameter.
        intervals[half:] = [
            (start, intervals[i][1]) for i, (start, _) in enumerate(intervals[half:])
        ]
    arrays = tuple(memory[start : start + size] for start, size in intervals)
    apart = not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    assert (tables.tabulate(arrays, kinds) is not None) == apart


def test_arrays_that_moved_are_found():
    """The table is of the arrays as they are, not as they once were."""
    p, g = np.zeros(4), np.ones(4)
    p.resize(9, refcheck=False)
    g.resize(9, refcheck=False)
    table, like, total = tables.tabulate((p, g), 2)
    assert total == 9
    kernels.sgd_(table, like, 0.5, 0.0, 1)
    np.testing.assert_array_equal(p, [-0.5] * 4 + [0] * 5)


def test_the_layout_of_arrays_is_looked_at():
    assert tables._layout_is_known()
    shifted = np.dtype([("added", np.intp), *tables._ARRAY.descr])
    with mock.patch.object(tables, "_ARRAY", shifted):
        assert not tables._layout_is_known()
    with mock.patch.object(tables, "_HEADER", tables._HEADER + 8):
        assert not tables._layout_is_known()


def test_arrays_that_cannot_be_looked_into():
    with mock.patch.dict(tables._REALS, clear=True):
        assert tables.tabulate((np.ones(3), np.ones(3)), 2) is None


def test_one_compiled_form_reads_all_tables():
    for dtype in DTYPES:
        for kinds in (2, 3, 4, 5, 9):
            for shapes in ([(3,)], [(), (2, 3), (1, 2, 3)]):
                assert tables.tabulate(draw(0, shapes, kinds, dtype), kinds) is not None
    assert len(tables._fill.signatures) == 1
