"""Samples in mapped files: any dtype and order, never in memory as a whole, and cut meanwhile."""

import copy
import mmap
import os
import sys
import tracemalloc

import numpy as np
import pytest

from fastnn import MultiLayerNet, Network, Trainer
from fastnn.callbacks import Callback
from fastnn.ensembles import Ensemble
from fastnn.fit import DivergenceWarning
from fastnn.layers import Affine, BatchNormalization, Convolution, Relu
from fastnn.optimizers import SGD
from fastnn.program import data as blocks

N, D, C = 230, 12, 3
WHOLE = np.random.default_rng(0).integers(-100, 100, size=(N, D))
T = np.random.default_rng(1).integers(C, size=N)
DTYPES = ["int8", "uint8", "int16", "float16", "float32", "float64", "bool", ">f4", "uint64"]


@pytest.fixture
def some_at_a_time(monkeypatch):
    """Let few samples be converted together, so that there are many blocks."""
    monkeypatch.setattr(blocks, "_BLOCK", 1 << 10)


def values(dtype, shape=(N, D)):
    given = WHOLE.astype(dtype) if np.dtype(dtype).kind != "u" else np.abs(WHOLE).astype(dtype)
    return given.reshape(shape)


def mapped(path, array, order="C"):
    file = np.memmap(path, array.dtype, "w+", shape=array.shape, order=order)
    file[...] = array
    file.flush()
    return np.memmap(path, array.dtype, "r", shape=array.shape, order=order)


def network(**settings):
    return MultiLayerNet(D, [6], C, seed=0, input_scale=1 / 64, **settings)


def fitted(net, x, t, held_out=None, batch_size=32):
    history = net.fit(x, t, 2, batch_size, SGD(0.1), held_out, verbose=False, seed=0)
    params = np.concatenate([p.ravel() for p in net.params.values()])
    return params, history.loss + history.val_loss, net.predict(x), history.route


def expect_same(found, expected):
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_files_of_any_dtype_and_order(tmp_path, route, some_at_a_time, dtype, order):
    x = values(dtype)
    file = mapped(tmp_path / "x", x, order)
    for form, plain in ((file, x), (file[::2], x[::2]), (file[:, ::-1], x[:, ::-1])):
        t = T[: len(plain)]
        expect_same(
            fitted(route(network()), form, t, (form[:50], t[:50])),
            fitted(route(network()), plain, t, (plain[:50], t[:50])),
        )


@pytest.mark.parametrize("order", ["C", "F"])
def test_files_of_images(tmp_path, route, some_at_a_time, order):
    x = values("int16", (N, 1, 3, 4))
    file = mapped(tmp_path / "x", x, order)

    def images():
        found = [Convolution(2, 2), BatchNormalization(), Relu(), Affine(C)]
        return route(Network(found, input_size=(1, 3, 4), input_scale=1 / 64, seed=0))

    expect_same(fitted(images(), file, T), fitted(images(), x, T))
    # As rows, a program takes them.
    expect_same(fitted(route(network()), file, T), fitted(route(network()), x, T))


def test_a_batch_that_is_all_of_a_file(tmp_path, route, some_at_a_time):
    x = values("int16")
    file = mapped(tmp_path / "x", x)
    for size in (N, N + 5):
        expect_same(
            fitted(route(network()), file, T, None, size),
            fitted(route(network()), x, T, None, size),
        )
    ours, theirs = network(), network()
    for net, given in ((ours, file), (theirs, x)):
        Trainer(net, given, T, given, T, 2, N + 5, verbose=False, seed=0).train()
    np.testing.assert_array_equal(ours.params["W1"], theirs.params["W1"])


@pytest.mark.parametrize("size", [32, N])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_targets_in_files(tmp_path, route, some_at_a_time, dtype, size):
    y = np.sign(values("int8")).astype(dtype)
    x = y.astype("float32")
    file = mapped(tmp_path / "y", y, "F")

    def autoencoder():
        return route(MultiLayerNet(D, [4], D, loss="mse", seed=0))

    expect_same(
        fitted(autoencoder(), x, file, (x[:9], file[:9]), size),
        fitted(autoencoder(), x, y, (x[:9], y[:9]), size),
    )
    one_hot = np.eye(C, dtype=dtype)[T]
    file = mapped(tmp_path / "t", one_hot)
    expect_same(
        fitted(route(network()), values("uint8"), file, None, size),
        fitted(route(network()), values("uint8"), one_hot, None, size),
    )
    file = mapped(tmp_path / "l", T.astype(dtype))
    expect_same(
        fitted(route(network()), values("uint8"), file, None, size),
        fitted(route(network()), values("uint8"), T, None, size),
    )


def test_a_last_batch_of_one_sample_with_statistics(tmp_path, route, some_at_a_time):
    x = values("int16")[:-5]  # 225 = 7 x 32 + 1

    def net():
        found = [Affine(6), BatchNormalization(), Relu(), Affine(C)]
        return route(Network(found, input_size=D, seed=0))

    file = mapped(tmp_path / "x", x)
    expect_same(fitted(net(), file, T[:225]), fitted(net(), x, T[:225]))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("norm", [[], [BatchNormalization()]], ids=["plain", "normalised"])
def test_a_sample_that_is_not_finite_ends_what_one_call_takes_in_parts(
    tmp_path, route, some_at_a_time, norm, order
):
    """No block after its own, nor the last batch of one, is trained on."""
    x = values("float64")[:-5]
    x[100] = np.nan
    net = route(Network([Affine(6), *copy.deepcopy(norm), Relu(), Affine(C)], input_size=D, seed=0))
    before = copy.deepcopy(net.params)
    with pytest.warns(DivergenceWarning, match=r"nan in x\[100, 0\]"):
        history = net.fit(
            mapped(tmp_path / "x", x, order), T[:225], 2, 32, SGD(0.1), verbose=False, shuffle=False
        )
    assert (history.diverged.step, len(history.step_losses)) == (4, 4)
    assert np.isfinite(history.step_losses[:3]).all() and np.isnan(history.step_losses[3])
    assert all(np.array_equal(p, before[key]) for key, p in net.params.items())


@pytest.mark.parametrize(("dtype", "order"), [("int8", "C"), ("float16", "F"), ("float32", "F")])
def test_memory(tmp_path, route, dtype, order, monkeypatch):
    """What NumPy allocates stays far below the samples as float32."""
    monkeypatch.setattr(blocks, "_BLOCK", 1 << 20)
    n, d = 16_000, 256
    file = np.memmap(tmp_path / "x", dtype, "w+", shape=(n, d), order=order)
    t = np.zeros(n, np.int64)
    net = route(MultiLayerNet(d, [2], 2, seed=0))
    held_out = (file, t)
    net.fit(file[:64], t[:64], 1, 32, "SGD", verbose=False)  # compiled by now
    calls = {
        "fit": lambda: net.fit(file, t, 1, 500, "SGD", held_out, verbose=False),
        "predict": lambda: net.predict(file),
        "loss": lambda: net.loss(file, t),
        "accuracy": lambda: net.accuracy(file, t),
        "Ensemble": lambda: Ensemble([net]).predict(file),
    }
    for name, call in calls.items():
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < n * d * 4 / 3, f"{name}: {peak:,} bytes"


# --- files that are cut ------------------------------------------------------------------------

pytestmark_cut = pytest.mark.skipif(sys.platform == "win32", reason="mapped files stay as they are")


class Cut(Callback):
    """Cuts a file after the first epoch."""

    def __init__(self, path, size=4096):
        self.path, self.size = path, size

    def on_epoch_end(self, epoch):
        os.truncate(self.path, self.size)


def text(name, path, wanted, size=4096):
    return (
        f"^{name}: expected file .*{path.name} to have at least {wanted:,} bytes, as when it was "
        f"mapped into memory, got {size:,} bytes$"
    )


@pytestmark_cut
@pytest.mark.parametrize("which", ["x", "t", "validation x", "validation t"])
@pytest.mark.parametrize("size", [100, 2000])
def test_a_file_that_is_cut_between_epochs(tmp_path, route, which, size):
    x, t = np.zeros((2000, D), np.float32), np.zeros((2000, C), np.float32)
    t[:, 0] = 1
    path = tmp_path / "file"
    given = {"x": x, "t": t, "validation x": x, "validation t": t}
    given[which] = mapped(path, given[which])
    net = route(network())
    with pytest.raises(ValueError, match=text(which, path, given[which].nbytes)):
        net.fit(
            given["x"], given["t"], 3, size, "SGD", (given["validation x"], given["validation t"]),
            callbacks=[Cut(path)], verbose=False,
        )  # fmt: skip
    assert net.history.epochs == 1
    if which in ("x", "validation x"):
        for call in (net.predict, lambda x: net.loss(x, t), lambda x: net.accuracy(x, t)):
            with pytest.raises(ValueError, match=text("x", path, x.nbytes)):
                call(given[which][5:])
    else:
        for call in (net.loss, net.gradient, net.accuracy):
            with pytest.raises(ValueError, match=text("t", path, t.nbytes)):
                call(x, given[which])
        with pytest.raises(ValueError, match=text("t", path, t.nbytes)):
            net.fit(x, given[which], verbose=False)


@pytestmark_cut
def test_a_file_with_an_offset_and_other_mappings(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(100_000))
    x = np.memmap(path, np.float32, "r", offset=5000, shape=(1000, D))
    net = network()
    net.predict(x)
    os.truncate(path, 53_000)  # its end
    net.predict(x)
    os.truncate(path, 52_999)
    with pytest.raises(ValueError, match=text("x", path, 53_000, 52_999)):
        net.predict(x)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapping:
        x = np.frombuffer(mapping, np.uint8, 4000 * D).reshape(4000, D)
        net.predict(x)
        os.truncate(path, 10)
        with pytest.raises(ValueError, match=r"^x: expected its file to have at least 52,999 by"):
            net.predict(x)
        del x
    anonymous = mmap.mmap(-1, 48 * 10)
    net.predict(np.frombuffer(anonymous, np.float32).reshape(10, D))


@pytestmark_cut
def test_a_file_that_is_replaced_stays_as_it_was(tmp_path):
    """The mapping is of the file that was there, which is as long as ever."""
    x = values("float32")
    file = mapped(tmp_path / "x", x)
    (tmp_path / "y").write_bytes(b"short")
    os.replace(tmp_path / "y", tmp_path / "x")
    np.testing.assert_array_equal(network().predict(file), network().predict(x))
