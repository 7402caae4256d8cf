"""One table of optimizers and settings; every contract runs over all of it."""

import copy
import math
import pickle
from collections import ChainMap, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pytest

from fastnn import optimizers
from fastnn.config import use_backend
from fastnn.kernels.updates.rule import _STEPS
from fastnn.optimizers import (
    OPTIMIZERS,
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
from tests.support.unknown import unknown_layout


@pytest.fixture(params=["numba", "numpy"])
def backend(request):
    with use_backend(request.param):
        yield request.param


both_backends = pytest.mark.usefixtures("backend")


# The formulas of the book (common/optimizer.py), for Nesterov of CS231n (neural networks 3), and
# for the last four of the papers and PyTorch's documentation, on a parameter p, a gradient g, the
# state s and the number t of the update.


def sgd(p, g, s, t, lr):
    p -= lr * g


def momentum(p, g, s, t, lr, momentum=0.9):
    s["v"][...] = momentum * s["v"] - lr * g
    p += s["v"]


def nesterov(p, g, s, t, lr, momentum=0.9):
    v_prev = s["v"].copy()
    s["v"][...] = momentum * s["v"] - lr * g
    p += -momentum * v_prev + (1 + momentum) * s["v"]


def adagrad(p, g, s, t, lr, eps=1e-7):
    s["h"] += g * g
    p -= lr * g / (np.sqrt(s["h"]) + eps)


def rmsprop(p, g, s, t, lr, decay_rate=0.99, eps=1e-7):
    s["h"] *= decay_rate
    s["h"] += (1 - decay_rate) * g * g
    p -= lr * g / (np.sqrt(s["h"]) + eps)


def adam(p, g, s, t, lr, beta1=0.9, beta2=0.999, eps=1e-7, bias_correction="folded"):
    s["m"] += (1 - beta1) * (g - s["m"])
    s["v"] += (1 - beta2) * (g**2 - s["v"])
    if bias_correction == "folded":
        lr_t = lr * np.sqrt(1.0 - beta2**t) / (1.0 - beta1**t)
        p -= lr_t * s["m"] / (np.sqrt(s["v"]) + eps)
    else:  # algorithm 1 of the paper
        m_hat, v_hat = s["m"] / (1 - beta1**t), s["v"] / (1 - beta2**t)
        p -= lr * m_hat / (np.sqrt(v_hat) + eps)


def nadam(p, g, s, t, lr, beta1=0.9, beta2=0.999, eps=1e-8, momentum_decay=4e-3):
    def momentum_of(step):
        return beta1 * (1 - 0.5 * 0.96 ** (step * momentum_decay))

    s["m"][...] = beta1 * s["m"] + (1 - beta1) * g
    s["v"][...] = beta2 * s["v"] + (1 - beta2) * g**2
    product = math.prod(map(momentum_of, range(1, t + 1)))
    ahead = momentum_of(t + 1)
    m_hat = ahead * s["m"] / (1 - product * ahead) + (1 - momentum_of(t)) * g / (1 - product)
    p -= lr * m_hat / (np.sqrt(s["v"] / (1 - beta2**t)) + eps)


def adamax(p, g, s, t, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    s["m"][...] = beta1 * s["m"] + (1 - beta1) * g
    s["u"][...] = np.maximum(beta2 * s["u"], np.abs(g) + eps)
    p -= lr / (1 - beta1**t) * s["m"] / s["u"]


def amsgrad(p, g, s, t, lr, beta1=0.9, beta2=0.999, eps=1e-8):
    s["m"][...] = beta1 * s["m"] + (1 - beta1) * g
    s["v"][...] = beta2 * s["v"] + (1 - beta2) * g**2
    s["v_max"][...] = np.maximum(s["v_max"], s["v"])
    m_hat, v_hat = s["m"] / (1 - beta1**t), s["v_max"] / (1 - beta2**t)
    p -= lr * m_hat / (np.sqrt(v_hat) + eps)


def lion(p, g, s, t, lr, beta1=0.9, beta2=0.99):
    p -= lr * np.sign(beta1 * s["m"] + (1 - beta1) * g)
    s["m"][...] = beta2 * s["m"] + (1 - beta2) * g


@dataclass(frozen=True)
class Case:
    """An optimizer with settings, its formula, and settings that suit two landscapes."""

    kind: type
    formula: Callable
    state: tuple[str, ...]
    settings: dict
    bowl: dict
    valley: dict = field(default_factory=dict)

    @property
    def name(self):
        settings = (f"{key}={value}" for key, value in self.settings.items())
        return "-".join([self.kind.__name__, *settings])

    def build(self, **settings):
        return self.kind(**self.settings | settings)

    def decay(self, p, g):
        """Apply weight decay to p or g as the optimizer's description says."""
        decay = self.settings.get("weight_decay", 0)
        if self.kind in DECOUPLED:
            decay = self.settings.get("weight_decay", DECOUPLED[self.kind])
            return p - self.settings["lr"] * decay * p, g
        return p, g + decay * p

    def step(self, p, g, s, t):
        settings = {key: v for key, v in self.settings.items() if key != "weight_decay"}
        p[...], g = self.decay(p, g)
        self.formula(p, g, s, t, **settings)


# Those whose weight decay bypasses the gradient, with their defaults.
DECOUPLED = {AdamW: 0.01, Lion: 0.0}
EXPLICIT = {"bias_correction": "explicit"}
FAST_FORGETTING = {"beta1": 0.5, "beta2": 0.9, "eps": 1e-3}
CASES = [
    Case(SGD, sgd, (), {"lr": 0.1}, {"lr": 0.2}, {"lr": 5e-3}),
    Case(Momentum, momentum, ("v",), {"lr": 0.1}, {"lr": 0.02}, {"lr": 1e-3}),
    Case(Momentum, momentum, ("v",), {"lr": 0.1, "momentum": 0.5}, {"lr": 0.1}, {"lr": 4e-3}),
    Case(Nesterov, nesterov, ("v",), {"lr": 0.1}, {"lr": 0.02}, {"lr": 1e-3}),
    Case(AdaGrad, adagrad, ("h",), {"lr": 0.1}, {"lr": 0.5}, {"lr": 1.0}),
    Case(AdaGrad, adagrad, ("h",), {"lr": 0.1, "eps": 1e-2}, {"lr": 0.5}, {"lr": 1.0}),
    Case(RMSProp, rmsprop, ("h",), {"lr": 0.01}, {"lr": 0.01}, {"lr": 5e-3}),
    Case(
        RMSProp,
        rmsprop,
        ("h",),
        {"lr": 0.01, "decay_rate": 0.9, "eps": 1e-3},
        {"lr": 0.01},
        {"lr": 5e-3},
    ),
    Case(Adam, adam, ("m", "v"), {"lr": 0.01}, {"lr": 0.05}, {"lr": 0.05}),
    Case(Adam, adam, ("m", "v"), {"lr": 0.01} | FAST_FORGETTING, {"lr": 0.05}, {"lr": 0.01}),
    Case(Adam, adam, ("m", "v"), {"lr": 0.01} | EXPLICIT, {"lr": 0.05}, {"lr": 0.05}),
    Case(NAdam, nadam, ("m", "v"), {"lr": 0.01}, {"lr": 0.05}, {"lr": 0.05}),
    Case(
        NAdam,
        nadam,
        ("m", "v"),
        {"lr": 0.01, "momentum_decay": 0.1} | FAST_FORGETTING,
        {"lr": 0.05},
        {"lr": 0.01},
    ),
    Case(Adamax, adamax, ("m", "u"), {"lr": 0.01}, {"lr": 0.05}, {"lr": 0.05}),
    Case(Adamax, adamax, ("m", "u"), {"lr": 0.01} | FAST_FORGETTING, {"lr": 0.05}, {"lr": 0.01}),
    Case(AMSGrad, amsgrad, ("m", "v", "v_max"), {"lr": 0.01}, {"lr": 0.05}, {"lr": 0.2}),
    Case(
        AMSGrad,
        amsgrad,
        ("m", "v", "v_max"),
        {"lr": 0.01} | FAST_FORGETTING,
        {"lr": 0.05},
        {"lr": 0.2},
    ),
    Case(Lion, lion, ("m",), {"lr": 0.01}, {"lr": 0.005}, {"lr": 2e-3}),
    Case(Lion, lion, ("m",), {"lr": 0.01, "beta1": 0.5, "beta2": 0.9}, {"lr": 0.005}, {"lr": 2e-3}),
]
CASES += [
    Case(c.kind, c.formula, c.state, c.settings | {"weight_decay": 0.1}, c.bowl) for c in CASES
]
CASES += [
    Case(AdamW, adam, ("m", "v"), {"lr": 0.01}, {"lr": 0.05}),
    Case(AdamW, adam, ("m", "v"), {"lr": 0.01, "weight_decay": 0.1} | EXPLICIT, {"lr": 0.05}),
    Case(
        AdamW,
        adam,
        ("m", "v"),
        {"lr": 0.01, "weight_decay": 0.0},
        {"lr": 0.05},
        {"lr": 0.05},
    ),
]
# One of each class, for contracts that do not depend on the settings.
KINDS = list(OPTIMIZERS.values())

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
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


# --- the formulas -----------------------------------------------------------------------


@both_backends
@dtypes
@every_case
def test_many_steps_follow_the_formula(case, dtype):
    steps, eps = 60, np.finfo(dtype).eps
    rng = np.random.default_rng(100)
    params = draw(rng, dtype)
    exact = {key: p.astype(np.float64) for key, p in params.items()}
    states = {key: {name: np.zeros(p.shape) for name in case.state} for key, p in params.items()}
    path = {key: np.abs(p) for key, p in exact.items()}
    optimizer = case.build()
    for t in range(1, steps + 1):
        grads = draw_gradients(rng, dtype)
        optimizer.update(params, grads)
        for key, p in exact.items():
            before = p.copy()
            case.step(p, grads[key].astype(np.float64), states[key], t)
            path[key] = path[key] + np.abs(p - before)
    for key, p in params.items():
        # Each step rounds the parameter, the state and the settings once or a few times; an
        # error stays at most, and no element is ever larger than the path it has gone.
        limit = 4 * steps * eps * path[key]
        assert p.dtype == dtype
        assert np.all(np.abs(p - exact[key]) <= limit), key
        for name in case.state:
            expected = states[key][name]
            actual = getattr(optimizer, name)[key]
            limit = 4 * steps * eps * np.max(np.abs(expected), initial=0)
            assert np.all(np.abs(actual - expected) <= limit), (key, name)


@both_backends
@dtypes
@every_case
def test_one_step_by_the_formula(case, dtype):
    rng = np.random.default_rng(101)
    p, g = rng.normal(size=(2, 50)).astype(dtype)
    expected, s = p.astype(np.float64), {name: np.zeros(50) for name in case.state}
    case.step(expected, g.astype(np.float64), s, 1)
    change = np.abs(expected - p).max()
    case.build().update({"p": p}, {"p": g})
    np.testing.assert_allclose(
        p, expected, rtol=0, atol=4 * np.finfo(dtype).eps * (np.abs(p).max() + change)
    )


@both_backends
@dtypes
@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        (SGD, {}, [0.5, 0.0, -0.5]),
        (SGD, {"weight_decay": 0.5}, [0.25, -0.3125]),
        (Momentum, {"momentum": 0.5}, [0.5, -0.25, -1.125]),
        (Nesterov, {"momentum": 0.5}, [0.25, -0.625, -1.5625]),
        (AdaGrad, {"eps": 0}, [0.5]),
        (AdaGrad, {"eps": 1}, [0.75]),
        (RMSProp, {"decay_rate": 0.75, "eps": 0}, [0.0]),  # h = 1/4
        (RMSProp, {"decay_rate": 0.75, "eps": 0.5}, [0.5]),
        (Adam, {"beta1": 0.5, "beta2": 0.75, "eps": 0}, [0.5]),  # v = 1/4
        (Adam, {"beta1": 0.5, "beta2": 0.75, "eps": 0.5}, [0.75]),
        (Adam, {"beta1": 0.5, "beta2": 0.75, "eps": 1} | EXPLICIT, [0.75]),
        (AdamW, {"beta1": 0.5, "beta2": 0.75, "eps": 0, "weight_decay": 0.5}, [0.25]),
        (NAdam, {"beta1": 0, "beta2": 0.75, "eps": 0}, [0.5]),
        (NAdam, {"beta1": 0, "beta2": 0.75, "eps": 1}, [0.75]),
        (Adamax, {"beta1": 0.5, "beta2": 0.75, "eps": 0}, [0.5, 0.0]),
        (Adamax, {"beta1": 0.5, "beta2": 0.75, "eps": 1}, [0.75, 0.5]),
        (AMSGrad, {"beta1": 0.5, "beta2": 0.75, "eps": 0}, [0.5]),
        (AMSGrad, {"beta1": 0.5, "beta2": 0.75, "eps": 1}, [0.75]),
        (Lion, {}, [0.5, 0.0, -0.5]),
        (Lion, {"weight_decay": 0.5}, [0.25, -0.3125]),
    ],
)
def test_first_steps_by_hand(kind, settings, expected, dtype):
    # The gradient is always 1, and all numbers are sums of few powers of two.
    p, optimizer = np.array([1.0], dtype), kind(lr=0.5, **settings)
    for value in expected:
        optimizer.update({"p": p}, {"p": np.ones(1, dtype)})
        np.testing.assert_array_equal(p, [value])


@every_kind
def test_defaults_are_those_of_the_book_or_of_pytorch(kind):
    expected = {
        SGD: {"lr": 0.01},
        Momentum: {"lr": 0.01, "momentum": 0.9},
        Nesterov: {"lr": 0.01, "momentum": 0.9},
        AdaGrad: {"lr": 0.01, "eps": 1e-7},
        RMSProp: {"lr": 0.01, "decay_rate": 0.99, "eps": 1e-7},
        Adam: {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7},
        AdamW: {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7, "weight_decay": 0.01},
        NAdam: {"lr": 0.002, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "momentum_decay": 0.004},
        Adamax: {"lr": 0.002, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        AMSGrad: {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8},
        Lion: {"lr": 1e-4, "beta1": 0.9, "beta2": 0.99},  # of the paper
    }
    settings = vars(kind())
    for name, value in ({"weight_decay": 0.0} | expected[kind]).items():
        assert settings[name] == value, name


def test_rmsprop_has_two_spellings():
    assert optimizers.RMSprop is RMSProp


@every_kind
def test_learning_rate_may_change_between_updates(kind):
    p, q = np.array([1.0, 2.0]), np.array([1.0, 2.0])
    g = np.array([0.5, -1.0])
    changed, other = kind(lr=0.5), kind(lr=0.5)
    changed.update({"p": p}, {"p": g})
    other.update({"p": q}, {"p": g})
    changed.lr = 0.25
    changed.update({"p": p}, {"p": g})
    fresh = kind(lr=0.25)
    vars(fresh).update({k: v for k, v in state_of(other).items() if k != "lr"})
    fresh.update({"p": q}, {"p": g})
    np.testing.assert_array_equal(p, q)
    other.update({"p": q}, {"p": g})
    assert not np.array_equal(p, q)


@every_kind
def test_records_are_of_the_kernels_that_they_name(kind):
    """The kernel trusts the record: as many arrays, and these settings in this order."""
    step, rule = _STEPS[kind.rule.name], kind.rule
    assert step.arrays == 2 + len(rule.states)
    named = {"bias_correction": "explicit"}
    assert step.settings == [named.get(name, name) for name in rule.settings]
    assert step.settings[: len(rule.counters)] == list(rule.counters)


# --- convergence ------------------------------------------------------------------------


@both_backends
@every_case
def test_converges_on_a_bowl(case):
    # Minimum of the penalised bowl: each optimizer but the decoupled ones adds
    # weight_decay / 2 x^2; that of those moves with their rate, so they run without.
    slopes, centre = np.array([1.0, 4.0]), np.array([3.0, -2.0])
    settings = dict(case.bowl)
    decay = case.settings.get("weight_decay", 0)
    if case.kind in DECOUPLED:
        settings["weight_decay"] = decay = 0
    target = slopes * centre / (slopes + decay)
    x, optimizer = {"x": np.zeros(2)}, case.build(**settings)
    for step in range(2000):
        optimizer.lr = settings["lr"] * 0.5 ** (step // 400)  # lets the noisy ones settle
        optimizer.update(x, {"x": slopes * (x["x"] - centre)})
    assert np.abs(x["x"] - target).max() < 1e-3


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def rosenbrock_gradient(x):
    rise = x[1] - x[0] ** 2
    return np.array([-2 * (1 - x[0]) - 400 * x[0] * rise, 200 * rise])


@pytest.mark.slow
@both_backends
@pytest.mark.parametrize("case", [c for c in CASES if c.valley], ids=lambda case: case.name)
def test_converges_in_the_valley_of_rosenbrock(case):
    x, optimizer = {"x": np.array([-1.2, 1.0])}, case.build(**case.valley)
    for step in range(5000):
        optimizer.lr = case.valley["lr"] * 0.5 ** (step // 1000)
        optimizer.update(x, {"x": rosenbrock_gradient(x["x"])})
    assert rosenbrock(x["x"]) < 0.01  # from 24.2
    assert abs(x["x"][0] - 1) < 0.1


# --- dicts, identity and state ----------------------------------------------------------


@both_backends
@dtypes
@every_case
def test_arrays_keep_their_identity_and_gradients_their_values(case, dtype):
    rng = np.random.default_rng(102)
    params, grads = draw(rng, dtype), draw_gradients(rng, dtype)
    arrays, values = dict(params), {key: g.copy() for key, g in grads.items()}
    for g in grads.values():
        g.flags.writeable = False
    optimizer = case.build()
    for _ in range(3):
        optimizer.update(params, grads)
    assert list(params) == list(arrays)
    assert all(params[key] is array for key, array in arrays.items())
    assert_same(grads, values)


@both_backends
@dtypes
@every_case
def test_state(case, dtype):
    rng = np.random.default_rng(103)
    params = draw(rng, dtype)
    optimizer = case.build()
    assert all(getattr(optimizer, name) is None for name in case.state)
    for step in range(1, 4):
        optimizer.update(params, draw_gradients(rng, dtype))
        for name in case.state:
            state = getattr(optimizer, name)
            assert list(state) == list(params)
            for key, p in params.items():
                assert state[key].shape == p.shape and state[key].dtype == dtype
                assert not np.shares_memory(state[key], p)
        if counts(case.kind):
            assert optimizer.iter == step
    expected = {*case.kind.rule.attributes, *case.state} - {"decoupled"}
    expected |= {"iter"} if counts(case.kind) else set()
    assert vars(optimizer).keys() == expected


@every_kind
def test_keys_that_params_lacks_are_passed_over(kind):
    p, q = np.ones(3), np.ones(3)
    g = np.array([1.0, -2.0, 0.5])
    kind().update({"p": p}, {"p": g})
    kind().update({"p": q}, {"p": g, "extra": np.ones(7), "text": "no array"})
    np.testing.assert_array_equal(p, q)


@every_kind
def test_parameters_may_join_later(kind):
    first, second = np.ones(3), np.ones(2)
    optimizer = kind()
    optimizer.update({"first": first}, {"first": np.ones(3)})
    optimizer.update(
        {"first": first, "second": second}, {"first": np.ones(3), "second": np.ones(2)}
    )
    assert np.all(second < 1)


@both_backends
@every_kind
def test_gradients_of_the_other_dtype(kind):
    rng = np.random.default_rng(104)
    g = rng.normal(size=20).astype(np.float32)
    for dtype, other in [(np.float32, np.float64), (np.float64, np.float32)]:
        p, q = np.ones(20, dtype), np.ones(20, dtype)
        kind().update({"p": p}, {"p": g.astype(dtype)})
        kind().update({"p": q}, {"p": g.astype(other)})
        np.testing.assert_array_equal(p, q, strict=True)


def test_gradients_may_be_a_list():
    p = np.array([1.0, 2.0])
    SGD(lr=0.5).update({"p": p}, {"p": [1, -1]})
    np.testing.assert_array_equal(p, [0.5, 2.5])


# --- many arrays in one call ------------------------------------------------------------


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


# --- layouts ----------------------------------------------------------------------------


# The shape of a block of memory, and where in it lies a matrix of shape (6, 11).
LAYOUTS = {
    "fortran": ((11, 6), lambda a: a.T),
    "every second column": ((6, 22), lambda a: a[:, ::2]),
    "backwards": ((6, 11), lambda a: a[::-1, ::-1]),
    "inside": ((8, 13), lambda a: a[1:-1, 1:-1]),
    "unaligned": (
        (67,),
        lambda a: a.view(np.uint8)[1 : 1 - a.itemsize].view(a.dtype).reshape(6, 11),
    ),
}


@both_backends
@dtypes
@pytest.mark.parametrize("layout", LAYOUTS)
@every_kind
def test_other_layouts_are_updated_in_place(kind, layout, dtype):
    rng = np.random.default_rng(105)
    shape, inside = LAYOUTS[layout]
    memory, gradients = np.full(shape, 7, dtype), np.full(shape, 7, dtype)
    p = rng.normal(size=(6, 11)).astype(dtype)
    odd, odd_g = inside(memory), inside(gradients)
    odd[...] = p
    assert not odd.flags.carray
    one, other = kind(), kind()
    for _ in range(3):
        odd_g[...] = g = rng.normal(size=(6, 11)).astype(dtype)
        one.update({"p": p}, {"p": g})
        other.update({"p": odd}, {"p": odd_g})
    expected = np.full(shape, 7, dtype)
    inside(expected)[...] = p
    np.testing.assert_array_equal(memory, expected)


# --- errors -----------------------------------------------------------------------------


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


# --- floating point mode ----------------------------------------------------------------


def assert_denormals_work():
    tiny = np.full(8, 1e-39, np.float32)
    assert np.all(tiny * np.float32(0.5) > 0)
    smallest = np.full(8, np.finfo(np.float64).tiny)
    assert np.all(smallest / 4 > 0)
    assert np.all(smallest / 4 * 4 == smallest)


@both_backends
@pytest.mark.parametrize("size", [100, 200_000])
@every_kind
def test_denormal_state_leaves_the_mode_of_the_caller_alone(kind, size):
    assert_denormals_work()
    p, g = np.ones(size, np.float32), np.full(size, 1e-39, np.float32)
    optimizer = kind()
    optimizer.update({"p": p}, {"p": np.zeros(size, np.float32)})
    for name in kind.rule.states:
        getattr(optimizer, name)["p"][...] = 1e-39
    for _ in range(3):
        optimizer.update({"p": p}, {"p": g})
    assert_denormals_work()
    # What the tiny numbers may do to p: AdamW's decay, a sign of theirs in each of three updates,
    # or a step that eps keeps tiny.
    moved = {AdamW: 1e-4, Lion: 3.1e-4}
    assert np.all(np.abs(p - 1) <= moved.get(kind, np.finfo(np.float32).eps))
