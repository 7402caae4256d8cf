"""Memory: the peak of a new process, and what a training allocates.

asv's own ``peakmem_`` would see a process that was forked from one with all benchmarks: it has
their memory, and lacks what it did not touch of the libraries. So each peak is of an interpreter of
its own, as Linux tells it. Pages of files are left out: how many of a library's the system maps at
once depends on how its file was written.
"""

import subprocess
import sys
import tracemalloc
from pathlib import Path

from fastnn import MultiLayerNet

from . import training
from .common import skip, skipped_where_absent

STATUS = Path("/proc/self/status")

IMPORT = "from fastnn import MultiLayerNet"

FIT = """
import numpy as np
from fastnn import MultiLayerNet, optimizers

net = MultiLayerNet(784, [100] * 4, 10, seed=0)
x, t = np.ones((5120, 784), np.float32), np.zeros(5120, np.int64)
net.fit(x, t, 1, 128, optimizers.Adam(lr=1e-7), verbose=False, seed=0)
"""

PEAK = f"""
kB = {{line.split()[0]: line.split()[1] for line in open("{STATUS}") if " kB" in line}}
print(int(kB["VmHWM:"]) - int(kB["RssFile:"]))
"""


def _peak(code):
    """Return the most memory of its own that an interpreter has had, in bytes; kernels on disk."""
    if not STATUS.exists() or "RssFile:" not in STATUS.read_text():
        skip("only Linux tells what a process has had at most")
    for _ in range(2):  # the first compiles
        command = [sys.executable, "-c", code + PEAK]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return 1024 * int(done.stdout)


class PeakMemory:
    unit = "bytes"
    timeout = 300

    def track_peakmem_import(self):
        return _peak(IMPORT)

    def track_peakmem_fit(self):
        with skipped_where_absent():
            _ = MultiLayerNet(1, [1], 2).fit
        return _peak(FIT)


def _allocated(make, *args):
    """Return the most that a call has allocated at once through Python and NumPy."""
    with skipped_where_absent():
        call = make(*args)
        call()
    call()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


class Allocations:
    """The most at once of a step layer by layer, gradients included, and of an epoch of `fit`."""

    unit = "bytes"

    def track_bytes_of_a_step(self):
        return _allocated(training.step, "Adam", "none", "float32")

    def track_bytes_of_an_epoch(self):
        return _allocated(training.epoch, "Adam", "none", "float32")
