"""Every kernel that Python calls: the module it is in, and what it takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels.machine.signature import Signature, parse

# By module, the signatures of its kernels (see :mod:`fastnn.kernels.machine.signature`).
_KERNELS: dict[str, dict[str, str]] = {
    "layers.affine": {
        "affine": "x[n,d] W[d,h] b[h] -> out[n,h] & product | n d h / 4",
        "affine_relu": "x[n,d] W[d,h] b[h] -> out[n,h] & product | n d h / 4",
        "affine_backward": (
            "dout[n,h] x[n,d] W[d,h] -> dx?[n,d] dW[d,h] db[h] & product | n d h / 4"
        ),
        "affine_relu_backward": (
            "dout[n,h] x[n,d] W[d,h] y[n,h] -> dx?[n,d] dW[d,h] db[h] & product | n d h / 4"
        ),
    },
    "layers.activations": {
        "relu": "x[*] -> out/x[*] | *",
        "relu_backward": "dout[*] y[*] -> dx/dout/y[*] | *",
        "sigmoid": "x[*] -> out/x[*] | 8 *",
    },
}
# By module, the names of its parts: functions of integers that kernels and programs call.
_PARTS: dict[str, tuple[str, ...]] = {
    "gemm.product": ("product",),
}
_MODULES = {
    name: module for names in (_KERNELS, _PARTS) for module, own in names.items() for name in own
}


def kernels() -> tuple[str, ...]:
    """Return the names of all kernels."""
    return tuple(name for own in _KERNELS.values() for name in own)


def parts() -> tuple[str, ...]:
    """Return the names of all parts."""
    return tuple(name for own in _PARTS.values() for name in own)


def is_part(name: str) -> bool:
    """Say whether a name is that of a part."""
    return name in _PARTS.get(_MODULES[name], ())


def module(name: str) -> str:
    """Return the name of the module that a kernel or a part is in."""
    return f"fastnn.kernels.{_MODULES[name]}"


def signature(name: str) -> Signature:
    """Return what a kernel takes."""
    return parse(_KERNELS[_MODULES[name]][name])


def is_real(name: str) -> bool:
    """Say whether there is machine code of that name for each of float32 and float64."""
    return is_part(name) or signature(name).is_real


def symbol(name: str, dtype: np.dtype[Any] | None) -> str:
    """Return the name of the machine code of a kernel or a part, in the whole process."""
    if not is_real(name):
        return f"fastnn_{name}"
    if dtype is None:
        raise ValueError(f"dtype: expected float32 or float64 for {name}, got None")
    return f"fastnn_{name}_{8 * dtype.itemsize}"
