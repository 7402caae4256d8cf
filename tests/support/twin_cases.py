"""Arguments of kernels and of their twins, and how far results may be apart."""

from collections.abc import Callable
from dataclasses import dataclass
from unittest import mock

import numpy as np

from fastnn import reference


@dataclass
class Draw:
    """Arrays of one test case: what a kernel may be given, special values included."""

    rng: np.random.Generator
    n: int
    d: int
    dtype: np.dtype
    specials: bool

    def values(self, *shape):
        a = self.rng.standard_normal(shape) * 10.0 ** self.rng.integers(-3, 3)
        if self.specials and a.size:
            special = [np.nan, np.inf, -np.inf, 0.0, -0.0]
            where = self.rng.random(shape) < 0.1
            a[where] = self.rng.choice(special, size=int(where.sum()))
        return a.astype(self.dtype)

    def positive(self, *shape):
        return np.abs(self.values(*shape))

    def finite(self, *shape):
        a = self.values(*shape)
        a[np.isinf(a)] = 1
        return a

    def empty(self, *shape, dtype=None):
        """Return an output full of what no kernel computes, to show what is not written."""
        a = np.empty(shape, dtype or self.dtype)
        a[...] = 1 if a.dtype.kind in "bi" else np.nan if self.rng.random() < 0.5 else 12345.678
        return a

    def number(self, low, high):
        return float(self.rng.uniform(low, high))


@dataclass
class Case:
    """How to call a pair, and how far results may be apart.

    `magnitude(args, exact)` gives, for each written argument, the size that rounding errors
    are relative to (by default the result's own); `terms(args)` the number of roundings.
    """

    make: Callable[[Draw], dict]
    written: tuple[str, ...]
    magnitude: Callable[[dict, dict], dict] = lambda args, exact: {}
    terms: Callable[[dict], int] = lambda args: 16


def elementwise(inputs, output, *numbers, magnitude=None, kinds=None):
    """Return the case of a function of flat arrays and of numbers, drawn between 0 and 2."""

    def make(draw):
        n = draw.n * draw.d
        arrays = {name: getattr(draw, (kinds or {}).get(name, "values"))(n) for name in inputs}
        return arrays | {name: draw.number(0, 2) for name in numbers} | {output: draw.empty(n)}

    if magnitude is None:
        return Case(make, (output,))
    return Case(make, (output,), lambda args, exact: {output: magnitude(args, exact)})


def dot(a, b, out=None):
    """Multiply without BLAS, which may pass over a term with a factor 0, and so over its NaN."""
    return np.einsum("ij,jk->ik", a, b, out=out)


# Of functions that end in an exponential, an error of its argument, relative to that, becomes one
# of the result, as many times as large as the argument. GELU's is x^2 / 2; the tanh form's is 2 u.
def gelu_exponent(x):
    return x * x / 2


def gelu_tanh_exponent(x):
    return 2 * np.sqrt(2 / np.pi) * np.abs(x + 0.044715 * x**3)


def gelu_size(exponent):
    # Where x is positive, the exponential is what 1 is added to.
    return lambda args, exact: np.abs(exact["out"]) * (1 + 2 * exponent(np.minimum(args["x"], 0)))


def flushed(dtype):
    """Return what is lost, in units of `eps`, where an exponential is below the normal numbers.

    A thousand times the smallest of them: it is multiplied by x, or by its square.
    """
    limit = np.finfo(np.float32 if dtype == np.float64 else np.float64)
    return 1000 * limit.tiny / limit.eps


def gelu_gradient_size(args, exact):
    x, below = args["x"], np.minimum(args["x"], 0)
    density = np.exp(-x * x / 2) * (1 + x * x)
    share = exact_normal(x) * (1 + below * below)
    return np.abs(args["dout"]) * (share + np.abs(x) * density + flushed(x.dtype))


def exact_normal(x):
    product = np.empty_like(x)
    reference.gelu(x, product)
    return np.where(x == 0, 0.5, product / x)


def gelu_tanh_gradient_size(args, exact):
    x = args["x"]
    u, below = gelu_tanh_exponent(x), gelu_tanh_exponent(np.minimum(x, 0))
    e = np.exp(-u)
    s = np.where(x < 0, e, 1) / (1 + e)
    steep = 2 * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * x * x)
    inner = s * (1 + below) + np.abs(x) * e * steep * (1 + u)
    return np.abs(args["dout"]) * (inner + flushed(x.dtype))


def from_input(magnitude):
    # Infinity times a derivative depends on whether that is a denormal number or zero.
    return elementwise(["dout", "x"], "dx", magnitude=magnitude, kinds={"dout": "finite"})


def silu_gradient_size(args, exact):
    x = args["x"]
    e = np.exp(-np.abs(x))
    s, rest = np.where(x < 0, e, 1) / (1 + e), np.where(x < 0, 1, e) / (1 + e)
    return np.abs(args["dout"]) * (s * (1 + np.abs(x) * rest) + flushed(x.dtype))


def affine(draw):
    n, d, h = draw.n, draw.d, max(1, draw.n // 2)
    return {"x": draw.values(n, d), "W": draw.values(d, h), "b": draw.values(h)}


def affine_forward(draw):
    args = affine(draw)
    return args | {"out": draw.empty(draw.n, args["b"].size)}


def affine_size(args, exact):
    return {"out": np.abs(args["x"]) @ np.abs(args["W"]) + np.abs(args["b"])}


def affine_gradients(draw, relu):
    args = affine(draw)
    h = args.pop("b").size
    args = {"dout": draw.values(draw.n, h)} | args
    if relu:
        args |= {"y": np.maximum(draw.values(draw.n, h), 0)}
    dx = None if draw.rng.random() < 0.2 else draw.empty(draw.n, draw.d)
    return args | {"dx": dx, "dW": draw.empty(draw.d, h), "db": draw.empty(h)}


def affine_gradient_size(args, exact):
    d, x, W = np.abs(args["dout"]), np.abs(args["x"]), np.abs(args["W"])
    return {"dx": d @ W.T, "dW": x.T @ d, "db": d.sum(axis=0)}


def softmax(draw):
    d = max(1, draw.d)
    return {"x": draw.values(draw.n, d), "out": draw.empty(draw.n, d)}


def softmax_size(args, exact):
    # exp turns an absolute error of its argument into a relative one.
    below = args["x"].max(axis=1, keepdims=True) - args["x"]
    return {"out": exact["out"] * (1 + below)}


def cross_entropy(draw, dense):
    n, c = max(1, draw.n), max(1, draw.d)
    t = draw.positive(n, c) if dense else draw.rng.integers(0, c, n)
    # Infinity times a probability depends on whether that is a denormal number or zero.
    t[np.isinf(t)] = 1
    if dense and draw.rng.random() < 0.5:
        t = np.eye(c, dtype=draw.dtype)[draw.rng.integers(0, c, n)]
    settings_ = ({"slack": np.inf} if dense else {}) | {"smoothing": smoothing(draw)}
    return (
        {"x": draw.values(n, c), "t": t, "w": weights(draw, n)}
        | settings_
        | loss_and_gradient(draw, n, c)
    )


def smoothing(draw):
    return 0.0 if draw.rng.random() < 0.5 else draw.number(0, 1)


def weights(draw, n):
    """Return weights of samples, some of them 0, or none at all."""
    if draw.rng.random() < 0.5:
        return None
    found = draw.rng.random(n) * 10.0 ** draw.rng.integers(-3, 3)
    found[draw.rng.random(n) < 0.2] = 0
    return found.astype(draw.dtype)


def loss_and_gradient(draw, n, c):
    return {"loss": draw.empty(1, dtype=np.float64), "dx": draw.empty(n, c)}


def mean_size(args, losses, dx):
    """Return the sizes of the mean of losses of rows, and of its gradient, given dx N.

    The mean is one in float64 of losses of the dtype that a wide `x` had.
    """
    x, w = args["x"], args["w"]
    w = np.ones(len(x), x.dtype) if w is None else w
    total = w.sum() or 1.0
    kind = np.float32 if x.dtype == np.float64 else np.float64
    # Rounding may be of numbers that are too small to have all digits.
    mean = (w * (losses + flushed(x.dtype))).sum() / total
    loss = np.array([mean * (np.finfo(kind).eps / np.finfo(np.float64).eps)])
    return {"loss": loss, "dx": dx * (w / total)[:, np.newaxis]}


def cross_entropy_size(args, exact):
    x, t, s = args["x"], args["t"], args["smoothing"]
    spread = x.max(axis=1) - x.min(axis=1) + np.log(x.shape[1]) + 1
    spread += s * np.abs(x).max(axis=1)
    weight = t.sum(axis=1) + 1 if t.ndim == 2 else np.ones(len(x), x.dtype)
    slope = np.ones_like(x) * np.reshape(weight, (-1, 1)) + 1
    dense = t if t.ndim == 2 else np.eye(x.shape[1])[t]
    return mean_size(args, spread * weight, slope + dense + s)


def of_elements(**numbers):
    """Return what makes the arguments of a loss that is a sum over elements."""

    def make(draw):
        n, d = max(1, draw.n), max(1, draw.d)
        t = draw.values(n, d)
        if "high" in numbers:
            t = draw.rng.random((n, d)).astype(draw.dtype)
            t[draw.rng.random((n, d)) < 0.5] = draw.rng.integers(0, 2)
        elif "low" in numbers:
            t = np.abs(draw.finite(n, d))
            t[draw.rng.random((n, d)) < 0.2] = 0
        settings_ = {name: value(draw) for name, value in numbers.items()}
        x = draw.values(n, d)
        if "low" in numbers:
            x[np.isfinite(x) & (x > 40)] = 40  # its exponential fits into float32
        args = {"x": x, "t": t, "w": weights(draw, n)}
        return args | settings_ | loss_and_gradient(draw, n, d)

    return make


def unlimited(draw):
    return -np.inf


def squared_error_size(args, exact):
    size = np.abs(args["x"]) + np.abs(args["t"])
    return mean_size(args, (size**2).sum(axis=1), size)


def binary_cross_entropy_size(args, exact):
    size = np.abs(args["x"]) + 1
    return mean_size(args, size.sum(axis=1), 1 + np.abs(args["t"]))


def poisson_size(args, exact):
    # exp turns an absolute error of its argument into a relative one.
    x, t = args["x"], args["t"]
    e = np.exp(x)
    logs = np.abs(np.log(t, where=t > 0, out=np.zeros_like(t)))
    size = e + t * (1 + logs + np.abs(x))
    return mean_size(args, size.sum(axis=1), e + t)


def huber_size(args, exact):
    size = np.abs(args["x"]) + np.abs(args["t"])
    near = np.minimum(size, args["delta"])
    return mean_size(args, (near * size).sum(axis=1), size)


def batch(draw, images):
    draw.n, draw.d = max(1, draw.n), max(1, draw.d)
    shape = (draw.n, draw.d, 5) if images else (draw.n, draw.d)
    features = {"gamma": draw.values(draw.d), "beta": draw.values(draw.d)}
    # Infinity times a difference that is all rounding: NaN, or infinity of either sign.
    features["gamma"][np.isinf(features["gamma"])] = np.nan
    return {"x": draw.values(*shape)} | features


def bound(draw):
    return 0.0 if draw.rng.random() < 0.5 else -np.inf


def batchnorm(draw, images):
    args = batch(draw, images)
    if draw.rng.random() < 0.3:
        args["x"][:] = args["x"][:1]  # constant features
    running = {"running_mean": draw.values(draw.d), "running_var": draw.positive(draw.d)}
    settings_ = {"momentum": draw.number(0, 1), "eps": draw.number(1e-3, 1e-1), "low": bound(draw)}
    results = {
        "y": draw.empty(*args["x"].shape),
        "mean": draw.empty(draw.d),
        "rstd": draw.empty(draw.d),
    }
    return args | running | settings_ | results


def _per_feature(x):
    axes = (0,) if x.ndim == 2 else (0, 2)
    shape = (1, -1) if x.ndim == 2 else (1, -1, 1)
    return axes, shape


def batchnorm_size(args, exact):
    x = args["x"]
    axes, shape = _per_feature(x)
    size = np.abs(x).max(axis=axes)
    # An error of the mean, relative to |x|, passes through the division by the deviation.
    # var has an error of size^2, and d rstd / rstd = d var / (2 (var + eps)).
    worse = 1 + size * exact["rstd"] + (size * exact["rstd"]) ** 2
    scaled = np.abs(args["gamma"]) * worse * (1 + size * exact["rstd"]) + np.abs(args["beta"])
    return {
        "mean": size,
        "rstd": exact["rstd"] * worse,
        "y": np.broadcast_to(scaled.reshape(shape), x.shape),
        "running_mean": np.abs(args["running_mean"]) + size,
        "running_var": np.abs(args["running_var"]) + size**2,
    }


def batchnorm_inference(draw, images):
    args = batch(draw, images)
    running = {"running_mean": draw.values(draw.d), "running_var": draw.positive(draw.d)}
    settings_ = {"eps": draw.number(1e-3, 1e-1), "low": bound(draw)}
    return args | running | settings_ | {"y": draw.empty(*args["x"].shape)}


def inference_size(args, exact):
    _, shape = _per_feature(args["x"])
    slope = np.abs(args["gamma"]) / np.sqrt(args["running_var"] + args["eps"])
    size = np.abs(args["x"]) + np.abs(args["running_mean"]).reshape(shape)
    return {"y": size * slope.reshape(shape) + np.abs(args["beta"]).reshape(shape)}


def batchnorm_backward(draw, images):
    args = batch(draw, images)
    del args["beta"]
    saved = {"mean": draw.values(draw.d), "rstd": draw.positive(draw.d)}
    shape = args["x"].shape
    results = {
        "dx": draw.empty(*shape),
        "dgamma": draw.empty(draw.d),
        "dbeta": draw.empty(draw.d),
    }
    y = None if draw.rng.random() < 0.5 else np.maximum(draw.values(*shape), 0)
    return {"dout": draw.values(*shape)} | args | saved | {"y": y} | results


def backward_size(args, exact):
    d, x = np.abs(args["dout"]), args["x"]
    axes, shape = _per_feature(x)
    xhat = (np.abs(x) + np.abs(args["mean"]).reshape(shape)) * args["rstd"].reshape(shape)
    count = x.size // x.shape[1] if x.shape[1] else 1
    # What is taken off as the mean of xhat is as large as xhat where `mean` is another number.
    rest = xhat.sum(axis=axes) / count
    dbeta = d.sum(axis=axes)
    dgamma = (d * xhat).sum(axis=axes) + rest * dbeta
    along = (xhat + rest.reshape(shape)) * dgamma.reshape(shape)
    inner = d + (dbeta.reshape(shape) + along) / count
    slope = np.abs(args["gamma"]) * args["rstd"]
    return {"dbeta": dbeta, "dgamma": dgamma, "dx": inner * slope.reshape(shape)}


def rows(draw):
    draw.n, draw.d = max(1, draw.n), max(1, draw.d)
    gamma = draw.values(draw.d)
    gamma[np.isinf(gamma)] = np.nan  # as for batch normalisation
    return {"x": draw.values(draw.n, draw.d), "gamma": gamma}


def layernorm(draw):
    args = rows(draw) | {"beta": draw.values(draw.d), "eps": draw.number(1e-3, 1e-1)}
    if draw.rng.random() < 0.3:
        args["x"][:] = args["x"][:, :1]  # constant rows
    y, *statistics = draw.empty(draw.n, draw.d), draw.empty(draw.n), draw.empty(draw.n)
    return args | {"y": y} | dict(zip(("mean", "rstd"), statistics, strict=True))


def layernorm_size(args, exact):
    # As for batch normalisation, by rows.
    size, rstd = np.abs(args["x"]).max(axis=1), exact["rstd"]
    worse = 1 + size * rstd + (size * rstd) ** 2
    slope = (worse * (1 + size * rstd))[:, None]
    return {
        "mean": size,
        "rstd": rstd * worse,
        "y": slope * np.abs(args["gamma"]) + np.abs(args["beta"]),
    }


def layernorm_backward(draw):
    args = rows(draw)
    saved = {"mean": draw.values(draw.n), "rstd": draw.positive(draw.n)}
    results = {
        "dx": draw.empty(draw.n, draw.d),
        "dgamma": draw.empty(draw.d),
        "dbeta": draw.empty(draw.d),
    }
    return {"dout": draw.values(draw.n, draw.d)} | args | saved | results


def layernorm_gradient_size(args, exact):
    d, rstd = np.abs(args["dout"]), args["rstd"][:, None]
    xhat = (np.abs(args["x"]) + np.abs(args["mean"])[:, None]) * rstd
    xhat = xhat + xhat.mean(axis=1, keepdims=True)  # as for batch normalisation
    scaled = d * np.abs(args["gamma"])
    along = (scaled * xhat).mean(axis=1, keepdims=True)
    inner = scaled + scaled.mean(axis=1, keepdims=True) + xhat * along
    return {"dbeta": d.sum(axis=0), "dgamma": (d * xhat).sum(axis=0), "dx": inner * rstd}


def dropout(draw):
    n = draw.n * draw.d
    return {
        "x": draw.values(n),
        "ratio": draw.number(0, 0.99),
        "seed": np.uint64(draw.rng.integers(2**64, dtype=np.uint64)),
        "step": np.uint64(draw.rng.integers(2**64, dtype=np.uint64)),
        "scale": draw.number(0.5, 3),
        "out": draw.empty(n),
        "mask": draw.empty(n, dtype=bool),
    }


def dropout_backward(draw):
    n = draw.n * draw.d
    kept = draw.rng.random(n) < 0.5
    return {"dout": draw.values(n), "mask": kept, "scale": draw.number(0.5, 3), "dx": draw.empty(n)}


def dropout_inference(draw):
    n = draw.n * draw.d
    return {"x": draw.values(n), "scale": draw.number(0, 1), "out": draw.empty(n)}


def geometry(draw):
    """Return a window, a stride, a padding, and the shape of images that it fits in."""
    window = draw.rng.integers(1, 5, 2)
    stride, pad = int(draw.rng.integers(1, 4)), int(draw.rng.integers(0, 4))
    n, c = draw.n % 8, 1 + draw.d % 5
    # Larger images in the larger cases.
    height, width = window + draw.rng.integers(0, 4 + draw.n // 64 + draw.d // 32, 2)
    shape = (n, c, max(1, int(height) - 2 * pad), max(1, int(width) - 2 * pad))
    return *map(int, window), stride, pad, shape


def places(shape, window_h, window_w, stride, pad):
    return [
        (s + 2 * pad - w) // stride + 1
        for s, w in zip(shape[2:], (window_h, window_w), strict=True)
    ]


def patches(draw, back):
    fh, fw, stride, pad, shape = geometry(draw)
    oh, ow = places(shape, fh, fw, stride, pad)
    col = (shape[0] * oh * ow, shape[1] * fh * fw)
    first = {"col": draw.values(*col)} if back else {"x": draw.values(*shape)}
    numbers = {"filter_h": fh, "filter_w": fw, "stride": stride, "pad": pad}
    return first | numbers | {"out": draw.empty(*(shape if back else col))}


def col2im_size(args, exact):
    sums = np.zeros(args["out"].shape)
    settings_ = (args[name] for name in ("filter_h", "filter_w", "stride", "pad"))
    reference.col2im(np.abs(args["col"]), *settings_, sums)
    return {"out": sums}


def convolution(draw, back):
    fh, fw, stride, pad, shape = geometry(draw)
    f = 1 + draw.d % 40
    x, W = draw.values(*shape), draw.values(f, shape[1], fh, fw)
    y = (shape[0], f, *places(shape, fh, fw, stride, pad))
    numbers = {"stride": stride, "pad": pad}
    if not back:
        return {"x": x, "W": W, "b": draw.values(f)} | numbers | {"out": draw.empty(*y)}
    dx = None if draw.rng.random() < 0.2 else draw.empty(*shape)
    results = {"dx": dx, "dW": draw.empty(*W.shape), "db": draw.empty(f)}
    return {"dout": draw.values(*y), "x": x, "W": W} | numbers | results


def convolution_size(args, exact):
    sizes = {k: np.abs(a) if isinstance(a, np.ndarray) else a for k, a in args.items()}
    names = [name for name in ("out", "dx", "dW", "db") if args.get(name) is not None]
    with mock.patch.object(np, "dot", dot):
        forward = "out" in args
        (reference.convolution if forward else reference.convolution_backward)(**sizes)
    return {name: sizes[name] for name in names}


def convolution_terms(args):
    """Return the longest sum's length: over places, over filters, or over a filter."""
    W, y = args["W"], args["out"] if "out" in args else args["dout"]
    return 16 + max(y.size // len(W), y.shape[1] * W[0].size)


def pooling(draw):
    ph, pw, stride, _, shape = geometry(draw)
    shape = (*shape[:2], shape[2] + ph, shape[3] + pw)
    values = draw.values(*shape)
    if draw.rng.random() < 0.5:  # equal ones
        values = np.round(values)
    y = (*shape[:2], *places(shape, ph, pw, stride, 0))
    return values, {"pool_h": ph, "pool_w": pw, "stride": stride}, y


def max_pool(draw):
    x, numbers, y = pooling(draw)
    results = {"out": draw.empty(*y), "argmax": draw.empty(*y, dtype=np.int32)}
    return {"x": x} | numbers | results


def max_pool_backward(draw):
    x, numbers, y = pooling(draw)
    area = numbers["pool_h"] * numbers["pool_w"]
    argmax = draw.rng.integers(0, area, y).astype(np.int32)
    results = {"dx": draw.empty(*x.shape)}
    return {"dout": draw.values(*y), "argmax": argmax} | numbers | results


def max_pool_backward_shared(draw):
    x, numbers, shape = pooling(draw)
    y = np.empty(shape, draw.dtype)
    reference.max_pool(x, *numbers.values(), y, np.empty(shape, np.int32))
    return {"dout": draw.values(*shape), "x": x, "y": y} | numbers | {"dx": draw.empty(*x.shape)}


def pooled_size(args, exact):
    """Return the sums of the sizes of what is added to each pixel."""
    sizes = {k: a.copy() if isinstance(a, np.ndarray) else a for k, a in args.items()}
    sizes["dout"] = np.abs(sizes["dout"])
    shared = "y" in args
    (reference.max_pool_backward_shared if shared else reference.max_pool_backward)(**sizes)
    return {"dx": sizes["dx"]}


def random(draw, *first):
    keys = draw.rng.integers(2**64, size=2, dtype=np.uint64)
    named = {name: int(draw.rng.integers(1, 2**63)) for name in first}
    out = draw.empty(draw.n * draw.d, dtype=np.int64)
    return named | {"seed": keys[0], "step": keys[1], "out": out}
