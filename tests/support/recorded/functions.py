"""Every function of ``fastnn.ops``, on arrays of several shapes, layouts and values."""

import itertools

import numpy as np
from recorded.settings import SETTINGS, running

from fastnn import functional, ops

SIZES = {
    "no rows": (0, 5),
    "no columns": (5, 0),
    "one": (1, 1),
    "odd": (7, 13),
    "large": (300, 257),
    "huge": (1500, 801),  # several blocks of products, results in memory that is kept for others
}
SPECIAL = np.nan, np.inf, -np.inf, -0.0, 1e-42, 1e-310, 1e30
VALUES = [
    *itertools.product(("float32", "float64"), ("plain", "strided", "special")),
    ("int64", "plain"),
]


class Arrays:
    """Makes arguments: random numbers of a dtype, "strided", or with some that are "special"."""

    def __init__(self, dtype, kind):
        self.rng = np.random.default_rng(7)
        self.dtype, self.kind = dtype, kind

    def __call__(self, *shape):
        step = 2 if self.kind == "strided" else 1
        values = 3 * self.rng.standard_normal((*shape[:-1], shape[-1] * step))
        if self.kind == "special" and values.size:
            where = self.rng.integers(0, values.size, values.size // 9 + 1)
            values.flat[where] = self.rng.choice(SPECIAL, where.size)
        return values.astype(self.dtype)[..., ::step]

    def images(self, n, d):
        """Return images of five channels, not too many and not too high."""
        return self(min(n, 20), 5, min(d, 28) + 2, 11)

    def positive(self, count, *shape):
        """Return arrays of one shape, not negative."""
        return [abs(self(*shape)) for _ in range(count)]


def _changed(op, *args, **settings):
    op(*args, **settings)
    return args


def _elementwise(name):
    forward, backward = getattr(ops, name), getattr(ops, f"{name}_backward")
    return {
        name: lambda a, n, d: (forward(a(n, d)), forward(a(n, d), out=a(n, d))),
        f"{name}_backward": lambda a, n, d: backward(a(n, d), a(n, d)),
    }


def _norm(name, images):
    """Return cases of batch normalisation, with ReLU or without, of rows or of images."""
    forward, inference, backward = (
        getattr(ops, name + end) for end in ("", "_inference", "_backward")
    )

    def given(a, n, d):
        x = a.images(n, d) if images else a(n, d)
        return x, *a.positive(4, x.shape[1])

    def train(a, n, d):
        args = given(a, n, d)
        return forward(*args), args

    def gradient(a, n, d):
        x, gamma, mean, rstd, _ = given(a, n, d)
        masks = [a(*x.shape)] if name == "batchnorm_relu" else []
        return backward(a(*x.shape), x, gamma, mean, rstd, *masks)

    what = ": images" if images else ""
    return {
        f"{name}{what}": train,
        f"{name}_inference{what}": lambda a, n, d: inference(*given(a, n, d)),
        f"{name}_backward{what}": gradient,
    }


def _update(name, states, *numbers, **settings):
    op = getattr(ops, name, None)
    if op is None:  # there are older commits to compare with
        return {}

    def case(**settings):
        return lambda a, n, d: _changed(
            op, a(n, d), a(n, d), *a.positive(states, n, d), *numbers, **settings
        )

    return {name: case(), f"{name}: settings": case(lr=0.1, weight_decay=0.1, **settings)}


def _affine_backward(a, n, d, **settings):
    return ops.affine_backward(a(n, d + 3), a(n, d), a(d, d + 3), **settings)


def _affine_relu_backward(a, n, d, **settings):
    return ops.affine_relu_backward(a(n, d + 3), a(n, d), a(d, d + 3), a(n, d + 3), **settings)


def _convolution(a, n, d, stride):
    return ops.convolution(a.images(n, d), a(17, 5, 3, 3), a(17), stride, 1)


def _convolution_backward(a, n, d, stride, **settings):
    x = a.images(n, d)
    h, w = ((size - 1) // stride + 1 for size in x.shape[2:])
    dout = a(len(x), 17, h, w)
    return ops.convolution_backward(dout, x, a(17, 5, 3, 3), stride, 1, **settings)


def _col2im(a, n, d):
    shape = a.images(n, d).shape
    return ops.col2im(a(shape[0] * shape[2] * shape[3], 45), shape, 3, 3, 1, 1)


def _pool_backward(a, n, d, stride):
    x = a.images(n, d)
    y, argmax = ops.max_pool(x, 2, 2, stride)
    return ops.max_pool_backward(a(*y.shape), argmax, x.shape, 2, 2, stride)


def _pool_backward_shared(a, n, d, stride):
    x = np.round(a.images(n, d))  # of which some are equal
    y, _ = ops.max_pool(x, 2, 2, stride)
    return ops.max_pool_backward_shared(a(*y.shape), x, y, 2, 2, stride)


def _dropout_backward(a, n, d, **settings):
    return ops.dropout_backward(a(n, d), a(n, d) > 0, 0.3, **settings)


def _cross_entropy(a, n, d, form="labels"):
    labels = a.rng.integers(0, max(d, 1), n)
    t = {
        "labels": labels,
        "column": labels[:, np.newaxis],
        "one-hot": np.eye(d)[labels if d else []],
        "dense": functional.softmax(a.rng.random((n, d))) if d else np.zeros((n, d)),
    }
    return ops.softmax_cross_entropy(a(n, d), t[form])


# By the name of the function, and what is special after a colon.
OPS = {
    **_elementwise("relu"),
    **_elementwise("sigmoid"),
    **_elementwise("tanh"),
    **_elementwise("leaky_relu"),
    **_elementwise("elu"),
    **_elementwise("gelu"),
    **_elementwise("silu"),
    **_elementwise("softplus"),
    "gelu: tanh": lambda a, n, d: ops.gelu(a(n, d), "tanh"),
    "gelu_backward: tanh": lambda a, n, d: ops.gelu_backward(a(n, d), a(n, d), "tanh"),
    **_norm("batchnorm", images=False),
    **_norm("batchnorm", images=True),
    **_norm("batchnorm_relu", images=False),
    **_norm("batchnorm_relu", images=True),
    **_update("sgd_", 0),
    **_update("momentum_", 1, momentum=0.8),
    **_update("nesterov_", 1, momentum=0.8),
    **_update("adagrad_", 1, eps=1e-5),
    **_update("rmsprop_", 1, decay_rate=0.9),
    **_update("adam_", 2, 3, bias_correction="explicit"),
    "adam_: decoupled": _update("adam_", 2, 3, decoupled=True)["adam_: settings"],
    **_update("nadam_", 2, 3, 0.2, momentum_decay=0.1),
    **_update("adamax_", 2, 3, beta2=0.9),
    **_update("amsgrad_", 3, 3, beta2=0.9),
    **_update("lion_", 1, beta1=0.8),
    "softmax": lambda a, n, d: ops.softmax(a(n, d)),
    "softmax_cross_entropy": _cross_entropy,
    "softmax_cross_entropy: column": lambda *given: _cross_entropy(*given, "column"),
    "softmax_cross_entropy: one-hot": lambda *given: _cross_entropy(*given, "one-hot"),
    "softmax_cross_entropy: dense": lambda *given: _cross_entropy(*given, "dense"),
    "mean_squared_error": lambda a, n, d: ops.mean_squared_error(a(n, d), a(n, d)),
    "affine": lambda a, n, d: ops.affine(a(n, d), a(d, d + 3), a(d + 3)),
    "affine: out": lambda a, n, d: ops.affine(a(n, d), a(d, 9), a(9), out=a(n, 9)),
    "affine_relu": lambda a, n, d: ops.affine_relu(a(n, d), a(d, d + 3), a(d + 3)),
    "affine_backward": _affine_backward,
    "affine_backward: no dx": lambda *given: _affine_backward(*given, input_gradient=False),
    "affine_relu_backward": _affine_relu_backward,
    "affine_relu_backward: no dx": lambda *given: _affine_relu_backward(
        *given, input_gradient=False
    ),
    "layernorm": lambda a, n, d: ops.layernorm(a(n, d), a(d), a(d)),
    "layernorm_backward": lambda a, n, d: ops.layernorm_backward(
        a(n, d), a(n, d), a(d), a(n), abs(a(n))
    ),
    "dropout": lambda a, n, d: ops.dropout(a(n, d), 0.3, 5, 2),
    "dropout: inverted": lambda a, n, d: ops.dropout(a(n, d), 0.3, 5, 2, inverted=True),
    "dropout_backward": _dropout_backward,
    "dropout_backward: inverted": lambda *given: _dropout_backward(*given, inverted=True),
    "dropout_inference": lambda a, n, d: ops.dropout_inference(a(n, d), 0.3),
    "dropout_inference: inverted": lambda a, n, d: ops.dropout_inference(
        a(n, d), 0.3, inverted=True
    ),
    "convolution": lambda *given: _convolution(*given, stride=1),
    "convolution: stride": lambda *given: _convolution(*given, stride=2),
    "convolution_backward": lambda *given: _convolution_backward(*given, stride=1),
    "convolution_backward: stride, no dx": lambda *given: _convolution_backward(
        *given, stride=2, input_gradient=False
    ),
    "im2col": lambda a, n, d: ops.im2col(a.images(n, d), 3, 3, 1, 1),
    "im2col: stride": lambda a, n, d: ops.im2col(a.images(n, d), 2, 3, 2),
    "col2im": _col2im,
    "max_pool": lambda a, n, d: ops.max_pool(a.images(n, d), 2, 2),
    "max_pool: overlap": lambda a, n, d: ops.max_pool(a.images(n, d), 2, 3, 1),
    "max_pool_backward": lambda *given: _pool_backward(*given, stride=2),
    "max_pool_backward: overlap": lambda *given: _pool_backward(*given, stride=1),
    "max_pool_backward_shared": lambda *given: _pool_backward_shared(*given, stride=2),
    "max_pool_backward_shared: overlap": lambda *given: _pool_backward_shared(*given, stride=1),
    "choices": lambda a, n, d: ops.choices(n, n * d, 5, 2),
    "permutation": lambda a, n, d: ops.permutation(n * d, 5, 2),
}


def cases():
    """Yield names and results; raise if a function has no case."""
    without = set(ops.__all__) - {name.partition(":")[0] for name in OPS}
    if without:
        raise ValueError(f"OPS: expected a case of {', '.join(sorted(without))}")
    for setting in SETTINGS:
        with running(*setting), np.errstate(all="ignore"):
            for (name, case), size, values in itertools.product(OPS.items(), SIZES, VALUES):
                if size == "huge" and (values[0] == "int64" or values[1] != "plain"):
                    continue
                try:
                    result = case(Arrays(*values), *SIZES[size])
                except (TypeError, ValueError) as error:
                    if size == "odd" and values[0] != "int64":
                        raise
                    result = f"raises {type(error).__name__}"
                yield "/".join([name, size, *values, *map(str, setting)]), result
