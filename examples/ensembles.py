"""Ensembles of networks on MNIST, and one network that learns from an ensemble.

From the CS231n notes, "Neural networks 3: learning", model ensembles. Networks 784-100-100-10 are
trained from different initial values. Their averaged predictions are compared with those of
checkpoints of one run and with the moving average of the parameters. Then the ensemble is
distilled (Hinton, Vinyals and Dean, 2015): another network learns its softened probabilities, on
all training images, and on a few in place of their labels ("dark knowledge").
"""

from __future__ import annotations

import argparse
import math
from itertools import combinations, islice, pairwise

import numpy as np
from _common import Data, count, how_many, listed, load, parser, plt, save, text
from tqdm import tqdm

from fastnn import MultiLayerNet, fit_many
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
    seeds = range(given.seed, given.seed + given.networks)
    networks, snapshots = [network(seed) for seed in seeds], [Snapshots() for _ in seeds]
    histories = fit_many(
        networks, data.x_train, data.t_train, epochs=given.epochs,
        ema=1 - 128 / len(data.x_train),  # over the last epoch, about
        callbacks=[[each] for each in snapshots], seed=[*seeds], verbose="auto",
    )  # fmt: skip
    checkpoints = [each.networks for each in snapshots]
    averages = [averaged(n, h.averages) for n, h in zip(networks, histories, strict=True)]
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


def table(scores: dict[str, tuple[float, float]]) -> str:
    """Return test accuracies and losses as text."""
    lines = ["784-100-100-10              test accuracy   test loss"]
    lines += [f"{name:30}{score[0]:11.4f}{score[1]:12.4f}" for name, score in scores.items()]
    return "\n".join(lines)


def table_of_students(curves: dict[str, dict[int, float]]) -> str:
    """Return their accuracies as text."""
    lines = [
        f"{'it learns from':22}" + "".join(f"{size:9}" for size in next(iter(curves.values())))
    ]
    for name, curve in curves.items():
        lines.append(f"{name:22}" + "".join(f"{accuracy:9.4f}" for accuracy in curve.values()))
    return "\n".join(lines)


def conclusions(scores: dict[str, tuple[float, float]], members: list[list[float]], n: int) -> str:
    """Return what the accuracies on `n` test images say.

    Parameters
    ----------
    scores : dict
        Rows of the table, in its order.
    members : list of list of float
        Accuracies of single networks, of ensembles of two, and so on.
    """
    (_, mean), *others = ((name, score[0]) for name, score in scores.items())
    *cheap, (_, ensemble), (_, student) = others
    beaten = sum(ensemble > each for each in members[0])
    by_size = [float(np.mean(each)) for each in members]
    rises = sum(after > before for before, after in pairwise(by_size))
    said = [
        f"The ensemble has {ensemble:.4f} of the test images right and beats "
        f"{how_many(beaten, len(members[0]))} of its networks, of which the best has "
        f"{max(members[0]):.4f}."
    ]
    if len(members) > 1:
        said.append(
            f"On average ensembles of 1 to {len(members)} networks go from {by_size[0]:.4f} to "
            f"{by_size[-1]:.4f}, upwards in {how_many(rises, len(members) - 1)} steps."
        )
    gains = [f"{name.removesuffix(', mean')} {value - mean:+.4f}" for name, value in cheap]
    said.append(
        f"Beside the mean network ({mean:.4f}) the ensemble gains {ensemble - mean:+.4f}; what one "
        f"run gives for nothing: {listed(gains)}; the network distilled from the ensemble "
        f"{student - mean:+.4f}" + _kept(student - mean, ensemble - mean)
    )
    chance = math.sqrt(2 * mean * (1 - mean) / n)
    said.append(f"With {n} test images differences of {chance:.4f} may be chance.")
    return text(*said)


def _kept(gain: float, whole: float) -> str:
    if whole <= 0:
        return "."
    return f", which is {gain / whole:.0%} of that." if gain > 0 else ", so that it keeps nothing."


def conclusions_on_students(curves: dict[str, dict[int, float]]) -> str:
    """Return what their accuracies say."""
    (_, labels), *soft = curves.items()
    best = {size: max(curve[size] for _, curve in soft) for size in labels}
    ahead = [size for size in labels if best[size] > labels[size]]
    if not ahead:
        return text("Soft targets teach no more than labels here.")
    most = max(ahead, key=lambda size: best[size] - labels[size])
    (low, first), *_, (high, last) = soft
    warmer = [size for size in labels if last[size] > first[size]]
    return text(
        f"Soft targets teach more than labels with {how_many(len(ahead), len(labels))} training "
        f"sets, most with {most} images, {best[most] - labels[most]:+.4f}: there it is news what "
        f"the ensemble thinks of the wrong classes. {high.split(', ')[1]} teaches more than "
        f"{low.split(', ')[1]} with {how_many(len(warmer), len(labels))}."
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
    test = data.x_test, data.t_test
    scores = {
        name: tuple(
            float(np.mean([getattr(model, what)(*test) for model in models]))
            for what in ("accuracy", "loss")
        )
        for name, models in rows.items()
    }
    members = grown(networks, data)
    print(f"\n{table(scores)}\n\n{conclusions(scores, members, len(data.x_test))}\n")
    print("test accuracy of a student after so many images\n")
    print(f"{table_of_students(curves)}\n\n{conclusions_on_students(curves)}\n")
    by_count = [
        np.mean([Ensemble(run[-size:]).accuracy(*test) for run in checkpoints])
        for size in range(1, given.epochs + 1)
    ]
    lines = {
        "moving average of one run": np.mean([net.accuracy(*test) for net in averages]),
        "one network, distilled": student.accuracy(*test),
    }
    figure = plot(members, by_count, lines, curves, ensemble.accuracy(*test))
    save(figure, given, "ensembles.png")


if __name__ == "__main__":
    main()
