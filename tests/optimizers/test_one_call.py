"""All arrays of a network are updated in one call, with the bits of one call for each."""

import copy
import pickle
from collections import ChainMap, defaultdict
from types import MappingProxyType

import numpy as np
import pytest
from updating import SHAPES, assert_same, both_backends, draw, draw_gradients, every_kind, state_of

from fastnn.optimizers import OPTIMIZERS, SGD
from tests.support.unknown import unknown_layout


class Noted:
    """Machine code of a rule that notes what it does."""

    def __init__(self, routine, calls):
        self.routine, self.calls = routine, calls

    def checked(self, *args):
        done = self.routine.checked(*args)
        if done is None:
            self.calls.append(self.routine.name)
        return done

    def update(self, *args):
        done = self.routine.update(*args)
        if done:
            self.calls.append(self.routine.name)
        return done


@pytest.fixture
def calls(monkeypatch):
    """The kernels that were called, one by one."""
    names = []
    for rule in {kind.rule.name: kind.rule for kind in OPTIMIZERS.values()}.values():
        for form in ("step", "of_dicts", "of_arrays"):
            monkeypatch.setitem(vars(rule), form, Noted(getattr(rule, form), names))
    return names


def one_by_one(optimizer, params, grads):
    """Update each array by a call of its own; equal to one call for all."""
    before = {k: v for k, v in vars(optimizer).items() if k in ("iter", "mu_product")}
    for key, p in params.items():
        vars(optimizer).update(before)
        optimizer.update({key: p}, {key: grads[key]})


def assert_equal_to_one_by_one(kind, change, calls, count):
    """Take steps at once and one by one, with a change in between.

    `change` is given the step, the optimizer, the parameters and the gradients.
    """
    results = []
    for update in (kind.update, one_by_one):
        rng = np.random.default_rng(106)
        params, optimizer = draw(rng), kind()
        for step in range(4):
            grads = draw_gradients(rng)
            optimizer = change(step, optimizer, params, grads) or optimizer
            calls.clear()
            update(optimizer, params, grads)
            if step == 3 and update is kind.update:
                assert len(calls) == count
        results.append((params, state_of(optimizer)))
    assert_same(results[0][0], results[1][0])
    assert_same(results[0][1], results[1][1])


def replaced(step, optimizer, params, grads):
    params["W1"] = params["W1"].copy()


def pickled(step, optimizer, params, grads):
    params |= pickle.loads(pickle.dumps(params))
    return pickle.loads(pickle.dumps(optimizer))


def copied(step, optimizer, params, grads):
    params |= copy.deepcopy(params)
    return copy.deepcopy(optimizer)


def reordered(step, optimizer, params, grads):
    params["W1"] = params.pop("W1")


def another_rate(step, optimizer, params, grads):
    optimizer.lr = 0.1 / (1 + step)


def moved(step, optimizer, params, grads):
    """Resize a parameter in place, which moves its memory, and back."""
    values = params["b1"].copy()
    params["b1"].resize(100_000, refcheck=False)
    params["b1"].resize(values.size, refcheck=False)
    np.testing.assert_array_equal(params["b1"], values)


@pytest.mark.parametrize(
    "change", [replaced, pickled, copied, reordered, another_rate, moved], ids=lambda f: f.__name__
)
@every_kind
def test_one_call_for_all_arrays_whatever_happened_in_between(kind, change, calls):
    assert_equal_to_one_by_one(kind, change, calls, 1)


def mixed_dtypes(step, optimizer, params, grads):
    if step == 0:
        params["b1"] = params["b1"].astype(np.float32)


def fortran(step, optimizer, params, grads):
    if step == 0:
        params["W1"] = np.asfortranarray(params["W1"])


def wider_gradient(step, optimizer, params, grads):
    params["b1"], grads["b1"] = params["b1"].astype(np.float32), grads["b1"].astype(np.float16)


@pytest.mark.parametrize(
    "change", [mixed_dtypes, fortran, wider_gradient], ids=lambda f: f.__name__
)
@every_kind
def test_unusual_arrays_are_updated_one_by_one(kind, change, calls):
    assert_equal_to_one_by_one(kind, change, calls, len(SHAPES))


@both_backends
@every_kind
def test_an_array_under_two_keys_is_updated_twice(kind):
    rng = np.random.default_rng(107)
    p, g = rng.normal(size=(2, 70))
    q = p.copy()
    one, other = kind(), kind()
    for _ in range(3):
        one.update({"a": p, "b": p}, {"a": g, "b": g})
        one_by_one(other, {"a": q, "b": q}, {"a": g, "b": g})
    np.testing.assert_array_equal(p, q)


@both_backends
@every_kind
def test_an_array_and_its_transpose_are_updated_in_turn(kind):
    """Tied weights."""
    rng = np.random.default_rng(109)
    p, g, h = rng.normal(size=(3, 7, 7))
    q = p.copy()
    one, other = kind(), kind()
    for _ in range(3):
        one.update({"a": p, "b": p.T}, {"a": g, "b": h})
        one_by_one(other, {"a": q, "b": q.T}, {"a": g, "b": h})
    np.testing.assert_array_equal(p, q)


@both_backends
def test_a_gradient_in_the_memory_of_a_parameter_before_it():
    """Each array is updated in turn, so the second sees what became of the first."""
    p, q = np.ones(70), np.ones(70)
    SGD(lr=0.5).update({"p": p, "q": q}, {"p": np.ones(70), "q": p})
    np.testing.assert_array_equal(p, 0.5)
    np.testing.assert_array_equal(q, 0.75)


@every_kind
def test_gradients_may_share_memory(kind):
    p, q, g = np.ones(3), np.ones(3), np.arange(3.0)
    kind().update({"p": p, "q": q}, {"p": g, "q": g})
    np.testing.assert_array_equal(p, q)


@every_kind
def test_a_resized_parameter_does_not_fit_its_state(kind):
    p = np.ones(4)
    optimizer = kind()
    optimizer.update({"p": p}, {"p": np.ones(4)})
    p.resize(7, refcheck=False)
    with pytest.raises(ValueError, match=r"grads\['p'\]|params\['p'\]"):
        optimizer.update({"p": p}, {"p": np.ones(4)})


@every_kind
def test_no_parameters(kind):
    optimizer = kind()
    optimizer.update({}, {"p": np.ones(3)})
    optimizer.update({"p": np.ones(3)}, {"p": np.ones(3)})


@every_kind
def test_arrays_that_cannot_be_looked_into(kind):
    """As with a NumPy that keeps arrays in another way: the twin does it, and it is said."""
    rng = np.random.default_rng(108)
    params, grads = draw(rng), draw_gradients(rng)
    others = copy.deepcopy(params)
    kind().update(params, grads)
    told = pytest.warns(RuntimeWarning, match="optimizers run on NumPy")
    with unknown_layout(), told:
        kind().update(others, grads)
    for key, p in params.items():
        limit = 8 * np.finfo(p.dtype).eps * np.abs(p).max(initial=0)
        np.testing.assert_allclose(p, others[key], rtol=0, atol=limit)


def test_mappings_that_are_no_dicts():
    p, g = np.ones(3), np.ones(3)
    SGD(lr=0.5).update(MappingProxyType({"p": p}), ChainMap({}, {"p": g}))
    np.testing.assert_array_equal(p, 0.5)


def test_a_default_does_not_stand_in_for_a_missing_gradient():
    grads = defaultdict(lambda: np.ones(3))
    with pytest.raises(KeyError, match="missing 'p'"):
        SGD().update({"p": np.ones(3)}, grads)
    assert not grads
