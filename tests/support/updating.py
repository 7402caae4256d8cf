"""Optimizers of all kinds, and parameters and gradients for them."""

import numpy as np
import pytest

from fastnn.optimizers import OPTIMIZERS

both_backends = pytest.mark.usefixtures("backend")

# One of each class, for contracts that do not depend on the settings.
KINDS = list(OPTIMIZERS.values())
every_kind = pytest.mark.parametrize("kind", KINDS)
dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])

SHAPES = {"W1": (17, 9), "b1": (9,), "W2": (9, 2, 3), "scale": (), "none": (0, 3)}


def draw(rng, dtype=np.float64, shapes=SHAPES):
    return {key: rng.normal(size=shape).astype(dtype) for key, shape in shapes.items()}


def draw_gradients(rng, dtype=np.float64, shapes=SHAPES):
    """Gradients over several orders of magnitude, some of them zero (dead units)."""
    grads = draw(rng, dtype, shapes)
    for g in grads.values():
        g *= 10.0 ** rng.integers(-3, 2, size=g.shape)
        g *= rng.random(size=g.shape) > 0.1
    return grads


def counts(kind):
    return "step" in kind.rule.settings


def state_of(optimizer):
    """Return copies of all that an optimizer remembers."""
    return {
        name: {key: a.copy() for key, a in value.items()} if isinstance(value, dict) else value
        for name, value in vars(optimizer).items()
    }


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, dict):
            assert_same(actual[name], value)
        else:
            np.testing.assert_array_equal(actual[name], value, err_msg=name, strict=True)
