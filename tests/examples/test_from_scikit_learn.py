"""The example of the estimators shows what it says it shows."""

import re

import pytest

pytestmark = pytest.mark.slow

pytest.importorskip("sklearn", "1.7")


def test_from_scikit_learn(run, picture):
    printed = run("from_scikit_learn.py", "--epochs", 20)
    rows = [re.split(r" {2,}", line) for line in printed.splitlines()]
    found = {row[0]: row[1:] for row in rows if len(row) > 2}
    theirs, ours = found["scikit-learn"], found["fastnn, float64"]
    assert theirs[1] == ours[1] and theirs[-1] == ours[-1]
    assert float(ours[2]) < 1e-12 < float(found["fastnn"][2]) < 1e-3
    assert {"as it is", "dropout", "batch norm."} <= found.keys()
    picture("from_scikit_learn.png")
