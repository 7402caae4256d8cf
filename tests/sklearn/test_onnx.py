"""Estimators in ONNX files, as onnxruntime runs them."""

import io
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn", "1.7")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import onnx
import onnxruntime as runtime
from inference import CURVED, of, of_softmax
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError

from fastnn.sklearn import MLPClassifier, MLPRegressor

X, Y = load_iris(return_X_y=True)
X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
EPS = np.finfo(np.float32).eps
NUMBERS = X @ np.array([1.0, -2.0, 0.5, 0.0], np.float32)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def session(model, **settings):
    """Return a session of an estimator's file, which the checker of ONNX has found good."""
    file = io.BytesIO()
    model.to_onnx(file, **settings)
    onnx.checker.check_model(file.getvalue(), full_check=True)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(file.getvalue(), options)


def run(model, x=X):
    """Return what the file gives for samples, by name."""
    found = session(model)
    assert [each.name for each in found.get_inputs()] == ["X"]
    names = [each.name for each in found.get_outputs()]
    return dict(zip(names, found.run(None, {"X": x}), strict=True))


def trained(kind, y, **settings):
    given = {"hidden_layer_sizes": (9, 8), "max_iter": 20, "random_state": 0, **settings}
    return kind(learning_rate_init=0.01, **given).fit(X, y)


TEXTS = np.array(["setosa", "versicolor", "été"])
LABELS = {
    "integers": Y * 3 - 2,
    "text": TEXTS[Y],
    "objects": TEXTS.astype(object)[Y],
    "floats": Y * 2.0,
    "two integers": np.where(Y == 1, 7, -7),
    "two texts": TEXTS[np.minimum(Y, 1)],
    "truth values": Y == 2,
    "a single one": np.full(len(Y), "only"),
}


@pytest.mark.parametrize("labels", LABELS)
def test_classifiers(labels):
    y = LABELS[labels]
    model = trained(MLPClassifier, y)
    got = run(model)
    assert [*got] == ["label", "probabilities"]
    scores, far = of(model._linked(), X, EPS)
    if len(model.classes_) > 2:
        expected, limit = of_softmax(scores, far, EPS)
        first, second = np.sort(scores, axis=1)[:, -1], np.sort(scores, axis=1)[:, -2]
        sure = first - second > 2 * far.max(axis=1)
    else:
        p = 1 / (1 + np.exp(-scores))
        # The sigmoid's slope is 1/4 at most, and what it and 1 - p round is at most 1.
        expected, limit = np.hstack([1 - p, p]), far / 4 + (CURVED + 1) * EPS
        sure = np.abs(scores[:, 0]) > far[:, 0]
    assert sure.mean() > 0.9
    assert got["label"].dtype == (object if y.dtype.kind in "UO" else np.int64)
    np.testing.assert_array_equal(got["label"][sure], model.predict(X)[sure])
    assert np.all(np.abs(got["probabilities"] - expected) <= limit)
    assert np.abs(got["probabilities"] - model.predict_proba(X)).max() <= 1e-6
    for name, each in run(model, X[:1]).items():  # any number of samples
        assert len(each) == 1 and each.shape[1:] == got[name].shape[1:]


def test_several_labels_a_sample():
    y = np.column_stack([Y == 0, Y == 2, X[:, 0] > 0]).astype(int)
    model = trained(MLPClassifier, y, max_iter=60)
    got = run(model)
    scores, far = of(model._linked(), X, EPS)
    expected = model.predict(X)
    assert got["label"].dtype == np.int64 and expected.any(axis=0).all()
    np.testing.assert_array_equal(
        got["label"][np.abs(scores) > far], expected[np.abs(scores) > far]
    )
    p = 1 / (1 + np.exp(-scores))
    assert np.all(np.abs(got["probabilities"] - p) <= far / 4 + CURVED * EPS)


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("several", [False, True])
def test_regressors(loss, several):
    y = np.abs(np.column_stack([NUMBERS, X[:, 1]])) if several else np.abs(NUMBERS)
    model = trained(MLPRegressor, y, loss=loss)
    got = run(model)
    assert [*got] == ["variable"] and got["variable"].shape == (len(X), 1 + several)
    expected, limit = of(model._linked(), X, EPS)
    if loss == "poisson":
        expected = np.exp(expected)
        limit = expected * np.expm1(limit + CURVED * EPS)
    assert np.all(np.abs(got["variable"] - expected) <= limit)
    np.testing.assert_allclose(
        got["variable"].reshape(y.shape), model.predict(X), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("settings", [{"batch_norm": True, "dropout": 0.2}, {"activation": "tanh"}])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layers_and_dtypes(settings, dtype):
    """Of float64 the file has the nearest numbers of float32."""
    model = trained(MLPClassifier, Y, dtype=dtype, **settings)
    scores, far = of(model._linked(), X, 2 * EPS)  # a rounding more, of each parameter
    expected, limit = of_softmax(scores, far, 2 * EPS)
    assert np.all(np.abs(run(model)["probabilities"] - expected) <= limit)


def test_arrays_that_are_assigned_are_written():
    model = trained(MLPRegressor, NUMBERS)
    model.coefs_[-1][...] = 0
    model.intercepts_[-1] = np.array([2.5])
    np.testing.assert_array_equal(run(model)["variable"], np.full((len(X), 1), 2.5, np.float32))


def test_what_a_file_says_of_itself(tmp_path):
    model = trained(MLPClassifier, Y)
    model.to_onnx(tmp_path / "model.onnx", input_name="flowers")
    graph = onnx.load(tmp_path / "model.onnx").graph
    shapes = {
        value.name: [each.dim_param or each.dim_value for each in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {"flowers": ["batch", 4], "label": ["batch"], "probabilities": ["batch", 3]}


def test_what_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    for kind in (MLPClassifier, MLPRegressor):
        with pytest.raises(NotFittedError):
            kind().to_onnx(path)
    model, other = trained(MLPClassifier, Y), trained(MLPRegressor, NUMBERS)
    with pytest.raises(ValueError, match="label: expected another name than the input's, got lab"):
        model.to_onnx(path, input_name="label")
    with pytest.raises(TypeError, match="input_name: expected a string"):
        other.to_onnx(path, input_name="")
    monkeypatch.setitem(sys.modules, "onnx", None)
    for each in (model, other):
        with pytest.raises(ImportError, match=r'to_onnx needs the package onnx: pip install "onnx'):
            each.to_onnx(path)
    assert not path.exists()
