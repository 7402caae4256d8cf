"""Small networks for trainings, data for them, and a route that learns nothing."""

import math
import time
from types import SimpleNamespace

import numpy as np

from fastnn import MultiLayerNet, MultiLayerNetExtend

D, C = 5, 3


def data(n=100, seed=800):
    """Three clouds around distant centres."""
    rng = np.random.default_rng(seed)
    t = rng.integers(C, size=n)
    return (4 * np.eye(C, D)[t] + 0.5 * rng.normal(size=(n, D))).astype(np.float32), t


def network(**settings):
    return MultiLayerNet(D, [8], C, **{"seed": 0} | settings)


def full_network(**settings):
    """One in which training changes more than the parameters."""
    return MultiLayerNetExtend(
        D, [8, 7], C, use_batchnorm=True, use_dropout=True, dropout_ration=0.2, seed=0, **settings
    )


def fit(net=None, xt=None, epochs=2, batch_size=16, **settings):
    net = net or network()
    settings = {"verbose": False, "seed": 0} | settings
    return net.fit(*(xt or data()), epochs, batch_size, **settings)


class Fake:
    """A route that learns nothing, writes down what it is asked, and can be interrupted."""

    name, reason, averages, done = "fake", "made up", None, 0

    def __init__(self, losses=(), stop_at=None, after_step=lambda: None):
        self.rows, self.rates, self.sizes = [], [], []
        self.losses, self.stop_at, self.after_step = iter(losses), stop_at, after_step

    def __call__(self, network, optimizer, x, t, batch_size, settings, weights=None):
        self.x, self.t, self.batch_size, self.settings = x, t, batch_size, settings
        return self

    def prepare(self):
        pass

    def run(self, rows, batch_size, rates, losses, hits):
        if rows is None:  # all samples at each step
            rows = np.tile(np.arange(len(self.x)), len(rates))
        assert rows.dtype == hits.dtype == np.int64 and rates.dtype == losses.dtype == np.float64
        assert rates.shape == losses.shape == hits.shape == (-(-rows.size // batch_size),)
        self.done = 0
        for i, rate in enumerate(rates):
            if len(self.rows) == self.stop_at:
                self.stop_at = None
                raise KeyboardInterrupt
            self.rows.append(rows[i * batch_size : (i + 1) * batch_size].copy())
            self.rates.append(float(rate))
            losses[i], hits[i] = next(self.losses, 1.0), 2
            if self.settings.stops and not math.isfinite(losses[i]):
                break
            self.done += 1
            self.after_step()
        self.sizes.append(len(rates))


def fake_clock(monkeypatch, step):
    """Let each step take some seconds on the engine's clock."""
    now = SimpleNamespace(time=0.0)
    monkeypatch.setattr(time, "perf_counter", lambda: now.time)

    def after_step():
        now.time += step

    return after_step
