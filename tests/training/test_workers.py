"""Trainings that go on in workers of joblib, which map arrays to be read only."""

import copy

import joblib
import numpy as np
import pytest
import working
from own_layers import C, D, Scale, data

from fastnn import MultiLayerNetExtend, Trainer, optimizers


def given(own):
    """Return a training that has begun, in all ways."""
    net = MultiLayerNetExtend(D, [8], C, use_batchnorm=True, dtype="float64", seed=0)
    if own:
        net.layers["Own"] = Scale(C)
    optimizer = optimizers.NAdam(0.01)
    history = net.fit(*data(), 2, 8, optimizer, ema=0.9, seed=1, verbose=False)
    other = MultiLayerNetExtend(D, [8], C, use_batchnorm=True, dtype="float64", seed=0)
    trainer = Trainer(other, *data(), *data(), 3, 8, "adam", {}, seed=1, verbose=False)
    for _ in range(3):
        trainer.train_step()
    return net, optimizer, history, trainer


@pytest.mark.slow
def test_trainings_go_on_in_workers():
    tasks = [given(own) for own in (False, True)]
    expected = [working.trained(*copy.deepcopy(task), *data()) for task in tasks]
    pool = joblib.Parallel(n_jobs=2, max_nbytes=1)
    results = pool(joblib.delayed(working.trained)(*task, *data()) for task in tasks)
    for result, wanted in zip(results, expected, strict=True):
        for got, other in zip(result[:3], wanted[:3], strict=True):
            np.testing.assert_array_equal(got, other)
        for key, average in wanted[3].items():
            np.testing.assert_array_equal(result[3][key], average)
