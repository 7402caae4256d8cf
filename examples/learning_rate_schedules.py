"""Annealing: what becomes of a training when its learning rate falls.

The same network is trained from the same initial values on the same batches, with a rate that is
good at first and then too high to settle: kept as it is, and lowered in each of the ways of the
CS231n notes ("Neural networks 3", annealing the learning rate): in steps, exponentially, as 1/t,
where the validation loss stalls; and along a cosine, without and with warm-up.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from _common import Data, count, how_many, listed, load, parser, plt, save, text
from tqdm import tqdm

from fastnn import MultiLayerNetExtend, optimizers, schedules
from fastnn.callbacks import Callback, ReduceLROnPlateau
from fastnn.fit import History

RATE, BATCH, HELD_OUT = 0.05, 32, 0.2
CONSTANT, PLATEAU = "constant", "reduce on plateau"


class Ticks(Callback):
    """Advance a progress bar by one epoch."""

    def __init__(self, bar: tqdm) -> None:
        self.bar = bar

    def on_epoch_end(self, epoch: int) -> None:
        """Advance it."""
        self.bar.update()


def rules(epochs: int, steps_per_epoch: int) -> dict[str, Any]:
    """Return the schedules by name: functions of the step."""
    steps = epochs * steps_per_epoch
    rise = min(2 * steps_per_epoch, steps // 2)
    return {
        CONSTANT: None,
        "step decay": schedules.step_decay(max(1, epochs // 4) * steps_per_epoch, 0.5),
        "exponential": schedules.exponential(4 / steps),
        "1/t": schedules.inverse_time(15 / steps),
        "cosine": schedules.cosine(steps),
        "warm-up, cosine": schedules.warmup(rise, then=schedules.cosine(steps - rise)),
        PLATEAU: None,
    }


def train(data: Data, epochs: int, seed: int) -> dict[str, History]:
    """Train a network by each rule."""
    held_out = round(HELD_OUT * len(data.x_train))
    per_epoch = -(-(len(data.x_train) - held_out) // BATCH)
    histories = {}
    all_rules = rules(epochs, per_epoch)
    with tqdm(total=epochs * len(all_rules), unit=" epochs", leave=False) as bar:
        for name, schedule in all_rules.items():
            bar.set_description(name)
            network = MultiLayerNetExtend(784, [100, 100], 10, weight_decay_lambda=5e-4, seed=seed)
            callbacks: list[Callback] = [Ticks(bar)]
            if name == PLATEAU:
                callbacks.append(ReduceLROnPlateau("val_loss", factor=0.5, patience=2))
            histories[name] = network.fit(
                data.x_train, data.t_train, epochs, BATCH, optimizers.Nesterov(RATE), HELD_OUT,
                callbacks, verbose=False, schedule=schedule, seed=seed,
            )  # fmt: skip
    return histories


def table(histories: dict[str, History]) -> str:
    """Return how each training ended, as text."""
    lines = [
        "                      rate   training  validation  validation   epoch of the best",
        "rule               at last       loss        loss    accuracy     validation loss",
    ]
    for name, history in histories.items():
        lines.append(
            f"{name:17} {history.lr[-1]:8.5f} {history.loss[-1]:10.4f} "
            f"{history.val_loss[-1]:11.4f} {history.val_accuracy[-1]:11.4f} "
            f"{np.argmin(history.val_loss) + 1:19}"
        )
    return "\n".join(lines)


def conclusions(histories: dict[str, History]) -> str:
    """Return what the losses say of the constant rate and of the rules."""
    training = {name: history.loss[-1] for name, history in histories.items()}
    validation = {name: history.val_loss[-1] for name, history in histories.items()}
    deeper = _below(training)
    said = [_beside_constant("training", training)]
    if len(deeper) == len(training) - 1:
        said.append("Steps that get shorter come deeper into the valley that long ones jump about.")
    elif not deeper:
        said.append("Here shorter steps gained nothing: the constant rate was not too high.")
    said.append(_beside_constant("validation", validation))
    early = [name for name, each in histories.items() if min(each.val_loss) < each.val_loss[-1]]
    said.append(
        f"With {how_many(len(early), len(histories))} rules it was lower before the last epoch"
        + (": what they learned after that does not help on new images." if early else ".")
    )
    if histories[PLATEAU].lr[-1] == RATE:
        said.append(f'The validation loss never stalled, so that "{PLATEAU}" kept the rate.')
    return text(*said)


def _below(losses: dict[str, float]) -> list[str]:
    """Return the rules that end below the constant rate."""
    return [name for name, loss in losses.items() if loss < losses[CONSTANT]]


def _beside_constant(what: str, losses: dict[str, float]) -> str:
    """Return which rules end below the constant rate, and which lowest."""
    below, best = _below(losses), min(losses, key=losses.__getitem__)
    others = [name for name in losses if name not in (CONSTANT, *below)]
    quoted = [f'"{name}"' for name in others]  # some have commas
    exceptions = f" (not {listed(quoted)})" if below and others else ""
    return (
        f"{what.capitalize()} loss: {how_many(len(below), len(losses) - 1)} rules end below the "
        f"constant rate's {losses[CONSTANT]:.4f}{exceptions}; "
        f'"{best}" is lowest, {losses[best]:.4f}.'
    )


def draw(histories: dict[str, History], epochs: int) -> plt.Figure:
    """Return a figure of the rates and of both losses."""
    figure, (rates, training, validation) = plt.subplots(
        1, 3, figsize=(12, 4.2), layout="constrained"
    )
    steps_per_epoch = histories[CONSTANT].steps_per_epoch
    steps = np.arange(epochs * steps_per_epoch)
    for name, schedule in rules(epochs, steps_per_epoch).items():
        history = histories[name]
        style = {"color": "black", "linestyle": "--"} if name == CONSTANT else {}
        if schedule is None:
            rates.plot(np.arange(epochs + 1), [RATE, *history.lr], drawstyle="steps", **style)
        else:
            rates.plot(steps / steps_per_epoch, RATE * schedule(steps), **style)
        epoch = np.arange(1, epochs + 1)
        training.semilogy(epoch, history.loss, label=name, **style)
        validation.plot(epoch, history.val_loss, **style)
    rates.set(xlabel="epoch", ylabel="learning rate", title="rate")
    training.set(xlabel="epoch", ylabel="loss", title="training loss")
    validation.set(xlabel="epoch", ylabel="loss", title="validation loss")
    figure.legend(loc="outside lower center", ncols=7)
    return figure


def main() -> None:
    """Train, print and draw."""
    options = parser(__doc__)
    options.add_argument(
        "--epochs", type=count, help="passes over the data (default: 20, with --full 60)"
    )
    arguments: argparse.Namespace = options.parse_args()
    epochs = arguments.epochs or (60 if arguments.full else 20)
    data = load(arguments)
    data = data if arguments.full else data.first(25_000)
    histories = train(data, epochs, arguments.seed)
    history = histories[CONSTANT]
    print(
        f"\n784-100-100-10, ReLU, Nesterov at {RATE}, batches of {BATCH} of {history.samples} "
        f"images, {epochs} epochs\n\n{table(histories)}\n"
    )
    print(f"{conclusions(histories)}\n")
    save(draw(histories, epochs), arguments, "learning_rate_schedules.png")


if __name__ == "__main__":
    main()
