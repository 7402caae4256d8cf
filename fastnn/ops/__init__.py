"""Checked functions on arrays: validate, allocate or take ``out=``, choose, call a kernel.

Arrays may have any layout and real dtype; results are float32 or float64. An argument that
does not fit raises an error that names it, what was expected and what came, before anything
is written. A trailing underscore means in place.

Functions stand by subject, as in :mod:`fastnn.reference`; those of update rules in `updates`, with
the rules' records. What they share: `_arrays` checks arrays and brings them into the kernels' form,
`_targets` checks labels and probabilities, `_windows` images and windows; `_dispatch` calls the
kernel or its reference; `_memory` has memory for large results.
"""

import sys as _sys
from importlib import import_module as _import_module
from typing import TYPE_CHECKING

from fastnn.ops.activations import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    silu,
    silu_backward,
    softmax,
    softplus,
    softplus_backward,
    tanh,
    tanh_backward,
)
from fastnn.ops.affine import affine, affine_backward, affine_relu, affine_relu_backward
from fastnn.ops.batchnorm import (
    batchnorm,
    batchnorm_backward,
    batchnorm_inference,
    batchnorm_relu,
    batchnorm_relu_backward,
    batchnorm_relu_inference,
)
from fastnn.ops.convolution import convolution, convolution_backward
from fastnn.ops.dropout import dropout, dropout_backward, dropout_inference
from fastnn.ops.layernorm import layernorm, layernorm_backward

if TYPE_CHECKING:
    from fastnn.ops.losses import (
        binary_cross_entropy,
        huber,
        mean_squared_error,
        poisson,
        softmax_cross_entropy,
    )
    from fastnn.ops.patches import col2im, im2col
    from fastnn.ops.pooling import max_pool, max_pool_backward, max_pool_backward_shared
    from fastnn.ops.random import choices, permutation
    from fastnn.ops.updates.adagrad import adagrad_
    from fastnn.ops.updates.adam import adam_
    from fastnn.ops.updates.adamax import adamax_
    from fastnn.ops.updates.amsgrad import amsgrad_
    from fastnn.ops.updates.lion import lion_
    from fastnn.ops.updates.momentum import momentum_, nesterov_
    from fastnn.ops.updates.nadam import nadam_
    from fastnn.ops.updates.rmsprop import rmsprop_
    from fastnn.ops.updates.sgd import sgd_

__all__ = [
    "adagrad_",
    "adam_",
    "adamax_",
    "affine",
    "affine_backward",
    "affine_relu",
    "affine_relu_backward",
    "amsgrad_",
    "batchnorm",
    "batchnorm_backward",
    "batchnorm_inference",
    "batchnorm_relu",
    "batchnorm_relu_backward",
    "batchnorm_relu_inference",
    "binary_cross_entropy",
    "choices",
    "col2im",
    "convolution",
    "convolution_backward",
    "dropout",
    "dropout_backward",
    "dropout_inference",
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "huber",
    "im2col",
    "layernorm",
    "layernorm_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "lion_",
    "max_pool",
    "max_pool_backward",
    "max_pool_backward_shared",
    "mean_squared_error",
    "momentum_",
    "nadam_",
    "nesterov_",
    "permutation",
    "poisson",
    "relu",
    "relu_backward",
    "rmsprop_",
    "sgd_",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
]

if not TYPE_CHECKING:  # for a type checker, a module with __getattr__ has all names
    # Files that are loaded when one of their functions is asked for; not those of that name, as
    # Python puts a file in the place of the function when it loads it.
    _HOMES = {
        "fastnn.ops.losses": (
            "binary_cross_entropy",
            "huber",
            "mean_squared_error",
            "poisson",
            "softmax_cross_entropy",
        ),
        "fastnn.ops.patches": (
            "col2im",
            "im2col",
        ),
        "fastnn.ops.pooling": (
            "max_pool",
            "max_pool_backward",
            "max_pool_backward_shared",
        ),
        "fastnn.ops.random": (
            "choices",
            "permutation",
        ),
        "fastnn.ops.updates.adagrad": ("adagrad_",),
        "fastnn.ops.updates.adam": ("adam_",),
        "fastnn.ops.updates.adamax": ("adamax_",),
        "fastnn.ops.updates.amsgrad": ("amsgrad_",),
        "fastnn.ops.updates.lion": ("lion_",),
        "fastnn.ops.updates.momentum": (
            "momentum_",
            "nesterov_",
        ),
        "fastnn.ops.updates.nadam": ("nadam_",),
        "fastnn.ops.updates.rmsprop": ("rmsprop_",),
        "fastnn.ops.updates.sgd": ("sgd_",),
    }

    def __getattr__(name):
        """Load the file of a function, once: all of them take as long as a quarter of NumPy."""
        home = next((home for home, names in _HOMES.items() if name in names), None)
        if home is None:
            message = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=_sys.modules[__name__])
        value = globals()[name] = getattr(_import_module(home), name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
