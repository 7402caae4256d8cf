"""``cs231n.layers``, ``fast_layers``, ``layer_utils`` and ``im2col``."""

import numpy as np
import pytest


class Draw:
    """Arrays in a dtype and layout: of data, and of parameters."""

    def __init__(self, dtype, layout, params_dtype=None):
        self.rng = np.random.default_rng(0)
        self.dtype, self.layout = dtype, layout
        self.params_dtype = params_dtype or dtype

    def data(self, *shape):
        return self.layout(self.rng.standard_normal(shape).astype(self.dtype))

    def params(self, *shape):
        return self.layout(self.rng.standard_normal(shape).astype(self.params_dtype))


def strided(a):
    """Return an array with gaps between its elements."""
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def affine(m, draw, shape, units):
    x, w, b = draw.data(*shape), draw.params(int(np.prod(shape[1:])), units), draw.params(units)
    out, cache = m.layers.affine_forward(x, w, b)
    assert cache[0] is x and cache[1] is w and cache[2] is b
    dout = draw.data(*out.shape)
    return out, m.layers.affine_backward(dout, cache), cache, dout


def affine_relu(m, draw, shape, units):
    x, w, b = draw.data(*shape), draw.params(int(np.prod(shape[1:])), units), draw.params(units)
    out, cache = m.layer_utils.affine_relu_forward(x, w, b)
    fc_cache, relu_cache = cache
    dout = draw.data(*out.shape)
    dx = m.layers.relu_backward(dout, relu_cache)
    return out, m.layer_utils.affine_relu_backward(dout, cache), fc_cache, dx, dout


def relu(m, draw, shape):
    x, dout = draw.data(*shape), draw.data(*shape)
    out, cache = m.layers.relu_forward(x)
    assert cache is x
    return out, m.layers.relu_backward(dout, cache), x, dout


def losses(m, draw, n, classes):
    x, y = draw.data(n, classes), draw.rng.integers(0, classes, n)
    return m.layers.softmax_loss(x, y), m.layers.svm_loss(x, y), x, y


def batchnorm(m, draw, shape):
    images = len(shape) == 4
    name = "spatial_batchnorm" if images else "batchnorm"
    forward, backward = (getattr(m.layers, f"{name}_{way}") for way in ("forward", "backward"))
    gamma, beta, bn_param = draw.params(shape[1]), draw.params(shape[1]), {"mode": "train"}
    results = []
    for _ in range(3):
        x = draw.data(*shape)
        out, cache = forward(x, gamma, beta, bn_param)
        dout = draw.data(*shape)
        results += [out, backward(dout, cache), dict(bn_param), x, dout]
        if not images:
            results.append(m.layers.batchnorm_backward_alt(dout, cache))
    bn_param["mode"] = "test"
    out, cache = forward(draw.data(*shape), gamma, beta, bn_param)
    assert cache is None
    return results, out, bn_param


def layernorm(m, draw, shape):
    x, gamma, beta = draw.data(*shape), draw.params(shape[1]), draw.params(shape[1])
    out, cache = m.layers.layernorm_forward(x, gamma, beta, {})
    dout = draw.data(*shape)
    return out, m.layers.layernorm_backward(dout, cache), x, dout


def groupnorm(m, draw, shape, groups, old):
    c = shape[1]
    x = draw.data(*shape)
    gamma, beta = (draw.params(*((1, c, 1, 1) if old else (c,))) for _ in range(2))
    out, cache = m.layers.spatial_groupnorm_forward(x, gamma, beta, groups, {})
    dout = draw.data(*shape)
    return out, m.layers.spatial_groupnorm_backward(dout, cache), x, dout


def dropout(m, draw, shape, param):
    x, dout, param = draw.data(*shape), draw.data(*shape), dict(param)
    out, cache = m.layers.dropout_forward(x, param)
    assert cache[0] is param
    return out, cache[1], m.layers.dropout_backward(dout, cache), param, x, dout


def convolution(m, draw, way, shape, filters, stride, pad):
    x, w, b = draw.data(*shape), draw.params(*filters), draw.params(filters[0])
    param = {"stride": stride, "pad": pad}
    module = m.layers if way == "naive" else m.fast_layers
    out, cache = getattr(module, f"conv_forward_{way}")(x, w, b, param)
    assert cache[0] is x and cache[1] is w and cache[2] is b and cache[3] is param
    dout = draw.data(*out.shape)
    return out, getattr(module, f"conv_backward_{way}")(dout, cache), len(cache), x, w, b, dout


def pooling(m, draw, way, shape, window):
    x = np.round(draw.data(*shape), 0 if way != "naive" else 1)  # with elements that are equal
    param = dict(zip(("pool_height", "pool_width", "stride"), window, strict=True))
    module = m.layers if way == "naive" else m.fast_layers
    out, cache = getattr(module, f"max_pool_forward_{way}")(x, param)
    dout = draw.data(*out.shape)
    return out, getattr(module, f"max_pool_backward_{way}")(dout, cache), len(cache), x, dout


def together(m, draw, shape, name):
    f, c = 4, shape[1]
    x, w, b = draw.data(*shape), draw.params(f, c, 3, 3), draw.params(f)
    conv_param, bn_param = {"stride": 1, "pad": 1}, {"mode": "train"}
    args = {
        "conv_relu": (conv_param,),
        "conv_bn_relu": (draw.params(f), draw.params(f), conv_param, bn_param),
        "conv_relu_pool": (conv_param, {"pool_height": 2, "pool_width": 2, "stride": 2}),
    }[name]
    out, cache = getattr(m.layer_utils, f"{name}_forward")(x, w, b, *args)
    dout = draw.data(*out.shape)
    gradients = getattr(m.layer_utils, f"{name}_backward")(dout, cache)
    # The same by pieces.
    d = m.fast_layers.max_pool_backward_fast(dout, cache[2]) if name == "conv_relu_pool" else dout
    d = m.layers.relu_backward(d, cache[-1 if name != "conv_relu_pool" else 1])
    if name == "conv_bn_relu":
        d, *_ = m.layers.spatial_batchnorm_backward(d, cache[1])
    pieces = m.fast_layers.conv_backward_fast(d, cache[0])
    if name == "conv_bn_relu":
        for db in gradients[2], pieces[2]:
            db += 1  # the bias has no effect: its gradient is all rounding
    return out, gradients, pieces, len(cache), bn_param, x, dout


def columns(m, draw, shape, field, padding, stride):
    x = draw.data(*shape)
    cols = m.im2col.im2col_indices(x, *field, padding, stride)
    doubled = m.im2col.col2im_indices(2 * cols, shape, *field, padding, stride)
    return cols, doubled, m.im2col.get_im2col_indices(shape, *field, padding, stride), x


TRAIN, TEST = {"mode": "train", "p": 0.3}, {"mode": "test", "p": 0.3}

CALLS = {
    "affine": (affine, (7, 3, 4), 5),
    "affine of one": (affine, (1, 1), 1),
    "affine of rows": (affine, (100, 70), 30),
    "affine relu": (affine_relu, (7, 3, 4), 5),
    "affine relu of rows": (affine_relu, (100, 70), 30),
    "relu": (relu, (7, 3, 4)),
    "losses": (losses, 7, 10),
    "losses of one": (losses, 1, 1),
    "losses of many": (losses, 300, 10),
    "batchnorm": (batchnorm, (7, 5)),
    "batchnorm of one feature": (batchnorm, (3, 1)),
    "batchnorm of rows": (batchnorm, (600, 20)),
    "batchnorm of images": (batchnorm, (4, 3, 5, 6)),
    "layernorm": (layernorm, (7, 5)),
    "layernorm of rows": (layernorm, (40, 600)),
    "groupnorm": (groupnorm, (2, 6, 4, 5), 3, True),
    "groupnorm since 2023": (groupnorm, (2, 6, 4, 5), 2, False),
    "dropout": (dropout, (7, 5), TRAIN),
    "dropout with a seed": (dropout, (7, 5), TRAIN | {"seed": 3}),
    "dropout of images": (dropout, (2, 3, 4, 5), TRAIN),
    "dropout in mode test": (dropout, (7, 5), TEST),
    "im2col": (columns, (2, 3, 6, 5), (3, 2), 1, 1),
    "im2col without padding": (columns, (2, 3, 6, 6), (2, 2), 0, 2),
}
for _way in ("naive", "fast", "strides", "im2col"):
    CALLS[f"convolution {_way}"] = (convolution, _way, (3, 3, 7, 6), (4, 3, 3, 2), 1, 1)
    CALLS[f"convolution {_way} with stride"] = (
        convolution, _way, (2, 2, 5, 5), (3, 2, 3, 3), 2, 0,
    )  # fmt: skip
CALLS["convolution naive that leaves pixels out"] = (
    convolution, "naive", (2, 2, 6, 6), (3, 2, 3, 3), 2, 0,
)  # fmt: skip
CALLS["convolution fast of pixels"] = (convolution, "fast", (2, 3, 4, 4), (5, 3, 1, 1), 1, 0)
for _way, _windows in {
    "naive": [(2, 2, 2), (3, 2, 1), (2, 2, 4)],
    "fast": [(2, 2, 2), (3, 3, 1), (4, 2, 2)],
    "reshape": [(2, 2, 2)],
    "im2col": [(2, 2, 2), (4, 2, 2)],
}.items():
    for _window in _windows:
        CALLS[f"pooling {_way} {_window}"] = (pooling, _way, (2, 3, 6, 6), _window)
for _name in ("conv_relu", "conv_bn_relu", "conv_relu_pool"):
    CALLS[_name] = (together, (2, 3, 6, 4), _name)

LAYOUTS = [np.ascontiguousarray, np.asfortranarray, strided]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_float64(course, name, layout):
    call, *args = CALLS[name]
    course.compare(lambda m: call(m, Draw(np.float64, layout), *args))


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_narrower(course, name, dtype):
    call, *args = CALLS[name]
    course.compare(lambda m: call(m, Draw(dtype, np.ascontiguousarray), *args))


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_parameters_of_float32_and_data_of_float64(course, name):
    call, *args = CALLS[name]
    course.compare(lambda m: call(m, Draw(np.float64, np.ascontiguousarray, np.float32), *args))


@pytest.mark.parametrize("bias", [0, 1.5, np.float32(2), np.arange(3), np.ones(1)])
def test_affine_with_another_bias(course, bias):
    def action(m):
        x, w = np.arange(8.0).reshape(4, 2), np.arange(6.0).reshape(2, 3)
        out, cache = m.layers.affine_forward(x, w, bias)
        return (
            out,
            m.layers.affine_backward(out, cache),
            m.layer_utils.affine_relu_forward(x, w, bias)[0],
        )

    course.compare(action)


def test_integers(course):
    def action(m):
        x, w = np.arange(12).reshape(4, 3) - 5, np.arange(6).reshape(3, 2)
        out, cache = m.layers.affine_forward(x, w, np.arange(2))
        loss, _ = m.layers.softmax_loss(out.astype(float), np.array([0, -1, 1, 0]))
        images = np.arange(2 * 4 * 4).reshape(1, 2, 4, 4) % 7
        conv, _ = m.layers.conv_forward_naive(
            images, np.ones((1, 2, 3, 3), int), np.ones(1, int), {"stride": 1, "pad": 1}
        )
        pool = {"pool_height": 2, "pool_width": 2, "stride": 2}
        pooled, pool_cache = m.layers.max_pool_forward_naive(images, pool)
        return [
            out,
            m.layers.affine_backward(out, cache),
            m.layers.relu_forward(x),
            m.layers.relu_backward(x, x),
            m.layers.batchnorm_forward(x, np.ones(3), np.zeros(3), {"mode": "train"})[0],
            m.layers.layernorm_forward(x, np.ones(3), np.zeros(3), {})[0],
            loss,
            conv,
            pooled,
            m.layers.max_pool_backward_naive(pooled, pool_cache),
        ]

    course.compare(action)


def test_settings_of_batchnorm(course):
    def action(m):
        x = np.random.default_rng(1).standard_normal((6, 3))
        one, zero, results = np.ones(3), np.zeros(3), []
        mean, var = np.arange(3.0), np.arange(1.0, 4.0)
        for more in (
            {"eps": 0.5, "momentum": 0.1},
            {"eps": 0, "momentum": 1},
            {"momentum": 1.5},
            {"eps": np.float64(1e-3)},
            {"running_mean": mean, "running_var": var},
            {"running_mean": mean.astype(np.float32), "running_var": var},
            {"running_mean": 0.5, "running_var": 2},
        ):
            for mode in ("train", "test"):
                bn_param = {"mode": mode} | more
                results.append((m.layers.batchnorm_forward(x, one, zero, bn_param)[0], bn_param))
        return results, mean, var  # which stay as they were

    course.compare(action)


def test_running_statistics_are_new_arrays(course):
    def action(m):
        bn_param = {"mode": "train"}
        x = np.random.default_rng(1).standard_normal((6, 3))
        m.layers.batchnorm_forward(x, np.ones(3), np.zeros(3), bn_param)
        first = bn_param["running_mean"]
        kept = first.copy()
        m.layers.batchnorm_forward(x, np.ones(3), np.zeros(3), bn_param)
        return bn_param["running_mean"] is first, np.array_equal(first, kept)

    course.compare(action)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.layers.batchnorm_forward(np.ones((2, 2)), 1, 0, {"mode": "Test"}),
        lambda m: m.layers.batchnorm_forward(np.ones((2, 2)), 1, 0, {}),
        lambda m: m.layers.batchnorm_forward(np.ones((2, 2, 2, 2)), 1, 0, {"mode": "test"}),
        lambda m: m.layers.dropout_forward(np.ones(3), {"mode": "test"}),
        lambda m: m.layers.dropout_forward(np.ones(3), {"p": 0.5, "mode": "Test"}),
        lambda m: m.layers.affine_forward(np.ones((2, 3)), np.ones((4, 5)), np.ones(5)),
        lambda m: m.layers.affine_forward(np.ones((2, 3)), np.ones((3, 5)), np.ones(4)),
        lambda m: m.layers.softmax_loss(np.ones((2, 3)), np.array([0, 3])),
        lambda m: m.layers.spatial_groupnorm_forward(
            np.ones((2, 3, 4, 5)), np.ones(3), np.ones(3), 2, {}
        ),
        lambda m: m.fast_layers.max_pool_backward_fast(np.ones(3), ("other", None)),
        lambda m: m.fast_layers.conv_forward_im2col(
            np.ones((1, 1, 4, 4)), np.ones((1, 1, 3, 3)), np.ones(1), {"stride": 2, "pad": 0}
        ),
        lambda m: m.im2col.im2col_indices(np.ones((1, 1, 4, 4)), 3, 3, 0, 2),
    ],
)
def test_errors(course, call):
    course.compare(call, raises=(ValueError, KeyError, AttributeError, IndexError, AssertionError))


def test_arrays_without_axes(course):
    def action(m):
        x, w = np.array(-2.0), np.array(0.5)
        relu = m.layers.relu_forward(x)[0], m.layers.relu_backward(x, x)
        return relu, m.optim.sgd_momentum(w, x), m.optim.adam(w, x)

    course.compare(action)


def test_labels_of_any_whole_dtype(course):
    def action(m):
        x = np.random.default_rng(1).standard_normal((4, 3))
        labels = [np.array([0, 2, 1, 0], dtype) for dtype in (np.uint8, np.int32, np.int64)]
        return [m.layers.softmax_loss(x, y) for y in labels], m.layers.svm_loss(x, labels[0])

    course.compare(action)


def test_nan_and_infinity(course):
    def action(m):
        x = np.array([[0.0, np.nan, 1.0], [np.inf, -np.inf, -0.0]])
        one = np.ones_like(x)
        out, _ = m.layers.affine_forward(x, np.ones((3, 2)), np.zeros(2))
        return m.layers.relu_forward(x)[0], m.layers.relu_backward(one, x[:, 2]), out

    course.compare(action, raises=ValueError)


@pytest.mark.parametrize("name", ["affine relu", "batchnorm", "layernorm", "groupnorm"])
def test_gradient(course, name):
    """The drop-in's gradients against differences of its outputs."""
    m, rng = course.fast, np.random.default_rng(3)
    x, gamma, beta = rng.standard_normal((4, 6)), rng.standard_normal(6), rng.standard_normal(6)
    w = rng.standard_normal((6, 6))
    images = x.reshape(2, 3, 2, 2)
    calls = {
        "affine relu": (
            lambda: m.layer_utils.affine_relu_forward(x, w, beta),
            m.layer_utils.affine_relu_backward,
            (x, w, beta),
        ),
        "batchnorm": (
            lambda: m.layers.batchnorm_forward(x, gamma, beta, {"mode": "train"}),
            m.layers.batchnorm_backward,
            (x, gamma, beta),
        ),
        "layernorm": (
            lambda: m.layers.layernorm_forward(x, gamma, beta, {}),
            m.layers.layernorm_backward,
            (x, gamma, beta),
        ),
        "groupnorm": (
            lambda: m.layers.spatial_groupnorm_forward(images, gamma[:3], beta[:3], 3, {}),
            m.layers.spatial_groupnorm_backward,
            (images, gamma[:3], beta[:3]),
        ),
    }
    forward, backward, inputs = calls[name]
    out, cache = forward()
    dout = rng.standard_normal(out.shape)
    for array, analytic in zip(inputs, backward(dout, cache), strict=True):
        numerical = m.gradient_check.eval_numerical_gradient_array(
            lambda _: forward()[0], array, dout
        )
        # Differences over 2e-5: curvature of 1e-10 and rounding of 1e-16 / 1e-5.
        np.testing.assert_allclose(analytic, numerical, rtol=1e-6, atol=1e-7)
