"""The comparison of two commits: its statistic, its verdicts, its exit codes."""

import itertools
import json
import math
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from perf_check import __main__ as command
from perf_check import builds, pairs, report
from perf_check.compare import Result, compare

ROOT = Path(__file__).parent.parent.parent


# --- the statistic -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 5, 9, 10, 16, 32, 64, 256])
def test_ranks_of_the_interval_are_those_of_the_binomial_tail(n):
    ratios = list(range(1, n + 1))
    found = pairs.interval(ratios)
    below = [sum(math.comb(n, i) for i in range(k)) / 2**n for k in range(n + 1)]
    # P(the k-th smallest is above the median) = P(fewer than k are below it).
    ranks = [k for k in range(1, n + 1) if below[k] <= pairs.MISS]
    assert found.low == (ratios[ranks[-1] - 1] if ranks else 0.0)
    assert found.high == (ratios[-ranks[-1]] if ranks else math.inf)


def test_the_interval_misses_as_rarely_as_it_says():
    rng = np.random.default_rng(0)
    for n in (16, 64):
        # Heavy tails, skewed: nothing but the median is known to be 1.
        draws = np.exp(np.where(rng.random((4000, n)) < 0.5, -0.05, 0.4) * rng.exponential(1, n))
        found = [pairs.interval(list(row)) for row in draws]
        assert np.mean([f.low > 1 for f in found]) <= 4 * pairs.MISS
        assert np.mean([f.high < 1 for f in found]) <= 4 * pairs.MISS


def noisy(median, seed):
    """Yield ratios of a busy machine: some percent of noise, and one in ten far off."""
    rng = np.random.default_rng(seed)
    while True:
        off = rng.choice([0.3, 4.0]) if rng.random() < 0.1 else 1.0
        yield median * off * math.exp(0.06 * rng.standard_normal())


def decide(ratios):
    taken = []
    for look in pairs.LOOKS:
        taken += itertools.islice(ratios, look - len(taken))
        found = pairs.verdict(taken)
        if found:
            return found, len(taken)
    raise AssertionError("undecided")


def test_equal_commits_are_fine_soon():
    found = [decide(noisy(1.0, seed)) for seed in range(300)]
    assert all(verdict == "fine" for verdict, _ in found)
    assert np.mean([count for _, count in found]) < 40


def test_a_slow_down_of_15_percent_is_found():
    found = [decide(noisy(1.15, seed))[0] for seed in range(100)]
    assert found.count("slower") >= 95


@pytest.mark.slow
def test_at_the_limit_it_is_not_slower():
    found = [decide(noisy(pairs.LIMIT, seed))[0] for seed in range(300)]
    assert found.count("slower") <= 300 * 4 * len(pairs.LOOKS) * pairs.MISS
    assert found.count("undecided") > 100


# --- verdicts ----------------------------------------------------------------------------


class FakeWorker:
    """Answers with made-up times."""

    threads = 2  # so that nothing is moved between processors
    started = 0

    def __init__(self, ratio, absent=()):
        type(self).started += 1
        self._ratio, self._absent = ratio, absent
        self._rng = np.random.default_rng(self.started)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def run(self, case, calls):
        if case in self._absent:
            return {"failed": "AttributeError: no such function"}
        ratio = self._ratio(case) if callable(self._ratio) else self._ratio
        return {"seconds": 1e-5 * calls * ratio * math.exp(0.03 * self._rng.standard_normal())}


def verdicts(old, new, cases=("a", "b")):
    return {r.case: r.verdict for r in compare(old, new, cases, progress=False)}


def test_what_is_slower_is_named():
    def new():
        return FakeWorker(lambda case: 1.3 if case == "b" else 1.0)

    assert verdicts(lambda: FakeWorker(1), new) == {"a": "fine", "b": "slower"}


def test_a_second_pair_of_processes_has_to_agree():
    ratios = iter([1.3, 1.0])
    found = verdicts(lambda: FakeWorker(1), lambda: FakeWorker(next(ratios)), ["a"])
    assert found == {"a": "unconfirmed"}


def test_what_one_commit_lacks_is_not_compared():
    results = compare(
        lambda: FakeWorker(1, ["b"]), lambda: FakeWorker(1), ["a", "b"], progress=False
    )
    assert [r.verdict for r in results] == ["fine", "absent"]
    assert results[1].reason == "AttributeError: no such function"
    assert "1 that BASE cannot run" in report.summary(results, "base", "head")


def test_what_the_new_commit_alone_cannot_run_is_broken():
    results = compare(
        lambda: FakeWorker(1), lambda: FakeWorker(1, ["b"]), ["a", "b"], progress=False
    )
    assert [r.verdict for r in results] == ["fine", "broken"]
    assert "1 cases compared" in report.summary(results, "base", "head")
    assert "1 that only BASE can run" in report.summary(results, "base", "head")
    row = report.markdown(results, all_cases=False).splitlines()[2]
    assert row.endswith("**broken: this commit: AttributeError: no such function** |")


def test_a_failure_among_the_pairs_is_broken_too():
    class Tired(FakeWorker):
        calls = 0

        def run(self, case, calls):
            type(self).calls += 1
            return {"failed": "no more"} if self.calls > 7 else super().run(case, calls)

    (result,) = compare(lambda: FakeWorker(1), lambda: Tired(1), ["a"], progress=False)
    assert (result.verdict, result.reason) == ("broken", "no more")


def test_a_failure_of_the_second_processes_is_broken():
    absent = iter([(), ("a",)])
    results = compare(
        lambda: FakeWorker(1), lambda: FakeWorker(1.3, next(absent)), ["a"], progress=False
    )
    assert [r.verdict for r in results] == ["broken"]


def test_the_table():
    results = [
        Result("x | y", "slower", [1.2] * 20, 1e-3),
        Result("b", "fine", [0.9] * 20, 2e-6),
        Result("c", "absent", reason="no"),
    ]
    text = report.text(results, all_cases=True).splitlines()
    assert [line.split("  ")[0] for line in text] == ["case", "x | y", "c", "b"]
    assert "1,000.0  1.200  1.200 to 1.200     20  slower" in text[1]
    lines = report.markdown(results, all_cases=True).splitlines()
    assert lines[2].startswith("| x \\| y | 1,000.0 | 1.200 |") and "**slower**" in lines[2]
    assert report.summary(results, "base", "head").startswith(
        "head against base: 2 cases compared, 1 slower than 1.10"
    )


# --- the command -------------------------------------------------------------------------


def test_no_case_is_an_error(monkeypatch, capsys):
    arguments = command.parse_arguments(["--cases", "nothing like it"])
    with exits_with_2():
        command.chosen({"affine.forward": "affine.forward"}, arguments)
    assert "no case matches 'nothing like it'; there are:\naffine" in capsys.readouterr().err


def test_the_short_list_has_each_function_once():
    from benchmarks.cases import CASES

    names = command.short_list({name: case.kind for name, case in CASES.items()})
    assert {name.split(" ")[0] for name in names} == {name.split(" ")[0] for name in CASES}
    assert names.count("affine.forward (128, 784, 100) float32") == 1
    assert not [name for name in names if "float64" in name and not name.startswith("dropin")]
    assert "training.step Adam batchnorm float32" in names
    assert len(names) < len(CASES) / 2


@pytest.fixture
def fake_command(monkeypatch):
    """Run the command on made-up workers."""

    def run(ratio, absent=(), broken=(), options=()):
        monkeypatch.setattr(command, "git", lambda *arguments: b"abc1234\n")
        monkeypatch.setattr(command, "working_tree", lambda: "new")
        monkeypatch.setattr(command, "install", lambda revision, folder: revision)
        monkeypatch.setattr(command, "Worker", worker(ratio, absent, broken))
        return command.main(["--base", "main", *options])

    def worker(ratio, absent, broken):
        class Both(FakeWorker):
            def __init__(self, package, threads):
                new = package == "new"
                super().__init__(ratio if new else 1.0, broken if new else absent)
                self.cases = {"a": "a", "b": "b"}

        return Both

    return run


def test_exit_codes(fake_command, capsys, tmp_path):
    assert fake_command(1.0) == 0
    assert "2 cases compared, 0 slower" in capsys.readouterr().out
    assert fake_command(1.4, options=["--summary", str(tmp_path / "s.md")]) == 1
    assert "2 cases compared, 2 slower" in capsys.readouterr().out
    assert (tmp_path / "s.md").read_text().count("**slower**") == 2
    assert fake_command(1.0, absent=("a",)) == 0
    assert fake_command(1.0, broken=("a",)) == 1
    assert fake_command(1.0, broken=("a", "b")) == 1
    # Green while nothing ran is what must not happen.
    with exits_with_2():
        fake_command(1.0, absent=("a", "b"))
    assert "nothing was compared" in capsys.readouterr().err


@contextmanager
def exits_with_2():
    """Expect what is no verdict on speed: 1 is that of a slow-down."""
    with pytest.raises(SystemExit) as found:
        yield
    assert found.value.code == 2


def test_an_unknown_commit(capsys):
    with exits_with_2():
        builds.git("rev-parse", "--verify", "no-such-commit")
    assert re.search("git rev-parse .*no-such-commit", capsys.readouterr().err)


@pytest.mark.slow
def test_a_worker_times_what_it_is_given():
    """The real process, on the package of this environment."""
    script = ROOT / "asv_benchmarks" / "perf_check" / "worker.py"
    case = "losses.loss cross entropy, labels (128, 10) float32"
    asked = [{"case": case, "calls": 3}, {"case": case, "calls": 300}]
    asked.append({"case": "no such case", "calls": 1})
    done = subprocess.run(
        [sys.executable, script, ROOT / "asv_benchmarks"],
        input="".join(json.dumps(line) + "\n" for line in asked),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    first, few, many, failed = map(json.loads, done.stdout.splitlines())
    assert case in first["cases"] and Path(first["fastnn"]).name == "__init__.py"
    assert 0 < few["seconds"] < many["seconds"]
    assert failed == {"failed": "KeyError: 'no such case'"}
