"""Bad input gets an error that names the argument, and nothing has been written then."""

import re

import numpy as np
import pytest

from fastnn import config, ops

N, D, H = 6, 5, 4


def values(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def read_only(*shape):
    a = np.zeros(shape)
    a.flags.writeable = False
    return a


def bn(**changes):
    """Return good arguments of batchnorm, changed."""
    good = {
        "x": values(N, D),
        "gamma": values(D),
        "beta": values(D),
        "running_mean": np.zeros(D),
        "running_var": np.ones(D),
    }
    return good | changes


def ln(**changes):
    """Return good arguments of layernorm_backward, changed."""
    good = {"dout": values(N, D), "x": values(N, D), "gamma": values(D)}
    return good | {"mean": values(N), "rstd": values(N)} | changes


def adam(**changes):
    good = {k: np.abs(values(N, D)) for k in "pgmv"}
    return good | {"step": 1} | changes


def averages(*names, **others):
    """Return what makes good arguments of an update, changed, with these states."""

    def make(**changes):
        return {name: np.ones(3) for name in ("p", "g", *names)} | {"step": 1} | others | changes

    return make


nadam, adamax = averages("m", "v", mu_product=1.0), averages("m", "u")
amsgrad = averages("m", "v", "v_max")


def conv(**changes):
    """Return good arguments of convolution, changed."""
    return {"x": values(2, 3, 6, 5), "W": values(4, 3, 2, 3), "b": values(4)} | changes


def conv_back(**changes):
    good = {"dout": values(2, 4, 5, 3), "x": values(2, 3, 6, 5), "W": values(4, 3, 2, 3)}
    return good | changes


def pool_back(**changes):
    good = {"dout": values(1, 1, 2, 2), "argmax": np.zeros((1, 1, 2, 2), np.int32)}
    return good | {"input_shape": (1, 1, 4, 4), "pool_h": 2, "pool_w": 2, "stride": 2} | changes


shared = np.ones((3, N, D))
shared_images = np.ones((2, 3, 6, 5))

# (function, arguments by name, error, what its message says)
BAD = [
    # Shapes.
    (ops.affine, {"x": values(N), "W": values(D, H), "b": values(H)}, ValueError,
     r"x: expected 2 axes \(N, D\), got shape \(6,\)"),
    (ops.affine, {"x": values(N, D), "W": values(D), "b": values(H)}, ValueError,
     r"W: expected 2 axes \(D, H\), got shape \(5,\)"),
    (ops.affine, {"x": values(N, D), "W": values(3, H), "b": values(H)}, ValueError,
     r"W: expected 5 rows.* x of shape \(6, 5\).* got shape \(3, 4\)"),
    (ops.affine_relu, {"x": values(N, D), "W": values(D, H), "b": values(3)}, ValueError,
     r"b: expected shape \(4,\) to match W of shape \(5, 4\), got \(3,\)"),
    (ops.affine_backward, {"dout": values(N, 3), "x": values(N, D), "W": values(D, H)}, ValueError,
     r"dout: expected shape \(6, 4\) to match x of shape \(6, 5\) .*got \(6, 3\)"),
    (ops.affine_relu_backward,
     {"dout": values(N, H), "x": values(N, D), "W": values(D, H), "y": values(N, 3)}, ValueError,
     r"y: expected shape \(6, 4\) like dout, got \(6, 3\)"),
    (ops.relu_backward, {"dout": values(3), "y": values(4)}, ValueError,
     r"dout: expected shape \(4,\) like y, got \(3,\)"),
    (ops.elu_backward, {"dout": values(3), "y": values(4)}, ValueError,
     r"dout: expected shape \(4,\) like y, got \(3,\)"),
    (ops.gelu_backward, {"dout": values(3), "x": values(4)}, ValueError,
     r"dout: expected shape \(4,\) like x, got \(3,\)"),
    (ops.silu_backward, {"dout": values(3), "x": np.array(["1"] * 3)}, TypeError,
     r"x: expected an array of real numbers, got dtype <U1"),
    (ops.gelu, {"x": values(3), "approximate": "Tanh"}, ValueError,
     r"approximate: expected one of none, tanh, got 'Tanh'"),
    (ops.gelu, {"x": values(3), "approximate": True}, ValueError,
     r"approximate: expected one of none, tanh, got True"),
    (ops.gelu_backward, {"dout": values(3), "x": values(3), "approximate": "erf"}, ValueError,
     r"approximate: expected one of none, tanh, got 'erf'"),
    (ops.leaky_relu, {"x": values(3), "negative_slope": -0.1}, ValueError,
     r"negative_slope: expected a number of at least 0, got -0.1"),
    (ops.leaky_relu_backward, {"dout": values(3), "y": values(3), "negative_slope": np.nan},
     ValueError, r"negative_slope: expected a number of at least 0, got nan"),
    (ops.elu, {"x": values(3), "alpha": np.inf}, ValueError,
     r"alpha: expected a number of at least 0, got inf"),
    (ops.elu_backward, {"dout": values(3), "y": values(3), "alpha": "1"}, TypeError,
     r"alpha: expected a number of at least 0, got '1'"),
    (ops.softplus, {"x": values(3), "out": np.empty(4)}, ValueError,
     r"out: expected shape \(3,\) for this result, got \(4,\)"),
    (ops.softmax, {"x": values(3)}, ValueError, r"x: expected 2 axes \(N, C\), got shape \(3,\)"),
    (ops.softmax, {"x": values(3, 0)}, ValueError, r"x: expected at least one class"),
    (ops.mean_squared_error, {"x": values(N, D), "t": values(N, 1)}, ValueError,
     r"t: expected shape \(6, 5\) like x, got \(6, 1\)"),
    (ops.batchnorm, bn(gamma=values(3)), ValueError,
     r"gamma: expected shape \(5,\) to match axis 1 of x of shape \(6, 5\), got \(3,\)"),
    (ops.batchnorm, bn(running_var=np.ones(3)), ValueError, r"running_var: expected shape \(5,\)"),
    (ops.batchnorm, bn(x=values(N)), ValueError, r"x: expected shape \(N, D\) or \(N, C, \.\.\.\)"),
    (ops.batchnorm_inference, bn(x=values(N)), ValueError, r"x: expected shape \(N, D\) or"),
    (ops.batchnorm_backward,
     {"dout": values(N, 3), "x": values(N, D), "gamma": values(D), "mean": values(D),
      "rstd": values(D)}, ValueError, r"dout: expected shape \(6, 5\) like x, got \(6, 3\)"),
    (ops.batchnorm_relu, bn(gamma=values(3)), ValueError, r"gamma: expected shape \(5,\) to match"),
    (ops.batchnorm_relu_inference, bn(x=values(N)), ValueError, r"x: expected shape \(N, D\) or"),
    (ops.batchnorm_relu_backward,
     {"dout": values(N, D), "x": values(N, D), "gamma": values(D), "mean": values(D),
      "rstd": values(D), "y": values(N, 3)}, ValueError,
     r"y: expected shape \(6, 5\) like x, got \(6, 3\)"),
    (ops.convolution, conv(x=values(3, 6, 5)), ValueError,
     r"x: expected 4 axes \(N, C, H, W\), got shape \(3, 6, 5\)"),
    (ops.convolution, conv(W=values(4, 18)), ValueError,
     r"W: expected 4 axes \(F, C, FH, FW\), got shape \(4, 18\)"),
    (ops.convolution, conv(W=values(4, 2, 2, 3)), ValueError,
     r"W: expected filters for 3 channels, those of x of shape \(2, 3, 6, 5\), "
     r"got shape \(4, 2, 2, 3\)"),
    (ops.convolution, conv(W=values(0, 3, 2, 3)), ValueError, r"W: expected at least one filter"),
    (ops.convolution, conv(W=values(4, 3, 2, 6)), ValueError,
     r"x: expected images that a window of 2 x 6 fits in, got shape \(2, 3, 6, 5\)"),
    (ops.convolution, conv(W=values(4, 3, 9, 1), pad=1), ValueError,
     r"x: expected images that a window of 9 x 1 fits in with 1 of padding on each side, "),
    (ops.convolution, conv(b=values(3)), ValueError,
     r"b: expected shape \(4,\) to match W of shape \(4, 3, 2, 3\), got \(3,\)"),
    (ops.convolution_backward, conv_back(dout=values(2, 4, 6, 3)), ValueError,
     r"dout: expected shape \(2, 4, 5, 3\) to match x of shape \(2, 3, 6, 5\) and W of shape "),
    (ops.im2col, {"x": values(3, 6), "filter_h": 2, "filter_w": 2}, ValueError, r"x: expected 4 a"),
    (ops.col2im, {"col": values(4, 5), "input_shape": (1, 1, 3, 3), "filter_h": 2, "filter_w": 2},
     ValueError, r"col: expected shape \(4, 4\) to match images of shape \(1, 1, 3, 3\), got"),
    (ops.col2im, {"col": values(4, 4), "input_shape": (1, 3, 3), "filter_h": 2, "filter_w": 2},
     ValueError, r"input_shape: expected four numbers \(N, C, H, W\), got \(1, 3, 3\)"),
    (ops.col2im, {"col": values(4, 4), "input_shape": (1, 1, 3, -3), "filter_h": 2, "filter_w": 2},
     ValueError, r"input_shape: expected an integer from 0"),
    (ops.max_pool, {"x": values(6, 5), "pool_h": 2, "pool_w": 2}, ValueError,
     r"x: expected 4 axes"),
    (ops.max_pool, {"x": values(2, 3, 6, 5), "pool_h": 7, "pool_w": 2, "stride": 1}, ValueError,
     r"x: expected images that a window of 7 x 2 fits in, got shape \(2, 3, 6, 5\)"),
    (ops.max_pool_backward, pool_back(dout=values(1, 1, 2, 3)), ValueError,
     r"dout: expected shape \(1, 1, 2, 2\) to match images of shape \(1, 1, 4, 4\), got"),
    (ops.max_pool_backward, pool_back(argmax=np.zeros((2, 2), int)), ValueError,
     r"argmax: expected shape \(1, 1, 2, 2\) like dout, got \(2, 2\)"),
    (ops.max_pool_backward, pool_back(argmax=np.full((1, 1, 2, 2), 4)), ValueError,
     r"argmax: expected places from 0 to 3, got 4"),
    (ops.max_pool_backward, pool_back(argmax=np.full((1, 1, 2, 2), -1)), ValueError,
     r"argmax: expected places from 0 to 3, got -1"),
    (ops.max_pool_backward, pool_back(argmax=np.zeros((1, 1, 2, 2))), TypeError,
     r"argmax: expected an integer dtype, got float64"),
    (ops.max_pool_backward_shared,
     {"dout": values(1, 1, 2, 2), "x": values(1, 1, 4, 4), "y": values(1, 1, 2, 3), "pool_h": 2,
      "pool_w": 2, "stride": 2}, ValueError, r"y: expected shape \(1, 1, 2, 2\) like dout, got"),
    (ops.layernorm, {"x": values(N), "gamma": values(D), "beta": values(D)}, ValueError,
     r"x: expected 2 axes \(N, D\), got shape \(6,\)"),
    (ops.layernorm, {"x": values(N, D), "gamma": values(D), "beta": values(N)}, ValueError,
     r"beta: expected shape \(5,\) to match axis 1 of x of shape \(6, 5\), got \(6,\)"),
    (ops.layernorm, {"x": values(N, 0), "gamma": values(0), "beta": values(0)}, ValueError,
     r"x: expected at least one feature, got shape \(6, 0\)"),
    (ops.layernorm_backward, ln(dout=values(N)), ValueError,
     r"dout: expected shape \(6, 5\) like x, got \(6,\)"),
    (ops.layernorm_backward, ln(rstd=values(D)), ValueError,
     r"rstd: expected shape \(6,\) to match axis 0 of x of shape \(6, 5\), got \(5,\)"),
    (ops.dropout_backward, {"dout": values(N), "mask": np.ones(3, bool), "ratio": 0.5}, ValueError,
     r"mask: expected shape \(6,\) like dout, got \(3,\)"),
    (ops.adam_, adam(g=values(D, N)), ValueError, r"g: expected shape \(6, 5\) like p"),
    (ops.adam_, adam(v=np.zeros(N)), ValueError, r"v: expected shape \(6, 5\) like p, got \(6,\)"),
    (ops.lion_, {"p": np.ones(3), "g": np.ones(3), "m": np.ones(4)}, ValueError,
     r"m: expected shape \(3,\) like p, got \(4,\)"),
    (ops.amsgrad_, amsgrad(v_max=np.zeros(2)), ValueError, r"v_max: expected shape \(3,\) like p"),
    # Rows of different lengths.
    (ops.relu, {"x": [[1, 2], [3]]}, ValueError, r"x: expected an array of real numbers: "),
    (ops.sgd_, {"p": [[1, 2], [3]], "g": np.ones(2)}, ValueError, r"p: expected an array of real"),
    (ops.softmax_cross_entropy, {"x": values(2, 3), "t": [[1, 2], [3]]}, ValueError,
     r"t: expected an array of real numbers: "),
    (ops.max_pool_backward, pool_back(argmax=[[1, 2], [3]]), ValueError,
     r"argmax: expected an array of real numbers: "),
    (ops.dropout_backward, {"dout": np.ones(2), "mask": [[True, False], [True]], "ratio": 0.5},
     ValueError, r"mask: expected an array of real numbers: "),
    # Dtypes.
    (ops.relu, {"x": np.ones(3, complex)}, TypeError, r"x: .*real numbers, got dtype complex128"),
    (ops.relu, {"x": np.array(["a"])}, TypeError, r"x: expected an array of real numbers, got"),
    (ops.relu, {"x": np.array([None])}, TypeError, r"x: .*got dtype object"),
    (ops.affine, {"x": values(N, D), "W": values(D, H), "b": np.array(list("abcd"))}, TypeError,
     r"b: expected an array of real numbers"),
    (ops.sgd_, {"p": np.ones(3, int), "g": np.ones(3)}, TypeError,
     r"p: expected dtype float32 or float64, got int64"),
    (ops.sgd_, {"p": np.ones(3, np.float16), "g": np.ones(3)}, TypeError, r"p: .*got float16"),
    (ops.sgd_, {"p": [1.0, 2.0], "g": np.ones(2)}, TypeError,
     r"p: expected an array to write to, got list"),
    (ops.sgd_, {"p": np.ones(3), "g": np.ones(3, complex)}, TypeError, r"g: .*got dtype complex"),
    (ops.adam_, adam(m=np.zeros((N, D), int)), TypeError, r"m: expected dtype float32 or float64"),
    (ops.batchnorm, bn(running_mean=np.zeros(D, int)), TypeError, r"running_mean: expected dtype"),
    (ops.batchnorm, bn(running_mean=[0.0] * D), TypeError, r"running_mean: expected an array"),
    (ops.dropout_backward, {"dout": values(3), "mask": np.ones(3), "ratio": 0.5}, TypeError,
     r"mask: expected dtype bool, got float64"),
    # Labels and batches.
    (ops.softmax_cross_entropy, {"x": values(2, 3), "t": [0, 3]}, ValueError,
     r"t: expected labels from 0 to 2, got 3"),
    (ops.softmax_cross_entropy, {"x": values(2, 3), "t": [-1, 0]}, ValueError,
     r"t: expected labels from 0 to 2, got -1"),
    (ops.softmax_cross_entropy, {"x": values(2, 3), "t": np.array([2**63, 0], np.uint64)},
     ValueError, r"t: expected labels from 0 to 2, got 9223372036854775808"),
    (ops.softmax_cross_entropy, {"x": values(2, 3), "t": [0.0, 1.0]}, TypeError,
     r"t: expected labels of an integer dtype, got float64"),
    (ops.softmax_cross_entropy, {"x": values(2, 3), "t": [0, 1, 2]}, ValueError,
     r"t: expected 2 labels of shape \(2,\) or targets of shape \(2, 3\), got shape \(3,\)"),
    (ops.softmax_cross_entropy, {"x": values(0, 3), "t": np.zeros(0, int)}, ValueError,
     r"x: expected at least one sample and one column, got shape \(0, 3\)"),
    (ops.softmax_cross_entropy, {"x": values(0, 3), "t": values(0, 3)}, ValueError,
     r"x: expected at least one sample"),
    (ops.mean_squared_error, {"x": values(0, 3), "t": values(0, 3)}, ValueError,
     r"x: expected at least one sample"),
    (ops.batchnorm, bn(x=values(0, D)), ValueError, r"x: expected at least one sample"),
    (ops.batchnorm, bn(x=np.zeros((2, D, 0, 3))), ValueError, r"x: expected at least one sample"),
    # Hyper-parameters.
    (ops.sgd_, {"p": np.ones(3), "g": np.ones(3), "lr": 0}, ValueError,
     r"lr: expected a number above 0, got 0"),
    (ops.adam_, adam(lr=-0.1), ValueError, r"lr: expected a number above 0, got -0.1"),
    (ops.adam_, adam(lr=np.nan), ValueError, r"lr: expected a number above 0, got nan"),
    (ops.adam_, adam(lr=np.inf), ValueError, r"lr: expected a number above 0, got inf"),
    (ops.adam_, adam(lr="0.1"), TypeError, r"lr: expected a number above 0, got '0.1'"),
    (ops.adam_, adam(lr=1 + 2j), TypeError, r"lr: expected a number above 0, got \(1\+2j\)"),
    (ops.adam_, adam(lr=np.complex128(1)), TypeError, r"lr: expected a number above 0, got"),
    (ops.adam_, adam(lr=10**400), ValueError, r"lr: expected a number above 0, got 1000"),
    (ops.adam_, adam(lr=None), TypeError, r"lr: expected a number above 0, got None"),
    (ops.amsgrad_, amsgrad(step=0), ValueError, r"step: expected an integer from 1 "),
    (ops.adamax_, adamax(eps=np.nan), ValueError, r"eps: expected a number of at least 0, got nan"),
    (ops.nadam_, nadam(mu_product=1.1), ValueError, r"mu_product: expected a number in \[0, 1\]"),
    (ops.nadam_, nadam(mu_product=None), TypeError, r"mu_product: expected a number in \[0, 1\]"),
    (ops.nadam_, nadam(momentum_decay=-1), ValueError, r"momentum_decay: expected a number of"),
    (ops.lion_, {"p": np.ones(3), "g": np.ones(3), "m": np.ones(3), "beta2": 1.0}, ValueError,
     r"beta2: expected a number in \[0, 1\), got 1.0"),
    (ops.adam_, adam(beta1=1), ValueError, r"beta1: expected a number in \[0, 1\), got 1"),
    (ops.adam_, adam(beta2=-0.1), ValueError, r"beta2: expected a number in \[0, 1\), got -0.1"),
    (ops.adam_, adam(eps=-1e-8), ValueError, r"eps: expected a number of at least 0, got -1e-08"),
    (ops.adam_, adam(weight_decay=-1), ValueError, r"weight_decay: expected a number of at least"),
    (ops.adam_, adam(step=0), ValueError, r"step: expected an integer from 1 "),
    (ops.adam_, adam(step=1.5), TypeError, r"step: expected an integer, got 1.5"),
    (ops.adam_, adam(bias_correction="none"), ValueError,
     r"bias_correction: expected one of folded, explicit, got 'none'"),
    (ops.momentum_, {"p": np.ones(3), "g": np.ones(3), "v": np.zeros(3), "momentum": 1},
     ValueError, r"momentum: expected a number in \[0, 1\)"),
    (ops.rmsprop_, {"p": np.ones(3), "g": np.ones(3), "h": np.zeros(3), "decay_rate": 1.5},
     ValueError, r"decay_rate: expected a number in \[0, 1\)"),
    (ops.batchnorm, bn(momentum=1.5), ValueError, r"momentum: expected a number in \[0, 1\]"),
    (ops.layernorm, {"x": values(N, D), "gamma": values(D), "beta": values(D), "eps": -1},
     ValueError, r"eps: expected a number of at least 0, got -1"),
    (ops.batchnorm, bn(eps=-1), ValueError, r"eps: expected a number of at least 0"),
    (ops.convolution, conv(stride=0), ValueError, r"stride: expected an integer from 1 to"),
    (ops.convolution, conv(stride=1.5), TypeError, r"stride: expected an integer, got 1.5"),
    (ops.convolution_backward, conv_back(pad=-1), ValueError, r"pad: expected an integer from"),
    (ops.im2col, {"x": values(1, 1, 3, 3), "filter_h": 0, "filter_w": 2}, ValueError,
     r"filter_h: expected an integer from 1 to 2147483647, got 0"),
    (ops.max_pool, {"x": values(1, 1, 3, 3), "pool_h": 2, "pool_w": "2"}, TypeError,
     r"pool_w: expected an integer, got '2'"),
    (ops.dropout, {"x": values(3), "ratio": 1, "seed": 0}, ValueError,
     r"ratio: expected a number in \[0, 1\), got 1"),
    (ops.dropout, {"x": values(3), "ratio": -0.1, "seed": 0}, ValueError, r"ratio: expected"),
    (ops.dropout, {"x": values(3), "ratio": 0.5, "seed": -1}, ValueError,
     r"seed: expected an integer from 0 to 18446744073709551615, got -1"),
    (ops.dropout, {"x": values(3), "ratio": 0.5, "seed": 0.5}, TypeError, r"seed: expected"),
    (ops.dropout_inference, {"x": values(3), "ratio": 2}, ValueError, r"ratio: expected"),
    (ops.permutation, {"n": -1, "seed": 0}, ValueError, r"n: expected an integer from 0 to"),
    (ops.permutation, {"n": 5.0, "seed": 0}, TypeError, r"n: expected an integer, got 5.0"),
    (ops.permutation, {"n": 5, "seed": 2**64}, ValueError, r"seed: expected an integer from 0"),
    (ops.permutation, {"n": 5, "seed": 0, "step": -1}, ValueError, r"step: expected"),
    (ops.choices, {"n": 0, "size": 3, "seed": 0}, ValueError, r"n: expected an integer from 1"),
    (ops.choices, {"n": 5, "size": -3, "seed": 0}, ValueError, r"size: expected"),
    # Arrays to be written.
    (ops.permutation, {"n": 3, "seed": 0, "out": np.zeros(3, np.int32)}, TypeError,
     r"out: expected dtype int64, got int32"),
    (ops.choices, {"n": 3, "size": 4, "seed": 0, "out": np.zeros(3, np.int64)}, ValueError,
     r"out: expected shape \(4,\) for this result, got \(3,\)"),
    (ops.sgd_, {"p": read_only(3), "g": np.ones(3)}, ValueError,
     r"p: expected an array that can be written, got a read-only one"),
    (ops.adam_, adam(v=read_only(N, D)), ValueError, r"v: expected an array that can be written"),
    (ops.amsgrad_, amsgrad(v_max=read_only(3)), ValueError,
     r"v_max: expected an array that can be written"),
    (ops.batchnorm, bn(running_mean=read_only(D)), ValueError, r"running_mean: .*can be written"),
    (ops.relu, {"x": values(3), "out": read_only(3)}, ValueError, r"out: .*can be written"),
    (ops.relu, {"x": values(3), "out": np.zeros(4)}, ValueError,
     r"out: expected shape \(3,\) for this result, got \(4,\)"),
    (ops.relu, {"x": values(3), "out": np.zeros(3, np.float32)}, TypeError,
     r"out: expected dtype float64, got float32"),
    (ops.relu, {"x": values(3), "out": [0, 0, 0]}, TypeError,
     r"out: expected an array to write to, got list"),
    (ops.affine_backward,
     {"dout": values(N, H), "x": values(N, D), "W": values(D, H), "dW": np.zeros((H, D))},
     ValueError, r"dW: expected shape \(5, 4\) for this result, got \(4, 5\)"),
    (ops.convolution, conv(out=np.zeros((2, 4, 5, 4))), ValueError,
     r"out: expected shape \(2, 4, 5, 3\) for this result, got \(2, 4, 5, 4\)"),
    (ops.convolution_backward, conv_back(dW=np.zeros((4, 3, 2, 3), np.float32)), TypeError,
     r"dW: expected dtype float64, got float32"),
    (ops.max_pool, {"x": values(1, 1, 3, 3), "pool_h": 2, "pool_w": 2,
                    "argmax": np.zeros((1, 1, 2, 2), np.int64)}, TypeError,
     r"argmax: expected dtype int32, got int64"),
    (ops.layernorm_backward, ln(dgamma=shared[0, 0], dbeta=shared[0, 0]), ValueError,
     r"dbeta: expected memory of its own, got memory of dgamma"),
    # Arrays that share memory.
    (ops.convolution_backward, conv_back(db=shared_images[0, 0, 0, :4], dx=shared_images),
     ValueError, r"db: expected memory of its own, got memory of dx"),
    (ops.adam_, adam(p=shared[0], m=shared[0]), ValueError, r"m: .*memory of its own, .*p"),
    (ops.adam_, adam(m=shared[1], v=shared[1]), ValueError, r"v: .*memory of its own, .*m"),
    (ops.sgd_, {"p": shared[0, 0, :4], "g": shared[0, 0, 1:]}, ValueError, r"g: .*memory of p"),
    (ops.batchnorm, bn(running_mean=shared[0, 0], running_var=shared[0, 0]), ValueError,
     r"running_var: expected memory of its own, got memory of running_mean"),
    (ops.batchnorm, bn(running_mean=shared[0, 0], gamma=shared[0, 0]), ValueError,
     r"running_mean: expected memory of its own, got memory of gamma"),
    (ops.affine_backward,
     {"dout": values(N, D), "x": values(N, D), "W": values(D, D), "dW": shared[0, :5],
      "dx": shared[0]}, ValueError, r"dW: expected memory of its own, got memory of dx"),
]  # fmt: skip


@pytest.mark.parametrize("backend", config.BACKENDS)
@pytest.mark.parametrize(("function", "arguments", "error", "message"), BAD)
def test_error(function, arguments, error, message, backend):
    before = {k: np.copy(a) for k, a in arguments.items() if isinstance(a, np.ndarray)}
    with config.use_backend(backend), pytest.raises(error, match="^" + message) as caught:
        function(**arguments)
    assert re.search(message, str(caught.value))
    for name, array in before.items():
        np.testing.assert_array_equal(arguments[name], array, err_msg=f"{name} was written to")


def test_interleaved_arrays_are_apart():
    """Two arrays whose memory interleaves do not overlap, and are not refused."""
    memory = np.ones(20)
    ops.momentum_(memory[::2], np.ones(10), memory[1::2], lr=0.5, momentum=0.5)
    np.testing.assert_array_equal(memory[1::2], 0.0)
    np.testing.assert_array_equal(memory[::2], 1.0)
