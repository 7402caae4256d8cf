"""The book's code twice, its transcription and the drop-in, and what compares the two."""

import importlib
import re
import struct
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
DATA = HERE.parent.parent / "fastnn/datasets/data/mnist_subset.npz"

COMMON = [
    "functions",
    "gradient",
    "layers",
    "multi_layer_net",
    "multi_layer_net_extend",
    "optimizer",
    "trainer",
    "util",
]
NAMES = [*(f"common.{name}" for name in COMMON), "dataset.mnist"]

# Of the largest element of an array: sums are taken in another order, of up to some hundred terms.
# What NumPy computes in float16, the drop-in computes in the same way.
TOLERANCE = {"float64": 1e-10, "float32": 32 * np.finfo(np.float32).eps, "float16": 0.0}

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def folders(edition):
    """Return the folders that make the transcription importable, in their order on the path."""
    korean = HERE / "numpy_dlfs"
    return [korean] if edition == "dlfs" else [HERE / "numpy_dlfs_ja", korean, HERE]


def _ours():
    return {name for name in sys.modules if name.split(".")[0] in ("common", "dataset")}


@contextmanager
def transcription(edition):
    """Make ``common`` and ``dataset`` the transcription, and nothing again afterwards."""
    assert not _ours()
    path = sys.path.copy()
    sys.path[:0] = map(str, folders(edition))
    try:
        yield
    finally:
        sys.path[:] = path
        for name in _ours():
            del sys.modules[name]


class Side:
    """The modules of one of the two, as attributes: ``side.layers.Relu``."""

    def __init__(self, notes):
        for name in NAMES:
            setattr(self, name.split(".")[-1], importlib.import_module(name))
        self._notes = notes
        self._at = 0

    def start(self, writes):
        """Begin a run; one that writes notes down, or one that follows them."""
        self._at = 0
        self._writes = writes
        if writes:
            self._notes.clear()

    def visible(self, thing):
        """Return the attributes of a layer or optimizer that the transcription's one has."""
        if self._writes:
            self._notes.append(list(vars(thing)))
        names = self._notes[self._at]
        self._at += 1
        return {name: getattr(thing, name) for name in names if not name.startswith("_")}


class Pair:
    """The transcription (``book``) and the drop-in (``fast``)."""

    def __init__(self, edition):
        import fastnn.dropin

        self.edition = edition
        notes = []
        with transcription(edition):
            self.book = Side(notes)
        with fastnn.dropin.installed(edition):
            self.fast = Side(notes)

    def compare(self, action, *, exact=False, raises=None, tolerance=None, floor=0.0):
        """Run ``action(side)`` with both and expect the same of both, random numbers included.

        A tolerance is of the largest element of an array, a floor as it stands.
        """
        book, book_state = self._run(self.book, action, raises)
        fast, fast_state = self._run(self.fast, action, raises)
        same(book, fast, 0.0 if exact else tolerance, floor)
        same(book_state, fast_state, 0.0, where="np.random")

    def _run(self, side, action, raises):
        np.random.seed(20)
        side.start(side is self.book)
        # The compiled code sets no floating-point flags, so that it warns of nothing.
        with np.errstate(all="ignore"):
            if raises is None:
                result = action(side)
            else:
                with pytest.raises(raises) as info:
                    action(side)
                result = info.type.__name__
        return result, np.random.get_state()


def same(book, fast, tolerance=None, floor=0.0, where="result"):
    """Compare two values and what they hold: types, shapes, dtypes and numbers."""
    assert type(fast).__name__ == type(book).__name__, where
    if isinstance(book, Mapping):
        assert list(fast) == list(book), where
        for key in book:
            same(book[key], fast[key], tolerance, floor, f"{where}[{key!r}]")
    elif isinstance(book, (list, tuple)):
        assert len(fast) == len(book), where
        for i, (one, other) in enumerate(zip(book, fast, strict=True)):
            same(one, other, tolerance, floor, f"{where}[{i}]")
    elif isinstance(book, (np.ndarray, np.generic, float)):
        if not isinstance(book, float) or isinstance(book, np.generic):
            assert fast.dtype == book.dtype, where
            assert fast.shape == book.shape, where
        if isinstance(book, np.ndarray):
            assert fast.flags.writeable == book.flags.writeable, where
        _same_numbers(np.asarray(book), np.asarray(fast), tolerance, floor, where)
    elif isinstance(book, (int, str, type(None), type)):
        assert fast == book, where


def _same_numbers(book, fast, tolerance, floor, where):
    if not np.issubdtype(book.dtype, np.inexact):
        np.testing.assert_array_equal(fast, book, err_msg=where)
        return
    relative = TOLERANCE[book.dtype.name] if tolerance is None else tolerance
    finite = np.abs(book[np.isfinite(book)]).astype(np.float64)
    room = max(relative * finite.max(initial=0.0), floor)
    np.testing.assert_allclose(fast, book, rtol=0.0, atol=room, err_msg=where, equal_nan=True)


def same_text(book, fast, relative=1e-10, absolute=0.0):
    """Compare two texts: words must be equal, and so must whole numbers; others be close."""
    assert NUMBER.split(fast) == NUMBER.split(book)
    for one, other in zip(NUMBER.findall(book), NUMBER.findall(fast), strict=True):
        if one != other:
            assert not (one.lstrip("+-").isdigit() and other.lstrip("+-").isdigit()), (one, other)
            assert float(other) == pytest.approx(float(one), rel=relative, abs=absolute)


def write_idx(folder, train=500, test=200):
    """Write a part of the bundled images and labels as the four files of MNIST."""
    folder.mkdir(parents=True, exist_ok=True)
    with np.load(DATA) as arrays:
        for half, stem, size in ("train", "train", train), ("test", "t10k", test):
            images, labels = arrays[f"x_{half}"][:size], arrays[f"t_{half}"][:size]
            head = struct.pack(">4I", 0x803, size, 28, 28)
            (folder / f"{stem}-images-idx3-ubyte").write_bytes(head + images.tobytes())
            head = struct.pack(">2I", 0x801, size)
            (folder / f"{stem}-labels-idx1-ubyte").write_bytes(head + labels.tobytes())


@pytest.fixture(scope="session")
def dlfs():
    """The Korean edition, which is ``install("dlfs")``."""
    return Pair("dlfs")


@pytest.fixture(scope="session")
def dlfs_ja():
    """The Japanese edition."""
    return Pair("dlfs-ja")


@pytest.fixture(scope="session", params=["dlfs", "dlfs_ja"])
def edition(request):
    """Each of the two editions."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session", name="same_text")
def same_text_fixture():
    """Return what compares two texts."""
    return same_text


@pytest.fixture(scope="session")
def idx_files(tmp_path_factory):
    """Return a folder with the four files, which hold 500 and 200 images."""
    folder = tmp_path_factory.mktemp("mnist")
    write_idx(folder)
    return folder


@pytest.fixture(scope="session")
def book_path():
    """Return the folders that make the transcription of the Korean edition importable."""
    return folders("dlfs")
