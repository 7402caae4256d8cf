"""What the examples share: options, data, and where pictures go."""

from __future__ import annotations

import argparse
import io
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from PIL import Image

from fastnn.datasets import load_mnist, mnist_source

mpl.use("Agg")
import matplotlib.pyplot as plt

plt.rcParams.update(
    {
        "figure.dpi": 100,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "legend.fontsize": "small",
        "axes.titlesize": "medium",
    }
)


class Data(NamedTuple):
    """Images (N, 784), float32 from 0 to 1, and labels (N,)."""

    x_train: np.ndarray
    t_train: np.ndarray
    x_test: np.ndarray
    t_test: np.ndarray

    def first(self, train: int, test: int | None = None) -> Data:
        """Return the first samples of the training set, and of the test set if it is limited."""
        return Data(
            self.x_train[:train], self.t_train[:train], self.x_test[:test], self.t_test[:test]
        )


class Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help with the defaults of options, where there is something to tell."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        plain = action.default is None or action.default is False
        return action.help if plain else super()._get_help_string(action)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all examples have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=Help)
    parser.add_argument(
        "--data", type=Path, help="folder of the four MNIST files (default: FASTNN_DATA_DIR)"
    )
    parser.add_argument(
        "--bundled", action="store_true", help="use the 10,000 bundled images even so"
    )
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for pictures")
    parser.add_argument(
        "--full", action="store_true", help="the experiment at its full size, which takes longer"
    )
    return parser


def count(text: str) -> int:
    """Return an integer of at least 1: the type of options such as ``--epochs``."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, got {text}")
    return number


def positive(text: str) -> float:
    """Return a number above 0: the type of options such as ``--seconds``."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
    return number


def text(*sentences: str) -> str:
    """Return sentences as one paragraph of lines that a terminal shows whole."""
    return textwrap.fill(" ".join(sentences), 79, break_on_hyphens=False)


def listed(names: Iterable[str]) -> str:
    """Return names as one enumeration: "a, b and c"."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def how_many(some: int, everything: int) -> str:
    """Return "all 6", "4 of 6" or "none of 6"."""
    return f"all {some}" if some == everything else f"{some or 'none'} of {everything}"


def load(arguments: argparse.Namespace) -> Data:
    """Return MNIST, full where it is at hand and else the bundled subset; print which."""
    source = None if arguments.bundled else mnist_source(arguments.data)
    if source is None:
        train, test = load_mnist(subset="bundled")
        name = "the bundled subset of MNIST"
    else:
        train, test = load_mnist(data_dir=source)
        name = f"full MNIST from {source}"
    print(f"data: {name}, {len(train[0])} training and {len(test[0])} test images")
    return Data(*train, *test)


def save(figure: plt.Figure, arguments: argparse.Namespace, name: str) -> None:
    """Write a picture to the folder for pictures and print where it is."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = (arguments.out / name).resolve()
    drawn = io.BytesIO()
    figure.savefig(drawn)
    plt.close(figure)
    with Image.open(drawn) as image:  # a palette takes a third of the bytes
        image.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE).save(path, optimize=True)
    print(f"picture: {path}")
