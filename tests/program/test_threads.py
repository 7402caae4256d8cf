"""The training program on threads: the same bits, no memory, no lock, whole steps."""

import gc
import math
import multiprocessing
import os
import signal
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numba.core.runtime import _nrt_python, rtsys
from routes import StepSettings
from states import expect_same

from fastnn import MultiLayerNetExtend, ops, optimizers, set_num_threads
from fastnn.kernels.threading import threads
from fastnn.layers import Dropout
from fastnn.program import Program
from fastnn.program import memory as _workspace
from fastnn.program import tables as tables_module

CLIPPED = StepSettings(clip_norm=0.5, ema=0.9)


class Training:
    """A network, its program, and rows for some steps."""

    def __init__(
        self, batch=40, sizes=(9, [13, 11], 5), steps=12, last=None, n=100, dtype="float64",
        chosen=None, **of_net,
    ):  # fmt: skip
        rng = np.random.default_rng(910)
        self.net = MultiLayerNetExtend(*sizes, seed=0, dtype=dtype, **of_net)
        self.opt = optimizers.Adam()
        x, t = rng.normal(size=(n, sizes[0])), rng.integers(sizes[2], size=n)
        self.program = Program(self.net, self.opt, x, t, batch, chosen or StepSettings())
        self.batch, self.steps = batch, steps
        self.rows = rng.integers(n, size=(steps - 1) * batch + (last or batch))
        self.rates = np.full(steps, 0.01)
        self.losses, self.hits = np.zeros(steps), np.zeros(steps, np.int64)

    @property
    def plan(self):
        return self.program._plan(gathered=True)

    def run(self):
        self.program.run(self.rows, self.batch, self.rates, self.losses, self.hits)
        return self

    def result(self):
        """Return all that a run has changed."""
        found = {f"p {key}": p.copy() for key, p in self.net.params.items()}
        for name in "m", "v":
            found |= {f"{name} {key}": a.copy() for key, a in getattr(self.opt, name).items()}
        found |= {f"a {key}": a.copy() for key, a in (self.program.averages or {}).items()}
        for name, layer in self.net.layers.items():
            if hasattr(layer, "running_mean"):
                found[f"mean {name}"] = layer.running_mean.copy()
                found[f"var {name}"] = layer.running_var.copy()
            if isinstance(layer, Dropout):
                found[f"step {name}"] = np.asarray(layer.step)
        return {
            **found,
            "losses": self.losses,
            "hits": self.hits,
            "iter": np.asarray(self.opt.iter),
        }


def with_threads(count, **settings):
    set_num_threads(count)
    training = Training(**settings).run()
    tables = training.program._tables(gathered=True)
    p = tables.program[0]
    training.threads = int(p["row_threads"]), int(p["update_threads"])
    training.parts = len(tables.updates)
    return training


# --- the same bits ------------------------------------------------------------------------

MODES = {
    "plain": {"batch": 70, "last": 33, "sizes": (9, [130, 70], 5)},
    "halves": {"batch": 70, "last": 33, "sizes": (200, [13, 11], 5)},
    "wide": {"batch": 100, "last": 61, "n": 300, "sizes": (100, [300, 260], 10), "steps": 3},
    "slots": {"batch": 300, "last": 201, "n": 500, "sizes": (4, [4, 3], 3)},
    "norm": {"batch": 70, "last": 35, "use_batchnorm": True, "use_dropout": True},
    "norm and slots": {
        "batch": 300, "last": 299, "n": 500, "sizes": (4, [4, 3], 3), "use_batchnorm": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_for_any_number_of_threads(crowd, mode, dtype):
    expected = with_threads(1, dtype=dtype, chosen=CLIPPED, **MODES[mode])
    assert (expected.plan.slots > 1) == ("slots" in mode)
    assert (expected.plan.segments[0].parts > 1) == (mode == "halves")
    for n in 2, 3, 4:
        training = with_threads(n, dtype=dtype, chosen=CLIPPED, **MODES[mode])
        assert training.threads == (n, 1 if "slots" in mode else n)
        expect_same(training.result(), expected.result())


@pytest.mark.parametrize("count", [1, 2, 4])
def test_threads_bring_the_samples_that_they_copy_next(crowd, count):
    """Each its own rows and columns of the next batch; together all, and nothing of the last."""
    training = with_threads(count, batch=64, sizes=(200, [13], 5), dtype="float32")
    tables = training.program._tables(gathered=True)
    kept = dict(tables.workspace.arrays)["samples of the next step"]
    assert (kept[:, 0] == kept[:, 1]).all()  # after a last step there is nothing to be brought
    given = training.program._samples.array
    width, size = given.shape[1], given.itemsize
    p, order = tables.program[0], np.arange(100, dtype=np.int64)
    p["order"], p["rows"], p["done"] = order.ctypes.data, 96, 0
    rates = training.rates[:1]
    tables.run(training.program._parameters.settings(rates), np.zeros(1), np.zeros(1, np.int64))
    rows, at, left, right = kept[:, 0], kept[:, 2], kept[:, 3], kept[:, 4]
    assert (rows <= kept[:, 1]).all() and (left <= at).all() and (at < right).all()
    assert rows[0] > 0  # others may have had nothing to do
    brought, low = np.zeros((32, width * size), bool), 0
    for worker in range(count):
        if worker and left[worker] != left[worker - 1]:
            low = 0
        brought[low : kept[worker, 1], left[worker] : right[worker]] = True
        low = kept[worker, 1]
    assert brought.all()


def test_clipped_norm_of_a_layer_in_many_parts(crowd):
    """Into how many parts a weight's update is cut depends on the number of threads."""
    setup = {"batch": 32, "sizes": (500, [40], 5), "chosen": StepSettings(clip_norm=0.01)}
    one, many = (with_threads(n, **setup) for n in (1, 4))
    assert one.parts < many.parts
    expect_same(many.result(), one.result())


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # it holds for all examples
)
@given(
    batch=st.integers(1, 130),
    last=st.integers(1, 130),
    widths=st.lists(st.integers(1, 40), min_size=2, max_size=5).filter(lambda w: w[-1] > 1),
    activation=st.sampled_from(["relu", "sigmoid", "tanh"]),
    norm=st.booleans(),
    dropout=st.booleans(),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_any_sizes(crowd, batch, last, widths, activation, norm, dropout, dtype):
    assume(batch > 1 or not norm)
    setup = {
        "batch": batch, "last": min(last, batch), "sizes": (widths[0], widths[1:-1], widths[-1]),
        "activation": activation, "use_batchnorm": norm, "use_dropout": dropout, "steps": 4,
        "dtype": dtype, "chosen": CLIPPED,
    }  # fmt: skip
    expected = with_threads(1, **setup).result()
    expect_same(with_threads(3, **setup).result(), expected)


def test_one_batch_of_any_size_up_to_many_units(crowd):
    """Batches from one sample up, through all ways to cut units among threads."""
    for batch in [*range(1, 20), 31, 32, 33, 47, 63, 65, 100]:
        expected = with_threads(1, batch=batch, steps=2, sizes=(3, [4], 2)).result()
        expect_same(with_threads(4, batch=batch, steps=2, sizes=(3, [4], 2)).result(), expected)


def test_threads_that_came_after_the_plan_have_no_part(crowd, monkeypatch):
    """There is memory for as many threads as there were; more may be awake."""
    beyond = []

    def aligned(shape, dtype):
        size = math.prod(shape) * np.dtype(dtype).itemsize
        memory = np.zeros(size + (4 << 20), np.uint8)
        beyond.append(memory[size:])
        return memory[:size].view(dtype).reshape(shape)

    run = tables_module.run

    def crowded(*args):
        set_num_threads(4)
        threads.wake(3)
        run(*args)
        set_num_threads(2)

    set_num_threads(2)
    setup = {"batch": 300, "n": 500, "sizes": (4, [4, 3], 3), "use_dropout": True, "steps": 2000}
    expected = Training(**setup).run().result()
    monkeypatch.setattr(_workspace, "aligned", aligned)
    monkeypatch.setattr(tables_module, "run", crowded)
    training = Training(**setup).run()
    assert training.plan.local and len(beyond) > 5
    assert not any(memory.any() for memory in beyond)
    expect_same(training.result(), expected)


def test_fewer_threads_than_planned(crowd):
    set_num_threads(4)
    training = Training(batch=64)
    set_num_threads(1)
    expected = Training(batch=64).run().result()
    expect_same(training.run().result(), expected)


# --- memory, lock, mode -------------------------------------------------------------------


@pytest.fixture
def quiet():
    """No garbage collection: it calls what others registered, and empties Python's free lists."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def counted():
    """Let Numba count what compiled code allocates."""
    before = _nrt_python.memsys_stats_enabled()
    _nrt_python.memsys_enable_stats()
    yield
    if not before:
        _nrt_python.memsys_disable_stats()


def memory(training):
    """Return the most that Python held during a run, and how often compiled code allocated."""
    before = rtsys.get_allocation_stats()
    tracemalloc.start()
    training.run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    after = rtsys.get_allocation_stats()
    assert after.free - before.free == after.alloc - before.alloc
    return peak, (after.alloc - before.alloc, after.mi_alloc - before.mi_alloc)


@pytest.mark.slow
@pytest.mark.usefixtures("quiet", "counted")
@pytest.mark.parametrize("mode", MODES)
def test_steps_take_no_memory(mode):
    """As much for 104 steps as for 4, ragged ones included, but for what a run is given.

    That is the copy of rows and the settings of each step, which Python makes beforehand.
    """
    peaks = []
    for steps in 4, 104:
        training = Training(chosen=CLIPPED, **{**MODES[mode], "steps": steps}).run()
        found, allocated = zip(*(memory(training) for _ in range(5)), strict=True)
        assert set(allocated) == {allocated[0]}
        # Threads of Python that go to sleep or wake meanwhile take some bytes now and then.
        given = training.rows.nbytes + 8 * steps * len(training.opt.rule.settings)
        peaks.append((min(found) - given, allocated[0]))
    (few, once), (many, often) = peaks
    # Settings that change by themselves are made apart, one after the other.
    assert many - few < 2 * 8 * (104 - 4), "less than two numbers for each step"
    assert often == once


def test_other_threads_of_python_run_meanwhile():
    """A thread counts on while one call takes a tenth of a second or more."""
    training = Training(steps=1000, sizes=(20, [60, 60], 5), batch=100).run()
    count, at = [0], []
    stop = threading.Event()

    def work():
        while not stop.is_set():
            count[0] += 1

    thread = threading.Thread(target=work)
    thread.start()
    run = tables_module.run

    def watched(*args):
        at.append(count[0])
        run(*args)
        at.append(count[0])

    tables_module.run = watched
    try:
        training.run()
    finally:
        tables_module.run = run
        stop.set()
        thread.join()
    assert at[1] - at[0] > 1000


@pytest.mark.parametrize("n", [1, 2])
def test_denormals_are_flushed_inside_and_kept_outside(crowd, n):
    set_num_threads(n)
    training = Training(dtype="float32", sizes=(3, [4], 2), batch=20)
    training.opt = training.program._optimizer
    training.run()
    moment = training.opt.m["W1"]
    moment[...] = np.finfo(np.float32).tiny
    training.net.params["b2"][...] = [-1e4, 1e4]  # no gradient but for one class, and zeros in x
    for layer in training.net.layers.values():
        layer.W[...] = 0
    training.run()
    assert ((moment == 0) | (np.abs(moment) >= np.finfo(np.float32).tiny)).all()
    denormal = np.full(4, np.finfo(np.float32).tiny) * np.float32(0.5)
    assert (denormal > 0).all(), "the caller's mode was changed"


# --- several at once ----------------------------------------------------------------------


def test_many_threads_of_python_train_at_once(crowd):
    set_num_threads(2)
    modes = [{**MODES[mode], "chosen": CLIPPED} for mode in MODES]
    expected = [Training(**mode).run().result() for mode in modes]
    trainings = [Training(**mode) for mode in modes]
    workers = [threading.Thread(target=training.run) for training in trainings]
    for worker in workers:
        worker.start()
    x = np.random.default_rng(911).normal(size=(300, 400))
    y = ops.affine(x, x.T.copy(), np.zeros(300))
    while any(worker.is_alive() for worker in workers):
        np.testing.assert_array_equal(ops.affine(x, x.T.copy(), np.zeros(300)), y)
    for worker, training, result in zip(workers, trainings, expected, strict=True):
        worker.join()
        expect_same(training.result(), result)


def _in_child(queue):
    queue.put(Training(batch=64, chosen=CLIPPED).run().result())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_trains_while_the_parent_does(crowd):
    set_num_threads(2)
    expected = Training(batch=64, chosen=CLIPPED).run().result()
    busy = Training(steps=3000, batch=64).run()
    worker = threading.Thread(target=busy.run)
    worker.start()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_in_child, args=(queue,))
    child.start()
    result = queue.get(timeout=60)
    child.join(60)
    worker.join()
    assert child.exitcode == 0
    expect_same(result, expected)


# --- interruptions ------------------------------------------------------------------------


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.skipif(sys.platform == "win32", reason="needs a signal to one thread")
@pytest.mark.parametrize("norm", [False, True])
def test_ctrl_c_leaves_whole_steps(norm, monkeypatch):
    """The signal comes through after the call, and all counters stand where the arrays do."""
    setup = {"use_dropout": True, "use_batchnorm": norm, "batch": 64, "steps": 3000}
    expected = Training(**setup).run().result()  # after this nothing is left to load
    main, run = threading.main_thread().ident, tables_module.run

    def interrupted(*args):
        timer = threading.Timer(0.01, signal.pthread_kill, (main, signal.SIGINT))
        timer.start()
        run(*args)
        timer.join()  # should the steps take less

    monkeypatch.setattr(tables_module, "run", interrupted)
    training = Training(**setup)
    with pytest.raises(KeyboardInterrupt):
        training.run()
    assert training.program.done == training.opt.iter == 3000
    expect_same(training.result(), expected)
