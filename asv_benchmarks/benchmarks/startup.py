"""What a new process waits for: the import, and the kernels of its first training step.

Each sample is a process of its own. (No name here may read "setup" in any case: asv would
call it.)
"""

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

NETWORK = """
import numpy as np
from fastnn import MultiLayerNet, optimizers

net = MultiLayerNet(784, [100] * 4, 10, seed=0)
update = optimizers.Adam().update
x, t = np.zeros((128, 784), np.float32), np.zeros(128, np.int64)
"""

NO_CACHE = """
import os
import tempfile

folder = tempfile.TemporaryDirectory()
os.environ["FASTNN_CACHE_DIR"] = folder.name
"""

AFFINE = """
import numpy as np
from fastnn import ops

ops.affine(np.ones((100, 50)), np.ones((50, 20)), np.ones(20))
"""

STEP = "update(net.params, net.gradient(x, t))"


@functools.cache
def fill_cache():
    """Have the kernels of the step and of the call on disk."""
    subprocess.run([sys.executable, "-c", NETWORK + STEP + AFFINE], check=True)


class Startup:
    rounds = 1
    repeat = (3, 5, 10)
    warmup_time = 0
    timeout = 300

    def timeraw_import(self):
        return "from fastnn import MultiLayerNet"

    # As it was with "import fastnn", which loaded as much in earlier commits: their results count.
    timeraw_import.version = "dd19795cb1daa1dc4be6a56800f5e1fb883f74f533dd0a3b731c5e57d05d9735"

    def timeraw_compile(self):
        return STEP, NO_CACHE + NETWORK

    def timeraw_load(self):
        fill_cache()
        return STEP, NETWORK

    def timeraw_affine(self):
        fill_cache()
        return AFFINE


class CacheSize:
    """Compiled kernels on disk: those of the network's training step."""

    unit = "bytes"
    timeout = 300

    def track_step(self):
        with tempfile.TemporaryDirectory() as folder:
            environment = dict(os.environ, FASTNN_CACHE_DIR=folder)
            subprocess.run([sys.executable, "-c", NETWORK + STEP], check=True, env=environment)
            return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
