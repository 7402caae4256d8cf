"""Networks in safetensors files: ours, and those of others."""

import io
import itertools
import json

import numpy as np
import pytest
from altered import altered, altered_arrays, places
from random_stacks import stack
from states import everything, expect_same

import fastnn
from fastnn import MultiLayerNet, MultiLayerNetExtend, Network, layers
from fastnn._utils import safetensors as ours
from fastnn.callbacks import Checkpoint

package = pytest.importorskip("safetensors")
theirs = pytest.importorskip("safetensors.numpy")


def trained(seed=0, **settings):
    net = MultiLayerNetExtend(
        4, [5, 6], 3, use_batchnorm=True, use_dropout=True, seed=seed, input_scale=0.5, **settings
    )
    rng = np.random.default_rng(seed)
    net.fit(rng.normal(size=(20, 4)), rng.integers(3, size=20), 1, 5, verbose=False, seed=0)
    return net


NETWORKS = {
    "of the book": trained,
    "float64": lambda: trained(dtype="float64"),
    "fresh": lambda: MultiLayerNet(4, [5], 3, loss="mse"),
    "without statistics": lambda: MultiLayerNetExtend(4, [5], 3, use_batchnorm=True),
    **{f"stack {seed}": lambda seed=seed: stack(seed)[0] for seed in range(6)},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_comes_back(name, tmp_path):
    path, net = tmp_path / "net.safetensors", NETWORKS[name]()
    net.save(path)
    again = fastnn.load(path)
    assert type(again) is type(net) and repr(again) == repr(net)
    expect_same(everything(again), everything(net))
    found = theirs.load_file(path)
    expect_same(found, net.state_dict())
    # A file object says what it is by its bytes.
    expect_same(everything(fastnn.load(io.BytesIO(path.read_bytes()))), everything(net))


def test_into_a_network_at_hand(tmp_path):
    net, other = trained(0), trained(1)
    net.save(tmp_path / "net.safetensors")
    arrays = dict(other.params)
    other.load(str(tmp_path / "net.safetensors"))
    expect_same(everything(other), everything(net))
    assert all(other.params[key] is a for key, a in arrays.items())


def test_what_is_left_out_and_shared_comes_back(tmp_path):
    W, b = np.eye(4, dtype=np.float32), np.ones(4, np.float32)
    net = Network([layers.Affine(W, b), layers.Affine(W, b), layers.Affine(3)], input_size=4)
    del net.params["Affine3.W"]
    net.save(tmp_path / "net.safetensors")
    again = fastnn.load(tmp_path / "net.safetensors")
    assert [*again.params] == [*net.params] == ["Affine1.W", "Affine1.b", "Affine3.b"]
    assert again.layers["Affine1"].W is again.layers["Affine2"].W
    np.testing.assert_array_equal(again.layers["Affine3"].W, net.layers["Affine3"].W)


def test_an_archive_by_any_name_and_the_other_way(tmp_path):
    net = trained()
    net.save(tmp_path / "net.npz")
    (tmp_path / "net.npz").rename(tmp_path / "archive.safetensors")
    net.save(tmp_path / "NET.SafeTensors")
    (tmp_path / "NET.SafeTensors").rename(tmp_path / "tensors")
    for name in ("archive.safetensors", "tensors"):
        expect_same(everything(fastnn.load(tmp_path / name)), everything(net))


def test_checkpoints_by_such_a_name(tmp_path):
    net, path = trained(), tmp_path / "checkpoint.safetensors"
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(20, 4)), rng.integers(3, size=20)
    net.fit(x, t, 1, 5, callbacks=[Checkpoint(path)], verbose=False, seed=0)
    expect_same(everything(fastnn.load(path)), everything(net))
    path.write_bytes(b"neither")
    with pytest.raises(ValueError, match=r"^path: .*safetensors, got .*checkpoint.safetensors: "):
        fastnn.load(path)


def test_files_of_others(tmp_path):
    path, net, other = tmp_path / "theirs.safetensors", trained(0), trained(1)
    theirs.save_file(net.state_dict(), path, {"format": "pt"})
    with pytest.raises(ValueError, match=r"^path: .*theirs.safetensors without: build the network"):
        fastnn.load(path)
    other.load(path)
    for key, p in net.params.items():
        np.testing.assert_array_equal(other.params[key], p)
    before = everything(other)
    theirs.save_file({"0.weight": np.ones((5, 3), np.float32)}, path)
    with pytest.raises(ValueError, match=r"^path \(.*theirs.safetensors\): .*missing: 0.bias, .*"):
        other.load(path)
    expect_same(everything(other), before)


def test_layers_of_the_users_own(tmp_path):
    class Doubled(layers.Affine):
        def forward(self, x, train_flg=False):
            return 2 * super().forward(x, train_flg)

    path = tmp_path / "net.safetensors"
    nets = [Network([Doubled(4), layers.Affine(3)], input_size=5, seed=i) for i in range(2)]
    nets[0].save(path)
    with pytest.raises(ValueError, match="^path: .*Doubled.*: build it .* call its load"):
        fastnn.load(path)
    nets[1].load(path)
    expect_same(everything(nets[1]), everything(nets[0]))


def test_an_error_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.safetensors"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="no space"):
        trained().save(path)
    assert path.read_bytes() == b"old" and [*tmp_path.iterdir()] == [path]
    with pytest.raises(FileNotFoundError, match="path: there is no folder"):
        trained().save(tmp_path / "nowhere" / "net.safetensors")


DTYPES = "f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"


def test_arrays_of_all_dtypes_and_layouts():
    rng = np.random.default_rng(0)
    arrays = {code: rng.integers(0, 2, (2, 3)).astype(code) for code in DTYPES}
    arrays |= {"scalar": np.array(2.5), "empty": np.ones((0, 4)), "": np.ones(2, "f4")}
    arrays["turned"], arrays["big"] = arrays["f4"].T, arrays["f8"].astype(">f8")
    file = io.BytesIO()
    ours.write(file, arrays, {"text": "\u6587"})
    native = {name: a.astype(a.dtype.newbyteorder("=")) for name, a in arrays.items()}
    expect_same(theirs.load(file.getvalue()), native)
    file.seek(0)
    found, metadata = ours.read_from(file, "file", "network")
    expect_same(found, native)
    assert metadata == {"text": "\u6587"}
    for name, array in native.items():
        assert found[name].dtype == array.dtype
    file = io.BytesIO()
    with pytest.raises(TypeError, match="z: expected a dtype such as float32, got complex64"):
        ours.write(file, {"z": np.ones(2, "c8")}, {})
    assert not file.getvalue()


def test_half_of_float32():
    bits = np.array([[0x3F80, 0xC000, 0x7FC0]], "<u2")  # 1, -2, NaN
    header = {"w": {"dtype": "BF16", "shape": [1, 3], "data_offsets": [0, 6]}}
    found, _ = ours.read_from(made(header, bits.tobytes()), "file", "network")
    np.testing.assert_array_equal(found["w"], np.array([[1, -2, np.nan]], np.float32))


def made(header, data=b"", length=None):
    """Return a file of a header, which is data or text, and what comes after."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(text) if length is None else length
    return io.BytesIO(size.to_bytes(8, "little") + text + data)


def entry(dtype="F32", shape=(2,), begin=0, end=8):
    return {"dtype": dtype, "shape": [*shape], "data_offsets": [begin, end]}


DATA = bytes(16)
BAD = {
    "nothing": (io.BytesIO(b""), "got 0 bytes"),
    "a part": (io.BytesIO(b"\x01"), "got 1 bytes"),
    "header beyond the end": (made({}, length=2**63), "and a header of 9,223,372"),
    "header longer than any": (made(b" " * 100, length=200), "and a header of 200"),
    "no JSON": (made(b"{x"), "file: .*Expecting property name"),
    "no text": (made(b"{\xff\xff}"), "codec can't decode"),
    "a list": (made([1]), r"header: expected a dict, got \[1\]"),
    "nested": (made(b"[" * 100_000), "safetensors, got file: .*"),
    "twice": (made(b'{"a": 1, "a": 2}'), "header: expected arrays of different names"),
    "metadata": (made({"__metadata__": {"a": 1}}), r"__metadata__\['a'\]: expected a string"),
    "no entry": (made({"a": 1}), "a: expected a dict"),
    "incomplete": (made({"a": {"dtype": "F32", "shape": [1]}}), "data_offsets is missing"),
    "too much": (made({"a": {**entry(), "x": 1}}, DATA), "a: .*got 'x' too"),
    "dtype": (made({"a": entry("F7")}, DATA), "a.dtype: expected one of F64.*got 'F7'"),
    "no dtype": (made({"a": entry(3)}, DATA), "a.dtype: expected one of"),
    "shape": (made({"a": entry(shape=(-2,))}, DATA), r"a.shape\[0\]: expected an integer from 0"),
    "truth": (made({"a": entry(shape=(True, 2))}, DATA), r"a.shape\[0\]: expected an integer"),
    "huge": (made({"a": entry(shape=(2**40, 2**40))}, DATA), "a.data_offsets: .* bytes"),
    "no sizes": (made({"a": entry(shape=(3,))}, DATA), "a.data_offsets: .* of 12 bytes"),
    "backwards": (made({"a": entry(begin=8, end=0)}, DATA), "a.data_offsets"),
    "three offsets": (
        made({"a": {**entry(), "data_offsets": [0, 8, 9]}}, DATA), "a.data_offsets: expected begin"
    ),
    "overlapping": (
        made({"a": entry(), "b": entry(begin=4, end=12)}, DATA), "b: .*that begin at 8.*got 4"
    ),
    "apart": (made({"a": entry(), "b": entry(begin=9, end=17)}, DATA), "b: .*begin at 8, .*got 9"),
    "outside": (made({"a": entry(shape=(8,), end=32)}, DATA), "expected 32 bytes of .*, got 16"),
    "more behind": (made({"a": entry()}, DATA), "expected 8 bytes of arrays, got 16"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_damaged_files(name):
    file, text = BAD[name]
    with pytest.raises(package.SafetensorError):
        theirs.load(file.getvalue())
    with pytest.raises(
        ValueError, match="^path: expected a network, a file .*got file: "
    ) as caught:
        ours.read_from(file, "file", "network")
    assert caught.match(text.removeprefix("file: "))


def test_whatever_the_package_refuses_is_refused():
    file = io.BytesIO()
    ours.write(file, {"a": np.ones((2, 3), "f4"), "b": np.arange(3)}, {"c": "d"})
    good, rng = file.getvalue(), np.random.default_rng(5)
    refused = 0
    for _ in range(600):
        bad = bytearray(good)
        for _ in range(rng.integers(1, 3)):
            bad[rng.integers(len(bad) - 48)] = rng.integers(256)  # not the numbers of the arrays
        bad = bytes(bad[: len(bad) - int(rng.choice([0, 0, 1]))])
        try:
            expected = theirs.load(bad)
        except Exception:
            refused += 1
            with pytest.raises(ValueError, match="^path: "):
                ours.read_from(io.BytesIO(bad), "file", "network")
        else:
            try:
                found, _ = ours.read_from(io.BytesIO(bad), "file", "network")
            except ValueError:  # we are stricter about entries that are not of the format
                continue
            assert {name: a.tobytes() for name, a in found.items()} == {
                name: a.tobytes() for name, a in expected.items()
            }
    assert refused > 300


def altered_files(path):
    """Yield what somebody did to the file of a network, and the file: some of all there is."""
    with open(path, "rb") as stream:
        arrays, metadata = ours.read_from(stream, "file", "network")
    facts = json.loads(metadata["fastnn"])
    others = itertools.chain(
        (
            (place, what, new, arrays)
            for place in places(facts)
            for what, new in altered(facts, place)
        ),
        (
            (name, what, facts, new)
            for name in arrays
            for what, new in altered_arrays(arrays, name)
            if what not in ("text", "complex")  # which no such file can have
        ),
    )
    for place, what, new, found in itertools.islice(others, 0, None, 13):
        file = io.BytesIO()
        ours.write(file, found, {"fastnn": json.dumps(new)})
        file.seek(0)
        yield (place, what), file


@pytest.mark.parametrize("make", [trained, lambda seed=0: stack(4)[0]], ids=["book", "stack"])
def test_altered_networks(make, tmp_path):
    net, other = make(), make(1)
    net.save(tmp_path / "net.safetensors")
    before, refused = everything(other), 0
    for what, file in altered_files(tmp_path / "net.safetensors"):
        for load in (fastnn.load, other.load):
            file.seek(0)
            try:
                loaded = load(file) or other
            except ValueError as error:
                refused += 1
                assert "file object BytesIO" in str(error), what
                expect_same(everything(other), before)
            except Exception as error:
                raise AssertionError(what) from error
            else:
                loaded.save(io.BytesIO())
                other = make(1)
    assert refused > 20
