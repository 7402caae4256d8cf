"""Small searches."""

import math

import numpy as np

from fastnn import MultiLayerNet, optimizers
from fastnn.search import Log, search

RANGES = {"lr": Log(1e-6, 1e-2), "decay": Log(1e-8, 1e-4)}


def nearness(trial):
    """Stands for a training: 0 at the learning rate of 1e-3."""
    return -abs(math.log10(trial["lr"]) + 3)


def run(train=nearness, ranges=RANGES, trials=20, **options):
    return search(train, ranges, trials, **{"seed": 0, "verbose": False} | options)


def draws(result):
    return [(trial.number, *trial.values.values()) for trial in result]


def at(value):
    """Return a training that reports a value of each trial's rate for ten epochs."""

    def train(trial):
        for _ in range(10):
            if trial.report(value(trial)):
                break

    return train


def learn(trial):
    """Train a network on whether the first of four numbers is positive."""
    x = np.random.default_rng(0).normal(size=(200, 4))
    net = MultiLayerNet(4, [8], 2, seed=0)
    net.fit(
        x, (x[:, 0] > 0).astype(int), trial.epochs, 20, optimizers.SGD(trial["lr"]),
        validation=0.2, callbacks=[trial], verbose=False, seed=0,
    )  # fmt: skip
