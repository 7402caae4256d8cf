"""The family that times estimators beside scikit-learn's: its results agree, and its table."""

import pytest

from fastnn._bench.case import WrongResultError
from fastnn._bench.families import estimators

pytest.importorskip("sklearn", "1.7")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_losses_agree(name, dtype):
    found = estimators.estimators(name, dtype, estimators.EPOCHS[name])
    x, t = estimators.data(name, dtype)
    assert x.dtype == dtype
    for estimator in found.values():
        estimator.set_params(max_iter=5).fit(x, t)
    estimators._expect_agreement(found, dtype)
    found["fastnn"].loss_curve_[-1] *= 1.1
    with pytest.raises(WrongResultError, match="expected a last loss of"):
        estimators._expect_agreement(found, dtype)


def test_every_limit_is_a_case():
    cases = {(case.label, case.operation) for case in estimators.cases("float32")}
    assert cases == set(estimators.LIMITS)
    assert {name for _, name in cases} == set(estimators.EPOCHS)


def test_a_row_says_times_ratios_and_whether_limits_hold():
    def result(ratio, **more):
        seconds = {key: {"minimum": 0.002} for key in ["fastnn", estimators.THEIRS, *more]}
        ratios = {estimators.THEIRS: ratio, **more}
        return {
            "case": "fit", "shape": "iris", "seconds": seconds, "ratios": ratios, "limit": 2.0,
            "allowed": None if more else 4.0, "holds": ratio >= 2,
        }  # fmt: skip

    rows = estimators.table([result(3.0), result(1.5, **{estimators.ALONE: 1.9})])
    assert rows[1] == ["fit", "iris", "2.00", "2.00 (3.00x)", "2.0x", "4.0x", "", "", "holds"]
    assert rows[2][3:] == ["2.00 (1.50x)", "2.0x", "", "2.00 (1.90x)", "1.8x", "missed"]
    assert rows[3][0] == "1 of 2 hold"
    assert len({len(row) for row in rows}) == 1


def test_operations_are_those_of_the_products():
    x, t = estimators.data("iris", "float32")
    model = estimators.estimators("iris", "float32", 2)["fastnn"]
    with pytest.warns(Warning, match="Maximum iterations"):
        model.fit(x, t)
    forward, inner = 2 * 150 * (4 * 100 + 100 * 3), 2 * 150 * 100 * 3
    assert estimators._operations(model, "predict", 150) == forward
    # The gradient of the input is needed of the last layer alone.
    assert estimators._operations(model, "fit", 150) == 2 * (2 * forward + inner)
