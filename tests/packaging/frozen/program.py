"""A program for PyInstaller: it trains a network, and says how many kernels it has compiled."""

import contextlib
import sys

import fastnn
from fastnn.kernels.machine import code

compiled = []
with contextlib.ExitStack() as stack:
    if code.library() is None:
        from numba.core import event

        compiled = stack.enter_context(event.install_recorder("numba:compile")).buffer
    (x, t), _ = fastnn.datasets.load_mnist(subset="bundled")
    network = fastnn.MultiLayerNet(784, [20], 10, seed=0)
    history = network.fit(x[:500], t[:500], 3, 100, "adam", verbose=False)
assert history.loss[-1] < history.loss[0]
loaded = "with" if "numba" in sys.modules else "without"
print(f"fastnn {fastnn.__version__}: route {history.route}")
print(f"compiled {len(compiled) // 2}, {loaded} Numba; machine code {code.source()}")
