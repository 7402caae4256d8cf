"""Ensembles of networks with each loss."""

import numpy as np
import pytest

from fastnn import Network
from fastnn.ensembles import Ensemble
from fastnn.layers import Affine, Tanh

RNG = np.random.default_rng(77)
X = RNG.normal(size=(12, 3))
TARGETS = {
    "cross_entropy": RNG.integers(0, 2, 12),
    "binary_cross_entropy": RNG.integers(0, 2, (12, 2)),
    "mean_squared_error": RNG.normal(size=(12, 2)),
    "poisson": RNG.poisson(2, (12, 2)),
    "huber": RNG.normal(size=(12, 2)),
}


def network(loss, seed=0):
    return Network([Affine(4), Tanh(), Affine(2)], loss=loss, input_size=3, seed=seed)


@pytest.mark.parametrize("loss", TARGETS)
def test_the_loss_is_the_members_own_and_never_above_their_mean(loss):
    t, members = TARGETS[loss], [network(loss, seed) for seed in range(3)]
    together = Ensemble(members)
    assert together.loss(X, t) <= np.mean([net.loss(X, t) for net in members])
    alone = Ensemble(members[:1])
    assert abs(alone.loss(X, t) - members[0].loss(X, t)) <= 1e-5 * members[0].loss(X, t)


def test_accuracy_of_answers():
    members = [network("binary_cross_entropy", seed) for seed in range(3)]
    together = Ensemble(members)
    answers = (together.predict(X) > 0).astype(int)
    assert together.accuracy(X, answers) == 1
    answers[0, 1] = 1 - answers[0, 1]
    assert together.accuracy(X, answers) == 11 / 12


def test_losses_of_different_targets_are_not_mixed():
    with pytest.raises(ValueError, match="expected the same kind of loss"):
        Ensemble([network("poisson"), network("binary_cross_entropy", 1)])
