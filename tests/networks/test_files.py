"""Networks in files: what comes back, and what is refused."""

import bz2
import gzip
import io
import json
import os
import signal
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from states import everything, expect_same

import fastnn
from fastnn import (
    MultiLayerNet,
    MultiLayerNetExtend,
    TwoLayerNet,
    ensembles,
    layers,
    load,
    optimizers,
)

D, C = 5, 3


def data(n=40):
    rng = np.random.default_rng(901)
    return rng.normal(size=(n, D)).astype(np.float32), rng.integers(C, size=n)


def full(**settings):
    return MultiLayerNetExtend(
        D, [8, 7], C, weight_decay_lambda=0.1, use_batchnorm=True, use_dropout=True,
        dropout_ration=0.2, **settings,
    )  # fmt: skip


NETWORKS = {
    "two layers": lambda: TwoLayerNet(D, 6, C),
    "no hidden layer": lambda: MultiLayerNet(D, [], C, dtype="float64"),
    "tanh": lambda: MultiLayerNet(D, [6], C, "tanh", input_scale=1 / 255),
    "sigmoid, squared error": lambda: MultiLayerNet(
        D, [6], C, "sigmoid", loss="mean_squared_error"
    ),
    "all": full,
    "all, float64": lambda: full(dtype="float64"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_comes_back(name, tmp_path):
    path, net = tmp_path / "net.npz", NETWORKS[name]()
    x, t = data()
    if isinstance(net.last_layer, layers.IdentityWithLoss):
        t = np.eye(C, dtype=np.float32)[t]
    for _ in range(3):
        optimizers.Adam().update(net.params, net.gradient(x, t))
    net.save(path)
    again = load(path)
    assert type(again) is type(net)
    expect_same(everything(again), everything(net))
    np.testing.assert_array_equal(again.predict(x), net.predict(x))
    # Penalty, the next dropout masks, statistics: training goes on alike.
    ours, theirs = again.gradient(x, t), net.gradient(x, t)
    expect_same(ours, theirs)
    assert again.loss(x, t) == net.loss(x, t)
    expect_same(everything(again), everything(net))


def test_into_a_network_at_hand(tmp_path):
    net, other = full(seed=0), full(seed=1)
    net.fit(*data(), 1, 8, verbose=False)
    net.save(tmp_path / "net.npz")
    arrays = dict(other.params)
    other.load(tmp_path / "net.npz")
    expect_same(everything(other), everything(net))
    assert all(other.params[key] is a for key, a in arrays.items())


def test_a_class_of_the_users_own_comes_back_as_what_it_is_derived_from(tmp_path):
    class Own(MultiLayerNet):
        pass

    Own(D, [4], C).save(tmp_path / "net.npz")
    assert type(load(tmp_path / "net.npz")) is MultiLayerNet


def test_layers_of_the_users_own(tmp_path):
    class Doubled(layers.Affine):
        def forward(self, x, train_flg=False):
            return 2 * super().forward(x, train_flg)

    def network():
        net = MultiLayerNet(D, [4], C)
        net.layers["Affine2"] = Doubled(net.params["W2"], net.params["b2"])
        return net

    path, net, other = tmp_path / "net.npz", network(), network()
    net.save(path)
    with pytest.raises(ValueError, match="^path: .*Doubled.*: build it .* call its load"):
        load(path)
    with pytest.raises(ValueError, match="^network: layers: expected .*Doubled.*got .*'Affine2'"):
        MultiLayerNet(D, [4], C).load(path)
    other.load(path)
    x, _ = data()
    np.testing.assert_array_equal(other.predict(x), net.predict(x))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: MultiLayerNet(D, [6, 6], C), "parameters: expected .*W2.*, got .*W3"),
        (lambda: MultiLayerNet(D, [6], C, dtype="float64"), "parameters: expected .*float32"),
        (lambda: MultiLayerNet(D, [6], C, "sigmoid"), "layers: expected .*Tanh.*, got .*Sigmoid"),
        (
            lambda: MultiLayerNet(D, [6], C, "tanh", loss="mean_squared_error"),
            "last layer: expected SoftmaxWithLoss, as in the file .*net.npz, got IdentityWithLoss",
        ),
        (
            lambda: MultiLayerNet(D, [6], C, "tanh", input_scale=0.5),
            "input_scale: expected 1.0, as in the file .*net.npz, got 0.5",
        ),
    ],
)
def test_another_network(make, text, tmp_path):
    MultiLayerNet(D, [6], C, "tanh").save(tmp_path / "net.npz")
    net = make()
    before = everything(net)
    with pytest.raises(ValueError, match=f"^network: {text}"):
        net.load(tmp_path / "net.npz")
    expect_same(everything(net), before)


def rewrite(path, change):
    """Change the facts in a file."""
    with np.load(path) as file:
        arrays = dict(file)
    facts = change(json.loads(str(arrays["facts"])))
    with open(path, "wb") as file:
        np.savez(file, **arrays | {"facts": np.array(json.dumps(facts))})


def test_files_of_something_else(tmp_path):
    np.savez(tmp_path / "arrays", x=np.ones(3))
    np.save(tmp_path / "array", np.ones(3))
    (tmp_path / "text").write_text("W1 = 0")
    (tmp_path / "empty").write_bytes(b"")
    MultiLayerNet(D, [6], C).save(tmp_path / "whole")
    (tmp_path / "half").write_bytes((tmp_path / "whole").read_bytes()[:500])
    (tmp_path / "facts").write_bytes((tmp_path / "whole").read_bytes())
    rewrite(tmp_path / "facts", lambda facts: {"format": facts["format"], "groups": [], "other": 1})
    (tmp_path / "whole").unlink()
    for path in tmp_path.iterdir():
        with pytest.raises(ValueError, match=f"^path: expected a network or .*{path.name}: "):
            load(path)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing")


def test_a_file_of_another_version(tmp_path):
    MultiLayerNet(D, [6], C).save(tmp_path / "net")
    rewrite(tmp_path / "net", lambda facts: facts | {"format": facts["format"] + 1})
    with pytest.raises(ValueError, match="by this version"):
        load(tmp_path / "net")


def test_written_whole_or_not_at_all(tmp_path, monkeypatch):
    net = MultiLayerNet(D, [6], C, seed=0)
    net.save(tmp_path / "net.npz")
    content = (tmp_path / "net.npz").read_bytes()

    def fail(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="no space left"):
        MultiLayerNet(D, [6], C, seed=1).save(tmp_path / "net.npz")
    assert (tmp_path / "net.npz").read_bytes() == content
    assert os.listdir(tmp_path) == ["net.npz"]


def test_the_network_of_a_checkpoint(tmp_path):
    net = full(seed=0)
    checkpoint = fastnn.callbacks.Checkpoint(tmp_path / "checkpoint.npz")
    net.fit(*data(), 2, 8, verbose=False, callbacks=[checkpoint])
    expect_same(everything(load(tmp_path / "checkpoint.npz")), everything(net))


def test_settings_that_were_changed_come_back(tmp_path):
    net, other = full(seed=0), full(seed=1)
    net.weight_decay_lambda = np.float32(0.25)
    net.layers["Dropout1"].dropout_ratio = 0.4
    net.layers["BatchNorm2"].momentum = 0.5
    net.save(tmp_path / "net.npz")
    other.load(tmp_path / "net.npz")
    for again in (load(tmp_path / "net.npz"), other):
        assert again.weight_decay_lambda == 0.25
        ratios = [again.layers[f"Dropout{i}"].dropout_ratio for i in (1, 2)]
        assert ratios == [0.4, 0.2]
        assert [again.layers[f"BatchNorm{i}"].momentum for i in (1, 2)] == [0.9, 0.5]
        for n in (net, again):
            n.fit(*data(), 2, 8, optimizers.Adam(), verbose=False, seed=3)
        expect_same(everything(again), everything(net))
        net.load(tmp_path / "net.npz")


def test_numbers_of_numpy_as_settings(tmp_path):
    net = MultiLayerNetExtend(D, [4], C, use_batchnorm=np.bool_(True), weight_decay_lambda=0.5)
    net.save(tmp_path / "net.npz")
    assert load(tmp_path / "net.npz").use_batchnorm is True


def test_saved_while_it_is_distilled(tmp_path):
    teacher, student = MultiLayerNet(D, [6], C, seed=0), MultiLayerNet(D, [4], C, seed=1)
    checkpoint = fastnn.callbacks.Checkpoint(tmp_path / "checkpoint.npz")
    x, _ = data()
    ensembles.distill(student, teacher, x, epochs=2, verbose=False, callbacks=[checkpoint], seed=0)
    again = load(tmp_path / "checkpoint.npz")
    expect_same(everything(again), everything(student))
    history = fastnn.callbacks.load_checkpoint(tmp_path / "checkpoint.npz", again)
    for net, resume in ((student, student.history), (again, history)):
        ensembles.distill(net, teacher, x, epochs=4, verbose=False, resume=resume)
    expect_same(everything(again), everything(student))


def test_threads_that_save_to_one_path(tmp_path):
    net = MultiLayerNet(D, [6], C, seed=0)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: net.save(tmp_path / "net.npz"), range(40)))
    assert os.listdir(tmp_path) == ["net.npz"]
    expect_same(everything(load(tmp_path / "net.npz")), everything(net))


# --- file objects ------------------------------------------------------------------------


class Pipe(io.RawIOBase):
    """A stream that goes one way, and takes some bytes at a time."""

    def __init__(self, content=b""):
        self.written, self._rest = bytearray(), content

    def writable(self):
        return True

    def readable(self):
        return True

    def write(self, data):
        self.written += data[:1000]
        return min(len(data), 1000)

    def readinto(self, buffer):
        piece, self._rest = self._rest[: len(buffer)], self._rest[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)


def test_file_objects(tmp_path):
    net, other = full(seed=0), full(seed=1)
    memory, pipe = io.BytesIO(), Pipe()
    net.save(memory)
    net.save(pipe)
    with open(tmp_path / "net.npz", "w+b") as file:
        file.write(b"something before")
        net.save(file)
        for stream in (file, memory, Pipe(bytes(pipe.written))):
            expect_same(everything(load(stream)), everything(net))
        other.load(file)
        assert not file.closed
    expect_same(everything(other), everything(net))
    for opened in (gzip.open, bz2.open):
        with opened(tmp_path / "packed", "wb") as file:
            net.save(file)
        with opened(tmp_path / "packed", "rb") as file:
            expect_same(everything(load(file)), everything(net))
    with zipfile.ZipFile(tmp_path / "all", "w") as archive:
        archive.write(tmp_path / "net.npz", "net")
    with zipfile.ZipFile(tmp_path / "all") as archive, archive.open("net") as inner:
        expect_same(everything(load(inner)), everything(net))


def test_files_that_are_open_for_something_else(tmp_path):
    net, path = MultiLayerNet(D, [6], C), tmp_path / "net"
    with open(path, "w+") as text, open(path, "wb") as write, open(path, "rb") as read:
        for call, files in (
            (net.save, (text, read)),
            (net.load, (text, write)),
            (load, (text, write)),
        ):
            for file in files:
                with pytest.raises(
                    TypeError, match="^path: expected the name of a file, or a file .*byt"
                ):
                    call(file)
    with pytest.raises(ValueError, match="^path: expected a network or .* file object BytesIO: "):
        load(io.BytesIO(b"something"))


@pytest.mark.slow
def test_damaged_files(tmp_path):
    """Each byte of the directory and of the headers, flipped: the error is always the same one."""
    path = tmp_path / "net.npz"
    MultiLayerNet(2, [2], 2, seed=0).save(path)
    whole = bytearray(path.read_bytes())
    for place in [*range(60), *range(len(whole) - 600, len(whole))]:
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            load(path)
        except ValueError as error:
            assert str(error).startswith(("path: expected a network", "network: ")), place


def test_where_nothing_can_be_written(tmp_path):
    net = MultiLayerNet(D, [6], C)
    with pytest.raises(FileNotFoundError, match="^path: there is no folder .*missing$"):
        net.save(tmp_path / "missing" / "net.npz")
    with pytest.raises(ValueError, match="^path: expected the name of a file, got"):
        net.save("")
    for path in (3, None):
        with pytest.raises(TypeError):
            net.save(path)
        with pytest.raises(TypeError):
            load(path)


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_stays_one(tmp_path):
    (tmp_path / "link.npz").symlink_to(tmp_path / "net.npz")
    MultiLayerNet(D, [6], C).save(tmp_path / "link.npz")
    assert (tmp_path / "link.npz").is_symlink() and not (tmp_path / "net.npz").is_symlink()


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_waits_until_a_file_is_whole(tmp_path, monkeypatch):
    """Else zipfile, closed with an entry half begun, would raise its own error instead."""
    path = tmp_path / "net.npz"
    net = MultiLayerNet(4, [3], 2, seed=0)
    begin = zipfile._ZipWriteFile.__init__

    def interrupted(*args):
        signal.raise_signal(signal.SIGINT)
        begin(*args)

    monkeypatch.setattr(zipfile._ZipWriteFile, "__init__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        net.save(path)
    assert [each.name for each in tmp_path.iterdir()] == ["net.npz"]
    np.testing.assert_array_equal(fastnn.load(path).params["W1"], net.params["W1"])
