"""The functions of :mod:`fastnn.ops` in plain NumPy, as one writes them without this library.

Each takes the arguments that :mod:`fastnn._bench.calls.arguments` makes and has the settings that
``ops`` has by default. They compute in the dtype of their arguments, allocate their results, and
are the fastest of the straightforward ways. Nothing is checked.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_rng = np.random.default_rng(0)
_erf = np.frompyfunc(math.erf, 1, 1)  # NumPy has none

# What they draw is other numbers than ours.
RANDOM = {"choices", "dropout", "permutation"}


def affine(x: Any, W: Any, b: Any) -> Any:
    return x @ W + b


def affine_relu(x: Any, W: Any, b: Any) -> Any:
    return np.maximum(x @ W + b, 0)


def affine_backward(dout: Any, x: Any, W: Any) -> Any:
    return dout @ W.T, x.T @ dout, dout.sum(axis=0)


def affine_relu_backward(dout: Any, x: Any, W: Any, y: Any) -> Any:
    dz = dout * (y > 0)
    return dz @ W.T, x.T @ dz, dz.sum(axis=0)


# Activations --------------------------------------------------------------------------------


def relu(x: Any) -> Any:
    return np.maximum(x, 0)


def relu_backward(dout: Any, y: Any) -> Any:
    return dout * (y > 0)


def leaky_relu(x: Any) -> Any:
    return np.maximum(x, 0.01 * x)


def leaky_relu_backward(dout: Any, y: Any) -> Any:
    return np.where(y > 0, dout, 0.01 * dout)


def elu(x: Any) -> Any:
    return np.where(x > 0, x, np.expm1(x))


def elu_backward(dout: Any, y: Any) -> Any:
    return np.where(y > 0, dout, dout * (y + 1))


def _normal(x: Any) -> Any:
    return 0.5 + 0.5 * _erf(x * math.sqrt(0.5)).astype(x.dtype)


def gelu(x: Any) -> Any:
    return x * _normal(x)


def gelu_backward(dout: Any, x: Any) -> Any:
    return dout * (_normal(x) + x * np.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi)))


def silu(x: Any) -> Any:
    return x / (1 + np.exp(-x))


def silu_backward(dout: Any, x: Any) -> Any:
    s = 1 / (1 + np.exp(-x))
    return dout * (s * (1 + x * (1 - s)))


def softplus(x: Any) -> Any:
    return np.logaddexp(x, 0)


def softplus_backward(dout: Any, y: Any) -> Any:
    return dout * -np.expm1(-y)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def sigmoid_backward(dout: Any, y: Any) -> Any:
    return dout * (1 - y) * y


def tanh(x: Any) -> Any:
    return np.tanh(x)


def tanh_backward(dout: Any, y: Any) -> Any:
    return dout * (1 - y * y)


def softmax(x: Any) -> Any:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# Losses, with their gradients ---------------------------------------------------------------


def softmax_cross_entropy(x: Any, t: Any) -> Any:
    rows = np.arange(len(x))
    shifted = x - x.max(axis=1, keepdims=True)
    dx = np.exp(shifted)
    total = dx.sum(axis=1, keepdims=True)
    loss = (np.log(total[:, 0]) - shifted[rows, t]).mean()
    dx /= total
    dx[rows, t] -= 1
    dx /= len(x)
    return loss, dx


def mean_squared_error(x: Any, t: Any) -> Any:
    difference = x - t
    return 0.5 * (difference * difference).sum() / len(x), difference / len(x)


def binary_cross_entropy(x: Any, t: Any) -> Any:
    losses = np.maximum(x, 0) - t * x + np.log1p(np.exp(-np.abs(x)))
    return losses.sum() / len(x), (1 / (1 + np.exp(-x)) - t) / len(x)


def poisson(x: Any, t: Any) -> Any:
    e = np.exp(x)
    logs = np.log(t, out=np.zeros_like(t), where=t > 0)
    return (t * (logs - x) - t + e).sum() / len(x), (e - t) / len(x)


def huber(x: Any, t: Any) -> Any:
    difference = x - t
    near = np.clip(difference, -1, 1)
    return (near * (difference - 0.5 * near)).sum() / len(x), near / len(x)


# Normalisation ------------------------------------------------------------------------------


def batchnorm(x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
    mean = x.mean(axis=0)
    centred = x - mean
    var = (centred * centred).mean(axis=0)
    rstd = 1 / np.sqrt(var + 1e-6)
    running_mean *= 0.9
    running_mean += 0.1 * mean
    running_var *= 0.9
    running_var += 0.1 * var
    return centred * (gamma * rstd) + beta, mean, rstd


def batchnorm_relu(x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
    y, mean, rstd = batchnorm(x, gamma, beta, running_mean, running_var)
    return np.maximum(y, 0), mean, rstd


def batchnorm_inference(x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any) -> Any:
    return (x - running_mean) * (gamma / np.sqrt(running_var + 1e-6)) + beta


def batchnorm_relu_inference(
    x: Any, gamma: Any, beta: Any, running_mean: Any, running_var: Any
) -> Any:
    return np.maximum(batchnorm_inference(x, gamma, beta, running_mean, running_var), 0)


def batchnorm_backward(dout: Any, x: Any, gamma: Any, mean: Any, rstd: Any) -> Any:
    xhat = (x - mean) * rstd
    dbeta, dgamma = dout.sum(axis=0), (dout * xhat).sum(axis=0)
    n = len(x)
    return gamma * rstd * (dout - (xhat * (dgamma / n) + dbeta / n)), dgamma, dbeta


def batchnorm_relu_backward(dout: Any, x: Any, gamma: Any, mean: Any, rstd: Any, y: Any) -> Any:
    return batchnorm_backward(dout * (y > 0), x, gamma, mean, rstd)


def layernorm(x: Any, gamma: Any, beta: Any) -> Any:
    mean = x.mean(axis=1, keepdims=True)
    centred = x - mean
    rstd = 1 / np.sqrt((centred * centred).mean(axis=1, keepdims=True) + 1e-5)
    return centred * rstd * gamma + beta, mean, rstd


def layernorm_backward(dout: Any, x: Any, gamma: Any, mean: Any, rstd: Any) -> Any:
    rstd = rstd[:, None]
    xhat = (x - mean[:, None]) * rstd
    d = dout * gamma
    along = (d * xhat).mean(axis=1, keepdims=True)
    dx = rstd * (d - d.mean(axis=1, keepdims=True) - xhat * along)
    return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)


# Dropout, order -----------------------------------------------------------------------------


def dropout(x: Any, ratio: float, seed: int) -> Any:
    mask = _rng.random(x.shape, x.dtype) >= ratio
    return x * mask, mask


def dropout_backward(dout: Any, mask: Any, ratio: float) -> Any:
    return dout * mask


def dropout_inference(x: Any, ratio: float) -> Any:
    return x * (1 - ratio)


def permutation(n: int, seed: int) -> Any:
    return _rng.permutation(n)


def choices(n: int, size: int, seed: int) -> Any:
    return _rng.integers(n, size=size)


# Images -------------------------------------------------------------------------------------


def im2col(x: Any, filter_h: int, filter_w: int, stride: int, pad: int) -> Any:
    n, c, h, w = x.shape
    padded = np.zeros((n, c, h + 2 * pad, w + 2 * pad), x.dtype)
    padded[:, :, pad : pad + h, pad : pad + w] = x
    out_h, out_w = (h + 2 * pad - filter_h) // stride + 1, (w + 2 * pad - filter_w) // stride + 1
    col = np.empty((n, out_h, out_w, c, filter_h, filter_w), x.dtype)
    for i in range(filter_h):
        for j in range(filter_w):
            rows = slice(i, i + stride * out_h, stride)
            columns = slice(j, j + stride * out_w, stride)
            col[:, :, :, :, i, j] = padded[:, :, rows, columns].transpose(0, 2, 3, 1)
    return col.reshape(n * out_h * out_w, -1)


def col2im(col: Any, input_shape: Any, filter_h: int, filter_w: int, stride: int, pad: int) -> Any:
    n, c, h, w = input_shape
    out_h, out_w = (h + 2 * pad - filter_h) // stride + 1, (w + 2 * pad - filter_w) // stride + 1
    patches = col.reshape(n, out_h, out_w, c, filter_h, filter_w).transpose(0, 3, 4, 5, 1, 2)
    padded = np.zeros((n, c, h + 2 * pad, w + 2 * pad), col.dtype)
    for i in range(filter_h):
        for j in range(filter_w):
            rows = slice(i, i + stride * out_h, stride)
            columns = slice(j, j + stride * out_w, stride)
            padded[:, :, rows, columns] += patches[:, :, i, j]
    return padded[:, :, pad : pad + h, pad : pad + w]


def convolution(x: Any, W: Any, b: Any, stride: int, pad: int) -> Any:
    n, _, h, w = x.shape
    f, _, filter_h, filter_w = W.shape
    out_h, out_w = (h + 2 * pad - filter_h) // stride + 1, (w + 2 * pad - filter_w) // stride + 1
    y = im2col(x, filter_h, filter_w, stride, pad) @ W.reshape(f, -1).T + b
    return y.reshape(n, out_h, out_w, f).transpose(0, 3, 1, 2)


def convolution_backward(dout: Any, x: Any, W: Any, stride: int, pad: int) -> Any:
    f, _, filter_h, filter_w = W.shape
    col = im2col(x, filter_h, filter_w, stride, pad)
    rows = dout.transpose(0, 2, 3, 1).reshape(-1, f)
    dx = col2im(rows @ W.reshape(f, -1), x.shape, filter_h, filter_w, stride, pad)
    return dx, (rows.T @ col).reshape(W.shape), rows.sum(axis=0)


def _places(x: Any, y: Any, pool_h: int, pool_w: int, stride: int) -> Any:
    """Return a view of x for each place of a window."""
    h, w = stride * y.shape[2], stride * y.shape[3]
    return [
        x[:, :, i : i + h : stride, j : j + w : stride]
        for i in range(pool_h)
        for j in range(pool_w)
    ]


def max_pool(x: Any, pool_h: int, pool_w: int, stride: int) -> Any:
    n, c, h, w = x.shape
    out_h, out_w = (h - pool_h) // stride + 1, (w - pool_w) // stride + 1
    windows = np.empty((pool_h * pool_w, n, c, out_h, out_w), x.dtype)
    for k, place in enumerate(_places(x, windows[0], pool_h, pool_w, stride)):
        windows[k] = place
    return windows.max(axis=0), windows.argmax(axis=0)


def max_pool_backward(
    dout: Any, argmax: Any, input_shape: Any, pool_h: int, pool_w: int, stride: int
) -> Any:
    dx = np.zeros(input_shape, dout.dtype)
    for k, place in enumerate(_places(dx, dout, pool_h, pool_w, stride)):
        place += dout * (argmax == k)
    return dx


def max_pool_backward_shared(
    dout: Any, x: Any, y: Any, pool_h: int, pool_w: int, stride: int
) -> Any:
    dx = np.zeros_like(x)
    largest = [place == y for place in _places(x, y, pool_h, pool_w, stride)]
    share = dout / np.add.reduce(largest, dtype=dout.dtype)
    for place, here in zip(_places(dx, y, pool_h, pool_w, stride), largest, strict=True):
        place += share * here
    return dx


# Updates, in place --------------------------------------------------------------------------


def sgd_(p: Any, g: Any) -> None:
    p -= 0.01 * g


def momentum_(p: Any, g: Any, v: Any) -> None:
    v *= 0.9
    v -= 0.01 * g
    p += v


def nesterov_(p: Any, g: Any, v: Any) -> None:
    pull = 0.01 * g
    v *= 0.9
    v -= pull
    p += 0.9 * v - pull


def adagrad_(p: Any, g: Any, h: Any) -> None:
    h += g * g
    p -= 0.01 * g / (np.sqrt(h) + 1e-7)


def rmsprop_(p: Any, g: Any, h: Any) -> None:
    h *= 0.99
    h += 0.01 * g * g
    p -= 0.01 * g / (np.sqrt(h) + 1e-7)


def _moments(g: Any, m: Any, v: Any) -> None:
    m *= 0.9
    m += 0.1 * g
    v *= 0.999
    v += 0.001 * g * g


def adam_(p: Any, g: Any, m: Any, v: Any, step: int) -> None:
    _moments(g, m, v)
    rate = 0.001 * math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    p -= rate * m / (np.sqrt(v) + 1e-7)


def nadam_(p: Any, g: Any, m: Any, v: Any, step: int, mu_product: float) -> None:
    _moments(g, m, v)
    now, ahead = (0.9 * (1 - 0.5 * 0.96 ** (t * 0.004)) for t in (step, step + 1))
    product = mu_product * now
    of_g, of_m = 0.002 * (1 - now) / (1 - product), 0.002 * ahead / (1 - product * ahead)
    p -= (of_g * g + of_m * m) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)


def adamax_(p: Any, g: Any, m: Any, u: Any, step: int) -> None:
    m *= 0.9
    m += 0.1 * g
    u *= 0.999
    np.maximum(u, np.abs(g) + 1e-8, out=u)
    p -= 0.002 / (1 - 0.9**step) * m / u


def amsgrad_(p: Any, g: Any, m: Any, v: Any, v_max: Any, step: int) -> None:
    _moments(g, m, v)
    np.maximum(v_max, v, out=v_max)
    rate, scale = 0.001 / (1 - 0.9**step), 1 / (1 - 0.999**step)
    p -= rate * m / (np.sqrt(v_max * scale) + 1e-8)


def lion_(p: Any, g: Any, m: Any) -> None:
    p -= 1e-4 * np.sign(0.9 * m + 0.1 * g)
    m *= 0.99
    m += 0.01 * g
