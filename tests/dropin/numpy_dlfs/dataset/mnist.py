"""The book's ``load_mnist`` on files that are there: FASTNN_DATA_DIR's, else fastnn's subset."""

import gzip
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np

_SUBSET = Path(find_spec("fastnn").origin).parent / "datasets/data/mnist_subset.npz"


def _read(stem, header):
    path = Path(os.environ["FASTNN_DATA_DIR"]) / stem
    if path.exists():
        return np.frombuffer(path.read_bytes(), np.uint8, offset=header).copy()
    with gzip.open(f"{path}.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=header).copy()


def _arrays():
    if "FASTNN_DATA_DIR" in os.environ:
        for half in "train", "t10k":
            yield _read(f"{half}-images-idx3-ubyte", 16).reshape(-1, 784)
            yield _read(f"{half}-labels-idx1-ubyte", 8)
    else:
        with np.load(_SUBSET) as arrays:
            for half in "train", "test":
                yield arrays[f"x_{half}"].reshape(-1, 784)
                yield arrays[f"t_{half}"]


def _one_hot(labels):
    rows = np.zeros((labels.size, 10))
    for row, label in zip(rows, labels, strict=True):
        row[label] = 1
    return rows


def load_mnist(normalize=True, flatten=True, one_hot_label=False):
    x_train, t_train, x_test, t_test = _arrays()
    if normalize:
        x_train = x_train.astype(np.float32) / np.float32(255)
        x_test = x_test.astype(np.float32) / np.float32(255)
    if one_hot_label:
        t_train, t_test = _one_hot(t_train), _one_hot(t_test)
    if not flatten:
        x_train = x_train.reshape(-1, 1, 28, 28)
        x_test = x_test.reshape(-1, 1, 28, 28)
    return (x_train, t_train), (x_test, t_test)
