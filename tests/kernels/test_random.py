"""Orders of samples: known words, independence of all but the key, even distribution."""

from functools import partial

import numpy as np
import pytest

from fastnn import config, kernels, ops

# Words of counter 0 with key 0 (known answers of the authors' Random123 library).
WORDS = 0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8

PERMUTATION = [2, 0, 6, 4, 3, 7, 1, 5]
CHOICES = [35, 24, 78, 27, 16, 71, 9, 77]


def test_numbers_are_pairs_of_words():
    n = 2**63 - 1
    numbers = [WORDS[0] | WORDS[1] << 32, WORDS[2] | WORDS[3] << 32]
    assert ops.choices(n, 2, seed=0).tolist() == [number * n >> 64 for number in numbers]


def test_shuffle_by_hand():
    """Follow the swaps with the numbers that draws from a large range show but for two bits."""
    n = 50
    numbers = [2 * int(k) for k in ops.choices(2**63 - 1, n, 7, 3)]
    order = list(range(n))
    for i in range(n):
        j = i + (numbers[i] * (n - i) >> 64)
        order[i], order[j] = order[j], order[i]
    assert ops.permutation(n, 7, 3).tolist() == order


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 9, 1000, 100_003])
def test_permutations_hold_each_number_once(n):
    order = ops.permutation(n, 5)
    assert order.dtype == np.int64
    np.testing.assert_array_equal(np.sort(order), np.arange(n))


def test_draws_are_in_range_and_begin_alike():
    drawn = ops.choices(7, 100_000, 5)
    assert set(drawn.tolist()) == set(range(7))
    np.testing.assert_array_equal(ops.choices(7, 501, 5), drawn[:501])
    assert not ops.choices(1, 100, 5).any()


def test_seed_and_step_decide():
    for function in (partial(ops.permutation, 1000), partial(ops.choices, 9, 1000)):
        first = function(1, 0)
        np.testing.assert_array_equal(function(1, 0), first)
        for key in [(2, 0), (1, 1), (1 + 2**32, 0), (1, 2**32)]:
            assert not np.array_equal(function(*key), first)


def test_threads_do_not_matter():
    out = [np.empty(100_000, np.int64) for _ in range(2)]
    for chunks, o in zip((1, 7), out, strict=True):
        kernels.choices(1000, np.uint64(3), np.uint64(4), o, chunks)
    np.testing.assert_array_equal(*out)


@pytest.mark.parametrize("backend", config.BACKENDS)
def test_backends_give_the_same_orders(backend):
    with config.use_backend(backend):
        assert ops.permutation(8, 2026, 11).tolist() == PERMUTATION
        assert ops.choices(100, 8, 2026, 11).tolist() == CHOICES


def chi_square_is_plausible(counts, probability):
    """Say whether counts of equally likely cells are within 5 deviations of chi-square."""
    expected = counts.sum() * probability
    statistic = float(np.sum((counts - expected) ** 2 / expected))
    freedom = counts.size - 1
    return abs(statistic - freedom) < 5 * np.sqrt(2 * freedom)


def test_draws_are_even():
    counts = np.bincount(ops.choices(1000, 1_000_000, 11), minlength=1000)
    assert chi_square_is_plausible(counts, 1 / 1000)
    pairs = ops.choices(30, 1_000_000, 12).reshape(-1, 2) @ [30, 1]
    assert chi_square_is_plausible(np.bincount(pairs, minlength=900), 1 / 900)


def test_permutations_are_even():
    """Each of the 24 orders of four numbers is as likely as the others, and so is each place."""
    orders = np.array([ops.permutation(4, 13, step) for step in range(6000)])
    codes = np.unique(orders @ [64, 16, 4, 1], return_counts=True)[1]
    assert codes.size == 24 and chi_square_is_plausible(codes, 1 / 24)
    large = np.array([ops.permutation(50, 14, step) for step in range(4000)])
    places = np.stack([np.bincount(column, minlength=50) for column in large.T])
    # Rows and columns have fixed sums: (50 - 1)^2 degrees of freedom of 50^2 cells.
    statistic = float(np.sum((places - 80) ** 2 / 80))
    assert abs(statistic - 49**2) < 5 * np.sqrt(2 * 49**2)
