"""PyTorch's modules as layers, and layers as modules."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from fastnn._utils.types import Array
from fastnn._utils.validation import brief
from fastnn.exchange.names import BIASES, FUSED, are_images, is_without_bias, modules, tensors
from fastnn.exchange.state_dict import state_dict
from fastnn.layers import (
    Affine,
    AffineRelu,
    BatchNormalization,
    BatchNormRelu,
    Convolution,
    Dropout,
    Elu,
    Flatten,
    Gelu,
    Identity,
    LayerNormalization,
    LeakyRelu,
    MaxPool,
    Relu,
    Sigmoid,
    Silu,
    Softplus,
    Tanh,
)
from fastnn.layers.parameters import parameters_of, where_of
from fastnn.layers.record import record_of
from fastnn.ops._windows import window

_LAST = "Softmax", "LogSoftmax"  # which are part of the loss here


class Taken(NamedTuple):
    """What has been made of modules.

    Attributes
    ----------
    layers : dict of str to layer
        By the path of the module, such as "3.1".
    dtype : dtype
    frozen : list of (str, str)
        Layers and names of parameters that are not trained.
    without_bias : frozenset of str
        Layers whose modules have no bias: theirs is 0, and among those that are not trained.
    softmax : str
        What the last module is, if that is softmax, which is no layer here; else "".
    """

    layers: dict[str, Any]
    dtype: np.dtype[Any]
    frozen: list[tuple[str, str]]
    without_bias: frozenset[str]
    softmax: str


class _Module:
    """A module on its way to a layer: its settings, checked, and its arrays."""

    def __init__(self, path: str, module: Any, arrays: dict[int, Array]) -> None:
        self.path, self.module = path, module
        self._arrays = arrays

    def __str__(self) -> str:
        return f"{self.path}: {type(self.module).__name__}"

    def get(self, name: str) -> Any:
        """Return a setting."""
        return getattr(self.module, name)

    def expect(self, **settings: Any) -> None:
        """Raise ValueError unless settings are what layers of ours do."""
        for name, expected in settings.items():
            if _single(self.get(name)) != expected:
                raise self.error(f"{name}={expected!r}", f"{name}={self.get(name)!r}")

    def error(self, expected: str, got: str) -> ValueError:
        """Return the error of a setting."""
        return ValueError(f"module: expected {expected} in {self}, got {got}")

    def single(self, name: str) -> int:
        """Return a setting that is one number, or several that are equal."""
        value = _single(self.get(name))
        if isinstance(value, tuple):
            raise self.error(f"{name} of equal numbers", f"{name}={value}")
        return int(value)

    def array(self, name: str, transposed: bool = False) -> Array:
        """Return a copy of an array; two that are one in PyTorch are one here, too."""
        tensor = self.get(name)
        if id(tensor) not in self._arrays:
            array = tensor.detach().cpu().numpy()
            self._arrays[id(tensor)] = np.array(array.T if transposed else array, order="C")
        return self._arrays[id(tensor)]

    def bias(self) -> Array:
        """Return a copy of the bias, or zeros where there is none."""
        if self.get("bias") is not None:
            return self.array("bias")
        return np.zeros(len(self.get("weight")), self.array("weight").dtype)


def _single(value: Any) -> Any:
    """Return the number that all of a tuple are, or what it is."""
    if isinstance(value, tuple) and len({*value}) == 1:
        return value[0]
    return value


def _affine(given: _Module) -> Affine:
    return Affine(given.array("weight", True), given.bias())


def _convolution(given: _Module) -> Convolution:
    given.expect(dilation=1, groups=1, padding_mode="zeros")
    stride = given.single("stride")
    size, pad = given.get("kernel_size"), given.get("padding")
    if pad == "valid":
        padding = 0
    elif pad == "same":
        if size[0] != size[1] or size[0] % 2 == 0:
            raise given.error("filters of one odd size with padding='same'", f"kernel_size={size}")
        padding = size[0] // 2
    else:
        padding = given.single("padding")
    return Convolution(given.array("weight"), given.bias(), stride, padding)


def _max_pool(given: _Module) -> MaxPool:
    given.expect(padding=0, dilation=1, ceil_mode=False, return_indices=False)
    size = given.get("kernel_size")
    height, width = size if isinstance(size, tuple) else (size, size)
    return MaxPool(height, width, given.single("stride"))


def _batch_norm(given: _Module) -> BatchNormalization:
    given.expect(affine=True, track_running_stats=True)
    momentum = given.get("momentum")
    if momentum is None:
        raise given.error("a number as momentum", "momentum=None, a mean over all batches")
    arrays = (given.array(name) for name in ("running_mean", "running_var"))
    return BatchNormalization(
        given.array("weight"), given.bias(), 1 - momentum, *arrays, eps=given.get("eps")
    )


def _layer_norm(given: _Module) -> LayerNormalization:
    given.expect(elementwise_affine=True)
    shape = given.get("normalized_shape")
    if len(shape) != 1:
        raise given.error("normalized_shape of one number", f"normalized_shape={tuple(shape)}")
    return LayerNormalization(given.array("weight"), given.bias(), eps=given.get("eps"))


def _dropout(given: _Module) -> Dropout:
    return Dropout(given.get("p"), inverted=True)


def _flatten(given: _Module) -> Flatten:
    given.expect(start_dim=1, end_dim=-1)
    return Flatten()


def _softplus(given: _Module) -> Softplus:
    given.expect(beta=1)
    if given.get("threshold") < 20:  # from where on theirs is the identity: 2e-9 off
        raise given.error("threshold of at least 20", f"threshold={given.get('threshold')}")
    return Softplus()


_LAYERS: Mapping[str, Callable[[_Module], Any]] = {
    "Linear": _affine,
    "Conv2d": _convolution,
    "MaxPool2d": _max_pool,
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "LayerNorm": _layer_norm,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Identity": lambda given: Identity(),
    "ReLU": lambda given: Relu(),
    "LeakyReLU": lambda given: LeakyRelu(given.get("negative_slope")),
    "ELU": lambda given: Elu(given.get("alpha")),
    "GELU": lambda given: Gelu(given.get("approximate")),
    "SiLU": lambda given: Silu(),
    "Softplus": _softplus,
    "Sigmoid": lambda given: Sigmoid(),
    "Tanh": lambda given: Tanh(),
}


def layers_of(module: Any) -> Taken:
    """Return the layers that do what the modules of a Sequential do.

    Raises
    ------
    TypeError
        If it is no Sequential, or dtypes are others than float32 or float64.
    ValueError
        If there is no layer for a module, or for its settings.
    """
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(module, torch.nn.Module) or not _is_sequence(torch, module):
        raise TypeError(f"module: expected a torch.nn.Sequential, got {brief(module)}")
    found = [*_leaves(torch, module, "")]
    softmax = ""
    if found and _kind(torch, found[-1][1]) in _LAST:
        given = _Module(*found.pop(), {})
        if given.get("dim") not in (1, -1):
            raise given.error("dim=1", f"dim={given.get('dim')}")
        softmax = str(given)
    if not found:
        raise ValueError(f"module: expected at least one module in it, got {brief(module)}")
    dtype = _dtype(torch, module)
    arrays: dict[int, Array] = {}
    layers = {path: _layer(torch, _Module(path, leaf, arrays)) for path, leaf in found}
    without = frozenset(path for path, leaf in found if getattr(leaf, "bias", 0) is None)
    frozen = {id(p) for p in module.parameters() if not p.requires_grad}
    held = {id(array) for number, array in arrays.items() if number in frozen}
    places = [
        (path, name)
        for path, layer in layers.items()
        for name, array in parameters_of(layer).items()
        if id(array) in held or (path in without and name in BIASES)
    ]
    return Taken(layers, dtype, places, without, softmax)


def _is_sequence(torch: Any, module: Any) -> bool:
    """Say whether a module is a Sequential, or extends one and does nothing else."""
    sequential = torch.nn.Sequential
    return isinstance(module, sequential) and type(module).forward is sequential.forward


def _kind(torch: Any, module: Any) -> str:
    """Return the name of a module's class if that is one of PyTorch's own, else ""."""
    name = type(module).__name__
    return name if type(module) is getattr(torch.nn, name, None) else ""


def _leaves(torch: Any, module: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield path and module of all that are no Sequential, in order."""
    _expect_no_hooks(path, module)
    if not _is_sequence(torch, module):
        yield path, module
        return
    for name, inner in module._modules.items():
        yield from _leaves(torch, inner, f"{path}.{name}" if path else name)


def _expect_no_hooks(path: str, module: Any) -> None:
    if module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module):
        where = f"{path}: {type(module).__name__}" if path else type(module).__name__
        raise ValueError(f"module: expected no hooks, nor a forward of its own, in {where}")


def _dtype(torch: Any, module: Any) -> np.dtype[Any]:
    """Return the dtype of all arrays; float32 if there are none."""
    found: dict[Any, str] = {}
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() or tensor.is_complex():
            found.setdefault(tensor.dtype, name)
    known: dict[Any, Any] = {torch.float32: np.float32, torch.float64: np.float64}
    others = [dtype for dtype in found if dtype not in known] or [*found][1:]
    if others:
        raise TypeError(
            "module: expected parameters of float32, or all of float64, got "
            f"{others[0]} in {found[others[0]]}"
        )
    dtype: np.dtype[Any] = np.dtype(known[next(iter(found), torch.float32)])
    return dtype


def _layer(torch: Any, given: _Module) -> Any:
    """Return the layer for a module."""
    make = _LAYERS.get(_kind(torch, given.module))
    if make is None:
        raise ValueError(
            f"module: expected modules that fastnn has layers for, {', '.join(_LAYERS)}, and "
            f"Softmax at the end, got {given}"
        )
    try:
        return make(given)
    except (TypeError, ValueError) as error:
        text = str(error)
        where = "" if text.startswith("module: ") else f"module: {given}: "
        raise type(error)(f"{where}{text}") from None


def sequential(network: Any) -> Any:
    """Return a Sequential of PyTorch that computes what the layers of a network do."""
    if network.input_scale != 1:
        raise ValueError(
            f"network: expected input_scale=1, as PyTorch has no module for it, got "
            f"{network.input_scale}"
        )
    given = state_dict(network)
    import torch

    arrays = {name: torch.from_numpy(array) for name, array in given.items()}
    root: Any = torch.nn.Sequential()
    with torch.random.fork_rng(devices=[]):  # initial values are drawn, and not used
        for path, module in _paths(torch, network):
            _put(torch, root, path, module)
    root.to(getattr(torch, str(network.dtype)))
    root.load_state_dict(arrays)
    left_out = {p.key for p in network._adopted.left_out}
    for each in tensors(network):
        if each.parameter is not None and each.parameter.key in left_out:
            root.get_parameter(each.name).requires_grad_(False)
    return root.eval()


def _paths(torch: Any, network: Any) -> Iterator[tuple[str, Any]]:
    """Yield the modules of a network with their names, as `names` has them."""
    names = modules(network)
    images, count = isinstance(network.input_size, tuple), 0
    for name, layer in network.layers.items():
        made = _modules(torch, name, layer, images)
        images = are_images(layer, images)
        if is_without_bias(network, name):
            made[-1 - isinstance(layer, FUSED)].register_parameter("bias", None)
        main = len(made) - 1 - isinstance(layer, FUSED)  # the last but for a ReLU
        for i, module in enumerate(made):
            path = names[name] if i == main else f"{name}_{type(module).__name__.lower()}"
            yield (path if names[name] == name else str(count)), module
            count += 1


def _modules(torch: Any, name: str, layer: Any, images: bool) -> list[Any]:
    """Return the modules for a layer, which is given samples of several axes or not."""
    nn, record = torch.nn, record_of(layer)
    if record is None or record.kind not in _MODULES:
        raise ValueError(
            f"{where_of(name)}: expected a layer of fastnn.layers, which PyTorch has a module for, "
            f"got one of your own, {type(layer).__name__}"
        )
    if isinstance(layer, BatchNormalization) and layer.per_pixel and images:
        raise ValueError(f"{where_of(name)}: expected per_pixel=False, as in PyTorch, got True")
    if isinstance(layer, LayerNormalization) and images:
        raise ValueError(
            f"{where_of(name)}: expected samples of one axis, as its arrays have one, got images"
        )
    if isinstance(layer, Dropout) and not layer.inverted:
        raise ValueError(
            f"{where_of(name)}: expected Dropout(inverted=True), the form of PyTorch, got {layer!r}"
        )
    made = [_MODULES[record.kind](nn, layer, images)]
    if isinstance(layer, Affine) and images:
        made.insert(0, nn.Flatten())
    return [*made, nn.ReLU()] if isinstance(layer, FUSED) else made


def _linear(nn: Any, layer: Affine, images: bool) -> Any:
    return nn.Linear(*layer.W.shape)


def _conv2d(nn: Any, layer: Convolution, images: bool) -> Any:
    filters, channels, height, width = layer.W.shape
    return nn.Conv2d(channels, filters, (height, width), layer.stride, layer.pad)


def _batch_norm_of(nn: Any, layer: BatchNormalization, images: bool) -> Any:
    kind = nn.BatchNorm2d if images else nn.BatchNorm1d
    return kind(len(layer.gamma), eps=layer.eps, momentum=1 - layer.momentum)


def _max_pool2d(nn: Any, layer: MaxPool, images: bool) -> Any:
    height, width, stride = window(layer.pool_h, layer.pool_w, layer.stride)
    return nn.MaxPool2d((height, width), stride)


_MODULES: Mapping[type[Any], Callable[[Any, Any, bool], Any]] = {
    Affine: _linear,
    AffineRelu: _linear,
    BatchNormalization: _batch_norm_of,
    BatchNormRelu: _batch_norm_of,
    Convolution: _conv2d,
    Dropout: lambda nn, layer, images: nn.Dropout(layer.dropout_ratio),
    Elu: lambda nn, layer, images: nn.ELU(layer.alpha),
    Flatten: lambda nn, layer, images: nn.Flatten(),
    Gelu: lambda nn, layer, images: nn.GELU(layer.approximate),
    Identity: lambda nn, layer, images: nn.Identity(),
    LayerNormalization: lambda nn, layer, images: nn.LayerNorm(len(layer.gamma), eps=layer.eps),
    LeakyRelu: lambda nn, layer, images: nn.LeakyReLU(layer.negative_slope),
    MaxPool: _max_pool2d,
    Relu: lambda nn, layer, images: nn.ReLU(),
    Sigmoid: lambda nn, layer, images: nn.Sigmoid(),
    Silu: lambda nn, layer, images: nn.SiLU(),
    Softplus: lambda nn, layer, images: nn.Softplus(),
    Tanh: lambda nn, layer, images: nn.Tanh(),
}


def _put(torch: Any, root: Any, path: str, module: Any) -> None:
    """Put a module where a path says, in Sequentials that are made for it."""
    *above, last = path.split(".")
    for name in above:
        if name not in root._modules:
            root.add_module(name, torch.nn.Sequential())
        root = root._modules[name]
    root.add_module(last, module)
