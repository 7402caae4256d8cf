"""fit_many on an executor: the same bits, in networks that stay where they are."""

import importlib.util
import os
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import Future

import numpy as np
import pytest

import fastnn
from fastnn import MultiLayerNet, Network, config, optimizers
from fastnn.callbacks import Callback
from fastnn.layers import Affine, BatchNormalization, Dropout, Relu
from fastnn.many import FitManyError, cross_validate, fit_many

N, D, C = 90, 6, 3
X = np.random.default_rng(0).normal(size=(N, D))
T = np.arange(N) % C
QUIET = {"epochs": 2, "batch_size": 16, "seed": 0, "verbose": False}


class Elsewhere:
    """Carries out calls on copies, as a process does, at once."""

    def __init__(self):
        self.sent = []

    def submit(self, function, /, *arguments):
        future = Future()
        try:
            self.sent.append(pickle.dumps((function, arguments)))
            function, arguments = pickle.loads(self.sent[-1])
            future.set_result(pickle.loads(pickle.dumps(function(*arguments))))
        except Exception as error:
            future.set_exception(error)
        return future


def stacks(count=2):
    return [
        Network([Affine(7), BatchNormalization(), Relu(), Dropout(0.3), Affine(C)], seed=seed)
        for seed in range(count)
    ]


def expect_same(found, expected):
    for network, other in zip(found, expected, strict=True):
        assert network.history.step_losses == other.history.step_losses
        for key, p in network.params.items():
            np.testing.assert_array_equal(p, other.params[key])


def test_the_same_bits_as_here():
    found, expected = stacks(), stacks()
    t = np.array([*"abc"])[T]
    given = QUIET | {"validation": (X, t), "optimizer": optimizers.Adam(0.01), "ema": 0.9}
    histories = fit_many(found, X, t, executor=Elsewhere(), **given)
    assert histories == [network.history for network in found]
    fit_many(expected, X, t, **given)
    expect_same(found, expected)
    np.testing.assert_array_equal(found[0].predict_classes(X), expected[0].predict_classes(X))
    # The state of the optimizer came back, too.
    given |= {"epochs": 4, "optimizer": None}
    fit_many(found, X, t, executor=Elsewhere(), resume=histories, **given)
    fit_many(expected, X, t, resume=[network.history for network in expected], **given)
    expect_same(found, expected)


def test_parameters_stay_where_they_are():
    network = MultiLayerNet(D, [5], C, seed=0)
    W, before = network.params["W1"], network.params["W1"].copy()
    fit_many([network], X, T, executor=Elsewhere(), **QUIET)
    assert network.params["W1"] is W
    assert not np.array_equal(W, before)


class Looks(Callback):
    """Tells how many threads there are by an error."""

    def on_epoch_end(self, epoch):
        raise OSError(f"{config.get_num_threads()} thread")


def test_one_thread_each_and_errors_are_named():
    found = [MultiLayerNet(D, [5], C, seed=seed) for seed in range(2)]
    before = found[1].params["W1"].copy()
    with pytest.raises(FitManyError, match=r"networks\[1\]: OSError: 1 thread"):
        fit_many(found, X, T, executor=Elsewhere(), callbacks=[[], [Looks()]], **QUIET)
    assert found[0].history.epochs == 2 and found[1].history is None
    np.testing.assert_array_equal(found[1].params["W1"], before)


def test_warnings_come_back():
    network = MultiLayerNet(D, [5], C, seed=0)
    with pytest.warns(fastnn.DivergenceWarning) as caught:
        fit_many([network], X, T, optimizer=optimizers.SGD(1e30), executor=Elsewhere(), **QUIET)
    assert [found.filename for found in caught] == [__file__]
    assert network.history.diverged is not None


def test_ctrl_c_cancels_what_has_not_begun():
    class Never(Elsewhere):
        def submit(self, function, /, *arguments):
            self.sent.append(Future())
            if len(self.sent) == 3:
                raise KeyboardInterrupt
            return self.sent[-1]

    executor = Never()
    with pytest.raises(KeyboardInterrupt):
        fit_many(stacks(4), X, T, executor=executor, **QUIET)
    assert [future.cancelled() for future in executor.sent] == [True, True, False]


def test_folds_elsewhere():
    def make():
        return MultiLayerNet(D, [5], C, seed=0)

    found = cross_validate(make, X, T, 3, executor=Elsewhere(), **QUIET)
    np.testing.assert_array_equal(found.scores, cross_validate(make, X, T, 3, **QUIET).scores)


def test_something_else_is_refused():
    with pytest.raises(TypeError, match="executor: expected one like those of concurrent.futures"):
        fit_many(stacks(), X, T, executor=3, **QUIET)


SCRIPT = """
    import os, sys
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context
    import numpy as np
    from fastnn import MultiLayerNet, fit_many
    from fastnn.callbacks import Callback

    class Tells(Callback):
        def on_train_end(self):
            self.history.reason = str(os.getpid())

    if __name__ == "__main__":
        x = np.random.default_rng(0).normal(size=(90, 6))
        t = np.arange(90) % 3
        def networks():
            return [MultiLayerNet(6, [5], 3, seed=seed) for seed in range(4)]
        found, expected = networks(), networks()
        given = dict(epochs=20, batch_size=16, seed=0, verbose=False, callbacks=[Tells()])
        if sys.argv[1] == "dask":
            from dask.distributed import Client, LocalCluster
            cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
            executor = Client(cluster)
        else:
            executor = ProcessPoolExecutor(2, get_context("spawn"))
        fit_many(found, x, t, executor=executor, validation=(x, t), **given)
        fit_many(expected, x, t, validation=(x, t), **given)
        for network, other in zip(found, expected):
            assert network.history.step_losses == other.history.step_losses
            assert all(np.array_equal(p, other.params[k]) for k, p in network.params.items())
        pids = {network.history.reason for network in found}
        assert str(os.getpid()) not in pids
        if sys.argv[1] == "dask":
            executor.close(), cluster.close()
        else:
            executor.shutdown()
        print(len(pids))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["processes", "dask"])
def test_two_processes(kind, tmp_path):
    if kind == "dask" and importlib.util.find_spec("distributed") is None:
        pytest.skip("needs dask[distributed]")
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    done = subprocess.run(
        [sys.executable, str(script), kind], capture_output=True, text=True, timeout=300,
        env=os.environ | {"FASTNN_NUM_THREADS": "1"}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in ("1", "2")  # which may be one, if it was the faster to start
