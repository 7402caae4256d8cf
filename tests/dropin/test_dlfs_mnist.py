"""``dataset.mnist.load_mnist``: forms of the arrays, and where files are found."""

import gzip
import itertools

import numpy as np
import pytest


@pytest.mark.parametrize(
    "flags", list(itertools.product([True, False], repeat=3)), ids=lambda f: "-".join(map(str, f))
)
def test_forms(edition, flags, idx_files, monkeypatch):
    monkeypatch.setenv("FASTNN_DATA_DIR", str(idx_files))
    normalize, flatten, one_hot_label = flags
    edition.compare(lambda m: m.mnist.load_mnist(normalize, flatten, one_hot_label), exact=True)


def test_by_default_and_by_name(dlfs, idx_files, monkeypatch):
    monkeypatch.setenv("FASTNN_DATA_DIR", str(idx_files))
    dlfs.compare(lambda m: m.mnist.load_mnist(), exact=True)
    dlfs.compare(lambda m: m.mnist.load_mnist(one_hot_label=True, normalize=False), exact=True)


def test_arrays_are_the_callers_own(dlfs, idx_files, monkeypatch):
    monkeypatch.setenv("FASTNN_DATA_DIR", str(idx_files))
    for normalize in (True, False):
        (first, labels), _ = dlfs.fast.mnist.load_mnist(normalize=normalize)
        (second, _), _ = dlfs.fast.mnist.load_mnist(normalize=normalize)
        first[:] = 0
        labels[:] = 0
        assert second.any()


SCRIPT = """\
import sys, os
sys.path.append(os.pardir)
from dataset.mnist import load_mnist
(x_train, t_train), (x_test, t_test) = load_mnist(normalize=False)
print(len(x_train), len(x_test), x_train.sum(), t_test.sum())
"""


@pytest.mark.slow
@pytest.mark.parametrize("packed", [False, True], ids=["raw", "gzip"])
def test_files_beside_the_folder_of_the_script(idx_files, tmp_path, packed, run_fastnn):
    chapter, dataset = tmp_path / "ch06", tmp_path / "dataset"
    chapter.mkdir()
    dataset.mkdir()
    for file in idx_files.iterdir():
        content = file.read_bytes()
        if packed:
            (dataset / f"{file.name}.gz").write_bytes(gzip.compress(content, 1))
        else:
            (dataset / file.name).write_bytes(content)
    (dataset / "__init__.py").write_text("")
    (chapter / "script.py").write_text(SCRIPT)
    # From another folder: the script's own one counts.
    done = run_fastnn(tmp_path if packed else chapter, "ch06/script.py" if packed else "script.py")
    assert done.returncode == 0, done.stderr
    images = np.frombuffer(
        (idx_files / "train-images-idx3-ubyte").read_bytes(), np.uint8, offset=16
    )
    labels = np.frombuffer((idx_files / "t10k-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    assert done.stdout == f"500 200 {images.sum()} {labels.sum()}\n"


def _labels(seed):
    return np.random.default_rng(seed).integers(0, 10, 30).astype(np.uint8)


def _put_set(folder, seed):
    """Write a small set whose labels tell it from others."""
    folder.mkdir(parents=True)
    for stem in ("train", "t10k"):
        for kind, array in (
            ("images-idx3", np.zeros((30, 28, 28), np.uint8)),
            ("labels-idx1", _labels(seed)),
        ):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(
                n.to_bytes(4, "big") for n in array.shape
            )
            (folder / f"{stem}-{kind}-ubyte").write_bytes(header + array.tobytes())


PLACES = {
    "two folders above": ("import sys", "exercises/ch06", "dataset"),
    "on the path": (
        "import sys; sys.path.insert(0, '../../data')",
        "exercises/ch06",
        "data/dataset",
    ),
    "in another folder later": (
        "import os, sys; sys.path.append(os.pardir)\n"
        "from dataset.mnist import load_mnist; os.chdir('/')",
        "exercises/ch06",
        "exercises/dataset",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_the_scripts_own_set_comes_before_that_of_the_cache(
    place, tmp_path, run_fastnn, monkeypatch
):
    begin, folder, data = PLACES[place]
    monkeypatch.delenv("FASTNN_DATA_DIR", raising=False)
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "cache"))
    _put_set(tmp_path / "cache" / "mnist", seed=1)
    _put_set(tmp_path / data, seed=2)
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "script.py").write_text(
        f"{begin}\nfrom dataset.mnist import load_mnist\nprint(load_mnist()[0][1].tolist())\n"
    )
    done = run_fastnn(tmp_path / folder, "script.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{_labels(2).tolist()}\n"
