"""Every kernel that Python calls: the module it is in, and what it takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.kernels.machine.signature import Signature, in_table, parse

# By module, the signatures of its kernels (see :mod:`fastnn.kernels.machine.signature`).
_KERNELS: dict[str, dict[str, str]] = {
    "layers.affine": {
        "affine": "x[n,d] W[d,h] b[h] -> out[n,h] & product | n d h / 4 + n h / 4",
        "affine_relu": "x[n,d] W[d,h] b[h] -> out[n,h] & product | n d h / 4 + n h / 4",
        "affine_backward": (
            "dout[n,h] x[n,d] W[d,h] -> dx?[n,d] dW[d,h] db[h] & product "
            "| n d h / 4 + n h / 4 + n d / 4 + d h / 4 + h / 4"
        ),
        "affine_relu_backward": (
            "dout[n,h] x[n,d] W[d,h] y[n,h] -> dx?[n,d] dW[d,h] db[h] & product "
            "| n d h / 4 + n h / 4 + n d / 4 + d h / 4 + h / 4"
        ),
    },
    "layers.activations": {
        "relu": "x[*] -> out/x[*] | *",
        "relu_backward": "dout[*] y[*] -> dx/dout/y[*] | *",
        "sigmoid": "x[*] -> out/x[*] | 8 *",
        "sigmoid_backward": "dout[*] y[*] -> dx/dout/y[*] | *",
        "tanh": "x[*] -> out/x[*] | 8 *",
        "tanh_backward": "dout[*] y[*] -> dx/dout/y[*] | *",
        "leaky_relu": "x[*] negative_slope:float -> out/x[*] | *",
        "leaky_relu_backward": "dout[*] y[*] negative_slope:float -> dx/dout/y[*] | *",
        "elu": "x[*] alpha:float -> out/x[*] | 8 *",
        "elu_backward": "dout[*] y[*] alpha:float -> dx/dout/y[*] | *",
        "gelu": "x[*] -> out/x[*] | 16 *",
        "gelu_backward": "dout[*] x[*] -> dx/dout/x[*] | 16 *",
        "gelu_tanh": "x[*] -> out/x[*] | 8 *",
        "gelu_tanh_backward": "dout[*] x[*] -> dx/dout/x[*] | 8 *",
        "silu": "x[*] -> out/x[*] | 8 *",
        "silu_backward": "dout[*] x[*] -> dx/dout/x[*] | 8 *",
        "softplus": "x[*] -> out/x[*] | 16 *",
        "softplus_backward": "dout[*] y[*] -> dx/dout/y[*] | 8 *",
        "softmax": "x[n,c] -> out/x[n,c] | 8 n c",
    },
    "layers.losses": {
        "softmax_cross_entropy": (
            "x[n,c] t:int64[n] w?[n] smoothing:float -> loss:float64[1] dx[n,c] | 10 n c"
        ),
        "softmax_cross_entropy_dense": (
            "x[n,c] t[n,c] w?[n] slack:float smoothing:float -> loss:float64[1] dx[n,c] | 10 n c"
        ),
        "mean_squared_error": "x[n,d] t[n,d] w?[n] -> loss:float64[1] dx[n,d] | n d",
        "binary_cross_entropy": (
            "x[n,d] t[n,d] w?[n] low:float high:float smoothing:float "
            "-> loss:float64[1] dx[n,d] | 25 n d"
        ),
        "poisson": "x[n,d] t[n,d] w?[n] low:float -> loss:float64[1] dx[n,d] | 25 n d",
        "huber": "x[n,d] t[n,d] w?[n] delta:float -> loss:float64[1] dx[n,d] | 4 n d",
    },
    "layers.dropout": {
        "dropout": (
            "x[*] ratio:float seed:uint step:uint scale:float -> out/x[*] mask:bool[*] | 6 *"
        ),
        "dropout_backward": "dout[*] mask:bool[*] scale:float -> dx/dout[*] | *",
        "dropout_inference": "x[*] scale:float -> out/x[*] | *",
    },
    "random.sampling": {
        "choices": "n:int seed:uint step:uint -> out:int64[size] | 8 size",
        "permutation": "seed:uint step:uint -> out:int64[n] | n",
    },
    "layers.pooling": {
        "max_pool": (
            "x[n,c,h,w] pool_h:int pool_w:int stride:int"
            " -> out[n,c,p,q] argmax:int32[n,c,p,q] | n c h w + n c p q / 4"
        ),
        "max_pool_backward": (
            "dout[n,c,p,q] argmax:int32[n,c,p,q] pool_h:int pool_w:int stride:int"
            " -> dx[n,c,h,w] | n c h w"
        ),
        "max_pool_backward_shared": (
            "dout[n,c,p,q] x[n,c,h,w] y[n,c,p,q] pool_h:int pool_w:int stride:int"
            " -> dx[n,c,h,w] | n c h w"
        ),
    },
    "layers.patches": {
        "im2col": ("x[n,c,h,w] filter_h:int filter_w:int stride:int pad:int -> out[r,k] | r k"),
        "col2im": (
            "col[r,k] filter_h:int filter_w:int stride:int pad:int -> out[n,c,h,w] "
            "| r k + n c h w / 4"
        ),
    },
    "layers.convolution": {
        "convolution": (
            "x[n,c,h,w] W[f,c,i,j] b[f] stride:int pad:int -> out[n,f,p,q]"
            " & taps | n p q f c i j / 4 + n p q f / 4"
        ),
        "convolution_backward": (
            "dout[n,f,p,q] x[n,c,h,w] W[f,c,i,j] stride:int pad:int"
            " -> dx?[n,c,h,w] dW[f,c,i,j] db[f] & taps"
            " | n p q f c i j / 4 + n c h w / 4 + f c i j / 4 + f / 4"
        ),
    },
    "layers.batchnorm": {
        "batchnorm": (
            "x[n,d] gamma[d] beta[d] ~running_mean[d] ~running_var[d] momentum:float eps:float "
            "low:float -> y[n,d] mean[d] rstd[d] | 4 n d + d"
        ),
        "batchnorm_inference": (
            "x[n,d] gamma[d] beta[d] running_mean[d] running_var[d] eps:float low:float -> y[n,d] "
            "| n d + d"
        ),
        "batchnorm_backward": (
            "dout[n,d] x[n,d] gamma[d] mean[d] rstd[d] y?[n,d] -> dx[n,d] dgamma[d] dbeta[d] "
            "| 4 n d + d"
        ),
    },
    "layers.batchnorm_nchw": {
        "batchnorm_nchw": (
            "x[n,c,*] gamma[c] beta[c] ~running_mean[c] ~running_var[c] momentum:float eps:float "
            "low:float -> y[n,c,*] mean[c] rstd[c] | 4 n c * + c"
        ),
        "batchnorm_nchw_inference": (
            "x[n,c,*] gamma[c] beta[c] running_mean[c] running_var[c] eps:float low:float -> "
            "y[n,c,*] | n c * + c"
        ),
        "batchnorm_nchw_backward": (
            "dout[n,c,*] x[n,c,*] gamma[c] mean[c] rstd[c] y?[n,c,*] -> dx[n,c,*] dgamma[c] "
            "dbeta[c] | 4 n c * + c"
        ),
    },
    "layers.layernorm": {
        "layernorm": "x[n,d] gamma[d] beta[d] eps:float -> y[n,d] mean[n] rstd[n] | 4 n d + n",
        "layernorm_backward": (
            "dout[n,d] x[n,d] gamma[d] mean[n] rstd[n] -> dx[n,d] dgamma[d] dbeta[d] "
            "| 4 n d + n + d"
        ),
    },
}
# By name, the modules of functions that Python calls, and that go from there to all kernels.
CALLERS = {
    "fastnn_call": "fastnn.kernels.calls.caller",
    "fastnn_update": "fastnn.kernels.calls.update_caller",
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
    "layers.taps": ("taps",),
    "program.steps": ("on_rows",),
    "program.updates": ("on_updates",),
    "program.losses": (
        "step_of_cross_entropy",
        "step_of_dense_cross_entropy",
        "step_of_squared_error",
        "step_of_binary_cross_entropy",
        "step_of_poisson",
        "step_of_huber",
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
    "program.images": (
        "step_of_convolution",
        "step_of_convolution_gradient",
        "step_of_max_pool",
        "step_of_max_pool_gradient",
    ),
    "program.image_norms": (
        "step_of_image_moments",
        "step_of_image_normalise",
        "step_of_image_sums",
        "step_of_image_norm_gradient",
        "step_of_finish_image_moments",
        "step_of_finish_image_sums",
    ),
    "limits.loops": ("multiply_add", "copy", "copy_bytes"),
    "limits.repeated": ("products",),
}
# The same for parts that know no dtype.
_PLAIN: dict[str, tuple[str, ...]] = {
    "threading.pool": ("serve", "distribute"),
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
_ADDED: set[str] = set()
_PLAIN_PARTS = dict.fromkeys(name for own in _PLAIN.values() for name in own)


def kernels() -> tuple[str, ...]:
    """Return the names of all kernels."""
    return tuple(name for own in (*_KERNELS.values(), *_UPDATES.values()) for name in own)


def parts() -> tuple[str, ...]:
    """Return the names of all parts."""
    return (*_REAL_PARTS, *_PLAIN_PARTS)


def add_parts(module: str, *names: str) -> None:
    """Make parts for float32 and float64 known that are in another module, by its whole name.

    Numba compiles them, wherever other machine code comes from.
    """
    _MODULES.update(dict.fromkeys(names, module))
    _ADDED.update(names)


def is_added(name: str) -> bool:
    """Say whether a name is that of a part from elsewhere, as :func:`add_parts` takes them."""
    return name in _ADDED


def is_part(name: str) -> bool:
    """Say whether a name is that of a part."""
    return name in _REAL_PARTS or name in _PLAIN_PARTS or name in _ADDED


def is_real(name: str) -> bool:
    """Say whether there is machine code of that name for each of float32 and float64."""
    if is_part(name):
        return name not in _PLAIN_PARTS
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


def symbol(name: str, dtype: np.dtype[Any] | None) -> str:
    """Return the name of the machine code of a kernel or a part, in the whole process."""
    if not is_real(name):
        return f"fastnn_{name}"
    if dtype is None:
        raise ValueError(f"dtype: expected float32 or float64 for {name}, got None")
    return f"fastnn_{name}_{8 * dtype.itemsize}"
