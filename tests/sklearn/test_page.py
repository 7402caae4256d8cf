"""The code of the page 'From scikit-learn' runs as it stands there."""

import re
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "from_scikit_learn.md"

pytest.importorskip("sklearn", "1.7")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.mark.repository
def test_the_page(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S):
        exec(code, names)
    assert 0.9 < float(capsys.readouterr().out) <= 1
    same = names["label"] == names["model"].predict(names["X_test"])
    apart = names["probabilities"] - names["model"].predict_proba(names["X_test"])
    assert same.mean() > 0.99 and np.abs(apart).max() < 1e-5
