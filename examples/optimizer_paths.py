"""The paths of six optimizers through a long bowl.

f(x, y) = x^2 / 20 + y^2 is steep in y and flat in x, so that its gradient hardly points at the
minimum: SGD zigzags, and each of the others has its own remedy. *Deep Learning from Scratch*,
section 6.1, has four of them, with the learning rates used here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from _common import count, parser, plt, save

from fastnn import optimizers

Paths = dict[str, np.ndarray]

START = (-7.0, 2.0)
NEAR, LIMIT = 0.01, 300  # what counts as the minimum, and how many steps the table looks at
# The book's rates for its four, and rates that bring the other two there in as many steps.
OPTIMIZERS = {
    "SGD": lambda: optimizers.SGD(lr=0.95),
    "Momentum": lambda: optimizers.Momentum(lr=0.1),
    "Nesterov": lambda: optimizers.Nesterov(lr=0.1),
    "AdaGrad": lambda: optimizers.AdaGrad(lr=1.5),
    "RMSProp": lambda: optimizers.RMSProp(lr=0.3, decay_rate=0.9),
    "Adam": lambda: optimizers.Adam(lr=0.3),
}
BOOK = ("SGD", "Momentum", "AdaGrad", "Adam")


def bowl(x: Any, y: Any) -> Any:
    """Return the function's value."""
    return x**2 / 20 + y**2


def bowl_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    """Return its partial derivatives."""
    return x / 10, 2 * y


def walk(
    optimizer: optimizers.Optimizer, gradient: Callable, start: tuple[float, float], steps: int
) -> np.ndarray:
    """Return the points (steps + 1, 2) that an optimizer visits."""
    params = {name: np.array([value]) for name, value in zip("xy", start, strict=True)}
    path = [start]
    for _ in range(steps):
        dx, dy = gradient(params["x"], params["y"])
        optimizer.update(params, {"x": dx, "y": dy})
        path.append((params["x"][0], params["y"][0]))
    return np.array(path)


def table(paths: Paths, steps: int) -> str:
    """Return how far each optimizer got, and how long it took, as text."""
    lines = [
        f"                 {f'after {steps} steps':^16}     way   step with f < {NEAR}",
        "optimizer  rate       f  distance    in y    first   for good",
    ]
    for name, path in paths.items():
        f = bowl(*path.T)
        distance, way = np.hypot(*path[steps]), np.abs(np.diff(path[: steps + 1, 1])).sum()
        reached, outside = np.flatnonzero(f < NEAR)[0], np.flatnonzero(f >= NEAR)[-1]
        lines.append(
            f"{name:9} {OPTIMIZERS[name]().lr:5.2f} {f[steps]:7.4f} {distance:9.3f} {way:7.1f} "
            f"{reached:8} {outside + 1 if outside < LIMIT else '-':>10}"
        )
    return "\n".join(lines)


def draw_contours(axes: plt.Axes) -> None:
    """Draw the bowl and its minimum."""
    x, y = np.meshgrid(np.linspace(-10, 10, 201), np.linspace(-5, 5, 201))
    axes.contour(x, y, bowl(x, y), levels=(0.5, 1.5, 3, 5, 7), linewidths=1)
    axes.plot(0, 0, "+", color="black", markersize=12)
    axes.grid(False)


def draw_field() -> plt.Figure:
    """Return a figure of the way down from each point: against the gradient."""
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    draw_contours(axes)
    x, y = np.meshgrid(np.linspace(-9, 9, 13), np.linspace(-4.5, 4.5, 10))
    down = [-slope for slope in bowl_gradient(x, y)]
    axes.quiver(x, y, *down, color="0.35", angles="xy", scale=10, scale_units="xy", width=0.003)
    axes.set(ylim=(-5, 5), xlabel="x", ylabel="y", title="minus the gradient of $x^2/20 + y^2$")
    return figure


def draw_paths(paths: Paths, names: Iterable[str], steps: int) -> plt.Figure:
    """Return a figure with a panel for each optimizer."""
    names = list(names)
    columns = len(names) // 2
    figure, panels = plt.subplots(
        2, columns, figsize=(3.4 * columns, 5.8), layout="constrained", sharex=True, sharey=True
    )
    for axes, name in zip(panels.flat, names, strict=True):
        draw_contours(axes)
        axes.plot(*paths[name][: steps + 1].T, "o-", color="red", markersize=4, linewidth=1.2)
        axes.set(xlim=(-10, 10), ylim=(-10, 10), title=f"{name} (rate {OPTIMIZERS[name]().lr})")
    for axes in panels[-1]:
        axes.set_xlabel("x")
    for axes in panels[:, 0]:
        axes.set_ylabel("y")
    figure.suptitle(f"{steps} steps on $f(x, y) = x^2/20 + y^2$")
    return figure


def main() -> None:
    """Walk, print and draw."""
    options = parser(__doc__)
    options.add_argument("--steps", type=count, help="steps drawn (default: 30, with --full 100)")
    arguments = options.parse_args()
    steps = arguments.steps or (100 if arguments.full else 30)

    paths = {
        name: walk(make(), bowl_gradient, START, max(steps, LIMIT))
        for name, make in OPTIMIZERS.items()
    }
    print(f"f(x, y) = x^2 / 20 + y^2, from {START}\n\n{table(paths, steps)}\n")
    print(
        "SGD reverses y at every step. Momentum and Nesterov gather speed along x and roll past\n"
        "the minimum; AdaGrad does not swing at all, as its steps get smaller and smaller; Adam\n"
        "has something of both. RMSProp's steps do not shrink: it arrives and then jitters\n"
        f"about the minimum. (-: not within {LIMIT} steps)\n"
    )
    save(draw_field(), arguments, "gradient_field.png")
    save(draw_paths(paths, BOOK, steps), arguments, "optimizer_paths.png")
    save(draw_paths(paths, OPTIMIZERS, steps), arguments, "optimizer_paths_six.png")


if __name__ == "__main__":
    main()
