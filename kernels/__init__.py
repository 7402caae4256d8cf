"""Numba kernels: the compiled arithmetic of fastnn, installed as ``fastnn.kernels``.

Each public function has a reference of the same name in :mod:`fastnn.reference` that says in plain
NumPy what it computes. A kernel takes its reference's arguments (an optimizer's, in place of the
arrays, a table of many: see :mod:`fastnn.kernels.updates.tables`) and, last, ``chunks``: the
number of pieces into which the work is cut (1 runs on the calling thread alone). Kernels trust
their input: :mod:`fastnn.ops` checks it.

From bottom to top: `codegen` makes machine code, `tuning` has all numbers that decide how fast it
is, `threading` cuts and shares work, `gemm` multiplies matrices and `random` draws numbers;
`layers` and `updates` are what networks consist of, and `program` puts them together to whole
trainings. `limits` has loops at the limits of the machine, to compare with.
"""

from fastnn.kernels.layers.activations import (
    elu,
    elu_backward,
    gelu,
    gelu_backward,
    gelu_tanh,
    gelu_tanh_backward,
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
from fastnn.kernels.layers.affine import affine, affine_backward, affine_relu, affine_relu_backward
from fastnn.kernels.layers.batchnorm import (
    batchnorm,
    batchnorm_backward,
    batchnorm_inference,
    batchnorm_relu,
    batchnorm_relu_backward,
    batchnorm_relu_inference,
)
from fastnn.kernels.layers.batchnorm_nchw import (
    batchnorm_nchw,
    batchnorm_nchw_backward,
    batchnorm_nchw_inference,
    batchnorm_nchw_relu,
    batchnorm_nchw_relu_backward,
    batchnorm_nchw_relu_inference,
)
from fastnn.kernels.layers.convolution import convolution, convolution_backward
from fastnn.kernels.layers.dropout import dropout, dropout_backward, dropout_inference
from fastnn.kernels.layers.layernorm import layernorm, layernorm_backward
from fastnn.kernels.layers.losses import (
    mean_squared_error,
    softmax_cross_entropy,
    softmax_cross_entropy_dense,
)
from fastnn.kernels.layers.patches import col2im, im2col
from fastnn.kernels.layers.pooling import max_pool, max_pool_backward, max_pool_backward_shared
from fastnn.kernels.random.sampling import choices, permutation
from fastnn.kernels.updates.adagrad import adagrad_
from fastnn.kernels.updates.adam import adam_
from fastnn.kernels.updates.adamax import adamax_
from fastnn.kernels.updates.amsgrad import amsgrad_
from fastnn.kernels.updates.lion import lion_
from fastnn.kernels.updates.momentum import momentum_, nesterov_
from fastnn.kernels.updates.nadam import nadam_
from fastnn.kernels.updates.rmsprop import rmsprop_
from fastnn.kernels.updates.sgd import sgd_

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
    "batchnorm_nchw",
    "batchnorm_nchw_backward",
    "batchnorm_nchw_inference",
    "batchnorm_nchw_relu",
    "batchnorm_nchw_relu_backward",
    "batchnorm_nchw_relu_inference",
    "batchnorm_relu",
    "batchnorm_relu_backward",
    "batchnorm_relu_inference",
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
    "gelu_tanh",
    "gelu_tanh_backward",
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
    "softmax_cross_entropy_dense",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
]
