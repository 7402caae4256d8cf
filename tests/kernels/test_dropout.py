"""The generator of dropout: known answers, and the mask's independence of all but its key."""

import numpy as np
import pytest

from fastnn import kernels, ops
from fastnn.reference._philox import philox

# Known answers of Philox4x32-10 from the authors' Random123 library (kat_vectors):
# counter (4 words), key (2 words), result (4 words).
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text):
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN)
def test_known_answers(counter, key, result):
    c, k = words(counter), words(key)
    block = np.array([c[0] | c[1] << 32], np.uint64)
    got = philox(block, c[2] | c[3] << 32, k[0] | k[1] << 32)
    assert got.tolist() == [words(result)]


def mask(n, seed=1, step=0, ratio=0.5, dtype="float32", chunks=1):
    x, out, kept = np.ones(n, dtype), np.empty(n, dtype), np.empty(n, bool)
    kernels.dropout(x, ratio, np.uint64(seed), np.uint64(step), 1.0, out, kept, chunks)
    np.testing.assert_array_equal(out, kept)
    return kept


def test_mask_depends_on_seed_step_and_position_alone():
    first = mask(10_000)
    np.testing.assert_array_equal(mask(10_000, chunks=3), first)
    np.testing.assert_array_equal(mask(10_000, dtype="float64"), first)
    np.testing.assert_array_equal(mask(501), first[:501])
    for other in (mask(10_000, seed=2), mask(10_000, step=1), mask(10_000, seed=1 + 2**32)):
        # Independent masks agree in half of the places; 5 standard deviations are 250.
        assert abs(int((other == first).sum()) - 5000) < 250


def test_higher_ratio_drops_more_of_the_same():
    few, many = mask(10_000, ratio=0.3), mask(10_000, ratio=0.6)
    assert (few | ~many).all()
    assert few.sum() > many.sum()


@pytest.mark.parametrize("ratio", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_share_that_is_kept(ratio):
    n = 1_000_000
    deviation = np.sqrt(n * ratio * (1 - ratio))
    assert abs(mask(n, ratio=ratio).sum() - n * (1 - ratio)) <= 5 * deviation


def test_neighbours_are_independent():
    kept = mask(1_000_000).astype(float) - 0.5
    for lag in (1, 2, 3, 4, 5, 64, 1000):
        correlation = 4 * np.mean(kept[:-lag] * kept[lag:])
        assert abs(correlation) < 5 / np.sqrt(kept.size), lag


def test_both_forms_have_the_same_mean():
    x = np.full(1_000_000, 2.0)
    book, _ = ops.dropout(x, 0.3, 5)
    inverted, _ = ops.dropout(x, 0.3, 5, inverted=True)
    tolerance = 5 * 2 * np.sqrt(0.3 * 0.7 / x.size) / 0.7
    assert abs(book.mean() - ops.dropout_inference(x, 0.3).mean()) < tolerance
    assert abs(inverted.mean() - ops.dropout_inference(x, 0.3, inverted=True).mean()) < tolerance
