"""Compare six optimizers on MNIST, on the compiled kernels and on the NumPy reference.

A network of five layers, 784-100-100-100-100-10, with ReLU and He's initial values is trained by
SGD, Momentum, Nesterov, AdaGrad, RMSProp and Adam. Prints seconds per epoch and test accuracy
each way, and saves the loss curves: the comparison of *Deep Learning from Scratch*, section
6.1, and two more. The two ways take turns of some steps each, and NumPy has the number of threads
with which it is faster; where it is too slow it is stopped before the last epoch.
"""

from __future__ import annotations

import argparse
import math
import time
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from _common import Data, count, load, parser, plt, positive, save, text
from _timing import SPREAD_HEAD, Blas, Spread, Watch, best_threads, counted, in_turns
from tqdm import tqdm

import fastnn
from fastnn import callbacks, config, optimizers
from fastnn.functional import smooth_curve
from fastnn.kernels.plain.level import vector_bits

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
ROUNDS = 10  # for an optimizer, at least, if there is time
TURN = 0.25  # seconds that NumPy's turn should take, at most
TRIAL, TRIAL_SECONDS = 5, 1.0  # steps of a turn with a number of threads, how long to try


class Paused(Exception):
    """A training has come to where it was to be paused."""


class Pause(callbacks.Callback):
    """Ends `fit` after a step, in the middle of an epoch; its history can be resumed."""

    def __init__(self, last: int) -> None:
        self.last = last

    def next_stop(self, step: int) -> int | None:
        """Return the step to stop after."""
        return self.last if step < self.last else None

    def on_steps_end(self, step: int) -> None:
        """Stop."""
        raise Paused


class Run:
    """One network, trained by one optimizer on one backend, some steps at a time."""

    def __init__(self, data: Data, make_optimizer, backend: str, blas: Blas, arguments) -> None:
        self.data = data
        self.backend, self.blas = backend, blas
        self.network = fastnn.MultiLayerNet(784, [100] * 4, 10, seed=arguments.seed)
        self.optimizer = make_optimizer()
        self.batch_size, self.seed = arguments.batch_size, arguments.seed
        self.history = None

    @property
    def steps(self) -> int:
        """Return how many steps were done."""
        return len(self.history.step_losses) if self.history else 0

    def seconds(self) -> float:
        """Return the seconds that they took."""
        return sum(self.history.seconds) + self.history.elapsed if self.history else 0.0

    def advance(self, steps: int, threads: int | None = None) -> float:
        """Train for more steps, NumPy on so many threads; return the seconds a step."""
        before, last = self.seconds(), self.steps + steps
        per_epoch = steps_per_epoch(self.data, self.batch_size)
        pause = [Pause(last)] if last % per_epoch else []
        with config.use_backend(self.backend), self.blas.threads(threads), suppress(Paused):
            self.network.fit(
                self.data.x_train, self.data.t_train, math.ceil(last / per_epoch), self.batch_size,
                self.optimizer, callbacks=pause, verbose=False, seed=self.seed, resume=self.history,
            )  # fmt: skip
        self.history = self.network.history
        return (self.seconds() - before) / steps

    def accuracy(self, threads: int | None = None) -> float:
        """Return the accuracy on all test images."""
        with config.use_backend(self.backend), self.blas.threads(threads):
            return self.network.accuracy(self.data.x_test, self.data.t_test)


class Result(NamedTuple):
    """What came of training by one optimizer both ways."""

    epoch: tuple[float, float]  # seconds per epoch: fastnn, NumPy
    threads: int | None  # of NumPy
    ratio: Spread
    accuracy: tuple[float, float]  # of both, after the same number of steps:
    steps: int
    final: float  # accuracy of fastnn after all steps
    losses: list[float]  # of fastnn's steps


def steps_per_epoch(data: Data, batch_size: int) -> int:
    """Return the number of batches in the training set."""
    return math.ceil(len(data.x_train) / batch_size)


def compile_kernels(data: Data, blas: Blas, arguments: argparse.Namespace) -> float:
    """Train on a few samples, so that nothing is compiled while time is taken."""
    start = time.perf_counter()
    few = data.first(2000, 2000)
    for make in OPTIMIZERS.values():
        run = Run(few, make, "numba", blas, arguments)
        run.advance(steps_per_epoch(few, run.batch_size))
        run.accuracy()
    return time.perf_counter() - start


def compare(name: str, data: Data, blas: Blas, arguments: argparse.Namespace, bar: tqdm) -> Result:
    """Train a network both ways in turns, so that noise meets both alike."""
    per_epoch = steps_per_epoch(data, arguments.batch_size)
    total = per_epoch * arguments.epochs

    def run(backend: str) -> Run:
        return Run(data, OPTIMIZERS[name], backend, blas, arguments)

    bar.set_postfix_str(f"{name}: how many threads are NumPy's best?")
    trial = run("numpy")
    best = best_threads(
        lambda number: trial.advance(TRIAL, number),
        blas.choices,
        min(TRIAL_SECONDS, arguments.seconds),
    )
    ours, numpy = run("numba"), run("numpy")
    ends = ends_of_turns(total, best.time)

    def turn(run: Run, threads: int | None) -> float:
        bar.set_postfix_str(f"{name} on {'NumPy' if run is numpy else 'fastnn'}", refresh=False)
        return run.advance(next(end for end in ends if end > run.steps) - run.steps, threads)

    def numpy_turn() -> float:
        before = numpy.steps
        seconds = turn(numpy, best.threads)
        bar.update(numpy.steps - before)
        return seconds

    turns = {"fastnn": lambda: turn(ours, None), "numpy": numpy_turn}
    times = in_turns(turns, len(ends), arguments.seconds)
    result = {
        "epoch": tuple(times.median(each) * per_epoch for each in turns),
        "threads": best.threads,
        "ratio": Spread.of(times, "numpy", "fastnn"),
        "accuracy": (ours.accuracy(), numpy.accuracy(best.threads)),
        "steps": numpy.steps,
    }
    if ours.steps < total:
        bar.set_postfix_str(f"{name}: what is left, on fastnn alone")
        ours.advance(total - ours.steps)
        bar.update(total - numpy.steps)
    return Result(**result, final=ours.accuracy(), losses=ours.history.step_losses)


def ends_of_turns(total: int, seconds: float) -> list[int]:
    """Return after which steps turns end where NumPy takes so many seconds for a step."""
    longest = max(1, min(total / ROUNDS, TURN / seconds))
    turns = math.ceil(total / longest)
    return [total * turn // turns for turn in range(1, turns + 1)]


def table(results: dict[str, Result], total: int) -> str:
    """Return the results as text; a star marks what was stopped before the last of all steps."""
    lines = [
        "           seconds per epoch  NumPy's     NumPy / fastnn     test accuracy after",
        f"optimizer   fastnn    NumPy  threads {SPREAD_HEAD}    fastnn  NumPy  steps",
    ]
    for name, found in results.items():
        lines.append(
            f"{name:9} {found.epoch[0]:8.3f} {found.epoch[1]:8.3f} {found.threads or '?':>8} "
            f"{found.ratio} {found.accuracy[0]:9.4f} {found.accuracy[1]:6.4f} {found.steps:6}"
            + ("*" if found.steps < total else "")
        )
    return "\n".join(lines)


def conclusions(results: dict[str, Result], total: int, seconds: float) -> str:
    """Return what the numbers say."""
    ratios = {name: found.ratio.median for name, found in results.items()}
    least, most = min(ratios, key=ratios.get), max(ratios, key=ratios.get)
    apart = max(abs(ours - numpy) for ours, numpy in (each.accuracy for each in results.values()))
    said = [
        text(
            f"In these rounds NumPy took {ratios[least]:.1f} ({least}) to {ratios[most]:.1f} "
            f"({most}) times as long as fastnn for the same steps. Both began from the same "
            "initial values and saw the same batches: after as many steps their accuracies are at "
            f"most {apart:.4f} apart."
        )
    ]
    stopped = [name for name, found in results.items() if found.steps < total]
    if stopped:
        finals = ", ".join(f"{name} {results[name].final:.4f}" for name in stopped)
        said.append(
            text(
                f"* NumPy was stopped after {seconds:g} s (--seconds gives it more): both "
                "accuracies of the row are those after the steps that it had done by then. After "
                f"all {total} steps, which NumPy did not do, fastnn has: {finals}."
            )
        )
    return "\n\n".join(said)


def draw(results: dict[str, Result]) -> plt.Figure:
    """Return a figure of the smoothed training losses of the runs on the compiled kernels."""
    figure, axes = plt.subplots(figsize=(8.4, 6), layout="constrained")
    for name, found in results.items():
        loss = smooth_curve(found.losses)
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


def parse_arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    options = parser(__doc__)
    options.add_argument(
        "--epochs", type=count, help="passes over the training set (default: 3, with --full 15)"
    )
    options.add_argument("--batch-size", type=count, default=128, help="samples per step")
    options.add_argument(
        "--seconds", type=positive,
        help="when to stop an optimizer's turns on NumPy (default: after 10, with --full 120)",
    )  # fmt: skip
    arguments = options.parse_args()
    arguments.epochs = arguments.epochs or (15 if arguments.full else 3)
    arguments.seconds = arguments.seconds or (120 if arguments.full else 10)
    return arguments


def main() -> None:
    """Run the comparison."""
    arguments = parse_arguments()
    data, blas = load(arguments), Blas()
    print("getting kernels ready: a new machine compiles them, for a minute or two", flush=True)
    seconds = compile_kernels(data, blas, arguments)
    print(f"ready after {seconds:.1f} s, which are in none of the times below")
    total = steps_per_epoch(data, arguments.batch_size) * arguments.epochs
    print(
        f"training by {len(OPTIMIZERS)} optimizers on fastnn and on NumPy, "
        f"{arguments.epochs} epochs of {total // arguments.epochs} steps;\n"
        f"the two take turns; after {arguments.seconds:g} s of an optimizer fastnn goes on alone",
        flush=True,
    )
    watch, results = Watch(), {}
    with tqdm(total=len(OPTIMIZERS) * total, unit=" steps", leave=False) as bar:
        for name in OPTIMIZERS:
            results[name] = compare(name, data, blas, arguments, bar)
    busy = watch.verdict({name: found.ratio for name, found in results.items()})
    threads = fastnn.get_num_threads()
    print(
        f"\n784-100-100-100-100-10, batch {arguments.batch_size}, float32; fastnn on "
        f"{counted(threads, 'thread')}, {vector_bits()}-bit vectors;\n"
        f"NumPy's BLAS on {blas};\n"
        "times and ratios are medians over rounds in which both take the same steps\n"
    )
    print(f"{table(results, total)}\n")
    print(f"{conclusions(results, total, arguments.seconds)}\n")
    if busy:
        print(f"{text(busy)}\n")
    save(draw(results), arguments, "optimizers_mnist.png")


if __name__ == "__main__":
    main()
