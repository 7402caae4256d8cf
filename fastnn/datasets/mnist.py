"""MNIST: 28 x 28 grey images of handwritten digits, 60,000 to train on and 10,000 to test on."""

import io
import os
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from fastnn._utils.environment import variable
from fastnn._utils.files import path_of
from fastnn._utils.paths import cache_dir
from fastnn._utils.validation import brief
from fastnn.datasets import unpacked
from fastnn.datasets.idx import read_header, read_idx

__all__ = ["load_mnist", "mnist_source"]

T = TypeVar("T")

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "http://yann.lecun.com/exdb/mnist/",
)

_ROWS = 128  # images that are scaled at a time: 400 KB

_ADVICE = (
    "To go on without network: put the four files in a folder and pass data_dir= or set "
    "FASTNN_DATA_DIR, or use subset='bundled'."
)


class _File(NamedTuple):
    """One of the four files: its usual name, and what it holds when it is unpacked."""

    stem: str
    size: int
    sha256: str

    @property
    def names(self) -> tuple[str, ...]:
        """The names it goes by; unpacked first, which is several times faster to read."""
        dotted = self.stem.replace("-idx", ".idx")
        return (self.stem, dotted, f"{self.stem}.gz", f"{dotted}.gz")


_FILES = (
    _File(
        "train-images-idx3-ubyte",
        47_040_016,
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    _File(
        "train-labels-idx1-ubyte",
        60_008,
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    _File(
        "t10k-images-idx3-ubyte",
        7_840_016,
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    _File(
        "t10k-labels-idx1-ubyte",
        10_008,
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)

_Arrays = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]


def load_mnist(
    normalize: bool = True,
    flatten: bool = True,
    one_hot_label: bool = False,
    *,
    subset: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
) -> tuple[
    tuple[npt.NDArray[Any], npt.NDArray[Any]],
    tuple[npt.NDArray[Any], npt.NDArray[Any]],
]:
    """Load MNIST as the book's ``dataset.mnist.load_mnist`` does.

    Parameters
    ----------
    normalize : bool
        Images are float32 from 0 to 1 (pixel / 255) if true, else uint8 from 0 to 255.
    flatten : bool
        Images have shape (N, 784) if true, else (N, 1, 28, 28).
    one_hot_label : bool
        Labels are one-hot, float32 of shape (N, 10), if true, else uint8 of shape (N,). (The
        book's one-hot labels are float64; the values are the same.)
    subset : {None, "bundled"}
        None for the whole set. "bundled" for the part that is installed with fastnn, which
        needs no file and no network: 10,000 training and 2,000 test images, drawn from the
        training and the test set, 1,000 and 200 of each digit.
    data_dir : str or path-like, optional
        A folder with the four IDX files, gzip or not, or with a folder ``mnist`` that has them.
        Any set of the same form does, such as Fashion-MNIST. Without it the folder is that of
        the environment variable ``FASTNN_DATA_DIR``; without that, ``mnist`` in fastnn's cache
        folder, to which the files are downloaded the first time, with their SHA-256 checked.

    Returns
    -------
    (x_train, t_train), (x_test, t_test)
        Images and labels; writable arrays of the caller's own.

    Raises
    ------
    FileNotFoundError
        When a folder was given and lacks a file. Nothing is downloaded then.
    ConnectionError
        When the files had to be downloaded and no mirror gave them.
    ValueError
        When a file is not what it should be, or `subset` is unknown or goes with `data_dir`.

    Examples
    --------
    >>> (x_train, t_train), (x_test, t_test) = load_mnist(subset="bundled")
    >>> x_train.shape, t_train.shape, x_test.shape
    ((10000, 784), (10000,), (2000, 784))
    """
    if subset is None:
        x_train, t_train, x_test, t_test = _load_full(data_dir)
    elif subset != "bundled":
        raise ValueError(f"subset: expected None (the whole set) or 'bundled', got {subset!r}")
    elif data_dir is not None:
        raise ValueError(
            "data_dir: expected None with subset='bundled', which is installed with fastnn, "
            f"got {brief(data_dir)}"
        )
    else:
        x_train, t_train, x_test, t_test = _load_bundled()
    return (
        (_images(x_train, normalize, flatten), _labels(t_train, one_hot_label)),
        (_images(x_test, normalize, flatten), _labels(t_test, one_hot_label)),
    )


def mnist_source(data_dir: str | os.PathLike[str] | None = None) -> Path | None:
    """Say where ``load_mnist`` would read the whole set from; download nothing.

    Parameters
    ----------
    data_dir : str or path-like, optional
        As in ``load_mnist``.

    Returns
    -------
    Path or None
        The folder that has the four files, or None where they would have to be downloaded.

    Raises
    ------
    FileNotFoundError
        Where ``load_mnist`` raises it: `data_dir` or ``FASTNN_DATA_DIR`` is given and lacks a
        file.

    Examples
    --------
    The whole set if it is on this machine, else the bundled part of it:

    >>> data = load_mnist(subset=None if mnist_source() else "bundled")
    """
    if data_dir is not None:
        return _complete_folder("data_dir", data_dir)
    from_environment = variable("FASTNN_DATA_DIR")
    if from_environment:
        return _complete_folder("FASTNN_DATA_DIR", from_environment)
    folder = _download_folder()
    return None if _missing(folder) else folder


def _download_folder() -> Path:
    return cache_dir() / "mnist"


def _complete_folder(setting: str, given: str | os.PathLike[str]) -> Path:
    """Return the given folder, or ``mnist`` in it, whichever has all four files."""
    folder = Path(os.path.expanduser(path_of(setting, given)))
    # All from one folder, so that files of two sets are never mixed.
    candidates = (folder, folder / "mnist")
    for candidate in candidates:
        if not _missing(candidate):
            return candidate
    lines = [
        f"{setting}: expected a folder with the four MNIST files, got {folder}",
        "Each file may have any of these names:",
        *("  " + ", ".join(file.names) for file in _FILES),
    ]
    for candidate in candidates:
        if candidate.is_dir():
            missing = ", ".join(file.stem for file in _missing(candidate))
            lines.append(f"Missing in {candidate}: {missing}")
        else:
            lines.append(f"No such folder: {candidate}")
    raise FileNotFoundError("\n".join(lines))


def _find(file: _File, folder: Path) -> Path | None:
    paths = (folder / name for name in file.names)
    return next((path for path in paths if path.is_file()), None)


def _missing(folder: Path) -> list[_File]:
    return [file for file in _FILES if _find(file, folder) is None]


def _load_full(data_dir: str | os.PathLike[str] | None) -> _Arrays:
    folder = mnist_source(data_dir)
    if folder is None:
        folder = _download()
    paths = [_find(file, folder) or folder / file.stem for file in _FILES]
    x_train, t_train = _read_pair(paths[0], paths[1])
    x_test, t_test = _read_pair(paths[2], paths[3])
    return x_train, t_train, x_test, t_test


def _download() -> Path:
    """Fetch the files that the download folder lacks."""
    # Here: it imports much of the standard library, which takes longer than all of the rest.
    from fastnn.datasets.download import fetch

    folder = _download_folder()
    for file in _missing(folder):
        fetch(
            f"{file.stem}.gz",
            MIRRORS,
            folder,
            size=file.size,
            sha256=file.sha256,
            advice=_ADVICE,
        )
    return folder


def _read_pair(images_path: Path, labels_path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Read the images and the labels of one half of the set, and check that they are such."""
    # First what the files say of themselves: what is none of these takes no memory.
    dtype, shape = _read(read_header, images_path)
    if shape[1:] != (28, 28) or dtype != np.uint8 or not shape[0]:
        raise _wrong(images_path, "images, (n, 28, 28) of uint8", f"{shape} of {dtype.name}")
    dtype, of_labels = _read(read_header, labels_path)
    if len(of_labels) != 1 or dtype != np.uint8:
        raise _wrong(labels_path, "labels, (n,) of uint8", f"{of_labels} of {dtype.name}")
    if of_labels[0] != shape[0]:
        raise _wrong(
            labels_path,
            f"{shape[0]:,} labels, one for each image in {images_path}",
            f"{of_labels[0]:,}",
        )
    images, labels = _read(unpacked.read, images_path), _read(read_idx, labels_path)
    if labels.max() > 9:
        raise _wrong(labels_path, "labels from 0 to 9", f"a label {labels.max()}")
    return images, labels


def _read(reader: Callable[[Path], T], path: Path) -> T:
    try:
        return reader(path)
    except ValueError as error:
        raise ValueError(f"{error}{_remedy(path)}") from error


def _wrong(path: Path, expected: str, got: str) -> ValueError:
    return ValueError(f"{path}: expected {expected}, got {got}{_remedy(path)}")


def _remedy(path: Path) -> str:
    """Say how to get rid of a broken file, if it is one that fastnn downloaded."""
    if path.parent != _download_folder():
        return ""
    return f"\nDelete {path} and it will be downloaded again."


def _load_bundled() -> _Arrays:
    # Through memory, because what is in a zip file has no path.
    content = pkgutil.get_data("fastnn.datasets", "data/mnist_subset.npz")
    with np.load(io.BytesIO(content or b""), allow_pickle=False) as arrays:
        return arrays["x_train"], arrays["t_train"], arrays["x_test"], arrays["t_test"]


def _images(images: npt.NDArray[Any], normalize: bool, flatten: bool) -> npt.NDArray[Any]:
    """Return images as the caller wants them, in an array of its own."""
    shape = (-1, 784) if flatten else (-1, 1, 28, 28)
    if normalize:
        return _scaled(images).reshape(shape)
    return (images if images.flags.writeable else images.copy()).reshape(shape)


def _scaled(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return images / 255 in float32."""
    scaled = np.empty(images.shape, np.float32)
    # Some rows at a time, which stay in the cache: it takes half the time of a pass over all.
    for start in range(0, len(images), _ROWS):
        rows = scaled[start : start + _ROWS]
        np.copyto(rows, images[start : start + _ROWS])
        rows /= np.float32(255)
    return scaled


def _labels(labels: npt.NDArray[Any], one_hot: bool) -> npt.NDArray[Any]:
    return np.eye(10, dtype=np.float32)[labels] if one_hot else labels
