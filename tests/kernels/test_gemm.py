"""The matrix product: forms, shapes around the tile, epilogues, and what memory it touches."""

import ctypes
import mmap
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastnn import kernels, ops
from fastnn.kernels.gemm.multiply import cut
from fastnn.kernels.gemm.sizes import COLUMNS32, ROWS, tile_columns
from fastnn.kernels.plain import level
from fastnn.kernels.tuning import BY_DTYPE
from fastnn.optimizers import OPTIMIZERS

FEW = BY_DTYPE["float64"].few_samples
COLUMNS = COLUMNS32
# Around a tile of either dtype.
AROUND = sorted({s + d for s in (ROWS, COLUMNS // 2, COLUMNS, 2 * COLUMNS) for d in (-1, 0, 1)})
SIZES = st.one_of(st.integers(1, 9), st.sampled_from([*AROUND, 65, 100]))
DEPTHS = st.one_of(SIZES, st.just(0))


@given(
    st.integers(0, 400), st.integers(0, 700), st.integers(1, 70),
    st.sampled_from(["float32", "float64"]),
)  # fmt: skip
def test_pieces_of_a_product_meet_in_tiles_and_leave_nothing_out(m, n, pieces, dtype):
    c = np.zeros((m, n), dtype)
    width = tile_columns.py_func(c) if hasattr(tile_columns, "py_func") else tile_columns(c)
    for piece in range(pieces):
        top, bottom, left, right = cut.py_func(c, piece, pieces)
        assert top % ROWS == left % width == 0
        c[top:bottom, left:right] += 1
    assert (c == 1).all()


def operands(seed, n, d, h, dtype):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in ((n, d), (d, h), h, (n, h))]


def assert_close(got, exact, terms, bound):
    """Compare with sums of so many terms, whose absolute values sum to `bound`."""
    assert (np.abs(got - exact) <= terms * np.finfo(got.dtype).eps * bound).all()


def same_for_any_chunks(call, *shapes, dtype):
    """Return the outputs of a kernel, after a look at those of other numbers of chunks."""
    results = []
    for chunks in (1, 2, 5):
        outputs = [np.full(shape, np.nan, dtype) for shape in shapes]
        call(*outputs, chunks)
        results.append(outputs)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
    return results[0]


shapes = given(
    n=SIZES, d=DEPTHS, h=SIZES, dtype=st.sampled_from(["float32", "float64"]), relu=st.booleans()
)


@settings(deadline=None, max_examples=150)
@shapes
@example(97, 530, 260, "float64", True)  # B packed
@example(97, 530, 780, "float32", True)  # A too
@example(50, 1050, 33, "float64", False)
@example(1, 0, 1, "float32", True)
def test_forward(n, d, h, dtype, relu):
    x, W, b, _ = operands(n + d + h, n, d, h, dtype)
    kernel = kernels.affine_relu if relu else kernels.affine
    [y] = same_for_any_chunks(partial(kernel, x, W, b), (n, h), dtype=dtype)
    x, W, b = (a.astype(np.longdouble) for a in (x, W, b))
    exact = x @ W + b
    bound = np.abs(x) @ np.abs(W) + np.abs(b)
    assert_close(y, np.maximum(exact, 0) if relu else exact, d + 2, bound)


@settings(deadline=None, max_examples=150)
@shapes
@example(530, 97, 260, "float32", True)  # dW from packed dz
@example(20, 100, 780, "float64", False)  # and packed x
@example(200, 780, 40, "float32", True)  # dx from packed dz
@example(FEW, 300, 40, "float64", True)  # dx as scalar products
@example(FEW + 1, 300, 40, "float64", True)
@example(60, 70, 480, "float32", False)
@example(1, 0, 1, "float32", True)
def test_backward(n, d, h, dtype, relu):
    x, W, b, dout = operands(n + d + h, n, d, h, dtype)
    y = x @ W + b
    if relu:
        call = partial(kernels.affine_relu_backward, dout, x, W, y)
    else:
        call = partial(kernels.affine_backward, dout, x, W)
    dx, dW, db = same_for_any_chunks(call, (n, d), (d, h), (h,), dtype=dtype)
    dz = (dout * (y > 0) if relu else dout).astype(np.longdouble)
    x, W = x.astype(np.longdouble), W.astype(np.longdouble)
    assert_close(dx, dz @ W.T, h, np.abs(dz) @ np.abs(W.T))
    assert_close(dW, x.T @ dz, n, np.abs(x.T) @ np.abs(dz))
    assert_close(db, dz.sum(axis=0), n, np.abs(dz).sum(axis=0))


def test_large_product_by_random_vector():
    """(A B) v = A (B v), checked at the cost of a product with a vector."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((700, 1500)), rng.standard_normal((1500, 900))
    out = np.empty((700, 900))
    kernels.affine(a, b, np.zeros(900), out, 2)
    v = rng.standard_normal(900)
    bound = np.abs(a) @ (np.abs(b) @ np.abs(v))
    assert_close(out @ v, a @ (b @ v), 1500, bound)


def test_nan_reaches_its_row_and_no_other():
    a, b, bias, dout = operands(0, 40, 30, 50, "float32")
    a[7, 3] = dout[7, 3] = np.nan
    out = ops.affine_relu(a, b, bias)
    assert np.isnan(out[7]).all()
    assert not np.isnan(np.delete(out, 7, axis=0)).any()
    for rows in (slice(40), slice(8)):  # packed, and as scalar products
        dx, _, _ = ops.affine_backward(dout[rows], a[rows], b)
        assert np.isnan(dx[7]).all()
        assert not np.isnan(np.delete(dx, 7, axis=0)).any()


class Guarded:
    """Memory that ends at a page that cannot be touched."""

    def __init__(self):
        self.maps = []

    def array(self, values):
        page = mmap.PAGESIZE
        pages = -(-max(values.nbytes, 1) // page)
        memory = mmap.mmap(-1, (pages + 2) * page)
        view = np.frombuffer(memory, np.uint8)
        address = view.ctypes.data
        libc = ctypes.CDLL(None, use_errno=True)
        for guard in (address, address + (pages + 1) * page):
            assert libc.mprotect(ctypes.c_void_p(guard), page, 0) == 0
        end = (pages + 1) * page
        inside = view[end - values.nbytes : end].view(values.dtype).reshape(values.shape)
        inside[...] = values
        self.maps.append((memory, view))
        return inside


GUARDED = """
import sys
sys.path.insert(0, {folder!r})
import test_gemm
test_gemm.{function}()
print("done")
"""


def guarded_affine():
    """Run the affine functions on arrays at the end of their pages."""
    memory = Guarded()
    for dtype in ("float32", "float64"):
        for m, k, n in [
            (1, 1, 1),
            (2, 33, 7),
            (4, 5, 150),
            (ROWS, 7, COLUMNS),
            (70, 300, 31),
            (37, 129, 67),
            (66, 5, 260),
            (2 * ROWS, 139, 33),
            (50, 530, 40),
            (64, 70, COLUMNS + 1),
            (40, 19, COLUMNS + 6),
        ]:
            x, W, b, y = operands(0, m, k, n, dtype)
            x[:, : k // 2] = 0  # some of which is skipped in the last two
            x, W, b, y = (memory.array(a) for a in (x, W, b, y))
            dx, dW, db = (memory.array(np.empty_like(a)) for a in (x, W, b))
            ops.affine_relu(x, W, b, out=y)
            dout = memory.array(np.ones((m, n), dtype))
            ops.affine_relu_backward(dout, x, W, y, dx=dx, dW=dW, db=db)


def guarded_others():
    """Run the other functions on arrays at the end of their pages."""
    memory = Guarded()
    for dtype in ("float32", "float64"):
        for m, k in [(1, 1), (13, 5), (7, 33), (37, 129), (700, 9)]:
            x, dx = (memory.array(np.ones((m, k), dtype)) for _ in range(2))
            for name in ("relu", "tanh", "sigmoid", "softmax"):
                getattr(ops, name)(x, out=dx)
            ops.softmax_cross_entropy(x, memory.array(np.arange(m) % k), dx=dx)
            mean, var = memory.array(np.zeros(k, dtype)), memory.array(np.ones(k, dtype))
            feature = memory.array(np.ones(k, dtype))
            for planes in ((m, k), (m, k, 3, 5)):
                a, y, da = (memory.array(np.ones(planes, dtype)) for _ in range(3))
                *_, rstd = ops.batchnorm_relu(a, feature, feature, mean, var, out=y)
                ops.batchnorm_inference(a, feature, feature, mean, var, out=y)
                ops.batchnorm_relu_backward(y, a, feature, mean, memory.array(rstd), y, dx=da)
            mask = memory.array(np.zeros((m, k), bool))
            ops.dropout(x, 0.5, 0, out=dx, mask=mask)
            m1, m2 = (memory.array(np.zeros_like(x)) for _ in range(2))
            ops.adam_(x, dx, m1, m2, 1)


def guarded_updates():
    """Run the optimizers on arrays at the end of their pages, many at once."""
    memory = Guarded()
    shapes = [(1,), (13, 5), (), (0, 3), (33,), (37, 129)]
    for dtype in ("float32", "float64"):
        for kind in OPTIMIZERS.values():
            optimizer = kind()
            params, grads, *states = (
                {i: memory.array(np.ones(shape, dtype)) for i, shape in enumerate(shapes)}
                for _ in range(2 + len(kind.rule.states))
            )
            for name, state in zip(kind.rule.states, states, strict=True):
                setattr(optimizer, name, state)
            optimizer.update(params, grads)


def run(script, **variables):
    return subprocess.run(
        [sys.executable, "-c", script],
        env=dict(os.environ, **variables),
        capture_output=True,
        text=True,
        check=False,
    )


LESS = [bits for bits in level.WIDTHS if bits < level.vector_bits()]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize(
    ("function", "bits"),
    [(name, level.vector_bits()) for name in ("guarded_others", "guarded_updates")]
    + [("guarded_affine", bits) for bits in (level.vector_bits(), *LESS)],
)
def test_nothing_is_touched_outside_the_arrays(function, bits):
    """In a process of its own: a stray access ends it."""
    script = GUARDED.format(folder=os.path.dirname(__file__), function=function)
    done = run(script, FASTNN_VECTOR_BITS=str(bits))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "done"


@pytest.mark.slow
@on_linux
def test_the_guard_guards():
    script = GUARDED.format(folder=os.path.dirname(__file__), function="stray")
    done = run(script)
    assert done.returncode < 0


def stray():
    """Read one element past the end of an array."""
    a = Guarded().array(np.zeros(8))
    ctypes.memmove(a.ctypes.data, a.ctypes.data + 8, 64)


@pytest.mark.slow
@pytest.mark.parametrize("bits", LESS)
def test_every_vector_width(bits):
    """The tests of products, with vectors of another width."""
    tests = (
        test_forward,
        test_backward,
        test_nan_reaches_its_row_and_no_other,
        test_large_product_by_random_vector,
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *(f"{__file__}::{t.__name__}" for t in tests)],
        env=dict(os.environ, FASTNN_VECTOR_BITS=str(bits)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"{len(tests)} passed" in done.stdout


@pytest.mark.slow
def test_bad_vector_width():
    done = run("from fastnn import ops", FASTNN_VECTOR_BITS="100")
    assert done.returncode == 1
    assert "FASTNN_VECTOR_BITS: expected one of (512, 256, 128), got '100'" in done.stderr


@pytest.mark.slow
def test_no_other_library_multiplies():
    """A training step needs nothing of SciPy's and calls no product of NumPy's.

    Where SciPy is installed Numba itself looks for its BLAS, so here it is not to be had.
    """
    script = """
import sys
sys.modules["scipy"] = None
import numpy as np
import fastnn
def refuse(*args, **kwargs):
    raise AssertionError("BLAS was called")
np.dot = np.matmul = np.einsum = refuse
net = fastnn.MultiLayerNetExtend(20, [30, 30], 5, use_batchnorm=True, use_dropout=True, seed=0)
x, t = np.ones((8, 20)), np.arange(8) % 5
fastnn.optimizers.Adam().update(net.params, net.gradient(x, t))
assert not any(name.startswith("scipy.") for name in sys.modules)
"""
    done = run(script)
    assert done.returncode == 0, done.stderr


def with_zeros(seed, shape, dtype, share):
    """Return an array with so large a share of zeros, also in whole rows and columns."""
    rng = np.random.default_rng(seed)
    array = rng.standard_normal(shape) * (rng.random(shape) < share)
    array[rng.random(shape[0]) < share / 2] = 0
    array[:, rng.random(shape[1]) < share / 2] = -0.0
    return array.astype(dtype)


@settings(deadline=None, max_examples=60)
@given(
    n=st.sampled_from([ROWS, 2 * ROWS + 1, 97]),
    d=st.sampled_from([128, 145, 530, 784]),
    h=st.sampled_from([32, 33, 100]),
    dtype=st.sampled_from(["float32", "float64"]),
    share=st.sampled_from([0.02, 0.2, 0.6]),
)
@example(1100, 97, 40, "float64", 0.1)
def test_zeros_that_are_skipped_change_no_bit(n, d, h, dtype, share):
    x = with_zeros(n + d + h, (n, d), dtype, share)
    _, W, b, dout = operands(n, n, d, h, dtype)
    [y] = same_for_any_chunks(partial(kernels.affine, x, W, b), (n, h), dtype=dtype)
    # Of fewer rows than a tile has, none is skipped.
    for top in range(0, n, ROWS - 1):
        rows = slice(top, top + ROWS - 1)
        np.testing.assert_array_equal(y[rows], ops.affine(x[rows], W, b))
    call = partial(kernels.affine_backward, dout, x, W, None)
    dW, _ = same_for_any_chunks(call, (d, h), (h,), dtype=dtype)
    for left in range(0, d, ROWS - 1):
        columns = np.ascontiguousarray(x[:, left : left + ROWS - 1])
        _, part, _ = ops.affine_backward(dout, columns, W[left : left + ROWS - 1])
        np.testing.assert_array_equal(dW[left : left + ROWS - 1], part)


@settings(deadline=None, max_examples=40)
@given(
    beside=st.integers(1, COLUMNS),
    d=st.sampled_from([0, 1, 3, 16, 37, 530]),
    dtype=st.sampled_from(["float32", "float64"]),
    relu=st.booleans(),
)
@example(1, 37, "float32", True)  # 4 rows in a vector
@example(COLUMNS // 4, 530, "float64", False)  # 2 rows
@example(COLUMNS // 2 + 1, 37, "float32", False)  # 4 rows, behind a whole vector
def test_a_row_has_the_same_bits_whatever_its_tile(beside, d, dtype, relu):
    n, h = 70, COLUMNS + beside
    x, W, b, dout = operands(beside, n, d, h, dtype)
    forward = ops.affine_relu if relu else ops.affine
    y = forward(x, W, b)
    for top in range(0, n, 3):  # of so few rows, each in a vector of its own
        np.testing.assert_array_equal(y[top : top + 3], forward(x[top : top + 3], W, b))
    x, W, b, dout = operands(beside, max(d, 1), n, h, dtype)
    _, dW, _ = ops.affine_backward(dout, x, W)
    for left in range(0, n, 3):
        columns = np.ascontiguousarray(x[:, left : left + 3])
        _, part, _ = ops.affine_backward(dout, columns, W[left : left + 3])
        np.testing.assert_array_equal(dW[left : left + 3], part)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_zeros_times_what_is_not_finite(bad, dtype):
    x = with_zeros(0, (50, 700), dtype, 0.1)
    x[:, 600] = 0
    _, W, b, dout = operands(0, 50, 700, 40, dtype)
    W[600, 7] = dout[3, 5] = bad
    y = ops.affine(x, W, b)
    assert np.isnan(y[:, 7]).all()
    assert not np.isnan(np.delete(y, 7, axis=1)).any()
    _, dW, _ = ops.affine_backward(dout, x, W, input_gradient=False)
    assert not np.isfinite(dW[:, 5]).any()
    assert np.isfinite(np.delete(dW, 5, axis=1)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_and_tiny_numbers_are_no_zeros(dtype):
    x = np.zeros((ROWS, 200), dtype)
    x[3, 150], x[4, 151] = np.nan, 1e-37
    W, b = np.full((200, 40), 2, dtype), np.zeros(40, dtype)
    y = ops.affine(x, W, b)
    assert np.isnan(y[3]).all()
    np.testing.assert_array_equal(y[4], x[4, 151] * W[151])
    assert not np.delete(y, [3, 4], axis=0).any()
