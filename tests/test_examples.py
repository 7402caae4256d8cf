"""Each example at its smallest size, as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(name, *arguments):
    return subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.stem)
def test_help(path):
    done = run(path.name, "--help")
    assert done.returncode == 0, done.stderr
    assert "--out" in done.stdout


def test_compare_optimizers(tmp_path):
    done = run("compare_optimizers_mnist.py", "--bundled", "--epochs", "1", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "data: the bundled subset of MNIST, 10000 training and 2000 test images" in done.stdout
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines() if "x " in line}
    assert list(rows) == ["SGD", "Momentum", "AdaGrad", "RMSProp", "Adam"]
    for name, row in rows.items():
        ours, numpy = float(row[-2]), float(row[-1])
        # Rounding parts the two after some steps; from there they are two runs of one training,
        # which differ by up to 0.025 here (RMSProp, whose steps are the largest).
        assert abs(ours - numpy) < 0.06
        assert ours > (0.5 if name == "SGD" else 0.8)
    picture = tmp_path / "optimizers_mnist.png"
    assert str(picture) in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_bad_arguments():
    done = run("compare_optimizers_mnist.py", "--epochs", "0")
    assert done.returncode == 2
    assert "--epochs and --batch-size must be at least 1" in done.stderr
