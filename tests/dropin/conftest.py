"""The book's code twice, its transcription and the drop-in, and what compares the two."""

import importlib
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rounding

import fastnn

HERE = Path(__file__).parent
DATA = Path(fastnn.__file__).parent / "datasets/data/mnist_subset.npz"

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

# Of the largest element of an array: sums are taken in another order, of up to some hundred terms,
# and so differ by their number's root of units, one after the other. In float64 there is room for
# much more of that, and still a mistake is larger. What NumPy computes in float16, the drop-in
# computes in the same way.
TERMS = 100
TOLERANCE = {"float64": 1e-10, "float32": 32 * np.finfo(np.float32).eps, "float16": 0.0}
SUMS = ["dot", "sum", "mean"]

NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


def folders(edition):
    """Return the folders that make the transcription importable, in their order on the path."""
    korean = HERE / "numpy_dlfs"
    return [korean] if edition == "dlfs" else [HERE / "numpy_dlfs_ja", korean, HERE]


def _ours():
    return {name for name in sys.modules if name.split(".")[0] in ("common", "dataset")}


@contextmanager
def transcription(edition):
    """Make ``common`` and ``dataset`` the transcription, and what they were before afterwards."""
    before = {name: sys.modules.pop(name) for name in _ours()}
    path = sys.path.copy()
    sys.path[:0] = map(str, folders(edition))
    try:
        yield
    finally:
        sys.path[:] = path
        for name in _ours():
            del sys.modules[name]
        sys.modules.update(before)


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

    def compare(self, action, *, exact=False, raises=None, tolerance=None, rounded=False):
        """Run ``action(side)`` with both and expect the same of both, random numbers included.

        A tolerance is of the largest element of an array. Where rounding is all there is of some
        numbers, or grows, ``rounded``: they may be as far apart as it carries the transcription.
        """
        book, book_state = self._run(self.book, action, raises)
        fast, fast_state = self._run(self.fast, action, raises)
        limits = {}
        if rounded:
            limits = rounding.limits(dict(numbers(book)), lambda seed: self._moved(action, seed))
        same(book, fast, 0.0 if exact else tolerance, limits)
        same(book_state, fast_state, 0.0)

    def _moved(self, action, seed):
        """Run the action with the transcription, which sums numbers that are moved."""
        rng = np.random.default_rng(seed)

        def of_moved(function):
            def sums(a, *args, **settings):
                if np.asarray(a).dtype.kind == "f":
                    a = rounding.moved(np.asarray(a), rng, TERMS)
                return function(a, *args, **settings)

            return sums

        with pytest.MonkeyPatch.context() as patch:
            for name in SUMS:
                patch.setattr(np, name, of_moved(getattr(np, name)))
            return dict(numbers(self._run(self.book, action, None)[0]))

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


def numbers(value, where="result"):
    """Return the arrays and numbers that a value holds, with where they are."""
    if isinstance(value, Mapping):
        for key in value:
            yield from numbers(value[key], f"{where}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for i, one in enumerate(value):
            yield from numbers(one, f"{where}[{i}]")
    elif isinstance(value, (np.ndarray, np.generic, float)):
        yield where, np.asarray(value)


def same(book, fast, tolerance=None, limits=None, where="result"):
    """Compare two values and what they hold: types, shapes, dtypes and numbers."""
    assert type(fast).__name__ == type(book).__name__, where
    if isinstance(book, Mapping):
        assert list(fast) == list(book), where
        for key in book:
            same(book[key], fast[key], tolerance, limits, f"{where}[{key!r}]")
    elif isinstance(book, (list, tuple)):
        assert len(fast) == len(book), where
        for i, (one, other) in enumerate(zip(book, fast, strict=True)):
            same(one, other, tolerance, limits, f"{where}[{i}]")
    elif isinstance(book, (np.ndarray, np.generic, float)):
        if not isinstance(book, float) or isinstance(book, np.generic):
            assert fast.dtype == book.dtype, where
            assert fast.shape == book.shape, where
        if isinstance(book, np.ndarray):
            assert fast.flags.writeable == book.flags.writeable, where
        room = (limits or {}).get(where, 0.0)
        _same_numbers(np.asarray(book), np.asarray(fast), tolerance, room, where)
    elif isinstance(book, (int, str, type(None), type)):
        assert fast == book, where


def _same_numbers(book, fast, tolerance, room, where):
    if not np.issubdtype(book.dtype, np.inexact):
        np.testing.assert_array_equal(fast, book, err_msg=where)
        return
    relative = TOLERANCE[book.dtype.name] if tolerance is None else tolerance
    finite = np.abs(book[np.isfinite(book)]).astype(np.float64)
    room = max(relative * finite.max(initial=0.0), room)
    np.testing.assert_allclose(fast, book, rtol=0.0, atol=room, err_msg=where, equal_nan=True)


def same_text(book, fast, relative=1e-10, absolute=0.0):
    """Compare two texts: words must be equal, and so must integers; others be close.

    Where NumPy breaks the lines of an array depends on the digits that its numbers have.
    """
    assert [x.split() for x in NUMBER.split(fast)] == [x.split() for x in NUMBER.split(book)]
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


# Imports what ``python -m fastnn`` does, loads kernels, and then, for each line of its input, goes
# on as that command in a child. What it does before takes most of two seconds, and there are many
# scripts to run.
SERVER = """
import json, os, runpy, sys
import numpy as np
import fastnn._cli.commands, fastnn.dropin._run
from fastnn import dropin

with dropin.installed("dlfs"):
    from common import optimizer
    from common.layers import Convolution, Pooling
    from common.multi_layer_net_extend import MultiLayerNetExtend

x, t = np.ones((2, 8)), np.array([0, 1])
for normalised in False, True:
    net = MultiLayerNetExtend(8, [4], 3, use_dropout=normalised, use_batchnorm=normalised)
    for name in "SGD", "Momentum", "AdaGrad", "RMSprop", "Adam":
        getattr(optimizer, name)().update(net.params, net.gradient(x, t))
    net.accuracy(x, t)
for layer in Convolution(np.ones((1, 1, 3, 3)), np.zeros(1)), Pooling(2, 2):
    layer.backward(layer.forward(np.ones((1, 1, 6, 6))))

for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        break
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
else:
    sys.exit()
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
for number, name in (1, "stdout"), (2, "stderr"):
    os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
os.chdir(job["folder"])
sys.argv = ["fastnn", *job["arguments"]]
sys.path[0] = job["folder"]
try:
    runpy._run_module_as_main("fastnn")  # in __main__ itself, as python -m does
except SystemExit as end:
    code = end.code or 0
except KeyboardInterrupt:
    code = 130  # what a shell makes of it
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)  # to tear down all that was loaded takes half a second
"""


def environment():
    """Return the variables of this process without those that say where modules and data are."""
    return {k: v for k, v in os.environ.items() if k not in ("FASTNN_DATA_DIR", "PYTHONPATH")}


class Command:
    """Runs ``python -m fastnn run --as dlfs SCRIPT ...`` in a folder."""

    def __init__(self, server, folder):
        self._server = server
        self._files = {name: folder / name for name in ("stdout", "stderr")}

    def __call__(self, folder, *arguments, name="dlfs"):
        command = ["run", "--as", name, *map(str, arguments)]
        files = {key: str(file) for key, file in self._files.items()}
        job = {"folder": str(folder), "arguments": command, **files}
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        texts = [file.read_text() for file in self._files.values()]
        return subprocess.CompletedProcess(command, code, *texts)

    @staticmethod
    def alone(folder, *arguments, name="dlfs"):
        """Run it as a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "fastnn", "run", "--as", name, *map(str, arguments)],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def run_fastnn(tmp_path_factory):
    """Return what runs scripts on fastnn."""
    if not hasattr(os, "fork"):
        yield Command.alone
        return
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        yield Command(server, tmp_path_factory.mktemp("output"))
        server.stdin.close()


@pytest.fixture(scope="session")
def run_alone():
    """Return what runs a script on fastnn in a process of its own."""
    return Command.alone
