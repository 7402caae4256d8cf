"""How far rounding may carry what layers compute at inference, worked out along the way.

Layer by layer, beside the output in float64, a bound of the distance from it that any way to
compute it with numbers of another dtype may have: what the bound so far becomes at most, and what
the layer's own roundings add. That of a sum of n terms, in whatever order, is n eps times the sum
of their sizes (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1).
"""

import copy

import numpy as np

from fastnn import config, layers, ops

# Roundings of a formula of an activation, each of at most eps times what is no larger than 1 + |x|:
# those of exp, erf and tanh, of a handful of ulps in single precision, count as several.
CURVED = 8

# The largest slopes of activations, at whatever input.
SLOPES = {
    layers.Sigmoid: lambda layer: 0.25,
    layers.Tanh: lambda layer: 1.0,
    layers.Elu: lambda layer: max(1.0, layer.alpha),
    layers.Gelu: lambda layer: 1.13,
    layers.Silu: lambda layer: 1.1,
    layers.Softplus: lambda layer: 1.0,
}
UNCHANGED = layers.Relu, layers.MaxPool, layers.Flatten, layers.Identity


def of(network, x, eps):
    """Return the scores of samples in float64, and how far others may be that round to `eps`."""
    found = np.asarray(x, np.float64) * network.input_scale
    far = 2 * eps * np.abs(found) if network.input_scale != 1 else np.zeros_like(found)
    with config.use_backend("numpy"):
        for layer in network.layers.values():
            found, far = _step(_wide(layer), found, far, eps)
    return found, far


def of_softmax(scores, far, eps):
    """Return probabilities in float64, and how far others may be."""
    p = ops.softmax(scores)
    of_scores = 2 * far.max(axis=1, keepdims=True)
    own = (2 * np.abs(scores).max(axis=1, keepdims=True) + scores.shape[1] + CURVED) * eps
    return p, p * np.expm1(of_scores + own) + np.finfo(np.float32).tiny


def _wide(layer):
    """Return a layer whose arrays are of float64."""
    wide = copy.copy(layer)
    for name, value in vars(layer).items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f":
            setattr(wide, name, value.astype(np.float64))
    return wide


def _step(layer, x, far, eps):
    y = layer.forward(x, False)
    if isinstance(layer, layers.Affine):
        rows, away = x.reshape(len(x), -1), far.reshape(len(x), -1)
        W = np.abs(layer.W)
        sizes = (np.abs(rows) + away) @ W + np.abs(layer.b)
        # Dropout and batch normalisation may be in the weights: two roundings more of each.
        return y, away @ W + (len(W) + 4) * eps * sizes
    if isinstance(layer, layers.Convolution):
        absolute = layers.Convolution(np.abs(layer.W), np.abs(layer.b), layer.stride, layer.pad)
        none = layers.Convolution(np.abs(layer.W), 0 * layer.b, layer.stride, layer.pad)
        terms = layer.W[0].size + 2
        sizes = absolute.forward(np.abs(x) + far, False)
        return y, none.forward(far, False) + terms * eps * sizes
    if isinstance(layer, layers.BatchNormalization):
        return y, _normalised(layer, x, far, eps)
    if isinstance(layer, layers.LayerNormalization):
        return y, _of_rows(layer, *(a.reshape(len(a), -1) for a in (x, far)), eps).reshape(y.shape)
    if isinstance(layer, layers.Dropout):
        kept = layers.Dropout.forward(layer, far, False)
        return y, kept + 2 * eps * np.abs(y)
    if isinstance(layer, UNCHANGED):
        return y, layer.forward(far, False)
    if isinstance(layer, layers.LeakyRelu):
        return y, far * max(1.0, layer.negative_slope) + 2 * eps * np.abs(y)
    slope = SLOPES[type(layer)](layer)
    return y, far * slope + CURVED * eps * slope * (1 + np.abs(x) + far)


def _normalised(layer, x, far, eps):
    """Return the bound of y = gamma (x - mean) / sqrt(var + eps) + beta: of seven roundings."""
    scale = np.abs(layer.gamma) / np.sqrt(_held(layer, "running_var") + layer.eps)
    mean = np.abs(_held(layer, "running_mean"))
    shift = np.abs(layer.beta)
    if not layer.per_pixel and x.ndim == 4:
        scale, mean, shift = (a[:, None, None] for a in (scale, mean, shift))
    elif layer.per_pixel:
        scale, mean, shift = (a.reshape(x.shape[1:]) for a in (scale, mean, shift))
    return far * scale + 8 * eps * ((np.abs(x) + far + mean) * scale + shift)


def _of_rows(layer, x, far, eps):
    """Return the bound of layer normalisation, whose variance may be mean(x^2) - mean(x)^2."""
    n = x.shape[1]
    centred = np.abs(x - x.mean(axis=1, keepdims=True))
    away = far + (far + (n + 2) * eps * (np.abs(x) + far)).mean(axis=1, keepdims=True)
    away += eps * (np.abs(x) + far)
    variance = (centred**2).mean(axis=1, keepdims=True) + layer.eps
    squares = ((np.abs(x) + far) ** 2).mean(axis=1, keepdims=True)
    off = (2 * centred * away + away**2).mean(axis=1, keepdims=True) + (2 * n + 4) * eps * squares
    # A root of v (1 - r) is at most 1 / sqrt(1 - r) - 1 < r off, relatively, for r up to a half.
    r = off / variance
    assert r.max() <= 0.5
    scale = np.abs(layer.gamma) / np.sqrt(variance)
    sizes = (centred + away) * scale
    return away * scale * (1 + r) + r * sizes + 8 * eps * (sizes + np.abs(layer.beta))


def _held(layer, name):
    held = getattr(layer, name)
    return np.zeros_like(layer.gamma) if held is None else held
