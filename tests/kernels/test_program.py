"""Training programs read and write nothing outside of their arrays."""

import os
import subprocess
import sys

import numpy as np
import pytest

from fastnn import MultiLayerNetExtend, optimizers
from fastnn.kernels.tuning import COMMON
from fastnn.program import Program
from fastnn.program import inference as _inference
from fastnn.program import memory as _memory
from fastnn.program import parameters as _parameters
from fastnn.program import program as program_module
from fastnn.program import tables as tables_module
from fastnn.program.executor import StepSettings

pytestmark = pytest.mark.slow

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs mprotect")

SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
import test_gemm, test_program
test_program.{function}(test_gemm.Guarded, {side!r}, {number})
print("done")
"""

# Batch, samples of the last one, inputs, hidden units, outputs.
SIZES = [
    (1, 1, 1, [1], 2),
    (5, 3, 3, [7, 2], 4),
    (33, 17, 31, [37, 65], 3),
    (70, 1, 129, [67], 31),
    (300, 113, 3, [5, 4], 3),  # sums by slots
    (101, 97, 99, [261, 129], 259),  # packed operands
    (13, 12, 40, [801], 2),  # wide enough to pack the other operand
    (37, 13, 203, [19, 5], 3),  # a first layer in halves
]
KINDS = [
    {},
    {"use_batchnorm": True, "use_dropout": True},
    {"activation": "tanh", "use_dropout": True},
    {"activation": "sigmoid", "use_batchnorm": True, "loss": "mean_squared_error"},
    {"loss": "binary_cross_entropy"},
    {"loss": "poisson", "input_scale": 1e-3},
    {"loss": "huber"},
]
RULES = [optimizers.Adam, optimizers.SGD, optimizers.Momentum, optimizers.RMSProp]


class Memory:
    """Arrays between pages that cannot be touched, against the one before or the one after."""

    def __init__(self, guarded, side):
        self._guarded, self._side = guarded(), side

    def array(self, values):
        values = np.asarray(values)
        if self._side == "end":
            return self._guarded.array(values)
        page = 4096  # one that is whole begins where it ends at a page's end
        size = -(-max(values.nbytes, 1) // page) * page
        whole = self._guarded.array(np.zeros(size, np.uint8))
        inside = whole[: values.nbytes].view(values.dtype).reshape(values.shape)
        inside[...] = values
        return inside

    def aligned(self, shape, dtype):
        return self.array(np.zeros(shape, dtype))


def guarded_programs(guarded, side, number):
    """Train small networks in such memory; those of every `number`-th combination."""
    tables_module._WORTH = 1e-9
    run = tables_module.Tables.run

    def shared(tables, *args):
        """Share steps from the first one on."""
        tables.program["taken"], tables.program["alone"] = COMMON.alone_first, 1 << 60
        run(tables, *args)

    tables_module.Tables.run = shared
    combinations = [
        (sizes, kind, dtype, data)
        for sizes in SIZES
        for kind in range(len(KINDS))
        if sizes[0] > 1 or not KINDS[kind].get("use_batchnorm")
        for dtype in ("float32", "float64")
        for data in ("float32", "float64", "uint8")
    ]
    for i, (sizes, kind, dtype, data) in enumerate(combinations[::number]):
        memory = Memory(guarded, side)
        _memory.aligned = _parameters.aligned = memory.aligned
        train(memory, sizes, KINDS[kind], dtype, data, RULES[i % len(RULES)])


def train(memory, sizes, kind, dtype, data, rule):
    batch, last, features, hidden, classes = sizes
    rng = np.random.default_rng(920)
    net = MultiLayerNetExtend(features, hidden, classes, dtype=dtype, seed=0, **kind)
    for layer in net.layers.values():
        for key, p in net.params.items():
            for name in ("W", "b", "gamma", "beta"):
                if getattr(layer, name, None) is p:
                    net.params[key] = memory.array(p)
                    setattr(layer, name, net.params[key])
        for name in ("running_mean", "running_var"):
            if hasattr(layer, name):
                setattr(layer, name, memory.array(np.zeros_like(layer.gamma)))
    n, steps = batch + 3, 3
    x = memory.array((rng.random((n, features)) * 200).astype(data))
    t = rng.integers(classes, size=n)
    if kind.get("loss") or batch == 33:
        t = np.eye(classes)[t]
    settings = StepSettings(clip_value=1.0, clip_norm=0.5, ema=0.9)
    weights = memory.array(rng.random(n)) if rule is optimizers.SGD else None
    rows = rng.integers(n, size=(steps - 1) * batch + last)
    rows[:3] = n - 1, 0, n - 1
    program = Program(net, rule(), x, memory.array(t), batch, settings, weights)
    rates, losses = (memory.array(np.full(steps, 0.001)) for _ in range(2))
    hits = memory.array(np.zeros(steps, np.int64))
    program.run(memory.array(rows), batch, rates, losses, hits)
    program.run(None, n, rates, losses, hits)
    assert np.isfinite(losses).all()
    _inference.WORTH = 0
    _inference.scores(net, x)


def stray(guarded, side, number):
    """Claim one more column of samples than there are."""
    memory = Memory(guarded, side)
    _memory.aligned = _parameters.aligned = memory.aligned
    samples = program_module.samples

    def shifted(*args):
        given = samples(*args)
        program = program_module.Program._make

        def make(self, gathered):
            tables = program(self, gathered)
            tables.program[0]["data"] += 8 if side == "end" else -8
            return tables

        program_module.Program._make = make
        return given

    program_module.samples = shifted
    train(memory, SIZES[1], KINDS[0], "float64", "float64", RULES[0])


def run(function, side, number=1):
    script = SCRIPT.format(
        folder=os.path.dirname(__file__), function=function, side=side, number=number
    )
    return subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )


@on_linux
@pytest.mark.parametrize("side", ["begin", "end"])
def test_nothing_is_touched_outside_the_arrays(side):
    done = run("guarded_programs", side)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "done"


@on_linux
@pytest.mark.parametrize("side", ["begin", "end"])
def test_the_guard_guards(side):
    assert run("stray", side).returncode < 0
