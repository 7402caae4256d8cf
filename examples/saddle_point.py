"""Six optimizers at a saddle point, with an animation.

On f(x, y) = (x^2 - y^2) / 2 they come down a ridge, a thousandth beside its line, to the point
where the gradient vanishes, and must find the way out along y (CS231n notes, "Neural networks
3", after the animations by Alec Radford). All have the same learning rate.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from _common import count, parser, plt, save
from optimizer_paths import Paths, walk
from PIL import Image
from tqdm import tqdm

from fastnn import optimizers

START, RATE, EDGE = (-1.0, 0.001), 0.1, 1.0
LIMIT = 300  # steps
OPTIMIZERS = {
    "SGD": lambda: optimizers.SGD(RATE),
    "Momentum": lambda: optimizers.Momentum(RATE),
    "Nesterov": lambda: optimizers.Nesterov(RATE),
    "AdaGrad": lambda: optimizers.AdaGrad(RATE),
    "RMSProp": lambda: optimizers.RMSProp(RATE, decay_rate=0.9),
    "Adam": lambda: optimizers.Adam(RATE),
}


def saddle(x: Any, y: Any) -> Any:
    """Return the function's value."""
    return (x**2 - y**2) / 2


def saddle_gradient(x: Any, y: Any) -> tuple[Any, Any]:
    """Return its partial derivatives."""
    return x.copy(), -y


def escape(path: np.ndarray) -> int:
    """Return the step at which a path leaves the region around the saddle point."""
    return int(np.flatnonzero(np.abs(path[:, 1]) > EDGE)[0])


def until_edge(path: np.ndarray) -> np.ndarray:
    """Return the path within the region, its last step cut off at the edge."""
    last = escape(path)
    before, after = path[last - 1], path[last]
    share = (EDGE - abs(before[1])) / (abs(after[1]) - abs(before[1]))
    return np.vstack([path[:last], before + share * (after - before)])


def table(paths: Paths) -> str:
    """Return how long each optimizer stayed, as text."""
    lines = ["optimizer  rate  steps until |y| > 1"]
    lines += [f"{name:9} {RATE:5.2f} {escape(path):20}" for name, path in paths.items()]
    return "\n".join(lines)


def draw(paths: Paths) -> plt.Figure:
    """Return a figure of the paths from above, and of how fast they leave the ridge."""
    figure, (above, away) = plt.subplots(1, 2, figsize=(9.5, 4.2), layout="constrained")
    side = np.linspace(-1.05, 1.05, 101)
    above.contour(side, side, saddle(*np.meshgrid(side, side)), levels=11, cmap="coolwarm")
    for name, path in paths.items():
        path = path[: escape(path) + 1]
        above.plot(*path.T, "o-", markersize=3, linewidth=1)
        away.semilogy(np.abs(path[:, 1]), label=name)
    above.plot(0, 0, "k+", markersize=14)
    above.set(xlabel="x", ylabel="y", xlim=(-1.05, 1.05), ylim=(-0.2, EDGE))
    above.set_title("paths on $(x^2 - y^2)/2$, from above")
    above.grid(False)
    away.set(xlabel="step", ylabel="|y|", ylim=(None, EDGE), title="distance from the ridge")
    away.legend()
    return figure


def frames(paths: Paths, number: int) -> list[Image.Image]:
    """Return images of all optimizers on the surface, a step an image."""
    figure = plt.figure(figsize=(7, 5.2))
    axes = figure.add_axes((-0.06, -0.05, 1.12, 1.1), projection="3d")
    axes.set_box_aspect((4, 4, 2.8), zoom=0.95)
    axes.set(xlabel="x", ylabel="y", xlim=(-1, 1), ylim=(-1, 1), zlim=(-0.5, 0.5))
    axes.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1), zticks=(-0.5, 0, 0.5))
    axes.view_init(elev=40, azim=60)
    x, y = np.meshgrid(np.linspace(-1, 1, 21), np.linspace(-1, 1, 21))
    pale = {"cmap": "coolwarm", "vmin": -1, "vmax": 1, "edgecolor": "0.7", "linewidth": 0.5}
    axes.plot_surface(x, y, saddle(x, y), **pale)
    trails = {name: axes.plot([], [], [], linewidth=2)[0] for name in paths}
    balls = {
        name: axes.plot([], [], [], "o", color=line.get_color(), markersize=10, label=name)[0]
        for name, line in trails.items()
    }
    axes.legend(loc="upper left", bbox_to_anchor=(0.08, 0.92))
    text = axes.text2D(0.8, 0.87, "", transform=axes.transAxes)

    # The surface stays as it is, and takes much longer to draw than what moves.
    figure.canvas.draw()
    background = figure.canvas.copy_from_bbox(figure.bbox)
    inside = {name: until_edge(path) for name, path in paths.items()}
    images = []
    for step in tqdm(range(number), desc="animation", unit=" frames", leave=False):
        for name, path in inside.items():
            x, y = path[: step + 1].T
            z = saddle(x, y)
            trails[name].set_data_3d(x, y, z)
            balls[name].set_data_3d(x[-1:], y[-1:], z[-1:])
        text.set_text(f"step {step}")
        figure.canvas.restore_region(background)
        for artist in (*trails.values(), *balls.values(), text):
            axes.draw_artist(artist)
        images.append(Image.fromarray(np.array(figure.canvas.buffer_rgba())).convert("RGB"))
    plt.close(figure)
    return images


def save_animation(images: list[Image.Image], arguments: argparse.Namespace, name: str) -> None:
    """Write a GIF to the folder for pictures and print where it is."""
    # One palette for all: the file then has only what changes from each image to the next.
    palette = images[-1].quantize()
    head, *tail = (image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images)
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = (arguments.out / name).resolve()
    duration = [100] * len(tail) + [2000]  # ms
    head.save(path, save_all=True, append_images=tail, duration=duration, loop=0)
    print(f"picture: {path}")


def main() -> None:
    """Walk, print and draw."""
    options = parser(__doc__)
    options.add_argument(
        "--frames", type=count, help="steps in the animation (default: 80, with --full 120)"
    )
    arguments = options.parse_args()
    number = arguments.frames or (120 if arguments.full else 80)

    paths = {name: walk(make(), saddle_gradient, START, LIMIT) for name, make in OPTIMIZERS.items()}
    print(f"f(x, y) = (x^2 - y^2) / 2, from {START}\n\n{table(paths)}\n")
    print(
        "Beside the ridge the gradient is tiny. SGD's steps are as tiny: y grows by a tenth of\n"
        "itself each time. Momentum adds up what it gets; the other three divide by the size of\n"
        "the gradients so far, and go down sideways at once.\n"
    )
    save(draw(paths), arguments, "saddle_point.png")
    save_animation(frames(paths, number), arguments, "saddle_point.gif")


if __name__ == "__main__":
    main()
