"""Replace the parts of a training loop in plain NumPy one by one, and time each replacement.

The loop trains a network 784-100-100-10 on MNIST with Adam. Parts of it are replaced by functions
of `fastnn.ops`, each alone and then all together; all versions take turns on the same batches.
As long as NumPy multiplies, either its BLAS has all threads or fastnn's functions have: each
version gets what it is faster with. Prints microseconds a step and how many times as fast as plain
NumPy each version is; adopting.md explains the code.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from itertools import pairwise

import numpy as np
from _common import count, load, parser, positive, text
from _timing import SPREAD_HEAD, Best, Blas, Spread, Watch, best_threads, counted, in_turns
from tqdm import tqdm

import fastnn
from fastnn import ops
from fastnn._bench.timing import Times
from fastnn.kernels.plain.level import vector_bits

SIZES = (784, 100, 100, 10)
PLAIN, ALL = "nothing", "all"
TRIAL, TRIAL_SECONDS = 5, 0.5  # steps of a turn with a number of threads, how long to try


# The parts in plain NumPy.


def hidden(x, W, b):
    """Affine layer and ReLU."""
    return np.maximum(x @ W + b, 0)


def hidden_backward(dout, x, W, y, input_gradient=True):
    """Their gradients."""
    dz = np.where(y > 0, dout, 0)
    return dz @ W.T if input_gradient else None, x.T @ dz, dz.sum(axis=0)


def output(x, W, b):
    """Affine layer."""
    return x @ W + b


def output_backward(dout, x, W):
    """Its gradients."""
    return dout @ W.T, x.T @ dout, dout.sum(axis=0)


def loss(scores, t):
    """Softmax and cross-entropy, and the gradient of the scores."""
    rows = np.arange(len(t))
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    value = -np.log(p[rows, t]).mean()
    p[rows, t] -= 1
    return value, p / len(t)


def adam(p, g, m, v, step, lr=0.001, beta1=0.9, beta2=0.999, eps=1e-7):
    """One update of Adam, in place."""
    m += (1 - beta1) * (g - m)
    v += (1 - beta2) * (g * g - v)
    rate = lr * np.sqrt(1 - beta2**step) / (1 - beta1**step)
    p -= rate * m / (np.sqrt(v) + eps)


NUMPY = {
    "hidden": hidden,
    "output": output,
    "loss": loss,
    "output_backward": output_backward,
    "hidden_backward": hidden_backward,
    "adam": adam,
}
OURS = {
    "hidden": ops.affine_relu,
    "output": ops.affine,
    "loss": ops.softmax_cross_entropy,
    "output_backward": ops.affine_backward,
    "hidden_backward": ops.affine_relu_backward,
    "adam": ops.adam_,
}
VERSIONS = {
    PLAIN: (),
    "layers": ("hidden", "output"),
    "their gradients": ("hidden_backward", "output_backward"),
    "loss": ("loss",),
    "update": ("adam",),
    ALL: tuple(NUMPY),
}


class Training:
    """The loop, with the parts that it is given."""

    def __init__(self, parts, dtype, seed) -> None:
        self.parts = parts
        rng = np.random.default_rng(seed)
        self.params = []
        for d, h in pairwise(SIZES):
            W = rng.standard_normal((d, h)) * np.sqrt(2 / d)
            self.params += [W.astype(dtype), np.zeros(h, dtype)]
        self.state = [(np.zeros_like(p), np.zeros_like(p)) for p in self.params]
        self.steps = 0

    def step(self, x, t):
        """Take a step on a batch; return the loss."""
        W1, b1, W2, b2, W3, b3 = self.params
        h1 = self.parts["hidden"](x, W1, b1)
        h2 = self.parts["hidden"](h1, W2, b2)
        scores = self.parts["output"](h2, W3, b3)

        value, d = self.parts["loss"](scores, t)

        d, dW3, db3 = self.parts["output_backward"](d, h2, W3)
        d, dW2, db2 = self.parts["hidden_backward"](d, h1, W2, h2)
        _, dW1, db1 = self.parts["hidden_backward"](d, x, W1, h1, input_gradient=False)

        self.steps += 1
        grads = (dW1, db1, dW2, db2, dW3, db3)
        for p, g, (m, v) in zip(self.params, grads, self.state, strict=True):
            self.parts["adam"](p, g, m, v, self.steps)
        return value


def parse_arguments() -> argparse.Namespace:
    """Return the command line's settings."""
    options = parser(__doc__)
    options.add_argument(
        "--rounds", type=count, help="times that versions take turns (15; 60 with --full)"
    )
    options.add_argument("--seconds", type=positive, default=60, help="when to stop, about")
    options.add_argument("--steps", type=count, default=30, help="training steps of a turn")
    options.add_argument("--batch-size", type=count, default=128, help="samples per step")
    options.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="of all arrays"
    )
    options.set_defaults(out=None)
    arguments = options.parse_args()
    arguments.rounds = arguments.rounds or (60 if arguments.full else 15)
    return arguments


class Version:
    """Some of the parts replaced, trained in turns of some steps."""

    def __init__(self, name: str, x, t, blas: Blas, arguments: argparse.Namespace) -> None:
        self.parts = NUMPY | {part: OURS[part] for part in VERSIONS[name]}
        self.multiplies = name != ALL  # by NumPy
        self.data, self.blas, self.arguments = (x, t), blas, arguments
        self.restart()

    def restart(self) -> None:
        """Begin the training anew."""
        self.training = Training(self.parts, self.arguments.dtype, self.arguments.seed)
        self.turns, self.loss = 0, np.nan

    def threads(self, numpys: int | None) -> int:
        """Return how many threads fastnn's functions get beside so many of NumPy's."""
        # While NumPy's threads look for work, ours would wait for theirs.
        return 1 if self.multiplies and numpys != 1 else self.blas.cpus

    def turn(self, numpys: int | None, steps: int) -> float:
        """Take some steps; return the seconds of one."""
        rng = np.random.default_rng((self.arguments.seed, self.turns))
        rows = [rng.integers(0, len(self.data[0]), self.arguments.batch_size) for _ in range(steps)]
        batches = [tuple(array[each] for array in self.data) for each in rows]
        self.turns += 1
        fastnn.set_num_threads(self.threads(numpys))
        with self.blas.threads(numpys):
            start = time.perf_counter()
            for batch in batches:
                self.loss = self.training.step(*batch)
            return (time.perf_counter() - start) / steps


def measure(x, t, arguments: argparse.Namespace) -> tuple[Times, dict[str, str], dict[str, float]]:
    """Return times, threads and last losses of the versions."""
    blas = Blas()
    versions = {name: Version(name, x, t, blas, arguments) for name in VERSIONS}
    best: dict[str, Best] = {}
    with tqdm(total=len(VERSIONS), leave=False, unit=" versions") as bar:
        for name, version in versions.items():
            bar.set_postfix_str(f"{name}: kernels, and NumPy's best number of threads")
            version.turn(1, 1)
            choices = blas.choices if version.multiplies else [1]
            trial = partial(version.turn, steps=TRIAL)
            best[name] = best_threads(trial, choices, TRIAL_SECONDS)
            version.restart()
            bar.update()
    with tqdm(total=len(VERSIONS) * arguments.rounds, leave=False, unit=" turns") as bar:

        def turn(name: str) -> float:
            bar.update()
            return versions[name].turn(best[name].threads, arguments.steps)

        turns = {name: partial(turn, name) for name in VERSIONS}
        times = in_turns(turns, arguments.rounds, arguments.seconds)
    threads = {}
    for name, version in versions.items():
        numpys = best[name].threads
        ours = "-" if name == PLAIN else version.threads(numpys)
        threads[name] = f"{'-' if name == ALL else numpys or '?'}, {ours}"
    return times, threads, {name: version.loss for name, version in versions.items()}


def table(times: Times, spreads: dict[str, Spread], threads, losses) -> str:
    """Return the results as text."""
    lines = [
        "                             threads,   times as fast",
        f"replaced           us a step  NumPy's, ours {SPREAD_HEAD}  last loss",
    ]
    for name, spread in spreads.items():
        lines.append(
            f"{name:16} {times.median(name) * 1e6:11,.0f}  {threads[name]:>13} {spread} "
            f"{losses[name]:10.6f}"
        )
    return "\n".join(lines)


def conclusions(ratios: dict[str, float]) -> str:
    """Return what the ratios say."""
    alone = {name: ratio for name, ratio in ratios.items() if name not in (PLAIN, ALL)}
    most = max(alone, key=alone.__getitem__)
    first = (
        f'Alone "{most}" gains most, {alone[most]:.2f}x'
        if alone[most] > 1
        else "No replacement alone gains anything"
    )
    return text(f"{first}; all together are {ratios[ALL]:.2f} times as fast as plain NumPy.")


def main() -> None:
    """Run the comparison."""
    arguments = parse_arguments()
    data = load(arguments)
    x, t = data.x_train.astype(arguments.dtype), data.t_train.astype(np.int64)
    watch = Watch()
    times, threads, losses = measure(x, t, arguments)
    spreads = {name: Spread.of(times, PLAIN, name) for name in VERSIONS}
    busy = watch.verdict(spreads)
    printed = table(times, spreads, threads, losses)
    rounds = counted(len(times.samples[PLAIN]), "round")
    print(
        f"\n{'-'.join(map(str, SIZES))} on {len(x)} images, batch {arguments.batch_size}, "
        f"{arguments.dtype}, {vector_bits()}-bit vectors;\n"
        f"medians of {rounds} of {counted(arguments.steps, 'step')}, ratios paired by round\n"
    )
    print(f"{printed}\n\n{conclusions({name: each.median for name, each in spreads.items()})}")
    if busy:
        print(f"\n{text(busy)}")
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "adopt_step_by_step.txt").write_text(printed + "\n")


if __name__ == "__main__":
    main()
