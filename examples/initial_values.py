"""How initial weights decide whether a deep network learns.

Section 6.2 of *Deep Learning from Scratch*, in three parts. Histograms of the activations of five
layers of 100 units show why: with weights of deviation 1 sigmoids and tanhs saturate, with 0.01
signals vanish or units become copies of each other, with Xavier's (sigmoid, tanh) and He's (ReLU)
rules they keep their spread. The loss on MNIST shows what comes of it. And networks that start
with equal weights show that the units of a layer then stay copies of one unit for ever.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from _common import Data, count, listed, load, parser, plt, save, text
from tqdm import tqdm

from fastnn import MultiLayerNet, Trainer, layers
from fastnn.functional import smooth_curve

INITIAL = {"std 1": 1.0, "std 0.01": 0.01, "Xavier": "xavier", "He": "he"}


class Activation(NamedTuple):
    """How to show an activation, and where its derivative is small or zero."""

    name: str
    range: tuple[float, float]
    word: str
    where: str
    stuck: Callable[[np.ndarray], np.ndarray]

    def share(self, z: np.ndarray) -> str:
        """Return the share of values that are stuck there, as text."""
        return f"{self.stuck(z).mean():.0%}"


ACTIVATIONS = {
    "sigmoid": Activation(
        "sigmoid", (0, 1), "saturated", "below 0.05 or above 0.95", lambda z: abs(z - 0.5) > 0.45
    ),
    "tanh": Activation(
        "tanh", (-1, 1), "saturated", "below -0.95 or above 0.95", lambda z: abs(z) > 0.95
    ),
    "relu": Activation("ReLU", (0, 1), "zero", "exactly zero", lambda z: z == 0),
}
UNITS = (
    '"one unit" is the spread of a unit of layer 5 over the samples, in which that between units '
    "is not. A sigmoid keeps at most a fourth of it in each layer (its largest derivative) times "
    "what the weights make of it."
)
EQUAL = "zero", "all 0.01"  # initial weights
SATURATED = 0.1  # share of a layer that is too much
STUCK = 0.01  # a loss that is so near to -ln(1/10) has hardly moved


def activations(network: MultiLayerNet, x: np.ndarray) -> list[np.ndarray]:
    """Return what each hidden layer gives on to the next one."""
    found = []
    for layer in network.layers.values():
        x = layer.forward(x)
        if isinstance(layer, (layers.Sigmoid, layers.Tanh, layers.AffineRelu)):
            found.append(x)
    return found


def show_activations(activation: str, arguments: argparse.Namespace) -> None:
    """Print and draw the activations of five layers, for each kind of initial values."""
    kind = ACTIVATIONS[activation]
    x = np.random.default_rng(arguments.seed).standard_normal((1000, 100)).astype(np.float32)
    print(f"\n{kind.name}: mean/std/share {kind.where}")
    heads = "".join(f"{f'layer {i}':>16}" for i in range(1, 6))
    print(f"{'':9}{heads}  one unit")
    figure, axes = plt.subplots(4, 5, figsize=(10.5, 6.6), sharey="row", layout="constrained")
    spreads, stuck = {}, {}
    for (name, value), row in zip(INITIAL.items(), axes, strict=True):
        network = MultiLayerNet(100, [100] * 5, 10, activation, value, seed=arguments.seed)
        found = activations(network, x)
        for i, (z, panel) in enumerate(zip(found, row, strict=True), start=1):
            grows = activation == "relu" and name == "std 1"  # a hundredfold in two layers
            limits = (0, float(z.max())) if grows else kind.range
            panel.hist(z.ravel(), 30, range=limits, histtype="stepfilled")
            title = f"std {short(z.std())}, {kind.share(z)} {kind.word}"
            head = f"layer {i}\n" if panel in axes[0] else ""
            panel.set_title(head + title, fontsize="small")
            panel.tick_params(labelsize="x-small")
            panel.locator_params(nbins=4)
            panel.ticklabel_format(axis="x", scilimits=(-3, 3))
            panel.grid(False)
        if activation == "relu":
            row[0].set_ylim(0, 7000)  # the book's; half the activations are zeros, far above
        row[0].set_ylabel(name, fontsize="large")
        cells = [f"{short(z.mean())}/{short(z.std())}/{kind.share(z)}" for z in found]
        # How far a unit tells samples apart; the spread of all has that between units in it.
        one = found[-1].std(axis=0).mean()
        print(f"{name:9}" + "".join(f"{cell:>16}" for cell in cells) + f"{short(one):>10}")
        spreads[name] = [float(z.std()) for z in found]
        stuck[name] = [float(kind.stuck(z).mean()) for z in found]
    print(f"\n{conclusions(activation, spreads, stuck)}")
    figure.suptitle(f"Activations of five layers of {kind.name} units, by initial weights")
    save(figure, arguments, f"activations_{activation}.png")


def conclusions(
    activation: str, spreads: dict[str, list[float]], stuck: dict[str, list[float]]
) -> str:
    """Return what becomes of the spread from layer to layer, and where values are saturated.

    Parameters
    ----------
    activation : str
    spreads : dict of str to list of float
        Standard deviation of each layer, by initial values.
    stuck : dict of str to list of float
        Share of each layer where the derivative is small or zero.
    """
    kind = ACTIVATIONS[activation]
    change = {name: layers[-1] / layers[0] for name, layers in spreads.items()}
    times = ", ".join(f"{short(factor)} with {name}" for name, factor in change.items())
    said = [f"From layer 1 to 5 the spread of {kind.name} is multiplied by {times}."]
    free = list(change)
    if kind.word == "saturated":
        most = max(stuck, key=lambda name: max(stuck[name]))
        free = [name for name in free if max(stuck[name]) < SATURATED]
        said.append(f"Most are saturated with {most}: {max(stuck[most]):.0%} of a layer.")
    if free:
        kept = min(free, key=lambda name: abs(math.log(max(change[name], 1e-300))))
        among = "" if len(free) == len(change) else f"Of those that saturate under {SATURATED:.0%} "
        said.append(f"{among}{kept} keeps the spread best.")
    return text(*said)


def conclusions_on_mnist(last_losses: dict[str, float]) -> str:
    """Return which initial values learned, from the losses of the last steps."""
    chance = math.log(10)
    stuck = [name for name, loss in last_losses.items() if abs(loss - chance) < STUCK]
    best = min(last_losses, key=last_losses.__getitem__)
    said = []
    if stuck:
        said.append(
            f"With {listed(stuck)} the loss stays at -ln(1/10) = {chance:.3f}: hardly any gradient "
            "comes through."
        )
    if best not in stuck:
        said.append(f"{best} learned fastest, to {last_losses[best]:.3f}.")
    return text(*said)


def conclusions_on_equal_units(found: dict[str, tuple[list[int], list[int]]]) -> str:
    """Return what became of equal units, from their distinct numbers and the weights' ranks."""
    equal = {name: each for name, each in found.items() if name.endswith(EQUAL)}
    parted = [name for name, (units, _) in equal.items() if units != [1, 1]]
    if parted:
        return text(f"Units that started equal did not stay equal: {listed(parted)}.")
    said = [
        "Units that start equal get equal gradients and stay equal, to the last bit: 100 of them "
        "know as much as one."
    ]
    zero = [name for name, (_, ranks) in equal.items() if ranks == [0, 0]]
    if zero:
        said.append(f"All weights stay zero with {listed(zero)}: the last bias alone learns.")
    return text(*said)


def short(value: float) -> str:
    """Return a number in at most six characters."""
    return f"{value:.2f}" if value == 0 or 0.0095 <= abs(value) < 100 else f"{value:.0e}"


def train(network: MultiLayerNet, lr: float, data: Data, steps: int, label: str, seed: int):
    """Take some steps of SGD on batches of 128; return the loss of each."""
    trainer = Trainer(
        network, *data, mini_batch_size=128, optimizer="SGD", optimizer_param={"lr": lr},
        evaluate_sample_num_per_epoch=1000, verbose=False, seed=seed,
    )  # fmt: skip
    for _ in tqdm(range(steps), desc=label, unit=" steps", leave=False):
        trainer.train_step()
    return trainer.train_loss_list


def compare_on_mnist(data: Data, arguments: argparse.Namespace) -> None:
    """Train a ReLU network from three kinds of initial values: the book's figure 6-15."""
    steps = 20_000 if arguments.full else arguments.iterations
    print(f"\nMNIST, 784-100-100-100-100-10, ReLU, SGD of rate 0.01, {steps} steps on 128 images")
    print("initial    first loss    last losses    test accuracy")
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    last_losses = {}
    for (name, value), marker in zip(list(INITIAL.items())[1:], "osD", strict=True):
        network = MultiLayerNet(784, [100] * 4, 10, weight_init_std=value, seed=arguments.seed)
        losses = train(network, 0.01, data, steps, name, arguments.seed)
        accuracy = network.accuracy(data.x_test, data.t_test)
        last_losses[name] = float(np.mean(losses[-100:]))
        print(f"{name:9} {losses[0]:11.3f} {last_losses[name]:14.3f} {accuracy:16.4f}")
        axes.plot(smooth_curve(losses), marker=marker, markevery=max(1, steps // 20), label=name)
    axes.set(xlabel="iterations", ylabel="training loss (smoothed)", ylim=(0, 2.5))
    axes.set_title("Initial values on MNIST (784-100-100-100-100-10, ReLU, SGD)")
    axes.legend()
    print(f"\n{conclusions_on_mnist(last_losses)}")
    save(figure, arguments, "initial_values_mnist.png")


def collapse(data: Data, arguments: argparse.Namespace) -> None:
    """Train networks that start with equal weights, and look at the units' weights after it."""
    steps = max(1, arguments.iterations // 2)
    print(f"\nEqual initial weights: MNIST, 784-100-100-10, {steps} steps of SGD on 128 images")
    print("                       distinct units of     rank of            test")
    print("                       layer 1   layer 2    W1    W2    loss    accuracy")
    figure, axes = plt.subplots(3, 10, figsize=(10, 3.9), layout="constrained")
    rows, found = iter(axes), {}
    for activation, rule, lr in (("sigmoid", "Xavier", 1.0), ("relu", "He", 0.1)):
        for name, value, added in ((EQUAL[0], 0, 0), (EQUAL[1], 0, 0.01), (rule, rule, 0)):
            network = MultiLayerNet(784, [100, 100], 10, activation, value, seed=arguments.seed)
            for key in ("W1", "W2", "W3"):
                network.params[key] += added
            label = f"{ACTIVATIONS[activation].name}, {name}"
            losses = train(network, lr, data, steps, label, arguments.seed)
            W1, W2 = network.params["W1"], network.params["W2"]
            units = [np.unique(W, axis=1).shape[1] for W in (W1, W2)]
            ranks = [int(np.linalg.matrix_rank(W)) for W in (W1, W2)]
            found[label] = units, ranks
            print(
                f"{label:22} {units[0]:7} {units[1]:9} {ranks[0]:7} {ranks[1]:5} "
                f"{np.mean(losses[-100:]):7.3f} {network.accuracy(data.x_test, data.t_test):9.4f}"
            )
            if activation == "sigmoid":
                show_units(next(rows), W1, f"{name}: {units[0]} distinct of 100")
    figure.suptitle("Weights of ten sigmoid units of the first layer after training, by start")
    print(f"\n{conclusions_on_equal_units(found)}")
    save(figure, arguments, "initial_values_symmetry.png")


def show_units(panels: np.ndarray, W: np.ndarray, title: str) -> None:
    """Draw the weights of the first units as images, red above and blue below zero."""
    limit = np.quantile(np.abs(W), 0.998)
    for unit, panel in enumerate(panels):
        panel.imshow(W[:, unit].reshape(28, 28), cmap="coolwarm", vmin=-limit, vmax=limit)
        panel.axis("off")
    panels[0].set_title(title, loc="left")


def main() -> None:
    """Run the three parts."""
    options = parser(__doc__)
    options.add_argument(
        "--iterations", type=count, default=2000, help="steps on MNIST; 20,000 with --full"
    )
    options.add_argument(
        "--activations", nargs="+", choices=ACTIVATIONS, default=[*ACTIVATIONS], help="to show"
    )
    arguments = options.parse_args()
    print("1000 samples of standard normal data through five layers of 100 units")
    for activation in arguments.activations:
        show_activations(activation, arguments)
    print(f"\n{text(UNITS)}\n")
    data = load(arguments)
    compare_on_mnist(data, arguments)
    collapse(data, arguments)


if __name__ == "__main__":
    main()
