"""The example `babysitting.py`: each sickness is named, and nothing in the healthy run."""

import pytest

pytestmark = pytest.mark.slow

NAMES = {
    "healthy": "healthy",
    "rate too high": "learning rate too high",
    "rate too low": "learning rate too low",
    "bad init": "bad initial values",
}


def test_babysitting(run, picture):
    out = run("babysitting.py", "--samples", 4000, "--epochs", 6)
    rows = {line[:13].strip(): line for line in out.splitlines() if line[:13].strip() in NAMES}
    assert list(rows) == list(NAMES)
    for name, row in rows.items():
        assert row.endswith(f"  {NAMES[name]}"), out
    accuracies = {name: float(row[: -len(NAMES[name])].split()[-1]) for name, row in rows.items()}
    assert accuracies["healthy"] > 0.85
    assert accuracies["healthy"] - max(list(accuracies.values())[1:]) > 0.1
    assert "nothing suspicious: loss 2." in out
    for words in ("below 1e-3", "activations collapse", "dead units at the end"):
        assert words in out
    for name in (*NAMES, "rates"):
        picture(f"babysitting_{name.replace(' ', '_')}.png")
