"""What is measured: the last commits that changed the library and have no results."""

import platform
import subprocess

import pytest
from asv import util
from dashboard import data, measure


def test_commits_that_changed_the_library(project):
    repo = project.folder / "repo"
    assert measure.last_commits(project.config, 3, "main") == project.commits[:-4:-1]
    assert measure.last_commits(project.config, 1, "main~2") == project.commits[-3:-2]
    for name in ("README.md", "tests/test.py"):
        (repo / name).parent.mkdir(exist_ok=True)
        (repo / name).write_text("")
    git = ["git", "-C", repo, "-c", "user.name=maker", "-c", "user.email=maker@example.org"]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "Documents"], check=True)
    try:
        assert measure.last_commits(project.config, 1, "main") == project.commits[-1:]
    finally:
        subprocess.run([*git, "reset", "--quiet", "--hard", "HEAD~"], check=True)


def test_newest_environment_comes_first(project):
    names = measure.environments(project.config)
    assert len(names) == 2
    assert "numba0.68.1-numpy2.4.6" in names[0]
    assert "numba0.61.0-numpy1.26.0" in names[1]


ENVIRONMENT = "virtualenv-py3.11-numpy2.4.6"


@pytest.fixture
def known(project, machines):
    """What benchmarks there are, as asv finds them."""
    return measure.discover(project.config)


def test_numbers_are_those_asked_for(project, known):
    def count(commit=project.commits[0], environment=ENVIRONMENT, bench="", known=known):
        return measure.numbers(project.results, commit, environment, bench, known)

    assert count() == 8  # of 9, one of which the commit cannot have
    assert count(bench="OverNumPy") == 3
    assert count(environment="another") == 0
    assert count(commit="0" * 40) == 0
    assert count(bench="cross entropy") == 1  # asv matches parameters too
    # One of four has failed.
    assert count(project.commits[-1], "virtualenv-py3.11-numpy1.26.0") == 3
    # Of an earlier text of a benchmark, or of none.
    newer = {**known, data.OVER_NUMPY: {**known[data.OVER_NUMPY], "version": "2"}}
    assert count(known=newer) == 5
    assert count(known={}) == 0


@pytest.fixture
def machines(tmp_path, monkeypatch):
    """asv's file on machines, in a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".asv-machine.json"


def test_machine_is_recorded(machines):
    assert measure.machine_name("abacus") == "abacus"
    recorded = util.load_json(str(machines))["abacus"]
    assert recorded["machine"] == "abacus"
    assert recorded["num_cpu"]
    assert recorded["arch"]
    assert recorded["os"] == platform.system()  # its version would part the results
    assert not recorded["ram"].isdigit() or int(recorded["ram"]) % (1 << 30) == 0
    assert measure.machine_name(None) == "abacus"
    measure.machine_name("another")
    with pytest.raises(SystemExit, match="abacus, another"):
        measure.machine_name(None)
    measure.machine_name(platform.node())
    assert measure.machine_name(None) == platform.node()


def test_nothing_ran_is_an_error(project, known, monkeypatch):
    asked = []
    monkeypatch.setattr(measure, "discover", lambda config: known)
    monkeypatch.setattr(measure, "run_asv", lambda config, *command: asked.append(command) or 0)
    with pytest.raises(SystemExit, match="no benchmark ran at commit"):
        measure.measure(project.config, project.commits[:2], machine="abacus")
    assert [command[0] for command in asked] == ["run"]
    assert "--machine" in asked[0]


def test_a_failed_benchmark_is_an_error(project, known, monkeypatch):
    counts = iter([0, 1])  # before asv has run, and after
    monkeypatch.setattr(measure, "discover", lambda config: known)
    monkeypatch.setattr(measure, "run_asv", lambda config, *command: 2)
    monkeypatch.setattr(measure, "numbers", lambda *arguments: next(counts))
    with pytest.raises(SystemExit, match="exit code 2"):
        measure.measure(project.config, project.commits[:1], machine="abacus")


def test_a_part_that_a_commit_does_not_have_is_no_error(project, known, monkeypatch):
    monkeypatch.setattr(measure, "environments", lambda config: [ENVIRONMENT])
    monkeypatch.setattr(measure, "discover", lambda config: known)
    monkeypatch.setattr(measure, "run_asv", lambda config, *command: 0)
    measure.measure(project.config, project.commits[:1], bench="layernorm", machine="abacus")


def test_no_commits(project, monkeypatch):
    monkeypatch.setattr(measure, "run_asv", None)  # nothing calls it
    measure.measure(project.config, [])


def test_nothing_is_missing(project, machines, monkeypatch, capsys):
    monkeypatch.setattr(measure, "environments", lambda config: [ENVIRONMENT])
    measure.measure(project.config, project.commits)
    assert f"0 of {len(project.commits)} commits to measure" in capsys.readouterr().out


def test_unknown_revision(project):
    with pytest.raises(SystemExit, match="no-such"):
        measure.last_commits(project.config, 1, "no-such")


def test_settings():
    config = measure.Path(__file__).parent.parent.parent / "asv_benchmarks" / "asv.conf.json"
    settings = util.load_json(str(config), js_comments=True)
    assert settings["branches"] == ["main"]
    assert settings["environment_type"] == "virtualenv"
