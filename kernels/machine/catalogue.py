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
# By module, the names of its parts: functions of integers that kernels and programs call. There is
# one for each of float32 and float64.
_PARTS: dict[str, tuple[str, ...]] = {
    "gemm.product": ("product",),
    "program.steps": ("on_rows",),
    "program.updates": ("on_updates",),
    "program.activations": tuple(
        f"step_of_{name}{form}"
        for name in (
            "relu",
            "sigmoid",
            "tanh",
            "leaky_relu",
            "elu",
            "silu",
            "softplus",
            "gelu",
            "gelu_tanh",
        )
        for form in ("", "_gradient")
    ),
    "program.norms": (
        "step_of_moments",
        "step_of_normalise",
        "step_of_gradient_sums",
        "step_of_norm_gradient",
        "step_of_finish_moments",
        "step_of_finish_sums",
    ),
    "program.dropout": ("step_of_dropout", "step_of_mask"),
    "limits.loops": ("multiply_add", "copy", "copy_bytes"),
}
# The same for parts that know no dtype.
_PLAIN: dict[str, tuple[str, ...]] = {
    "threading.pool": ("serve",),
    "program.run": ("run",),
}
# The step of each rule, with which programs update an array.
_PARTS |= {module: tuple(f"step_of_{name}" for name in own) for module, own in _UPDATES.items()}
_MODULES = {
    name: f"fastnn.kernels.{module}"
    for names in (_KERNELS, _UPDATES, _PARTS, _PLAIN)
    for module, own in names.items()
    for name in own
}
_SIGNATURES = {
    name: text for own in (*_KERNELS.values(), *_UPDATES.values()) for name, text in own.items()
}
_OF_UPDATES = frozenset(name for own in _UPDATES.values() for name in own)
_REAL_PARTS = dict.fromkeys(name for own in _PARTS.values() for name in own)
_PLAIN_PARTS = dict.fromkeys(name for own in _PLAIN.values() for name in own)


def kernels() -> tuple[str, ...]:
    """Return the names of all kernels."""
    return tuple(name for own in (*_KERNELS.values(), *_UPDATES.values()) for name in own)


def parts() -> tuple[str, ...]:
    """Return the names of all parts."""
    return (*_REAL_PARTS, *_PLAIN_PARTS)


def add_parts(module: str, *names: str) -> None:
    """Make parts for float32 and float64 known that are in another module, by its whole name."""
    _MODULES.update(dict.fromkeys(names, module))
    _REAL_PARTS.update(dict.fromkeys(names))


def is_part(name: str) -> bool:
    """Say whether a name is that of a part."""
    return name in _REAL_PARTS or name in _PLAIN_PARTS


def is_real(name: str) -> bool:
    """Say whether there is machine code of that name for each of float32 and float64."""
    if is_part(name):
        return name in _REAL_PARTS
    return signature(name).is_real


def module(name: str) -> str:
    """Return the name of the module that a kernel or a part is in."""
    return _MODULES[name]


def is_update(name: str) -> bool:
    """Say whether a name is that of an update rule."""
    return name in _OF_UPDATES


def signature(name: str) -> Signature:
    """Return what a kernel takes when Python calls it."""
    return parse(_SIGNATURES[name])


def taken(name: str) -> Signature:
    """Return what the machine code of a kernel takes."""
    return in_table(signature(name)) if is_update(name) else signature(name)
