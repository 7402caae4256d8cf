"""Networks trained at the same time by `fit_many`: two, and 64 small ones."""

from fastnn import MultiLayerNet, optimizers

from .common import DTYPES, Timed, ready
from .training import samples

BATCH = 128
STEPS = 20  # in an epoch
NETWORKS = {"2 x 784-100x4-10": (2, [100] * 4), "64 x 784-32-10": (64, [32])}


def epoch(networks, dtype):
    from fastnn import fit_many  # younger than the oldest commits

    count, hidden = NETWORKS[networks]
    found = [MultiLayerNet(784, hidden, 10, dtype=dtype, seed=seed) for seed in range(count)]
    x, t = samples(STEPS * BATCH, dtype)
    # So small a rate that thousands of steps leave the networks as they were.
    rule = optimizers.SGD(lr=1e-7)
    return lambda: fit_many(
        found, x, t, epochs=1, batch_size=BATCH, optimizer=rule, verbose=False, seed=0
    )


class Many(Timed):
    number = 1

    params = [list(NETWORKS), DTYPES]
    param_names = ["networks", "dtype"]

    def time_epoch(self, networks, dtype):
        ready("fastnn", epoch, networks, dtype)()
