"""Look at a network before training it: sanity checks, on a healthy one and on planted bugs.

The checks of the CS231n notes ("Neural networks 3: learning", before learning) on MNIST: the loss
at chance is ln 10, it rises with weight decay, and 20 images can be overfitted to a loss of
zero. The notes warn that a network with bugs may pass the last one, so two more are done:
gradients against differences, and whether a short training beats chance on new images. Printed
are the reports of a healthy network and of three sick ones: with a wrong gradient, with a loss
off by a factor, and with shuffled labels. The picture shows the healthy one's.
"""

from __future__ import annotations

import argparse

import numpy as np
from _common import Data, count, listed, load, parser, save, text
from matplotlib import pyplot as plt
from tqdm import tqdm

from fastnn import MultiLayerNetExtend, layers
from fastnn.diagnostics import SanityReport, check_overfitting, check_penalty, sanity_checks

HEALTHY = "a healthy network"
HALF = "a wrong gradient: half of dW in Affine2"
SUM = "a loss off by a factor: the sum over the batch"
SHUFFLED = "labels shuffled"
# A check that each bug may pass, and why.
PASSES = {
    HALF: ("overfits few samples", "half a gradient still goes down"),
    SUM: ("gradients", "the gradient of a sum is that of the sum"),
    SHUFFLED: ("overfits few samples", "20 shuffled labels can be learnt by heart"),
}


class HalfGradient(layers.AffineRelu):
    """A bug: the gradient of the weights is only half of what it should be."""

    def backward(self, dout: np.ndarray) -> np.ndarray | None:
        """Return the gradient; leave half of dW."""
        dx = super().backward(dout)
        self.dW = self.dW / 2
        return dx


class SumLoss(layers.SoftmaxWithLoss):
    """A bug: the loss is the sum over the batch, and its gradient too, in place of the mean."""

    def forward(self, x: np.ndarray, t: np.ndarray) -> float:
        """Return the sum of the losses."""
        self.loss = super().forward(x, t) * len(x)
        return self.loss

    def backward(self, dout: float = 1) -> np.ndarray:
        """Return the gradient of the sum."""
        return super().backward(dout) * len(self.x)


def parse_arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    options = parser(__doc__)
    options.add_argument("--images", type=count, help="images to draw from (1000; all with --full)")
    return options.parse_args()


def network(arguments: argparse.Namespace, **settings: float) -> MultiLayerNetExtend:
    """Return a fresh network."""
    return MultiLayerNetExtend(
        784, [100, 100], 10, weight_decay_lambda=1e-4, seed=arguments.seed, **settings
    )


def reports(data: Data, arguments: argparse.Namespace) -> dict[str, SanityReport]:
    """Return the reports of a healthy network and of three with bugs."""
    x, t = data.x_train, data.t_train
    half, total = network(arguments), network(arguments)
    affine = half.layers["Affine2"]
    half.layers["Affine2"] = HalfGradient(affine.W, affine.b)
    total.last_layer = SumLoss()
    shuffled = np.random.default_rng(arguments.seed).permutation(t)
    cases = {
        HEALTHY: (network(arguments), t),
        HALF: (half, t),
        SUM: (total, t),
        SHUFFLED: (network(arguments), shuffled),
    }
    return {
        title: sanity_checks(net, x, labels, seed=arguments.seed)
        for title, (net, labels) in tqdm(cases.items(), desc="networks", leave=False)
    }


def conclusions(failed: dict[str, list[str]]) -> str:
    """Return what the checks that failed say of each network."""
    said = []
    if failed[HEALTHY]:
        said.append(f"The healthy network failed {listed(failed[HEALTHY])}, which it should not.")
    bugs = [title for title in failed if title != HEALTHY]
    missed = [title for title in bugs if not failed[title]]
    if missed:
        said.append(f"No check found: {listed(missed)}.")
    elif len({name for title in bugs for name in failed[title]}) == sum(
        len(failed[title]) for title in bugs
    ):
        said.append("Each bug was found by a check of its own.")
    else:
        said.append("Each bug was found.")
    passed = [why for title, (name, why) in PASSES.items() if name not in failed[title]]
    if passed:
        said.append(f"One check that is passed proves little: {listed(passed)}.")
    return text(*said)


def plot(data: Data, arguments: argparse.Namespace) -> plt.Figure:
    """Return the picture: 20 images overfitted, and the loss against weight decay."""
    x, t = data.x_train, data.t_train
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    shuffled = np.random.default_rng(arguments.seed).permutation(t)
    for label, labels, style in [("true labels", t, "-"), ("shuffled labels", shuffled, "--")]:
        losses = check_overfitting(network(arguments), x, labels).values["losses"]
        left.semilogy(losses, style, label=label)
    left.axhline(np.log(10), color="black", linestyle=":", label="chance: ln 10")
    left.set(title="20 images overfitted", xlabel="training step", ylabel="loss")
    left.legend()

    strengths = np.logspace(-6, 0, 13)
    for label, settings in [("He", {}), ("std 0.01", {"weight_init_std": 0.01})]:
        net = network(arguments, **settings)
        right.loglog(
            strengths, check_penalty(net, x, t, strengths=strengths).values["losses"], ".-",
            label=f"initial weights: {label}",
        )  # fmt: skip
    right.axhline(np.log(10), color="black", linestyle=":", label="chance: ln 10")
    right.set(
        title="fresh network: loss against the penalty", xlabel="weight decay lambda",
        ylabel="loss",
    )  # fmt: skip
    right.legend()
    return figure


def main() -> None:
    """Print the reports and save the picture."""
    arguments = parse_arguments()
    data = load(arguments)
    data = data.first(arguments.images or (len(data.x_train) if arguments.full else 1000))
    found = reports(data, arguments)
    for title, report in found.items():
        print(f"\n=== {title} ===")
        print(report)
    print("\nwhat failed:")
    failed = {title: report.failed for title, report in found.items()}
    for title, names in failed.items():
        print(f"  {title}: {', '.join(names) or 'nothing'}")
    print(f"\n{conclusions(failed)}\n")
    save(plot(data, arguments), arguments, "sanity_checks.png")


if __name__ == "__main__":
    main()
