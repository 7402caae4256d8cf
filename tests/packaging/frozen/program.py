"""A program for PyInstaller: it trains a network, and says how many kernels it has compiled."""

from numba.core import event

import fastnn

with event.install_recorder("numba:compile") as compiled:
    (x, t), _ = fastnn.datasets.load_mnist(subset="bundled")
    network = fastnn.MultiLayerNet(784, [20], 10, seed=0)
    history = network.fit(x[:500], t[:500], 3, 100, "adam", verbose=False)
assert history.loss[-1] < history.loss[0]
print(f"fastnn {fastnn.__version__}: route {history.route}, compiled {len(compiled.buffer) // 2}")
