"""Whole scripts on the drop-in and on plain NumPy: the same numbers, and what their table says."""

import subprocess
import sys

import numpy as np
import pytest
from processes import environment

from fastnn._bench.families import chapters
from fastnn._bench.layout import align
from fastnn._bench.settings import Settings
from fastnn._bench.starts import chapters as scripts
from fastnn._bench.starts import process
from fastnn._bench.starts.process import Usage

# Those that take seconds on NumPy are here by name.
QUICK = ("descend_a_bowl", "train_by_hand", "train_layers")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    scripts.write_data(folder, 2000, 300)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_both_ways_print_the_same_numbers(name, data):
    printed = {}
    for library, command in chapters.commands(name).items():
        done = subprocess.run(
            command,
            env=environment(FASTNN_DATA_DIR=data),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        printed[library] = [float(number) for number in done.stdout.split()]
    np.testing.assert_allclose(printed["fastnn"], printed["NumPy"], rtol=1e-9)


def test_plain_numpy_has_nothing_of_fastnn():
    code = f"import sys; sys.argv = ['', '{scripts.path_of('descend_a_bowl')}']\n" + (
        f"import runpy; runpy.run_path({str(scripts.PLAIN)!r}, run_name='__main__')\n"
        "assert not [name for name in sys.modules if name.startswith('fastnn')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_each_script_is_there_and_has_a_target():
    files = {path.stem for path in (scripts.FOLDER / "scripts").glob("*.py")}
    assert files == set(scripts.LEAST)
    assert [case.label for case in chapters.cases("float64")] == [
        name.replace("_", " ") for name in scripts.LEAST
    ]


def test_processes_take_turns_and_a_row_says_what_was_found(monkeypatch):
    log = []

    def run(command, variables):
        library = "NumPy" if str(scripts.PLAIN) in command else "fastnn"
        log.append(library)
        return Usage(3.0, 2.0) if library == "NumPy" else Usage(2.0, 0.5)

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(scripts, "write_data", lambda folder: None)
    case = next(iter(chapters.cases("float64")))
    found = chapters.measure("chapters", case, {}, Settings([], "float64", 2, False, rounds=2))
    assert log == [*("fastnn", "NumPy") * 2, "NumPy", "fastnn"]
    rows = chapters.table([found])
    assert len({len(row) for row in rows}) == 1
    expected = "predict one by one 500 ms 2,000 ms 2,000 ms 3.0 s 4.00 1.2 holds"
    assert align(rows)[1].split() == expected.split()
