"""The arrays of networks by PyTorch's names: out, and in."""

import numpy as np
import pytest
from own_layers import Listed, Scale
from random_stacks import stack
from states import everything, expect_same

from fastnn import MultiLayerNet, MultiLayerNetExtend, Network, layers
from fastnn._utils import safetensors
from fastnn.exchange.names import _NAMES
from fastnn.layers.record import records

COUNT = "num_batches_tracked"


def small(seed=0, **settings):
    return MultiLayerNetExtend(4, [5], 3, use_batchnorm=True, seed=seed, **settings)


def full(prefix):
    names = "weight", "bias", "running_mean", "running_var", COUNT
    return [f"{prefix}.{name}" for name in names]


def affine(prefix):
    return [f"{prefix}.weight", f"{prefix}.bias"]


def images(found, **settings):
    return Network(found, input_size=(2, 6, 6), seed=0, **settings)


NAMES = {
    "plain": (lambda: MultiLayerNet(4, [5, 6], 3), affine(0) + affine(2) + affine(4)),
    "tanh": (lambda: MultiLayerNet(4, [5], 3, "tanh"), affine(0) + affine(2)),
    "with a norm": (small, affine(0) + full(1) + affine(3)),
    "convolution": (
        lambda: images([layers.Convolution(3, 2), layers.Relu(), layers.MaxPool(2, 2),
                        layers.Affine(3)]),
        affine(0) + affine(4),
    ),
    "flattened": (
        lambda: images([layers.Convolution(3, 2), layers.Flatten(), layers.Affine(3)]),
        affine(0) + affine(2),
    ),
    "images": (lambda: images([layers.Affine(4), layers.Affine(3)]), affine(1) + affine(2)),
    "named": (
        lambda: Network({"fc1": layers.AffineRelu(4), "norm": layers.BatchNormalization(),
                         "head.last": layers.Affine(3)}, input_size=5),
        affine("fc1") + full("norm") + affine("head.last"),
    ),
    "own": (
        lambda: Network([Scale(5), Listed(np.ones((5, 4)), np.ones(4)), layers.Affine(3)],
                        input_size=5),
        ["0.Wide", "0.shift", "1.0", "1.1", *affine(2)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    make, names = NAMES[name]
    assert [*make().state_dict()] == names


def test_orientation_and_copies():
    net = small()
    found = net.state_dict()
    np.testing.assert_array_equal(found["0.weight"], net.params["W1"].T)
    np.testing.assert_array_equal(found["1.running_var"], np.zeros(5))  # which it counts as
    assert found[f"1.{COUNT}"] == 0 and found[f"1.{COUNT}"].dtype == np.int64
    for array in found.values():
        assert array.flags.c_contiguous and array.flags.owndata
        array[...] = 7
    assert not any(np.any(array == 7) for array in everything(net).values())


@pytest.mark.parametrize("seed", range(12))
def test_another_network_takes_them(seed):
    (net, x), (other, _) = stack(seed), stack(seed)
    for p in other.params.values():
        p[...] = 0
    arrays = dict(other.params)
    assert other.load_state_dict(net.state_dict()) == ([], [])
    assert all(other.params[key] is array for key, array in arrays.items())
    np.testing.assert_array_equal(other.predict(x), net.predict(x))
    expect_same(dict(other.params), dict(net.params))


def test_dtypes_are_converted():
    net, other = small(dtype="float64"), small(1)
    other.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(other.params["W1"], net.params["W1"].astype(np.float32))
    given = {name: array.astype(np.float16) for name, array in net.state_dict().items()}
    other.load_state_dict({**given, "0.bias": [0, 1, 2, 3, 4], "0.weight": np.full((5, 4), 1e300)})
    np.testing.assert_array_equal(other.params["b1"], np.arange(5))
    assert np.isinf(other.params["W1"]).all()
    assert other.layers["BatchNorm1"].running_mean.dtype == np.float32


def test_numbers_that_are_not_finite_are_taken():
    net = small()
    given = net.state_dict()
    given["0.weight"][0, 0] = np.nan
    given["1.running_var"][0] = np.inf
    net.load_state_dict(given)
    assert np.isnan(net.params["W1"][0, 0]) and np.isinf(net.layers["BatchNorm1"].running_var[0])


def changed(change):
    given = small(1).state_dict()
    change(given)
    return given


BAD = {
    "missing": (
        lambda d: (d.pop("0.bias"), d.pop("1.running_mean")), ValueError,
        r"state_dict: .*; missing: 0\.bias, 1\.running_mean$",
    ),
    "unexpected": (
        lambda d: d.update({"7.weight": 0, "x": 0}), ValueError, r"; unexpected: 7\.weight, x$",
    ),
    "shapes": (
        lambda d: d.update({"0.weight": np.ones((4, 5)), "3.bias": np.ones(())}), ValueError,
        r"; 0\.weight: expected shape \(5, 4\), got \(4, 5\); 3\.bias: .* \(3,\), got \(\)$",
    ),
    "all of it": (
        lambda d: (d.pop("3.bias"), d.update({"x": 0, "0.bias": np.ones(4)})), ValueError,
        r"missing: 3\.bias; unexpected: x; 0\.bias: expected shape \(5,\), got \(4,\)$",
    ),
    "text": (lambda d: d.update({"3.bias": ["a"] * 3}), TypeError, r"state_dict\['3.bias'\]"),
    "complex": (lambda d: d.update({"3.bias": np.ones(3, "c8")}), TypeError, "complex64"),
    "variance": (
        lambda d: d.update({"1.running_var": -np.ones(5)}), ValueError,
        r"state_dict\['1.running_var'\]: expected numbers of at least 0, got -1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_changes_nothing(name):
    change, error, text = BAD[name]
    net = small()
    before = everything(net)
    with pytest.raises(error, match=text):
        net.load_state_dict(changed(change))
    expect_same(everything(net), before)


def test_not_strict():
    net = small()
    given = small(1).state_dict()
    kept = net.params["W2"].copy()
    del given["3.weight"], given[f"1.{COUNT}"]
    found = net.load_state_dict({**given, "head.bias": 0}, strict=False)
    assert found.missing_keys == ["3.weight"] and found.unexpected_keys == ["head.bias"]
    np.testing.assert_array_equal(net.params["W2"], kept)
    np.testing.assert_array_equal(net.params["W1"].T, given["0.weight"])
    with pytest.raises(ValueError, match=r"expected shape \(5, 4\)"):
        net.load_state_dict({"0.weight": np.ones(3)}, strict=False)


def test_arguments():
    with pytest.raises(TypeError, match="state_dict: expected a dict of names and arrays, got 3"):
        small().load_state_dict(3)
    with pytest.raises(TypeError, match="strict: expected True or False"):
        small().load_state_dict({}, strict="no")
    net = Network([layers.Affine(3)])
    for call in (net.state_dict, lambda: net.load_state_dict({}), net.to_torch):
        with pytest.raises(RuntimeError, match="give the network an input_size"):
            call()


@pytest.mark.parametrize("before", [[], [layers.Flatten()], [layers.Relu(), layers.Flatten()]])
def test_weights_tell_sizes(before, tmp_path):
    def new():
        return Network([*before, layers.Affine(5), layers.Tanh(), layers.Affine(3)], seed=1)

    given = Network([*before, layers.Affine(5), layers.Tanh(), layers.Affine(3)], input_size=4)
    x = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)
    net = new()
    assert net.load_state_dict(given.state_dict()) == ([], [])
    assert (net.input_size, net.output_size) == (4, 3)
    np.testing.assert_array_equal(net.predict(x), given.predict(x))
    safetensors.write(tmp_path / "net.safetensors", given.state_dict(), {})
    net = new()
    net.load(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(net.predict(x), given.predict(x))


def test_weights_that_do_not_fit_give_no_sizes():
    net = Network([layers.Affine(5), layers.Affine(3)], seed=1)
    wrong = {"0.weight": np.ones((5, 4)), "0.bias": np.ones(5), "1.weight": np.ones((3, 6))}
    with pytest.raises(ValueError, match=r"missing: 1.bias; 1.weight: expected shape \(3, 5\)"):
        net.load_state_dict(wrong)
    assert net.input_size is None and not net.params and net.layers["Affine1"].W is None
    assert net.predict(np.ones((1, 7))).shape == (1, 3)
    images = Network([layers.Convolution(2, 3), layers.Affine(3)])
    for given in (net.state_dict(), {"0.weight": np.ones((2, 1, 3, 3))}):
        with pytest.raises(RuntimeError, match="give the network an input_size"):
            images.load_state_dict(given)


def test_arrays_that_are_read_only():
    net = Network([layers.Affine(np.ones((4, 3), "f4"), np.ones(3, "f4"))], input_size=4)
    before = everything(net)
    net.params["Affine1.b"].flags.writeable = False
    with pytest.raises(ValueError, match=r"layers\['Affine1'\].b: expected an array to write to"):
        net.load_state_dict({"0.weight": np.zeros((3, 4)), "0.bias": np.zeros(3)})
    expect_same(everything(net), before)


def test_parameters_that_are_not_trained_are_among_them():
    net, other = MultiLayerNet(4, [5], 3, seed=0), MultiLayerNet(4, [5], 3, seed=1)
    del net.params["W1"], other.params["W1"]
    assert [*net.state_dict()] == affine(0) + affine(2)
    other.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(other.layers["Affine1"].W, net.layers["Affine1"].W)
    assert "W1" not in other.params


def test_every_parameter_has_a_name():
    for record in records():
        assert {*_NAMES.get(record.kind, ())} == {*record.parameters}, record.kind
