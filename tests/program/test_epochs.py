"""Several epochs of one call, and the penalty that is divided by the samples of a batch."""

import numpy as np
import pytest
from routes import StepSettings, by_layers

from fastnn import MultiLayerNetExtend, optimizers
from fastnn.program import Program

N, D, C, BATCH, EPOCHS = 37, 5, 3, 12, 3  # whose last batch is a sample alone
ALPHA = 0.3
EPS = np.finfo(np.float64).eps


def trained(make, dtype, rows, calls, *, norm=False, weights=None, alpha=ALPHA, lambdas=None):
    """Return parameters, losses and penalties after the epochs of so many calls."""
    rng = np.random.default_rng(3)
    x, t = rng.normal(size=(N, D)), rng.integers(C, size=N)
    net = MultiLayerNetExtend(
        D, (8, 7), C, use_batchnorm=norm, dtype=dtype, seed=0, weight_init_std=0.5
    )
    settings = StepSettings(alpha=alpha, clip_norm=2.0)
    route = make(net, optimizers.Momentum(lr=0.05), x, t, BATCH, settings, weights=weights)
    steps = -(-N // BATCH)
    losses, penalties, hits = (np.zeros(EPOCHS * steps, kind) for kind in (float, float, np.int64))
    for call in range(calls):
        some = slice(call * EPOCHS // calls, (call + 1) * EPOCHS // calls)
        taken, part = rows[some].ravel(), slice(some.start * steps, some.stop * steps)
        given = np.full(part.stop - part.start, 0.05), losses[part], hits[part]
        route.run(taken, BATCH, *given, some.stop - some.start, penalties[part])
    return {**net.params, "losses": losses, "penalties": penalties}


def orders():
    rng = np.random.default_rng(4)
    return np.array([rng.permutation(N) for _ in range(EPOCHS)])


@pytest.mark.parametrize(
    ("make", "norm"),
    [
        (Program, False),
        (Program, True),
        pytest.param(by_layers, False, id="layers"),
    ],
)
def test_epochs_of_one_call(make, norm):
    """They have the same bits as one call each."""
    together, apart = (
        trained(_given(make), np.float32, orders(), calls, norm=norm) for calls in (1, EPOCHS)
    )
    for key, array in apart.items():
        np.testing.assert_array_equal(together[key], array, err_msg=key)


def _given(make):
    """Return a route of these arguments, which by_layers takes by position alone."""

    def route(*given, weights):
        return make(*given, weights)

    return route


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_penalties(dtype, weighted):
    """A program has the penalties and the parameters of steps with a penalty of their own each."""
    weights = np.random.default_rng(5).uniform(0.1, 2, N) if weighted else None
    ours = trained(_given(Program), dtype, orders(), 1, weights=weights)
    expected = trained(_given(Single), dtype, orders(), 1, weights=weights)
    for key in ("losses", *(key for key in ours if key[0] in "Wb")):
        np.testing.assert_array_equal(ours[key], expected[key], err_msg=key)
    # Sums of squares, none negative, in another order: at most an eps for each term, and two more.
    terms = D * 8 + 8 * 7 + 7 * C + 2
    np.testing.assert_allclose(ours["penalties"], expected["penalties"], rtol=terms * EPS)
    assert (ours["penalties"] > 0).all()


class Single:
    """Steps one by one, each with the network's own penalty."""

    def __init__(self, net, optimizer, x, t, batch, settings, weights):
        self.net, self.weights, self.alpha = net, weights, settings.alpha
        plain = StepSettings(clip_norm=settings.clip_norm)
        self.route = Program(net, optimizer, x, t, batch, plain, weights)

    def run(self, rows, batch, rates, losses, hits, epochs, penalties):
        starts = [e * N + b for e in range(epochs) for b in range(0, N, batch)]
        for i, start in enumerate(starts):
            part, step = rows[start : min(start + batch, start - start % N + N)], slice(i, i + 1)
            mass = part.size if self.weights is None else sum(self.weights[part].tolist())
            self.net.weight_decay_lambda = self.alpha / mass
            squares = sum((W.astype(float) ** 2).sum() for W in self.net._weights().values())
            penalties[i] = 0.5 * self.net.weight_decay_lambda * squares
            self.route.run(part, batch, rates[step], losses[step], hits[step])


def test_layers_have_the_penalties_of_the_program():
    """The first step starts from the same weights; the others follow within rounding."""
    ours, theirs = (trained(_given(make), np.float64, orders(), 1) for make in (Program, by_layers))
    terms = D * 8 + 8 * 7 + 7 * C + 2
    np.testing.assert_allclose(ours["penalties"][0], theirs["penalties"][0], rtol=terms * EPS)
    # Twelve steps of products of up to 37 terms: far below a mistake, which would be of order 1.
    np.testing.assert_allclose(ours["penalties"], theirs["penalties"], rtol=1e6 * EPS)
    np.testing.assert_allclose(ours["losses"], theirs["losses"], rtol=1e6 * EPS)


def test_rows_of_epochs_are_checked():
    with pytest.raises(ValueError, match=r"rows: expected those of 12 steps with 12 samples in 3"):
        trained(_given(Program), np.float64, orders()[:, :-13], 1)
