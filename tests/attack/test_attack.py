"""The frame: runs, their file, what is joined, the page."""

import json
from types import ModuleType

import pytest

from tests.attack import __main__, machine, running
from tests.attack.children import in_short
from tests.attack.machine import ROOT
from tests.attack.outcome import Outcome, joined

COMMAND = "python -m tests.attack fake"


def outcome(name="fake", failures=(), **figures):
    return Outcome(
        name, "It holds.", "tests/attack/test_attack.py", figures, failures, 0.5, COMMAND
    )


class Fake(ModuleType):
    """An attack whose unit number 7 finds something, if it is to."""

    RANK, UNIT, FULL, CHUNK = 1, "calls", 10, 4

    def __init__(self, faulty):
        super().__init__("tests.attack.fake")
        self.faulty, self.asked = faulty, []

    def attack(self, amount, seed):
        self.asked.append((amount, seed))
        found = tuple(f"--amount 1 --seed {i}" for i in range(seed, seed + amount) if i == 7)
        return outcome(failures=found * self.faulty, calls=amount, largest=1.0 * seed)


@pytest.fixture
def fake(monkeypatch):
    def make(faulty=True):
        module = Fake(faulty)
        monkeypatch.setattr(running, "attacks", lambda: {"fake": module})
        return module

    return make


def test_each_attack_says_what_the_frame_asks_for():
    found = running.attacks()
    for module in found.values():
        assert module.UNIT
        assert module.FULL >= module.CHUNK > 0


def test_errors_name_no_folder_of_the_machine():
    error = (
        f'File "{ROOT}/kernels/a.py", line 2\nOSError: "/usr/lib64/b.so" of /tmp/x-1/y, 3/4 a / b'
    )
    said = 'File "kernels/a.py", line 2 OSError: "b.so" of y, 3/4 a / b'
    assert in_short(error) == said


def test_parts_are_joined():
    a = outcome(failures=("x",), calls=3, largest=2.0, kind="a")
    b = outcome(failures=("x", "y"), calls=4, largest=1.0, kind="b", more=1)
    (both,) = joined([a, b])
    assert both.figures == {"calls": 7, "largest": 2.0, "kind": "b", "more": 1}
    assert both.failures == ("x", "y")
    assert both.seconds == 1.0
    assert Outcome.of(json.loads(both.line())) == both


@pytest.mark.parametrize("faulty", [False, True])
def test_a_full_run(fake, faulty, tmp_path, capsys):
    module = fake(faulty)
    path, page = tmp_path / "run.jsonl", tmp_path / "page.md"
    command = ["--full", "--jsonl", str(path), "--report", str(page)]
    assert __main__.main(command) == faulty
    assert module.asked == [(4, 0), (4, 4), (2, 8)]
    assert ("--amount 1 --seed 7" in page.read_text()) == faulty
    assert ("None in this run" in page.read_text()) != faulty
    assert machine.code() in page.read_text()
    assert "10 calls" in capsys.readouterr().out


def test_a_stopped_run_goes_on(fake, tmp_path):
    module = fake()
    path = tmp_path / "run.jsonl"
    __main__.main(["--full", "--jsonl", str(path)])
    whole = path.read_text()
    lines = whole.split("\n")
    path.write_text("\n".join(lines[:2]) + "\n" + lines[2][:20])  # killed within the second part
    module.asked.clear()
    assert __main__.main(["--jsonl", str(path), "--continue"]) == 1
    assert module.asked == [(4, 4), (2, 8)]
    assert running.read(path)[1] == [Outcome.of(json.loads(s)) for s in lines[1:-1]]


def test_a_run_is_of_one_code_at_any_commit(fake, tmp_path, monkeypatch):
    fake()
    path, page = tmp_path / "run.jsonl", tmp_path / "page.md"
    __main__.main(["--amount", "5", "--jsonl", str(path)])
    first = machine.commit()
    monkeypatch.setattr(machine, "commit", lambda: "another commit")
    __main__.main(["--jsonl", str(path), "--continue", "--report", str(page)])
    assert f"{machine.code()}, at {first}, another commit" in page.read_text()
    monkeypatch.setattr(machine, "code", lambda: "another code")
    with pytest.raises(SystemExit, match="here it is another code"):
        __main__.main(["--jsonl", str(path), "--continue"])


@pytest.mark.parametrize(
    ("name", "same"),
    [("fastnn/a.py", False), ("kernels/b.py", False), ("kernels/c.pyc", True), ("docs/d.md", True)],
)
def test_what_is_of_the_code(name, same, tmp_path, monkeypatch):
    for folder in ("fastnn", "kernels", "docs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "fastnn" / "kernels").symlink_to(tmp_path / "kernels")
    monkeypatch.setattr(machine, "PACKAGE", tmp_path / "fastnn")
    before = machine.code()
    (tmp_path / name).write_text("1")
    assert (machine.code() == before) is same


def test_parts_of_a_run_are_made_alone(monkeypatch, tmp_path):
    modules = {name: Fake(faulty=True) for name in ("one", "two")}
    for name, module in modules.items():
        module.__name__ = f"tests.attack.{name}"
        module.attack = lambda amount, seed, name=name: outcome(name, calls=amount)
    monkeypatch.setattr(running, "attacks", lambda: modules)
    path, page = tmp_path / "run.jsonl", tmp_path / "page.md"
    __main__.main(["--full", "--jsonl", str(path)])
    run, parts = running.read(path)
    path.write_text(run.line() + "\n")
    command = ["--continue", "--jsonl", str(path), "--report", str(page)]
    __main__.main([*command, "two"])
    assert {part.name for part in running.read(path)[1]} == {"two"}
    assert "The run is not over: one." in page.read_text()
    __main__.main(command)
    assert sorted(parts, key=str) == sorted(running.read(path)[1], key=str)
    assert "not over" not in page.read_text()


def test_an_attack_that_was_wrong_is_made_again(fake, tmp_path):
    module = fake()
    path, page = tmp_path / "run.jsonl", tmp_path / "page.md"
    assert __main__.main(["--full", "--jsonl", str(path)]) == 1
    module.faulty = False
    command = ["--continue", "--jsonl", str(path), "--report", str(page)]
    assert __main__.main(command) == 1
    assert __main__.main([*command, "--again", "fake"]) == 0
    assert module.asked[-3:] == [(4, 0), (4, 4), (2, 8)]
    assert "attack was mended: fake" in page.read_text()


def test_an_attack_goes_on_with_the_code_that_was_mended(monkeypatch, tmp_path):
    modules = {name: Fake(faulty=True) for name in ("one", "two")}
    finds = {"one": ("a fault",), "two": ()}
    for name, module in modules.items():
        module.__name__ = f"tests.attack.{name}"
        module.attack = lambda amount, seed, name=name: outcome(name, finds[name], calls=amount)
    monkeypatch.setattr(running, "attacks", lambda: modules)
    path, page = tmp_path / "run.jsonl", tmp_path / "page.md"
    assert __main__.main(["--full", "--jsonl", str(path)]) == 1
    before, finds["one"] = machine.code(), ()
    monkeypatch.setattr(machine, "code", lambda: "the code of today")
    command = ["--continue", "--jsonl", str(path), "--report", str(page), "--mended", "one"]
    assert __main__.main(command) == 0
    text = page.read_text()
    assert "has the digest the code of today" in text
    assert f"Made before that, with the digest {before}: two." in text
    assert "None is left" in text
    assert "- one: a fault" in text
    assert __main__.main(command[:-2]) == 0  # goes on with the code of today
    with pytest.raises(SystemExit):
        __main__.main(["--mended", "one"])


def test_minutes(fake):
    module = fake(faulty=False)
    assert __main__.main(["--minutes", "0.0001"]) == 0
    seeds = [seed for _, seed in module.asked]
    assert seeds == [sum(n for n, _ in module.asked[:i]) for i in range(len(seeds))]


def test_an_attack_that_fails_itself_is_a_failure(fake, capsys):
    module = fake()
    module.attack = None
    assert __main__.main(["--amount", "1"]) == 1
    assert "the attack itself failed" in capsys.readouterr().out


def test_unknown_attacks_are_refused(fake):
    fake()
    with pytest.raises(SystemExit, match="no attack nothing"):
        __main__.main(["nothing"])
