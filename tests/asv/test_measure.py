"""What is measured: the last commits that changed the library and have no results."""

import subprocess

import pytest
from asv import util
from dashboard import measure


def test_commits_that_changed_the_library(project):
    repo = project.folder / "repo"
    assert measure.last_commits(project.config, 3, "main") == project.commits[:-4:-1]
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


def test_what_has_results_is_not_missing(project):
    name = "virtualenv-py3.11-numpy2.4.6"
    assert measure.has_results(project.results, project.commits[0], name)
    assert not measure.has_results(project.results, project.commits[0], "another")
    assert not measure.has_results(project.results, "0" * 40, name)
    count = measure.numbers(project.results, "abacus", project.commits[0], name)
    assert count == 8  # of 9, one of which the commit cannot have


@pytest.fixture
def quiet_asv(project, monkeypatch):
    """An asv that ends well and does nothing; returns what it was asked."""
    asked = []
    monkeypatch.setattr(measure, "run_asv", lambda config, *arguments: asked.append(arguments) or 0)
    return asked


def test_nothing_ran_is_an_error(project, quiet_asv):
    with pytest.raises(SystemExit, match="no benchmark ran at commit"):
        measure.measure(project.config, 2, False, "", "abacus")
    assert [arguments[0] for arguments in quiet_asv] == ["machine", "run"]


def test_a_failed_benchmark_is_an_error(project, monkeypatch):
    monkeypatch.setattr(measure, "run_asv", lambda config, command, *rest: 2 * (command == "run"))
    monkeypatch.setattr(measure, "numbers", lambda *arguments: 1)
    with pytest.raises(SystemExit, match="exit code 2"):
        measure.measure(project.config, 1, False, "", "abacus")


def test_settings():
    config = measure.Path(__file__).parent.parent.parent / "asv_benchmarks" / "asv.conf.json"
    settings = util.load_json(str(config), js_comments=True)
    assert settings["branches"] == ["main"]
    assert settings["environment_type"] == "virtualenv"
