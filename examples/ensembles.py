"""Ensembles of networks on MNIST, and one network that learns from an ensemble.

From the CS231n notes, "Neural networks 3: learning", model ensembles. Networks 784-100-100-10 are
trained from different initial values. Their averaged predictions are compared with those of
checkpoints of one run and with the moving average of the parameters. Then the ensemble is
distilled (Hinton, Vinyals and Dean, 2015): another network learns its softened probabilities, on
all training images, and on a few in place of their labels ("dark knowledge").
"""

from __future__ import annotations

import argparse
from itertools import combinations, islice

import numpy as np
from _common import Data, count, load, parser, plt, save
from tqdm import tqdm

from fastnn import MultiLayerNet
from fastnn.ensembles import Ensemble, Snapshots, averaged, distill

SIZES = 300, 1000, 3000, 10000  # of the training sets of students
TEMPERATURES = 1, 4
SUBSETS = 30  # ensembles of each size, at most


def arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    options = parser(__doc__)
    unset = {"type": count, "default": argparse.SUPPRESS}
    options.add_argument("--networks", help="how many are averaged (default: 5; full: 10)", **unset)
    options.add_argument("--epochs", help="for each of them (default: 6; full: 12)", **unset)
    options.add_argument("--steps", type=count, default=1200, help="of students with few images")
    full = options.parse_known_args()[0].full
    options.set_defaults(networks=10 if full else 5, epochs=12 if full else 6)
    return options.parse_args()


def network(seed: int) -> MultiLayerNet:
    """Return one network."""
    return MultiLayerNet(784, [100, 100], 10, seed=seed)


def train(data: Data, given: argparse.Namespace) -> tuple[list, list, list]:
    """Return trained networks, their checkpoints, and those of their moving averages."""
    networks, checkpoints, averages = [], [], []
    ema = 1 - 128 / len(data.x_train)  # over the last epoch, about
    for seed in tqdm(range(given.seed, given.seed + given.networks), unit=" networks"):
        net, snapshots = network(seed), Snapshots()
        history = net.fit(
            data.x_train, data.t_train, given.epochs, ema=ema, callbacks=[snapshots],
            seed=seed, verbose=False,
        )  # fmt: skip
        networks.append(net)
        checkpoints.append(snapshots.networks)
        averages.append(averaged(net, history.averages))
    return networks, checkpoints, averages


def teach(data: Data, teacher: Ensemble, given: argparse.Namespace) -> dict[str, dict[int, float]]:
    """Return accuracies of students that see few images, by their number."""
    curves: dict[str, dict[int, float]] = {"labels": {}}
    curves |= {f"soft targets, T = {T}": {} for T in TEMPERATURES}
    sizes = [size for size in SIZES if size <= len(data.x_train)]
    for size in tqdm(sizes, unit=" training sets"):
        x, t = data.x_train[:size], data.t_train[:size]
        settings = {
            "epochs": -(-given.steps * 50 // size), "batch_size": 50, "seed": given.seed,
            "verbose": False,
        }  # fmt: skip
        students = [network(given.seed + 1000) for _ in curves]
        students[0].fit(x, t, **settings)
        for student, T in zip(students[1:], TEMPERATURES, strict=True):
            distill(student, teacher, x, temperature=T, **settings)
        for curve, student in zip(curves.values(), students, strict=True):
            curve[size] = student.accuracy(data.x_test, data.t_test)
    return curves


def grown(networks: list, data: Data) -> list[list[float]]:
    """Return accuracies of ensembles of one network, of two, and so on: of some of each size."""
    return [
        [
            Ensemble(members).accuracy(data.x_test, data.t_test)
            for members in islice(combinations(networks, size), SUBSETS)
        ]
        for size in range(1, len(networks) + 1)
    ]


def print_tables(rows: dict[str, list], curves: dict[str, dict[int, float]], data: Data) -> None:
    """Print the results."""
    print("\n784-100-100-10              test accuracy   test loss")
    for name, models in rows.items():
        accuracy, loss = (
            np.mean([getattr(model, what)(data.x_test, data.t_test) for model in models])
            for what in ("accuracy", "loss")
        )
        print(f"{name:30}{accuracy:11.4f}{loss:12.4f}")
    print(
        "\nWhat to see: the average of different networks beats each of them, the more the more\n"
        "there are. Checkpoints and moving averages of one run cost nothing and bring less. The\n"
        "distilled network, one in place of all, keeps part of the gain.\n"
    )
    print("test accuracy of a student after so many images\n")
    print(f"{'it learns from':22}" + "".join(f"{size:9}" for size in next(iter(curves.values()))))
    for name, curve in curves.items():
        print(f"{name:22}" + "".join(f"{accuracy:9.4f}" for accuracy in curve.values()))
    print(
        "\nWhat to see: what the ensemble thinks of the wrong classes teaches more about a few\n"
        "images than their labels do, and a temperature above 1 brings it out.\n"
    )


def plot(
    members: list[list[float]],
    checkpoints: list[float],
    lines: dict[str, float],
    curves: dict[str, dict[int, float]],
    teacher: float,
) -> plt.Figure:
    """Return both pictures."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    sizes = range(1, len(members) + 1)
    left.plot(sizes, [np.mean(each) for each in members], "o-", label="different initial values")
    left.fill_between(sizes, [*map(min, members)], [*map(max, members)], alpha=0.15)
    left.plot(
        range(1, len(checkpoints) + 1), checkpoints, "s-", label="last checkpoints of one run"
    )
    for (name, accuracy), (color, style) in zip(
        lines.items(), (("tab:green", "--"), ("tab:red", ":")), strict=True
    ):
        left.axhline(accuracy, color=color, linestyle=style, label=name)
    left.set(
        xlabel="networks that are averaged",
        ylabel="test accuracy",
        title="ensembles of 784-100-100-10",
    )
    left.xaxis.get_major_locator().set_params(integer=True)
    left.legend()
    for (name, curve), style in zip(curves.items(), ("s-", "^-", "o-"), strict=True):
        right.semilogx([*curve], [*curve.values()], style, label=name)
    right.axhline(teacher, color="gray", linestyle="--", label="the ensemble that teaches")
    right.set_xticks([*next(iter(curves.values()))], [*next(iter(curves.values()))])
    right.minorticks_off()
    right.set(
        xlabel="images that the student sees",
        ylabel="test accuracy",
        title="students 784-100-100-10",
    )
    right.legend(loc="lower right")
    return figure


def main() -> None:
    """Run the comparison."""
    given = arguments()
    data = load(given)
    networks, checkpoints, averages = train(data, given)
    ensemble, student = Ensemble(networks), network(given.seed + 1000)
    print("\none network learns from the ensemble, on all training images")
    distill(
        student, ensemble, data.x_train, data.t_train, temperature=2, epochs=given.epochs,
        seed=given.seed,
    )  # fmt: skip
    curves = teach(data, ensemble, given)
    last = min(3, given.epochs)
    rows = {
        f"{len(networks)} networks, their mean": networks,
        "their moving averages, mean": averages,
        f"their last {last} checkpoints, mean": [Ensemble(run[-last:]) for run in checkpoints],
        f"ensemble of the {len(networks)} networks": [ensemble],
        "one network, distilled from it": [student],
    }
    print_tables(rows, curves, data)
    test = data.x_test, data.t_test
    by_count = [
        np.mean([Ensemble(run[-size:]).accuracy(*test) for run in checkpoints])
        for size in range(1, given.epochs + 1)
    ]
    lines = {
        "moving average of one run": np.mean([net.accuracy(*test) for net in averages]),
        "one network, distilled": student.accuracy(*test),
    }
    figure = plot(grown(networks, data), by_count, lines, curves, ensemble.accuracy(*test))
    save(figure, given, "ensembles.png")


if __name__ == "__main__":
    main()
