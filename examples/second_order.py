"""L-BFGS and Newton's method against SGD and Adam, on MNIST.

From the CS231n notes, "Neural networks 3: learning", second order methods. A network 784-30-10 is
trained on a few thousand images: by L-BFGS, whose every step is on all of them, and by SGD and
Adam on mini-batches of 100. The training loss is shown by passes over the images and by seconds.
Newton's method needs the whole Hessian, and so gets a problem with 110 parameters: softmax
regression on the first ten principal components, against gradient descent.
"""

from __future__ import annotations

import argparse
import math
from itertools import accumulate, pairwise

import numpy as np
from _common import Data, count, load, parser, plt, save, text
from _timing import Watch
from tqdm import tqdm

from fastnn import MultiLayerNet, optimizers
from fastnn.second_order import lbfgs, newton

# Near the largest rates that work: SGD at 1 and Adam at 0.05 end at losses above 0.05.
FIRST_ORDER = {
    "SGD": lambda: optimizers.SGD(lr=0.5),
    "Adam": lambda: optimizers.Adam(lr=0.01),
}
COMPONENTS, STEPS = 10, 60
# Losses above the minimum between which steps are near it and not yet rounding errors.
NEAR, ROUNDED = 0.03, 1e-13
STYLE = {
    "L-BFGS": ("tab:red", "o"),
    "SGD": ("tab:blue", "s"),
    "Adam": ("tab:green", "D"),
    "Newton": ("tab:purple", "*"),
    "gradient descent": ("tab:blue", "s"),
}


def arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    options = parser(__doc__)
    unset = {"type": count, "default": argparse.SUPPRESS}
    options.add_argument("--images", help="for training (default: 3000; full: 20000)", **unset)
    options.add_argument("--passes", help="over the images (default: 120; full: 400)", **unset)
    full = options.parse_known_args()[0].full
    options.set_defaults(images=20000 if full else 3000, passes=400 if full else 120)
    return options.parse_args()


def train(data: Data, passes: int, seed: int) -> dict[str, dict]:
    """Train the network by each method; return losses at passes and seconds, and accuracy."""
    x, t = data.x_train, data.t_train
    runs = {}

    def network() -> MultiLayerNet:
        return MultiLayerNet(784, [30], 10, dtype="float64", seed=seed)

    # Kernels are compiled or loaded at their first use: not in what is timed.
    lbfgs(network(), x, t, 2, verbose=False)
    for make in FIRST_ORDER.values():
        network().fit(x, t, 1, 100, make(), validation=(x, t), seed=seed, verbose=False)
    net = network()
    result = lbfgs(net, x, t, passes, evaluations=passes, gtol=0, ftol=0)
    runs["L-BFGS"] = {
        "pass": result.evaluations,
        "loss": result.loss,
        "seconds": result.seconds,
        "accuracy": net.accuracy(data.x_test, data.t_test),
    }
    for name, make in tqdm(FIRST_ORDER.items(), leave=False):
        net = network()
        # The loss at the end of each epoch, on the images that it is trained on.
        history = net.fit(
            x, t, passes, 100, make(), validation=(x, t), seed=seed, verbose=False
        )  # fmt: skip
        runs[name] = {
            "pass": range(1, passes + 1),
            "loss": history.val_loss,
            "seconds": list(accumulate(history.seconds)),
            "accuracy": net.accuracy(data.x_test, data.t_test),
        }
    return runs


def regress(data: Data, seed: int) -> dict[str, list[float]]:
    """Return how far above the minimum the loss of softmax regression is, step by step."""
    centred = data.x_train.astype(np.float64) - data.x_train.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    x, t = centred @ directions[:, -COMPONENTS:], data.t_train

    def network() -> MultiLayerNet:
        return MultiLayerNet(COMPONENTS, [], 10, weight_init_std=0, dtype="float64", seed=seed)

    losses = {"Newton": newton(network(), x, t, 12, gtol=1e-12).loss}
    losses["L-BFGS"] = lbfgs(network(), x, t, STEPS, gtol=0, ftol=0, verbose=False).loss
    descents = []
    for lr in (0.1, 0.3, 0.5, 1, 3):
        history = network().fit(
            x, t, STEPS + 1, len(x), optimizers.SGD(lr=lr), seed=seed, verbose=False
        )  # fmt: skip
        descents.append(history.loss)  # each before the step of its epoch
    losses["gradient descent"] = min(descents, key=lambda loss: loss[-1])
    lowest = min(min(loss) for loss in losses.values())
    return {name: [value - lowest for value in loss] for name, loss in losses.items()}


def loss_at(run: dict, mark: int) -> float:
    """Return the last loss that a run had after so many passes."""
    return run["loss"][max((i for i, p in enumerate(run["pass"]) if p <= mark), default=0)]


def conclusions(runs: dict[str, dict], marks: list[int]) -> str:
    """Return what losses and accuracies say of L-BFGS beside the others."""
    said = []
    for mark in dict.fromkeys((marks[0], marks[-1])):
        losses = {name: loss_at(run, mark) for name, run in runs.items()}
        best = min(losses, key=losses.__getitem__)
        said.append(f"After {mark} passes {best} has the lowest training loss.")
    for name in FIRST_ORDER:
        behind = [
            mark
            for mark in range(1, marks[-1] + 1)
            if loss_at(runs["L-BFGS"], mark) >= loss_at(runs[name], mark)
        ]
        if not behind:
            said.append(f"L-BFGS is ahead of {name} from the first pass on.")
        elif behind[-1] == marks[-1]:
            said.append(f"L-BFGS does not overtake {name}.")
        else:
            said.append(f"L-BFGS overtakes {name} for good after {behind[-1] + 1} passes.")
    accuracies = {name: run["accuracy"] for name, run in runs.items()}
    best = max(accuracies, key=accuracies.__getitem__)
    lowest = min(runs, key=lambda name: runs[name]["loss"][-1])
    said.append(
        f"On the test images {best} is best"
        + (": the lowest training loss is not what they ask for." if best != lowest else ", too.")
    )
    return text(*said)


def conclusions_on_newton(regressions: dict[str, list[float]]) -> str:
    """Return how many digits a step of Newton's method wins, by the losses above the minimum."""
    above = [value for value in regressions["Newton"] if ROUNDED < value < NEAR]
    growth = [math.log(after) / math.log(before) for before, after in pairwise(above)]
    if not growth:
        return "Newton's method took too few steps near the minimum to count its digits."
    return (
        "Near the minimum a step of Newton's method multiplies the number of right digits by up "
        f"to {max(growth):.1f} (2 in the limit), without a learning rate."
    )


def print_tables(runs: dict[str, dict], regressions: dict[str, list[float]], passes: int) -> None:
    """Print the results."""
    marks = sorted({max(1, passes // part) for part in (12, 6, 3, 2, 1)})
    print(f"\n784-30-10, training loss after passes over the images\n\n{'passes':10}", end="")
    print("".join(f"{mark:10}" for mark in marks), "  seconds   test accuracy")
    for name, run in runs.items():
        losses = [f"{loss_at(run, mark):10.2g}" for mark in marks]
        seconds, accuracy = run["seconds"][-1], run["accuracy"]
        print(f"{name:10}{''.join(losses)}{seconds:10.1f}{accuracy:16.4f}")
    print(f"\n{conclusions(runs, marks)}")
    print("\nSoftmax regression, 110 parameters: loss above the minimum after steps\n")
    print(f"{'steps':18}" + "".join(f"{step:9}" for step in range(9)))
    for name, above in regressions.items():
        print(f"{name:18}" + "".join(f"{value:9.1e}" for value in above[:9]))
    ours, million = (f"{8 * p**2 / 2**30:,.1f} GiB" for p in (784 * 30 + 30 + 30 * 10 + 10, 10**6))
    print(
        "\n"
        + text(
            conclusions_on_newton(regressions),
            "But each step costs 220 gradients, for the Hessian; that of 784-30-10 would take "
            f"{ours}, and that of a million parameters {million}, or in single precision "
            f"{4e12 / 2**30:,.0f} GiB, as the notes say.",
        )
        + "\n"
    )


def plot(runs: dict[str, dict], regressions: dict[str, list[float]]) -> plt.Figure:
    """Return the curves."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    for ax, key, label in zip(
        axes[:2], ("pass", "seconds"), ("passes over the images", "seconds"), strict=True
    ):
        for name, run in runs.items():
            color, marker = STYLE[name]
            every = max(1, len(run["loss"]) // 8)
            ax.semilogy(
                run[key], run["loss"], color=color, marker=marker, markersize=5,
                markevery=every, label=name,
            )  # fmt: skip
        ax.set(xlabel=label, ylabel="training loss", title="784-30-10, by " + label.split()[0])
        ax.set_ylim(1e-8, 5)
    axes[0].legend()
    for name, above in regressions.items():
        color, marker = STYLE[name]
        every = 1 if name == "Newton" else max(1, len(above) // 8)
        axes[2].semilogy(above, color=color, marker=marker, markevery=every, label=name)
    axes[2].set(
        xlabel="steps",
        ylabel="loss above the minimum",
        title="softmax regression, 110 parameters",
        ylim=(1e-12, 10),
    )
    axes[2].legend()
    return figure


def main() -> None:
    """Run the comparison."""
    given = arguments()
    data = load(given).first(given.images)
    watch = Watch()
    runs = train(data, given.passes, given.seed)
    busy = watch.verdict({})
    regressions = regress(data, given.seed)
    print_tables(runs, regressions, given.passes)
    if busy:
        print(f"{text(busy)}\n")
    save(plot(runs, regressions), given, "second_order.png")


if __name__ == "__main__":
    main()
