"""One table of optimizers and settings; every contract runs over all of it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module

import numpy as np
import pytest
from updating import (
    assert_same,
    both_backends,
    counts,
    draw,
    draw_gradients,
    dtypes,
    every_kind,
    state_of,
)

from fastnn import optimizers
from fastnn.kernels.machine import catalogue
from fastnn.kernels.updates.rule import _STEPS
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

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


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
    rule = kind.rule
    import_module(catalogue.module(rule.name))
    step = _STEPS[rule.name]
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
