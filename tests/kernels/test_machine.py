"""How Python reaches machine code: signatures, what the caller refuses, what a routine does."""

import copy
import ctypes
import itertools
import math

import numpy as np
import pytest

from fastnn import kernels
from fastnn.kernels.calls import routine
from fastnn.kernels.calls.routine import Routine
from fastnn.kernels.gemm import workspace
from fastnn.kernels.machine import catalogue, layout, signature, words
from fastnn.kernels.threading import threads

known = pytest.mark.skipif(not layout.is_known(), reason="objects that are not looked into")


def test_a_signature_taken_apart():
    found = signature.parse(
        "x[n,d] t:int64[n] eps:float -> out/x[n,d] ~p?[*] & product | n d / 4 + 3 n"
    )
    names = [p.name for p in found.parameters]
    assert names == ["x", "t", "eps", "out", "p"]
    assert found.lengths == ("n", "d", "*")
    assert [p.kind for p in found.parameters] == ["real", "int64", "float", "real", "real"]
    assert [p.written for p in found.parameters] == [False, False, False, True, True]
    assert found.parameters[3].may_be == ("x",)
    assert found.parameters[4].optional
    assert [p.name for p in found.numbers] == ["eps"]
    assert found.needs == ("product",)
    assert found.cost == ((0.25, ("n", "d")), (3.0, ("n",)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x[n", r"expected a parameter such as x\[n,d\], got 'x\[n'"),
        ("x-y[n]", r"expected a parameter such as x\[n,d\], got 'x-y\[n\]'"),
        ("x", "expected a number, or an array with axes, got 'x'"),
        ("x:int64", "expected a number, or an array with axes, got 'x:int64'"),
        ("x:float16[n]", r"expected a number, or an array with axes, got 'x:float16\[n\]'"),
        ("x:float[n]", r"expected a number, or an array with axes, got 'x:float\[n\]'"),
        ("x[]", r"expected a number, or an array with axes, got 'x\[\]'"),
        ("x[n,,d]", "expected a number, or an array with axes"),
        ("x[*,n]", "expected names of arrays, and [*] last"),
        ("x[n] -> out/y[n]", "expected names of arrays, and [*] last"),
        ("x[n] | m", r"expected a cost in \['n'\], got \['m'\]"),
        (" ".join(f"x{i}[n]" for i in range(25)), "at most 24 parameters, got 25"),
        (" ".join(f"x{i}[n{i},m{i}]" for i in range(9)), "at most 16 lengths, got 18"),
        ("x[a,b,c,d,e,f,g]", "at most 6 axes, got 7"),
        ("x[n] & a b c d", "at most 3 parts, got 4"),
        ("x[n] |" + " n" * 9, "at most 8 factors, got 9"),
    ],
)
def test_what_is_no_signature(text, message):
    with pytest.raises(ValueError, match=message):
        signature.parse(text)


def test_all_signatures_of_the_catalogue_are_some():
    for name in catalogue.kernels():
        found = catalogue.signature(name)
        assert found.parameters
        assert {*found.needs} <= {*catalogue.parts()}


def test_shape_as_a_kernel_knows_it():
    a = np.empty((2, 3, 4))
    assert signature.shape_of(("n", "*"), a) == (2, 12)
    assert signature.shape_of(("*",), a) == (24,)
    assert signature.shape_of(("*",), np.empty(())) == (1,)
    assert signature.shape_of(("a", "b", "c"), a) == (2, 3, 4)


def test_where_objects_are_elsewhere_that_is_seen(monkeypatch):
    is_known = layout.is_known.__wrapped__
    assert is_known()
    for name in ("AXES", "FLAGS", "COUNT"):
        with monkeypatch.context() as patch:
            patch.setattr(layout, name, getattr(layout, name) + 4)
            assert not is_known(), name
    monkeypatch.setattr(layout, "items", lambda: tuple.__basicsize__ + layout.WORD)
    assert not is_known()


def test_interpreters_without_a_lock_are_not_looked_into(monkeypatch):
    class Larger:  # an object of theirs has 32 bytes, of which the type is the last
        __basicsize__ = 32

    monkeypatch.setattr(layout, "object", Larger, raising=False)
    monkeypatch.setattr(layout, "_at", lambda *args: pytest.fail("it was looked into"))
    assert not layout.is_known.__wrapped__()


@known
def test_items_of_a_tuple_are_where_this_python_has_them():
    """Since Python 3.14 a tuple has its hash, too, before the first item."""
    softmax = routine.routine("softmax_cross_entropy")
    given = np.eye(3, dtype=np.float32), np.arange(3)
    softmax.run(*given, None, 0.0, np.zeros(1), np.zeros((3, 3), np.float32))
    new = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_ssize_t)

    @new
    def new_tuple(count):
        made = (None, *[None] * count)  # the first in place of the hash
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))
        return id(made)

    table, address = routine.shared(), ctypes.cast(new_tuple, ctypes.c_void_p).value
    before = table[[words.NEW_TUPLE, words.FIRST_ITEM]]
    try:
        table[[words.NEW_TUPLE, words.FIRST_ITEM]] = address, layout.items() + layout.WORD
        first, loss, dx = softmax.checked(*given, routine.LEFT_OUT, 0.0, None, None)
    finally:
        table[[words.NEW_TUPLE, words.FIRST_ITEM]] = before
    assert first is None and loss.shape == (1,) and dx.shape == (3, 3)


X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


def affine(**changes):
    given = {"x": X, "W": np.ones((4, 5), "f"), "b": np.ones(5, "f"), "out": np.zeros((3, 5), "f")}
    return [*(given | changes).values()]


@known
def test_what_the_caller_refuses():
    routine.routine("affine").run(*affine())
    affine_ = routine.routine("affine").checked
    assert affine_(*affine()) is not NotImplemented
    refused = [
        (), affine()[:3], affine(x=None), affine(x=False), affine(b=1.0), affine(b="b"),
        affine(x=routine.LEFT_OUT),
        affine(x=X.astype("d")), affine(x=X.astype("i4")), affine(b=np.ones((5, 1), "f")),
        affine(W=np.ones((5, 4), "f").T), affine(x=X[:, :3]), affine(out=X), affine(out=False),
        affine(out=np.zeros((3, 6), "f")),
    ]  # fmt: skip
    for args in refused:
        assert affine_(*args) is NotImplemented
    with pytest.raises(TypeError, match="no keyword"):
        affine_(*affine()[:3], out=None)


@known
def test_numbers_that_the_caller_refuses():
    out = np.empty(4, np.int64)
    routine.routine("choices").run(9, 1, 2, out)
    choices = routine.routine("choices").checked
    largest = 2**63 - 1
    for given in [(9, 1, 2), (True, 0, largest), (largest, largest, 0)]:
        assert choices(*given, out) is out
    for given in [(9.0, 1, 2), (9, -1, 2), (9, 1, 2**63), (2**63, 1, 2), (-(2**63) - 1, 1, 2),
                  (9, 1, np.uint64(2)), (9, None, 2)]:  # fmt: skip
        assert choices(*given, out) is NotImplemented
    dropout = routine.routine("dropout")
    mask = np.empty(X.shape, bool)
    dropout.run(X, 0.5, 1, 2, 1.0, np.empty_like(X), mask)
    assert dropout.checked(X, 0.5, 1, 2, 1.0, None, None) is not NotImplemented
    for ratio in (1, np.float64(0.5), "0.5", None):
        assert dropout.checked(X, ratio, 1, 2, 1.0, None, None) is NotImplemented


@known
def test_results_that_are_made_or_not_wanted():
    backward = routine.routine("affine_backward")
    dout, (x, W) = np.ones((3, 5), "f"), affine()[:2]
    dx, dW, db = np.empty_like(x), np.empty_like(W), np.empty(5, "f")
    backward.run(dout, x, W, dx, dW, db)
    made = backward.checked(dout, x, W, None, None, None)
    for got, expected in zip(made, (dx, dW, db), strict=True):
        assert got.tobytes() == expected.tobytes()
        assert got.shape == expected.shape
        assert got.flags.owndata
    left = backward.checked(dout, x, W, routine.LEFT_OUT, dW, None)
    assert left[0] is None
    assert left[1] is dW
    assert backward.checked(dout, x, W, dx, routine.LEFT_OUT, None) is NotImplemented


@known
def test_a_kernel_is_loaded_at_its_first_use_for_each_dtype():
    relu = Routine("relu")
    wide = X.astype(np.float64)
    assert relu.checked(X, None) is NotImplemented
    relu.run(X, np.empty_like(X))
    assert relu.checked(X, None).tobytes() == np.maximum(X, 0).tobytes()
    assert relu.checked(wide, None) is NotImplemented
    relu.run(wide, np.empty_like(wide))
    assert relu.checked(wide, None).tobytes() == np.maximum(wide, 0).tobytes()


@pytest.mark.parametrize("is_known", [layout.is_known(), False])
def test_both_ways_to_a_kernel(is_known, monkeypatch):
    """By machine code that looks into arrays, and by ctypes."""
    monkeypatch.setattr(layout, "is_known", lambda: is_known)
    affine_ = Routine("affine")
    x, W, b, out = affine()
    affine_.run(x, W, b, out)
    np.testing.assert_allclose(out, x @ W + b, rtol=1e-6)
    pieces = np.empty_like(out)
    affine_(x, W, b, pieces, 3)
    assert pieces.tobytes() == out.tobytes()
    loss, dx = np.empty(1), np.empty_like(X)
    cross_entropy = Routine("softmax_cross_entropy")
    cross_entropy.run(X, np.array([0, 3, 1]), None, 0.0, loss, dx)
    assert loss[0] > 0
    dx[...] = 7
    with pytest.raises(TypeError, match="softmax_cross_entropy: expected what its signature says"):
        cross_entropy.run(X, np.array([0, 4, 1]), None, 0.0, loss, dx)
    assert (dx == 7).all()
    n = routine.SPACE // 4 + 1  # losses in float32, more than there is workspace at once
    x, dx = np.ones((n, 1), "f"), np.empty((n, 1), "f")
    squared_error = Routine("mean_squared_error")
    squared_error.run(x, np.zeros_like(x), None, loss, dx)
    assert loss[0] == 0.5


def test_workspace_is_asked_for_and_given(monkeypatch):
    asked, take = [], workspace.take

    def note(size, dtype):
        asked.append(size)
        return take(size, dtype)

    monkeypatch.setattr(workspace, "_kept", workspace._Kept())
    monkeypatch.setattr(workspace, "take", note)
    n = 1000
    x, dx, loss = np.ones((n, 1)), np.empty((n, 1)), np.empty(1)
    routine.routine("mean_squared_error")(x, np.zeros_like(x), None, loss, dx, 2)
    assert 8 * n <= asked[-1] <= 8 * n + 64
    asked.clear()
    routine.routine("mean_squared_error")(x, np.zeros_like(x), None, loss, dx, 2)
    assert asked == [0]  # it is kept


def test_work_decides_into_how_many_pieces_a_call_is_cut(monkeypatch):
    calls = []
    monkeypatch.setattr(threads, "run", lambda kernel, args, work: calls.append((kernel, work)))
    relu = routine.routine("relu")
    for size in (8, 1 << 20):
        x = np.ones(size, "f")
        relu.run(x, x)
    assert calls == [(relu, 1 << 20)]


def test_arguments_that_do_not_fit():
    relu = routine.routine("relu")
    for args in [(X, np.empty((4, 3), "f")), (X, np.empty((3, 4))), (X, None)]:
        with pytest.raises(TypeError, match="relu: expected what its signature says, got"):
            relu.run(*args)
    dropout = routine.routine("dropout_inference")
    out = np.empty_like(X)
    dropout.run(X, np.float32(0.5), out)  # numbers of NumPy are converted
    np.testing.assert_array_equal(out, X / 2)


@pytest.mark.parametrize("name", [n for n in catalogue.kernels() if not catalogue.is_update(n)])
def test_results_are_work_whatever_axis_is_empty(name):
    """Else a call without any sum, but with large results, would be done with the lock held."""
    found = catalogue.signature(name)
    named = [length for length in found.lengths if not length.isdigit()]
    for values in itertools.product((0, 1, 1000), repeat=len(named)):
        lengths = dict(zip(named, values, strict=True))
        cost = sum(f * math.prod(lengths[n] for n in names) for f, names in found.cost)
        for array in found.arrays:
            if array.written and set(array.axes or ()) <= {*named}:
                size = math.prod(lengths[n] for n in array.axes)
                assert 4 * cost >= size, (array.name, lengths)


def test_tables_have_room():
    for name in catalogue.kernels():
        found = catalogue.signature(name)
        if not catalogue.is_update(name):
            table = routine._table(found, True)
            records = words.RECORD * len(found.parameters) + words.TERM * len(found.cost)
            assert table.size == words.RECORDS + records + len(found.lengths)


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_a_copy_of_a_dtype_is_as_good_as_the_dtype(name):
    """As arrays have that come out of a deep copy of an object with a dtype."""
    other = copy.deepcopy(np.dtype(name))
    assert other is not np.dtype(name)
    x, y = np.array([-1.0, 2.0], other), np.empty(2, name)
    kernels.relu(x, y, 1)
    np.testing.assert_array_equal(y, [0, 2])
