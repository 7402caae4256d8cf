"""Overfitting on 300 images, and what weight decay and dropout do about it.

Figures 6-20, 6-21 and 6-23 of *Deep Learning from Scratch*: a network of six hidden layers of 100
ReLU units is trained by SGD on the first 300 images of MNIST: as it is, with weight decay of 0.1
(L2: lambda / 2 times the sum of squared weights), and with a fifth of the units dropped in each
step (Srivastava et al., 2014). Drawn are the accuracies on the 300 images and on the test images,
taken after the first step of each epoch with dropout off.
"""

from __future__ import annotations

import argparse

from _common import Data, count, load, parser, plt, save
from tqdm import tqdm

from fastnn import MultiLayerNetExtend, Trainer

KNOWN = 0.99  # of the training images, for "by heart"
UNFINISHED = """
The plain network does not have all of its images right yet: give it more --epochs."""
EXPLANATION = """
The plain network knows its images by heart and far fewer of the others. Weight decay and dropout
narrow the gap; in part that is slower learning, so the last column compares the networks where
they knew as many images. Dropout is the slowest: in the book's form it does not make up for
dropped units in training, and after six layers signals are down to 0.8 ** 6, a quarter. --full
trains until all have learned what they can.
"""


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


def table(runs: dict[str, Trainer]) -> str:
    """Return the final accuracies as text, and those where all knew as many training images."""
    known = min(trainer.train_acc_list[-1] for trainer in runs.values())
    lines = [
        f"{'':31} accuracy                test accuracy when",
        f"{'':24} epochs  train   test    gap   {known:.0%} of train were right",
    ]
    for name, trainer in runs.items():
        train, test = trainer.train_acc_list, trainer.test_acc_list
        epoch = next(i for i, accuracy in enumerate(train) if accuracy >= known)
        lines.append(
            f"{name:24} {len(train):6} {train[-1]:6.3f} {test[-1]:6.3f} {train[-1] - test[-1]:6.3f}"
            f"   {test[epoch]:.3f} (epoch {epoch})"
        )
    return "\n".join(lines)


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
        "plain": ({}, epochs),
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
    print(table(runs))
    print(EXPLANATION if runs["plain"].train_acc_list[-1] >= KNOWN else UNFINISHED)
    draw(runs, arguments)


if __name__ == "__main__":
    main()
