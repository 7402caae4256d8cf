"""Each library's operations compute what the reference does: a benchmark of wrong ones is none."""

import importlib
import warnings

import numpy as np
import pytest

from fastnn._bench import peers
from fastnn._bench.case import Variant, WrongResultError, verify
from fastnn._bench.families import FAMILIES, GROUPS

# The short list's sizes are enough, and each optimizer with the network's arrays. Whole training
# has tests of its own, on smaller networks, and so have families that measure in their own way.
CASES = {
    f"{family}-{case.label}-{case.shape}-{dtype}": case
    for family, module in FAMILIES.items()
    if family not in GROUPS["training"] and not hasattr(module, "measure")
    for dtype in ("float32", "float64")
    for case in module.cases(dtype)
    if case.quick or case.shape in ("network", "denormal")
}


# Those that have whole training alone.
TRAINERS = ("torch.compile", "scikit-learn")


@pytest.fixture(scope="module", params=[name for name in peers.LIBRARIES if name not in TRAINERS])
def peer(request):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the library's own imports
        module = peers.load()[request.param]
    if module is None:
        pytest.skip(f"{request.param} is not installed")
    with module.session():
        yield module


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CASES))
def test_results(peer, name):
    case = CASES[name]
    inputs = case.inputs()
    before = [a.copy() if isinstance(a, np.ndarray) else a for a in inputs]
    expected = case.expected(*inputs)
    variants = getattr(peer, case.operation)(*inputs)
    assert len({variant.api for variant in variants}) == len(variants) >= 1
    for variant in variants:
        verify(case, variant, expected)
    for a, b in zip(inputs, before, strict=True):
        if isinstance(a, np.ndarray):
            assert np.array_equal(a, b), "an input was changed: the next library would see it"


@pytest.mark.parametrize("name", [n for n in CASES if "network" in n or "(128, 100" in n])
def test_wrong_results_are_found(name):
    case = CASES[name]
    expected = case.expected(*case.inputs())

    def wrong():
        results = [np.array(a, np.float64) for a in expected]
        results[-1].flat[0] += 0.01 * np.abs(results[-1]).max()
        return results

    with pytest.raises(WrongResultError, match="off by"):
        verify(case, Variant("wrong", wrong), expected)


@pytest.mark.slow
def test_every_library_has_every_operation():
    cases = [
        case
        for family, module in FAMILIES.items()
        if family in GROUPS["training"] or not hasattr(module, "measure")
        for case in module.cases("float32")
    ]
    for library, name in peers.LIBRARIES.items():
        try:
            module = importlib.import_module(f"fastnn._bench.peers.{name}")
        except ModuleNotFoundError:
            continue
        needed = {
            case.operation for case in cases if library in (case.libraries or peers.LIBRARIES)
        }
        if library in TRAINERS:
            needed = {"training"}
        assert needed <= set(vars(module)), name
