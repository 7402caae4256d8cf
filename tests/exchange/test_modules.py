"""PyTorch's modules as networks, and networks as modules."""

import copy
import pickle
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest
from inference import of
from own_layers import Scale
from random_stacks import stack

import fastnn
from fastnn import MultiLayerNet, Network, from_torch, layers
from fastnn.exchange.modules import _LAYERS, _MODULES
from fastnn.layers.record import records

torch = pytest.importorskip("torch")
nn = torch.nn


@pytest.fixture(autouse=True)
def seeded():
    before = torch.get_num_threads()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def flat():
    return nn.Sequential(
        nn.Linear(6, 9), nn.BatchNorm1d(9, eps=1e-3, momentum=0.2), nn.LeakyReLU(0.3),
        nn.Dropout(0.4), nn.Linear(9, 8), nn.ELU(1.5), nn.Linear(8, 8), nn.GELU("tanh"),
        nn.Linear(8, 4),
    )  # fmt: skip


def nested():
    return nn.Sequential(
        nn.Sequential(nn.Linear(6, 9), nn.Sequential(nn.GELU(), nn.BatchNorm1d(9))),
        nn.Identity(),
        nn.Sequential(nn.SiLU(), nn.Linear(9, 7), nn.LayerNorm(7, 0.1), nn.Softplus()),
        nn.Linear(7, 5), nn.Sigmoid(), nn.Linear(5, 4), nn.Tanh(),
    )  # fmt: skip


def images():
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding="same"), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 3, (2, 1), stride=(2, 2), padding=(1, 1)), nn.MaxPool2d((2, 3), stride=1),
        nn.Conv2d(3, 3, 1, padding="valid"), nn.Flatten(), nn.Linear(3 * 2 * 1, 4),
    )  # fmt: skip


def named():
    class Model(nn.Sequential):
        pass

    found = {"body": Model(nn.Flatten(), nn.Linear(6, 5), nn.ReLU()), "head": nn.Linear(5, 4)}
    return Model(nn.Sequential(OrderedDict(found)), nn.LogSoftmax(-1))


MODULES = {"flat": flat, "nested": nested, "images": images, "named": named}


def trained(make, dtype):
    """Return a module that has seen samples, and samples."""
    module = make().to(dtype)
    shape = (2, 9, 7) if make is images else (6,)
    x = torch.randn(12, *shape, dtype=dtype)
    for _ in range(3):  # by hand, as torch.optim takes seconds to import what it does not use
        module.zero_grad()
        module(x).square().mean().backward()
        with torch.no_grad():
            for p in module.parameters():
                p -= 0.05 * p.grad
    return module, x


def scores(module, x):
    """Return what a module gives in evaluation mode, before softmax at its end."""
    module = module[:-1] if isinstance(module[-1], nn.LogSoftmax) else module
    with torch.no_grad():
        return module.eval()(x).numpy()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", MODULES)
def test_the_same_outputs_both_ways(name, dtype):
    module, x = trained(MODULES[name], dtype)
    for mode in (True, False):
        net = from_torch(module.train(mode))
        assert module.training is mode
        theirs = scores(module, x)
        assert net.dtype == theirs.dtype
        expected, far = of(net, x.numpy(), np.finfo(theirs.dtype).eps)
        # In float64 what is exact is so up to the bound itself.
        far = 2 * far
        assert np.all(np.abs(theirs - expected) <= far)
        assert np.all(np.abs(net.predict(x.numpy()) - expected) <= far)
        back = net.to_torch()
        assert not back.training
        assert np.all(np.abs(scores(back, x) - expected) <= far)


@pytest.mark.parametrize("name", MODULES)
def test_names_and_arrays_are_those_of_the_module(name):
    module, x = trained(MODULES[name], torch.float32)
    net = from_torch(module)
    net.predict(x.numpy())
    theirs, ours = module.state_dict(), net.state_dict()
    assert [*ours] == [*theirs] == [*net.to_torch().state_dict()]
    for key, tensor in theirs.items():
        if not key.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(ours[key], tensor.numpy())


@pytest.mark.parametrize("name", MODULES)
def test_a_trained_network_goes_back_into_the_module(name):
    module, x = trained(MODULES[name], torch.float32)
    net = from_torch(module, seed=0)
    t = np.arange(12) % 4
    net.fit(x.numpy(), t, 2, 4, verbose=False, seed=0)
    assert np.abs(net.predict(x.numpy()) - scores(module, x)).max() > 1e-3
    arrays = net.state_dict()
    module.load_state_dict({key: torch.from_numpy(a) for key, a in arrays.items()})
    expected, far = of(net, x.numpy(), np.finfo(np.float32).eps)
    assert np.all(np.abs(scores(module, x) - expected) <= far)
    # And tensors, on whatever they hang, into the network.
    again = from_torch(MODULES[name]())
    again.predict(x.numpy())
    again.load_state_dict(module.state_dict(keep_vars=True))
    np.testing.assert_array_equal(again.predict(x.numpy()), net.predict(x.numpy()))


def test_copies_both_ways():
    module = flat()
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    net = from_torch(module)
    back = net.to_torch()
    for p in net.params.values():
        p += 1
    net.layers["1"].running_mean += 1
    for key, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[key]), key
    for key, tensor in back.state_dict().items():
        assert key.endswith("tracked") or torch.equal(tensor, before[key]), key


def test_settings_are_carried():
    net = from_torch(
        nn.Sequential(
            nn.Linear(3, 4), nn.BatchNorm1d(4, eps=0.5, momentum=0.25), nn.LeakyReLU(0.125),
            nn.ELU(2), nn.GELU("tanh"), nn.GELU(), nn.Dropout(0.75),
        ),
        loss="mse", weight_decay_lambda=0.5, input_scale=2,
    )  # fmt: skip
    assert repr(net) == (
        "Network([Affine(4), BatchNormalization(momentum=0.75, eps=0.5), LeakyRelu(0.125), Elu(2), "
        "Gelu('tanh'), Gelu(), Dropout(0.75, inverted=True)], loss='mean_squared_error', "
        "input_size=3, dtype=float32, weight_decay_lambda=0.5, input_scale=2)"
    )
    assert from_torch(images(), input_size=(2, 9, 7)).output_size == 4


def test_training_goes_on_as_theirs_would():
    module, x = trained(flat, torch.float64)
    module = nn.Sequential(*[each for each in module if not isinstance(each, nn.Dropout)])
    net, t = from_torch(module), np.arange(12) % 4
    module.zero_grad()
    loss = nn.functional.cross_entropy(module.train()(x), torch.from_numpy(t))
    loss.backward()
    grads = net.gradient(x.numpy(), t)
    for key, p in module.named_parameters():
        layer, _, name = key.rpartition(".")
        norm = hasattr(net.layers[layer], "gamma")
        name = {"weight": "gamma" if norm else "W", "bias": "beta" if norm else "b"}[name]
        ours = grads[f"{layer}.{name}"]
        theirs = p.grad.numpy().T
        # A handful of layers, each of products of at most 12 terms.
        limit = 1e4 * np.finfo(np.float64).eps * max(1, np.abs(theirs).max())
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=limit, err_msg=key)


def test_frozen_parameters_are_not_trained():
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    module[0].weight.requires_grad_(False)
    module[2].bias = nn.Parameter(torch.zeros(2), requires_grad=False)
    net = from_torch(module, seed=0)
    assert [*net.params] == ["0.b", "2.W"]
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    net.fit(x, np.arange(8) % 2, 2, 4, verbose=False)
    np.testing.assert_array_equal(net.layers["0"].W.T, module[0].weight.numpy())
    np.testing.assert_array_equal(net.layers["2"].b, 0)
    assert np.any(module[2].weight.detach().numpy() != net.params["2.W"].T)
    back = net.to_torch()
    needed = {key: p.requires_grad for key, p in back.named_parameters()}
    assert needed == {key: p.requires_grad for key, p in module.named_parameters()}


def without_bias():
    norm = nn.BatchNorm2d(3, momentum=0.25)
    norm.register_parameter("bias", None)  # newer versions have bias=False
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, bias=False), norm, nn.ReLU(), nn.Flatten(),
        nn.Linear(48, 5, bias=False), nn.LayerNorm(5, bias=False), nn.Tanh(), nn.Linear(5, 3),
    )  # fmt: skip


NO_BIAS = {"0.bias", "1.bias", "4.bias", "5.bias"}


def test_modules_without_bias():
    """What they have not is 0, not trained, and in no dict of names."""
    module = without_bias().double().eval()
    net = from_torch(module, input_size=(1, 6, 6), seed=0)
    x = np.random.default_rng(0).normal(size=(12, 1, 6, 6))
    with torch.no_grad():
        expected = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(net.predict(x), expected, rtol=0, atol=1e-12)
    assert [*net.params] == ["0.W", "1.gamma", "4.W", "5.gamma", "7.W", "7.b"]
    assert [*net.state_dict()] == [*module.state_dict()]
    assert net.load_state_dict(module.state_dict()) == ([], [])
    net.fit(x, np.arange(12) % 3, 2, 4, verbose=False)
    for layer in ("0", "4"):
        assert not net.layers[layer].b.any()
    back = net.to_torch()
    assert str(back) == str(module) and [*back.state_dict()] == [*module.state_dict()]
    assert all(p.requires_grad for p in back.parameters())
    with torch.no_grad():
        expected = back(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(net.predict(x), expected, rtol=0, atol=1e-12)
    module.load_state_dict({name: torch.from_numpy(a) for name, a in net.state_dict().items()})


@pytest.mark.parametrize("ending", [".npz", ".safetensors", "pickle", "copy"])
def test_copies_know_that_modules_have_no_bias(ending, tmp_path):
    net = from_torch(without_bias(), input_size=(1, 6, 6))
    if ending == "pickle":
        other = pickle.loads(pickle.dumps(net))
    elif ending == "copy":
        other = copy.deepcopy(net)
    else:
        net.save(tmp_path / f"net{ending}")
        other = fastnn.load(tmp_path / f"net{ending}")
    assert not NO_BIAS & {*other.state_dict()}
    assert [*other.state_dict()] == [*net.state_dict()]
    assert str(other.to_torch()) == str(net.to_torch())


def test_a_bias_that_is_trained_or_set_is_there():
    net = from_torch(nn.Sequential(nn.Linear(2, 3, bias=False), nn.Linear(3, 2, bias=False)))
    net.layers["0"].b[...] = 1
    net.params["1.b"] = net.layers["1"].b
    assert [*net.state_dict()] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert "bias=False" not in str(net.to_torch())


def test_shared_parameters_are_shared():
    linear = nn.Linear(4, 4)
    net = from_torch(nn.Sequential(linear, nn.Tanh(), linear))
    assert net.layers["0"].W is net.layers["2"].W
    assert [*net.params] == ["0.W", "0.b"]


def test_softmax_at_the_end_is_of_the_loss():
    module = nn.Sequential(nn.Linear(3, 4), nn.Sequential(nn.Softmax(dim=-1)))
    net = from_torch(module)
    x = torch.randn(5, 3)
    np.testing.assert_allclose(
        fastnn.ops.softmax(net.predict(x.numpy())), module(x).detach().numpy(), rtol=1e-5
    )
    with pytest.raises(ValueError, match="loss: expected 'cross_entropy'.* 1.0: Softmax"):
        from_torch(module, loss="mse")


def inner(module):
    return nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.ReLU(), module))


def hooked():
    module = nn.ReLU()
    module.register_forward_hook(lambda *_: None)
    return module


class Own(nn.Linear):
    def forward(self, x):
        return 2 * super().forward(x)


class Skipping(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


class Linear(nn.Module):
    """Not theirs, in spite of its name."""


BAD = {
    "unknown": (lambda: nn.GroupNorm(1, 2), ValueError, r"for, Linear, .*got 1\.1: GroupNorm$"),
    "own": (lambda: Own(2, 2), ValueError, "got 1.1: Own$"),
    "own sequence": (lambda: Skipping(nn.Linear(2, 2)), ValueError, "got 1.1: Skipping$"),
    "a name of theirs": (Linear, ValueError, "got 1.1: Linear$"),
    "hooks": (hooked, ValueError, "expected no hooks, .*in 1.1: ReLU$"),
    "dilation": (
        lambda: nn.Conv2d(1, 1, 3, dilation=2), ValueError,
        r"expected dilation=1 in 1.1: Conv2d, got dilation=\(2, 2\)",
    ),
    "groups": (lambda: nn.Conv2d(2, 2, 3, groups=2), ValueError, "groups=1 in 1.1: Conv2d, got"),
    "padding_mode": (
        lambda: nn.Conv2d(2, 2, 3, padding_mode="circular"), ValueError,
        "padding_mode='zeros' in 1.1: Conv2d, got padding_mode='circular'",
    ),
    "strides": (
        lambda: nn.Conv2d(2, 2, 3, stride=(1, 2)), ValueError, r"in 1.1: .*got stride=\(1, 2\)",
    ),
    "paddings": (lambda: nn.Conv2d(2, 2, 3, padding=(1, 2)), ValueError, r"padding=\(1, 2\)"),
    "same": (
        lambda: nn.Conv2d(2, 2, 2, padding="same"), ValueError,
        r"one odd size with padding='same' in 1.1: Conv2d, got kernel_size=\(2, 2\)",
    ),
    "strides of a window": (lambda: nn.MaxPool2d((2, 3)), ValueError, r"got stride=\(2, 3\)"),
    "padded pool": (lambda: nn.MaxPool2d(2, padding=1), ValueError, "padding=0 in 1.1: MaxPool2d"),
    "ceil": (lambda: nn.MaxPool2d(2, ceil_mode=True), ValueError, "ceil_mode=False in 1.1"),
    "not affine": (lambda: nn.BatchNorm1d(2, affine=False), ValueError, "affine=True in 1.1"),
    "no statistics": (
        lambda: nn.BatchNorm1d(2, track_running_stats=False), ValueError,
        "track_running_stats=True in 1.1: BatchNorm1d, got",
    ),
    "mean of all": (lambda: nn.BatchNorm1d(2, momentum=None), ValueError, "got momentum=None"),
    "two axes": (
        lambda: nn.LayerNorm((2, 2)), ValueError,
        r"of one number in 1.1: LayerNorm, got normalized_shape=\(2, 2\)",
    ),
    "no scale": (
        lambda: nn.LayerNorm(2, elementwise_affine=False), ValueError,
        "elementwise_affine=True in 1.1: LayerNorm",
    ),
    "all dropped": (
        lambda: nn.Dropout(1.0), ValueError, r"1.1: Dropout: dropout_ratio: .*\[0, 1\), got 1.0"
    ),
    "slope": (lambda: nn.LeakyReLU(-1), ValueError, "1.1: LeakyReLU: negative_slope: expected"),
    "flatten": (lambda: nn.Flatten(2), ValueError, "start_dim=1 in 1.1: Flatten, got start_dim=2"),
    "beta": (lambda: nn.Softplus(2), ValueError, "beta=1 in 1.1: Softplus, got beta=2"),
    "threshold": (lambda: nn.Softplus(threshold=5), ValueError, "threshold of at least 20"),
    "half": (lambda: nn.Linear(2, 2).half(), TypeError, "torch.float16 in 1.1.weight"),
    "both": (lambda: nn.Linear(2, 2).double(), TypeError, "torch.float64 in 1.1.weight"),
    "softmax of samples": (lambda: nn.Softmax(0), ValueError, "dim=1 in 1.1: Softmax, got dim=0"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name):
    make, error, text = BAD[name]
    with pytest.raises(error, match=f"^module: .*{text}"):
        from_torch(inner(make()))


def test_softmax_in_between():
    with pytest.raises(ValueError, match="and Softmax at the end, got 1: Softmax"):
        from_torch(nn.Sequential(nn.Linear(2, 2), nn.Softmax(1), nn.Linear(2, 2)))


@pytest.mark.parametrize(
    "value", [nn.Linear(2, 2), nn.ModuleList([nn.Linear(2, 2)]), 3, nn.Sequential]
)
def test_what_is_no_sequential(value):
    with pytest.raises(TypeError, match="module: expected a torch.nn.Sequential, got"):
        from_torch(value)


def test_nothing_in_it(monkeypatch):
    for empty in (nn.Sequential(), nn.Sequential(nn.Softmax(1)), nn.Sequential(nn.Sequential())):
        with pytest.raises(ValueError, match="module: expected at least one module"):
            from_torch(empty)
    monkeypatch.delitem(sys.modules, "torch")
    with pytest.raises(TypeError, match="module: expected a torch.nn.Sequential"):
        from_torch(flat())


# --- to_torch ---------------------------------------------------------------------------------


def test_every_kind_has_a_module():
    kinds = {record.kind for record in records() if not record.is_loss}
    assert kinds == {*_MODULES}
    assert all(hasattr(nn, name) for name in _LAYERS)


@pytest.mark.parametrize("seed", range(16))
def test_random_stacks(seed):
    net, x = stack(seed, as_torch=True)
    state = torch.get_rng_state()
    module = net.to_torch()
    assert torch.equal(torch.get_rng_state(), state)
    assert [*module.state_dict()] == [*net.state_dict()]
    expected, far = of(net, x, np.finfo(np.float32).eps)
    assert np.all(np.abs(scores(module, torch.from_numpy(x)) - expected) <= far)


def test_modules_have_the_names_of_layers():
    net = Network(
        {"fc": layers.AffineRelu(4), "body.norm": layers.BatchNormalization(),
         "body.act": layers.Tanh(), "head": layers.Affine(3)},
        input_size=(1, 2, 2), dtype="float64",
    )  # fmt: skip
    module = net.to_torch()
    names = [name for name, each in module.named_modules() if not [*each.children()]]
    assert names == ["fc_flatten", "fc", "fc_relu", "body.norm", "body.act", "head"]
    assert [*module.state_dict()] == [*net.state_dict()]
    assert module.fc.weight.dtype == torch.float64
    assert [*MultiLayerNet(4, [5], 3).to_torch().state_dict()][2] == "2.weight"


NOT_THEIRS = {
    "own": (lambda: Network([Scale(4), layers.Affine(3)], input_size=4), "Scale1.*own, Scale"),
    "dropout": (
        lambda: Network([layers.Dropout(0.5), layers.Affine(3)], input_size=4),
        r"Dropout1'\]: expected Dropout\(inverted=True\).*got Dropout\(0.5\)",
    ),
    "pixels": (
        lambda: Network(
            [layers.BatchNormalization(per_pixel=True), layers.Affine(3)], input_size=(1, 2, 2)
        ),
        r"BatchNormalization1'\]: expected per_pixel=False",
    ),
    "axes": (
        lambda: Network([layers.LayerNormalization(), layers.Affine(3)], input_size=(1, 2, 2)),
        r"LayerNormalization1'\]: expected samples of one axis.*got images",
    ),
    "scale": (lambda: MultiLayerNet(4, [5], 3, input_scale=0.5), "network: expected input_scale=1"),
}


@pytest.mark.parametrize("name", NOT_THEIRS)
def test_what_they_have_no_module_for(name):
    make, text = NOT_THEIRS[name]
    with pytest.raises(ValueError, match=text):
        make().to_torch()


def test_tensors_into_networks():
    net = MultiLayerNet(4, [5], 3, seed=0)
    given = {key: torch.from_numpy(a) for key, a in MultiLayerNet(4, [5], 3).state_dict().items()}
    given["0.weight"] = given["0.weight"].bfloat16().requires_grad_()
    given["2.bias"] = given["2.bias"].half()
    net.load_state_dict(given)
    np.testing.assert_array_equal(net.params["W1"].T, given["0.weight"].detach().float().numpy())
    with pytest.raises(TypeError, match=r"state_dict\['0.bias'\]"):
        net.load_state_dict({**given, "0.bias": torch.zeros(5, dtype=torch.complex64)})


def test_files_of_theirs(tmp_path):
    saved = pytest.importorskip("safetensors.torch")
    module, x = trained(flat, torch.float32)
    path = str(tmp_path / "module.safetensors")
    saved.save_file(module.state_dict(), path)
    net = from_torch(flat())
    net.load(path)
    np.testing.assert_array_equal(net.predict(x.numpy()), from_torch(module).predict(x.numpy()))
    net.params["0.W"] *= 2
    net.save(path)
    module.load_state_dict(saved.load_file(path))
    np.testing.assert_array_equal(module[0].weight.detach().numpy().T, net.params["0.W"])


def test_pytorch_is_imported_by_nobody():
    code = (
        "import sys, fastnn\n"
        "net = fastnn.MultiLayerNet(4, [5], 3)\n"
        "net.load_state_dict(net.state_dict())\n"
        "assert not {'torch', 'onnx', 'safetensors', 'fastnn.exchange.forms'} & {*sys.modules}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
