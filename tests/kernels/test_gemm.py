"""The matrix product: forms, shapes around the tile, epilogues, and what memory it touches."""

import ctypes
import mmap
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastnn import ops
from fastnn.kernels import gemm, microkernel, simd

ROWS, COLUMNS = microkernel.ROWS, microkernel.COLUMNS32
# Around a tile of either dtype, and beyond one block of rows, of k, and the limits of packing.
AROUND = sorted({s + d for s in (ROWS, COLUMNS // 2, COLUMNS, 2 * COLUMNS) for d in (-1, 0, 1)})
SIZES = st.one_of(st.integers(1, 9), st.sampled_from([*AROUND, 65, 100]))
DEPTHS = st.one_of(SIZES, st.just(0))


def operands(seed, m, k, n, dtype, transpose_a, transpose_b):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((k, m) if transpose_a else (m, k)).astype(dtype)
    b = rng.standard_normal((n, k) if transpose_b else (k, n)).astype(dtype)
    return a, b, rng.standard_normal(n).astype(dtype)


@settings(deadline=None, max_examples=150)
@given(
    m=SIZES,
    k=DEPTHS,
    n=SIZES,
    dtype=st.sampled_from(["float32", "float64"]),
    transpose_a=st.booleans(),
    transpose_b=st.booleans(),
    with_bias=st.booleans(),
    relu=st.booleans(),
)
@example(65, 1030, 260, "float32", False, False, True, True)
@example(50, 2050, 33, "float64", False, False, True, True)
@example(65, 1030, 260, "float64", True, False, True, True)
@example(65, 1030, 260, "float32", True, True, True, True)
@example(1, 0, 1, "float32", False, False, True, True)
def test_product(m, k, n, dtype, transpose_a, transpose_b, with_bias, relu):
    a, b, bias = operands(m + k + n, m, k, n, dtype, transpose_a, transpose_b)
    forms = {"transpose_a": transpose_a, "transpose_b": transpose_b, "relu": relu}
    results = []
    for chunks in (1, 2, 5):
        out = np.full((m, n), np.nan, dtype)
        gemm.product(a, b, out, chunks, bias=bias if with_bias else None, **forms)
        results.append(out)
    wide = np.longdouble if dtype == "float64" else np.float64
    A, B = (a.T if transpose_a else a).astype(wide), (b.T if transpose_b else b).astype(wide)
    extra = bias.astype(wide) * with_bias
    exact = np.einsum("ij,jk->ik", A, B) + extra
    bound = np.einsum("ij,jk->ik", abs(A), abs(B)) + abs(extra)
    error = np.abs(results[0] - (np.maximum(exact, 0) if relu else exact))
    assert (error <= (k + 2) * np.finfo(dtype).eps * bound).all()
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_large_product_by_random_vector():
    """(A B) v = A (B v), checked at the cost of a product with a vector."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((700, 1500)), rng.standard_normal((1500, 900))
    out = np.empty((700, 900))
    gemm.product(a, b, out, 2)
    v = rng.standard_normal(900)
    bound = np.abs(a) @ (np.abs(b) @ np.abs(v))
    assert (np.abs(out @ v - a @ (b @ v)) <= 1500 * np.finfo(float).eps * bound).all()


def test_nan_reaches_its_row_and_no_other():
    a, b, bias = operands(0, 40, 30, 50, "float32", False, False)
    a[7, 3] = np.nan
    out = ops.affine_relu(a, b, bias)
    assert np.isnan(out[7]).all()
    assert not np.isnan(np.delete(out, 7, axis=0)).any()


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
        for m, k, n in [(1, 1, 1), (13, 5, 33), (ROWS, 7, COLUMNS), (70, 31, 300), (37, 129, 67)]:
            x, W, b = (memory.array(a) for a in operands(0, m, k, n, dtype, False, False))
            y = memory.array(np.empty((m, n), dtype))
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


def run(script, **variables):
    return subprocess.run(
        [sys.executable, "-c", script],
        env=dict(os.environ, **variables),
        capture_output=True,
        text=True,
        check=False,
    )


LESS = [bits for bits in simd.WIDTHS if bits < simd.vector_bits()]
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")


@on_linux
@pytest.mark.parametrize(
    ("function", "bits"),
    [("guarded_others", simd.vector_bits())]
    + [("guarded_affine", bits) for bits in (simd.vector_bits(), *LESS)],
)
def test_nothing_is_touched_outside_the_arrays(function, bits):
    """In a process of its own: a stray access ends it."""
    script = GUARDED.format(folder=os.path.dirname(__file__), function=function)
    done = run(script, FASTNN_VECTOR_BITS=str(bits))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "done"


@on_linux
def test_the_guard_guards():
    script = GUARDED.format(folder=os.path.dirname(__file__), function="stray")
    done = run(script)
    assert done.returncode < 0


def stray():
    """Read one element past the end of an array."""
    a = Guarded().array(np.zeros(8))
    ctypes.memmove(a.ctypes.data, a.ctypes.data + 8, 64)


@pytest.mark.parametrize("bits", LESS)
def test_every_vector_width(bits):
    """The tests of products, with vectors of another width."""
    tests = test_product, test_nan_reaches_its_row_and_no_other, test_large_product_by_random_vector
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *(f"{__file__}::{t.__name__}" for t in tests)],
        env=dict(os.environ, FASTNN_VECTOR_BITS=str(bits)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_bad_vector_width():
    done = run("import fastnn", FASTNN_VECTOR_BITS="100")
    assert done.returncode == 1
    assert "FASTNN_VECTOR_BITS: expected one of (512, 256, 128), got '100'" in done.stderr


def test_no_other_library_multiplies():
    """A training step loads no BLAS of SciPy's and calls no product of NumPy's."""
    script = """
import sys
import numpy as np
import fastnn
def refuse(*args, **kwargs):
    raise AssertionError("BLAS was called")
np.dot = np.matmul = np.einsum = refuse
net = fastnn.MultiLayerNetExtend(20, [30, 30], 5, use_batchnorm=True, use_dropout=True, seed=0)
x, t = np.ones((8, 20)), np.arange(8) % 5
fastnn.optimizers.Adam().update(net.params, net.gradient(x, t))
assert not any(name.split(".")[0] == "scipy" for name in sys.modules)
"""
    done = run(script)
    assert done.returncode == 0, done.stderr


def test_workspace_is_kept():
    a, b, _ = operands(0, 100, 60, 70, "float32", False, True)
    out = np.empty((100, 70), np.float32)
    gemm.product(a, b, out, 1, transpose_b=True)
    before = gemm._workspace._bytes
    gemm.product(a, b, out, 1, transpose_b=True)
    assert gemm._workspace._bytes is before
    assert not any(np.shares_memory(before, array) for array in (a, b, out))


def test_product_inside_a_product_has_its_own_workspace():
    """As when a signal handler interrupts one."""
    with gemm._workspace.matrix((2, 3), np.dtype("f")) as outer:
        outer[:] = 1
        with gemm._workspace.matrix((2, 3), np.dtype("f")) as inner:
            assert not np.shares_memory(outer, inner)


def test_large_workspace_is_not_kept(monkeypatch):
    monkeypatch.setattr(gemm, "KEPT", 100)
    with gemm._workspace.matrix((10, 10), np.dtype("d")):
        pass
    assert gemm._workspace._bytes.size <= 100
