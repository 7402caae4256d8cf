"""The estimators work where scikit-learn's do, and do what those do not."""

import functools
import inspect
import os
import pickle
import subprocess
import sys
import threading
import warnings

import joblib
import numpy as np
import pytest
from memory import peak_memory

pytest.importorskip("sklearn", "1.7")
import scipy.sparse
import sklearn
import sklearn.neural_network as theirs
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks, estimator_html_repr
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

import fastnn.sklearn as ours
from fastnn import callbacks, config, optimizers, schedules
from fastnn.kernels.calls.routine import Routine
from fastnn.kernels.threading import threads
from fastnn.program import Program
from fastnn.program.tables import Tables
from fastnn.sklearn import MLPClassifier, MLPRegressor
from tests.sklearn import upstream

NAMES = ("MLPClassifier", "MLPRegressor")
X, Y = load_iris(return_X_y=True)
X = (X - X.mean(axis=0)) / X.std(axis=0)
NUMBERS = X @ [1.0, -2.0, 0.5, 0.0]

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# That repeated samples and weights of 2 differ by less than 1e-7 asks for float64.
_ROUNDING = {f"check_sample_weight_equivalence_on_{form}_data" for form in ("dense", "sparse")}
_EPOCHS = 30


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([MLPClassifier(max_iter=_EPOCHS), MLPRegressor(max_iter=_EPOCHS)])
def test_checks(estimator, check, monkeypatch):
    if check.func.__name__ in _ROUNDING:
        # In each epoch, one step, sums of up to 100 terms, of units or samples, are rounded.
        limit = _EPOCHS * 100 * np.finfo(np.float32).eps
        loose = functools.partial(
            estimator_checks.assert_allclose_dense_sparse, rtol=limit, atol=limit
        )
        monkeypatch.setattr(estimator_checks, "assert_allclose_dense_sparse", loose)
    check(estimator)


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_checks_of_rounding_hold_with_the_dtype_of_samples(kind):
    checks = estimator_checks_generator(kind(max_iter=_EPOCHS, dtype=None))
    found = [(e, check) for e, check in checks if check.func.__name__ in _ROUNDING]
    assert len(found) == len(_ROUNDING)
    for estimator, check in found:
        check(estimator)


@pytest.mark.slow
@pytest.mark.parametrize("run", [upstream.by_default, upstream.of_dtypes])
def test_upstream(run):
    result = run()
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_defaults(name):
    def of(module):
        return inspect.signature(getattr(module, name).__init__).parameters

    expected, got = of(theirs), of(ours)
    assert list(got)[: len(expected)] == list(expected)
    for key, parameter in expected.items():
        assert (got[key].default, got[key].kind) == (parameter.default, parameter.kind), key
    assert all(
        got[key].kind is inspect.Parameter.KEYWORD_ONLY for key in list(got)[len(expected) :]
    )


@pytest.mark.parametrize("name", NAMES)
def test_attributes(name):
    """All public attributes of scikit-learn's are there after each solver."""
    y = Y if name == "MLPClassifier" else NUMBERS
    for settings in ({}, {"early_stopping": True}, {"solver": "lbfgs"}):
        expected = getattr(theirs, name)(max_iter=3, **settings).fit(X, y)
        got = getattr(ours, name)(max_iter=3, **settings).fit(X, y)
        public = {key for key in vars(expected) if key[0] != "_"}
        assert not {key for key in public if not hasattr(got, key)}
        for key in public:
            kinds = {type(getattr(each, key)) for each in (expected, got)}
            assert len(kinds) == 1 or kinds <= {float, np.float64}, key


WRONG = {
    "hidden_layer_sizes": ["a", 0, -1],
    "activation": ["gelu", 1],
    "solver": ["rmsprop"],
    "alpha": [-1, "a"],
    "batch_size": [0, 1.5, "all"],
    "learning_rate": ["linear"],
    "learning_rate_init": [0, -1.0],
    "power_t": [-0.1],
    "max_iter": [0, 2.5],
    "shuffle": ["yes"],
    "random_state": [-1, "a"],
    "tol": [-1],
    "verbose": [-1, "a"],
    "warm_start": [2.0],
    "momentum": [1.1, -0.1],
    "nesterovs_momentum": ["no"],
    "early_stopping": [None],
    "validation_fraction": [1.0, -0.1],
    "beta_1": [1.0],
    "beta_2": [1],
    "epsilon": [0],
    "n_iter_no_change": [0, 1.5],
    "max_fun": [0],
}


@pytest.mark.parametrize("parameter", WRONG)
def test_messages_of_parameters_out_of_range(parameter):
    for value in WRONG[parameter]:
        texts = []
        for module in (theirs, ours):
            with pytest.raises(ValueError) as caught:
                module.MLPClassifier(**{parameter: value}).fit(X, Y)
            texts.append(str(caught.value))
        head, _, rest = texts[0].partition("among {")  # whose order is that of a set
        assert texts[1].startswith(head) and texts[1].endswith(rest.partition("}")[2])


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("dropout", 1.0),
        ("batch_norm", "yes"),
        ("clip_norm", 0),
        ("ema", 1.0),
        ("dtype", "float16"),
        ("class_weight", "even"),
        ("n_threads", 0),
        ("n_threads", True),
        ("n_threads", 1.0),
    ],
)
def test_parameters_of_our_own_are_checked(parameter, value):
    with pytest.raises(ValueError, match=f"The {parameter!r} parameter of MLPClassifier must be"):
        MLPClassifier(**{parameter: value}).fit(X, Y)
    with pytest.raises(TypeError):  # which scikit-learn's is, too
        MLPClassifier(**{parameter: value}).fit(X, Y)


def test_float32_is_about_as_good():
    """Losses of float32 are those of float64, but for what rounding is worth."""
    for kind, y in ((MLPClassifier, Y), (MLPRegressor, NUMBERS)):
        settings = {"random_state": 0, "max_iter": 40, "learning_rate_init": 0.01}
        single, double = (kind(dtype=dtype, **settings).fit(X, y) for dtype in (np.float32, None))
        assert {a.dtype for a in single.coefs_} == {np.dtype(np.float32)}
        assert {a.dtype for a in double.coefs_} == {np.dtype(np.float64)}
        assert single.n_iter_ == double.n_iter_
        np.testing.assert_allclose(single.loss_curve_, double.loss_curve_, rtol=1e-3)


def test_epochs_that_run_together(monkeypatch):
    """They have the same numbers as epochs and steps of a call each, also with a ragged batch."""
    settings = {"random_state": 0, "max_iter": 5, "batch_size": 7, "learning_rate_init": 0.01}
    for weights in (None, np.random.default_rng(0).uniform(0.1, 2, len(X))):
        together = MLPClassifier(alpha=1.0, **settings).fit(X, Y, weights)
        with monkeypatch.context() as patch:
            patch.setattr("fastnn.sklearn.steps.TOGETHER", 1)
            patch.setattr("fastnn.sklearn.stochastic.TOGETHER", 1)
            alone = MLPClassifier(alpha=1.0, **settings).fit(X, Y, weights)
        for a, b in zip(together.coefs_, alone.coefs_, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(together.loss_curve_, alone.loss_curve_)


def test_lbfgs_descends_on_the_sum_of_outputs():
    """With several outputs f and its gradient belong together, so that it reaches the minimum."""
    y = np.column_stack([NUMBERS, X[:, 0] * 3])
    settings = {"solver": "lbfgs", "hidden_layer_sizes": (), "alpha": 0, "tol": 1e-8}
    model = MLPRegressor(**settings, dtype="float64", random_state=0).fit(X, y)
    assert model.loss_ < 1e-9


@pytest.mark.parametrize("of", [pickle, joblib])
def test_pickles(of, tmp_path):
    model = MLPClassifier(max_iter=3, random_state=0, warm_start=True, early_stopping=True)
    model.fit(X, Y)
    file = tmp_path / "model"
    with open(file, "wb") as out:
        of.dump(model, out)
    with open(file, "rb") as stored:
        other = of.load(stored)
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    for each in (model, other):
        each.set_params(random_state=1, early_stopping=False).partial_fit(X, Y)
    for a, b in zip(model.coefs_, other.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_batch_normalisation_survives_a_pickle():
    model = MLPClassifier(batch_norm=True, dropout=0.2, max_iter=5, random_state=0).fit(X, Y)
    other = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    assert sklearn.clone(model).get_params() == model.get_params()


def test_weights_that_are_assigned_are_predicted_with():
    model = MLPRegressor(max_iter=2, random_state=0).fit(X, NUMBERS)
    model.coefs_[-1] = np.zeros_like(model.coefs_[-1])
    model.intercepts_[-1][:] = 2.5
    np.testing.assert_array_equal(model.predict(X), np.full(len(X), 2.5, np.float32))
    model.coefs_ = [np.ones((4, 1))]
    model.intercepts_ = [np.zeros(1)]
    np.testing.assert_allclose(model.predict(X), X.sum(axis=1), rtol=1e-5, atol=1e-5)


def test_samples_to_predict_are_looked_at():
    model = MLPRegressor(max_iter=2).fit(X, NUMBERS)
    large = np.full((5, 4), 3e38, np.float32)  # whose sum is not finite
    assert model.predict(large).shape == (5,)
    for value in (np.nan, np.inf):
        large[2, 1] = value
        with pytest.raises(ValueError, match="Input X contains"):
            model.predict(large)
    with pytest.raises(ValueError, match="X has 3 features, but MLPRegressor is expecting 4"):
        model.predict(X[:, :3])


def test_compiled_code_predicts_whatever_the_loss(monkeypatch):
    from fastnn.program import inference

    many = np.tile(X, (800, 1))
    found = []
    before = inference.scores
    monkeypatch.setattr(inference, "scores", lambda *args: found.append(before(*args)) or found[-1])
    for model, y in ((MLPClassifier(max_iter=2), Y == 1), (MLPRegressor(max_iter=2), NUMBERS)):
        model.fit(X, y).predict(many)
        assert found[-1] is not None


def test_in_scikit_learns_tools():
    model = make_pipeline(StandardScaler(), MLPClassifier(max_iter=40, random_state=0))
    grid = {"mlpclassifier__alpha": [1e-4, 1e-1]}
    alone = GridSearchCV(model, grid, cv=3).fit(X, Y)
    with joblib.parallel_backend("threading", n_jobs=2):
        shared = GridSearchCV(model, grid, cv=3).fit(X, Y)
    for key in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(alone.cv_results_[key], shared.cv_results_[key])
    calibrated = CalibratedClassifierCV(MLPClassifier(max_iter=30, random_state=0), cv=2).fit(X, Y)
    assert calibrated.score(X, Y) > 0.8
    fitted = MLPClassifier(max_iter=60, random_state=0).fit(X, Y)
    important = permutation_importance(fitted, X, Y, n_repeats=3, random_state=0).importances_mean
    assert important[2:].min() > important[:2].max()
    assert "MLPClassifier" in estimator_html_repr(fitted)


def test_sample_weight_is_routed():
    weights = np.where(Y == 0, 0.0, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        model = MLPClassifier(max_iter=30, random_state=0, learning_rate_init=0.01)
        model.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        found = cross_validate(
            model, X, Y, params={"sample_weight": weights}, cv=3, return_estimator=True
        )
    for fitted in found["estimator"]:
        assert not (fitted.predict(X) == 0).any()


def test_class_weights_are_weights_of_samples():
    settings = {"max_iter": 4, "random_state": 0}
    by_class = MLPClassifier(class_weight={0: 3.0, 1: 1.0, 2: 0.5}, **settings).fit(X, Y)
    by_sample = MLPClassifier(**settings).fit(X, Y, sample_weight=np.array([3.0, 1.0, 0.5])[Y])
    for a, b in zip(by_class.coefs_, by_sample.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    rare = np.r_[0:50, 50:53, 100:150]
    balanced = MLPClassifier(class_weight="balanced", max_iter=50, random_state=0)
    plain = MLPClassifier(max_iter=50, random_state=0)
    counts = [(m.fit(X[rare], Y[rare]).predict(X) == 1).sum() for m in (balanced, plain)]
    assert counts[0] > counts[1]


def test_weights_must_not_vanish_in_a_batch():
    weights = np.r_[np.zeros(50), np.ones(100)]
    for alpha in (0, 1e-4):
        with pytest.raises(ValueError, match="sample_weight: expected a sum above 0 in each batch"):
            MLPClassifier(batch_size=50, shuffle=False, alpha=alpha).fit(X, Y, weights)
    with pytest.raises(ValueError, match="Sample weights must contain at least one non-zero"):
        MLPClassifier().fit(X, Y, sample_weight=np.zeros(len(X)))


def test_validation_on_what_is_given():
    train, held_out = np.arange(0, 150, 2), np.arange(1, 150, 2)
    given = X[held_out], Y[held_out]
    settings = {"max_iter": 30, "random_state": 0, "learning_rate_init": 0.05, "dtype": "float64"}
    model = MLPClassifier(**settings).fit(X[train], Y[train], eval_set=given)
    assert len(model.validation_loss_curve_) == model.n_iter_ and model.validation_scores_ is None
    p = model.predict_proba(X[held_out])[np.arange(75), Y[held_out]]
    np.testing.assert_allclose(model.validation_loss_curve_[-1], -np.log(p).mean(), rtol=1e-12)
    best = MLPClassifier(early_stopping=True, n_iter_no_change=3, **settings)
    best.fit(X[train], Y[train], eval_set=given)
    assert best.score(*given) == best.best_validation_score_ == max(best.validation_scores_)
    assert best.t_ == best.n_iter_ * len(train)
    with pytest.raises(ValueError, match="classes not in"):
        MLPClassifier().fit(X[train], Y[train], eval_set=(X, Y + 1))
    with pytest.raises(ValueError, match="eval_set must have y of 2 outputs, got 1"):
        MLPRegressor().fit(X, np.column_stack([NUMBERS, Y]), eval_set=(X, NUMBERS))
    with pytest.raises(ValueError, match="eval_set must be a pair"):
        MLPClassifier().fit(X[train], Y[train], eval_set=X)


def test_extras_change_what_they_should():
    settings = {"max_iter": 3, "random_state": 0}
    plain = MLPClassifier(**settings).fit(X, Y)

    def weights(**extras):
        return MLPClassifier(**settings, **extras).fit(X, Y).coefs_[0]

    for extras in (
        {"dropout": 0.5},
        {"batch_norm": True},
        {"optimizer": "lion"},
        {"schedule": schedules.cosine(epochs=3)},
        {"clip_norm": 0.01},
        {"ema": 0.5},
    ):
        first = weights(**extras)
        assert np.isfinite(first).all() and not np.array_equal(first, plain.coefs_[0]), extras
        np.testing.assert_array_equal(first, weights(**extras))
    same = weights(optimizer=optimizers.Adam(0.001, eps=1e-8))
    np.testing.assert_array_equal(same, plain.coefs_[0])


class Seen(callbacks.Callback):
    """Notes what it is told, and ends the training after an epoch."""

    every_steps = 4

    def on_train_begin(self):
        self.told = ["begin"]

    def on_steps_end(self, step):
        self.told.append(step)

    def on_epoch_end(self, epoch):
        self.told.append(f"epoch {epoch}")
        return epoch == 2

    def on_train_end(self):
        self.told.append("end")


@pytest.mark.parametrize("alpha", [0, 1e-4])
def test_callbacks_are_told_of_steps_and_epochs(alpha):
    seen = Seen()
    settings = {"alpha": alpha, "batch_size": 50, "random_state": 0, "max_iter": 5}
    model = MLPClassifier(callbacks=[seen], **settings).fit(X, Y, eval_set=(X, Y))
    assert seen.told == ["begin", "epoch 1", 4, "epoch 2", "end"]
    assert model.n_iter_ == 2 and len(seen.history.step_losses) == 6
    np.testing.assert_allclose(seen.history.val_loss, model.validation_loss_curve_)
    assert seen.history.val_accuracy[-1] == model.score(X, Y)
    settings["max_iter"] = 2
    plain = MLPClassifier(**settings).fit(X, Y)
    for a, b in zip(plain.coefs_, model.coefs_, strict=True):  # stops change no bit
        np.testing.assert_array_equal(a, b)
    with pytest.raises(TypeError, match="callbacks: expected objects of type Callback"):
        MLPClassifier(callbacks=["early stopping"]).fit(X, Y)


def test_callbacks_of_fastnn_act():
    held_out = X[::3], Y[::3]
    rate = callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=10.0)
    model = MLPClassifier(callbacks=[rate], max_iter=4, random_state=0, solver="sgd").fit(X, Y)
    assert model._optimizer.learning_rate == 0.001 / 8
    early = callbacks.EarlyStopping("val_loss", patience=2)
    settings = {"learning_rate_init": 0.3, "max_iter": 100, "random_state": 0}
    model = MLPClassifier(callbacks=[early], **settings).fit(X, Y, eval_set=held_out)
    curve = model.validation_loss_curve_
    assert model.n_iter_ == len(curve) == early.best_epoch + 2 < 100
    p = model.predict_proba(held_out[0])[np.arange(50), held_out[1]]
    np.testing.assert_allclose(-np.log(p).mean(), min(curve), rtol=1e-4)


def test_an_optimizer_that_is_given_stays_as_it_is():
    optimizer = optimizers.Adam(0.01)
    MLPClassifier(optimizer=optimizer, max_iter=2).fit(X, Y)
    assert optimizer.iter == 0 and optimizer.m is None


def test_moving_averages_begin_anew_and_so_are_refused_in_parts():
    with pytest.raises(ValueError, match="partial_fit does not support ema"):
        MLPRegressor(ema=0.9).partial_fit(X, NUMBERS)


@pytest.fixture
def spied(monkeypatch):
    """Return numbers of threads of all calls, by the Python thread; the library's number is 4."""
    monkeypatch.setattr(threads, "_available", 4)
    monkeypatch.setattr(threads, "_num_threads", 4)
    found = {}

    def seen(n):
        found.setdefault(threading.get_ident(), []).append(n)

    run, call, share = Tables.run, Routine.__call__, threads.run
    rows = "row_threads", "update_threads", "workers"

    def run_tables(self, *args):
        seen(max(int(self.program[0][name]) for name in rows))
        return run(self, *args)

    def run_kernel(self, *args):
        seen(args[-1])
        return call(self, *args)

    def run_shared(kernel, args, work):
        seen(threads.chunks(work))
        return share(kernel, args, work)

    monkeypatch.setattr(Tables, "run", run_tables)
    monkeypatch.setattr(Routine, "__call__", run_kernel)
    monkeypatch.setattr(threads, "run", run_shared)
    return found


# Products of this size are worth more threads than one.
WIDE = np.random.default_rng(0).normal(size=(2000, 100))


def fit_and_predict(n_threads, **settings):
    settings = {"hidden_layer_sizes": (64,), "max_iter": 2, "random_state": 0, **settings}
    model = MLPClassifier(n_threads=n_threads, **settings).fit(WIDE, WIDE[:, 0] > 0)
    return model, model.predict_proba(WIDE)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_threads_are_at_most_so_many(spied, solver, n):
    free, expected = fit_and_predict(None, solver=solver)
    (used,) = spied.values()
    assert max(used) == 4
    used.clear()
    model, got = fit_and_predict(n, solver=solver)
    assert max(used) == n
    np.testing.assert_array_equal(got, expected)
    for a, b in zip(model.coefs_, free.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)
    used.clear()
    free.set_params(n_threads=n).predict(WIDE)
    assert max(used) == n
    assert config.get_num_threads() == 4


def test_each_python_thread_has_its_own_number_of_threads(spied):
    together, got = threading.Barrier(3), {}

    class Together(callbacks.Callback):
        def on_epoch_end(self, epoch):
            together.wait(60)  # all are in the middle of their training

    def work(n):
        fit_and_predict(n, callbacks=[Together()], max_iter=3)
        got[n] = max(spied[threading.get_ident()])

    workers = [threading.Thread(target=work, args=(n,)) for n in (1, 2, None)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert got == {1: 1, 2: 2, None: 4}


@pytest.mark.parametrize("interrupted", [False, True])
def test_what_a_fit_needs_is_compiled_first(monkeypatch, interrupted):
    """So it is known how much there is to compile, and Ctrl-C ends that."""
    steps = []

    def prepare(self):
        steps.append(self.done)
        if interrupted:
            raise KeyboardInterrupt

    monkeypatch.setattr(Program, "prepare", prepare)
    model = MLPClassifier(max_iter=2)
    if interrupted:
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.fit(X, Y)
    else:
        model.fit(X, Y)
    assert steps == [0] and model.n_iter_ == 2 * (not interrupted)


def test_samples_stay_where_they_are():
    """Bytes and float32 are read in place; held out samples are taken by their numbers."""
    single = X.astype(np.float32)
    single.setflags(write=False)
    bytes_ = (X * 20 + 100).astype(np.uint8)
    for samples in (single, bytes_):
        model = MLPClassifier(max_iter=3, early_stopping=True, random_state=0).fit(samples, Y)
        assert model.predict(samples).shape == Y.shape


@pytest.mark.parametrize("form", ["float32", "bytes", "sparse"])
def test_no_copy_of_the_samples_is_made(form):
    n, features, batch = 8000, 500, 100
    rng = np.random.default_rng(0)
    samples = (rng.random((n, features), dtype=np.float32) < 0.02) * np.float32(1)
    y = rng.integers(0, 3, n)
    if form == "bytes":
        samples = samples.astype(np.uint8)
    settings = {"hidden_layer_sizes": (8,), "max_iter": 2, "batch_size": batch}
    # scikit-learn's validation looks at all of them at once.
    given = scipy.sparse.csr_array(samples) if form == "sparse" else samples
    model = MLPClassifier(**settings)
    model.fit(samples[:200], y[:200])
    with peak_memory() as checked:
        model._checked(given, y, incremental=False, reset=True)
    with peak_memory() as peak:
        model.fit(given, y)
    dense = 4 * n * features
    block = 4 << 20 if form == "sparse" else 0
    assert peak[0] <= max(checked[0], block + 16 * 4 * batch * features) + dense // 8
    assert peak[0] < dense


def test_ctrl_c_leaves_a_model(ctrl_c, monkeypatch):
    from fastnn.sklearn import steps

    model = MLPClassifier(max_iter=50, random_state=0)
    before = steps.Steps.epochs

    def epochs(self, *args):
        if len(model.loss_curve_) >= 3:
            raise KeyboardInterrupt
        return before(self, *args)

    monkeypatch.setattr(steps.Steps, "epochs", epochs)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, Y)
    assert 3 <= model.n_iter_ == len(model.loss_curve_) < 50
    assert model.predict(X).shape == Y.shape


def test_lines_are_printed(capsys):
    texts = []
    for module in (theirs, ours):
        extra = {"dtype": "float64"} if module is ours else {}
        for settings in ({"early_stopping": True}, {"solver": "sgd", "learning_rate": "adaptive"}):
            module.MLPClassifier(
                verbose=True, max_iter=20, tol=0.5, n_iter_no_change=2, random_state=0,
                **settings, **extra,
            ).fit(X, Y)  # fmt: skip
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] and "Setting learning rate to" in texts[0]


def test_warnings_point_to_the_users_line():
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        MLPClassifier(max_iter=1).fit(X, Y)
        MLPClassifier(max_iter=1, solver="lbfgs").fit(X, Y)
    assert [w.category for w in found] == [ConvergenceWarning] * 2
    assert {w.filename for w in found} == {__file__}


def test_what_is_not_fitted_says_so():
    for name in ("predict", "predict_proba", "predict_log_proba"):
        with pytest.raises(NotFittedError):
            getattr(MLPClassifier(), name)(X)


def test_without_scikit_learn(tmp_path):
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn" / "__init__.py").write_text(
        "raise ImportError('No module named sklearn')"
    )
    code = "import fastnn\ntry:\n    fastnn.sklearn\nexcept ImportError as error:\n    print(error)"
    path = os.pathsep.join([str(tmp_path), *sys.path])
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "it needs scikit-learn" in shown and "pip install" in shown


@pytest.mark.slow
def test_scores_are_within_the_spread_of_seeds():
    digits, labels = load_digits(return_X_y=True)
    scores = {
        module: [
            module.MLPClassifier((30,), max_iter=15, random_state=seed)
            .fit(digits[:1200], labels[:1200])
            .score(digits[1200:], labels[1200:])
            for seed in range(5)
        ]
        for module in (ours, theirs)
    }
    assert abs(np.mean(scores[ours]) - np.mean(scores[theirs])) <= np.std(scores[theirs])
