"""The recorder of bits finds what differs."""

import json

import numpy as np
import pytest
import recording
from hypothesis import given
from hypothesis import strategies as st

VALUE = {"params": {"W": np.arange(6.0).reshape(2, 3)}, "losses": [0.5, 0.25], "route": "layers"}


def compared(tmp_path, before, after):
    files = tmp_path / "before.json", tmp_path / "after.json"
    for file, cases in zip(files, (before, after), strict=True):
        file.write_text(json.dumps({k: recording.digest(v) for k, v in cases.items()}))
    return recording.main(["compare", *map(str, files)])


@given(index=st.integers(0, 5), bit=st.integers(0, 51))
def test_a_single_bit_is_seen(index, bit):
    other = np.arange(6.0).reshape(2, 3)
    other.view(np.uint64).flat[index] ^= np.uint64(1 << bit)
    assert recording.digest(other) != recording.digest(VALUE["params"]["W"])


@pytest.mark.parametrize(
    "other",
    [
        VALUE | {"params": {"b": VALUE["params"]["W"]}},
        VALUE | {"params": {"W": VALUE["params"]["W"].reshape(3, 2)}},
        VALUE | {"losses": [0.5]},
        VALUE | {"route": "program"},
        VALUE | {"losses": None},
    ],
)
def test_names_shapes_and_texts_are_seen(tmp_path, capsys, other):
    assert compared(tmp_path, {"a": VALUE, "b": 1}, {"a": other, "b": 1}) == 1
    assert "differs: a\n" in capsys.readouterr().out


def test_missing_cases_count_and_new_ones_are_listed(tmp_path, capsys):
    assert compared(tmp_path, {"a": VALUE}, {"a": VALUE, "b": 1}) == 0
    assert "new: b\n" in capsys.readouterr().out
    assert compared(tmp_path, {"a": VALUE, "b": 1}, {"a": VALUE}) == 1
    assert "missing: b\n" in capsys.readouterr().out


def test_nans_are_alike():
    nan = np.array([0x7FF8000000000000, 0xFFF8000000000001], np.uint64).view(np.float64)
    assert recording.digest(nan[:1]) == recording.digest(nan[1:])


def test_every_function_has_a_case(monkeypatch):
    from recorded import functions

    from fastnn import ops

    monkeypatch.setattr(ops, "__all__", [*ops.__all__, "newest"])
    with pytest.raises(ValueError, match="newest"):
        next(functions.cases())
