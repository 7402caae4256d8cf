"""Compare five optimizers on MNIST, on the compiled kernels and on the NumPy reference.

A network 784-100-100-100-100-10 with ReLU and He's initial values is trained by SGD, Momentum,
AdaGrad, RMSProp and Adam. Prints seconds per epoch and test accuracy each way, and saves the
loss curves: the figure of the chapter on learning techniques in *Deep Learning from Scratch*.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np
from tqdm import tqdm

import fastnn
from fastnn import config, optimizers
from fastnn.datasets import load_mnist, mnist_source
from fastnn.functional import smooth_curve

mpl.use("Agg")
import matplotlib.pyplot as plt

# The book's learning rates; RMSProp is not in its comparison and diverges at 0.01.
OPTIMIZERS = {
    "SGD": lambda: optimizers.SGD(lr=0.01),
    "Momentum": lambda: optimizers.Momentum(lr=0.01),
    "AdaGrad": lambda: optimizers.AdaGrad(lr=0.01),
    "RMSProp": lambda: optimizers.RMSProp(lr=0.001),
    "Adam": lambda: optimizers.Adam(lr=0.001),
}
MARKERS = {"SGD": "o", "Momentum": "x", "AdaGrad": "s", "RMSProp": "^", "Adam": "D"}
BACKENDS = ("numba", "numpy")
# NumPy's BLAS keeps its threads spinning for a tenth of a second after a product, on the cores
# that the other way of training then needs.
SETTLE = 0.25


def parse_arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=3, help="passes over the training set")
    parser.add_argument("--batch-size", type=int, default=128, help="samples per step")
    parser.add_argument("--seed", type=int, default=0, help="of initial weights and batches")
    parser.add_argument(
        "--data", type=Path, help="folder of the four MNIST files (default: FASTNN_DATA_DIR)"
    )
    parser.add_argument(
        "--bundled", action="store_true", help="use the 10,000 bundled images even so"
    )
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the picture")
    arguments = parser.parse_args()
    if arguments.epochs < 1 or arguments.batch_size < 1:
        parser.error("--epochs and --batch-size must be at least 1")
    return arguments


def load(arguments: argparse.Namespace):
    """Return the data and what to call it."""
    source = None if arguments.bundled else mnist_source(arguments.data)
    if source is None:
        return load_mnist(subset="bundled"), "the bundled subset of MNIST"
    return load_mnist(data_dir=source), f"full MNIST from {source}"


class Run:
    """One network, trained by one optimizer on one backend."""

    def __init__(self, data, make_optimizer, backend, arguments) -> None:
        self.train, self.test = data
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
                *self.train, done + 1, self.batch_size, self.optimizer,
                verbose=False, seed=self.seed, resume=self.history,
            )  # fmt: skip

    def accuracy(self) -> float:
        """Return the accuracy on all test images."""
        with config.use_backend(self.backend):
            return self.network.accuracy(*self.test)


def compile_kernels(data, arguments: argparse.Namespace) -> float:
    """Train on a few samples each way, so that nothing is compiled while time is taken."""
    start = time.perf_counter()
    few = tuple((x[:2000], t[:2000]) for x, t in data)
    for backend in tqdm(BACKENDS, desc="compiling kernels", leave=False):
        run = Run(few, OPTIMIZERS["Adam"], backend, arguments)
        run.epoch()
        run.accuracy()
    return time.perf_counter() - start


def train(data, arguments: argparse.Namespace) -> dict[str, dict[str, Run]]:
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


def plot(runs: dict[str, dict[str, Run]], path: Path) -> None:
    """Save the smoothed training losses of the runs on the compiled kernels."""
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
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
    axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Run the comparison."""
    arguments = parse_arguments()
    data, description = load(arguments)
    (x_train, _), (x_test, _) = data
    print(f"data: {description}, {len(x_train)} training and {len(x_test)} test images")
    print(
        f"kernels ready after {compile_kernels(data, arguments):.1f} s (compiled once, then kept)"
    )
    runs = train(data, arguments)
    print(
        f"\n784-100-100-100-100-10, batch {arguments.batch_size}, float32, "
        f"{arguments.epochs} epochs, {fastnn.get_num_threads()} threads; medians, "
        "the ratio's over paired epochs\n"
    )
    print(table(runs))
    picture = arguments.out / "optimizers_mnist.png"
    plot(runs, picture)
    print(f"\nloss curves: {picture.resolve()}")


if __name__ == "__main__":
    main()
