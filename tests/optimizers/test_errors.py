"""What optimizers refuse, and that an error changes nothing."""

import math

import numpy as np
import pytest
from updating import KINDS, assert_same, every_kind, state_of

from fastnn.optimizers import (
    SGD,
    AdaGrad,
    Adam,
    Adamax,
    AdamW,
    AMSGrad,
    Lion,
    Momentum,
    NAdam,
    Nesterov,
    RMSProp,
)


def two_arrays():
    return {"a": np.ones(3), "b": np.ones((2, 2))}, {"a": np.ones(3), "b": np.ones((2, 2))}


def read_only(a):
    a.flags.writeable = False
    return a


# What goes wrong in the last key: the change to params or grads, the error, its text.
WRONG = {
    "shape": (None, lambda a: np.ones((2, 3)), ValueError, r"grads\['b'\].*\(2, 2\).*\(2, 3\)"),
    "fewer axes": (None, lambda a: np.ones(4), ValueError, r"grads\['b'\].*\(2, 2\).*\(4,\)"),
    "complex gradient": (None, lambda a: a * 1j, TypeError, "complex128"),
    "text gradient": (None, lambda a: np.full((2, 2), "x"), TypeError, "<U1"),
    "object gradient": (None, lambda a: a.astype(object), TypeError, "object"),
    "read-only": (read_only, None, ValueError, r"params\['b'\].*can be written"),
    "int": (lambda a: a.astype(int), None, TypeError, r"params\['b'\].*int64"),
    "float16": (lambda a: a.astype(np.float16), None, TypeError, r"params\['b'\].*float16"),
    "list": (lambda a: a.tolist(), None, TypeError, r"params\['b'\].*list"),
}


@pytest.mark.parametrize("wrong", WRONG)
@every_kind
def test_an_error_in_the_last_key_changes_nothing(kind, wrong):
    change_p, change_g, error, text = WRONG[wrong]
    params, grads = two_arrays()
    optimizer = kind()
    optimizer.update(params, grads)
    params["b"] = change_p(params["b"]) if change_p else params["b"]
    grads["b"] = change_g(grads["b"]) if change_g else grads["b"]
    values = {key: np.copy(p) for key, p in params.items()}
    state = state_of(optimizer)
    with pytest.raises(error, match=text):
        optimizer.update(params, grads)
    np.testing.assert_array_equal(params["a"], values["a"])
    np.testing.assert_array_equal(params["b"], values["b"])
    assert_same(state_of(optimizer), state)


@every_kind
def test_a_gradient_in_the_memory_of_its_parameter_changes_nothing(kind):
    params, grads = two_arrays()
    grads["b"] = params["b"]
    with pytest.raises(ValueError, match="memory"):
        kind().update(params, grads)
    np.testing.assert_array_equal(params["a"], 1)
    np.testing.assert_array_equal(params["b"], 1)


@pytest.mark.parametrize("before", [0, 2])
@every_kind
def test_missing_gradients_are_all_listed(kind, before):
    params = {key: np.ones(2) for key in ("W1", "b1", "W2", "b2")}
    optimizer = kind()
    for _ in range(before):
        optimizer.update(params, {key: np.ones(2) for key in params})
    values, state = {key: p.copy() for key, p in params.items()}, state_of(optimizer)
    with pytest.raises(KeyError, match="missing 'b1', 'b2'"):
        optimizer.update(params, {"W1": np.ones(2), "W2": np.ones(2)})
    assert_same(params, values)
    assert_same(state_of(optimizer), state)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not SGD])
def test_parameters_of_another_network(kind):
    params, grads = two_arrays()
    optimizer = kind()
    optimizer.update(params, grads)
    state = state_of(optimizer)
    params["b"], grads["b"] = np.ones((3, 2)), np.ones((3, 2))
    values = {key: p.copy() for key, p in params.items()}
    with pytest.raises(ValueError, match=r"params\['b'\].*\(2, 2\).*\(3, 2\).*new optimizer"):
        optimizer.update(params, grads)
    assert_same(params, values)
    assert_same(state_of(optimizer), state)


NUMBERS = {
    "lr": ([0, -0.1, math.nan, math.inf], KINDS),
    "weight_decay": ([-1, math.nan, math.inf], KINDS),
    "momentum": ([1, 1.5, -0.1, math.nan], [Momentum, Nesterov]),
    "momentum_decay": ([-1, math.nan, math.inf], [NAdam]),
    "decay_rate": ([1.0, -0.1, math.nan], [RMSProp]),
    "eps": ([-1, math.nan, math.inf], [AdaGrad, RMSProp, Adam, AdamW, NAdam, Adamax, AMSGrad]),
    "beta1": ([1.0, -0.1, math.nan], [Adam, AdamW, NAdam, Adamax, AMSGrad, Lion]),
    "beta2": ([1.0, -0.1, math.nan], [Adam, AdamW, NAdam, Adamax, AMSGrad, Lion]),
}
OUT_OF_RANGE = [
    pytest.param(kind, name, value, id=f"{kind.__name__}-{name}={value}")
    for name, (values, kinds) in NUMBERS.items()
    for kind in kinds
    for value in values
]
NO_NUMBER = [
    pytest.param(kind, name, value, id=f"{kind.__name__}-{name}={value!r}")
    for name, (_, kinds) in NUMBERS.items()
    for kind in kinds
    for value in ("0.1", None, [0.1, 0.2], 1j)
]


@pytest.mark.parametrize(("kind", "name", "value"), OUT_OF_RANGE)
def test_settings_out_of_range(kind, name, value):
    with pytest.raises(ValueError, match=f"^{name}: expected a number .*, got {value!r}"):
        kind(**{name: value})


@pytest.mark.parametrize(("kind", "name", "value"), NO_NUMBER)
def test_settings_that_are_no_number(kind, name, value):
    with pytest.raises(TypeError, match=f"^{name}: expected a number"):
        kind(**{name: value})


@pytest.mark.parametrize("kind", [Adam, AdamW])
@pytest.mark.parametrize("value", ["x", "Folded", None])
def test_unknown_bias_correction(kind, value):
    with pytest.raises(ValueError, match=r"^bias_correction: .*folded, explicit"):
        kind(bias_correction=value)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(kind, name, id=f"{kind.__name__}-{name}")
        for name, (_, kinds) in NUMBERS.items()
        for kind in kinds
    ],
)
def test_a_setting_made_invalid_between_updates_changes_nothing(kind, name):
    params, grads = two_arrays()
    optimizer = kind()
    optimizer.update(params, grads)
    values = {key: p.copy() for key, p in params.items()}
    setattr(optimizer, name, -1)
    state = state_of(optimizer)
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        optimizer.update(params, grads)
    assert_same(params, values)
    assert_same(state_of(optimizer), state)
