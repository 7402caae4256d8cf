"""``dataset.mnist``: MNIST as the book's function loads it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import datasets
from fastnn._utils.environment import variable
from fastnn.datasets.mnist import MIRRORS

__all__ = [
    "download_mnist",
    "img_dim",
    "img_size",
    "init_mnist",
    "key_file",
    "load_mnist",
    "np",
    "os",
    "test_num",
    "train_num",
]

train_num = 60000
test_num = 10000
img_dim = (1, 28, 28)
img_size = 784
key_file = {
    "train_img": "train-images-idx3-ubyte.gz",
    "train_label": "train-labels-idx1-ubyte.gz",
    "test_img": "t10k-images-idx3-ubyte.gz",
    "test_label": "t10k-labels-idx1-ubyte.gz",
}


_began = Path.cwd()  # scripts may go elsewhere before they load the data


def _folders() -> list[Path]:
    """Return the folders ``dataset`` in which the files may be, in the order to look.

    First those in which Python would find the script's own package of that name, then all upwards
    from the script and from the working directory.
    """
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    starts = [_began, Path.cwd()]
    if main is not None:
        starts.insert(0, Path(_began, main).resolve().parent)
    places = [Path(_began, entry) for entry in sys.path]
    for start in starts:
        places += [start, *start.parents]
    folders = dict.fromkeys(Path(os.path.normpath(place), "dataset") for place in places)
    return [folder for folder in folders if folder.is_dir()]


def _load(normalize: bool = True, flatten: bool = True) -> Any:
    folders = [] if variable("FASTNN_DATA_DIR") else _folders()
    for folder in folders:
        try:
            return datasets.load_mnist(normalize, flatten, data_dir=folder)
        except FileNotFoundError:  # without one of the files
            continue
    try:
        return datasets.load_mnist(normalize, flatten)
    except ConnectionError:
        without = f" ({', '.join(map(str, folders))} lacks some)" if folders else ""
        raise ConnectionError(
            "load_mnist: the four MNIST files are in no folder called dataset beside or above the "
            f"script or {_began}{without}, and could not be downloaded; put them in one, or in a "
            "folder that the environment variable FASTNN_DATA_DIR names"
        ) from None


def load_mnist(
    normalize: bool = True, flatten: bool = True, one_hot_label: bool = False
) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Load MNIST.

    The four IDX files, gzip or not, are looked for in the folder that ``FASTNN_DATA_DIR``
    names; without it in a folder ``dataset`` on the path on which Python looks for modules, then
    in the script's folder or above it, then in the working directory or above it; then in
    fastnn's cache folder, to which they are downloaded.

    Parameters
    ----------
    normalize : bool
        Images are float32 from 0 to 1 if true, else uint8.
    flatten : bool
        Images have shape (N, 784) if true, else (N, 1, 28, 28).
    one_hot_label : bool
        Labels are one-hot, float64 of shape (N, 10), if true, else uint8 of shape (N,).

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
    """
    train, test = _load(normalize, flatten)
    if one_hot_label:
        return (train[0], np.eye(10)[train[1]]), (test[0], np.eye(10)[test[1]])
    return train, test


def init_mnist() -> None:
    """See that the files are there, or download them."""
    _load()


def download_mnist() -> None:
    """See that the files are there, or download them."""
    _load()


def serves(own: Mapping[str, Any]) -> bool:
    """Say whether this reads what the script's own module does, by the names that it has.

    That is, if the four files lie beside the module, or if there is nothing but the place to
    download the digits from: neither a folder of the owner's choice nor the book's pickle.
    """
    beside = os.path.dirname(os.path.abspath(own["__file__"]))
    folder = own.get("dataset_dir", beside)
    if os.path.realpath(folder) != os.path.realpath(beside):
        return False
    try:
        return datasets.mnist_source(beside) is not None
    except FileNotFoundError:
        mirrors = {url.partition("//")[2] for url in MIRRORS}
        url = str(own.get("url_base", MIRRORS[0])).partition("//")[2]
        return url in mirrors and not os.path.exists(str(own.get("save_file", "")))
