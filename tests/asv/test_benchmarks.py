"""The benchmarks: all cases run, nothing is left out, and older commits are skipped."""

import ast
import importlib
import math
import subprocess
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from asv import util
from asv_runner.benchmarks.mark import SkipNotImplemented
from benchmarks import common, ensembles, memory, ratios, training
from benchmarks.cases import CASES, LIMITED, RATED, SHARED

from fastnn import config, get_num_threads, ops, reference, set_num_threads

BENCHMARKS = Path(common.__file__).parent


def _smallest():
    """Return the cheapest case of each kind."""

    def kind(name):
        return CASES[name].kind

    chosen = [name for name in CASES if not name.endswith("float64") or name.startswith("dropin")]
    by_kind = groupby(sorted(chosen, key=kind), kind)
    return [min(names, key=lambda name: CASES[name].amount) for _, names in by_kind]


SMALLEST = _smallest()


@pytest.fixture(scope="module")
def twins_called():
    """Run each kind of case on the kernels and on NumPy; return the twins that ran."""
    called = set()

    def noting(name, twin):
        def call(*arguments, **named):
            called.add(name)
            return twin(*arguments, **named)

        return call

    before, steps = config.get_backend(), training.STEPS
    training.STEPS = ensembles.STEPS = 2  # of an epoch
    try:
        for name in SMALLEST:
            common.ready("fastnn", CASES[name].make)  # calls it
            with pytest.MonkeyPatch.context() as patch:
                for twin in reference.__all__:
                    patch.setattr(reference, twin, noting(twin, getattr(reference, twin)))
                common.ready("numpy", CASES[name].make)
    finally:
        config.set_backend(before)
        training.STEPS = ensembles.STEPS = steps
        common.ready.cache_clear()
    return called


# Variants of a function that has a case, whose loops are the same or less.
VARIANTS = {
    "batchnorm_relu", "batchnorm_relu_backward", "batchnorm_relu_inference", "dropout_inference",
    "max_pool_backward_shared",
}  # fmt: skip


@pytest.mark.slow
def test_each_function_of_ops_has_a_case(twins_called):
    assert {*ops.__all__} - twins_called == VARIANTS


def test_cases_that_ratios_are_measured_of():
    assert {*SHARED} < {*LIMITED} < {*RATED} < {*CASES}
    assert len({CASES[name].kind for name in SHARED}) == len(SHARED)
    assert all(case.amount > 0 for case in CASES.values() if case.unit)
    assert {name.split(".")[0] for name in CASES} >= {"affine", "training", "dropin"}


def test_ratios_are_numbers(monkeypatch):
    monkeypatch.setattr(common._ratio, "__defaults__", (0.001,))
    name = "activations.forward relu (128, 100) float32"
    for benchmark in (
        ratios.OverNumPy().track_time_over_numpy,
        ratios.OverLimit().track_time_over_limit,
    ):
        value = benchmark(name)
        assert math.isfinite(value)
        assert value > 0


def test_ratios_of_threads_are_numbers(monkeypatch):
    monkeypatch.setattr(common._ratio, "__defaults__", (0.001,))
    before = get_num_threads()
    try:
        value = common.over_one_thread(CASES["activations.forward relu (128, 100) float32"].make, 2)
    finally:
        set_num_threads(before)
    assert math.isfinite(value)
    assert value > 0


def test_peak_of_a_process_is_that_of_its_own_memory():
    """Linux counts in steps of some pages."""
    if not memory.STATUS.exists():
        with pytest.raises(SkipNotImplemented):
            memory._peak("pass")
        return
    bare, more = (memory._peak(f"taken = bytearray({n} << 20); del taken") for n in (0, 50))
    assert abs(more - bare - (50 << 20)) < 1 << 20


def test_allocations_are_seen():
    def make():
        return lambda: bytearray(1 << 20)

    assert 1 << 20 <= memory._allocated(make) <= (1 << 20) + 10_000


def test_no_benchmark_has_a_set_up():
    """With any, asv prepares again before every single call, which takes longer than that."""
    for path in BENCHMARKS.glob("*.py"):
        module = importlib.import_module(f"benchmarks.{path.stem}")
        for scope in (module, *(v for v in vars(module).values() if isinstance(v, type))):
            assert not [name for name in dir(scope) if name.lower() in ("setup", "setup_cache")]


# What the first commit has.
OLDEST = {"fastnn", "fastnn.optimizers", "fastnn.networks"}
OLDEST_NAMES = {"MultiLayerNet", "MultiLayerNetExtend", "config", "ops", "optimizers"}


@pytest.mark.parametrize("path", sorted(BENCHMARKS.glob("*.py")), ids=lambda path: path.stem)
def test_modules_import_what_all_commits_have(path):
    """A name that only newer commits have is imported where it is used."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names if alias.name.startswith("fastnn")}
            assert names <= OLDEST
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fastnn"):
            assert node.module in OLDEST
            assert {alias.name for alias in node.names} <= OLDEST_NAMES


def test_what_a_commit_lacks_is_skipped():
    def lacks_name():
        return ops.no_such_function

    def lacks_module():
        from fastnn import no_such_module  # noqa: F401

    def lacks_argument():
        return ops.relu(np.zeros(2), no_such_argument=1)

    for make in (lacks_name, lacks_module, lacks_argument):
        with pytest.raises(SkipNotImplemented):
            common.over_numpy(make)


def test_other_errors_are_failures():
    def another_module():
        return np.no_such_function

    def wrong():
        return ops.relu("no array")

    for make, error in ((another_module, AttributeError), (wrong, TypeError)):
        with pytest.raises(error):
            common.over_numpy(make)


MOST = 4_000_000  # bytes of results that every clone has


@pytest.mark.repository
def test_results_in_the_repository_are_few():
    """Those that Git has; local ones beside them are ignored."""
    if not (BENCHMARKS.parent.parent / ".git").exists():
        pytest.skip("this is no Git repository")
    results = BENCHMARKS.parent / "results"
    paths = [results.parent / line for line in git("ls-files", "results").splitlines()]
    assert sum(path.stat().st_size for path in paths) <= MOST
    assert results / "benchmarks.json" not in paths
    commits = {util.load_json(str(p))["commit_hash"] for p in paths if p.name != "machine.json"}
    assert len(commits) >= 8
    if git("rev-parse", "--is-shallow-repository").strip() == "false":
        assert commits <= {*git("rev-list", "HEAD").split()}


def git(*arguments):
    command = ["git", "-C", BENCHMARKS.parent, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
