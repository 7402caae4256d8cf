"""Batch normalisation trains from initial weights of any scale.

Figure 6-19 of *Deep Learning from Scratch* (Ioffe and Szegedy, 2015): networks of five hidden
layers of 100 ReLU units are trained by SGD on 1000 images of MNIST, with and without batch
normalisation, from weights of 16 standard deviations between 1 and 0.0001. Drawn is the accuracy
on the training images, at test time's settings, after the first step of each epoch.
"""

from __future__ import annotations

import argparse
import math
import warnings

import numpy as np
from _common import Data, count, how_many, listed, load, parser, plt, save, text
from tqdm import tqdm

from fastnn import MultiLayerNetExtend, Trainer

SCALES = np.logspace(0, -4, num=16)
LEARNS = 0.2  # a training accuracy above this is not chance, which is 0.1


def train(std: float, use_batchnorm: bool, data: Data, arguments: argparse.Namespace) -> Trainer:
    """Train a network from weights of a standard deviation."""
    network = MultiLayerNetExtend(
        784, [100] * 5, 10, weight_init_std=std, use_batchnorm=use_batchnorm, seed=arguments.seed
    )
    trainer = Trainer(
        network, *data, epochs=arguments.epochs, mini_batch_size=100, optimizer="SGD",
        optimizer_param={"lr": 0.01}, evaluate_sample_num_per_epoch=1000, verbose=False,
        seed=arguments.seed, on_divergence="warn",
    )  # fmt: skip
    with warnings.catch_warnings():  # that the loss became nan, which is what is to be shown
        warnings.simplefilter("ignore", RuntimeWarning)
        trainer.train()
    return trainer


def table(runs: dict[float, tuple[Trainer, Trainer]]) -> str:
    """Return what the trainings came to as text."""
    lines = [
        "           training accuracy          test accuracy",
        "std        batch norm    plain    batch norm    plain",
    ]
    for std, (normalised, plain) in runs.items():
        finals = (
            normalised.train_acc_list[-1], plain.train_acc_list[-1],
            normalised.final_test_acc, plain.final_test_acc,
        )  # fmt: skip
        diverged = "" if math.isfinite(plain.train_loss_list[-1]) else "   plain: loss is nan"
        lines.append(
            f"{std:.5f} {finals[0]:13.3f} {finals[1]:8.3f} {finals[2]:13.3f} {finals[3]:8.3f}"
            + diverged
        )
    return "\n".join(lines)


def conclusions(finals: dict[float, list[float]]) -> str:
    """Return at how many scales networks learned, from their accuracies with and without."""
    normalised, plain = ([std for std, pair in finals.items() if pair[i] > LEARNS] for i in (0, 1))
    where = f" ({listed([f'{std:.2g}' for std in plain])})" if plain else ""
    said = [
        f"More than {LEARNS:.0%} right in training: with batch normalisation at "
        f"{how_many(len(normalised), len(finals))} scales, without at "
        f"{how_many(len(plain), len(finals))}{where}. He's rule is 0.05 for the first layer's 784 "
        "inputs, 0.14 for the others' 100."
    ]
    ahead = [std for std in plain if finals[std][1] > finals[std][0]]
    if ahead:
        said.append(
            f"Of these the plain network is ahead at {listed([f'{std:.2g}' for std in ahead])}."
        )
    return text(*said)


def draw(runs: dict[float, tuple[Trainer, Trainer]], arguments: argparse.Namespace) -> None:
    """Draw a panel for each scale."""
    size = {"figsize": (9, 7.4), "sharex": True, "sharey": True, "layout": "constrained"}
    figure, axes = plt.subplots(4, 4, **size)
    for panel, (std, (normalised, plain)) in zip(axes.flat, runs.items(), strict=True):
        panel.plot(normalised.train_acc_list, label="with batch normalisation")
        panel.plot(plain.train_acc_list, linestyle="--", label="without")
        panel.set(title=f"W: {std:.2g}", ylim=(0, 1.02))
        panel.label_outer()
    for panel in axes[-1]:
        panel.set_xlabel("epochs")
    for panel in axes[:, 0]:
        panel.set_ylabel("accuracy")
    figure.suptitle("Training accuracy, by standard deviation W of the initial weights")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    save(figure, arguments, "batch_normalization.png")


def main() -> None:
    """Train all networks, print their accuracies and draw them."""
    options = parser(__doc__)
    options.add_argument("--epochs", type=count, default=20, help="passes over the images")
    options.add_argument(
        "--images", type=count, default=1000, help="training images; 10,000 with --full"
    )
    arguments = options.parse_args()
    data = load(arguments).first(10_000 if arguments.full else arguments.images)
    runs = {}
    for std in tqdm(SCALES, desc="scales", leave=False):
        runs[float(std)] = tuple(train(std, norm, data, arguments) for norm in (True, False))
    print(
        f"\n784-100-100-100-100-100-10, ReLU, SGD of rate 0.01, {len(data.x_train)} training "
        f"images, {arguments.epochs} epochs\n"
    )
    print(table(runs))
    finals = {std: [each.train_acc_list[-1] for each in pair] for std, pair in runs.items()}
    print(f"\n{conclusions(finals)}\n")
    draw(runs, arguments)


if __name__ == "__main__":
    main()
