"""Whole training: each library goes the way of the reference, and each process tells its own."""

import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest

from fastnn import networks
from fastnn._bench import measure, peers
from fastnn._bench.case import Variant, WrongResultError, verify
from fastnn._bench.families import FAMILIES, busy, memory, mixed, simplechains, throughput
from fastnn._bench.families import images as images_family
from fastnn._bench.peers import process
from fastnn._bench.settings import Settings
from fastnn._bench.timing import Clock
from fastnn._bench.training import agreement, images, with_fastnn
from fastnn._bench.training.problem import STEPS_COMPARED, STILL
from fastnn._bench.training.spec import NotMeasuredError, Spec

TINY = (20, 16, 12, 5)
STEPS = 6

CASES = {
    name: throughput.training(name, "tiny", Spec(TINY, 8, rule, norm, dtype=dtype), STEPS)
    for name, rule, norm, dtype in [
        ("Adam BN", "Adam", True, "float64"),
        ("SGD", "SGD", False, "float64"),
        ("float32", "Adam", False, "float32"),
    ]
}
CASES["whole"] = simplechains.task("float64", samples=50, epochs=4)


@pytest.fixture(scope="module", params=[n for n in peers.LIBRARIES if n != "torch.compile"])
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
def test_libraries_go_the_way_of_the_reference(peer, name):
    case = CASES[name]
    (given,) = case.trial()
    before = given.x.copy(), given.t.copy()
    expected = case.expected(given)
    try:
        variants = peer.training(given)
    except NotMeasuredError as error:
        assert peer.__name__.endswith("sklearn")
        assert "MLPClassifier has no" in str(error)
        return
    for variant in variants:
        verify(case, variant, expected)
    assert np.array_equal(given.x, before[0])
    assert np.array_equal(given.t, before[1])
    # Times are taken while the network hardly moves.
    (given,) = case.inputs()
    initial = [given.spec.initial()[name] for name in given.spec.names()]
    for variant in peer.training(given):
        variant.run()
        for a, b in zip(variant.results()[1:], initial, strict=True):
            assert 0 < np.abs(a - b).max() < 10 * STEPS * STILL


def of_chapter(rule, dtype, norm=False):
    (case,) = (
        case
        for case in throughput.cases(dtype)
        if case.shape == "784-100x4-10, batch 128"
        and case.label == (f"{rule} + BN" if norm else rule)
    )
    return case


def scaled(grads):
    grads["W2"][:, -1] *= 1.01  # the last column of a product


def without_a_bias(grads):
    grads["b3"][-1] = 0


def in_half(grads):
    for g in grads.values():
        g[...] = g.astype(np.float16)


def shifted(grads):
    grads["W4"][...] = np.roll(grads["W4"], 1, axis=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("plant", "rule"),
    [
        (scaled, "SGD"),  # Adam takes the scale out
        (without_a_bias, "Adam"),
        (in_half, "Adam"),
        (shifted, "Adam"),
        (shifted, "SGD"),
    ],
)
def test_a_wrong_gradient_is_found(plant, rule, monkeypatch):
    case = of_chapter(rule, "float32")
    (given,) = case.trial()
    expected = case.expected(given)
    right = networks.MultiLayerNetExtend.gradient

    def gradient(self, x, t):
        grads = right(self, x, t)
        plant(grads)
        return grads

    monkeypatch.setattr(networks.MultiLayerNetExtend, "gradient", gradient)
    (variant,) = peers.load()["NumPy"].training(given)
    with pytest.raises(WrongResultError, match="expected|allowed"):
        verify(case, variant, expected)


@pytest.mark.slow
@pytest.mark.parametrize("changed", [{"BETAS": (0.9, 0.99)}, {"BETAS": (0.89, 0.999)}])
def test_a_wrong_update_is_found(changed, monkeypatch):
    case = of_chapter("Adam", "float32")
    (given,) = case.trial()
    expected = case.expected(given)
    for name, value in changed.items():
        monkeypatch.setattr(with_fastnn, name, value)
    (variant,) = peers.load()["NumPy"].training(given)
    with pytest.raises(WrongResultError, match="expected|allowed"):
        verify(case, variant, expected)


@pytest.mark.slow
def test_nothing_is_allowed_but_rounding():
    for dtype in ("float32", "float64"):
        (given,) = of_chapter("SGD", dtype).trial()
        wanted = agreement.expected(given)
        start = [given.spec.initial()[name] for name in wanted.names]
        way = [np.linalg.norm(p - s) for p, s in zip(wanted.params, start, strict=True)]
        # A hundred times what a sum of the longest rows is off by at the worst.
        limit = 100 * max(given.spec.widths) * np.finfo(dtype).eps
        assert (wanted.allowed_losses < limit * wanted.losses).all()
        assert all(0 < a < limit * w for a, w in zip(wanted.allowed, way, strict=True))


def test_losses_of_steps_or_their_mean_are_compared():
    (given,) = CASES["SGD"].trial()
    wanted = agreement.expected(given)
    agreement.agree([wanted.losses, *wanted.params], wanted)
    agreement.agree([wanted.losses.mean(), *wanted.params], wanted)
    off = wanted.losses.copy()
    off[3] += 2 * wanted.allowed_losses[3]
    with pytest.raises(WrongResultError, match="the loss of step 4 is"):
        agreement.agree([off, *wanted.params], wanted)
    with pytest.raises(WrongResultError, match="the mean loss is nan"):
        agreement.agree([np.nan, *wanted.params], wanted)
    with pytest.raises(WrongResultError, match=f"5 losses, expected {STEPS_COMPARED}"):
        agreement.agree([off[:5], *wanted.params], wanted)
    params = [wanted.params[0].T, *wanted.params[1:]]
    with pytest.raises(WrongResultError, match="W1 is off by inf"):
        agreement.agree([wanted.losses, *params], wanted)


@pytest.mark.slow
@pytest.mark.parametrize("change", ["lr", "seed", "rule", "batchnorm", "x"])
def test_another_training_is_found(change):
    case = CASES["Adam BN"]
    (given,) = case.trial()
    expected = case.expected(given)
    other = {
        "lr": {"lr": given.lr * 1.001},
        "seed": {"seed": 1},
        "rule": {"spec": replace(given.spec, rule="SGD")},
        "x": {"x": np.roll(given.x, 1, axis=0)},
        "batchnorm": {"spec": replace(given.spec, batchnorm=False)},
    }[change]
    (variant,) = peers.load()["NumPy"].training(replace(given, **other))
    with pytest.raises((WrongResultError, ValueError), match=r"off by|the loss|zip\(\)"):
        verify(case, variant, expected)


def test_orders_are_permutations_and_the_first_is_that_of_fit():
    (given,) = CASES["SGD"].trial()
    orders = given.orders()
    first, second = next(orders), next(orders)
    assert sorted(first) == sorted(second) == list(range(len(given.x)))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, next(given.orders()))


def test_operations_of_a_step():
    # Forward and weights' gradient of both layers, inputs' gradient of the second.
    assert Spec((7, 5, 3), 2).products == 2 * 2 * (2 * (7 * 5 + 5 * 3) + 5 * 3)


def test_exponentials_of_matrices():
    a, b = 0.3, -1.2
    matrices = np.array([[[a, 0], [0, b]], [[0, 5], [0, 0]], [[0, -np.pi], [np.pi, 0]]])
    expected = [[[np.exp(a), 0], [0, np.exp(b)]], [[1, 5], [0, 1]], [[-1, 0], [0, -1]]]
    assert simplechains.exponentials(matrices) == pytest.approx(np.array(expected), abs=1e-11)


def settings(threads=1, quick=True, dtype="float32"):
    return Settings([], dtype, threads, quick)


def test_a_library_that_cannot_is_left_out_with_its_reason():
    fastnn = peers.load()["fastnn"]

    class Broken:
        @staticmethod
        def training(given):
            def run():
                raise NotMeasuredError("no compiler")

            return [Variant("broken", run)]

    libraries = {"fastnn": fastnn, "torch.compile": Broken, "other": object}
    case = CASES["float32"]
    calls = measure.prepare(case, libraries, settings(quick=False))
    assert list(calls.calls) == ["fastnn"]
    assert calls.left_out == {"torch.compile": "no compiler"}
    calls = measure.prepare(case, libraries, settings(quick=True))
    assert "short list" in calls.left_out["torch.compile"]


@pytest.mark.slow
def test_torch_compile_says_why_it_fails():
    pytest.importorskip("torch")
    from fastnn._bench.training import with_compile

    (given,) = CASES["float32"].trial()
    trained = with_compile.Training(given.spec, given.spec.initial(), given.x, given.t)

    def no_compiler(x, t):
        raise RuntimeError("no C++ compiler\nand a long list")

    trained._compiled = no_compiler
    with pytest.raises(NotMeasuredError, match="^RuntimeError: no C\\+\\+ compiler$"):
        trained.epoch(1e-3, np.arange(len(given.x)))


def test_busy_needs_two_threads_and_ends_its_process():
    (case,) = busy.cases("float32")
    libraries = {"fastnn": peers.load()["fastnn"]}
    with pytest.raises(NotMeasuredError, match="two threads"):
        busy.measure("busy", case, libraries, settings())
    with busy.busy_process() as process:
        assert process.poll() is None
    assert process.returncode is not None


def test_calls_in_turns_with_another_library_are_timed_alone():
    now = [0.0]

    def takes(seconds):
        def call(*_):
            now[0] += seconds

        return call

    clock = Clock(now=lambda: now[0], sleep=takes(0.01), cpu=lambda: 0.0)
    times = mixed.in_turns(takes(2.0), takes(3.0), 19.0, clock)
    assert times == pytest.approx([2.0] * 3)  # of four; the first does not count


def test_mixed_needs_two_threads_and_compares_with_one():
    case = list(mixed.cases("float32"))[-1]
    libraries = {name: peers.load()[name] for name in ("fastnn", "NumPy")}
    with pytest.raises(NotMeasuredError, match="two threads"):
        mixed.measure("mixed", case, libraries, settings())
    found = mixed.measure("mixed", case, libraries, settings(threads=2))
    assert list(found["ratios"]) == ["1 thread", "beside NumPy"]
    head, row = mixed.table([found])
    assert len(head) == len(row) == 5


@pytest.mark.slow
def test_the_busy_process_ends_with_the_one_that_started_it():
    script = (
        "import subprocess, sys; from fastnn._bench.families.busy import LOOP; "
        "print(subprocess.Popen([sys.executable, '-c', LOOP], stdout=subprocess.DEVNULL).pid)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    for _ in range(100):
        try:
            os.kill(int(done.stdout), 0)
        except ProcessLookupError:
            return
        subprocess.run([sys.executable, "-c", "import time; time.sleep(0.05)"])
    os.kill(int(done.stdout), 9)
    raise AssertionError("the process went on")


@pytest.mark.slow
@pytest.mark.parametrize("library", ["fastnn", "PyTorch", "JAX"])
def test_processes_of_one_library(library, tmp_path):
    if peers.load()[library] is None:
        pytest.skip(f"{library} is not installed")
    spec = Spec((4, 8, 8, 2), 10)
    rng = np.random.default_rng(0)
    x = rng.integers(256, size=(204, 4)).astype(np.uint8)  # the last batch is left out
    t = (x[:, 0] > 127).astype(np.int64)
    process.prepare(str(tmp_path), spec, x=x, t=t, x_test=x, t_test=t)
    found = process.train(library, "accuracy", str(tmp_path), spec, target=0.8)
    assert found["accuracy"] >= 0.8
    assert 1 <= found["epochs"] <= 30


def test_processes_do_not_import_fastnn():
    (package,) = __import__("fastnn._bench")._bench.__path__
    script = (
        f"import sys; sys.path.append({package!r}); import training.process, json; "
        "print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    )
    command = [sys.executable, "-I", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert not {"fastnn", "numba"} & set(json.loads(done.stdout))


@pytest.mark.slow
def test_memory_is_that_of_the_process_itself():
    big = np.ones(100_000_000)  # the parent's memory is none of the child's
    (case,) = memory.cases("float32")
    found = memory.measure("memory", case, {"fastnn": None}, settings())["bytes"]["fastnn"]
    assert 1e7 < found["imported"] <= found["peak"] < big.nbytes


def test_groups_are_of_families():
    from fastnn._bench.families import GROUPS

    assert set(GROUPS["training"]) < set(FAMILIES)
    assert not set(GROUPS) & set(FAMILIES)


@pytest.mark.slow
def test_networks_of_images_are_the_same_for_all(monkeypatch):
    given = images.problem("chapter 7: 30 of 5x5, 100", "float32", 4, 2, 1e-3)
    case = next(iter(images_family.cases("float32")))
    expected = images.expected(*given)
    for name in ("ours", "with_torch"):
        module = pytest.importorskip(f"fastnn._bench.peers.{name}", exc_type=ImportError)
        with module.session():
            variants = module.training_of_images(*given)
            for variant in variants:
                verify(case, variant, expected)
    with pytest.raises(WrongResultError):
        verify(case, Variant("wrong", lambda: [1.01 * expected[0].astype(np.float32)]), expected)
