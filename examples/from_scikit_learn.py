"""scikit-learn's MLPClassifier and fastnn's, on a table that scikit-learn ships.

The table has 1,797 digits, 64 numbers each (Alpaydin and Kaynak, 1998). The same script runs with
either class: only the import differs. With dtype="float64" the losses are the same, epoch by epoch,
as far as rounding lets them; the default, float32, is as good and faster. Then what scikit-learn's
does not have: dropout, batch normalisation, and the loss on held out digits after each epoch.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from typing import Any

import numpy as np
from _common import count, parser, plt, save, text
from _timing import SETTLE, Blas, Watch, best_threads, in_turns
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier as Theirs

from fastnn._bench.timing import Clock, until_idle
from fastnn.sklearn import MLPClassifier

SIDES = {
    "scikit-learn": (Theirs, {}),
    "fastnn, float64": (MLPClassifier, {"dtype": "float64"}),
    "fastnn": (MLPClassifier, {}),
}
EXTRAS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "dropout": {"dropout": 0.3},
    "batch norm.": {"batch_norm": True},
}
COLORS = "tab:orange", "tab:blue", "tab:green"


def arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    options = parser(__doc__)
    unset = {"type": count, "default": argparse.SUPPRESS}
    options.add_argument("--epochs", help="of each training (default: 60; full: 300)", **unset)
    options.set_defaults(epochs=300 if options.parse_known_args()[0].full else 60)
    return options.parse_args()


def compare(split: list[np.ndarray], epochs: int, seed: int) -> dict[str, dict]:
    """Fit each class; return losses, seconds and accuracy."""
    X, X_test, y, y_test = split
    settings = {"max_iter": epochs, "n_iter_no_change": math.inf, "random_state": seed}
    models = {name: kind(**settings, **more) for name, (kind, more) in SIDES.items()}
    blas = Blas()

    def fit(name: str, threads: int | None) -> float:
        # The samples have the dtype that is computed with.
        given = X.astype(np.float32) if name == "fastnn" else X
        with blas.threads(threads):
            until_idle(SETTLE, Clock())
            start = time.perf_counter()
            models[name].fit(given, y)
            return time.perf_counter() - start

    for name in models:  # kernels are compiled or loaded at their first use
        fit(name, 1)
    best = best_threads(lambda threads: fit("scikit-learn", threads), blas.choices, 4)
    turns = {name: lambda name=name: fit(name, best.threads) for name in models}
    times = in_turns(turns, 10, 6)
    return {
        name: {
            "loss": model.loss_curve_,
            "seconds": times.minimum(name),
            "accuracy": model.score(X_test, y_test),
        }
        for name, model in models.items()
    }


def extend(split: list[np.ndarray], epochs: int, seed: int) -> dict[str, dict]:
    """Return the losses on held out digits with what scikit-learn's class does not have."""
    X, X_test, y, y_test = split
    runs = {}
    for name, more in EXTRAS.items():
        model = MLPClassifier(
            max_iter=epochs, n_iter_no_change=math.inf, random_state=seed,
            learning_rate_init=0.005, **more,
        )  # fmt: skip
        model.fit(X, y, eval_set=(X_test, y_test))
        accuracy = model.score(X_test, y_test)
        runs[name] = {"loss": model.validation_loss_curve_, "accuracy": accuracy}
    return runs


def apart(runs: dict[str, dict], name: str) -> float:
    """Return how far losses are from scikit-learn's, relatively, at most."""
    expected = np.array(runs["scikit-learn"]["loss"])
    return float(np.abs(np.array(runs[name]["loss"]) / expected - 1).max())


def print_tables(runs: dict[str, dict], extended: dict[str, dict]) -> None:
    """Print the results."""
    print(f"\n{'':18}{'seconds':>10}{'last loss':>13}{'from scikit-learn':>20}{'accuracy':>11}")
    for name, run in runs.items():
        far = f"{apart(runs, name):20.1e}" if name != "scikit-learn" else f"{'':20}"
        last = f"{run['loss'][-1]:13.8f}"
        print(f"{name:18}{run['seconds']:10.3f}{last}{far}{run['accuracy']:11.4f}")
    ratio = runs["scikit-learn"]["seconds"] / runs["fastnn"]["seconds"]
    said = text(
        f"In float64 no loss of {len(runs['fastnn']['loss'])} epochs is further from "
        f"scikit-learn's than {apart(runs, 'fastnn, float64'):.0e} of it. By default fastnn takes "
        f"1/{ratio:.1f} of scikit-learn's time."
    )
    print(f"\n{said}\n\n{'held out':18}{'lowest loss':>12}{'in epoch':>10}{'accuracy':>10}")
    for name, run in extended.items():
        best = int(np.argmin(run["loss"]))
        print(f"{name:18}{run['loss'][best]:12.4f}{best + 1:10}{run['accuracy']:10.4f}")
    lowest = min(extended, key=lambda name: min(extended[name]["loss"]))
    print(f"\n{text(f'The lowest loss on held out digits: {lowest}')}\n")


def plot(runs: dict[str, dict], extended: dict[str, dict]) -> plt.Figure:
    """Return the curves, and bars of the seconds."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    styles = {"linewidth": 5, "alpha": 0.4}, {"linewidth": 1.5}, {"linestyle": ":"}
    for (name, run), color, style in zip(runs.items(), COLORS, styles, strict=True):
        axes[0].semilogy(run["loss"], color=color, label=name, **style)
    axes[0].set(xlabel="epochs", ylabel="training loss", title="the same curve")
    axes[0].legend()
    seconds = [run["seconds"] for run in runs.values()]
    bars = axes[1].bar(list(runs), seconds, color=COLORS)
    axes[1].bar_label(bars, fmt="%.2f s")
    axes[1].set(ylabel="seconds", title="the time of a fit")
    for (name, run), color in zip(extended.items(), COLORS, strict=True):
        axes[2].semilogy(run["loss"], color=color, label=name)
    axes[2].set(xlabel="epochs", ylabel="loss", title="on held out digits")
    axes[2].legend()
    return figure


def main() -> None:
    """Run the comparison."""
    given = arguments()
    X, y = load_digits(return_X_y=True)
    split = train_test_split(X / 16, y, test_size=0.25, stratify=y, random_state=given.seed)
    warnings.simplefilter("ignore", ConvergenceWarning)  # all take the same epochs
    watch = Watch()
    runs = compare(split, given.epochs, given.seed)
    busy = watch.verdict({})
    extended = extend(split, given.epochs, given.seed)
    print_tables(runs, extended)
    if busy:
        print(f"{text(busy)}\n")
    save(plot(runs, extended), given, "from_scikit_learn.png")


if __name__ == "__main__":
    main()
