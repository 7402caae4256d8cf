"""Babysit four trainings on MNIST: a healthy one, and three that are sick.

A network 784-100-100-100-100-10 with ReLU is trained by Nesterov's momentum, once with a good
learning rate and He's initial values, and then with one thing changed: a rate too high, a rate too
low, initial values with standard deviation 0.01. A monitor measures updates, activations,
gradients and dead units while they train; the verdict on each is printed, and a dashboard saved.
A last picture has the loss at four rates. After "Babysitting the learning process" of the CS231n
notes ("Neural networks 3").
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from _common import Data, count, listed, load, parser, save, text
from tqdm import tqdm

from fastnn import MultiLayerNet, callbacks, optimizers
from fastnn.diagnostics import Monitor, Verdict, dashboard
from fastnn.fit import History

BATCH = 100
USUAL = 1e-3  # of the weights, for updates
PROBE = 300  # samples on which layers are measured


class Settings(NamedTuple):
    """What the trainings differ in, and the sickness that it should bring."""

    rate: float = 0.01
    weights: float | str = "he"
    sickness: str | None = None


class Run(NamedTuple):
    """A training and what was measured of it."""

    network: MultiLayerNet
    history: History
    monitor: Monitor


RUNS = {
    "healthy": Settings(),
    "rate too high": Settings(rate=0.3, sickness="learning rate too high"),
    "rate too low": Settings(rate=3e-5, sickness="learning rate too low"),
    "bad init": Settings(weights=0.01, sickness="bad initial values"),
}
HIGH = Settings(rate=0.2)  # not so high that it does not learn
# The curves of the notes' drawing: name, settings, color there.
CURVES = [
    ("low", RUNS["rate too low"], "tab:blue"),
    ("good", RUNS["healthy"], "tab:red"),
    ("high", HIGH, "tab:green"),
    ("very high", RUNS["rate too high"], "goldenrod"),
]


class Bar(callbacks.Callback):
    """Moves a progress bar on by an epoch."""

    def __init__(self, bar: tqdm) -> None:
        self.bar = bar

    def on_epoch_end(self, epoch: int) -> None:
        """Move on."""
        self.bar.update()


def train(data: Data, settings: Settings, arguments: argparse.Namespace, bar: tqdm) -> Run:
    """Train a network, measured by a monitor."""
    network = MultiLayerNet(
        784, [100] * 4, 10, weight_init_std=settings.weights, weight_decay_lambda=0.003,
        seed=arguments.seed,
    )  # fmt: skip
    steps = arguments.epochs * -(-len(data.x_train) // BATCH)
    monitor = Monitor(data.x_train[:PROBE], data.t_train[:PROBE], every=max(1, steps // 30))
    history = network.fit(
        data.x_train, data.t_train, arguments.epochs, BATCH, optimizers.Nesterov(settings.rate),
        validation=(data.x_test, data.t_test), callbacks=[monitor, Bar(bar)], verbose=False,
        seed=arguments.seed,
    )  # fmt: skip
    return Run(network, history, monitor)


def table(verdicts: dict[str, Verdict], runs: dict[Settings, Run]) -> str:
    """Return the results as text."""
    lines = ["training        rate  initial   update/weight  last loss  accuracy  verdict"]
    for name, verdict in verdicts.items():
        settings = RUNS[name]
        history = runs[settings].history
        lines.append(
            f"{name:14} {settings.rate:5g}  {settings.weights!s:8} {updates(runs[settings]):14.1e} "
            f"{history.loss[-1]:10.3f} {history.val_accuracy[-1]:9.3f}  "
            + (", ".join(verdict.sicknesses) or "healthy")
        )
    return "\n".join(lines)


def updates(run: Run) -> float:
    """Return the size of updates beside that of the weights, in the middle of all."""
    return float(np.nanmedian([run.monitor.ratios[f"W{i}"] for i in range(1, 6)]))


def conclusions(found: dict[str, list[str]], ratios: dict[str, float]) -> str:
    """Return which sicknesses were named, and whose updates are of the usual size."""
    said, missed = [], []
    for name, sicknesses in found.items():
        expected = RUNS[name].sickness
        if expected is None and sicknesses:
            said.append(f"The {name} training is called sick, too: {listed(sicknesses)}.")
        elif expected is not None and expected not in sicknesses:
            missed.append(name)
    if missed:
        said.append(f"Not named after this training: the sickness of {listed(missed)}.")
    else:
        said.append("Each sickness was named.")
    nearest = min(ratios, key=lambda name: abs(math.log(max(ratios[name], 1e-300) / USUAL)))
    said.append(
        f"Nearest to the notes' {USUAL:.0e} of the weights are the updates of {nearest}, "
        f"{ratios[nearest]:.1e}."
    )
    return text(*said)


def plot_rates(runs: dict[Settings, Run]) -> plt.Figure:
    """Draw the loss at four learning rates, each point a mean over some steps."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name, settings, color in CURVES:
        history = runs[settings].history
        parts = np.array_split(history.step_losses, min(60, len(history.step_losses)))
        ends = np.cumsum([len(part) for part in parts]) / history.steps_per_epoch
        losses = [part.mean() for part in parts]
        axes.plot(ends, losses, color=color, lw=2, label=f"{name} ({settings.rate:g})")
    axes.set(
        xlabel="epoch", ylabel="training loss", ylim=(0, 3),
        title="Loss at four learning rates (784-100x4-10, Nesterov)",
    )  # fmt: skip
    axes.legend(title="learning rate", loc="center right", bbox_to_anchor=(1, 0.36))
    return figure


def parse_arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    options = parser(__doc__)
    options.add_argument(
        "--epochs", type=count, default=argparse.SUPPRESS,
        help="passes over the training set (default: 5, with --full 20)",
    )  # fmt: skip
    options.add_argument(
        "--samples", type=count, default=60_000, help="train on the first so many images"
    )
    arguments = options.parse_args()
    arguments.epochs = getattr(arguments, "epochs", 20 if arguments.full else 5)
    return arguments


def main() -> None:
    """Run the trainings."""
    arguments = parse_arguments()
    data = load(arguments).first(arguments.samples)
    settings = list(dict.fromkeys([*RUNS.values(), HIGH]))
    with tqdm(total=len(settings) * arguments.epochs, unit=" epochs", leave=False) as bar:
        runs = {each: train(data, each, arguments, bar) for each in settings}
    verdicts = {name: runs[each].monitor.report() for name, each in RUNS.items()}
    for name, verdict in verdicts.items():
        print(f"\n== {name}\n{verdict}")
    print(f"\n{table(verdicts, runs)}\n")
    for name, each in RUNS.items():
        network, history, monitor = runs[each]
        weights = "He" if each.weights == "he" else f"std {each.weights}"
        title = f"{name}: learning rate {each.rate:g}, initial weights {weights}"
        figure = dashboard(history, monitor, network, title=title)
        save(figure, arguments, f"babysitting_{name.replace(' ', '_')}.png")
    save(plot_rates(runs), arguments, "babysitting_rates.png")
    found = {name: verdict.sicknesses for name, verdict in verdicts.items()}
    print(f"\n{conclusions(found, {name: updates(runs[each]) for name, each in RUNS.items()})}")
    print(
        "\nWhere to look in the pictures: does the loss explode, stay where it was or fall in a\n"
        "straight line? Did units die? Do activations and gradients shrink from layer to layer?\n"
        "Are there strokes in the first weights?"
    )


if __name__ == "__main__":
    main()
