"""How far rounding may carry a computation: a few times as far as its own rounding carries it.

Two ways to compute the same differ in the last places, as they take sums in other orders. What
follows amplifies that, by how much nobody can say beforehand: so the reference is computed again,
with its numbers moved at random by as much.
"""

import numpy as np

SEEDS = range(3)
TIMES = 4  # the largest of three draws is not the largest there is


def of_softmax(scores):
    """Return how far, relatively, two may be that compute softmax, or the loss absolutely.

    Differences of up to 2 max |x| are rounded before exp, exp itself to some units, and sums of
    as many terms as there are classes after.
    """
    return (2 * np.abs(scores).max() + scores.shape[1] + 8) * np.finfo(scores.dtype).eps


def moved(array, rng, terms):
    """Return the numbers, moved by what a sum of so many terms may differ by in another order."""
    unit = terms * np.finfo(array.dtype).eps * rng.uniform(-1, 1, array.shape)
    return array * (1 + unit).astype(array.dtype)


def moving(network, seed):
    """Let each gradient of a network be that at parameters and samples which are moved."""
    gradient, rng = network.gradient, np.random.default_rng(seed)

    def elsewhere(x, t):
        for p in network.params.values():
            p[...] = moved(p, rng, len(x))
        return gradient(moved(x.astype(network.dtype), rng, len(x)), t)

    network.gradient = elsewhere


def limits(expected, again, group=lambda key: key):
    """Return how far each array may be from the expected one.

    Parameters
    ----------
    expected : dict of ndarray
    again : function of a seed
        Computes them anew, with numbers that are moved.
    group : function of a key
        Arrays of a group may be as far as the farthest of them: one that is nothing but rounding
        is as likely moved less as more.
    """
    found = dict.fromkeys(map(group, expected), 0.0)
    for seed in SEEDS:
        for key, array in again(seed).items():
            far = np.abs(np.asarray(array, np.float64) - expected[key]).max(initial=0)
            found[group(key)] = max(found[group(key)], TIMES * float(far))
    return {key: found[group(key)] for key in expected}
