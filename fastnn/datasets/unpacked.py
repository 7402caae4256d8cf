"""Arrays of packed files, kept unpacked: only the first process on a machine unpacks them."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastnn._utils.files import replacing
from fastnn._utils.paths import cache_dir
from fastnn.datasets.idx import is_packed, read_header, read_idx

LEAST = 1 << 20  # bytes of a packed file that is worth it: smaller ones take milliseconds


def read(path: Path) -> npt.NDArray[Any]:
    """Return what :func:`fastnn.datasets.read_idx` does, or a mapped file's, only to be read.

    Parameters
    ----------
    path : Path
        An IDX file. Of a gzip file the array is kept in fastnn's cache folder, under the digest of
        the file's content, where the next process finds it.

    Returns
    -------
    ndarray
        As the file has it.

    Raises
    ------
    FileNotFoundError, ValueError
        As of :func:`fastnn.datasets.read_idx`.
    """
    if path.stat().st_size < LEAST or not is_packed(path):
        return read_idx(path)
    place = _place(path)
    dtype, shape = read_header(path)
    kept = _kept(place)
    if kept is not None and (kept.dtype, kept.shape) == (dtype.newbyteorder("="), shape):
        return kept
    array = read_idx(path)
    with suppress(OSError):  # it was unpacked all the same
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as file:
            np.save(file, array, allow_pickle=False)
    return array


def _place(path: Path) -> Path:
    """Return where the array of a packed file is kept."""
    return cache_dir() / "unpacked" / f"{hashlib.sha256(path.read_bytes()).hexdigest()}.npy"


def _kept(place: Path) -> npt.NDArray[Any] | None:
    """Return an array that is kept, mapped, or None if there is none that is whole."""
    if not os.path.exists(place):
        return None
    try:
        array: npt.NDArray[Any] = np.load(place, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return np.asarray(array)
