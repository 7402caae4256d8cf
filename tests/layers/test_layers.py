"""Every layer keeps one contract, on both backends; what is particular to one comes below."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import rounding

from fastnn import layers, ops
from fastnn.config import use_backend
from fastnn.layers.state import lasting

EPS = np.finfo(np.float64).eps


@pytest.fixture(params=["numba", "numpy"], autouse=True)
def backend(request):
    with use_backend(request.param):
        yield request.param


def normal(*shape):
    return lambda rng: rng.normal(size=shape)


def whole(*shape):
    return lambda rng: rng.integers(-3, 4, size=shape).astype(np.float64)


def off_whole(*shape):
    """Numbers half-way between whole ones: added to whole ones they stay 0.5 from zero."""
    return lambda rng: whole(*shape)(rng) + 0.5


def distinct(*shape):
    """Numbers that are all far apart."""
    return lambda rng: rng.permutation(np.prod(shape)).reshape(shape).astype(np.float64)


def labels(n, classes):
    return lambda rng: rng.integers(classes, size=n)


def one_hot(n, classes):
    return lambda rng: np.eye(classes)[labels(n, classes)(rng)]


def distributions(n, classes):
    return lambda rng: rng.dirichlet(np.ones(classes), size=n)


@dataclass(frozen=True)
class Case:
    """A layer as a function of its parameters and its input, drawn where it is smooth."""

    name: str
    build: Callable
    x: Callable
    params: dict[str, Callable]
    target: Callable | None = None

    def draw(self, rng, dtype):
        params = {key: draw(rng).astype(dtype) for key, draw in self.params.items()}
        x, t = self.x(rng).astype(dtype), self.target and self.target(rng)
        return params, x, t.astype(dtype) if np.asarray(t).dtype.kind == "f" else t

    def forward(self, layer, x, t):
        return layer.forward(x) if self.target is None else layer.forward(x, t)


def batchnorm(kind=layers.BatchNormalization, **options):
    return lambda gamma, beta: kind(gamma, beta, **options)


CASES = [
    Case("Affine", layers.Affine, normal(5, 19), {"W": normal(19, 7), "b": normal(7)}),
    Case("Affine-4d", layers.Affine, normal(3, 2, 3, 4), {"W": normal(24, 5), "b": normal(5)}),
    Case("AffineRelu", layers.AffineRelu, whole(5, 19), {"W": whole(19, 7), "b": off_whole(7)}),
    Case(
        "Convolution",
        layers.Convolution,
        normal(3, 2, 6, 5),
        {"W": normal(4, 2, 3, 2), "b": normal(4)},
    ),
    Case(
        "Convolution-stride-pad",
        lambda W, b: layers.Convolution(W, b, stride=2, pad=1),
        normal(3, 2, 6, 5),
        {"W": normal(4, 2, 3, 2), "b": normal(4)},
    ),
    Case("MaxPool", lambda: layers.MaxPool(2, 2, stride=2), distinct(3, 2, 6, 5), {}),
    Case("MaxPool-overlapping", lambda: layers.MaxPool(3, 2, 1), distinct(3, 2, 6, 5), {}),
    Case("Relu", layers.Relu, off_whole(5, 19), {}),
    Case("Sigmoid", layers.Sigmoid, normal(5, 19), {}),
    Case("Tanh", layers.Tanh, normal(5, 19), {}),
    Case("LeakyRelu", lambda: layers.LeakyRelu(0.2), off_whole(5, 19), {}),
    Case("Elu", layers.Elu, normal(5, 19), {}),
    Case("Elu-alpha", lambda: layers.Elu(1.5), off_whole(5, 19), {}),
    Case("Gelu", layers.Gelu, normal(5, 19), {}),
    Case("Gelu-tanh", lambda: layers.Gelu("tanh"), normal(5, 19), {}),
    Case("Silu", layers.Silu, normal(5, 19), {}),
    Case("Softplus", layers.Softplus, normal(5, 19), {}),
    Case("Flatten", layers.Flatten, normal(3, 2, 3, 4), {}),
    Case("Identity", layers.Identity, normal(5, 19), {}),
    Case("BatchNorm", batchnorm(), normal(9, 11), {"gamma": normal(11), "beta": normal(11)}),
    Case(
        "BatchNorm-NCHW",
        batchnorm(),
        normal(4, 3, 5, 2),
        {"gamma": normal(3), "beta": normal(3)},
    ),
    Case(
        "BatchNorm-per_pixel",
        batchnorm(per_pixel=True),
        normal(9, 3, 2, 2),
        {"gamma": normal(12), "beta": normal(12)},
    ),
    Case(
        "LayerNorm",
        lambda gamma, beta: layers.LayerNormalization(gamma, beta, eps=1e-3),
        normal(9, 11),
        {"gamma": normal(11), "beta": normal(11)},
    ),
    Case(
        "LayerNorm-4d",
        layers.LayerNormalization,
        normal(4, 3, 2, 2),
        {"gamma": normal(12), "beta": normal(12)},
    ),
    # With these numbers no element of the output is as near to zero as the step of differences.
    Case(
        "BatchNormRelu",
        layers.BatchNormRelu,
        normal(9, 11),
        {"gamma": normal(11), "beta": normal(11)},
    ),
    Case(
        "BatchNormRelu-NCHW",
        layers.BatchNormRelu,
        normal(4, 3, 5, 2),
        {"gamma": normal(3), "beta": normal(3)},
    ),
    Case("Dropout", lambda: layers.Dropout(0.4, seed=1), normal(5, 19), {}),
    Case("Dropout-inverted", lambda: layers.Dropout(0.4, inverted=True, seed=1), normal(5, 19), {}),
    Case("SoftmaxWithLoss", layers.SoftmaxWithLoss, normal(6, 11), {}, labels(6, 11)),
    Case("SoftmaxWithLoss-one_hot", layers.SoftmaxWithLoss, normal(6, 11), {}, one_hot(6, 11)),
    Case("SoftmaxWithLoss-soft", layers.SoftmaxWithLoss, normal(6, 11), {}, distributions(6, 11)),
    Case("IdentityWithLoss", layers.IdentityWithLoss, normal(6, 11), {}, normal(6, 11)),
]
INNER = [case for case in CASES if case.target is None]


def table(cases):
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def centred_differences(f, a, h=1e-5):
    """Gradient of f() with respect to the array a, which f reads; 1e-5 is near eps^(1/3)."""
    gradient = np.empty_like(a)
    for index in np.ndindex(a.shape):
        before = a[index]
        a[index] = before + h
        above = f()
        a[index] = before - h
        below = f()
        a[index] = before
        gradient[index] = (above - below) / (2 * h)
    return gradient


def relative_error(a, n):
    """|a - n| / max(|a|, |n|) in the Euclidean norm; 0 where both are zero."""
    size = max(np.linalg.norm(a), np.linalg.norm(n))
    return np.linalg.norm(a - n) / size if size else 0.0


def backward(case, layer, x, t, dout):
    """Run both passes; return the gradients by the names of what they belong to."""
    case.forward(layer, x, t)
    gradients = {"x": layer.backward() if case.target else layer.backward(dout)}
    return gradients | {key: getattr(layer, "d" + key) for key in case.params}


@table(CASES)
def test_gradient_check(case):
    rng = np.random.default_rng(10)
    params, x, t = case.draw(rng, np.float64)
    dout = rng.normal(size=np.shape(case.forward(case.build(**params), x, t)))

    def loss():
        return np.sum(case.forward(case.build(**params), x, t) * (1 if case.target else dout))

    analytic = backward(case, case.build(**params), x, t, dout)
    for name, array in ({"x": x} | params).items():
        numeric = centred_differences(loss, array)
        assert analytic[name].shape == array.shape, name
        assert np.linalg.norm(numeric) > 0, name
        assert relative_error(analytic[name], numeric) < 1e-7, name


@dtypes
@table(CASES)
def test_dtype_is_kept(case, dtype):
    rng = np.random.default_rng(11)
    params, x, t = case.draw(rng, dtype)
    layer = case.build(**params)
    out = case.forward(layer, x, t)
    if case.target:
        assert type(out) is float
    else:
        assert out.dtype == dtype
    for name, gradient in backward(case, layer, x, t, np.ones_like(out)).items():
        assert gradient.dtype == dtype, name


@dtypes
@table(CASES)
def test_inputs_are_not_written(case, dtype):
    rng = np.random.default_rng(12)
    params, x, t = case.draw(rng, dtype)
    dout = np.ones_like(case.forward(case.build(**params), x, t))
    arrays = {"x": x, "dout": np.asarray(dout), "t": np.asarray(t), **params}
    before = {name: a.copy() for name, a in arrays.items()}
    for a in arrays.values():
        a.flags.writeable = False  # what writes to it through NumPy raises
    backward(case, case.build(**params), x, t, dout)
    for name, a in arrays.items():
        np.testing.assert_array_equal(a, before[name], err_msg=name)


@table([case for case in CASES if case.name != "Identity"])  # which keeps nothing
def test_backward_before_forward(case):
    params, x, _ = case.draw(np.random.default_rng(13), np.float64)
    layer = case.build(**params)
    with pytest.raises(RuntimeError, match=rf"{type(layer).__name__}\.backward: call forward"):
        layer.backward(np.ones_like(x))


@table(CASES)
def test_passes_can_be_repeated(case):
    rng = np.random.default_rng(14)
    params, x, t = case.draw(rng, np.float64)
    layer = case.build(**params)
    dout = np.ones_like(case.forward(layer, x, t))
    other = np.roll(x, 1, axis=0)
    backward(case, layer, other[1:], None if t is None else t[1:], dout[1:] if dout.ndim else dout)
    if hasattr(layer, "step"):
        layer.step = 0
    again = backward(case, layer, x, t, dout)
    once = backward(case, case.build(**params), x, t, dout)
    for name in once:
        np.testing.assert_array_equal(again[name], once[name], err_msg=name)


@table(CASES)
def test_what_no_pass_replaces_is_lasting(case):
    """Each attribute lasts, or is another after each pass."""
    params, x, t = case.draw(np.random.default_rng(19), np.float64)
    layer = case.build(**params)
    before = {}
    for n in (len(x), len(x) - 1):  # the first may make running statistics
        before = dict(vars(layer))
        y = case.forward(layer, x[:n].copy(), None if t is None else t[:n].copy())
        layer.backward() if case.target else layer.backward(np.ones_like(y))
    replaced = {name for name, value in vars(layer).items() if value is not before[name]}
    assert lasting(layer).keys() == vars(layer).keys() - replaced


@table([case for case in INNER if not case.name.startswith(("BatchNorm", "Dropout"))])
def test_training_flag_does_not_matter(case):
    params, x, _ = case.draw(np.random.default_rng(15), np.float64)
    layer = case.build(**params)
    np.testing.assert_array_equal(layer.forward(x, False), layer.forward(x, True))


# --- Affine -----------------------------------------------------------------------------


def test_max_pool_steps_by_its_window():
    x = distinct(3, 2, 7, 6)(np.random.default_rng(0))
    dout = np.ones((3, 2, 3, 3))
    default, given = layers.MaxPool(2, 2), layers.MaxPool(2, 2, stride=2)
    np.testing.assert_array_equal(default.forward(x), given.forward(x))
    np.testing.assert_array_equal(default.backward(dout), given.backward(dout))
    y, argmax = ops.max_pool(x, 2, 2)
    for backward in (
        lambda *stride: ops.max_pool_backward(dout, argmax, x.shape, 2, 2, *stride),
        lambda *stride: ops.max_pool_backward_shared(dout, x, y, 2, 2, *stride),
    ):
        np.testing.assert_array_equal(backward(), backward(2))
    with pytest.raises(ValueError, match="^stride: expected a number, .* 2 x 3 is no square"):
        layers.MaxPool(2, 3).forward(x)


@dtypes
def test_affine_by_hand(dtype):
    layer = layers.Affine(np.array([[1, -1], [2, 0.5]], dtype), np.array([0.5, -1], dtype))
    y = layer.forward(np.array([[1, 2], [3, 4]], dtype))
    np.testing.assert_array_equal(y, [[5.5, -1], [11.5, -2]])
    dx = layer.backward(np.array([[1, 0], [2, -1]], dtype))
    np.testing.assert_array_equal(dx, [[1, 2], [3, 3.5]])
    np.testing.assert_array_equal(layer.dW, [[7, -3], [10, -4]])
    np.testing.assert_array_equal(layer.db, [3, -1])


@pytest.mark.parametrize("kind", [layers.Affine, layers.AffineRelu])
@pytest.mark.parametrize("shape", [(4, 2, 3, 2), (4, 3, 4), (4, 12)])
def test_affine_flattens_each_sample(kind, shape):
    rng = np.random.default_rng(20)
    x, W, b = whole(*shape)(rng), whole(12, 5)(rng), off_whole(5)(rng)
    dout = whole(4, 5)(rng)
    layer, flat = kind(W, b), kind(W, b)
    np.testing.assert_array_equal(layer.forward(x), flat.forward(x.reshape(4, 12)))
    dx = layer.backward(dout)
    assert dx.shape == layer.original_x_shape == shape
    np.testing.assert_array_equal(dx.reshape(4, 12), flat.backward(dout))
    np.testing.assert_array_equal(layer.dW, flat.dW)


def test_affine_sees_updates_in_place():
    W, b = np.ones((2, 1)), np.zeros(1)
    layer = layers.Affine(W, b)
    W *= 3
    b += 1
    np.testing.assert_array_equal(layer.forward(np.array([[1.0, 2.0]])), [[10.0]])


@pytest.mark.parametrize("kind", [layers.Affine, layers.AffineRelu])
def test_affine_without_input_gradient(kind):
    rng = np.random.default_rng(21)
    x, W, b = whole(4, 6)(rng), whole(6, 5)(rng), off_whole(5)(rng)
    dout = whole(4, 5)(rng)
    full, short = kind(W, b), kind(W, b)
    short.input_gradient = False
    for layer in (full, short):
        layer.forward(x)
    assert full.backward(dout) is not None
    assert short.backward(dout) is None
    np.testing.assert_array_equal(short.dW, full.dW)
    np.testing.assert_array_equal(short.db, full.db)


def test_affine_refuses_what_does_not_fit():
    layer = layers.Affine(np.ones((3, 2)), np.zeros(2))
    with pytest.raises(ValueError, match=r"x: expected shape \(N, ...\), one row a sample"):
        layer.forward(1.0)
    with pytest.raises(ValueError, match=r"W: .*4 rows.*\(5, 4\).*\(3, 2\)"):
        layer.forward(np.ones((5, 4)))
    layer.forward(np.ones((5, 3)))
    with pytest.raises(ValueError, match=r"dout: .*\(5, 2\).*\(2, 5\)"):
        layer.backward(np.ones((2, 5)))


@dtypes
@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 19, 7), (33, 40, 65)])
def test_affine_relu_is_affine_then_relu(shape, dtype):
    # Sums of products of small integers are exact, so the order does not matter.
    n, d, h = shape
    rng = np.random.default_rng(22)
    x, W, dout = (whole(*s)(rng).astype(dtype) for s in ((n, d), (d, h), (n, h)))
    b = off_whole(h)(rng).astype(dtype)
    fused, affine, relu = layers.AffineRelu(W, b), layers.Affine(W, b), layers.Relu()
    np.testing.assert_array_equal(fused.forward(x), relu.forward(affine.forward(x)))
    np.testing.assert_array_equal(fused.mask, relu.mask)
    np.testing.assert_array_equal(fused.backward(dout), affine.backward(relu.backward(dout)))
    np.testing.assert_array_equal(fused.dW, affine.dW)
    np.testing.assert_array_equal(fused.db, affine.db)


# --- activations ------------------------------------------------------------------------


def test_relu_by_hand():
    layer = layers.Relu()
    assert layer.mask is None
    np.testing.assert_array_equal(layer.forward(np.array([-2.0, 0.0, 3.0])), [0, 0, 3])
    np.testing.assert_array_equal(layer.mask, [True, True, False])
    np.testing.assert_array_equal(layer.backward(np.array([5.0, 6.0, 7.0])), [0, 0, 7])


@pytest.mark.parametrize(
    ("kind", "formula", "limits"),
    [
        (layers.Sigmoid, lambda x: 1 / (1 + np.exp(-x)), (0, 1)),
        (layers.Tanh, np.tanh, (-1, 1)),
    ],
)
@dtypes
def test_sigmoid_and_tanh(kind, formula, limits, dtype):
    x = np.random.default_rng(23).normal(scale=3, size=(7, 13)).astype(dtype)
    layer = kind()
    out = layer.forward(x)
    # The kernels' exp and tanh are good to 4 units in the last place; a sum and a quotient.
    np.testing.assert_allclose(out, formula(x.astype(np.float64)), rtol=8 * np.finfo(dtype).eps)
    assert layer.out is out
    np.testing.assert_array_equal(layer.forward(np.array([-1e4, 1e4], dtype)), limits)
    np.testing.assert_array_equal(layer.backward(np.ones(2, dtype)), [0, 0])


# --- BatchNormalization -----------------------------------------------------------------


@dtypes
def test_batchnorm_by_hand(dtype):
    # Columns 1, 1, 3, 3 have mean 2 and variance 1; all numbers below are exact.
    gamma, beta = np.array([2], dtype), np.array([0.5], dtype)
    layer = layers.BatchNormalization(gamma, beta, momentum=0.75, eps=0)
    x = np.array([[1], [1], [3], [3]], dtype)
    np.testing.assert_array_equal(layer.forward(x), [[-1.5], [-1.5], [2.5], [2.5]])
    dx = layer.backward(np.array([[1], [2], [3], [6]], dtype))
    np.testing.assert_array_equal(dx, [[-1], [1], [-3], [3]])
    np.testing.assert_array_equal(layer.dgamma, [6])
    np.testing.assert_array_equal(layer.dbeta, [12])
    np.testing.assert_array_equal(layer.running_mean, [0.5])
    np.testing.assert_array_equal(layer.running_var, [0.25])
    np.testing.assert_array_equal(layer.forward(x, False), [[2.5], [2.5], [10.5], [10.5]])


@dtypes
@pytest.mark.parametrize(
    ("shape", "axes", "per_pixel"),
    [
        ((8, 5), (0,), False),
        ((4, 3, 5, 2), (0, 2, 3), False),
        ((8, 3, 2, 2), (0,), True),
    ],
)
def test_batchnorm_in_training_and_inference(shape, axes, per_pixel, dtype):
    rng = np.random.default_rng(30)
    kept = tuple(n for i, n in enumerate(shape) if i not in axes)
    expand = tuple(1 if i in axes else n for i, n in enumerate(shape))
    gamma, beta = (rng.normal(size=np.prod(kept)).astype(dtype) for _ in range(2))
    layer = layers.BatchNormalization(gamma, beta, momentum=0.8, eps=1e-3, per_pixel=per_pixel)
    assert layer.running_mean is None and layer.running_var is None

    mean, var, steps = np.zeros(kept), np.zeros(kept), 4
    for _ in range(steps):
        x = rng.normal(2, 3, size=shape).astype(dtype)
        y = layer.forward(x, True).astype(np.float64)
        batch = x.astype(np.float64)
        batch_mean = batch.mean(axis=axes)
        batch_var = np.mean((batch - batch_mean.reshape(expand)) ** 2, axis=axes)  # biased
        mean = 0.8 * mean + 0.2 * batch_mean
        var = 0.8 * var + 0.2 * batch_var
        xhat = (batch - batch_mean.reshape(expand)) / np.sqrt(batch_var + 1e-3).reshape(expand)
        expected = gamma.reshape(expand) * xhat + beta.reshape(expand)
        # Means of n numbers of size |x|: n eps |x|, which the division by sqrt(var) scales.
        rounding = x.size // np.prod(kept) * np.finfo(dtype).eps
        scale = np.abs(gamma).max() * np.abs(x).max() / np.sqrt(batch_var.min())
        np.testing.assert_allclose(y, expected, rtol=0, atol=2 * rounding * scale)
    assert layer.input_shape == shape
    assert layer.batch_size == shape[0]
    limit = steps * rounding * np.abs(x).max()
    np.testing.assert_allclose(layer.running_mean, mean.ravel(), rtol=0, atol=limit)
    limit = 2 * steps * rounding * np.abs(x).max() ** 2
    np.testing.assert_allclose(layer.running_var, var.ravel(), rtol=0, atol=limit)
    assert layer.running_mean.dtype == layer.running_var.dtype == dtype

    before = layer.running_mean.copy(), layer.running_var.copy()
    y = layer.forward(x, False)
    np.testing.assert_array_equal(layer.running_mean, before[0])
    np.testing.assert_array_equal(layer.running_var, before[1])
    mean, var = (a.astype(np.float64).reshape(expand) for a in before)
    expected = gamma.reshape(expand) * (x - mean) / np.sqrt(var + 1e-3) + beta.reshape(expand)
    limit = 8 * np.finfo(dtype).eps * np.abs(expected).max()
    np.testing.assert_allclose(y, expected, rtol=0, atol=limit)
    assert y.shape == shape and y.dtype == dtype


def test_batchnorm_of_images_is_that_of_their_pixels():
    rng = np.random.default_rng(31)
    x, dout = (rng.normal(size=(4, 3, 5, 2)) for _ in range(2))
    gamma, beta = rng.normal(size=3), rng.normal(size=3)
    images, pixels = (layers.BatchNormalization(gamma, beta) for _ in range(2))

    def rows(a):
        return a.transpose(0, 2, 3, 1).reshape(-1, 3)

    n = x.size // 3
    close = {"rtol": 0, "atol": 4 * n * EPS * np.abs(x).max() * np.abs(dout).max()}
    np.testing.assert_allclose(rows(images.forward(x)), pixels.forward(rows(x)), **close)
    np.testing.assert_allclose(rows(images.backward(dout)), pixels.backward(rows(dout)), **close)
    np.testing.assert_allclose(images.dgamma, pixels.dgamma, rtol=0, atol=n * close["atol"])
    np.testing.assert_allclose(images.dbeta, pixels.dbeta, rtol=0, atol=n * close["atol"])


@dtypes
@pytest.mark.parametrize("per_pixel", [False, True])
@pytest.mark.parametrize("shape", [(33, 12), (600, 12), (7, 3, 2, 2)])
def test_batchnorm_relu_is_batchnorm_then_relu(shape, per_pixel, dtype):
    rng = np.random.default_rng(33)
    x, dout = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    features = shape[1] if len(shape) == 2 or not per_pixel else 12
    gamma, beta = (rng.normal(size=features).astype(dtype) for _ in range(2))
    fused = layers.BatchNormRelu(gamma, beta, per_pixel=per_pixel)
    norm, relu = layers.BatchNormalization(gamma, beta, per_pixel=per_pixel), layers.Relu()
    assert fused.mask is None
    for training in (True, False, True):
        expected = relu.forward(norm.forward(x, training), training)
        np.testing.assert_array_equal(fused.forward(x, training), expected)
        np.testing.assert_array_equal(fused.mask, relu.mask)
        np.testing.assert_array_equal(fused.running_var, norm.running_var)
    # The sums may be added up in another order; they are of as many terms as x has elements.
    tolerance = x.size * np.finfo(dtype).eps
    dx, expected = fused.backward(dout), norm.backward(relu.backward(dout))
    np.testing.assert_allclose(dx, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(fused.dgamma, norm.dgamma, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(fused.dbeta, norm.dbeta, rtol=tolerance, atol=tolerance)


def test_batchnorm_inference_before_training_uses_zeros():
    layer = layers.BatchNormalization(np.ones(1), np.zeros(1), eps=0.25)
    np.testing.assert_array_equal(layer.forward(np.array([[3.0]]), False), [[6.0]])


def test_batchnorm_updates_given_statistics_in_place():
    mean, var = np.array([4.0]), np.array([8.0])
    layer = layers.BatchNormalization(np.ones(1), np.zeros(1), 0.5, mean, var)
    layer.forward(np.array([[1.0], [3.0]]))
    assert layer.running_mean is mean and layer.running_var is var
    np.testing.assert_array_equal([mean, var], [[3.0], [4.5]])


@pytest.mark.parametrize("name", ["running_mean", "running_var"])
def test_batchnorm_keeps_the_one_statistic_given(name):
    given = np.array([4.0])
    layer = layers.BatchNormalization(np.ones(1), np.zeros(1), 0.5, **{name: given})
    layer.forward(np.array([[1.0], [3.0]]))
    assert getattr(layer, name) is given
    expected = {"running_mean": [1.0], "running_var": [0.5]} | {
        name: [3.0] if name == "running_mean" else [2.5]
    }
    for key, value in expected.items():
        np.testing.assert_array_equal(getattr(layer, key), value, err_msg=key)


def test_batchnorm_backward_needs_a_training_pass():
    layer = layers.BatchNormalization(np.ones(2), np.zeros(2))
    layer.forward(np.ones((3, 2)), False)
    with pytest.raises(RuntimeError, match="BatchNormalization.backward"):
        layer.backward(np.ones((3, 2)))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"momentum": 1.5}, "momentum"),
        ({"momentum": -0.1}, "momentum"),
        ({"momentum": np.nan}, "momentum"),
        ({"eps": -1e-9}, "eps"),
        ({"eps": np.inf}, "eps"),
    ],
)
def test_batchnorm_settings_out_of_range(settings, name):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        layers.BatchNormalization(np.ones(2), np.zeros(2), **settings)


def test_batchnorm_refuses_an_empty_batch():
    layer = layers.BatchNormalization(np.ones(2), np.zeros(2))
    with pytest.raises(ValueError, match=r"at least one sample.*\(0, 2\)"):
        layer.forward(np.ones((0, 2)))


# --- Dropout ----------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("ratio", [0.0, 0.2, 0.5])
@pytest.mark.parametrize("inverted", [False, True])
def test_dropout_forms(inverted, ratio, dtype):
    rng = np.random.default_rng(40)
    x, dout = (rng.normal(size=(40, 51)).astype(dtype) for _ in range(2))
    layer = layers.Dropout(ratio, inverted=inverted, seed=2)
    train, test = (1 / (1 - ratio), 1.0) if inverted else (1.0, 1 - ratio)
    one_rounding = {"rtol": np.finfo(dtype).eps, "atol": 0}

    y = layer.forward(x)
    assert layer.mask.dtype == np.bool_ and layer.mask.shape == x.shape
    np.testing.assert_allclose(y, np.where(layer.mask, x * train, 0), **one_rounding)
    dx = layer.backward(dout)
    np.testing.assert_allclose(dx, np.where(layer.mask, dout * train, 0), **one_rounding)

    mask, step = layer.mask.copy(), layer.step
    np.testing.assert_allclose(layer.forward(x, False), x * test, **one_rounding)
    np.testing.assert_array_equal(layer.mask, mask)
    assert layer.step == step == 1
    assert mask.all() == (ratio == 0)


@pytest.mark.parametrize("ratio", [0.05, 0.5, 0.9])
def test_dropout_keeps_the_right_share(ratio):
    layer, n = layers.Dropout(ratio, seed=3), 100_000
    masks = []
    for _ in range(2):
        layer.forward(np.ones(n, np.float32))
        masks.append(layer.mask)
        sigma = np.sqrt(ratio * (1 - ratio) / n)
        assert abs(layer.mask.mean() - (1 - ratio)) < 5 * sigma
    # Independent masks agree with probability p^2 + q^2; so do neighbours in one mask.
    agree = ratio**2 + (1 - ratio) ** 2
    sigma = np.sqrt(agree * (1 - agree) / n)
    assert abs(np.mean(masks[0] == masks[1]) - agree) < 5 * sigma
    # Each element is in two pairs of neighbours, which at most doubles the variance.
    assert abs(np.mean(masks[0][1:] == masks[0][:-1]) - agree) < 5 * np.sqrt(2) * sigma


def drawn(layer, steps=3, dtype=np.float64):
    masks = []
    for _ in range(steps):
        layer.forward(np.ones((11, 13), dtype))
        masks.append(layer.mask)
    return masks


def test_dropout_masks_come_from_seed_and_step():
    layer = layers.Dropout(seed=4)
    first = drawn(layer)
    assert layer.step == 3
    np.testing.assert_array_equal(drawn(layers.Dropout(seed=4), dtype=np.float32), first)
    layer.step = 1
    np.testing.assert_array_equal(drawn(layer, 2), first[1:])
    other = drawn(layers.Dropout(seed=5))
    assert all(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert not np.array_equal(first[0], first[1])


def test_dropout_masks_are_those_of_the_other_backend(backend):
    here = drawn(layers.Dropout(0.3, seed=2**64 - 1))
    with use_backend({"numba": "numpy", "numpy": "numba"}[backend]):
        np.testing.assert_array_equal(drawn(layers.Dropout(0.3, seed=2**64 - 1)), here)


def test_dropout_without_seed_draws_one():
    one, two = layers.Dropout(), layers.Dropout()
    assert one.seed != two.seed
    assert not np.array_equal(drawn(one), drawn(two))


@pytest.mark.parametrize(
    ("settings", "error", "name"),
    [
        ({"dropout_ratio": 1}, ValueError, "dropout_ratio"),
        ({"dropout_ratio": -0.1}, ValueError, "dropout_ratio"),
        ({"dropout_ratio": np.nan}, ValueError, "dropout_ratio"),
        ({"dropout_ratio": "0.5"}, TypeError, "dropout_ratio"),
        ({"seed": -1}, ValueError, "seed"),
        ({"seed": 2**64}, ValueError, "seed"),
        ({"seed": 0.5}, TypeError, "seed"),
    ],
)
def test_dropout_settings_out_of_range(settings, error, name):
    with pytest.raises(error, match=f"^{name}: expected"):
        layers.Dropout(**settings)


# --- losses -----------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("form", [labels, one_hot, distributions])
def test_softmax_with_loss_closed_form(form, dtype):
    n, classes = 6, 11
    rng = np.random.default_rng(50)
    x, t = rng.normal(size=(n, classes)).astype(dtype), form(n, classes)(rng)
    layer = layers.SoftmaxWithLoss()
    loss = layer.forward(x, t)
    y = np.exp(x.astype(np.float64))
    y /= y.sum(axis=1, keepdims=True)
    dense = np.eye(classes)[t] if t.ndim == 1 else t
    limit = rounding.of_softmax(x)
    expected = -np.sum(dense * np.log(y)) / n
    assert abs(loss - expected) < limit * expected
    assert loss == layer.loss and layer.t is t
    np.testing.assert_allclose(layer.y, y, rtol=limit)
    np.testing.assert_allclose(layer.backward(), (y - dense) / n, rtol=0, atol=limit / n)


@pytest.mark.parametrize("shape", ["(N, 1)", "one-hot", "uint8"])
def test_softmax_targets_in_other_forms(shape):
    rng = np.random.default_rng(51)
    x, t = rng.normal(size=(6, 5)), rng.integers(5, size=6)
    other = {"(N, 1)": t[:, np.newaxis], "one-hot": np.eye(5)[t], "uint8": t.astype(np.uint8)}
    layer, same = layers.SoftmaxWithLoss(), layers.SoftmaxWithLoss()
    loss = layer.forward(x, t)
    assert abs(same.forward(x, other[shape]) - loss) <= 8 * EPS * loss
    np.testing.assert_allclose(same.backward(), layer.backward(), rtol=0, atol=4 * EPS)


@dtypes
def test_softmax_with_loss_of_huge_scores(dtype):
    x = np.array([[1e4, -1e4], [1e4, -1e4], [1e4, 1e4]], dtype)
    layer = layers.SoftmaxWithLoss()
    eps = np.finfo(dtype).eps
    assert layer.forward(x[:1], np.array([0])) == 0
    np.testing.assert_array_equal(layer.backward(), [[0, 0]])
    assert layer.forward(x[:2], np.array([1, 1])) == 2e4
    np.testing.assert_array_equal(layer.backward(), [[0.5, -0.5], [0.5, -0.5]])
    assert abs(layer.forward(x[2:], np.array([0])) - np.log(2)) <= 2 * eps
    np.testing.assert_array_equal(layer.backward(), [[-0.5, 0.5]])
    np.testing.assert_array_equal(layer.y, [[0.5, 0.5]])


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_softmax_loss_of_equal_scores_is_the_log_of_the_classes(classes):
    loss = layers.SoftmaxWithLoss().forward(np.full((3, classes), 7.0), np.array([0, 1, 1]))
    assert abs(loss - np.log(classes)) <= 4 * EPS * np.log(classes)


def test_identity_with_loss_by_hand():
    layer = layers.IdentityWithLoss()
    x = np.array([[1.0, 2.0], [3.0, 5.0]])
    assert layer.forward(x, np.array([[1.0, 0.0], [0.0, 1.0]])) == (0 + 4 + 9 + 16) / 2 / 2
    np.testing.assert_array_equal(layer.backward(), [[0, 1], [1.5, 2]])
    assert layer.y is x and layer.loss == 7.25


@dtypes
@table([case for case in CASES if case.target])
def test_loss_gradient_is_scaled(case, dtype):
    _, x, t = case.draw(np.random.default_rng(52), dtype)
    layer = case.build()
    layer.forward(x, t)
    scaled = layer.backward(4)
    assert scaled.dtype == dtype
    np.testing.assert_array_equal(scaled, 4 * layer.backward())


@pytest.mark.parametrize(
    ("t", "error", "message"),
    [
        ([0, 3], ValueError, "0 to 2, got 3"),
        ([0, -1], ValueError, "0 to 2, got -1"),
        ([0, 1, 2], ValueError, r"\(2,\).*\(2, 3\).*\(3,\)"),
        ([0.5, 1.0], TypeError, "that are integers, got float64"),
    ],
)
def test_softmax_refuses_wrong_targets(t, error, message):
    with pytest.raises(error, match=f"^t: .*{message}"):
        layers.SoftmaxWithLoss().forward(np.ones((2, 3)), np.array(t))


@pytest.mark.parametrize("kind", [layers.SoftmaxWithLoss, layers.IdentityWithLoss])
def test_losses_refuse_an_empty_batch(kind):
    with pytest.raises(ValueError, match=r"^x: .*at least one sample.*\(0, 3\)"):
        kind().forward(np.ones((0, 3)), np.ones((0, 3)))
