"""Updates by one call: what is taken, and that just that is updated, whatever the cut."""

import math
import sys
from collections import OrderedDict, defaultdict
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastnn import kernels, ops, optimizers, reference
from fastnn._utils.validation import Range
from fastnn.kernels.calls.update_routine import UpdateRoutine, routine
from fastnn.kernels.machine import catalogue, layout, words
from fastnn.kernels.plain.table import LINE
from fastnn.layers.parameters import Params

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


def dicts(arrays, kinds):
    """Return dicts of all parameters, of all gradients and so on."""
    count = len(arrays) // kinds
    return [dict(enumerate(arrays[i * count : (i + 1) * count])) for i in range(kinds)]


@pytest.fixture
def update():
    """Return what updates by SGD, and says whether it did; a dict or an array at a time."""

    def sgd(*given, weight_decay=0.0):
        return routine("sgd_").update(*given, 0.5, weight_decay)

    return sgd


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
        kernel(*alone[i :: len(shapes)], *numbers, 1)
        getattr(reference, rule)(*twin[i :: len(shapes)], *numbers)
    for chunks in (1, 2, 5):
        together = draw(0, shapes, kinds, dtype)
        kernel(*dicts(together, kinds), *numbers, chunks)
        for a, b, c in zip(together, alone, twin, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
            np.testing.assert_allclose(a, c, rtol=0, atol=64 * np.finfo(dtype).eps)


def test_more_arrays_than_there_is_memory_for_at_once(update):
    """The table of a call that is done at once is in memory that all calls share."""
    many = {i: np.ones(1) for i in range(words.SETTING * 5000)}
    assert update(many, {i: np.ones(1) for i in many})
    assert {float(p[0]) for p in many.values()} == {0.5}


def test_a_cut_is_at_a_multiple_of_a_line_of_each_array():
    arrays = draw(0, [(1,), (LINE + 1,), (0,), (5,)], 2, "float32")
    kernels.sgd_(*dicts(arrays, 2), 0.5, 0.0, 1)
    space = np.zeros(4096, np.uint8)
    assert routine("sgd_")._trusted(*dicts(arrays, 2), 0.5, 0.0, 1, space) is None
    rows = space.view(np.int64)[: 4 * 4].reshape(4, 4)
    assert rows[:, 0].tolist() == [0, LINE, 3 * LINE, 3 * LINE]
    assert rows[:, 1].tolist() == [1, LINE + 1, 0, 5]
    assert rows[:, 2].tolist() == [p.ctypes.data for p in arrays[:4]]


@pytest.mark.parametrize("chunks", [1, 2])
def test_references_are_given_back(chunks):
    """During a call others may take arrays out of the dicts: it holds them."""
    arrays = draw(0, [(1000,), (5,)], 2, "float32")
    before = [sys.getrefcount(a) for a in arrays]
    for _ in range(3):
        kernels.sgd_(*dicts(arrays, 2), 0.5, 0.0, chunks)
    assert [sys.getrefcount(a) for a in arrays] == before


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


KINDS = 4


def adam(*given):
    return routine("adam_").update(*given, *RULES["adam_"][1])


@pytest.mark.parametrize("where", range(8))
@pytest.mark.parametrize("unfit", UNFIT)
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_kernels_do_not_take(unfit, where, dtype):
    arrays = draw(0, [(6, 11), (3, 5)], KINDS, dtype)
    assert adam(*dicts(arrays, KINDS))
    changed = list(arrays)
    changed[where] = UNFIT[unfit](arrays[where])
    before = [np.array(a) for a in arrays]
    assert not adam(*dicts(changed, KINDS))
    if where < 2 * KINDS:
        assert not adam(*changed[where % 2 :: 2])
    for a, b in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("where", range(8))
def test_only_gradients_may_be_read_only(where):
    arrays = draw(0, [(6, 11), (3, 5)], KINDS, "float32")
    read_only(arrays[where])
    assert adam(*dicts(arrays, KINDS)) == (where in (2, 3))


def test_dtypes_that_are_equal_but_not_the_same_object():
    """As in arrays that come out of a pickle."""
    arrays = list(draw(0, [(6, 11), (3, 5)], KINDS, "float32"))
    for i in (0, 3):
        arrays[i] = arrays[i].view(np.dtype("f4", metadata={"unit": "m"}))
        assert arrays[i].dtype is not np.dtype("f4")
    assert adam(*dicts(arrays, KINDS))


INTERVALS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 6)), min_size=2, max_size=12)


@settings(deadline=None, max_examples=300)
@given(intervals=INTERVALS)
@example(intervals=[(0, 5), (5, 5)])
@example(intervals=[(0, 5), (4, 5)])
@example(intervals=[(0, 6), (0, 6)])
@example(intervals=[(0, 6), (9, 1), (20, 6), (2, 1)])
@example(intervals=[(3, 0), (0, 6), (3, 0), (10, 6)])
def test_no_two_share_memory(intervals):
    memory = np.zeros(80)
    intervals = intervals[: len(intervals) // 2 * 2]
    half = len(intervals) // 2
    # A gradient is as long as its parameter.
    intervals[half:] = [(start, intervals[i][1]) for i, (start, _) in enumerate(intervals[half:])]
    arrays = tuple(memory[start : start + size] for start, size in intervals)
    apart = not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])
    assert routine("sgd_").update(*dicts(arrays, 2), 0.5, 0.0) == apart


def test_arrays_that_moved_are_found(update):
    """Arrays are taken as they are, not as they once were."""
    p, g = np.zeros(4), np.ones(4)
    assert update(p, g)
    p.resize(9, refcheck=False)
    g.resize(9, refcheck=False)
    p[:], g[:] = 0, 1
    assert update(p, g)
    np.testing.assert_array_equal(p, np.full(9, -0.5))


# --- dicts ------------------------------------------------------------------------------


def pair(**changed):
    params, grads = {"W": np.zeros(3), "b": np.zeros(2)}, {"W": np.ones(3), "b": np.ones(2)}
    return {"params": params, "grads": grads} | changed


GRADS = {"b": np.ones(2), "W": np.ones(3)}
TAKEN = {
    "more keys": pair(grads={"a": None, "W": np.ones(3), 5: "?", "b": np.ones(2), "c": 1}),
    "strings that are equal": pair(grads={"".join(["W"]): np.ones(3), "".join(["b"]): np.ones(2)}),
    "of a network": pair(params=Params({"W": np.zeros(3), "b": np.zeros(2)})),
}
LEFT = {
    "another order": pair(grads=GRADS),
    "a subclass": pair(grads=defaultdict(lambda: np.ones(3), GRADS)),
    "an order of its own": pair(params=OrderedDict(W=np.zeros(3), b=np.zeros(2))),
}
REFUSED = {
    "a key is missing": pair(grads={"W": np.ones(3)}),
    "keys of another type": pair(grads={b"W": np.ones(3), b"b": np.ones(2)}),
    "no dict": pair(grads=np.ones(3)),
}


@pytest.mark.parametrize("given", [*TAKEN.values(), *LEFT.values()], ids=[*TAKEN, *LEFT])
def test_dicts(given, update):
    taken = any(given is each for each in TAKEN.values())
    for p in given["params"].values():
        p[:] = 0
    assert update(*given.values()) == taken
    if not taken:
        optimizers.SGD(0.5).update(**given)
    for p in given["params"].values():
        np.testing.assert_array_equal(p, -0.5)


@pytest.mark.parametrize("given", REFUSED.values(), ids=REFUSED)
def test_dicts_that_do_not_fit(given, update):
    assert not update(*given.values())
    with pytest.raises((KeyError, AttributeError, TypeError)):
        optimizers.SGD(0.5).update(**given)
    for p in given["params"].values():
        np.testing.assert_array_equal(p, 0)


def test_functions_take_arrays_and_optimizers_dicts():
    p, g = {"W": np.zeros(3)}, {"W": np.ones(3)}
    ops.sgd_(p["W"], g["W"])
    optimizers.SGD().update(p, g)
    before = p["W"].copy()
    with pytest.raises(TypeError, match="p: "):
        ops.sgd_(p, g)
    with pytest.raises(AttributeError):
        optimizers.SGD().update(p["W"], g["W"])
    np.testing.assert_array_equal(p["W"], before)


# --- settings ---------------------------------------------------------------------------


BIG = 1 << 63
ODD = {
    float: [math.nan, math.inf, -math.inf, -1.0, -0.0, 1.0, math.nextafter(1, 0), math.ulp(0.0)],
    int: [0, -1, 1, 7, BIG - 1, BIG - 2, BIG, 2 * BIG + 5, -BIG - 5],
}
ODD[object] = [True, False, 1, np.float32(0.5), np.float64(0.5), np.int64(3), np.bool_(True)]
ODD[object] += ["folded", "explicit", "".join(["fol", "ded"]), "other", None, "0.5", [0.5]]
VALUES = [value for values in ODD.values() for value in values]


def fits(rule, name, value):
    """Say whether a setting is one, and as it is given already."""
    try:
        checked = rule.check(name, value)
    except (TypeError, ValueError):
        return False
    if isinstance(rule.settings[name], Range) or name == "step":
        return type(value) is type(checked)
    return type(value) in (bool, str)


@pytest.mark.parametrize("kind", optimizers.OPTIMIZERS.values())
def test_settings_are_those_that_the_rule_takes(kind):
    rule = kind.rule
    p, g, *states = (np.ones(3) for _ in range(2 + len(rule.states)))
    ours = [getattr(kind(), name, 0.5) if name != "step" else 3 for name in rule.settings]
    assert rule.function.update(p, g, *states, *ours)
    for i, name in enumerate(rule.settings):
        for value in VALUES:
            changed = [*ours[:i], value, *ours[i + 1 :]]
            taken = rule.function.checked(p, g, *states, *changed) is None
            # Of a name another object may be equal to what is known.
            if isinstance(value, str):
                assert taken <= fits(rule, name, value)
            else:
                assert taken == fits(rule, name, value), (name, value)


@pytest.mark.parametrize("count", [-1, 0, 1, BIG - 3, BIG - 2, BIG - 1, BIG, True, 1.0, None])
def test_the_number_of_an_update_follows_that_of_the_last(count):
    params, grads = {"W": np.ones(3)}, {"W": np.ones(3)}
    optimizer = optimizers.Adam()
    optimizer.update(params, grads)
    optimizer.update(params, grads)
    before = params["W"].copy()
    optimizer.iter = count
    args = params, grads, *optimizer.rule.read(optimizer)
    fit = type(count) is int and 0 <= count <= BIG - 2
    assert (optimizer.rule.step.checked(*args) is None) == fit
    assert (params["W"] != before).all() == fit


@pytest.mark.parametrize("rule", RULES)
def test_signatures_are_those_of_the_reference(rule):
    kind = next(k for k in optimizers.OPTIMIZERS.values() if k.rule.name == rule)
    known = catalogue.signature(rule)
    assert [p.name for p in known.arrays] == ["p", "g", *kind.rule.states]
    named = {"bias_correction": "explicit"}
    assert [p.name for p in known.numbers] == [named.get(n, n) for n in kind.rule.settings]
    assert isinstance(getattr(kernels, rule), UpdateRoutine)


# --- layouts ----------------------------------------------------------------------------


def test_the_layout_of_objects_is_looked_at():
    assert layout.is_known.__wrapped__()
    for name in ("DATA", "AXES", "SHAPE", "DTYPE", "FLAGS", "VALUE", "COUNT", "SCALAR", "ORDER"):
        with mock.patch.object(layout, name, getattr(layout, name) + layout.WORD):
            assert not layout.is_known.__wrapped__(), name
