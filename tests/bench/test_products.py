"""The family of products: every library computes them, the compiled loop on one thread only."""

import pytest

from fastnn._bench import peers
from fastnn._bench.case import verify
from fastnn._bench.families import products as family
from fastnn._bench.settings import Settings
from fastnn._bench.training.spec import NotMeasuredError

CASES = [case for case in family.cases("float32") if case.quick]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.label} {case.shape}")
def test_results(case):
    modules = [m for m in peers.load().values() if m is not None and hasattr(m, case.operation)]
    assert len(modules) >= 2  # fastnn and NumPy
    for module in modules:
        inputs = case.inputs()
        for variant in getattr(module, case.operation)(*inputs):
            verify(case, variant, case.expected(*inputs))


def test_products_without_python_are_not_measured_on_two_threads():
    case = next(case for case in CASES if case.operation == "products")
    with pytest.raises(NotMeasuredError, match="one thread"):
        family.measure("products", case, {}, Settings(["products"], "float32", 2, True))
