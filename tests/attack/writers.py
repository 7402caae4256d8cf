"""Each writer in the package: what it writes, and what must hold whenever it is killed.

``places`` are the functions of the sources that write; a test finds those that no writer here has.
"""

from __future__ import annotations

import csv
import functools
import gzip
import hashlib
import http.server
import io
import os
import threading
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numba
import numpy as np

import fastnn
from fastnn import callbacks
from fastnn.datasets import unpacked
from fastnn.datasets.download import fetch
from fastnn.dropin.cs231n.classifiers import _saved
from fastnn.dropin.cs231n.solver import Solver
from fastnn.kernels.codegen import cache
from fastnn.search import Uniform, load, search
from tests.attack import small


class Writer:
    """Something that writes into a folder."""

    name: str
    places: tuple[str, ...]

    def begin(self, folder: Path) -> None:
        """Make what is there before the run that is killed."""

    def write(self, folder: Path) -> None:
        """Write, or go on after a kill."""
        raise NotImplementedError

    def look(self, folder: Path) -> Any:
        """Look at what a kill has left; raise if it is neither the old nor the new whole."""

    def end(self, folder: Path, seen: Any) -> Any:
        """Return what is there in the end, the same for each way that leads there."""
        raise NotImplementedError


class NetworkSave(Writer):
    """``network.save`` over a file that is there."""

    name = "network.save"
    places = (
        "fastnn/_utils/archive.py:write",
        "fastnn/_utils/files.py:replacing",
        "fastnn/_utils/files.py:_new_part",
        "fastnn/_utils/files.py:_remove_unless_written",
    )

    file = "net.npz"

    def begin(self, folder: Path) -> None:
        self._network(1).save(folder / self.file)

    def write(self, folder: Path) -> None:
        self._network(2).save(folder / self.file)

    @staticmethod
    @functools.cache
    def _network(epochs: int) -> fastnn.Network:
        net = small.network(use_dropout=False)
        small.train(net, epochs)
        return net

    def look(self, folder: Path) -> str:
        got = small.bits(fastnn.load(folder / self.file))
        old, new = (small.bits(self._network(epochs)) for epochs in (1, 2))
        assert got in (old, new), "neither the old network nor the new one"
        return "old" if got == old else "new"

    def end(self, folder: Path, seen: Any) -> Any:
        return small.bits(fastnn.load(folder / self.file))


class TensorsSave(NetworkSave):
    """The same as safetensors, array by array, as ONNX files are written."""

    name = "network.save, safetensors"
    places = ("fastnn/_utils/files.py:writing",)
    file = "net.safetensors"


class Training(Writer):
    """``fit`` with a Checkpoint: goes on where the file says; and with a CSVLogger beside it."""

    name = "Checkpoint"
    places = ()
    epochs = 4
    logged = False

    def write(self, folder: Path) -> None:
        self._train(folder, self.epochs)

    def _train(self, folder: Path, epochs: int) -> None:
        path = folder / "training.npz"
        net, history = small.network(), None
        if path.exists():
            history = callbacks.load_checkpoint(path, net)
        chosen: list[callbacks.Callback] = [callbacks.Checkpoint(path)]
        if self.logged:
            chosen.append(callbacks.CSVLogger(folder / "log.csv"))
        if history is None or history.epochs < epochs:
            small.train(net, epochs, callbacks=chosen, resume=history)

    def look(self, folder: Path) -> Any:
        path = folder / "training.npz"
        if not path.exists():
            return 0
        net = small.network()
        history = callbacks.load_checkpoint(path, net)
        again = small.network()
        small.train(again, history.epochs)
        assert small.bits(net) == small.bits(again), "not the network of the history's last epoch"
        return history.epochs

    def end(self, folder: Path, seen: Any) -> Any:
        net = small.network()
        history = callbacks.load_checkpoint(folder / "training.npz", net)
        averages = {key: value.tolist() for key, value in (history.averages or {}).items()}
        return small.bits(net), history.step_losses, history.val_loss, averages


class Logged(Training):
    """The rows of a CSVLogger, over trainings that are killed and resumed."""

    name = "CSVLogger"
    places = ("fastnn/training/epoch_rows.py:write", "fastnn/training/epoch_rows.py:_replace")
    logged = True

    def begin(self, folder: Path) -> None:
        self._train(folder, 2)

    def end(self, folder: Path, seen: Any) -> Any:
        with open(folder / "log.csv", newline="") as file:
            rows = [row[:-1] for row in csv.reader(file)]  # the last column is of seconds
        assert len(rows) == 1 + self.epochs, f"{rows}"
        return rows, super().end(folder, seen)


class SearchStorage(Writer):
    """A search with its storage in a file."""

    name = "search"
    places = ("fastnn/search/_storage.py:append_logs",)
    trials = 3

    def write(self, folder: Path) -> None:
        def train(trial: Any) -> float:
            trial.report(trial["a"])
            return trial["a"]

        path = folder / "trials.log"
        search(train, {"a": Uniform(0, 1)}, self.trials, seed=4, storage=path, verbose=False)

    def look(self, folder: Path) -> dict[int, Any]:
        path = folder / "trials.log"
        try:
            return {trial.number: repr(trial["a"]) for trial in load(path)}
        except (FileNotFoundError, ValueError) as error:  # no file, no search in it yet
            assert "damaged" not in str(error), error
            return {}

    def end(self, folder: Path, seen: dict[int, Any]) -> Any:
        after = self.look(folder)
        assert len(after) == self.trials, f"{len(after)} trials"
        assert after.items() >= seen.items(), "a finished trial was lost"
        return None  # a trial that was killed is left out: its number is missing


class _Files(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(Download.packed)))
        self.end_headers()
        self.wfile.write(Download.packed)

    def log_message(self, *args: Any) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *args: Any) -> None:
        """Say nothing of clients that were killed."""


class Download(Writer):
    """A file of a data set, from a server on this machine."""

    name = "download"
    places = (
        "fastnn/datasets/download.py:_receive",
        "fastnn/datasets/download.py:fetch",
        "fastnn/datasets/download.py:_make_folder",
    )
    content = np.random.default_rng(0).bytes(400_000)
    packed = gzip.compress(content, 1)

    @staticmethod
    @functools.cache
    def _mirror() -> str:
        server = _Server(("127.0.0.1", 0), _Files)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/"

    def begin(self, folder: Path) -> None:
        self._mirror()  # in the process that forks, not in a child

    def write(self, folder: Path) -> None:
        digest = hashlib.sha256(self.content).hexdigest()
        if not (folder / "data" / "file.gz").exists():
            os.environ["no_proxy"] = "*"
            fetch(
                "file.gz", [self._mirror()], folder / "data", size=len(self.content), sha256=digest
            )

    def look(self, folder: Path) -> str:
        path = folder / "data" / "file.gz"
        if not path.exists():
            return "none"
        assert path.read_bytes() == self.packed, "not the whole file under its name"
        return "new"

    def end(self, folder: Path, seen: Any) -> Any:
        return self.look(folder)


def kernels_in(folder: Path | None) -> None:
    """Let machine code be kept in a folder, or again where it was."""
    if folder is None:
        os.environ.pop("FASTNN_CACHE_DIR", None)
    else:
        os.environ["FASTNN_CACHE_DIR"] = str(folder)
    for function in vars(cache).values():
        if hasattr(function, "cache_clear"):  # what has looked at the folder before
            function.cache_clear()


def _add(x, y):  # compiled by numba, which takes no annotations as such
    return x + y


_add.__module__ = "fastnn.kernels.of_an_attack"  # else its machine code would not be kept


class Kernels(Writer):
    """Machine code that is kept on disk."""

    name = "kernel cache"
    places = (
        "kernels/plain/storage.py:make",
        "kernels/plain/storage.py:write",
    )
    signatures = ("float64(float64, float64)", "int64(int64, int64)", "float32(float32, float32)")

    function = staticmethod(_add)

    @staticmethod
    @functools.cache
    def _compiled() -> Any:
        dispatcher = numba.njit(_add)
        for signature in Kernels.signatures:
            dispatcher.compile(signature)
        return dispatcher

    def begin(self, folder: Path) -> None:
        self._compiled()

    def write(self, folder: Path) -> None:
        kernels_in(folder)
        dispatcher = self._compiled()
        kept = cache.enable(numba.njit(_add))._cache
        for signature, result in dispatcher.overloads.items():
            kept.save_overload(signature, result)

    def look(self, folder: Path) -> int:
        kernels_in(folder)
        dispatcher = cache.enable(numba.njit(_add))
        assert dispatcher(1.5, 2.0) == 3.5 and dispatcher(1, 2) == 3
        return sum(dispatcher.stats.cache_hits.values())

    def end(self, folder: Path, seen: Any) -> Any:
        hits = self.look(folder)
        assert hits == 2, f"{hits} of 2 kernels were found"
        return hits


class Unpacked(Writer):
    """The array of a packed file, which is kept unpacked."""

    name = "unpacked"
    places = ("fastnn/datasets/unpacked.py:read",)
    images = np.random.default_rng(1).integers(256, size=(1500, 28, 28), dtype=np.uint8)

    def begin(self, folder: Path) -> None:
        header = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in self.images.shape)
        (folder / "images.gz").write_bytes(gzip.compress(header + self.images.tobytes(), 1))

    def write(self, folder: Path) -> None:
        self._read(folder)

    def _read(self, folder: Path) -> None:
        kernels_in(folder)
        np.testing.assert_array_equal(unpacked.read(folder / "images.gz"), self.images)

    def look(self, folder: Path) -> int:
        kept = list((folder / "unpacked").glob("*.npy"))
        for path in kept:
            np.testing.assert_array_equal(np.load(path), self.images)
        return len(kept)

    def end(self, folder: Path, seen: Any) -> Any:
        self._read(folder)
        assert self.look(folder) == 1
        return None


class CourseParameters(Writer):
    """Parameters that a network of the course saves."""

    name = "cs231n save"
    places = ("fastnn/dropin/cs231n/classifiers/_saved.py:save",)

    def begin(self, folder: Path) -> None:
        (folder / "cs231n" / "saved").mkdir(parents=True)
        self._save(folder, 0.0)

    def write(self, folder: Path) -> None:
        self._save(folder, 1.0)

    @staticmethod
    def _save(folder: Path, value: float) -> None:
        os.chdir(folder)
        with redirect_stdout(io.StringIO()):
            _saved.save("net.npy", {"W1": np.full((40, 40), value)})

    def look(self, folder: Path) -> Any:
        os.chdir(folder)
        with redirect_stdout(io.StringIO()):
            params = _saved.load("net.npy")
        assert params is not None
        return float(params["W1"].mean())

    def end(self, folder: Path, seen: Any) -> Any:
        return self.look(folder)


class CourseCheckpoint(Writer):
    """The pickles of the course's solver, one an epoch."""

    name = "cs231n Solver"
    places = ("fastnn/dropin/cs231n/solver.py:_save_checkpoint",)

    def begin(self, folder: Path) -> None:
        self._solver(folder)._save_checkpoint()

    write = begin

    @staticmethod
    def _solver(folder: Path) -> Any:
        solver: Any = object.__new__(Solver)
        solver.checkpoint_name, solver.verbose, solver.epoch = str(folder / "solver"), False, 1
        solver.model = {"W1": np.ones((40, 40))}
        names = (
            "update_rule", "lr_decay", "optim_config", "batch_size", "num_train_samples",
            "num_val_samples", "loss_history", "train_acc_history", "val_acc_history",
        )  # fmt: skip
        vars(solver).update(dict.fromkeys(names, 0))
        return solver

    def look(self, folder: Path) -> Any:
        (path,) = folder.glob("solver_epoch_1.pkl")
        return np.load(path, allow_pickle=True)["epoch"]

    def end(self, folder: Path, seen: Any) -> Any:
        return self.look(folder)


WRITERS: tuple[Writer, ...] = (
    NetworkSave(), TensorsSave(), Training(), Logged(), SearchStorage(), Download(), Kernels(),
    Unpacked(), CourseParameters(), CourseCheckpoint(),
)  # fmt: skip

# Places that write, but no file that a later run reads.
OTHERS = {
    "fastnn/_cli/commands/__init__.py:main": "gives a closed pipe up for the null device",
    "fastnn/_cli/commands/bench.py:run": "a report of what is on the screen",
    "fastnn/_cli/commands/warmup.py:_compile_each": "a temporary file without a name",
    "fastnn/_build": "a developer's libraries, whose manifest comes last and has their digests",
    "fastnn/_bench": "temporary folders, and pictures that the user asks for",
    "fastnn/datasets/make_subset.py": "the tool that made the subset in the package",
    "fastnn/diagnostics/_picture.py:_repr_png_": "a picture in memory",
}
