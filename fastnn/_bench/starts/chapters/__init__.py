"""Small scripts such as the book's chapters have, and the plain NumPy code that they run on.

Those in `scripts` import ``common`` and ``dataset``. As ``python -m fastnn run`` starts them these
are fastnn's; as ``python plain/run.py`` does, which imports nothing of fastnn, what stands in that
file. Neither folder is a package: nobody is to import a script.
"""

from __future__ import annotations

import pickle
import struct
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent
PLAIN = FOLDER / "plain" / "run.py"
FILE = "mnist.pkl"

# By script, how many times as fast as on plain NumPy it is to be, from start to end.
LEAST = {
    "predict_one_by_one": 1.2,
    "train_by_hand": 1.2,
    "train_layers": 1.2,
    "check_gradients": 1.2,
    "descend_a_bowl": 1.2,
    "compare_optimizers": 3.0,
    "normalise_batches": 3.0,
    "decay_weights": 3.0,
}


def path_of(name: str) -> Path:
    """Return where a script is."""
    return FOLDER / "scripts" / f"{name}.py"


def write_data(folder: Path, train: int = 60_000, test: int = 10_000) -> None:
    """Write images and labels such as MNIST's, as files of its form and as one pickle."""
    rng = np.random.default_rng(0)
    arrays = {}
    for half, stem, n in (("train", "train", train), ("test", "t10k", test)):
        labels = rng.integers(0, 10, n).astype(np.uint8)
        images = rng.integers(0, 2, (n, 28, 28)).astype(np.uint8) * 100
        images[np.arange(n), 2 * labels + 4] = 255  # a line, higher or lower
        arrays[f"{half}_img"], arrays[f"{half}_label"] = images.reshape(n, 784), labels
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{stem}-{kind}-ubyte").write_bytes(header + array.tobytes())
    with (folder / FILE).open("wb") as file:
        pickle.dump(arrays, file, -1)
