"""Results as text: numbers, units, alignment."""

from fastnn._bench import table


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
    text = table.lines([result(), result(), result(threads=2), result(family="startup", unit=None)])
    titles = [line for line in text if "float32" in line]
    assert titles == [
        "affine + ReLU; float32, 1 thread",
        "affine + ReLU; float32, 2 threads",
        "start: a process that imports, takes one training step and ends; float32, 1 thread",
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
        "versions": {"fastnn": "1.0", "numpy": "2.0", "torch": "3.0", "jax": None},
    }
    text = table.heading(facts, [result()])
    assert text[:2] == [
        "A processor, 256-bit vectors",
        "fastnn 1.0, NumPy 2.0, PyTorch 3.0, JAX: not installed",
    ]
