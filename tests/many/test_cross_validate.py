"""cross_validate: folds, what is trained on them, scores."""

import numpy as np
import pytest

from fastnn import MultiLayerNet, cross_validate
from fastnn.ensembles import Ensemble

N, D, C = 62, 4, 3
X = np.random.default_rng(0).normal(size=(N, D))
T = np.random.default_rng(1).integers(C, size=N)
QUIET = {"epochs": 2, "batch_size": 8, "seed": 3, "verbose": False}


def make():
    return MultiLayerNet(D, [5], C, seed=0)


@pytest.mark.parametrize("folds", [2, 5, N])
def test_folds(folds):
    given = {"epochs": 1, "batch_size": 50, "seed": 3, "verbose": False}
    if folds == N:
        with pytest.warns(RuntimeWarning, match="fewer than the 62 folds"):
            found = cross_validate(make, X, T, folds, **given)
    else:
        found = cross_validate(make, X, T, folds, **given)
    assert sorted(np.concatenate(found.rows)) == [*range(N)]
    sizes = [len(rows) for rows in found.rows]
    assert len(sizes) == folds and max(sizes) - min(sizes) <= 1
    for label in range(C):
        counts = [np.count_nonzero(T[rows] == label) for rows in found.rows]
        assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("labels", [None, "text", "rows"])
def test_each_network_is_trained_without_its_fold(labels):
    t = T
    if labels == "text":
        t = np.array(["a", "b", "c"])[T]
    elif labels == "rows":
        t = np.eye(C)[T]
    weights = np.arange(N) + 1.0
    found = cross_validate(make, X, t, 4, **QUIET, sample_weight=weights, n_jobs=2)
    for i, (network, rows) in enumerate(zip(found.networks, found.rows, strict=True)):
        others = np.concatenate([found.rows[j % 4] for j in range(i + 1, i + 4)])
        alone = make()
        history = alone.fit(
            X[others], t[others], validation=(X[rows], t[rows]), sample_weight=weights[others],
            **QUIET,
        )  # fmt: skip
        assert found.histories[i].step_losses == history.step_losses
        assert found.scores[i] == history.val_accuracy[-1] == network.accuracy(X[rows], t[rows])
    assert (found.mean, found.std) == (found.scores.mean(), found.scores.std())
    assert Ensemble(found.networks).predict(X).shape == (N, C)


def test_columns_and_classes_are_those_of_all():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[*"abcd"])
    t = pandas.Series(np.array(["x", "y", "z"])[T])
    found = cross_validate(lambda: MultiLayerNet(D, [5], C), frame, t, 3, **QUIET)
    assert all(network.feature_names == [*"abcd"] for network in found.networks)
    assert all(network.classes.tolist() == ["x", "y", "z"] for network in found.networks)


def test_numbers():
    def regressor():
        return MultiLayerNet(D, [5], 1, loss="mean_squared_error", seed=0)

    found = cross_validate(regressor, X, X[:, :1], 3, **QUIET)
    assert found.metric == "loss" and "CrossValidation(3 folds, loss" in repr(found)
    found = cross_validate(regressor, X, X[:, :1], 3, metric="r2", metrics=["r2"], **QUIET)
    assert found.scores.tolist() == [history["val_r2"][-1] for history in found.histories]
    with pytest.raises(ValueError, match="metric: expected one of loss, got 'accuracy'"):
        cross_validate(regressor, X, X[:, :1], 3, metric="accuracy", **QUIET)


NETWORK = make()


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"network_factory": NETWORK}, TypeError, "network_factory: expected a function"),
        ({"network_factory": lambda: NETWORK}, ValueError, "expected a new network each time"),
        ({"network_factory": lambda: 3}, TypeError, r"each time; networks\[0\]: expected a net"),
        ({"folds": 1}, ValueError, "folds: expected an integer from 2"),
        ({"folds": N + 1}, ValueError, "folds: expected at most one for each of 62 samples"),
        ({"x": X[:, :2]}, ValueError, "^x: expected at least one sample of 4 features"),
        ({"t": T[1:]}, ValueError, "^t: expected"),
        ({"validation": 0.1}, TypeError, "validation: expected to be left out"),
        ({"sample_weight": [1.0]}, ValueError, "sample_weight: expected 62 numbers"),
        ({"seed": -1}, ValueError, "seed: expected an integer"),
        ({"metric": "val_loss"}, ValueError, "metric: expected one of loss, accuracy"),
    ],
)
def test_arguments_that_are_refused(change, error, text):
    given = {"network_factory": make, "x": X, "t": T, "folds": 3, **QUIET}
    with pytest.raises(error, match=text):
        cross_validate(**(given | change))
