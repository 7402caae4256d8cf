"""Checked functions on arrays: validate, allocate or take ``out=``, choose, call a kernel.

Arrays may have any layout and real dtype; results are float32 or float64. An argument that
does not fit raises an error that names it, what was expected and what came, before anything
is written. A trailing underscore means in place.

Functions stand by subject, as in :mod:`fastnn.reference`; those of update rules in `updates`, with
the rules' records. What they share: `_arrays` checks arrays and brings them into the kernels' form,
`_targets` checks labels and probabilities, `_windows` images and windows; `_dispatch` calls the
kernel or its reference; `_memory` has memory for large results.
"""

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
