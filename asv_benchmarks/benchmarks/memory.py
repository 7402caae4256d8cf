"""Memory: the peak of a process that trains, and what a training step allocates."""

import tracemalloc

from fastnn import MultiLayerNet, optimizers

from .common import skipped_where_absent
from .training import BATCH, samples

STEPS = 40


def _training(batches):
    net = MultiLayerNet(784, [100] * 4, 10, seed=0)
    x, t = samples(batches * BATCH, "float32")
    rule = optimizers.Adam(lr=1e-7)

    def train():
        with skipped_where_absent():
            net.fit(x, t, 1, BATCH, rule, verbose=False, seed=0)

    return train


class PeakMemory:
    def peakmem_import(self):
        pass

    def peakmem_fit(self):
        _training(STEPS)()


class Allocations:
    """What `fit` allocates for one more batch: its place in the order of samples and the record."""

    unit = "bytes"

    def track_bytes_of_a_step(self):
        peaks = []
        for batches in (STEPS, 2 * STEPS):
            train = _training(batches)
            train()
            tracemalloc.start()
            train()
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        return (peaks[1] - peaks[0]) / STEPS
