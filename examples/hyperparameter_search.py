"""Search a learning rate and a weight decay by random trials, and narrow their ranges.

500 images of MNIST, a fifth of them for validation, six hidden layers of 100, SGD; learning rates
from 1e-6 to 1e-2 and weight decays from 1e-8 to 1e-4, both on logarithmic scales: the experiment
of *Deep Learning from Scratch*, section 6.5.3. Two more searches go on about the best trials,
beyond the border of a range where these lie at it, and with bad ones ended early, as the CS231n
notes ("Neural networks 3", hyper-parameter optimization) advise. To share the work, give --storage
and start the script several times, with FASTNN_NUM_THREADS=1 each.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
from _common import Data, count, load, parser, plt, save
from matplotlib.patches import Rectangle

from fastnn import MultiLayerNet, optimizers
from fastnn.ensembles import Ensemble
from fastnn.search import (
    BorderWarning,
    FinishedTrial,
    Log,
    SearchResult,
    Stage,
    Trial,
    coarse_to_fine,
)

RANGES = {"lr": Log(1e-6, 1e-2), "weight decay": Log(1e-8, 1e-4)}
IMAGES, HELD_OUT = 500, 0.2
COLOURS = ("black", "tab:orange", "tab:red")  # of the three searches
SHOWN = 20  # of the first search's trials


def parse_arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    options = parser(__doc__)
    options.add_argument("--trials", type=count, default=100, help="of the first search")
    options.add_argument("--epochs", type=count, default=50, help="of a trial")
    options.add_argument(
        "--storage", type=Path, help="file to keep trials in: the next run goes on from there"
    )
    return options.parse_args()


def train(data: Data, values, seed: int, epochs: int, callbacks=()) -> MultiLayerNet:
    """Return a network trained with these values on what is not held out."""
    network = MultiLayerNet(
        784, [100] * 6, 10, weight_decay_lambda=values["weight decay"], seed=seed
    )
    network.fit(
        data.x_train, data.t_train, epochs, 100, optimizers.SGD(values["lr"]),
        validation=HELD_OUT, callbacks=callbacks, verbose=False, seed=seed,
    )  # fmt: skip
    return network


def search(data: Data, arguments: argparse.Namespace) -> list[SearchResult]:
    """Run three searches, each about the best trials of the one before."""

    def run(trial: Trial) -> None:
        train(data, trial, trial.number, trial.epochs, [trial])

    chapter = Stage(arguments.trials, arguments.epochs, pruner=None)
    finer = Stage(max(1, arguments.trials * 3 // 10), arguments.epochs)
    if arguments.full:
        finer = Stage(arguments.trials, 2 * arguments.epochs, sampler="tpe")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BorderWarning)  # what is printed says it too
        return coarse_to_fine(
            run,
            RANGES,
            [chapter, finer, finer],
            seed=arguments.seed,
            storage=arguments.storage,
        )


def report(data: Data, results: list[SearchResult]) -> None:
    """Print what was found, and try the first and the last search's best on test images."""
    print("\nranges, narrowed from search to search:")
    for result in results:
        print(f"  {result.name}:", ", ".join(f"{k} {v!r}" for k, v in result.ranges.items()))
    epochs = [sum(trial.epochs for trial in result) for result in results]
    longest = [len(result) * max(trial.epochs for trial in result) for result in results]
    print(f"epochs trained: {sum(epochs)}, instead of {sum(longest)} without early ends")
    print("trained with five other seeds, on test images, which the search has not seen:")
    for result in (results[0], results[-1]):
        best = result.best
        scores = [
            train(data, best, 1000 + seed, best.epochs).accuracy(data.x_test, data.t_test)
            for seed in range(5)
        ]
        print(f"  {result.name}'s best: accuracy {np.mean(scores):.3f} +- {np.std(scores):.3f}")
    top = results[-1].top(5)
    # The seed of a trial is its number, so that these are the search's own networks.
    ensemble = Ensemble(train(data, trial, trial.number, trial.epochs) for trial in top)
    accuracy = ensemble.accuracy(data.x_test, data.t_test)
    print(f"  an ensemble of {results[-1].name}'s best {len(top)}: accuracy {accuracy:.3f}")


def panel(result: SearchResult) -> plt.Figure:
    """Return the curves of the best trials, each in its own axes."""
    figure, axes = plt.subplots(
        4, SHOWN // 4, figsize=(8, 6), sharex=True, sharey=True, layout="constrained"
    )
    top = result.top(SHOWN)
    for i, ax in enumerate(axes.flat):
        if i >= len(top):
            ax.axis("off")
            continue
        ax.grid(visible=False)
        curves, epochs = top[i].curves, np.arange(1, top[i].epochs + 1)
        ax.plot(epochs, curves["val_accuracy"], label="validation")
        ax.plot(epochs, curves["accuracy"], "--", label="training")
        ax.set(title=f"Best-{i + 1} (lr {top[i]['lr']:#.2g})", ylim=(0, 1), yticks=(0, 0.5, 1))
    axes[0, 0].legend(loc="lower right")
    figure.suptitle(f"The best {SHOWN} of {len(result)} random trials")
    figure.supxlabel("epochs")
    figure.supylabel("accuracy")
    return figure


def map_of_trials(results: list[SearchResult]) -> plt.Figure:
    """Return all trials over their values, and the ranges of each search as rectangles."""
    figure, ax = plt.subplots(figsize=(9, 5.5), layout="constrained")
    for result, colour, marker in zip(results, COLOURS, "os^", strict=True):
        low, high = ([getattr(r, end) for r in result.ranges.values()] for end in ("low", "high"))
        ax.add_patch(Rectangle(low, *np.subtract(high, low), fill=False, color=colour, lw=2))
        whole = [trial for trial in result if trial.state == "complete"]
        early = [trial for trial in result if trial.state != "complete"]
        points = ax.scatter(
            *places(whole), c=[trial.value for trial in whole], marker=marker,
            edgecolors=colour, vmin=0, vmax=1, label=result.name,
        )  # fmt: skip
        if early:
            label = f"{result.name}, ended early"
            ax.scatter(*places(early), s=14, color=colour, marker="x", lw=1, label=label)
    figure.colorbar(points, label="validation accuracy at the last epoch")
    ax.set(
        xscale="log", yscale="log", xlabel="learning rate", ylabel="weight decay",
        title="From coarse to fine: each search is about the best of the one before",
    )  # fmt: skip
    figure.legend(loc="outside lower center", ncols=5)
    return figure


def places(trials: list[FinishedTrial]) -> tuple[list[float], list[float]]:
    """Return learning rates and weight decays."""
    return [trial["lr"] for trial in trials], [trial["weight decay"] for trial in trials]


def main() -> None:
    """Search, print and draw."""
    arguments = parse_arguments()
    data = load(arguments).first(IMAGES)
    order = np.random.default_rng(arguments.seed).permutation(len(data.x_train))
    data = data._replace(x_train=data.x_train[order], t_train=data.t_train[order])
    results = search(data, arguments)
    report(data, results)
    save(panel(results[0]), arguments, "hyperparameter_search.png")
    save(map_of_trials(results), arguments, "hyperparameter_ranges.png")


if __name__ == "__main__":
    main()
