"""Replace the parts of a training loop in plain NumPy one by one, and time each replacement.

The loop trains a network 784-100-100-10 on MNIST with Adam. Parts of it are replaced by functions
of `fastnn.ops`, each alone (on one thread, as NumPy's own threads are still there), and then all
together. Prints microseconds a step and how many times as fast as plain NumPy each version is;
adopting.md explains the code.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import pairwise

import numpy as np
from _common import count, load, parser
from tqdm import tqdm

import fastnn
from fastnn import ops

SIZES = (784, 100, 100, 10)
# NumPy's BLAS keeps its threads spinning for a while after a product, on the cores that the other
# version then needs.
SETTLE = 0.1


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
    "nothing": (),
    "layers": ("hidden", "output"),
    "their gradients": ("hidden_backward", "output_backward"),
    "loss": ("loss",),
    "update": ("adam",),
    "all": tuple(NUMPY),
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
    options.add_argument("--steps", type=count, default=30, help="training steps of a turn")
    options.add_argument("--batch-size", type=count, default=128, help="samples per step")
    options.add_argument(
        "--dtype", choices=("float32", "float64"), default="float32", help="of all arrays"
    )
    options.set_defaults(out=None)
    arguments = options.parse_args()
    arguments.rounds = arguments.rounds or (60 if arguments.full else 15)
    return arguments


def measure(x, t, arguments: argparse.Namespace):
    """Return for each version the seconds a step of all turns, and its last loss."""
    runs = {
        name: Training(
            NUMPY | {part: OURS[part] for part in parts}, arguments.dtype, arguments.seed
        )
        for name, parts in VERSIONS.items()
    }
    threads = fastnn.get_num_threads()
    rng = np.random.default_rng(arguments.seed)
    seconds, losses = {name: [] for name in runs}, {}
    for turn in tqdm(range(arguments.rounds + 1), leave=False):
        batches = [rng.integers(0, len(x), arguments.batch_size) for _ in range(arguments.steps)]
        batches = [(x[rows], t[rows]) for rows in batches]
        for name, run in runs.items():
            # While NumPy multiplies with threads of its own, ours would wait for theirs.
            fastnn.set_num_threads(threads if name == "all" else 1)
            time.sleep(SETTLE)
            start = time.perf_counter()
            for batch in batches:
                losses[name] = run.step(*batch)
            if turn:  # in the first one, kernels are compiled or loaded
                seconds[name].append((time.perf_counter() - start) / arguments.steps)
    return seconds, losses


def table(seconds, losses) -> str:
    """Return the results as text."""
    plain = seconds["nothing"]
    lines = ["replaced            us a step    ratio    last loss"]
    for name, times in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(plain, times, strict=True))
        lines.append(
            f"{name:16} {statistics.median(times) * 1e6:12,.0f} {ratio:7.2f}x {losses[name]:12.6f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the comparison."""
    arguments = parse_arguments()
    data = load(arguments)
    x, t = data.x_train.astype(arguments.dtype), data.t_train.astype(np.int64)
    seconds, losses = measure(x, t, arguments)
    text = table(seconds, losses)
    print(
        f"{'-'.join(map(str, SIZES))} on {len(x)} images, batch {arguments.batch_size}, "
        f"{arguments.dtype}, {fastnn.get_num_threads()} threads;\n"
        f"medians of {arguments.rounds} rounds of {arguments.steps} steps, ratios paired by round\n"
    )
    print(text)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "adopt_step_by_step.txt").write_text(text + "\n")


if __name__ == "__main__":
    main()
