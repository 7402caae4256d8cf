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
        "softmax_cross_entropy": "x[n,c] t:int64[n] -> loss:float64[1] dx[n,c] | 10 n c",
        "softmax_cross_entropy_dense": (
            "x[n,c] t[n,c] slack:float -> loss:float64[1] dx[n,c] | 10 n c"
        ),
        "mean_squared_error": "x[n,d] t[n,d] -> loss:float64[1] dx[n,d] | n d",
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
            " -> out[n,c,p,q] argmax:int32[n,c,p,q] | n c h w"
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
        "im2col": (
            "x[n,c,h,w] filter_h:int filter_w:int stride:int pad:int -> out[r,k] | r k"
        ),
        "col2im": (
            "col[r,k] filter_h:int filter_w:int stride:int pad:int -> out[n,c,h,w] | r k"
        ),
    },
    "layers.convolution": {
        "convolution": (
            "x[n,c,h,w] W[f,c,i,j] b[f] stride:int pad:int -> out[n,f,p,q]"
            " & stepped_product | n p q f c i j / 4"
        ),
        "convolution_backward": (
            "dout[n,f,p,q] x[n,c,h,w] W[f,c,i,j] stride:int pad:int"
            " -> dx?[n,c,h,w] dW[f,c,i,j] db[f] & stepped_product | n p q f c i j / 4"
        ),
    },
}
# By module, the names of its parts: functions of integers that kernels and programs call.
_PARTS: dict[str, tuple[str, ...]] = {
    "gemm.product": ("product",),
    "gemm.products": ("stepped_product",),
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
