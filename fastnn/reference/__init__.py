"""Every kernel again, in plain NumPy: the oracle, the baseline and the fallback.

Written to be read: the formula, nothing else. Each function writes to the arrays that it is
given for its results, like the kernel of the same name in :mod:`fastnn.kernels`.
"""

from fastnn.reference.activations import (
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
from fastnn.reference.affine import affine, affine_backward, affine_relu, affine_relu_backward
from fastnn.reference.batchnorm import (
    batchnorm,
    batchnorm_backward,
    batchnorm_inference,
)
from fastnn.reference.batchnorm_nchw import (
    batchnorm_nchw,
    batchnorm_nchw_backward,
    batchnorm_nchw_inference,
)
from fastnn.reference.convolution import convolution, convolution_backward
from fastnn.reference.dropout import dropout, dropout_backward, dropout_inference
from fastnn.reference.layernorm import layernorm, layernorm_backward
from fastnn.reference.losses import (
    binary_cross_entropy,
    huber,
    mean_squared_error,
    poisson,
    softmax_cross_entropy,
    softmax_cross_entropy_dense,
)
from fastnn.reference.optimizers import (
    adagrad_,
    adam_,
    adamax_,
    amsgrad_,
    lion_,
    momentum_,
    nadam_,
    nesterov_,
    rmsprop_,
    sgd_,
)
from fastnn.reference.patches import col2im, im2col
from fastnn.reference.pooling import max_pool, max_pool_backward, max_pool_backward_shared
from fastnn.reference.random import choices, permutation

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
    "gelu_tanh",
    "gelu_tanh_backward",
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
    "softmax_cross_entropy_dense",
    "softplus",
    "softplus_backward",
    "tanh",
    "tanh_backward",
]
