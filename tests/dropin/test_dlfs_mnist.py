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
    # The book's own module is there, too, and would download.
    (dataset / "mnist.py").write_text("raise RuntimeError('the book')")
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
