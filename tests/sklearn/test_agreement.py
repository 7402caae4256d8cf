"""In float64 the estimators agree with scikit-learn's, step by step, for the same random_state."""

import warnings
from functools import partial

import numpy as np
import pytest
from rounding import limits, moved

pytest.importorskip("sklearn", "1.7")  # the first with sample_weight and Poisson's loss
import scipy.sparse
import sklearn.neural_network as theirs
from sklearn.exceptions import ConvergenceWarning

import fastnn.sklearn as ours

N, FEATURES = 70, 6


def _targets():
    """Return targets of each kind."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(N, FEATURES))
    score = X @ rng.normal(size=(FEATURES, 3))
    return X, {
        "classes": score.argmax(axis=1),
        "strings": np.array(["ant", "bee", "cow"])[score.argmax(axis=1)],
        "binary": np.where(score[:, 0] > 0, "yes", "no"),
        "multilabel": (score > 0).astype(int),
        "number": score[:, 0],
        "numbers": score[:, :2],
        "counts": rng.poisson(np.exp(score[:, 0] / 4)),
    }


X, TARGETS = _targets()
WEIGHTS = np.random.default_rng(2).uniform(0.1, 3, N)
NUMBERS = ("number", "numbers", "counts")


def fitted(module, kind, X=X, weights=None, calls=1, **settings):
    """Return an estimator of a module, fitted so many times."""
    name = "MLPRegressor" if kind in NUMBERS else "MLPClassifier"
    usual = {"hidden_layer_sizes": (7, 5), "random_state": 3, "max_iter": 6, "batch_size": 16}
    if kind == "counts":
        usual["loss"] = "poisson"
    if module is ours:
        usual["dtype"] = "float64"
    partly = settings.pop("partly", False)
    settings = usual | settings
    if callable(settings["random_state"]):
        settings["random_state"] = settings["random_state"]()
    estimator = getattr(module, name)(**settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(calls):
            if partly and name == "MLPClassifier":
                labels = np.unique(TARGETS[kind])
                estimator.partial_fit(X, TARGETS[kind], sample_weight=weights, classes=labels)
            elif partly:
                estimator.partial_fit(X, TARGETS[kind], sample_weight=weights)
            else:
                estimator.fit(X, TARGETS[kind], sample_weight=weights)
    return estimator


def arrays(estimator):
    """Return what is compared, by name."""
    found = {"loss": np.array([estimator.loss_])}
    for name in ("loss_curve_", "validation_scores_"):
        if getattr(estimator, name, None) is not None:
            found[name] = np.array(getattr(estimator, name))
    for name in ("coefs_", "intercepts_"):
        found |= {f"{name} {i}": array for i, array in enumerate(getattr(estimator, name))}
    samples = X[:20]
    predict = getattr(estimator, "predict_proba", estimator.predict)
    found["predicted"] = np.asarray(predict(samples))
    return found


def expect_agreement(kind, **settings):
    """Expect both to be as near as scikit-learn is to itself on samples that are moved by eps."""
    expected = fitted(theirs, kind, **settings)
    got = fitted(ours, kind, **settings)
    for name in ("n_iter_", "n_outputs_", "n_layers_", "out_activation_"):
        assert getattr(got, name) == getattr(expected, name)
    assert getattr(got, "t_", None) == getattr(expected, "t_", None)
    samples = settings.pop("X", X)

    def again(seed):
        rng = np.random.default_rng(seed)
        other = samples.copy()
        if scipy.sparse.issparse(other):
            other.data = moved(other.data, rng, N)
        else:
            other = moved(other, rng, N)
        return arrays(fitted(theirs, kind, X=other, **settings))

    reference, found = arrays(expected), arrays(got)
    assert found.keys() == reference.keys()
    allowed = limits(reference, again, group=lambda key: key.partition(" ")[0])
    for key, array in found.items():
        assert array.shape == reference[key].shape
        far = np.abs(array - reference[key]).max(initial=0)
        # A sum of N terms in another order may be so far even where moving happens to move nothing.
        assert far <= allowed[key] + N * np.finfo(float).eps * np.abs(reference[key]).max(), key


SOLVERS = {
    "adam": {"solver": "adam", "learning_rate_init": 0.01},
    "nesterov": {"solver": "sgd", "learning_rate_init": 0.05},
    "momentum": {"solver": "sgd", "learning_rate_init": 0.05, "nesterovs_momentum": False},
    "plain": {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0},
    "kept": {"solver": "sgd", "learning_rate_init": 0.01, "momentum": 1},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "adaptive": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "learning_rate_init": 0.1,
        "tol": 0.1,
        "n_iter_no_change": 1,
        "max_iter": 12,
    },
    "lbfgs": {"solver": "lbfgs"},
}


@pytest.mark.parametrize(
    ("solver", "activation"),
    [
        *((solver, activation) for solver in SOLVERS for activation in ("tanh", "relu")),
        *((s, activation) for s in ("adam", "lbfgs") for activation in ("identity", "logistic")),
    ],
)
def test_solvers(solver, activation):
    expect_agreement("classes", activation=activation, **SOLVERS[solver])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("kind", "solver"),
    [
        (kind, solver)
        for kind in TARGETS
        for solver in ("adam", "nesterov", "lbfgs")
        # There scikit-learn takes a loss, and the gradient of another one.
        if (kind, solver) != ("numbers", "lbfgs")
    ],
)
def test_targets(kind, solver, weighted):
    rate = {} if solver == "lbfgs" else {"learning_rate_init": 0.01}
    weights = WEIGHTS if weighted else None
    expect_agreement(kind, weights=weights, **(SOLVERS[solver] | rate))


OPTIONS = {
    "in order": {"shuffle": False},
    "whole batches": {"batch_size": 10},
    "one batch": {"batch_size": "auto"},
    "single samples": {"batch_size": 1, "max_iter": 2},
    "no penalty": {"alpha": 0},
    "large penalty": {"alpha": 3.0},
    "one hidden layer": {"hidden_layer_sizes": 4},
    "no hidden layer": {"hidden_layer_sizes": ()},
    "betas": {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    "early stopping": {
        "early_stopping": True,
        "validation_fraction": 0.3,
        "tol": 0.01,
        "n_iter_no_change": 2,
        "max_iter": 30,
    },
    "tolerance": {"tol": 0.05, "n_iter_no_change": 2, "max_iter": 60},
    "tolerance, epochs together": {
        "tol": 0.03,
        "n_iter_no_change": 3,
        "max_iter": 100,
        "batch_size": "auto",
        "learning_rate_init": 0.1,
    },
    "invscaling, epochs together": {
        "solver": "sgd",
        "learning_rate": "invscaling",
        "batch_size": 35,
        "learning_rate_init": 0.1,
    },
    "adaptive, epochs together": {
        "solver": "sgd",
        "learning_rate": "adaptive",
        "tol": 0.1,
        "n_iter_no_change": 1,
        "max_iter": 30,
        "batch_size": 70,
        "learning_rate_init": 0.1,
    },
    "called again": {"calls": 2},
    "warm start": {"calls": 3, "warm_start": True},
    "warm start, early stopping": {"calls": 2, "warm_start": True, "early_stopping": True},
    "in parts": {"calls": 5, "partly": True},
    "a state that is drawn from": {"calls": 2, "random_state": partial(np.random.RandomState, 5)},
}


@pytest.mark.parametrize(
    ("option", "kind"),
    [
        (option, kind)
        for option in OPTIONS
        for kind in ("binary", "number")
        # There scikit-learn's best weights are those in training, from the second call on.
        if (option, kind) != ("warm start, early stopping", "binary")
    ],
)
def test_options(option, kind):
    expect_agreement(kind, **({"learning_rate_init": 0.01} | OPTIONS[option]))


@pytest.mark.parametrize("weighted", [False, True])
def test_lbfgs_on_some_rows_at_a_time(weighted, monkeypatch):
    monkeypatch.setattr("fastnn.sklearn.lbfgs._ROWS", 16)
    for kind in ("classes", "binary"):
        expect_agreement(kind, weights=WEIGHTS if weighted else None, solver="lbfgs")


@pytest.mark.parametrize("batch_size", [10, 16, 70])
def test_no_more_is_drawn_from_a_state(batch_size):
    """Also where epochs that run together end a training."""
    settings = {"batch_size": batch_size, "tol": 0.03, "n_iter_no_change": 3, "max_iter": 100}
    drawn = []
    for module in (theirs, ours):
        state = np.random.RandomState(4)
        fitted(module, "classes", random_state=state, learning_rate_init=0.05, **settings)
        drawn.append(state.randint(2**31, size=3))
    np.testing.assert_array_equal(*drawn)


@pytest.mark.parametrize("kind", ["classes", "counts"])
def test_early_stopping_with_weights(kind):
    settings = {"validation_fraction": 0.3, "max_iter": 20, "n_iter_no_change": 3}
    expect_agreement(kind, weights=WEIGHTS, early_stopping=True, **settings)


@pytest.mark.parametrize("form", [scipy.sparse.csr_matrix, scipy.sparse.csc_array])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("kind", ["classes", "number"])
def test_sparse(kind, solver, form):
    sparse = form(np.where(np.abs(X) > 0.7, X, 0))
    expect_agreement(kind, X=sparse, solver=solver, early_stopping=True)


def test_batches_are_clipped_with_a_warning():
    for module in (theirs, ours):
        with pytest.warns(UserWarning, match="It is going to be clipped"):
            fitted(module, "classes", batch_size=1000)
