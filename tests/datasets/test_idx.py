"""Reading IDX files, whole and broken."""

import gzip
import itertools
import struct

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import peak_memory

from fastnn.datasets import read_idx

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}

arrays = st.sampled_from(sorted(CODES)).flatmap(
    lambda dtype: hnp.arrays(
        dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)
    )
)


def header(code, shape):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, code, len(shape), *shape)


def idx_bytes(array):
    code = CODES[array.dtype.str[1:]]
    return header(code, array.shape) + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture(scope="module")
def new_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("idx")
    numbers = itertools.count()
    return lambda: folder / f"file{next(numbers)}"


def refusal(path):
    """Return the message that `path` is refused with; it names the file and both sides."""
    with pytest.raises(ValueError) as caught:
        read_idx(path)
    message = str(caught.value)
    assert str(path) in message
    assert "expected" in message
    assert "got" in message
    return message


@settings(deadline=None)
@given(array=arrays, pack=st.booleans())
def test_round_trip(new_path, array, pack):
    path = new_path()
    content = idx_bytes(array)
    path.write_bytes(gzip.compress(content) if pack else content)
    result = read_idx(path)
    assert result.dtype == array.dtype
    assert result.dtype.isnative
    assert result.shape == array.shape
    assert result.tobytes() == array.tobytes()
    assert result.flags.writeable
    assert result.flags.c_contiguous


@settings(deadline=None, max_examples=20)
@given(array=arrays, pack=st.booleans())
def test_truncated_at_every_length(new_path, array, pack):
    path = new_path()
    content = idx_bytes(array)
    if pack:
        content = gzip.compress(content)
    for length in range(len(content)):
        path.write_bytes(content[:length])
        refusal(path)


@settings(deadline=None)
@given(array=arrays, pack=st.booleans(), extra=st.binary(min_size=1, max_size=9))
def test_trailing_bytes(new_path, array, pack, extra):
    path = new_path()
    content = idx_bytes(array) + extra
    path.write_bytes(gzip.compress(content) if pack else content)
    assert f"expected {array.nbytes:,} bytes" in refusal(path)


def test_every_flipped_byte_of_gzip_is_noticed_or_harmless(new_path):
    # Harmless: gzip's header has a time and other things that say nothing about the content.
    array = np.arange(60, dtype="i4").reshape(3, 20)
    content = gzip.compress(idx_bytes(array))
    path = new_path()
    refused = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            result = read_idx(path)
        except ValueError as error:
            assert str(path) in str(error)
            refused += 1
        else:
            np.testing.assert_array_equal(result, array)
    # All but the 6 bytes of time, extra flags and system of the 10-byte header.
    assert refused >= len(content) - 6


def test_values_are_read_big_endian(new_path):
    path = new_path()
    path.write_bytes(bytes.fromhex("00000b02 00000001 00000002 0102fffe"))
    np.testing.assert_array_equal(read_idx(path), np.array([[0x0102, -2]], np.int16))


def test_gzip_is_known_by_content_not_by_name(tmp_path):
    array = np.arange(6, dtype="u1").reshape(2, 3)
    raw, packed = tmp_path / "raw.gz", tmp_path / "packed"
    raw.write_bytes(idx_bytes(array))
    packed.write_bytes(gzip.compress(idx_bytes(array)))
    np.testing.assert_array_equal(read_idx(raw), array)
    np.testing.assert_array_equal(read_idx(packed), array)


def test_path_may_be_a_string(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(idx_bytes(np.array([7], "u1")))
    assert read_idx(str(path)).tolist() == [7]


def test_array_longer_than_one_read(tmp_path):
    array = np.arange(50_000, dtype="i4")
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(idx_bytes(array)))
    np.testing.assert_array_equal(read_idx(path), array)


def test_gzip_of_several_members(tmp_path):
    array = np.arange(100, dtype="u1")
    content = idx_bytes(array)
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(content[:33]) + gzip.compress(content[33:]))
    np.testing.assert_array_equal(read_idx(path), array)


def test_other_data_after_gzip(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(9, dtype="u1"))) + b"<html>")
    assert "gzip" in refusal(path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing_here"):
        read_idx(tmp_path / "nothing_here")


def test_empty_file(tmp_path):
    path = tmp_path / "file"
    path.touch()
    assert "got a file of 0 bytes" in refusal(path)


def test_not_idx(tmp_path):
    path = tmp_path / "page"
    path.write_bytes(b"<!DOCTYPE html>")
    assert "got 3c 21" in refusal(path)


@pytest.mark.parametrize("code", sorted(set(range(256)) - set(CODES.values())))
def test_unknown_type_code(code, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(header(code, (1,)) + bytes(8))
    message = refusal(path)
    assert f"got {code:#04x}" in message
    assert "0x0d (float32)" in message


def test_no_dimensions(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(header(0x08, ()) + b"\7")
    assert "got 0" in refusal(path)


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("ndim", [1, 2, 3, 10, 255])
def test_absurd_dimensions(ndim, pack, tmp_path):
    # 2**32 - 1 in each dimension: far over 64 bits already for three of them.
    path = tmp_path / "file"
    content = header(0x0E, (2**32 - 1,) * ndim) + bytes(100)
    path.write_bytes(gzip.compress(content) if pack else content)
    message = refusal(path)
    assert f"expected {8 * (2**32 - 1) ** ndim:,} bytes" in message
    assert "got 100 bytes" in message


@pytest.mark.parametrize("shape", [(0,) * 200, (1,) * 200, (0, *(2**32 - 1,) * 3)])
def test_shape_that_numpy_cannot_have(shape, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(header(0x08, shape) + bytes(all(shape)))
    assert "NumPy" in refusal(path)


@pytest.mark.parametrize(("declared", "held"), [(10**8, 5 * 10**7), (10**7, 10**8), (10**14, 100)])
@pytest.mark.parametrize("pack", [False, True])
def test_no_memory_for_what_is_not_there(declared, held, pack, tmp_path):
    """A file of 100 kB may claim to be one of 100 MB."""
    path, shape = tmp_path / "file", (declared // 10**5, 10**5)
    with gzip.open(path, "wb", 1) if pack else open(path, "wb") as file:
        file.write(header(0x08, shape))
        if pack:
            file.write(bytes(held))
        else:
            file.truncate(12 + held)
    with peak_memory() as taken:
        refusal(path)
    # What pictures may be packed to is read at once.
    assert taken[0] < 2**20 + 32 * path.stat().st_size * pack


@pytest.mark.parametrize("pack", [False, True])
def test_an_array_takes_its_own_memory_alone(pack, tmp_path):
    path, array = tmp_path / "file", np.zeros((1000, 500), "i4")
    content = idx_bytes(array)
    path.write_bytes(gzip.compress(content) if pack else content)
    with peak_memory() as taken:
        result = read_idx(path)
    assert result.shape == array.shape and taken[0] < array.nbytes + 2**20
