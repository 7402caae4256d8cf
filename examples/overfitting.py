"""Overfitting on 300 images, and what weight decay and dropout do about it.

Figures 6-20, 6-21 and 6-23 of *Deep Learning from Scratch*: a network of six hidden layers of 100
ReLU units is trained by SGD on the first 300 images of MNIST: as it is, with weight decay of 0.1
(L2: lambda / 2 times the sum of squared weights), and with a fifth of the units dropped in each
step (Srivastava et al., 2014). Drawn are the accuracies on the 300 images and on the test images,
taken after the first step of each epoch with dropout off.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

from _common import Data, count, listed, load, parser, plt, save, text
from tqdm import tqdm

from fastnn import MultiLayerNetExtend, Trainer

KNOWN = 0.99  # of the training images, for "by heart"
PLAIN = "plain"


def train(
    name: str, settings: dict[str, float], epochs: int, data: Data, arguments: argparse.Namespace
) -> Trainer:
    """Train a network with some settings against overfitting."""
    network = MultiLayerNetExtend(784, [100] * 6, 10, seed=arguments.seed, **settings)
    trainer = Trainer(
        network, *data, epochs=epochs, mini_batch_size=100, optimizer="SGD",
        optimizer_param={"lr": 0.01}, verbose=False, seed=arguments.seed,
    )  # fmt: skip
    for _ in tqdm(range(trainer.max_iter), desc=name, unit=" steps", leave=False):
        trainer.train_step()
    return trainer


class Accuracies(NamedTuple):
    """Of a training: at its end, and in the epoch when it knew as many images as the others."""

    epochs: int
    train: float
    test: float
    test_then: float
    then: int  # that epoch

    @property
    def gap(self) -> float:
        """Return by how much the training images are better known."""
        return self.train - self.test


def accuracies(runs: dict[str, Trainer]) -> dict[str, Accuracies]:
    """Return those of all trainings."""
    known = min(trainer.train_acc_list[-1] for trainer in runs.values())
    found = {}
    for name, trainer in runs.items():
        train, test = trainer.train_acc_list, trainer.test_acc_list
        then = next(i for i, accuracy in enumerate(train) if accuracy >= known)
        found[name] = Accuracies(len(train), train[-1], test[-1], test[then], then)
    return found


def table(found: dict[str, Accuracies]) -> str:
    """Return them as text."""
    known = min(each.train for each in found.values())
    lines = [
        f"{'':31} accuracy                test accuracy when",
        f"{'':24} epochs  train   test    gap   {known:.0%} of train were right",
    ]
    for name, each in found.items():
        lines.append(
            f"{name:24} {each.epochs:6} {each.train:6.3f} {each.test:6.3f} {each.gap:6.3f}"
            f"   {each.test_then:.3f} (epoch {each.then})"
        )
    return "\n".join(lines)


def conclusions(found: dict[str, Accuracies]) -> str:
    """Return what the accuracies say."""
    plain = found[PLAIN]
    said = [
        f"The plain network knows its images by heart, and {plain.test:.0%} of the test images."
        if plain.train >= KNOWN
        else "The plain network does not have all of its images right yet: give it more --epochs."
    ]
    others = {name.split(",")[0]: each for name, each in found.items() if name != PLAIN}
    narrower = [name for name, each in others.items() if each.gap < plain.gap]
    wider = [name for name in others if name not in narrower]
    if narrower:
        said.append(f"The gap is narrower with {listed(narrower)}.")
    if wider:
        said.append(f"The gap is not narrower with {listed(wider)}.")
    better = [name for name, each in others.items() if each.test > plain.test]
    said.append(
        f"With {listed(better)} more of the test images are right."
        if better
        else "With neither are more of the test images right."
    )
    then = [each.test_then for each in found.values()]
    said.append(
        "Where they knew as many training images (last column), the three are "
        f"{max(then) - min(then):.3f} apart on the test images: the less that is, the more of a "
        "narrower gap is slower learning."
    )
    slowest = min(found, key=lambda name: found[name].train)
    if slowest.startswith("dropout"):
        said.append(
            "With dropout the fewest training images are known: in the book's form it does not "
            "make up for dropped units in training, and after six layers signals are down to "
            "0.8 ** 6, a quarter."
        )
    return text(*said)


def draw(runs: dict[str, Trainer], arguments: argparse.Namespace) -> None:
    """Draw a panel for each training."""
    figure, axes = plt.subplots(1, len(runs), figsize=(11, 3.9), sharey=True, layout="constrained")
    for panel, (name, trainer) in zip(axes, runs.items(), strict=True):
        every = max(1, len(trainer.train_acc_list) // 20)
        style = {"markevery": every, "markersize": 4}
        panel.plot(trainer.train_acc_list, marker="o", label="train", **style)
        panel.plot(trainer.test_acc_list, marker="s", label="test", **style)
        panel.set(title=name, xlabel="epochs", ylim=(0, 1.02))
        panel.legend(loc="lower right")
    axes[0].set_ylabel("accuracy")
    save(figure, arguments, "overfitting.png")


def main() -> None:
    """Train the three networks, print and draw their accuracies."""
    options = parser(__doc__)
    options.add_argument(
        "--epochs", type=count, help="passes over the images (default: 201; full: 1201)"
    )
    options.add_argument(
        "--dropout-epochs",
        type=count,
        help="the same with dropout, which is slower (default: half as many again; full: as many)",
    )
    options.add_argument("--images", type=count, default=300, help="training images")
    options.add_argument("--test-images", type=count, help="test images (default: all)")
    arguments = options.parse_args()
    data = load(arguments).first(arguments.images, arguments.test_images)
    epochs = arguments.epochs or (1201 if arguments.full else 201)
    with_dropout = arguments.dropout_epochs or (epochs if arguments.full else epochs * 3 // 2)
    trainings = {
        PLAIN: ({}, epochs),
        "weight decay, lambda 0.1": ({"weight_decay_lambda": 0.1}, epochs),
        "dropout, ratio 0.2": ({"use_dropout": True, "dropout_ration": 0.2}, with_dropout),
    }
    runs = {
        name: train(name, settings, length, data, arguments)
        for name, (settings, length) in trainings.items()
    }
    print(
        f"\n784-100-100-100-100-100-100-10, ReLU, SGD of rate 0.01, batches of 100 of the first "
        f"{len(data.x_train)} images\n"
    )
    found = accuracies(runs)
    print(f"{table(found)}\n\n{conclusions(found)}\n")
    draw(runs, arguments)


if __name__ == "__main__":
    main()
