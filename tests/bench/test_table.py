"""Results as text: numbers, units, alignment."""

import pytest

from fastnn._bench import plot, table
from fastnn._bench.families import FAMILIES
from fastnn._bench.families.simplechains import EPOCHS


def result(**changes):
    return {
        "family": "affine",
        "case": "forward",
        "shape": "(1, 2, 3)",
        "dtype": "float32",
        "threads": 1,
        "unit": "flop",
        "work": 2e6,
        "limit_per_second": 1e11,
        "seconds": {
            "fastnn": {"minimum": 40e-6, "median": 1},
            "NumPy": {"minimum": 50e-6, "median": 1},
            "PyTorch": {"minimum": 4e-3, "median": 1},
        },
        "ratios": {"NumPy": 1.31, "PyTorch": 1.2},
    } | changes


def rows(results):
    """Return the table's lines that hold results, as cells."""
    return [line.split("  ") for line in table.lines(results) if "(1, 2, 3)" in line]


def test_a_row_says_speed_share_of_the_limit_times_and_ratio_to_the_fastest():
    (line,) = (line for line in table.lines([result()]) if "(1, 2, 3)" in line)
    assert line.split() == [
        "forward",
        "(1,",
        "2,",
        "3)",
        "40.0",
        "50.0",
        "50%",
        "50.0",
        "4,000",
        "1.20",
        "PyTorch",
    ]


def test_arithmetic_is_compared_with_the_best_of_the_run():
    slow, fast = result(), result(limit_per_second=2e11)
    shares = [row for line in rows([slow, fast]) for row in line if "%" in row]
    assert [share.strip() for share in shares] == ["25%", "25%"]


def test_copies_are_compared_with_those_of_the_same_size():
    small = result(unit="byte", limit_per_second=5e10)
    large = result(unit="byte", limit_per_second=1e11)
    shares = [row for line in rows([small, large]) for row in line if "%" in row]
    assert [share.strip() for share in shares] == ["100%", "50%"]


def test_a_table_for_each_family_and_number_of_threads():
    other = result(family="optimizers", unit=None)
    text = table.lines([result(), result(), result(threads=2), other])
    titles = [line for line in text if "float32" in line]
    assert titles == [
        "affine + ReLU; float32, 1 thread",
        "affine + ReLU; float32, 2 threads",
        f"{FAMILIES['optimizers'].TITLE}; float32, 1 thread",
    ]
    assert not any("%" in line for line in text[text.index(titles[2]) :])


def test_columns_are_aligned():
    text = table.lines([result(), result(case="a longer name", work=2e9)])
    lines = [line for line in text if "(1, 2, 3)" in line]
    assert len({line.index("(1, 2, 3)") for line in lines}) == 1
    assert len({len(line) for line in lines}) == 1


def test_heading_names_what_is_missing():
    facts = {
        "cpu": {"name": "A processor"},
        "vector_bits": 256,
        "versions": {
            "fastnn": "1.0",
            "numpy": "2.0",
            "torch": "3.0",
            "jax": None,
            "scikit-learn": None,
        },
    }
    text = table.heading(facts, [{"libraries": ["fastnn", "NumPy", "PyTorch"]}])
    assert text[:2] == [
        "A processor, 256-bit vectors",
        "fastnn 1.0, NumPy 2.0, PyTorch 3.0, JAX: not installed, scikit-learn: not installed",
    ]


def test_what_is_missing_is_said_with_its_reason():
    rows = [
        result(left_out={"JAX": "no such thing"}),
        result(left_out={"JAX": "no such thing"}),
        result(skipped="no data") | {"case": "other"},
    ]
    text = table.lines(rows)
    assert text.count("left out: JAX: no such thing") == 1
    assert text.count("not measured: other (1, 2, 3): no data") == 1
    assert len([line for line in text if "(1, 2, 3)" in line]) == 3


def training(**changes):
    return {
        "family": "throughput",
        "case": "Adam",
        "shape": "a network",
        "dtype": "float32",
        "threads": 1,
        "unit": "flop",
        "work": 3e9,
        "limit_per_second": 1e11,
        "samples": 1000,
        "seconds": {name: {"minimum": s, "median": 1} for name, s in SECONDS.items()},
        "ratios": {"NumPy": 2.5, "scikit-learn": 5.0},
    } | changes


SECONDS = {"fastnn": 0.04, "NumPy": 0.1, "scikit-learn": 0.2}


def test_training_is_in_samples_a_second_beside_each_library():
    without = training(
        case="Adam + BN",
        seconds={"fastnn": {"minimum": 0.05, "median": 1}, "NumPy": {"minimum": 0.1, "median": 1}},
        ratios={"NumPy": 2.0},
    )
    text = table.lines([training(), without])
    first, second = (line for line in text if "a network" in line)
    assert first.split() == [
        *("Adam", "a", "network", "25,000", "75%", "10,000", "(2.50x)", "5,000", "(5.00x)")
    ]
    assert second.split()[-3:] == ["10,000", "(2.00x)", "-"]


def test_the_published_task_is_in_core_microseconds():
    seconds = {
        "fastnn": {"minimum": EPOCHS * 369e-6, "median": 1},
        "JAX": {"minimum": 1, "median": 1},
    }
    one = training(family="simplechains", threads=2, seconds=seconds, ratios={"JAX": 4.0}, work=1e9)
    (line,) = (line for line in table.lines([one]) if "a network" in line)
    # 41 us on 18 cores are 738 core-us.
    assert line.split()[3:6] == ["369", "738", "1.00"]


def test_growth_is_in_picoseconds_for_each_sample_and_parameter():
    seconds = {"fastnn": {"minimum": 2e-3, "median": 1}, "JAX": {"minimum": 4e-3, "median": 1}}
    shape = "1,000 samples of 2,000 parameters"
    one = training(family="growth", shape=shape, seconds=seconds, ratios={"JAX": 2.0})
    (line,) = (line for line in table.lines([one]) if shape in line)
    assert line.split()[-4:] == ["2.00", "(1,000)", "4.00", "(2,000)"]


@pytest.mark.slow
def test_growth_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [
        training(
            family="growth",
            case=case,
            shape=f"{1000 * i:,} samples of {500 * i:,} parameters",
            seconds={"fastnn": {"minimum": 1e-3 * i}, "JAX": {"minimum": 2e-3 * i}},
        )
        for case in ("samples", "parameters")
        for i in (1, 2, 4)
    ]
    path = tmp_path / "growth.png"
    plot.draw(rows, str(path))
    assert path.read_bytes().startswith(b"\x89PNG")
