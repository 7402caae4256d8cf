"""Networks with layers of the user's own as copies and in files; parameters that are taken out."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from own_layers import C, Listed, Scale, data, network, put, square

import fastnn
from fastnn import callbacks, optimizers


@pytest.mark.parametrize("again", [
    copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net)), fastnn.ensembles.averaged,
], ids=["deepcopy", "pickle", "averaged"])  # fmt: skip
def test_copies_train_their_own_arrays(again):
    x, t = data()
    net = network()
    put(net, "Own", Listed(*square(8)), 1)
    net.fit(x, t, 1, verbose=False)
    kept = {key: p.copy() for key, p in net.params.items()}
    other = again(net, net.params) if again is fastnn.ensembles.averaged else again(net)
    other.fit(x, t, 1, verbose=False)
    for key, p in net.params.items():
        np.testing.assert_array_equal(p, kept[key])
        assert not np.array_equal(other.params[key], p)
    assert other.params["Own.0"] is other.layers["Own"].params[0]


def test_files_and_checkpoints(tmp_path):
    x, t = data()

    def built():
        net = network()
        put(net, "Own", Scale(8), 1)
        return net

    net, path = built(), tmp_path / "net.npz"
    net.fit(x, t, 2, 7, ema=0.9, seed=0, callbacks=[callbacks.Checkpoint(path)], verbose=False)
    other = built()
    history = callbacks.load_checkpoint(path, other)
    assert other.params["Own.Wide"] is other.layers["Own"].params["Wide"]
    np.testing.assert_array_equal(other.predict(x), net.predict(x))
    net.fit(x, t, 4, 7, resume=net.history, verbose=False)
    other.fit(x, t, 4, 7, resume=history, verbose=False)
    for key, p in net.params.items():
        np.testing.assert_array_equal(other.params[key], p)
    # Another order of the layers is another function.
    put(other, "Own", other.layers["Own"], 2)
    with pytest.raises(ValueError, match="^network: layers: expected "):
        other.load(path)
    with pytest.raises(ValueError, match="^path: expected a network of fastnn's own layers"):
        fastnn.load(path)


@pytest.mark.parametrize(
    ("settings", "mmap_mode"), [({}, None), ({"compress": 1}, None), ({}, "r")]
)
def test_networks_from_joblib_learn(settings, mmap_mode, tmp_path):
    net = network(use_batchnorm=True)
    net.layers["Own"] = Scale(C)
    net.layers["List"] = Listed(*square(C))
    net.gradient(*data())
    path = tmp_path / "net.joblib"
    joblib.dump(net, path, **settings)
    again = joblib.load(path, mmap_mode=mmap_mode)
    assert [*again.params] == [*net.params]
    np.testing.assert_array_equal(again.predict(data()[0]), net.predict(data()[0]))
    if mmap_mode:  # what is mapped to be read, in layers that are not ours, cannot be trained
        return
    for each in (net, again):
        each.fit(*data(), 2, 8, seed=0, verbose=False)
    for key, p in net.params.items():
        np.testing.assert_array_equal(again.params[key], p)
    np.testing.assert_array_equal(again.predict(data()[0]), net.predict(data()[0]))


def test_networks_that_joblib_maps_to_be_read_learn(tmp_path):
    net = network(use_batchnorm=True, use_dropout=True)
    net.fit(*data(), 1, verbose=False)
    joblib.dump(net, tmp_path / "net.joblib")
    again = joblib.load(tmp_path / "net.joblib", mmap_mode="r")
    for each in (net, again):
        each.fit(*data(), 2, 8, seed=0, verbose=False)
    assert again.history.step_losses == net.history.step_losses
    assert again.history.route == net.history.route


def test_an_error_is_told_where_a_layer_has_statistics_to_be_read():
    net = network(use_batchnorm=True)
    net.fit(*data(), 1, verbose=False)
    net.layers["BatchNorm1"].running_mean.flags.writeable = False
    with pytest.raises(ValueError, match="^running_mean: expected an array that can be written"):
        net.fit(*data(), 1, verbose=False)


@pytest.mark.parametrize("how", ["loop", "fit"])
def test_parameters_that_are_taken_out_are_not_trained(how):
    net = network()
    net.fit(*data(), 1, verbose=False)
    frozen = {key: net.params.pop(key) for key in ("W1", "b1")}
    kept = {key: p.copy() for key, p in frozen.items()}
    moved = net.params["W2"].copy()
    if how == "fit":
        net.fit(*data(), 2, 8, verbose=False)
    else:
        for _ in range(2):
            optimizers.SGD(0.1).update(net.params, net.gradient(*data()))
    assert [*net.params] == ["W2", "b2"] and not np.array_equal(net.params["W2"], moved)
    for key, p in kept.items():
        np.testing.assert_array_equal(frozen[key], p)
    for copied in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        copied.fit(*data(), 1, 8, verbose=False)
        assert [*copied.params] == ["W2", "b2"]
        np.testing.assert_array_equal(copied.layers["Affine1"].W, kept["W1"])
    net.params.update(frozen)
    assert sorted(net.gradient(*data())) == ["W1", "W2", "b1", "b2"]
