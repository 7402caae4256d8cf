"""Make the part of MNIST that is installed with fastnn.

``python -m fastnn.datasets.make_subset DIR`` draws it from the IDX files in DIR.
"""

import argparse
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn.datasets.mnist import load_mnist

__all__ = ["main", "make_subset"]

TRAIN_PER_CLASS = 1000
TEST_PER_CLASS = 200


def make_subset(data_dir: Path, seed: int = 0) -> bytes:
    """Draw the same number of images of each digit from the whole set.

    Parameters
    ----------
    data_dir : Path
        The folder of the whole set, as in ``load_mnist``.
    seed : int
        Of the drawing.

    Returns
    -------
    bytes
        An npz file with uint8 arrays ``x_train`` (10000, 28, 28), ``t_train`` (10000,),
        ``x_test`` (2000, 28, 28) and ``t_test`` (2000,). The same seed and the same versions of
        NumPy and zlib give the same bytes.

    Raises
    ------
    ValueError
        When the set has too few images of a digit.
    """
    (x_train, t_train), (x_test, t_test) = load_mnist(
        normalize=False, flatten=False, data_dir=data_dir
    )
    rng = np.random.default_rng(seed)
    train = _draw(t_train, TRAIN_PER_CLASS, "training", rng)
    test = _draw(t_test, TEST_PER_CLASS, "test", rng)
    npz = io.BytesIO()
    np.savez_compressed(
        npz,
        x_train=x_train[train, 0],
        t_train=t_train[train],
        x_test=x_test[test, 0],
        t_test=t_test[test],
    )
    return npz.getvalue()


def _draw(
    labels: npt.NDArray[Any], per_class: int, what: str, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Return the places of `per_class` labels of each digit, in random order."""
    drawn = []
    for digit in range(10):
        places = np.flatnonzero(labels == digit)
        if len(places) < per_class:
            raise ValueError(
                f"expected at least {per_class} {what} images of digit {digit}, got {len(places)}"
            )
        drawn.append(rng.choice(places, per_class, replace=False))
    return rng.permutation(np.concatenate(drawn))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, optional
        Its arguments; those of the process if None.
    """
    parser = argparse.ArgumentParser(
        prog="python -m fastnn.datasets.make_subset",
        description=f"Draw {TRAIN_PER_CLASS} training and {TEST_PER_CLASS} test images of each "
        "digit from MNIST and write them to one npz file.",
    )
    parser.add_argument(
        "dir", metavar="DIR", type=Path, help="folder with the four IDX files, gzip or not"
    )
    parser.add_argument(
        "--out",
        metavar="PATH",
        type=Path,
        default=Path(__file__).parent / "data" / "mnist_subset.npz",
        help="file to write (default: the bundled file, %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the drawing (default: 0)")
    arguments = parser.parse_args(argv)
    try:
        npz = make_subset(arguments.dir, arguments.seed)
        arguments.out.write_bytes(npz)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(f"{arguments.out}: {len(npz):,} bytes")


if __name__ == "__main__":
    main()
