"""Calls of every function of ops beside NumPy: all have arguments, formulas agree, text."""

import inspect

import numpy as np
import pytest

from fastnn import ops
from fastnn._bench.calls import agreement, arguments, formulas, scripts
from fastnn._bench.case import WrongResultError, agree
from fastnn._bench.families import formulas as family
from fastnn._bench.families import overhead
from fastnn._bench.settings import Settings

SETTINGS = Settings([], "float32", 1, quick=True)
LIMITED = [case for case in overhead.cases("float32") if not case.samples]


@pytest.mark.parametrize("name", ops.__all__)
def test_every_function_has_arguments_and_a_formula_that_agrees(name):
    for dtype in ("float32", "float64"):
        agreement.verify(name, dtype)
    for elements, shapes in arguments.SHAPES.items():
        given = arguments.arguments(name, elements, "float32")
        sizes = {a.size if isinstance(a, np.ndarray) else a for a in given if not _is_shape(a)}
        sizes |= {np.prod(a) for a in given if _is_shape(a)}
        assert elements in sizes
        assert {np.prod(shape) for shape in shapes} == {elements}


def _is_shape(a):
    return isinstance(a, tuple)


def test_formulas_are_those_of_ops_with_the_arguments_that_these_get():
    found = {
        name: function
        for name, function in vars(formulas).items()
        if inspect.isfunction(function) and name[0] != "_"
    }
    assert sorted(found) == sorted(ops.__all__)
    for name, function in found.items():
        given = arguments.arguments(name, 10, "float32")
        theirs = list(inspect.signature(getattr(ops, name)).parameters)
        ours = list(inspect.signature(function).parameters)
        assert len(ours) == len(given)
        assert ours == [key for key in theirs if key in ours]


@pytest.mark.parametrize("name", ["tanh", "adam_", "batchnorm"])
def test_another_formula_is_found(name, monkeypatch):
    right = getattr(formulas, name)

    def wrong(*given):
        result = right(*given)
        changed = given[-2] if name == "adam_" else given[0]
        changed *= 1.1
        return result

    monkeypatch.setattr(formulas, name, wrong)
    with pytest.raises(WrongResultError, match=f"{name}, 100 elements: off by"):
        agreement.verify(name, "float32")


@pytest.mark.parametrize("name", [case.operation for case in LIMITED])
def test_outputs_are_given_where_the_overhead_of_a_call_is_timed(name):
    call = arguments.with_outputs(name, 10, "float32")
    given = list(call.keywords.values())
    assert given
    for array in given:
        array[...] = np.nan
    results = call()
    several = results if isinstance(results, tuple) else (results,)
    assert all(any(array is result for result in several) for array in given)
    assert all(np.isfinite(array).all() for array in given)


def test_functions_with_a_limit_are_found_by_their_module():
    names = {case.operation for case in LIMITED}
    assert {"affine_relu_backward", "batchnorm", "softmax_cross_entropy", "gelu"} <= names
    assert not {"convolution", "permutation", "adam_"} & names


def of(case, seconds, numpy):
    sizes = [
        {
            "elements": n,
            "fastnn": seconds,
            "NumPy": numpy,
            "difference": seconds - numpy,
            "holds": seconds - numpy <= family.SLOWER,
        }
        for n in (1, 10)
    ]
    return {"case": case, "sizes": sizes}


def test_what_is_more_than_a_microsecond_slower_is_marked_and_counted():
    rows = family.table([of("relu", 3.2e-6, 0.5e-6), of("tanh", 1.2e-6, 0.5e-6)])
    assert rows == [
        ["function", "", "1", "10"],
        ["relu", "", "3,200 +2,700!", "3,200 +2,700!"],
        ["tanh", "", "1,200 +700 ", "1,200 +700 "],
        ["marked: 2 of 4", "", "1", "1"],
    ]


def test_a_function_is_measured_in_each_size(monkeypatch):
    monkeypatch.setattr(family, "SHAPES", dict.fromkeys((1, 100)))
    (case,) = (case for case in family.cases("float32") if case.label == "relu")
    found = family.measure("formulas", case, {}, SETTINGS)
    assert [one["elements"] for one in found["sizes"]] == [1, 100]
    for one in found["sizes"]:
        assert one["difference"] == one["fastnn"] - one["NumPy"]
        assert one["holds"] == (one["difference"] <= 1e-6)


@pytest.mark.parametrize("label, shape, limit", [
    ("ops.affine", "", 1.5e-6), ("ops.affine_backward", "", 3e-6), ("ops.batchnorm", "", 3e-6),
    ("Adam.update", "1 array", 2e-6), ("Adam.update", "10 arrays", 4e-6),
])  # fmt: skip
def test_the_overhead_of_a_call_stands_beside_its_limit(label, shape, limit):
    (case,) = (c for c in overhead.cases("float32") if (c.label, c.shape) == (label, shape))
    found = overhead.measure("overhead", case, {}, SETTINGS)
    best = found["seconds"]["fastnn"]["minimum"]
    assert found["limit"] == limit
    assert found["holds"] == (best <= limit)
    head, row, last = overhead.table([found])
    assert row[0] == label and row[-1] == ("holds" if best <= limit else "missed")
    assert len(head) == len(row) == len(last)


@pytest.mark.parametrize("name", scripts.PAIRS)
def test_functions_of_the_drop_in_do_what_their_formulas_do(name):
    results = []
    for call in scripts.pair(name, 100, "float64"):
        result = call()
        several = result if isinstance(result, tuple) else () if result is None else (result,)
        results.append([np.ravel(a) for a in several])
    ours, theirs = results
    if theirs:  # updates return nothing, or what they have written to
        agree(ours, theirs)
