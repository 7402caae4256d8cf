"""What is measured: the last commits that changed the library and have no results."""

import subprocess

import pytest
from asv import util
from dashboard import measure


def test_commits_that_changed_the_library(project):
    repo = project.folder / "repo"
    assert measure.last_commits(project.config, 3) == project.commits[:-4:-1]
    for name in ("README.md", "tests/test.py"):
        (repo / name).parent.mkdir(exist_ok=True)
        (repo / name).write_text("")
    git = ["git", "-C", repo, "-c", "user.name=maker", "-c", "user.email=maker@example.org"]
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "Documents"], check=True)
    try:
        assert measure.last_commits(project.config, 1) == project.commits[-1:]
    finally:
        subprocess.run([*git, "reset", "--quiet", "--hard", "HEAD~"], check=True)


def test_newest_environment_comes_first(project):
    names = measure.environments(project.config)
    assert len(names) == 2
    assert "numba0.68.1-numpy2.4.6" in names[0]
    assert "numba0.61.0-numpy1.26.0" in names[1]


def test_what_has_results_is_not_missing(project):
    name = "virtualenv-py3.11-numpy2.4.6"
    assert measure.has_results(project.results, project.commits[0], name)
    assert not measure.has_results(project.results, project.commits[0], "another")
    assert not measure.has_results(project.results, "0" * 40, name)
    count = measure.numbers(project.results, "abacus", project.commits[0], name)
    assert count == 8  # of 9, one of which the commit cannot have


@pytest.fixture
def machines(tmp_path, monkeypatch):
    """asv's file on machines, in a folder of its own."""
    path = tmp_path / ".asv-machine.json"
    monkeypatch.setattr(measure.MachineCollection, "get_machine_file_path", lambda: str(path))
    return path


def test_machine_is_recorded(machines):
    assert measure.machine_name("abacus") == "abacus"
    recorded = util.load_json(str(machines))["abacus"]
    assert recorded["machine"] == "abacus"
    assert recorded["num_cpu"]
    assert recorded["arch"]
    assert measure.machine_name(None) == "abacus"
    measure.machine_name("another")
    with pytest.raises(SystemExit, match="abacus, another"):
        measure.machine_name(None)


def test_nothing_ran_is_an_error(project, machines, monkeypatch):
    asked = []
    monkeypatch.setattr(measure, "run_asv", lambda config, *command: asked.append(command) or 0)
    with pytest.raises(SystemExit, match="no benchmark ran at commit"):
        measure.measure(project.config, project.commits[:2], machine="abacus")
    assert [command[0] for command in asked] == ["run"]
    assert "--machine" in asked[0]


def test_a_failed_benchmark_is_an_error(project, machines, monkeypatch):
    monkeypatch.setattr(measure, "run_asv", lambda config, *command: 2)
    monkeypatch.setattr(measure, "numbers", lambda *arguments: 1)
    with pytest.raises(SystemExit, match="exit code 2"):
        measure.measure(project.config, project.commits[:1], machine="abacus")


def test_nothing_is_missing(project, monkeypatch, capsys):
    monkeypatch.setattr(measure, "environments", lambda config: ["virtualenv-py3.11-numpy2.4.6"])
    measure.measure(project.config, project.commits)
    assert f"0 of {len(project.commits)} commits to measure" in capsys.readouterr().out


def test_revisions(project):
    assert measure.whole_hashes(project.config, ["main", "main~2"]) == project.commits[:-4:-2]
    with pytest.raises(SystemExit, match="no-such"):
        measure.whole_hashes(project.config, ["no-such"])


def test_settings():
    config = measure.Path(__file__).parent.parent.parent / "asv_benchmarks" / "asv.conf.json"
    settings = util.load_json(str(config), js_comments=True)
    assert settings["branches"] == ["main"]
    assert settings["environment_type"] == "virtualenv"
