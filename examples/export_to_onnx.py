"""Hand a trained network to a program that knows nothing of this library: as an ONNX file.

A network 784-200-100-10 with batch normalisation and dropout learns MNIST, is written by
``network.to_onnx``, and runs in onnxruntime, which serves models in other languages and on other
machines. Printed are the accuracies of both on the test images, how far their probabilities are
apart, and what a call takes in each on one thread, from one image to a thousand. The picture shows
both.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from _common import Data, count, load, parser, plt, save, text

from fastnn import Network, ops, set_num_threads
from fastnn.layers import Affine, BatchNormalization, Dropout, Relu

BATCHES = 1, 10, 100, 1000
EPS = np.finfo(np.float32).eps


def arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    options = parser(__doc__)
    options.add_argument(
        "--epochs", type=count, default=argparse.SUPPRESS, help="(default: 5; full: 20)"
    )
    options.add_argument("--rounds", type=count, default=30, help="of each call that is timed")
    options.set_defaults(epochs=20 if options.parse_known_args()[0].full else 5)
    return options.parse_args()


def train(data: Data, given: argparse.Namespace) -> Network:
    """Return a trained network."""
    network = Network(
        [
            Affine(200), BatchNormalization(), Relu(), Dropout(0.2),
            Affine(100), BatchNormalization(), Relu(), Dropout(0.2),
            Affine(10),
        ],
        input_size=784, seed=given.seed,
    )  # fmt: skip
    network.fit(data.x_train, data.t_train, given.epochs, 100, seed=given.seed, verbose=False)
    return network


def runner(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that gives the probabilities of images, by onnxruntime, from a file."""
    try:
        import onnxruntime
    except ImportError:
        raise SystemExit("this example needs onnxruntime: pip install onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(["probabilities"], {"images": x})[0]


def times(ways: dict[str, Callable], x: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Return the microseconds of a call with each number of images: the least, of many in turns."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for batch in BATCHES:
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(rounds):
            for name, way in ways.items():
                way(x[:batch])  # the other way has had the caches since
                start = time.perf_counter()
                way(x[:batch])
                taken[name].append((time.perf_counter() - start) * 1e6)
        for name, each in taken.items():
            found[name].append(min(each))
    return found


def table(accuracies: dict[str, float], microseconds: dict[str, list[float]]) -> str:
    """Return accuracies and times as text."""
    lines = [f"{'':12}{'test':>10}   microseconds of a call with so many images"]
    lines.append(f"{'':12}{'accuracy':>10}" + "".join(f"{batch:10}" for batch in BATCHES))
    for name, accuracy in accuracies.items():
        cells = "".join(f"{each:10.0f}" for each in microseconds[name])
        lines.append(f"{name:12}{accuracy:10.4f}{cells}")
    return "\n".join(lines)


def conclusions(apart: float, same: int, n: int, microseconds: dict[str, list[float]]) -> str:
    """Return what the numbers say."""
    ours, theirs = microseconds.values()
    faster = [
        f"{max(a, b) / min(a, b):.1f} times with {batch} ({'onnxruntime' if b < a else 'fastnn'})"
        for batch, a, b in zip(BATCHES, ours, theirs, strict=True)
    ]
    return text(
        f"Probabilities differ by {apart:.1e} at most, {apart / EPS:.0f} units of single "
        f"precision, and {same} of {n} images get the same class. The faster of both wins by "
        f"{', '.join(faster)}."
    )


def plot(differences: np.ndarray, microseconds: dict[str, list[float]]) -> plt.Figure:
    """Return both pictures."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    left.hist(differences.max(axis=1) / EPS, bins=40)
    left.set(
        xlabel="largest difference of a probability, in units of single precision",
        ylabel="test images",
        yscale="log",
        title="fastnn and onnxruntime agree",
    )
    for (name, each), style in zip(microseconds.items(), ("o-", "s--"), strict=True):
        right.loglog(BATCHES, each, style, label=name)
    right.set(xlabel="images of a call", ylabel="microseconds", title="784-200-100-10")
    right.legend()
    return figure


def main() -> None:
    """Train, export, run and compare."""
    given = arguments()
    data = load(given)
    network = train(data, given)
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / "mnist.onnx"
    try:
        network.to_onnx(path, softmax=True, input_name="images", output_name="probabilities")
    except ImportError as error:
        raise SystemExit(str(error)) from None
    print(f"file: {path.resolve()}, {path.stat().st_size:,} bytes")
    ways = {"fastnn": lambda x: ops.softmax(network.predict(x)), "onnxruntime": runner(path)}
    ours, theirs = (way(data.x_test) for way in ways.values())
    accuracies = {
        name: float(np.mean(p.argmax(axis=1) == data.t_test))
        for name, p in zip(ways, (ours, theirs), strict=True)
    }
    set_num_threads(1)
    microseconds = times(ways, data.x_test, given.rounds)
    print(f"\n{table(accuracies, microseconds)}\n")
    differences = np.abs(ours - theirs)
    same = int(np.sum(ours.argmax(axis=1) == theirs.argmax(axis=1)))
    print(conclusions(float(differences.max()), same, len(ours), microseconds) + "\n")
    save(plot(differences, microseconds), given, "export_to_onnx.png")


if __name__ == "__main__":
    main()
