"""Networks in ONNX files, as onnxruntime runs them."""

import io
import sys

import numpy as np
import pytest
from inference import CURVED, of, of_softmax
from memory import peak_memory
from own_layers import Scale
from random_stacks import IMAGES, KINDS, spread, stack

from fastnn import MultiLayerNet, MultiLayerNetExtend, Network, TwoLayerNet, layers
from fastnn.ensembles import Ensemble
from fastnn.exchange import onnx_file
from fastnn.exchange.forms import FORMS
from fastnn.layers.record import records

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")

EPS = np.finfo(np.float32).eps


def session(net, **settings):
    """Return a session of a network's file, which the checker of ONNX has found good."""
    file = io.BytesIO()
    net.to_onnx(file, **settings)
    onnx.checker.check_model(file.getvalue(), full_check=True)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(file.getvalue(), options)


def run(found, x):
    (scores,) = found.run(None, {found.get_inputs()[0].name: x})
    return scores


def small():
    return Network([layers.Affine(4), layers.Tanh(), layers.Affine(3)], input_size=5, seed=0)


def test_every_kind_has_a_form():
    kinds = {record.kind for record in records() if not record.is_loss}
    assert kinds == {*FORMS}
    assert {kind.__name__ for kind in kinds} == {*KINDS}


@pytest.mark.parametrize("seed", range(24))
def test_random_stacks(seed):
    net, x = stack(seed)
    found = session(net)
    expected, far = of(net, x, EPS)
    assert np.all(np.abs(net.predict(x) - expected) <= far)
    for rows in (slice(0, 1), slice(None)):  # any number of samples
        scores = run(found, x[rows])
        assert scores.dtype == np.float32
        assert np.all(np.abs(scores - expected[rows]) <= far[rows])
    # Roundings of both signs hardly ever add up to that bound.
    assert np.abs(scores - net.predict(x)).max() <= 1e-6 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_alone(name):
    rng = np.random.default_rng(5)
    size = (2, 6, 5) if name in IMAGES else 8
    for _ in range(3):  # other settings
        net = Network([KINDS[name](rng), layers.Flatten()], input_size=size, seed=0)
        spread(net, rng)
        x = 3 * rng.normal(size=(20, *np.atleast_1d(size))).astype(np.float32)
        expected, far = of(net, x, EPS)
        assert far.max() <= 64 * EPS * (np.abs(x).max() + np.abs(expected).max())
        assert np.all(np.abs(run(session(net), x) - expected) <= far)


def test_random_stacks_have_every_kind():
    found = {type(layer).__name__ for i in range(24) for layer in stack(i)[0].layers.values()}
    assert found == {*KINDS}


BUILT = {
    "two layers": lambda: TwoLayerNet(6, 20, 3, seed=0),
    "one layer": lambda: MultiLayerNet(6, [], 3, seed=0),
    "sigmoid": lambda: MultiLayerNet(6, [8, 8], 3, "sigmoid", seed=0, input_scale=1 / 255),
    "all": lambda: MultiLayerNetExtend(
        6, [9, 8], 3, "tanh", use_batchnorm=True, use_dropout=True, seed=0
    ),
    "all, ReLU": lambda: MultiLayerNetExtend(
        6, [9, 8], 3, use_batchnorm=True, use_dropout=True, seed=0
    ),
}


@pytest.mark.parametrize("name", BUILT)
def test_probabilities_of_builders(name):
    net = BUILT[name]()
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 6)).astype(np.float32) / net.input_scale
    net.fit(x, rng.integers(3, size=50), 2, 10, verbose=False, seed=0)
    expected, far = of_softmax(*of(net, x, EPS), EPS)
    p = run(session(net, softmax=True), x)
    assert np.all(np.abs(p - expected) <= far)
    assert np.abs(p - expected).max() <= 1e-6


@pytest.mark.parametrize("outputs", [1, 3])
def test_probabilities_of_yes(outputs):
    net = MultiLayerNet(6, [8], outputs, "tanh", loss="binary_cross_entropy", seed=0)
    x = 3 * np.random.default_rng(1).normal(size=(50, 6)).astype(np.float32)
    scores, far = of(net, x, EPS)
    expected = 1 / (1 + np.exp(-scores))
    # The sigmoid's slope is 1/4 at most, and what it rounds is at most 1.
    limit = far / 4 + CURVED * EPS
    p = run(session(net, sigmoid=True), x)
    assert p.shape == (50, outputs)
    assert np.all(np.abs(p - expected) <= limit)
    assert np.abs(p - net.predict_proba(x)).max() <= 1e-6


@pytest.mark.parametrize("loss", ["cross_entropy", "mse"])
def test_ensembles(loss):
    members = [MultiLayerNet(4, [size], 3, "tanh", loss=loss, seed=size) for size in (5, 6, 7)]
    members[1].layers["extra"] = layers.Identity()
    x = np.random.default_rng(2).normal(size=(9, 4)).astype(np.float32)
    ensemble = Ensemble(members)
    found = [of(net, x, EPS) for net in members]
    if loss == "cross_entropy":
        found = [of_softmax(*each, EPS) for each in found]
    expected = np.mean([each for each, _ in found], axis=0)
    sizes = np.sum([np.abs(each) + far for each, far in found], axis=0)
    limit = np.mean([far for _, far in found], axis=0) + 4 * EPS * sizes
    assert np.all(np.abs(run(session(ensemble), x) - expected) <= limit)
    assert np.all(np.abs(ensemble.predict(x) - expected) <= limit)


def test_a_member_of_float64_is_named():
    members = [MultiLayerNet(4, [5], 3, dtype=dtype) for dtype in ("float32", "float64")]
    file = io.BytesIO()
    with pytest.raises(TypeError, match=r"networks\[1\]: expected one of float32"):
        Ensemble(members).to_onnx(file)
    assert not file.getvalue()


def test_what_a_file_says_of_itself():
    net = Network(
        [layers.Convolution(2, 3), layers.Relu(), layers.Affine(3)], input_size=(1, 6, 5), seed=0
    )
    file = io.BytesIO()
    net.to_onnx(file, input_name="pixels", output_name="scores")
    model = onnx.load_from_string(file.getvalue())
    assert (model.producer_name, model.doc_string) == ("fastnn", repr(net))
    assert [(each.domain, each.version) for each in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    (given,), (result,) = model.graph.input, model.graph.output
    assert (given.name, result.name) == ("pixels", "scores")
    shapes = [
        [each.dim_param or each.dim_value for each in value.type.tensor_type.shape.dim]
        for value in (given, result)
    ]
    assert shapes == [["batch", 1, 6, 5], ["batch", 3]]
    assert [node.name for node in model.graph.node] == [
        "Convolution1/Conv", "Relu1/Relu", "Affine1/Flatten", "Affine1/Gemm",
    ]  # fmt: skip
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    assert {*arrays} == {*net.params}
    for key, p in net.params.items():
        np.testing.assert_array_equal(arrays[key], p)


def test_an_array_of_two_layers_is_written_once():
    W, b = np.eye(4, dtype=np.float32), np.ones(4, np.float32)
    net = Network([layers.Affine(W, b), layers.Tanh(), layers.Affine(W, b)], input_size=4)
    file = io.BytesIO()
    net.to_onnx(file)
    names = [each.name for each in onnx.load_from_string(file.getvalue()).graph.initializer]
    assert names == ["Affine1.W", "Affine1.b"]


def test_a_network_that_does_nothing():
    net = Network([layers.Identity(), layers.Dropout(0.5, inverted=True)], input_size=4)
    x = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(run(session(net), x), x)


def test_a_large_network_is_not_copied(tmp_path):
    net = Network([layers.Affine(2000)], input_size=500, seed=0)
    net.to_onnx(tmp_path / "net.onnx")
    with peak_memory() as taken:
        net.to_onnx(tmp_path / "net.onnx")
    assert taken[0] < net.params["Affine1.W"].nbytes / 4
    assert (tmp_path / "net.onnx").stat().st_size > net.params["Affine1.W"].nbytes


class Doubled(layers.Affine):
    def forward(self, x, train_flg=False):
        return 2 * super().forward(x, train_flg)


def with_forward():
    net = small()
    net.layers["Tanh1"].forward = lambda x, train_flg=False: x
    return net


def with_predict():
    class Own(Network):
        def predict(self, x, train_flg=False):
            return super().predict(x) + 1

    return Own([layers.Affine(3)], input_size=5)


def wide():
    return Network([layers.Affine(np.ones((5, 3)), np.ones(3))], input_size=5)


BAD = {
    "own layer": (
        lambda: Network([layers.Affine(5), Scale(5), layers.Affine(3)], input_size=5),
        {}, ValueError, r"layers\['Scale1'\]: expected .* known, got one of your own, Scale",
    ),
    "extended": (
        lambda: Network([Doubled(3)], input_size=5),
        {}, ValueError, r"layers\['Doubled1'\]: .*Doubled",
    ),
    "own forward": (with_forward, {}, ValueError, r"layers\['Tanh1'\]: .* of your own"),
    "own predict": (with_predict, {}, TypeError, "network: .*got Own with a predict of its own"),
    "float64": (
        lambda: MultiLayerNet(5, [4], 3, dtype="float64"),
        {}, TypeError, r"network: expected one of float32.*got float64.*load_state_dict",
    ),
    "an array of float64": (
        wide, {}, ValueError, r"layers\['Affine1'\]\.W: expected .*float32, got float64",
    ),
    "no sizes": (
        lambda: Network([layers.Affine(4)]), {}, RuntimeError, "give the network an input_size",
    ),
    "no size of images": (
        lambda: Network([layers.Convolution(np.ones((1, 1, 2, 2), "f4"), np.ones(1, "f4"))]),
        {}, RuntimeError, "give it an input_size",
    ),
    "softmax of one": (
        lambda: Network([layers.Affine(1)], input_size=5, loss="mse"),
        {"softmax": True}, ValueError, "softmax: expected .*several scores.*",
    ),
    "softmax": (small, {"softmax": 1}, TypeError, "softmax: expected True or False"),
    "softmax of answers": (
        lambda: Network([layers.Affine(3)], input_size=5, loss="binary_cross_entropy"),
        {"softmax": True}, ValueError, "softmax: expected False .*SigmoidWithLoss.* sigmoid=True",
    ),
    "sigmoid": (small, {"sigmoid": 1}, TypeError, "sigmoid: expected True or False"),
    "sigmoid of classes": (
        small, {"sigmoid": True}, ValueError,
        'sigmoid: expected a network with loss="binary_cross_entropy".*got SoftmaxWithLoss',
    ),
    "both": (
        small, {"sigmoid": True, "softmax": True}, ValueError, "sigmoid: .*got softmax=True",
    ),
    "one name": (small, {"output_name": "input"}, ValueError, "output_name: expected another"),
    "no name": (small, {"input_name": ""}, TypeError, "input_name: expected a string"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name, tmp_path):
    make, settings, error, text = BAD[name]
    path = tmp_path / "net.onnx"
    path.write_bytes(b"old")
    with pytest.raises(error, match=text):
        make().to_onnx(path, **settings)
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


def test_a_network_of_float32_takes_the_arrays_of_one_of_float64():
    x = np.random.default_rng(3).normal(size=(4, 5)).astype(np.float32)
    net, other = MultiLayerNet(5, [4], 3, dtype="float64"), MultiLayerNet(5, [4], 3)
    other.load_state_dict(net.state_dict())
    expected, far = of(other, x, EPS)
    assert np.all(np.abs(run(session(other), x) - expected) <= far)


def test_files_that_cannot_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match="path: there is no folder .*nowhere"):
        small().to_onnx(tmp_path / "nowhere" / "net.onnx")
    with pytest.raises(TypeError, match="path: expected the name of a file"):
        small().to_onnx(3)


def test_an_error_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space"):
        small().to_onnx(path)
    assert path.read_bytes() == b"old"
    assert [*tmp_path.iterdir()] == [path]


def test_files_of_two_gigabytes(monkeypatch):
    monkeypatch.setattr(onnx_file, "_MOST", 500)
    file = io.BytesIO()
    with pytest.raises(ValueError, match="network: expected at most 500 bytes"):
        small().to_onnx(file)
    assert not file.getvalue()


def test_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'to_onnx needs the package onnx: pip install "onnx'):
        small().to_onnx(tmp_path / "net.onnx")
    assert not [*tmp_path.iterdir()]


def test_statistics_that_have_run_are_those_of_the_file():
    rng = np.random.default_rng(4)
    net = Network([layers.BatchNormalization(), layers.Affine(3)], input_size=4, seed=0)
    x = rng.normal(size=(30, 4)).astype(np.float32)
    net.fit(x, rng.integers(3, size=30), 1, 10, verbose=False, seed=0)
    spread(net, rng)
    expected, far = of(net, x, EPS)
    assert np.all(np.abs(run(session(net), x) - expected) <= far)
