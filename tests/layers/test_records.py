"""Each kind of layer has one record, and what it names is there."""

import numpy as np
import pytest
from own_layers import Scale

from fastnn import MultiLayerNet, layers
from fastnn.layers.record import Record, nearest_record, record_of, records, register
from fastnn.layers.settings import Setting, checked
from fastnn.layers.state import forget, lasting

KINDS = [getattr(layers, name) for name in layers.__all__ if name != "Layer"]


def made(record):
    """Return a layer of a kind, with parameters of a few numbers, and an input for it."""
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    given = {"W": np.ones((4, 4), np.float32), "b": np.zeros(4, np.float32)}
    if record.kind is layers.Convolution:
        x, given["W"], given["b"] = x.reshape(6, 1, 2, 2), np.ones((2, 1, 1, 1)), np.zeros(2)
    if record.kind is layers.MaxPool:
        return layers.MaxPool(1, 1), x.reshape(6, 1, 2, 2)
    given |= {"gamma": np.ones(4, np.float32), "beta": np.zeros(4, np.float32)}
    return record.kind(*(given[name] for name in record.parameters)), x


def test_every_public_layer_has_a_record_of_its_own():
    assert {record.kind for record in records()} >= set(KINDS)
    for kind in KINDS:
        assert record_of(object.__new__(kind)).kind is kind


@pytest.mark.parametrize("record", records(), ids=lambda record: record.kind.__name__)
def test_what_files_say_of_a_layer_is_checked(record):
    for name in (*record.settings, *record.form, *record.draws):
        assert isinstance(getattr(record.kind, name), Setting), name
        with pytest.raises((TypeError, ValueError), match=f"^an entry: .*{object.__name__}"):
            checked(record.kind, name, "an entry", object())


def test_a_layer_that_extends_ours_is_the_users_own():
    class Mine(layers.Dropout):
        pass

    assert record_of(Mine()) is None
    assert nearest_record(Mine()).kind is layers.Dropout
    assert nearest_record(object()) is None


def test_one_kind_has_one_record():
    with pytest.raises(ValueError, match="expected a kind without one, got Relu"):
        register(Record(layers.Relu, "other"))


@pytest.mark.parametrize("record", records(), ids=lambda record: record.kind.__name__)
def test_a_record_names_what_passes_leave(record):
    layer, x = made(record)
    before = dict(vars(layer))
    for name in (*record.parameters, *record.settings, *record.state, *record.kept):
        assert hasattr(layer, name)
    if record.is_loss:
        layer.forward(x, np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0, 1]])
        layer.backward()
    else:
        layer.backward(np.ones_like(layer.forward(x, True)))
    changed = {name for name, value in vars(layer).items() if value is not before.get(name)}
    assert changed <= record.of_pass | set(record.statistics)
    assert not changed & {*lasting(layer)} - set(record.statistics)
    forget(layer)
    assert all(getattr(layer, name) is None for name in record.kept)


def test_weight_decay_acts_on_what_a_layer_says():
    def weights(scale):
        net = MultiLayerNet(3, [4], 2, seed=0, weight_decay_lambda=0.1)
        net.layers["Scale"] = scale
        net.loss(np.ones((2, 3)), np.array([0, 1]))
        return [*net._weights()]

    class Decayed(Scale):
        decayed = ("shift",)

    class Spared(Scale):
        decayed = ()

    assert weights(Scale(2)) == ["W1", "W2", "Scale.Wide"]
    assert weights(Decayed(2)) == ["W1", "W2", "Scale.shift"]
    assert weights(Spared(2)) == ["W1", "W2"]


@pytest.mark.parametrize(
    ("decayed", "error", "text"),
    [
        (
            ["a"],
            ValueError,
            r"decayed: expected names of .* \['Wide', 'shift'\], got \['a'\]",
        ),
        ("s", TypeError, "decayed: expected a list of names of parameters, got 's'"),
    ],
)
def test_what_a_layer_says_of_weight_decay_is_checked(decayed, error, text):
    net = MultiLayerNet(3, [4], 2, seed=0)
    net.layers["Scale"] = scale = Scale(2)
    scale.decayed = decayed
    with pytest.raises(error, match=text):
        net.loss(np.ones((2, 3)), np.array([0, 1]))
