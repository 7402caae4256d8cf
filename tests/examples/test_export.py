"""The example of an export: another program gives the same probabilities."""

import re

import pytest

pytestmark = pytest.mark.slow


def test_export(run, picture, tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    printed = run("export_to_onnx.py", "--epochs", 2, "--rounds", 2)
    rows = dict(re.findall(r"^(fastnn|onnxruntime) +([\d.]+)", printed, re.M))
    assert float(rows["fastnn"]) == float(rows["onnxruntime"]) > 0.9
    apart, same, n = re.search(
        r"differ by (\S+) at most.* (\d+)\s+of (\d+)\s+images", printed, re.S
    ).groups()
    # Scores of some tens, of a few hundred terms each.
    assert float(apart) < 1e-5 and same == n
    assert (tmp_path / "mnist.onnx").stat().st_size > 4 * 784 * 200
    picture("export_to_onnx.png")
