"""The table of tuning numbers: which number holds where."""

import numba
import numpy as np
import pytest

from fastnn.kernels import tuning
from fastnn.kernels.codegen import compile as _compile  # noqa: F401 - tells Numba of functions
from fastnn.kernels.plain.level import WIDTHS
from fastnn.kernels.plain.memory import CACHE_LINE, aligned
from fastnn.kernels.tuning import ByDtype, Common, Where, choose

TABLE = (
    (Where(bits=512), {"block_k": 1, "grain": 2}),
    (Where(dtype="float64"), {"block_k": 3}),
    (Where(bits=256, dtype="float64"), {"block_k": 4}),
    (Where(bits=128, dtype="float64"), {"block_k": 5, "few_samples": 6}),
)


@pytest.mark.parametrize(
    "here, block_k, few_samples",
    [
        (Where(512, "float32"), 1, ByDtype().few_samples),
        (Where(512, "float64"), 3, ByDtype().few_samples),
        (Where(256, "float32"), ByDtype().block_k, ByDtype().few_samples),
        (Where(256, "float64"), 4, ByDtype().few_samples),
        (Where(128, "float64"), 5, 6),
    ],
)
def test_rows_that_fit_count_and_the_last_of_them_most(here, block_k, few_samples):
    chosen = choose(ByDtype(), here, TABLE)
    assert chosen == ByDtype()._replace(block_k=block_k, few_samples=few_samples)


def test_what_is_common_goes_by_width():
    assert choose(Common(), Where(512), TABLE) == Common()._replace(grain=2)
    assert choose(Common(), Where(256), TABLE) == Common()


@pytest.mark.parametrize("where", [Where(), Where(bits=1024)])
def test_an_unknown_name_is_refused_wherever_it_stands(where):
    with pytest.raises(ValueError, match=r"expected names of .*, got 'blok_k'"):
        choose(ByDtype(), Where(256, "float32"), ((where, {"blok_k": 1}),))


def test_a_common_number_is_refused_for_one_dtype():
    with pytest.raises(ValueError, match=r"got 'grain' for Where\(.*dtype='float64'"):
        choose(Common(), Where(256), ((Where(dtype="float64"), {"grain": 1}),))


@pytest.mark.parametrize("numbers", [(7, 7), (7, 9)])
def test_a_function_of_the_itemsize_gives_each_dtype_its_own(monkeypatch, numbers):
    table = {
        dtype: ByDtype()._replace(block_k=number)
        for dtype, number in zip(("float32", "float64"), numbers, strict=True)
    }
    monkeypatch.setattr(tuning, "BY_DTYPE", table)
    block_k = tuning.by_itemsize("block_k")
    assert (block_k(4), block_k(8)) == numbers
    compiled = numba.njit(lambda array: block_k(array.itemsize))
    assert tuple(compiled(np.ones(3, dtype)) for dtype in ("f", "d")) == numbers


@pytest.mark.parametrize("bits", WIDTHS)
def test_the_main_tile_fits_in_the_registers(bits):
    tiles = choose(Common(), Where(bits=bits)).tiles
    rows = next(iter(tiles))
    vectors = tiles[rows][0] // 2
    # Accumulators, a row of B, an element of A.
    assert rows == max(tiles) and rows * vectors + vectors + 1 <= (32 if bits == 512 else 16)


@pytest.mark.parametrize("bits", WIDTHS)
def test_tiles_take_any_number_of_rows_and_columns(bits):
    """Rows one by one where nothing else fits; columns in whole and, masked, in single vectors."""
    tiles = choose(Common(), Where(bits=bits)).tiles
    assert 1 in tiles and all(2 in widths for widths in tiles.values())
    # One width between a single vector and the main tile masks the last of its vectors.
    main = next(iter(tiles.values()))
    assert all({main[0], main[0] - 1} <= set(widths) for widths in tiles.values())


@pytest.mark.parametrize("boundary", [CACHE_LINE, 2 * CACHE_LINE])
@pytest.mark.parametrize("begin", [0, 1, 63, 64, 65])
def test_aligned_memory_begins_at_a_multiple(boundary, begin):
    buffer = np.zeros(300 + boundary + begin, np.uint8)[begin:]
    view = aligned(buffer, 300, boundary)
    assert view.ctypes.data % boundary == 0 and view.size == 300
    assert np.shares_memory(view, buffer)
