"""New processes: what they took, what they find, and whether it keeps the limits."""

import os

import pytest

from fastnn._bench.families import startup
from fastnn._bench.layout import align
from fastnn._bench.settings import Settings
from fastnn._bench.starts import machine_code, process, scripts
from fastnn._bench.starts.limits import Above, Most, Share
from fastnn._bench.starts.process import Usage
from fastnn._bench.training.spec import NotMeasuredError

SETTINGS = Settings([], "float32", 1, quick=True, rounds=3)

# More processor time than an interpreter takes to start, in a process that this one waits for.
BURN = (
    "import subprocess, sys; subprocess.run([sys.executable, '-c', "
    "'import time\\nwhile time.process_time() < 0.4: pass'], check=True)"
)


def test_time_on_processors_is_that_of_children_too():
    used = process.run(process.command(BURN), {})
    assert used.cpu >= 0.4
    assert used.wall >= 0.4  # as the one waits for the other


def test_a_process_that_fails_is_not_measured():
    with pytest.raises(NotMeasuredError, match="ended with code 1: ValueError: no such thing"):
        process.run(process.command("raise ValueError('no such thing')"), {})


def test_an_empty_home_is_empty_and_so_is_the_cache():
    script = (
        "import os; assert os.listdir(os.environ['HOME']) == []; "
        "assert os.path.dirname(os.environ['FASTNN_CACHE_DIR']) == os.path.expanduser('~'); "
        "assert os.environ.get('FASTNN_MACHINE_CODE') == expected"
    )
    for state, expected in ((startup.EMPTY, None), (startup.SOURCE, "jit")):
        before = os.environ.get("FASTNN_MACHINE_CODE") if expected is None else expected
        with startup._variables(state) as variables:
            process.run(process.command(f"expected = {before!r}\n{script}"), variables)
            home = variables["HOME"]
        assert not os.path.exists(home)
    with startup._variables(startup.WARM) as variables:
        assert variables == {}


def test_scripts_are_python():
    for name, text in vars(scripts).items():
        if name.isupper():
            compile(text.replace("{dtype}", "float32"), name, "exec")


def times(**cpu):
    return {name: [Usage(value, 2 * value) for value in values] for name, values in cpu.items()}


@pytest.mark.parametrize(
    "limit, measured, found, holds",
    [
        (
            Above("NumPy", 0.06),
            {"fastnn": [0.1, 0.2, 0.9], "NumPy": [0.05, 0.15, 0.05]},
            "50 ms",
            1,
        ),
        (Above("NumPy", 0.06), {"fastnn": [9.0], "NumPy": [0.1]}, "8.9 s", 0),
        (Above("NumPy"), {"fastnn": [0.3], "NumPy": [0.1]}, "200 ms", None),
        (Share("PyTorch", 0.5), {"fastnn": [1, 1, 4], "PyTorch": [2, 4, 2]}, "x 0.50", 1),
        (Share("PyTorch", 0.5), {"fastnn": [1], "PyTorch": [1.9]}, "x 0.53", 0),
        (Share("PyTorch", 0.5), {"fastnn": [1]}, "PyTorch is not installed", None),
        (Most(3), {"fastnn": [1, 2.9, 9]}, "2,900 ms", 1),
        (Most(3), {"fastnn": [1, 3.1, 9]}, "3.1 s", 0),
        (Most(60, 35), {"fastnn": [17]}, "17.0 s, 34.0 s wall", 1),
        (Most(60, 35), {"fastnn": [18]}, "18.0 s, 36.0 s wall", 0),
    ],
)
def test_limits_are_judged_by_medians_over_rounds(limit, measured, found, holds):
    verdict = limit.judge(times(**measured))
    assert verdict.found.endswith(found)
    assert verdict.holds == holds


def test_what_compiles_is_not_in_the_short_list():
    cases = list(startup.cases("float32"))
    quick = {"warm", "packed"}
    if machine_code.kind() != machine_code.BY_NUMBA:  # nothing is compiled from an empty cache
        quick |= {"empty"}
    assert {c.shape for c in cases} == quick | {"empty", "source"}
    assert {c.shape for c in cases if c.quick} == quick
    assert len({(c.label, c.shape) for c in cases}) == len(cases)


def test_processes_take_turns_and_a_row_says_what_was_found(monkeypatch):
    log = []

    def run(command, variables):
        name = "NumPy" if scripts.NUMPY in command[-1] else "fastnn"
        log.append(name)
        return Usage(0.1 if name == "NumPy" else 0.12, 0.5)

    monkeypatch.setattr(process, "run", run)
    (case,) = (c for c in startup.cases("float32") if c.label == "import fastnn")
    found = startup.measure("startup", case, {"fastnn": None, "NumPy": None}, SETTINGS)
    first, rounds = log[:2], log[2:]
    assert first == ["fastnn", "NumPy"]
    assert rounds == ["fastnn", "NumPy", "NumPy", "fastnn", "fastnn", "NumPy"]
    assert found["rounds"] == 3
    (size,) = (c for c in startup.cases("float32") if c.operation == "size")
    rows = startup.table([found, startup.measure("startup", size, {}, SETTINGS)])
    assert len({len(row) for row in rows}) == 1
    line = align(rows)[1]
    expected = "import fastnn warm 3 120 ms 500 ms 100 ms NumPy + 20 ms NumPy + 30 ms holds"
    assert line.split() == expected.split()
    assert machine_code.kind() in rows[-1][0]


def test_the_package_is_measured_as_it_is_packed(monkeypatch, tmp_path):
    (tmp_path / "code.so").write_bytes(bytes(100_000))
    (tmp_path / "code.py").write_bytes(bytes(50_000))
    monkeypatch.setattr(machine_code, "_files", lambda: sorted(tmp_path.iterdir()))
    sizes = machine_code.installed()
    assert sizes["files"] == 150_000
    assert sizes["libraries"] == 100_000
    assert 0 < sizes["packed"] < 10_000  # zeros


def test_bytecode_is_not_part_of_the_package():
    files = machine_code._files()
    assert any(file.name == "startup.py" for file in files)
    assert any("kernels" in file.parts for file in files)
    assert not any(file.suffix == ".pyc" for file in files)
    assert len(set(files)) == len(files)
