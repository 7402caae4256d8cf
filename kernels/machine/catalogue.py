"""Every kernel that Python calls: the module it is in, and what it takes."""

from __future__ import annotations

from fastnn.kernels.machine.signature import Signature, in_table, parse

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
# Those of update rules, for one parameter: a call updates as many as it is given.
_UPDATES: dict[str, dict[str, str]] = {
    "updates.sgd": {"sgd_": "~p[*] g[*] lr:float weight_decay:float | *"},
    "updates.momentum": {
        "momentum_": "~p[*] g[*] ~v[*] lr:float momentum:float weight_decay:float | *",
        "nesterov_": "~p[*] g[*] ~v[*] lr:float momentum:float weight_decay:float | *",
    },
    "updates.adagrad": {
        "adagrad_": "~p[*] g[*] ~h[*] lr:float eps:float weight_decay:float | 4 *",
    },
    "updates.rmsprop": {
        "rmsprop_": (
            "~p[*] g[*] ~h[*] lr:float decay_rate:float eps:float weight_decay:float | 4 *"
        ),
    },
    "updates.adam": {
        "adam_": (
            "~p[*] g[*] ~m[*] ~v[*] step:int lr:float beta1:float beta2:float eps:float "
            "weight_decay:float decoupled:int explicit:int | 4 *"
        ),
    },
    "updates.nadam": {
        "nadam_": (
            "~p[*] g[*] ~m[*] ~v[*] step:int mu_product:float lr:float beta1:float beta2:float "
            "eps:float momentum_decay:float weight_decay:float | 4 *"
        ),
    },
    "updates.adamax": {
        "adamax_": (
            "~p[*] g[*] ~m[*] ~u[*] step:int lr:float beta1:float beta2:float eps:float "
            "weight_decay:float | 4 *"
        ),
    },
    "updates.amsgrad": {
        "amsgrad_": (
            "~p[*] g[*] ~m[*] ~v[*] ~v_max[*] step:int lr:float beta1:float beta2:float "
            "eps:float weight_decay:float | 4 *"
        ),
    },
    "updates.lion": {
        "lion_": "~p[*] g[*] ~m[*] lr:float beta1:float beta2:float weight_decay:float | *",
    },
}
# By module, the names of its parts: functions of integers that kernels and programs call.
_PARTS: dict[str, tuple[str, ...]] = {
    "gemm.product": ("product",),
}
# The step of each rule, with which programs update an array.
_PARTS |= {module: tuple(f"step_of_{name}" for name in own) for module, own in _UPDATES.items()}
_MODULES = {
    name: module
    for names in (_KERNELS, _UPDATES, _PARTS)
    for module, own in names.items()
    for name in own
}


def kernels() -> tuple[str, ...]:
    """Return the names of all kernels."""
    return tuple(name for own in (*_KERNELS.values(), *_UPDATES.values()) for name in own)


def parts() -> tuple[str, ...]:
    """Return the names of all parts."""
    return tuple(name for own in _PARTS.values() for name in own)


def is_part(name: str) -> bool:
    """Say whether a name is that of a part."""
    return name in _PARTS.get(_MODULES[name], ())


def module(name: str) -> str:
    """Return the name of the module that a kernel or a part is in."""
    return f"fastnn.kernels.{_MODULES[name]}"


def is_update(name: str) -> bool:
    """Say whether a name is that of an update rule."""
    return name in _UPDATES.get(_MODULES[name], ())


def signature(name: str) -> Signature:
    """Return what a kernel takes when Python calls it."""
    return parse((_UPDATES if is_update(name) else _KERNELS)[_MODULES[name]][name])


def taken(name: str) -> Signature:
    """Return what the machine code of a kernel takes."""
    return in_table(signature(name)) if is_update(name) else signature(name)
