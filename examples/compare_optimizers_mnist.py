"""Compare six optimizers on MNIST, on the compiled kernels and on the NumPy reference.

A network of five layers, 784-100-100-100-100-10, with ReLU and He's initial values is trained by
SGD, Momentum, Nesterov, AdaGrad, RMSProp and Adam. Prints seconds per epoch and test accuracy
each way, and saves the loss curves: the comparison of *Deep Learning from Scratch*, section
6.1, and two more.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from _common import Data, count, load, parser, plt, save
from tqdm import tqdm

import fastnn
from fastnn import config, optimizers
from fastnn.functional import smooth_curve

# The book's learning rates; of the two that it does not compare, RMSProp diverges at 0.01.
OPTIMIZERS = {
    "SGD": lambda: optimizers.SGD(lr=0.01),
    "Momentum": lambda: optimizers.Momentum(lr=0.01),
    "Nesterov": lambda: optimizers.Nesterov(lr=0.01),
    "AdaGrad": lambda: optimizers.AdaGrad(lr=0.01),
    "RMSProp": lambda: optimizers.RMSProp(lr=0.001),
    "Adam": lambda: optimizers.Adam(lr=0.001),
}
MARKERS = dict(zip(OPTIMIZERS, "oxvs^D", strict=True))
BACKENDS = ("numba", "numpy")
# NumPy's BLAS keeps its threads spinning for a tenth of a second after a product, on the cores
# that the other way of training then needs.
SETTLE = 0.25


class Run:
    """One network, trained by one optimizer on one backend."""

    def __init__(self, data: Data, make_optimizer, backend: str, arguments) -> None:
        self.data = data
        self.backend = backend
        self.network = fastnn.MultiLayerNet(784, [100] * 4, 10, seed=arguments.seed)
        self.optimizer = make_optimizer()
        self.batch_size, self.seed = arguments.batch_size, arguments.seed
        self.history = None

    def epoch(self) -> None:
        """Train for one more epoch."""
        done = self.history.epochs if self.history else 0
        with config.use_backend(self.backend):
            self.history = self.network.fit(
                self.data.x_train, self.data.t_train, done + 1, self.batch_size, self.optimizer,
                verbose=False, seed=self.seed, resume=self.history,
            )  # fmt: skip

    def accuracy(self) -> float:
        """Return the accuracy on all test images."""
        with config.use_backend(self.backend):
            return self.network.accuracy(self.data.x_test, self.data.t_test)


def compile_kernels(data: Data, arguments: argparse.Namespace) -> float:
    """Train on a few samples each way, so that nothing is compiled while time is taken."""
    start = time.perf_counter()
    few = data.first(2000, 2000)
    for backend in tqdm(BACKENDS, desc="compiling kernels", leave=False):
        run = Run(few, OPTIMIZERS["Adam"], backend, arguments)
        run.epoch()
        run.accuracy()
    return time.perf_counter() - start


def train(data: Data, arguments: argparse.Namespace) -> dict[str, dict[str, Run]]:
    """Train each network both ways, epoch by epoch in turn, so that noise meets both alike."""
    runs = {
        name: {backend: Run(data, make, backend, arguments) for backend in BACKENDS}
        for name, make in OPTIMIZERS.items()
    }
    with tqdm(total=len(runs) * len(BACKENDS) * arguments.epochs, unit=" epochs") as bar:
        for name, both in runs.items():
            for epoch in range(arguments.epochs):
                for backend, run in both.items():
                    time.sleep(SETTLE)
                    bar.set_postfix(optimizer=name, backend=backend, epoch=epoch + 1)
                    run.epoch()
                    bar.update()
    return runs


def table(runs: dict[str, dict[str, Run]]) -> str:
    """Return the results as text."""
    lines = [
        "               seconds per epoch          test accuracy",
        "optimizer     fastnn    NumPy  ratio     fastnn    NumPy",
    ]
    for name, both in runs.items():
        ours, numpy = both["numba"], both["numpy"]
        seconds, theirs = ours.history.seconds, numpy.history.seconds
        ratio = statistics.median(b / a for a, b in zip(seconds, theirs, strict=True))
        lines.append(
            f"{name:10} {statistics.median(seconds):9.3f} "
            f"{statistics.median(theirs):8.3f} {ratio:5.2f}x "
            f"{ours.accuracy():10.4f} {numpy.accuracy():8.4f}"
        )
    return "\n".join(lines)


def draw(runs: dict[str, dict[str, Run]]) -> plt.Figure:
    """Return a figure of the smoothed training losses of the runs on the compiled kernels."""
    figure, axes = plt.subplots(figsize=(8.4, 6), layout="constrained")
    for name, both in runs.items():
        loss = smooth_curve(both["numba"].history.step_losses)
        step = np.arange(1, len(loss) + 1)
        every = max(1, len(loss) // 15)
        axes.plot(step, loss, marker=MARKERS[name], markevery=every, markersize=5, label=name)
    axes.set(
        xlabel="iterations",
        ylabel="training loss",
        ylim=(0, 1),
        title="Optimizers on MNIST (784-100-100-100-100-10, ReLU, He)",
    )
    axes.legend()
    return figure


def main() -> None:
    """Run the comparison."""
    options = parser(__doc__)
    options.add_argument(
        "--epochs", type=count, help="passes over the training set (default: 3, with --full 15)"
    )
    options.add_argument("--batch-size", type=count, default=128, help="samples per step")
    arguments = options.parse_args()
    arguments.epochs = arguments.epochs or (15 if arguments.full else 3)
    data = load(arguments)
    print(
        f"kernels ready after {compile_kernels(data, arguments):.1f} s (compiled once, then kept)"
    )
    runs = train(data, arguments)
    print(
        f"\n784-100-100-100-100-10, batch {arguments.batch_size}, float32, "
        f"{arguments.epochs} epochs, {fastnn.get_num_threads()} threads; medians, "
        "the ratio's over paired epochs\n"
    )
    print(f"{table(runs)}\n")
    save(draw(runs), arguments, "optimizers_mnist.png")


if __name__ == "__main__":
    main()
