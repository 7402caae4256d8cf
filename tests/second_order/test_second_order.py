"""L-BFGS and Newton's method: minima that are known, what is recorded, how they end."""

import re
import sys
from itertools import pairwise

import numpy as np
import pytest
from states import everything, expect_same

from fastnn import MultiLayerNet, MultiLayerNetExtend, optimizers
from fastnn.datasets import load_mnist
from fastnn.second_order import Minimization, hessian, lbfgs, newton
from fastnn.second_order.objective import Objective

D, C = 5, 3
EPS = np.finfo(np.float64).eps


def data(n=100, seed=0):
    """Three clouds that overlap."""
    rng = np.random.default_rng(seed)
    t = rng.integers(C, size=n)
    return 1.5 * np.eye(C, D)[t] + rng.normal(size=(n, D)), t


def network(hidden=(6,), **settings):
    settings = {"activation": "tanh", "dtype": "float64", "seed": 0} | settings
    return MultiLayerNetExtend(D, hidden, C, **settings)


def linear(dtype="float64", **settings):
    return MultiLayerNet(D, [], C, dtype=dtype, seed=0, **settings)


def flat(arrays):
    return np.concatenate([a.ravel() for a in arrays.values()])


def least_squares(decay):
    """Return x, targets, and the weights and biases of the least loss."""
    x, _ = data()
    t = np.random.default_rng(1).normal(size=(len(x), C)) + x[:, :1]
    X = np.hstack([x, np.ones((len(x), 1))])
    penalty = decay * len(x) * np.diag([*np.ones(D), 0])
    best = np.linalg.solve(X.T @ X + penalty, X.T @ t)
    return x, t, best[:D], best[D]


# --- L-BFGS ------------------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0, 0.1])
def test_lbfgs_finds_the_minimum(decay):
    x, t, W, b = least_squares(decay)
    net = linear(loss="mean_squared_error", weight_decay_lambda=decay)
    result = lbfgs(net, x, t, gtol=1e-7, ftol=0, verbose=False)
    assert result.converged and "NORM" in result.message
    assert result.gradient_norm[-1] <= 1e-7
    # The distance is at most the length of the gradient over the least curvature.
    X = np.hstack([x, np.ones((len(x), 1))])
    limit = 1e-7 * np.sqrt(X.shape[1]) / np.linalg.eigvalsh(X.T @ X / len(x)).min()
    np.testing.assert_allclose(net.params["W1"], W, rtol=0, atol=limit)
    np.testing.assert_allclose(net.params["b1"], b, rtol=0, atol=limit)


def test_what_lbfgs_records():
    net, (x, t) = network(weight_decay_lambda=1e-3), data()
    start, gradient = net.loss(x, t), flat(net.gradient(x, t))
    seen = []
    result = lbfgs(net, x, t, 20, callback=lambda record: seen.append(record.loss[-1]))
    assert result.method == "L-BFGS" and result.iterations == 20 and not result.converged
    assert result.loss[0] == start and result.gradient_norm[0] == np.abs(gradient).max()
    assert result.loss[-1] == net.loss(x, t)
    assert result.gradient_norm[-1] == np.abs(flat(net.gradient(x, t))).max()
    assert result.loss == sorted(result.loss, reverse=True)
    assert result.evaluations[0] == 1
    for record in (result.evaluations, result.seconds):
        assert record == sorted(record) and len(record) == 21
    assert seen == result.loss
    assert re.fullmatch(
        r"Minimization\(L-BFGS, 20 iterations, \d+ evaluations, \d+\.\d\d s: loss \S+ to \S+, "
        r"gradient norm \S+; STOP.*\)",
        repr(result),
    )
    assert repr(Minimization("L-BFGS")) == "Minimization(L-BFGS, not begun)"


def test_lbfgs_evaluates_as_often_as_scipy():
    scipy = pytest.importorskip("scipy.optimize")
    net, other, (x, t) = network(), network(), data()
    calls, gradient = [], net.gradient
    net.gradient = lambda x, t: calls.append(0) or gradient(x, t)
    result = lbfgs(net, x, t, 20, gtol=0, ftol=0, verbose=False)
    objective = Objective("L-BFGS", other, x, t, None)
    expected = scipy.minimize(
        objective, objective.at, jac=True, method="L-BFGS-B",
        options={"maxiter": 20, "gtol": 0, "ftol": 0},
    )  # fmt: skip
    assert result.evaluations[-1] == len(calls) == expected.nfev
    assert result.loss[-1] == expected.fun


def test_lbfgs_beats_sgd_and_adam_after_as_many_passes():
    x, t = (a[:500] for a in load_mnist(subset="bundled")[0])

    def net():
        return MultiLayerNet(784, [20], 10, dtype="float64", seed=0)

    second = lbfgs(net(), x, t, evaluations=60, verbose=False)
    assert second.evaluations[-1] <= 60
    for optimizer in (optimizers.SGD(lr=0.1), optimizers.Adam(lr=0.001)):
        first = net()
        first.fit(x, t, 60, 50, optimizer, verbose=False, seed=0)
        assert second.loss[-1] < 0.1 * first.loss(x, t)


def test_limits_of_lbfgs():
    x, t = data()
    net = network()
    result = lbfgs(net, x, t, evaluations=10, verbose=False)
    assert result.evaluations[-1] <= 10 and result.loss[-1] == net.loss(x, t)
    assert result.message == "the limit of 10 evaluations is reached" and not result.converged
    assert lbfgs(network(), x, t, evaluations=1, verbose=False).iterations == 0

    net = network()
    result = lbfgs(net, x, t, callback=lambda record: record.iterations == 3, verbose=False)
    assert result.iterations == 3 and result.loss[-1] == net.loss(x, t)
    assert result.message == "the callback ended it"


@pytest.mark.parametrize("method", [lbfgs, newton])
def test_an_exception_leaves_the_last_iteration(method):
    net, (x, t) = network(hidden=(), weight_decay_lambda=1e-2), data()
    losses, gradient = [], net.gradient

    def interrupted(x, t):
        if len(losses) == 3:
            net.params["W1"] += 1  # as in the middle of a line search
            raise KeyboardInterrupt
        return gradient(x, t)

    net.gradient = interrupted
    with pytest.raises(KeyboardInterrupt):
        method(net, x, t, callback=lambda record: losses.append(record.loss[-1]), verbose=False)
    assert net.loss(x, t) == losses[-1] == min(losses)


def test_lbfgs_of_float32():
    """It goes down to the minimum, as far as losses in float32 tell it from others."""
    x, t, W, b = least_squares(0.1)
    net = linear("float32", loss="mean_squared_error", weight_decay_lambda=0.1)
    result = lbfgs(net, x, t, 50, verbose=False)
    assert net.params["W1"].dtype == np.float32
    rounding = x.size * float(np.finfo(np.float32).eps)
    assert result.loss[-1] == pytest.approx(net.loss(x, t), rel=rounding)
    least = 0.5 * np.sum((x @ W + b - t) ** 2) / len(x) + 0.05 * np.sum(W**2)
    assert result.loss[-1] == pytest.approx(least, rel=rounding)


@pytest.mark.parametrize("pixels", [np.uint8, np.float32])
def test_samples_of_other_dtypes(pixels):
    rng = np.random.default_rng(0)
    x, t = rng.integers(256, size=(50, D)), rng.integers(C, size=50)
    settings = {"input_scale": 1 / 255}
    net, other = network(**settings), network(**settings)
    lbfgs(net, x.astype(pixels), t, 5, verbose=False)
    lbfgs(other, x.astype(np.float64), t, 5, verbose=False)
    expect_same(net.params, other.params)


def test_batch_normalisation_has_the_statistics_of_all_samples():
    net, (x, t) = network(use_batchnorm=True), data()
    result = lbfgs(net, x, t, 20, verbose=False)
    z = x @ net.params["W1"] + net.params["b1"]
    norm = net.layers["BatchNorm1"]
    limit = len(z) * EPS * np.abs(z).max()
    np.testing.assert_allclose(norm.running_mean, z.mean(axis=0), rtol=0, atol=limit)
    limit *= np.abs(z).max()
    np.testing.assert_allclose(norm.running_var, z.var(axis=0), rtol=0, atol=limit)
    # The loss in training and that of the statistics: roundings, of which norms make more.
    assert net.loss(x, t) == pytest.approx(result.loss[-1], rel=1e-10)


def test_lbfgs_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(ImportError, match=r'pip install "scipy>=\S+" "threadpoolctl>=\S+"$'):
        lbfgs(network(), *data())


# --- the Hessian -------------------------------------------------------------------------


def test_hessian_of_softmax_regression():
    """It is the mean of (x 1)(x 1)^T times diag(p) - p p^T, plus weight decay."""
    net, (x, t) = linear(weight_decay_lambda=0.1), data()
    before = everything(net)
    found = hessian(net, x, t)
    expect_same(everything(net), before)
    z = net.predict(x)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    X = np.hstack([x, np.ones((len(x), 1))])
    of_scores = np.einsum("nc,cd->ncd", p, np.eye(C)) - np.einsum("nc,nd->ncd", p, p)
    size = (D + 1) * C
    expected = np.einsum("ni,nj,ncd->icjd", X, X, of_scores).reshape(size, size) / len(x)
    expected += 0.1 * np.diag([1.0] * (D * C) + [0.0] * C)
    # The formula's error is h^2 / 6 of the fourth derivatives, that of rounding eps / h.
    np.testing.assert_allclose(found, expected, rtol=0, atol=30 * EPS ** (2 / 3))
    np.testing.assert_array_equal(found, found.T)


def test_hessian_leaves_statistics_alone():
    net, (x, t) = network(use_batchnorm=True), data()
    net.fit(x, t, 1, verbose=False, seed=0)
    before = everything(net)
    assert hessian(net, x, t).shape == (flat(net.params).size,) * 2
    expect_same(everything(net), before)


# --- Newton's method ---------------------------------------------------------------------


@pytest.mark.parametrize("decay", [0, 0.1])
def test_one_step_of_newton_reaches_the_minimum_of_a_parabola(decay):
    x, t, W, b = least_squares(decay)
    net = linear(loss="mean_squared_error", weight_decay_lambda=decay)
    result = newton(net, x, t, verbose=False)
    assert result.converged and result.iterations == 1
    assert result.message == "no element of the gradient is above gtol"
    # The relative error of the Hessian times the length of the step.
    np.testing.assert_allclose(net.params["W1"], W, rtol=0, atol=300 * EPS ** (2 / 3))
    np.testing.assert_allclose(net.params["b1"], b, rtol=0, atol=300 * EPS ** (2 / 3))
    assert result.evaluations == [1, 2 + 2 * flat(net.params).size]
    assert result.loss[-1] == net.loss(x, t)


def test_damping_shortens_the_step():
    x, t, _, _ = least_squares(0)
    net = linear(loss="mean_squared_error")
    before, gradient, curvature = (
        flat(net.params), flat(net.gradient(x, t)), hessian(net, x, t)
    )  # fmt: skip
    newton(net, x, t, 1, damping=3.0, verbose=False)
    step = np.linalg.solve(curvature + 3 * np.eye(len(gradient)), -gradient)
    limit = len(step) * np.linalg.cond(curvature + 3 * np.eye(len(step))) * EPS
    limit *= np.abs(before).max() + np.abs(step).max()
    np.testing.assert_allclose(flat(net.params), before + step, rtol=0, atol=limit)


def test_newton_converges_quadratically():
    """Near the minimum each step squares the error: the number of right digits doubles."""
    net, (x, t) = linear(weight_decay_lambda=1e-2, weight_init_std=0), data()
    result = newton(net, x, t, gtol=1e-12, verbose=False)
    assert result.converged and result.iterations <= 7
    norms = [norm for norm in result.gradient_norm if norm < 0.05]
    assert len(norms) >= 5
    for before, after in pairwise(norms):
        assert after < 15 * before**2 + len(x) * EPS


def test_a_flat_direction_is_left_out():
    """Without weight decay one number may be added to all biases."""
    net, (x, t) = linear(weight_init_std=0), data()
    result = newton(net, x, t, verbose=False)
    assert result.converged
    assert abs(net.params["b1"].sum()) < 1e-6
    assert np.abs(flat(net.params)).max() < 100


def test_a_step_that_goes_too_far_is_halved():
    net, (x, t) = linear(weight_decay_lambda=1e-3, weight_init_std=0), data()
    net.params["W1"][...] = 20 * np.random.default_rng(0).normal(size=(D, C))
    full_steps = 1 + 2 * flat(net.params).size
    result = newton(net, x, t, 30, verbose=False)
    assert result.converged
    assert np.diff(result.evaluations).max() > full_steps
    assert result.loss == sorted(result.loss, reverse=True)


def test_newton_where_the_loss_is_not_convex():
    """With zero weights around it a hidden layer is at a saddle point or near one."""
    x, t = data()
    net = network()
    with np.errstate(all="raise"):
        result = newton(net, x, t, 30, verbose=False)
    assert not result.converged and net.loss(x, t) == result.loss[-1]
    assert "however short it is: eigenvalues of the Hessian are from -" in result.message
    damped = newton(network(), x, t, 3, damping=1.0, verbose=False)
    assert damped.iterations == 3 and damped.loss[-1] < damped.loss[0]
    assert damped.message == "the limit of 3 iterations is reached"


# --- bad arguments -----------------------------------------------------------------------


@pytest.mark.parametrize("method", [lbfgs, newton, hessian])
def test_networks_that_are_refused(method):
    x, t = data()
    with pytest.raises(TypeError, match="^network: expected a network of fastnn.networks"):
        method("net", x, t)
    dropping = network(use_dropout=True)
    with pytest.raises(ValueError, match="^network: expected one without dropout, .* Dropout1$"):
        method(dropping, x, t)
    method(network(hidden=(), use_dropout=True, dropout_ration=0), x, t, verbose=False)
    with pytest.raises(ValueError, match="^x: expected at least one sample of 5 features"):
        method(network(), x[:, :3], t)
    sick = network()
    sick.params["W1"][0, 0] = np.nan
    with pytest.raises(ValueError, match="^network: expected a finite loss and gradient"):
        method(sick, x, t)
    if method is not hessian:
        with pytest.raises(TypeError, match="^callback: expected a function, got 3"):
            method(network(), x, t, callback=3)


@pytest.mark.parametrize("method", [newton, hessian])
def test_networks_without_a_hessian(method):
    x, t = data()
    with pytest.raises(TypeError, match="^network: expected dtype float64, .* got float32"):
        method(network(dtype="float32"), x, t)
    large = MultiLayerNet(D, [1000], C, dtype="float64")
    text = "expected at most 5,000 parameters, as the Hessian of 9,003 takes 0.6 GiB"
    with pytest.raises(ValueError, match=text):
        method(large, x, t)


def test_the_memory_that_the_notes_name():
    """A million parameters need 3725 GB in single precision; here it is double."""
    net = MultiLayerNet(999, [], 1000, dtype="float64")
    assert flat(net.params).size == 1_000_000
    with pytest.raises(ValueError, match="Hessian of 1,000,000 takes 7,450.6 GiB"):
        newton(net, np.zeros((1, 999)), [0])


@pytest.mark.parametrize(
    "method, name, value",
    [
        (lbfgs, "iterations", 0),
        (lbfgs, "memory", 0),
        (lbfgs, "gtol", -1),
        (lbfgs, "ftol", np.nan),
        (lbfgs, "evaluations", 0),
        (newton, "iterations", 0),
        (newton, "damping", -0.1),
        (newton, "gtol", -1),
    ],
)
def test_bad_settings(method, name, value):
    net = network()
    before = everything(net)
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        method(net, *data(), **{name: value})
    expect_same(everything(net), before)
