"""Loading MNIST: from a folder, from the cache, by download, and the bundled part."""

import functools
import gzip
import hashlib
import http.server
import io
import os
import struct
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from memory import peak_memory

import fastnn.datasets
from fastnn.datasets import load_mnist, make_subset, mnist, mnist_source, unpacked

FULL_SET = os.environ.get("FASTNN_DATA_DIR")

STEMS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
NOBODY = "http://127.0.0.1:1/"


@pytest.fixture(autouse=True)
def no_outside_world(monkeypatch, tmp_path):
    monkeypatch.delenv("FASTNN_DATA_DIR", raising=False)
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(mnist, "MIRRORS", (NOBODY,))


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache" / "mnist"


def idx_bytes(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def small_set(seed=0, n_train=30, n_test=20):
    """Return four arrays as in the four files, with every label and pixel value."""
    rng = np.random.default_rng(seed)
    halves = []
    for n in (n_train, n_test):
        images = rng.integers(0, 256, (n, 28, 28), np.uint8)
        halves += [images, np.resize(np.arange(10, dtype=np.uint8), n)]
    return halves


def write(folder, arrays, name="{}.gz"):
    folder.mkdir(parents=True, exist_ok=True)
    for stem, array in zip(STEMS, arrays, strict=True):
        path = folder / name.format(stem)
        content = idx_bytes(array)
        path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)


def flat(loaded):
    """Return the loaded arrays in the order of the files, images as in the files."""
    (x_train, t_train), (x_test, t_test) = loaded
    return [x_train.reshape(-1, 28, 28), t_train, x_test.reshape(-1, 28, 28), t_test]


def assert_same(loaded, arrays):
    for got, expected in zip(flat(loaded), arrays, strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


# What is kept ----------------------------------------------------------------------------------


@pytest.fixture
def packed(tmp_path, monkeypatch):
    """Return arrays, and the folder of their packed files, which are large enough to be kept."""
    monkeypatch.setattr(unpacked, "LEAST", 1)
    arrays = small_set()
    write(tmp_path / "data", arrays)
    return arrays, tmp_path / "data"


def kept(tmp_path):
    return sorted((tmp_path / "cache" / "unpacked").glob("*"))


@pytest.mark.parametrize("normalize", [True, False])
def test_images_are_unpacked_once(packed, tmp_path, monkeypatch, normalize):
    arrays, folder = packed
    first = load_mnist(normalize, data_dir=folder)
    assert len(kept(tmp_path)) == 2
    monkeypatch.setattr(unpacked, "read_idx", None)  # which nobody needs now
    second = load_mnist(normalize, data_dir=folder)
    assert_same(second, flat(first))
    for array in flat(second):
        array[...] = 1  # is the caller's own
    assert_same(load_mnist(normalize, data_dir=folder), flat(first))
    if not normalize:
        assert_same(first, arrays)


def test_other_files_of_the_same_names_are_unpacked(packed):
    _, folder = packed
    load_mnist(False, data_dir=folder)
    others = small_set(seed=1)
    write(folder, others)
    assert_same(load_mnist(False, data_dir=folder), others)


@pytest.mark.parametrize("damage", [b"", b"no array", None], ids=["empty", "other", "cut"])
def test_what_is_kept_and_not_whole_is_unpacked_anew(packed, tmp_path, damage):
    arrays, folder = packed
    load_mnist(data_dir=folder)
    whole = [path.read_bytes() for path in kept(tmp_path)]
    for path, content in zip(kept(tmp_path), whole, strict=True):
        path.write_bytes(content[:-1] if damage is None else damage)
    assert_same(load_mnist(False, data_dir=folder), arrays)
    assert [path.read_bytes() for path in kept(tmp_path)] == whole


def test_nothing_is_kept_where_nothing_can_be_written(packed, tmp_path):
    arrays, folder = packed
    (tmp_path / "cache").write_text("is no folder")
    assert_same(load_mnist(False, data_dir=folder), arrays)


# What comes out ------------------------------------------------------------------------------


def book_images(images, normalize, flatten):
    images = images.reshape(-1, 784)
    if normalize:
        images = images.astype(np.float32)
        images /= 255.0
    return images if flatten else images.reshape(-1, 1, 28, 28)


def book_labels(labels, one_hot_label):
    if not one_hot_label:
        return labels
    one_hot = np.zeros((labels.size, 10))
    for place, row in enumerate(one_hot):
        row[labels[place]] = 1
    return one_hot.astype(np.float32)  # the one difference that is documented


@pytest.mark.parametrize("one_hot_label", [False, True])
@pytest.mark.parametrize("flatten", [False, True])
@pytest.mark.parametrize("normalize", [False, True])
def test_as_in_the_book(normalize, flatten, one_hot_label, tmp_path):
    arrays = small_set()
    write(tmp_path, arrays)
    train, test = load_mnist(normalize, flatten, one_hot_label, data_dir=tmp_path)
    for (x, t), images, labels in ((train, *arrays[:2]), (test, *arrays[2:])):
        for got, expected in (
            (x, book_images(images, normalize, flatten)),
            (t, book_labels(labels, one_hot_label)),
        ):
            assert got.dtype == expected.dtype
            assert got.shape == expected.shape
            np.testing.assert_array_equal(got, expected)
            assert got.flags.writeable
            assert got.flags.c_contiguous


def test_defaults():
    (x_train, t_train), (x_test, t_test) = load_mnist(subset="bundled")
    assert x_train.shape == (10000, 784)
    assert x_test.shape == (2000, 784)
    assert t_train.shape == (10000,)
    assert t_test.shape == (2000,)
    assert x_train.dtype == x_test.dtype == np.float32
    assert t_train.dtype == t_test.dtype == np.uint8
    assert x_train.min() == x_test.min() == 0
    assert x_train.max() == x_test.max() == 1


# Where it comes from -------------------------------------------------------------------------


@pytest.mark.parametrize("subfolder", [".", "mnist"])
@pytest.mark.parametrize("name", ["{}.gz", "{}", "dotted", "dotted.gz"])
def test_names_in_data_dir(name, subfolder, tmp_path):
    arrays = small_set()
    folder = tmp_path / subfolder
    write(folder, arrays, name.replace("dotted", "{}"))
    if "dotted" in name:
        for path in list(folder.iterdir()):
            path.rename(folder / path.name.replace("-idx", ".idx"))
        assert (folder / name.replace("dotted", "train-images.idx3-ubyte")).exists()
    assert_same(load_mnist(normalize=False, data_dir=tmp_path), arrays)
    assert mnist_source(tmp_path) == folder


def test_folder_with_the_name_of_a_file(tmp_path):
    # Some archives unpack to a folder train-images-idx3-ubyte beside the file.
    arrays = small_set()
    write(tmp_path, arrays)
    (tmp_path / STEMS[0]).mkdir()
    assert_same(load_mnist(normalize=False, data_dir=tmp_path), arrays)


def test_data_dir_may_be_a_string_with_home_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    arrays = small_set()
    write(tmp_path / "data", arrays)
    assert_same(load_mnist(normalize=False, data_dir="~/data"), arrays)


def test_order_of_sources(tmp_path, monkeypatch, cache):
    argument, environment, cached = small_set(1), small_set(2), small_set(3)
    write(cache, cached)
    assert_same(load_mnist(normalize=False), cached)
    assert mnist_source() == cache
    write(tmp_path / "environment", environment)
    monkeypatch.setenv("FASTNN_DATA_DIR", str(tmp_path / "environment"))
    assert_same(load_mnist(normalize=False), environment)
    assert mnist_source() == tmp_path / "environment"
    write(tmp_path / "argument", argument)
    assert_same(load_mnist(normalize=False, data_dir=tmp_path / "argument"), argument)
    assert mnist_source(tmp_path / "argument") == tmp_path / "argument"


def test_empty_variable_counts_as_unset(monkeypatch, cache):
    monkeypatch.setenv("FASTNN_DATA_DIR", "")
    assert mnist_source() is None
    write(cache, small_set())
    assert mnist_source() == cache


def test_files_of_two_folders_are_not_mixed(tmp_path):
    inner = small_set(1)
    write(tmp_path, small_set(2))
    (tmp_path / f"{STEMS[3]}.gz").unlink()
    write(tmp_path / "mnist", inner)
    assert_same(load_mnist(normalize=False, data_dir=tmp_path), inner)
    (tmp_path / "mnist" / f"{STEMS[0]}.gz").unlink()
    with pytest.raises(FileNotFoundError):
        load_mnist(data_dir=tmp_path)


# What is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["data_dir", "FASTNN_DATA_DIR"])
@pytest.mark.parametrize("call", [load_mnist, mnist_source])
def test_incomplete_folder(call, setting, tmp_path, monkeypatch):
    write(tmp_path, small_set())
    (tmp_path / f"{STEMS[1]}.gz").unlink()
    (tmp_path / f"{STEMS[2]}.gz").unlink()
    if setting == "data_dir":
        call = functools.partial(call, data_dir=tmp_path)
    else:
        monkeypatch.setenv(setting, str(tmp_path))
    with pytest.raises(FileNotFoundError) as caught:
        call()
    message = str(caught.value)
    assert message.startswith(f"{setting}: expected")
    assert f"got {tmp_path}" in message
    for stem in STEMS:
        assert f"  {stem}, {stem.replace('-idx', '.idx')}, {stem}.gz" in message
    assert f"Missing in {tmp_path}: {STEMS[1]}, {STEMS[2]}\n" in message
    assert f"No such folder: {tmp_path / 'mnist'}" in message
    assert not (tmp_path / "cache").exists()


def test_data_dir_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such folder: .*nowhere\n"):
        load_mnist(data_dir=tmp_path / "nowhere")


@pytest.mark.parametrize("subset", ["full", "", "Bundled", 10, False])
def test_unknown_subset(subset):
    with pytest.raises(ValueError) as caught:
        load_mnist(subset=subset)
    message = str(caught.value)
    assert message == f"subset: expected None (the whole set) or 'bundled', got {subset!r}"


def test_subset_with_data_dir(tmp_path):
    with pytest.raises(ValueError, match="data_dir: expected None .*bundled.* got") as caught:
        load_mnist(subset="bundled", data_dir=tmp_path)
    assert str(tmp_path) in str(caught.value)


def replaced(place, array):
    arrays = small_set()
    arrays[place] = array
    return arrays


WRONG = {
    "labels for images": (
        0,
        replaced(0, np.zeros(30, np.uint8)),
        "expected images, (n, 28, 28) of uint8, got (30,) of uint8",
    ),
    "small images": (2, replaced(2, np.zeros((20, 8, 8), np.uint8)), "got (20, 8, 8) of uint8"),
    "no images": (0, replaced(0, np.zeros((0, 28, 28), np.uint8)), "got (0, 28, 28) of uint8"),
    "images for labels": (
        3,
        replaced(3, np.zeros((20, 28, 28), np.uint8)),
        "expected labels, (n,) of uint8, got (20, 28, 28) of uint8",
    ),
    "fewer labels": (1, replaced(1, np.zeros(29, np.uint8)), "expected 30 labels"),
    "more labels": (3, replaced(3, np.zeros(21, np.uint8)), "got 21"),
    "label out of range": (
        1,
        replaced(1, np.arange(30, dtype=np.uint8)),
        "expected labels from 0 to 9, got a label 29",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_content(kind, tmp_path):
    place, arrays, reason = WRONG[kind]
    write(tmp_path, arrays)
    with pytest.raises(ValueError) as caught:
        load_mnist(data_dir=tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / STEMS[place]}.gz: expected ")
    assert reason in message
    assert "got" in message
    assert "Delete" not in message  # it is the user's own


def test_files_that_are_none_of_these_take_no_memory(tmp_path):
    """What the headers say is looked at first: 100 MB of images go with as many labels."""
    write(tmp_path, small_set())
    images, labels = (tmp_path / f"{stem}.gz" for stem in STEMS[:2])
    for path, shape, refused in (
        (images, (128, 784, 1000), images),
        (images, (128000, 28, 28), labels),
        (labels, (10**8,), labels),
    ):
        with gzip.open(path, "wb", 1) as file:
            file.write(struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape))
            for _ in range(100):
                file.write(bytes(np.prod(shape) // 100))
        with peak_memory() as taken, pytest.raises(ValueError, match=refused.name):
            load_mnist(data_dir=tmp_path)
        assert taken[0] < 2**20


@pytest.mark.parametrize(("place", "what"), [(0, "images"), (1, "labels")])
def test_wrong_type(place, what, tmp_path):
    write(tmp_path, small_set())
    shape = (30, 28, 28) if what == "images" else (30,)
    content = struct.pack(f">BBBB{len(shape)}I", 0, 0, 9, len(shape), *shape)
    path = tmp_path / f"{STEMS[place]}.gz"
    path.write_bytes(content + bytes(int(np.prod(shape))))
    with pytest.raises(ValueError, match=rf"expected {what}.*uint8, got .* of int8"):
        load_mnist(data_dir=tmp_path)


def test_broken_file_of_the_user(tmp_path):
    write(tmp_path, small_set())
    path = tmp_path / f"{STEMS[2]}.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError) as caught:
        load_mnist(data_dir=tmp_path)
    assert str(path) in str(caught.value)
    assert "Delete" not in str(caught.value)
    assert path.exists()


@pytest.mark.parametrize("place", range(4))
def test_broken_file_in_the_cache(place, cache):
    write(cache, small_set())
    path = cache / f"{STEMS[place]}.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError) as caught:
        load_mnist()
    assert f"Delete {path} " in str(caught.value)


def test_wrong_content_in_the_cache(cache):
    place, arrays, reason = WRONG["label out of range"]
    write(cache, arrays)
    with pytest.raises(ValueError) as caught:
        load_mnist()
    assert reason in str(caught.value)
    assert f"Delete {cache / STEMS[place]}.gz " in str(caught.value)


# Download ------------------------------------------------------------------------------------


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.paths.append(self.path)
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def small_mirror(tmp_path, monkeypatch):
    """Serve a small set in place of MNIST; yield its arrays and the paths asked for."""
    arrays = small_set()
    folder = tmp_path / "mirror"
    write(folder, arrays)
    files = []
    for stem, array in zip(STEMS, arrays, strict=True):
        content = idx_bytes(array)
        files.append(mnist._File(stem, len(content), hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(mnist, "_FILES", tuple(files))
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.paths = []
    address = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(mnist, "MIRRORS", (NOBODY, address))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield arrays, server.paths
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_once(small_mirror, cache):
    arrays, asked = small_mirror
    assert mnist_source() is None
    assert not cache.exists()
    assert asked == []
    assert_same(load_mnist(normalize=False), arrays)
    assert sorted(asked) == sorted(f"/{stem}.gz" for stem in STEMS)
    assert sorted(path.name for path in cache.iterdir()) == sorted(f"{s}.gz" for s in STEMS)
    assert mnist_source() == cache
    assert_same(load_mnist(normalize=False), arrays)
    assert len(asked) == 4


def test_download_only_what_is_missing(small_mirror, cache):
    arrays, asked = small_mirror
    write(cache, arrays, "{}")
    (cache / STEMS[2]).unlink()
    assert mnist_source() is None
    assert_same(load_mnist(normalize=False), arrays)
    assert asked == [f"/{STEMS[2]}.gz"]


def test_deleting_a_broken_file_helps(small_mirror, cache):
    arrays, _ = small_mirror
    load_mnist()
    path = cache / f"{STEMS[0]}.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="Delete"):
        load_mnist()
    path.unlink()
    assert_same(load_mnist(normalize=False), arrays)


def test_no_download_to_a_given_folder(small_mirror, tmp_path, monkeypatch):
    _, asked = small_mirror
    monkeypatch.setenv("FASTNN_DATA_DIR", str(tmp_path / "empty"))
    with pytest.raises(FileNotFoundError):
        load_mnist()
    assert asked == []


def test_without_network_the_error_says_how_to_go_on(cache):
    with pytest.raises(ConnectionError) as caught:
        load_mnist()
    message = str(caught.value)
    assert f"{NOBODY}{STEMS[0]}.gz: " in message
    assert "data_dir=" in message
    assert "FASTNN_DATA_DIR" in message
    assert "subset='bundled'" in message
    assert list(cache.iterdir()) == []


# The bundled part ----------------------------------------------------------------------------


def test_bundled_needs_no_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTNN_DATA_DIR", str(tmp_path / "nowhere"))
    (x_train, t_train), (x_test, t_test) = load_mnist(
        normalize=False, flatten=False, subset="bundled"
    )
    assert x_train.shape == (10000, 1, 28, 28)
    assert x_test.shape == (2000, 1, 28, 28)
    assert x_train.dtype == x_test.dtype == t_train.dtype == t_test.dtype == np.uint8
    assert np.bincount(t_train).tolist() == [1000] * 10
    assert np.bincount(t_test).tolist() == [200] * 10
    # Shuffled: each tenth has every digit.
    assert all(len(np.unique(part)) == 10 for part in np.split(t_train, 10))
    assert all(len(np.unique(part)) == 10 for part in np.split(t_test, 10))


def test_bundled_content_stays_the_same():
    # Results that were published for the bundled part stay comparable.
    digest = hashlib.sha256()
    for array in flat(load_mnist(normalize=False, subset="bundled")):
        digest.update(array.tobytes())
    assert digest.hexdigest() == "4be927870a7f18c50737ca9ccdc45ce82df449f07d3336214d813ff7c6c4e7f6"


def test_bundled_from_a_zip_file(tmp_path):
    package = Path(fastnn.datasets.__file__).parent
    archive = tmp_path / "fastnn.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("fastnn/__init__.py", "")
        for path in package.parent.glob("_utils/*.py"):
            file.write(path, f"fastnn/_utils/{path.name}")
        for path in (*package.glob("*.py"), *package.glob("data/*.npz")):
            file.write(path, Path("fastnn", "datasets", path.relative_to(package)))
    program = (
        "import fastnn.datasets as d; (x, t), _ = d.load_mnist(subset='bundled');"
        "print(d.__file__); print(x.shape, t.sum())"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(archive)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    where, what = result.stdout.splitlines()
    assert where.startswith(str(archive))
    assert what == "(10000, 784) 45000"


# Making the bundled part ---------------------------------------------------------------------


def numbered_set(n_train, n_test):
    """Return a set whose images carry their own number in their first four pixels."""
    rng = np.random.default_rng(5)
    arrays = []
    for n in (n_train, n_test):
        images = np.zeros((10 * n, 28, 28), np.uint8)
        images[:, 0, :4] = np.arange(10 * n, dtype="<u4").view(np.uint8).reshape(-1, 4)
        arrays += [images, rng.permutation(np.repeat(np.arange(10, dtype=np.uint8), n))]
    return arrays


def test_make_subset(tmp_path, capsys):
    arrays = numbered_set(1003, 201)
    write(tmp_path / "in", arrays, "{}")
    outputs = [tmp_path / f"{name}.npz" for name in ("first", "again", "other")]
    for output, seed in zip(outputs, ("0", "0", "1"), strict=True):
        make_subset.main([str(tmp_path / "in"), "--out", str(output), "--seed", seed])
    assert str(outputs[0]) in capsys.readouterr().out
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert outputs[0].read_bytes() != outputs[2].read_bytes()

    made = np.load(io.BytesIO(outputs[0].read_bytes()), allow_pickle=False)
    for half, per_class, labels in (("train", 1000, arrays[1]), ("test", 200, arrays[3])):
        images, drawn = made[f"x_{half}"], made[f"t_{half}"]
        assert images.shape == (10 * per_class, 28, 28)
        assert images.dtype == drawn.dtype == np.uint8
        assert np.bincount(drawn).tolist() == [per_class] * 10
        numbers = np.ascontiguousarray(images[:, 0, :4]).view("<u4")[:, 0]
        assert len(np.unique(numbers)) == 10 * per_class
        np.testing.assert_array_equal(labels[numbers], drawn)
        assert all(len(np.unique(part)) == 10 for part in np.split(drawn, 10))


def test_make_subset_of_too_small_a_set(tmp_path, capsys):
    write(tmp_path, numbered_set(1000, 199), "{}")
    with pytest.raises(SystemExit):
        make_subset.main([str(tmp_path), "--out", str(tmp_path / "out.npz")])
    assert "expected at least 200 test images of digit 0, got 199" in capsys.readouterr().err
    assert not (tmp_path / "out.npz").exists()


def test_make_subset_without_files(tmp_path, capsys):
    with pytest.raises(SystemExit):
        make_subset.main([str(tmp_path), "--out", str(tmp_path / "out.npz")])
    assert f"Missing in {tmp_path}" in capsys.readouterr().err


def test_make_subset_help(capsys):
    with pytest.raises(SystemExit, match="^0$"):
        make_subset.main(["--help"])
    shown = capsys.readouterr().out
    assert "--seed" in shown
    assert "mnist_subset.npz" in "".join(shown.split())


# The whole set -------------------------------------------------------------------------------


@pytest.mark.skipif(not FULL_SET, reason="FASTNN_DATA_DIR is not set to a folder with MNIST")
def test_whole_set():
    loaded = load_mnist(normalize=False, data_dir=FULL_SET)
    arrays = flat(loaded)
    for array, file in zip(arrays, mnist._FILES, strict=True):
        content = idx_bytes(array)
        assert len(content) == file.size
        assert hashlib.sha256(content).hexdigest() == file.sha256
    (x_train, t_train), (x_test, t_test) = loaded
    assert x_train.shape == (60000, 784)
    assert x_test.shape == (10000, 784)
    assert np.bincount(t_train).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert np.bincount(t_test).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    # The bundled images are among them, with the same labels, training and test kept apart.
    for half, bundled in zip(loaded, load_mnist(normalize=False, subset="bundled"), strict=True):
        known = {image.tobytes(): label for image, label in zip(*half, strict=True)}
        assert all(
            known.get(image.tobytes()) == label for image, label in zip(*bundled, strict=True)
        )
