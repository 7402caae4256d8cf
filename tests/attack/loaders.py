"""Damaged and crafted files for all that reads files: a ValueError or OSError that names the file.

Each file is read in a forked child with little more memory than it begins with, and a time limit.
A file that is accepted must give what works; one that is refused must have changed nothing.
"""

from __future__ import annotations

import functools
import json
import random
import resource
import struct
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import fastnn
from fastnn import callbacks
from fastnn.datasets import load_mnist
from fastnn.datasets.idx import read_idx
from fastnn.search import Uniform, load, search
from tests.attack import mutations, small
from tests.attack.children import forked, in_short, shared
from tests.attack.kills import wait_less
from tests.attack.mutations import Mutation
from tests.attack.outcome import Outcome

RANK, UNIT, FULL, CHUNK = 8, "files", 20_000, 1000

MEMORY = 300 << 20  # bytes more than before, for files of some kB
LIMIT = 60.0  # seconds, of which a busy machine takes most


def attack(amount: int, seed: int) -> Outcome:
    """Read so many files, loader after loader."""
    began = time.monotonic()
    figures, failures = shared(_all, amount, seed)
    return Outcome(
        "loaders",
        "A damaged or crafted file gives a ValueError or OSError that names it, in little memory "
        "and time, and changes nothing; what is accepted works.",
        "tests/attack/test_loaders.py",
        {UNIT: amount, **figures},
        failures,
        time.monotonic() - began,
        f"python -m tests.attack loaders --amount {amount} --seed {seed}",
    )


@dataclass(frozen=True)
class Loader:
    """Something that reads a file.

    Attributes
    ----------
    name : str
    make : function of a path
        Writes a good file.
    read : function of a path
        Reads it, uses what it gets, and raises Changed if a refusal changes something.
    ways : tuple of function
        How files are changed.
    """

    name: str
    make: Callable[[Path], None]
    read: Callable[[Path], None]
    ways: tuple[Mutation, ...]


class Broken(Exception):
    """A promise that does not hold."""


def _trained(path: Path) -> None:
    small.train(small.network(), 2, callbacks=[callbacks.Checkpoint(path)])


def _network(path: Path) -> None:
    net = small.network()
    small.train(net, 1)
    net.save(path)


def _stack(path: Path) -> None:
    from fastnn.layers import Affine, BatchNormalization, Convolution, Dropout, MaxPool, Relu

    net = fastnn.Network(
        [Convolution(2, 3), Relu(), MaxPool(2, 2), Affine(4), BatchNormalization(), Dropout(0.1),
         Affine(3)], input_size=(1, 6, 6), seed=0,
    )  # fmt: skip
    net.predict(np.zeros((2, 1, 6, 6)), train_flg=True)
    net.save(path)


def _use(net: fastnn.Network) -> None:
    """Call what was accepted: what a file says may be nonsense, but no error comes late."""
    size = np.atleast_1d(net.input_size)
    try:
        net.predict(np.zeros((2, *size), np.float32))
    except Exception as error:
        raise Broken(f"accepted, but predict says {type(error).__name__}: {error}") from error


def _load(path: Path) -> None:
    _use(fastnn.load(path))


def _load_into(path: Path) -> None:
    net = small.network()
    before = small.bits(net)
    try:
        net.load(path)
    except Exception:
        if small.bits(net) != before:
            raise Broken("a refusal has changed the network") from None
        raise
    _use(net)


def _load_checkpoint(path: Path) -> None:
    net, optimizer = small.network(), fastnn.optimizers.Adam(0.5)
    before, of_optimizer = small.bits(net), repr(vars(optimizer))
    try:
        history = callbacks.load_checkpoint(path, net, optimizer)
    except Exception:
        if small.bits(net) != before or repr(vars(optimizer)) != of_optimizer:
            raise Broken("a refusal has changed network or optimizer") from None
        raise
    _use(net)
    try:
        small.train(net, history.epochs + 1, resume=history)
    except (TypeError, ValueError, RuntimeWarning):  # another training than this one
        pass
    except Exception as error:
        raise Broken(f"accepted, but fit says {type(error).__name__}: {error}") from error


def _images(path: Path) -> None:
    images = np.arange(2 * 28 * 28, dtype=np.uint8)
    path.write_bytes(b"\0\0\x08\x03" + struct.pack(">III", 2, 28, 28) + images.tobytes())


def _read_mnist(path: Path) -> None:
    """Read the file as one of the four of MNIST."""
    folder = path.parent / "mnist"
    folder.mkdir(exist_ok=True)
    names = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"
    (folder / names[0]).write_bytes(path.read_bytes())
    _images(folder / names[1])
    for name in ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"):
        (folder / name).write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 2) + b"\1\2")
    try:
        load_mnist(data_dir=folder)
    except ValueError as error:
        if names[0] not in str(error) and "train-labels" not in str(error):
            raise
        raise ValueError(f"{path}: {error}") from error


def _train(trial: Any) -> float:
    trial.report(trial["a"])
    return float(trial["a"])


def _searched(path: Path) -> None:
    search(_train, {"a": Uniform(0, 1)}, 3, seed=4, storage=path, verbose=False)


def _logged(path: Path) -> None:
    folder = path.parent
    chosen = [callbacks.CSVLogger(path), callbacks.Checkpoint(folder / "of the log.npz")]
    small.train(small.network(), 2, callbacks=chosen)


def _log_on(path: Path) -> None:
    net = small.network()
    history = callbacks.load_checkpoint(path.parent / "of the log.npz", net)
    small.train(net, 3, resume=history, callbacks=[callbacks.CSVLogger(path)])
    rows = path.read_text().splitlines()
    if [row.split(",")[0] for row in rows] != ["epoch", "1", "2", "3"]:
        raise Broken(f"the rows after a resumed training are {rows}")


_ARCHIVE = (mutations.archive, mutations.archive, mutations.archive, mutations.damaged)
_LINES = (mutations.lines, mutations.lines, mutations.damaged)
LOADERS = (
    Loader("fastnn.load", _network, _load, _ARCHIVE),
    Loader("fastnn.load of a stack", _stack, _load, _ARCHIVE),
    Loader("network.load", _network, _load_into, _ARCHIVE),
    Loader("load_checkpoint", _trained, _load_checkpoint, _ARCHIVE),
    Loader("read_idx", _images, lambda path: _nothing(read_idx(path)),
           (mutations.idx, mutations.damaged)),
    Loader("load_mnist", _images, _read_mnist, (mutations.idx, mutations.damaged)),
    Loader("search.load", _searched, lambda path: _nothing(str(load(path))), _LINES),
    Loader("search", _searched, _searched, _LINES),
    Loader("CSVLogger", _logged, _log_on, _LINES),
)  # fmt: skip


def _nothing(value: Any) -> None:
    """Take a value, which was to be made only."""


def _all(amount: int, seed: int) -> tuple[dict[str, Any], list[str]]:
    """Read files, in a process that forks for each."""
    wait_less()
    figures, failures = files(LOADERS, amount, seed)
    return figures, failures


def files(loaders: Any, amount: int, seed: int) -> tuple[dict[str, Any], list[str]]:
    """Read so many changed files by some loaders in turn; return figures and failures."""
    warnings.simplefilter("ignore")
    made: dict[str, bytes] = {}
    found: dict[str, int] = {"accepted": 0, "refused": 0}
    failures: list[str] = []
    longest = 0.0
    with tempfile.TemporaryDirectory() as place:
        for loader in loaders:
            path = Path(place, "good.file")
            loader.make(path)
            made[loader.name] = path.read_bytes()
            loader.read(path)
            path.unlink()
        for number in range(seed, seed + amount):
            loader = loaders[number % len(loaders)]
            random_ = random.Random(f"{loader.name} {number}")
            way = random_.choice(loader.ways)
            path = Path(place, f"file-{number}")
            path.write_bytes(way(made[loader.name], random_))
            began = time.perf_counter()
            end = forked(_read, loader, path, limit=LIMIT)
            longest = max(longest, time.perf_counter() - began)
            if end.value in found:
                found[end.value] += 1
            else:
                what = end.value or in_short(end.error)
                failures.append(
                    f"python -m tests.attack loaders --amount 1 --seed {number}: "
                    f"{loader.name}, {way.__name__}: {what[:600]}"
                )
            path.unlink()
    return {**found, "longest, s": round(longest, 3)}, failures


def _read(loader: Loader, path: Path) -> str:
    """Read a file with a limit on memory; return what came of it."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    return judged(loader, path)


def judged(loader: Loader, path: Path) -> str:
    """Read a file; return "accepted", "refused", or what does not hold."""
    try:
        loader.read(path)
    except Broken as error:
        return str(error)
    except (ValueError, OSError) as error:
        if isinstance(error, (UnicodeError, json.JSONDecodeError)) or path.name not in str(error):
            return f"an error that does not name the file: {type(error).__name__}: {error}"
        return "refused"
    except MemoryError as error:
        return f"more than {MEMORY >> 20} MB: {type(error).__name__}: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "accepted"


@functools.cache
def contents(name: str) -> bytes:
    """Return a good file of a loader, for other attacks."""
    loader = next(each for each in LOADERS if each.name == name)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "file")
        loader.make(path)
        return path.read_bytes()
