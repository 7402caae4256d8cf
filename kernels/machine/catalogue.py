"""Every kernel that Python calls: the module it is in, and what it takes."""

from __future__ import annotations

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
    "layers.batchnorm": {
        "batchnorm": (
            "x[n,d] gamma[d] beta[d] ~running_mean[d] ~running_var[d] momentum:float eps:float "
            "low:float -> y[n,d] mean[d] rstd[d] | 4 n d"
        ),
        "batchnorm_inference": (
            "x[n,d] gamma[d] beta[d] running_mean[d] running_var[d] eps:float low:float -> y[n,d] "
            "| n d"
        ),
        "batchnorm_backward": (
            "dout[n,d] x[n,d] gamma[d] mean[d] rstd[d] y?[n,d] -> dx[n,d] dgamma[d] dbeta[d] "
            "| 4 n d"
        ),
    },
    "layers.batchnorm_nchw": {
        "batchnorm_nchw": (
            "x[n,c,*] gamma[c] beta[c] ~running_mean[c] ~running_var[c] momentum:float eps:float "
            "low:float -> y[n,c,*] mean[c] rstd[c] | 4 n c *"
        ),
        "batchnorm_nchw_inference": (
            "x[n,c,*] gamma[c] beta[c] running_mean[c] running_var[c] eps:float low:float -> "
            "y[n,c,*] | n c *"
        ),
        "batchnorm_nchw_backward": (
            "dout[n,c,*] x[n,c,*] gamma[c] mean[c] rstd[c] y?[n,c,*] -> dx[n,c,*] dgamma[c] "
            "dbeta[c] | 4 n c *"
        ),
    },
    "layers.layernorm": {
        "layernorm": "x[n,d] gamma[d] beta[d] eps:float -> y[n,d] mean[n] rstd[n] | 4 n d",
        "layernorm_backward": (
            "dout[n,d] x[n,d] gamma[d] mean[n] rstd[n] -> dx[n,d] dgamma[d] dbeta[d] | 4 n d"
        ),
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
