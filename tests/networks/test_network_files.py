"""Copies of any stack of layers, files with one, and checkpoints."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from own_layers import Mean, Scale
from small_networks import C, D, convolutional, data, full, images, plain
from states import everything, expect_same

import fastnn
from fastnn import Network, load
from fastnn.layers import Affine

MADE = {
    "plain": lambda: plain(input_size=D, seed=0),
    "without sizes": lambda: plain(seed=0),
    "full": lambda: full(input_size=D, seed=0, dtype="float64", input_scale=0.5),
    "squared error": lambda: Network([Affine(C)], loss="mse", input_size=D),
    "images": lambda: convolutional(input_size=(2, 6, 6), seed=0),
}


def of(name):
    x, t = images() if name == "images" else data()
    return x, np.eye(C)[t] if name == "squared error" else t


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("way", ["deepcopy", "pickle", "joblib", "file", "file, used"])
def test_copies(name, way, tmp_path):
    net, (x, t) = MADE[name](), of(name)
    if way.startswith("file") or name != "without sizes":
        net.fit(x, t, 1, 8, seed=0, verbose=False)

    def filed(net):
        path = tmp_path / "net.npz"
        net.save(path)
        if way == "file":
            return load(path)
        other = MADE[name]()
        other.load(path)
        return other

    def dumped(net):
        joblib.dump(net, tmp_path / "net.joblib")
        return joblib.load(tmp_path / "net.joblib")

    ways = {
        "deepcopy": copy.deepcopy,
        "pickle": lambda net: pickle.loads(pickle.dumps(net)),
        "joblib": dumped,
        "file": filed,
        "file, used": filed,
    }
    again = ways[way](net)
    assert type(again) is Network
    assert repr(again) == repr(net)
    assert repr(again.summary()) == repr(net.summary())
    expect_same(everything(again), everything(net))
    before = copy.deepcopy(everything(net))
    for each in (net, again):
        each.fit(x, t, 1, 8, seed=1, verbose=False)
    expect_same(everything(again), everything(net))
    assert again.history.step_losses == net.history.step_losses
    if before:
        assert any((before[key] != p).any() for key, p in net.params.items())


def test_files_of_other_stacks(tmp_path):
    path = tmp_path / "net.npz"
    full(input_size=D).save(path)
    for other in (plain(input_size=D), plain()):
        before = everything(other)
        with pytest.raises(
            ValueError, match="^network: (parameters|layers): expected .*, as in the file"
        ):
            other.load(path)
        expect_same(everything(other), before)
    assert other.input_size is None
    Network([Affine(4), Scale(4), Affine(C)], input_size=D).save(path)
    with pytest.raises(ValueError, match="^path: expected .*Scale.*: build it as your script does"):
        load(path)
    Network([Affine(C)], loss=Mean(), input_size=D).save(path)
    with pytest.raises(ValueError, match="^path: expected .*Mean"):
        load(path)


def test_a_class_of_ones_own_comes_back_as_a_network(tmp_path):
    class Own(Network):
        pass

    Own([Affine(C)], input_size=D).save(tmp_path / "net.npz")
    assert type(load(tmp_path / "net.npz")) is Network


def test_what_is_not_trained_stays_so_in_files(tmp_path):
    net, (x, t) = plain(input_size=D, seed=0), data()
    first = net.params.pop("Affine1.W").copy()
    net.fit(x, t, 1, 8, verbose=False)
    net.save(tmp_path / "net.npz")
    again = load(tmp_path / "net.npz")
    assert list(again.params) == list(net.params)
    np.testing.assert_array_equal(again.layers["Affine1"].W, first)
    np.testing.assert_array_equal(again.predict(x), net.predict(x))
    again.fit(x, t, 1, 8, verbose=False)
    np.testing.assert_array_equal(again.layers["Affine1"].W, first)


def test_keys_and_shared_arrays_come_back(tmp_path):
    net = Network({"in": Affine(D), "out": Affine(D), "last": Affine(C)}, input_size=D, seed=0)
    net.layers["out"].W = net.layers["in"].W
    x, t = data()
    net.gradient(x, t)
    net.layers["renamed"] = net.layers.pop("last")
    net.gradient(x, t)
    net.save(tmp_path / "net.npz")
    again = load(tmp_path / "net.npz")
    assert again.layers["out"].W is again.layers["in"].W
    assert list(again.params) == list(net.params)
    expect_same(again.gradient(x, t), net.gradient(x, t))


def test_checkpoints_go_on(tmp_path):
    x, t = images()
    path = tmp_path / "point.npz"
    whole = convolutional(input_size=(2, 6, 6), seed=0)
    whole.fit(x, t, 3, 8, seed=0, verbose=False)
    net = convolutional(input_size=(2, 6, 6), seed=0)
    net.fit(x, t, 1, 8, seed=0, verbose=False, callbacks=[fastnn.callbacks.Checkpoint(path)])
    again = load(path)
    history = fastnn.callbacks.load_checkpoint(path, again)
    again.fit(x, t, 3, 8, resume=history, verbose=False)
    expect_same(everything(again), everything(whole))
