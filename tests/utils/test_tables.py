"""Data frames: columns of truth values, missing numbers, and others that are refused by name."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from fastnn import MultiLayerNet
from fastnn.ops._arrays import real

N = 40
RNG = np.random.default_rng(0)
NUMBERS = RNG.normal(size=N)
TRUTH = RNG.random(N) > 0.5
T = (NUMBERS > 0).astype(int)


class NAType:
    """What stands for a missing number in pandas."""

    def __eq__(self, other):
        return self

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")

    __hash__ = object.__hash__


NA = NAType()


class Table:
    """What a frame shows of itself: the names of its columns, and an array of all."""

    def __init__(self, **columns):
        self._columns = columns
        self.columns = list(columns)

    def __array__(self, dtype=None, copy=None):
        columns = [np.array(column, object) for column in self._columns.values()]
        return np.stack(columns, axis=1).astype(dtype or object)


class Column:
    """What a column of a frame shows of itself."""

    def __init__(self, values):
        self._values = np.array(values, object)

    def __array__(self, dtype=None, copy=None):
        return self._values.astype(dtype or object)


def test_truth_values_beside_numbers():
    table = Table(
        a=NUMBERS, b=TRUTH, c=[*range(N)], d=[np.float32(0.5)] * N, e=[Fraction(1, 2)] * N
    )
    found = real("x", table)
    assert found.dtype == np.float64
    halves = np.full(N, 0.5)
    np.testing.assert_array_equal(
        found, np.stack([NUMBERS, TRUTH, np.arange(N), halves, halves], axis=1)
    )
    ours, theirs = (MultiLayerNet(5, [4], 2, seed=0) for _ in range(2))
    ours.fit(table, Column(TRUTH), 2, 16, validation=(table, Column(T)), verbose=False, seed=0)
    theirs.fit(found, TRUTH, 2, 16, validation=(found, T), verbose=False, seed=0)
    for key, p in ours.params.items():
        np.testing.assert_array_equal(p, theirs.params[key])
    assert ours.history.val_loss == theirs.history.val_loss
    np.testing.assert_array_equal(ours.predict(table), theirs.predict(found))


@pytest.mark.parametrize(
    "missing", [None, NA, np.nan, float("nan")], ids=["None", "NA", "NaN", "nan"]
)
def test_missing_numbers_are_nan(missing):
    truth = TRUTH.astype(object)
    truth[17] = missing
    table = Table(a=NUMBERS, b=truth)
    found = real("x", table)
    expected = TRUTH.astype(float)
    expected[17] = np.nan
    np.testing.assert_array_equal(found, np.stack([NUMBERS, expected], axis=1))
    np.testing.assert_array_equal(real("x", Column(truth)), expected)
    net = MultiLayerNet(2, [4], 2, seed=0)
    with pytest.raises(ValueError, match=r"^x: expected finite numbers, got nan in x\[17, 1\]$"):
        net.fit(table, T, verbose=False)
    text = r"^t: expected a label for each sample, got .* in t\[17\]$"
    with pytest.raises(ValueError, match=text):
        net.fit(Table(a=NUMBERS, b=TRUTH), Column(truth), verbose=False)


def test_columns_of_something_else_are_named():
    texts, days = ["a"] * N, np.array(["2020-01-01"] * N, "datetime64[D]").astype(object)
    text = (
        r"^x: expected an array of real numbers, got a table with other columns: 'city' \(str\), "
        r"'when' \(date\), 'price' \(Decimal\); leave them out, or make numbers of them: "
        r"pandas.get_dummies\(x, dtype=float\) and x.to_dummies\(\) of polars make .*category$"
    )
    table = Table(a=NUMBERS, city=texts, b=TRUTH, when=days, price=[None, Decimal(1)] * (N // 2))
    with pytest.raises(TypeError, match=text):
        MultiLayerNet(5, [], 2).fit(table, T, verbose=False)
    with pytest.raises(TypeError, match=text):
        MultiLayerNet(5, [], 2).predict(table)
    many = Table(**{f"c{i}": texts for i in range(9)})
    with pytest.raises(TypeError, match=r"'c3' \(str\), 'c4' \(str\) and 4 more; leave them out"):
        real("x", many)


def test_integers_too_large_are_named():
    large = [10**400, *range(1, N)]
    with pytest.raises(TypeError, match=r"columns: 'b' \(int too large for float64\); leave"):
        real("x", Table(a=NUMBERS, b=large))
    with pytest.raises(TypeError, match="^x: expected an array of real numbers, got dtype object"):
        real("x", Column(large))


def test_arrays_of_objects_are_no_tables():
    for value in (np.array([1.0, None]), [1.0, None], np.array([[True, 0.5]], object)):
        with pytest.raises(TypeError, match=r"got dtype object; array.astype\(float\) converts"):
            real("x", value)


FRAMES = {
    "pandas": lambda module, columns: module.DataFrame(columns).convert_dtypes(),
    "polars": lambda module, columns: module.DataFrame(columns),
    "pyarrow": lambda module, columns: module.table(columns),
}


@pytest.mark.parametrize("library", FRAMES)
def test_frames_of_other_libraries(library):
    """Of pandas with its own dtypes: Float64, Int64, boolean."""
    module = pytest.importorskip(library)

    def frame(columns):
        return FRAMES[library](module, columns)

    truth = TRUTH.tolist()
    columns = {"a": NUMBERS.tolist(), "b": truth, "c": [*range(N)]}
    plain = np.stack([NUMBERS, TRUTH, np.arange(N)], axis=1)
    np.testing.assert_array_equal(real("x", frame(columns)), plain)
    columns["b"] = [None, *truth[1:]]
    plain[0, 1] = np.nan
    np.testing.assert_array_equal(real("x", frame(columns)), plain)
    labels = frame({"t": truth})["t"]
    net = MultiLayerNet(3, [], 2, seed=0)
    assert net.loss(frame({**columns, "b": truth}), labels) == net.loss(
        np.where(np.isnan(plain), TRUTH[:, np.newaxis], plain), TRUTH
    )
    columns["city"] = ["a"] * N
    with pytest.raises(TypeError, match=r"^x: .* table with other columns: 'city' \(str\); leave"):
        net.predict(frame(columns))
