"""The wheel: what it holds, and that it works away from the repository."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", ROOT, "-w", folder],
        check=True,
    )
    (path,) = folder.glob("*.whl")
    return path


def test_contents(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"fastnn"}
    for path in ROOT.glob("kernels/*.py"):
        assert f"fastnn/kernels/{path.name}" in names
    for path in ROOT.glob("fastnn/**/*.py"):
        assert path.relative_to(ROOT).as_posix() in names
    assert "fastnn/py.typed" in names
    assert "fastnn/datasets/data/mnist_subset.npz" in names


WORK = """
import sys
from pathlib import Path
import numpy as np
import fastnn, fastnn.kernels
from fastnn.datasets import load_mnist
home = Path(sys.argv[1])
assert Path(fastnn.__file__).is_relative_to(home), fastnn.__file__
assert Path(fastnn.kernels.__file__).is_relative_to(home), fastnn.kernels.__file__
(x, t), _ = load_mnist(subset="bundled")
net = fastnn.MultiLayerNet(784, [20], 10, seed=0)
before = net.loss(x[:100], t[:100])
optimizer = fastnn.optimizers.Adam()
for _ in range(20):
    optimizer.update(net.params, net.gradient(x[:100], t[:100]))
assert net.loss(x[:100], t[:100]) < before
print(fastnn.__version__)
"""


def test_it_works_from_another_folder(wheel, tmp_path):
    home = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(home)
    done = subprocess.run(
        [sys.executable, "-c", WORK, home],
        cwd=tmp_path,
        env=dict(os.environ, PYTHONPATH=str(home)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    version = re.search(r"^version = \"(.+)\"$", (ROOT / "pyproject.toml").read_text(), re.M)
    assert done.stdout.strip() == version[1]
