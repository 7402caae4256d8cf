"""Any layout, real dtype and writability of the arrays gives the results of plain arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastnn import config, ops
from fastnn.optimizers import OPTIMIZERS

N, D, H = 6, 5, 4
PLACES = np.arange(36, dtype=np.int32).reshape(2, 3, 3, 2) % 4


def values(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def fortran(a):
    return np.asfortranarray(a)


def negative(a):
    """Return an array with the values of `a` and negative strides in every axis."""
    flip = (slice(None, None, -1),) * a.ndim
    return np.ascontiguousarray(a[flip])[flip]


def strided(a):
    """Return every second column of a wider array."""
    wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), 99, a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def unaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)[1:]
    moved = raw.view(a.dtype).reshape(a.shape)
    moved[...] = a
    assert not moved.flags.aligned
    return moved


def swapped(a):
    return a.astype(a.dtype.newbyteorder())


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def subclass(a):
    """Return a subclass that has its own idea of its shape, where there is one."""

    class Mapped(np.ndarray):
        pass

    return a.view(np.matrix if a.ndim == 2 else Mapped)


IN_PLACE = [fortran, negative, strided, unaligned, subclass, swapped]
LAYOUTS = [*IN_PLACE, read_only]

# name: (function of a list of arrays, shapes of the arrays)
READ = {
    "affine": (lambda a: [ops.affine(*a)], [(N, D), (D, H), (H,)]),
    "affine_relu": (lambda a: [ops.affine_relu(*a)], [(N, D), (D, H), (H,)]),
    "affine_backward": (lambda a: ops.affine_backward(*a), [(N, H), (N, D), (D, H)]),
    "affine_relu_backward": (
        lambda a: ops.affine_relu_backward(*a),
        [(N, H), (N, D), (D, H), (N, H)],
    ),
    "relu": (lambda a: [ops.relu(*a)], [(N, D)]),
    "relu_backward": (lambda a: [ops.relu_backward(*a)], [(N, D), (N, D)]),
    "sigmoid": (lambda a: [ops.sigmoid(*a)], [(N, D)]),
    "sigmoid_backward": (lambda a: [ops.sigmoid_backward(*a)], [(N, D), (N, D)]),
    "tanh": (lambda a: [ops.tanh(*a)], [(N, D)]),
    "tanh_backward": (lambda a: [ops.tanh_backward(*a)], [(N, D), (N, D)]),
    "leaky_relu": (lambda a: [ops.leaky_relu(*a, 0.1)], [(N, D)]),
    "leaky_relu_backward": (lambda a: [ops.leaky_relu_backward(*a, 0.1)], [(N, D), (N, D)]),
    "elu": (lambda a: [ops.elu(*a, 1.5)], [(N, D)]),
    "elu_backward": (lambda a: [ops.elu_backward(*a, 1.5)], [(N, D), (N, D)]),
    "gelu": (lambda a: [ops.gelu(*a)], [(N, D)]),
    "gelu_backward": (lambda a: [ops.gelu_backward(*a)], [(N, D), (N, D)]),
    "gelu tanh": (lambda a: [ops.gelu(*a, "tanh")], [(N, D)]),
    "gelu_backward tanh": (lambda a: [ops.gelu_backward(*a, "tanh")], [(N, D), (N, D)]),
    "silu": (lambda a: [ops.silu(*a)], [(N, D)]),
    "silu_backward": (lambda a: [ops.silu_backward(*a)], [(N, D), (N, D)]),
    "softplus": (lambda a: [ops.softplus(*a)], [(N, D)]),
    "softplus_backward": (lambda a: [ops.softplus_backward(*a)], [(N, D), (N, D)]),
    "softmax": (lambda a: [ops.softmax(*a)], [(N, D)]),
    "softmax_cross_entropy": (
        lambda a: ops.softmax_cross_entropy(a[0], np.arange(N) % D),
        [(N, D)],
    ),
    "softmax_cross_entropy dense": (
        lambda a: ops.softmax_cross_entropy(*a),
        [(N, D), lambda: ops.softmax(values(1, N, D))],
    ),
    "mean_squared_error": (lambda a: ops.mean_squared_error(*a), [(N, D), (N, D)]),
    "mean_squared_error weighted": (
        lambda a: ops.mean_squared_error(a[0], a[1], weights=a[2]),
        [(N, D), (N, D), lambda: np.abs(values(2, N))],
    ),
    "binary_cross_entropy": (
        lambda a: ops.binary_cross_entropy(*a),
        [(N, D), lambda: ops.sigmoid(values(1, N, D))],
    ),
    "poisson": (lambda a: ops.poisson(*a), [(N, D), lambda: np.abs(values(1, N, D))]),
    "huber": (lambda a: ops.huber(*a), [(N, D), (N, D)]),
    "batchnorm": (
        lambda a: ops.batchnorm(*a, np.zeros(D, a[0].dtype), np.ones(D, a[0].dtype)),
        [(N, D), (D,), (D,)],
    ),
    "batchnorm NCHW": (
        lambda a: ops.batchnorm(*a, np.zeros(D, a[0].dtype), np.ones(D, a[0].dtype)),
        [(N, D, 3, 2), (D,), (D,)],
    ),
    "batchnorm_inference": (
        lambda a: [ops.batchnorm_inference(*a, np.full(D, 0.7))],
        [(N, D), (D,), (D,), (D,)],
    ),
    "batchnorm_backward": (
        lambda a: ops.batchnorm_backward(*a),
        [(N, D), (N, D), (D,), (D,), (D,)],
    ),
    "batchnorm_relu": (
        lambda a: ops.batchnorm_relu(*a, np.zeros(D, a[0].dtype), np.ones(D, a[0].dtype)),
        [(N, D), (D,), (D,)],
    ),
    "batchnorm_relu NCHW": (
        lambda a: ops.batchnorm_relu(*a, np.zeros(D, a[0].dtype), np.ones(D, a[0].dtype)),
        [(N, D, 3, 2), (D,), (D,)],
    ),
    "batchnorm_relu_inference": (
        lambda a: [ops.batchnorm_relu_inference(*a, np.full(D, 0.7))],
        [(N, D), (D,), (D,), (D,)],
    ),
    "batchnorm_relu_backward": (
        lambda a: ops.batchnorm_relu_backward(*a),
        [(N, D), (N, D), (D,), (D,), (D,), (N, D)],
    ),
    "im2col": (lambda a: [ops.im2col(*a, 2, 3, 2, 1)], [(2, 3, 6, 5)]),
    "col2im": (lambda a: [ops.col2im(*a, (2, 3, 6, 5), 2, 3, 2, 1)], [(2 * 4 * 3, 18)]),
    "convolution": (
        lambda a: [ops.convolution(*a, 2, 1)],
        [(2, 3, 6, 5), (4, 3, 2, 3), (4,)],
    ),
    "convolution_backward": (
        lambda a: ops.convolution_backward(*a, 2, 1),
        [(2, 4, 4, 3), (2, 3, 6, 5), (4, 3, 2, 3)],
    ),
    "max_pool": (lambda a: ops.max_pool(*a, 2, 2, 2), [(2, 3, 6, 5)]),
    "max_pool_backward": (
        lambda a: [ops.max_pool_backward(*a, PLACES, (2, 3, 6, 5), 2, 2, 2)],
        [(2, 3, 3, 2)],
    ),
    "max_pool_backward_shared": (
        lambda a: [ops.max_pool_backward_shared(*a, 2, 2, 2)],
        [(2, 3, 3, 2), (2, 3, 6, 5), (2, 3, 3, 2)],
    ),
    "layernorm": (lambda a: ops.layernorm(*a), [(N, D), (D,), (D,)]),
    "layernorm_backward": (
        lambda a: ops.layernorm_backward(*a),
        [(N, D), (N, D), (D,), (N,), (N,)],
    ),
    "dropout": (lambda a: ops.dropout(*a, 0.4, 1), [(N, D)]),
    "dropout_backward": (
        lambda a: [ops.dropout_backward(*a, np.arange(N * D).reshape(N, D) % 3 == 0, 0.4)],
        [(N, D)],
    ),
    "dropout_inference": (lambda a: [ops.dropout_inference(*a, 0.4)], [(N, D)]),
}

RULES = {kind.rule.name: kind.rule for kind in OPTIMIZERS.values()}
STATES = {name: len(rule.states) for name, rule in RULES.items()}


def update(name, p, g, *state, lr=0.1):
    counters = {"step": 3, "mu_product": 0.2}
    counters = {key: counters[key] for key in RULES[name].counters}
    getattr(ops, name)(p, g, *state, **counters, lr=lr, weight_decay=0.01)


# Take no arrays but those for their results.
WRITE_ONLY = {
    "choices": lambda out: ops.choices(99, N, 1, 2, out),
    "permutation": lambda out: ops.permutation(N, 1, 2, out),
}


def taken(shapes, dtype):
    """Return arrays of these shapes, or what is made in their place."""
    made = (s() if callable(s) else values(i, *s) for i, s in enumerate(shapes))
    return [array.astype(dtype) for array in made]


def test_every_function_is_here():
    named = {name.split()[0] for name in READ} | set(STATES) | set(WRITE_ONLY)
    assert named == set(ops.__all__)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", READ)
def test_inputs(name, layout, dtype):
    function, shapes = READ[name]
    plain = taken(shapes, dtype)
    odd = [layout(a) for a in plain]
    before = [a.copy() for a in odd]
    for got, expected in zip(function(odd), function(plain), strict=True):
        np.testing.assert_array_equal(got, expected)
        assert np.asarray(got).dtype == np.asarray(expected).dtype
    for a, kept in zip(odd, before, strict=True):
        np.testing.assert_array_equal(a, kept)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layout", IN_PLACE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", STATES)
def test_updates_in_place(name, layout, dtype):
    plain = [np.abs(values(i, N, D)).astype(dtype) for i in range(2 + STATES[name])]
    odd = [layout(a) for a in plain]
    update(name, *plain)
    update(name, *odd)
    for got, expected in zip(odd, plain, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("layout", IN_PLACE, ids=lambda f: f.__name__)
def test_running_statistics_in_place(layout):
    mean, var = layout(np.zeros(D)), layout(np.ones(D))
    plain = np.zeros(D), np.ones(D)
    x, gamma, beta = values(0, N, D), values(1, D), values(2, D)
    ops.batchnorm(x, gamma, beta, mean, var)
    ops.batchnorm(x, gamma, beta, *plain)
    np.testing.assert_array_equal(mean, plain[0])
    np.testing.assert_array_equal(var, plain[1])
    assert not np.array_equal(mean, np.zeros(D))


def test_running_statistics_of_another_precision():
    x = values(0, N, D).astype(np.float32)
    mean, var = np.zeros(D), np.ones(D)
    y, *_ = ops.batchnorm(x, np.ones(D, np.float32), np.zeros(D, np.float32), mean, var)
    assert y.dtype == np.float32
    limit = 0.1 * N * np.finfo(np.float32).eps * np.abs(x).max()
    np.testing.assert_allclose(mean, 0.1 * x.mean(axis=0), rtol=0, atol=limit)


OUTPUTS = {
    "affine": (lambda out: ops.affine(values(0, N, D), values(1, D, H), values(2, H), out), (N, H)),
    "relu": (lambda out: ops.relu(values(0, N, D), out), (N, D)),
    "softmax": (lambda out: ops.softmax(values(0, N, D), out), (N, D)),
    "batchnorm": (
        lambda out: ops.batchnorm(
            values(0, N, D), np.ones(D), np.zeros(D), np.zeros(D), np.ones(D), out=out
        )[0],
        (N, D),
    ),
    "affine_backward dW": (
        lambda out: ops.affine_backward(values(0, N, H), values(1, N, D), values(2, D, H), dW=out)[
            1
        ],
        (D, H),
    ),
    "convolution": (
        lambda out: ops.convolution(
            values(0, N, 2, 4, 4), values(1, D, 2, 3, 3), values(2, D), out=out
        ),
        (N, D, 2, 2),
    ),
    "convolution_backward dW": (
        lambda out: ops.convolution_backward(
            values(0, N, D, 2, 2), values(1, N, 2, 4, 4), values(2, D, 2, 3, 3), dW=out
        )[1],
        (D, 2, 3, 3),
    ),
    "im2col": (lambda out: ops.im2col(values(0, N, 2, 4, 4), 3, 3, out=out), (N * 4, 18)),
    "col2im": (
        lambda out: ops.col2im(values(0, N * 4, 18), (N, 2, 4, 4), 3, 3, out=out),
        (N, 2, 4, 4),
    ),
    "max_pool": (
        lambda out: ops.max_pool(values(0, N, D, 4, 4), 2, 3, 1, out=out)[0],
        (N, D, 3, 2),
    ),
    "max_pool_backward": (
        lambda out: ops.max_pool_backward(
            values(0, 2, 3, 3, 2), PLACES, (2, 3, 6, 5), 2, 2, 2, dx=out
        ),
        (2, 3, 6, 5),
    ),
    "dropout": (lambda out: ops.dropout(values(0, N, D), 0.5, 0, out=out)[0], (N, D)),
    "loss dx": (
        lambda out: ops.mean_squared_error(values(0, N, D), values(1, N, D), dx=out)[1],
        (N, D),
    ),
}


@pytest.mark.parametrize("layout", [np.copy, *IN_PLACE[:-1]], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs(name, layout):
    function, shape = OUTPUTS[name]
    out = layout(np.full(shape, np.nan))
    result = function(out)
    assert result is out
    np.testing.assert_array_equal(out, function(None))


@pytest.mark.parametrize("layout", [np.copy, *IN_PLACE[:-1]], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", WRITE_ONLY)
def test_outputs_of_integers(name, layout):
    out = layout(np.full(N, -1))
    assert WRITE_ONLY[name](out) is out
    np.testing.assert_array_equal(out, WRITE_ONLY[name](None))
    assert (out >= 0).all()


@pytest.mark.parametrize("layout", [np.copy, *IN_PLACE], ids=lambda f: f.__name__)
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint16"])
def test_places_of_largest_elements(layout, dtype):
    dout, shape = values(0, 2, 3, 3, 2), (2, 3, 6, 5)
    expected = ops.max_pool_backward(dout, PLACES, shape, 2, 2, 2)
    places = layout(PLACES.astype(dtype))
    np.testing.assert_array_equal(ops.max_pool_backward(dout, places, shape, 2, 2, 2), expected)
    if dtype == "int32" and layout is not swapped:
        places[...] = -1
        x = values(1, *shape)
        _, given = ops.max_pool(x, 2, 2, 2, argmax=places)
        assert given is places
        np.testing.assert_array_equal(given, ops.max_pool(x, 2, 2, 2)[1])


ELEMENTWISE = ["relu", "sigmoid", "tanh", "leaky_relu", "elu", "gelu", "silu", "softplus"]


@pytest.mark.parametrize("name", [*ELEMENTWISE, "softmax"])
def test_output_that_is_the_input(name):
    x = values(0, N, D)
    expected = getattr(ops, name)(x)
    assert getattr(ops, name)(x, out=x) is x
    np.testing.assert_array_equal(x, expected)


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("place", [0, 1])
def test_gradient_that_is_an_argument(name, place):
    backward = getattr(ops, f"{name}_backward")
    arrays = [values(0, N, D), values(1, N, D)]
    expected = backward(*arrays)
    assert backward(*arrays, dx=arrays[place]) is arrays[place]
    np.testing.assert_array_equal(arrays[place], expected)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_output_that_overlaps_the_input(name):
    memory = values(0, 100)
    expected = getattr(ops, name)(memory[:-1].copy())
    getattr(ops, name)(memory[:-1], out=memory[1:])
    np.testing.assert_array_equal(memory[1:], expected)


def test_affine_output_that_overlaps_an_input():
    memory = values(0, N * D)
    x, W, b = memory.reshape(N, D), values(1, D, D), values(2, D)
    expected = ops.affine(x, W, b)
    ops.affine(x, W, b, out=x)
    np.testing.assert_array_equal(x, expected)


# What comes in and what the arithmetic is done in.
@pytest.mark.parametrize(
    ("dtypes", "result"),
    [
        (["float32"] * 3, "float32"),
        (["float64"] * 3, "float64"),
        (["float32", "float64", "float32"], "float64"),
        (["uint8", "float32", "float32"], "float32"),
        (["int64", "float32", "float32"], "float32"),
        (["int64"] * 3, "float64"),
        (["bool", "float64", "float64"], "float64"),
        (["float16"] * 3, "float32"),
        (["longdouble", "float32", "float32"], "float64"),
    ],
    ids="-".join,
)
def test_dtypes(dtypes, result):
    shapes = (N, D), (D, H), (H,)
    arrays = [
        (3 * values(i, *shape)).astype(dtype)
        for i, (shape, dtype) in enumerate(zip(shapes, dtypes, strict=True))
    ]
    y = ops.affine(*arrays)
    assert y.dtype == result
    exact = [a.astype(np.float64) for a in arrays]
    bound = np.abs(exact[0]) @ np.abs(exact[1]) + np.abs(exact[2])
    error = np.abs(y - (exact[0] @ exact[1] + exact[2]))
    assert (error <= (D + 2) * np.finfo(result).eps * bound).all()


@pytest.mark.parametrize("backend", config.BACKENDS)
def test_numbers_too_large_for_a_narrower_dtype_become_infinity(backend):
    """Without a warning, which would come when half is written, and be an error in this run."""
    large, one, zero = np.full((N, D), 1e300), np.ones(D), np.zeros(D)
    p, mean, var = np.ones((N, D), np.float32), *np.zeros((2, D), np.float32)
    with config.use_backend(backend):
        ops.sgd_(p, large)
        ops.batchnorm(large, one, zero, mean, var)
        loss, _ = ops.mean_squared_error(np.zeros((N, D), np.float32), large)
        y = ops.relu(np.full((N, D), np.longdouble("1e400")))
    assert np.isneginf(p).all()
    assert np.isposinf(mean).all()
    assert np.isposinf(loss)
    assert np.isposinf(y).all()


def test_lists_and_numbers():
    np.testing.assert_array_equal(ops.relu([-1, 2]), [0, 2])
    assert ops.relu(-3).shape == ()
    assert ops.relu(np.float32(2)).dtype == np.float32


@pytest.mark.parametrize("backend", config.BACKENDS)
def test_empty_arrays(backend):
    with config.use_backend(backend):
        assert ops.relu(np.zeros((0, 3))).shape == (0, 3)
        assert ops.affine(np.zeros((0, D)), values(0, D, H), values(1, H)).shape == (0, H)
        # No inputs: what is left is the bias.
        np.testing.assert_array_equal(
            ops.affine(np.zeros((N, 0)), np.zeros((0, H)), np.arange(H)), [np.arange(H)] * N
        )
        dx, dW, db = ops.affine_backward(np.zeros((0, H)), np.zeros((0, D)), values(0, D, H))
        assert dx.shape == (0, D)
        np.testing.assert_array_equal(dW, np.zeros((D, H)))
        np.testing.assert_array_equal(db, np.zeros(H))
        ops.sgd_(np.zeros(0), np.zeros(0), 0.1)
        assert ops.permutation(0, 1).shape == ops.choices(3, 0, 1).shape == (0,)
        assert ops.softmax(np.zeros((0, 3))).shape == (0, 3)
        mean = np.zeros(3)
        assert ops.batchnorm_inference(np.zeros((0, 3)), mean, mean, mean, mean).shape == (0, 3)
        x, W = np.zeros((0, 2, 5, 5)), np.ones((3, 2, 2, 2))
        y = ops.convolution(x, W, np.zeros(3))
        assert y.shape == (0, 3, 4, 4)
        dx, dW, db = ops.convolution_backward(y, x, W)
        assert dx.shape == x.shape
        assert not dW.any()
        assert not db.any()
        y, argmax = ops.max_pool(x, 2, 2, 2)
        assert y.shape == argmax.shape == (0, 2, 2, 2)
        assert ops.max_pool_backward(y, argmax, x.shape, 2, 2, 2).shape == x.shape
        assert ops.max_pool_backward_shared(y, x, y, 2, 2, 2).shape == x.shape
        assert ops.im2col(x, 2, 2).shape == (0, 8)
        assert ops.col2im(np.zeros((0, 8)), x.shape, 2, 2).shape == x.shape


@settings(deadline=None, max_examples=50)
@given(
    shape=st.lists(st.integers(0, 5), min_size=0, max_size=4),
    order=st.permutations(range(4)),
    steps=st.lists(st.sampled_from([1, 2, -1, -3]), min_size=4, max_size=4),
    dtype=st.sampled_from(["float32", "float64", "float16", "int8", ">f4", ">f8"]),
)
def test_any_view(shape, order, steps, dtype):
    rng = np.random.default_rng(0)
    order = [axis for axis in order if axis < len(shape)]
    base = (10 * rng.standard_normal([3 * n + 1 for n in shape])).astype(dtype)
    view = base[tuple(slice(None, None, step) for step in steps[: len(shape)])].transpose(order)
    np.testing.assert_array_equal(ops.relu(view), np.maximum(view, 0))


class TwoFaced:
    """Is one array when it is looked at first, and another after that."""

    def __init__(self, *arrays):
        self.arrays = list(arrays)

    def __array__(self, dtype=None, copy=None):
        return self.arrays.pop(0) if len(self.arrays) > 1 else self.arrays[0]


def test_arguments_are_looked_at_once():
    x, t = np.zeros((3, 4)), np.eye(4)[:3]
    loss, dx = ops.softmax_cross_entropy(x, TwoFaced(t, np.zeros((1, 4))))
    assert loss == pytest.approx(np.log(4))
    loss, dx = ops.softmax_cross_entropy(TwoFaced(x, np.zeros((1000, 4))), t)
    assert dx.shape == (3, 4)


def test_unpickled_arrays_are_used_as_they_are(monkeypatch):
    import pickle

    p, g = (pickle.loads(pickle.dumps(np.ones(3, np.float32))) for _ in range(2))
    monkeypatch.setattr(np, "array", None)  # what a copy would be made with
    ops.sgd_(p, g, 0.5)
    np.testing.assert_array_equal(p, np.float32(0.5))


def test_keys_may_hold_anything():
    from fastnn.optimizers import SGD

    for key in ("{layer}", "{}", "%s"):
        with pytest.raises(ValueError, match=r"expected shape \(3,\) like params\["):
            SGD().update({key: np.ones(3)}, {key: np.ones(2)})
