"""Samples that are made when they are read: the bits of a training are those of arrays."""

import numpy as np
import pytest

from fastnn import Network, optimizers
from fastnn.layers import Affine, Relu
from fastnn.program import Program
from fastnn.program.data import OnDemand
from fastnn.program.executor import StepSettings

N, FEATURES, CLASSES = 50, 7, 3


class Doubled(OnDemand):
    """Twice an array, and the rows that were asked for."""

    def __init__(self, array):
        self._array, self.shape, self.dtype = array, array.shape, array.dtype
        self.asked = []

    def __getitem__(self, rows):
        self.asked.append(rows)
        return self._array[rows] * 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [8, N])
def test_bits_are_those_of_an_array(batch_size, dtype):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(N, FEATURES)), rng.integers(0, CLASSES, N)
    found = []
    for samples in (x * 2, Doubled(x)):
        net = Network(
            [Affine(5), Relu(), Affine(CLASSES)], input_size=FEATURES, dtype=dtype, seed=0
        )
        program = Program(net, optimizers.Adam(), samples, t, batch_size, StepSettings())
        steps = -(-N // batch_size)
        losses, correct = np.zeros(steps), np.zeros(steps, np.int64)
        rows = np.random.default_rng(1).permutation(N) if steps > 1 else None
        program.run(rows, batch_size, np.full(steps, 0.01), losses, correct)
        found.append([losses, correct, *net.params.values()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)
    if steps > 1:  # and each is read once
        np.testing.assert_array_equal(np.concatenate(samples.asked), rows)
