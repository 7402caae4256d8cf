"""The landing page and what it is made of: numbers as in the result files."""

import json
import math
import re
import shutil
import statistics
from dataclasses import replace
from html import unescape
from urllib.request import urlopen

import pytest
from dashboard import charts, data
from dashboard.offline import COPIES, VENDOR, make_offline
from dashboard.page import Names, page


@pytest.fixture(scope="module")
def benchmarks(project, site):
    listed = json.loads((project.results / "benchmarks.json").read_text(encoding="utf-8"))
    return {name: value for name, value in listed.items() if isinstance(value, dict)}


@pytest.fixture(scope="module")
def runs(project, benchmarks):
    found, elsewhere = data.read(project.results, benchmarks, project.commits)
    assert elsewhere == 0
    return found


@pytest.fixture(scope="module")
def html(site):
    return (site / "index.html").read_text(encoding="utf-8")


def section(html, name):
    return re.search(f'<section id="{name}">(.*?)</section>', html, re.S)[1]


def bars(html):
    """Return what the bars of single cases show: label -> (number of the result file, text)."""
    found = re.findall(r'data-label="([^"]*)" data-result="([^"]*)".*?"value">([^<]*)</span>', html)
    return {unescape(label): (float(result), text) for label, result, text in found}


def test_speedups_are_those_of_the_result_file(html, project):
    shown = bars(section(html, "speedup"))
    assert [*shown] == [case.split(".", 1)[1] for case in project.cases]
    for (result, text), expected in zip(
        shown.values(), project.newest[data.OVER_NUMPY], strict=True
    ):
        assert result == expected  # to the last digit
        assert text == f"{1 / expected:.2f}x"


def test_headline_is_the_median(html, project):
    results = project.newest[data.OVER_NUMPY]
    assert f"<strong>{1 / statistics.median(results):.1f} times</strong>" in html
    assert f"median of {len(results)} cases; faster in {len(results) - 1} of them" in html


def test_families_show_the_geometric_mean(html, project):
    affine = project.newest[data.OVER_NUMPY][:2]
    speedup = section(html, "speedup")
    heads = dict(re.findall(r'data-label="(\w+ \(\d\))">.*?"value">([^<]*)<', speedup))
    assert heads["affine (2)"] == f"{1 / math.sqrt(affine[0] * affine[1]):.2f}x"


def test_limits_are_those_of_the_result_file(html, project):
    shown = bars(section(html, "limit"))
    expected = project.newest[data.OVER_LIMIT]
    assert [result for result, _ in shown.values()] == expected
    assert [text for _, text in shown.values()] == [f"{100 / e:.0f} %" for e in expected]


def test_a_slower_case_is_marked(html):
    speedup = section(html, "speedup")
    below = re.findall(r'class="bar below" data-label="([^"]*)"', speedup)
    assert below == ["losses (1)", "loss cross entropy, labels (128, 10) float32"]


def test_facts(html, project):
    facts = section(html, "facts")
    for key in ("startup.Startup.timeraw_import", "startup.CacheSize.track_step"):
        assert f'data-benchmark="{key}" data-result="{project.newest[key][0]!r}"' in facts
    assert ">3.46 MB<" in facts
    machine = section(html, "machine")
    for text in ("abacus", "Abacus", "8 GiB", "2.4.6", "0.68.1", "3.11"):
        assert f">{text}<" in machine


def test_threads(html):
    assert bars(section(html, "threads")) == {"epoch Adam, 2 threads": (0.625, "1.60x")}


def test_history_counts_common_cases_alone(html, project, runs):
    newest_place = [run for run in runs if run.place == runs[-1].place or "2.4.6" in run.place[1]]
    found = data.history(newest_place, data.OVER_NUMPY)
    assert len(found["affine"]) == len(project.commits)
    assert len(found["layernorm"]) == len(project.commits) - 3  # the first three lack it
    assert 'data-label="layernorm" data-points="6"' in section(html, "history")


def runs_of(like, *values):
    """Return runs in which a benchmark k has these values."""
    return [data.Run(str(i), like.date, "", {}, {"k": v}, 0) for i, v in enumerate(values)]


def test_a_new_case_makes_no_step(runs):
    made = runs_of(runs[0], {"a.x": 0.5}, {"a.x": 0.5, "a.y": 8.0})
    assert [value for _, value in data.history(made, "k")["a"]] == [0.5, 0.5]


def test_history_begins_where_there_is_something_in_common(runs):
    made = runs_of(runs[0], {"a.old": 0.1}, {"a.x": 0.5, "a.old": 0.2}, {"a.x": 0.25})
    assert [value for _, value in data.history(made, "k")["a"]] == [0.5, 0.25]


def test_a_history_that_ended_says_so(runs):
    old, new = runs_of(runs[0], {"a.x": 0.5}, {"b.x": 0.5})
    for run in (old, new):
        run.values[data.OVER_NUMPY] = run.values.pop("k")
    cards = section(page("p", [old, new], [], Names({}), {}), "history")
    assert re.findall(r'data-label="(\w)"|(the last) <code>(\d)</code>', cards) == [
        ("a", "", ""), ("", "the last", "0"), ("b", "", "")
    ]  # fmt: skip


def test_regression_is_listed_with_its_commit(html, project, site):
    listed = data.regressions(site / "asv")
    assert [(r.commit, r.benchmark) for r in listed] == [
        (project.planted, f"{data.OVER_NUMPY}({project.cases[1]!r})")
    ]
    assert listed[0].after / listed[0].before == pytest.approx(project.slower, rel=0.05)
    shown = section(html, "regressions")
    assert project.planted[:8] in shown
    assert "Change &lt;5&gt;" in shown  # its message, escaped
    link = unescape(re.search(r'href="(asv/index.html#[^"]*)"', shown)[1])
    assert link.startswith(f"asv/index.html#{data.OVER_NUMPY}?")
    assert "commits=" + project.planted in link


def test_a_step_with_a_single_result_on_one_side_is_listed_apart(runs, project):
    place = [run for run in runs if run.place == runs[0].place]
    common, late = project.cases[0], project.cases[3]  # the late one is in the last six
    at = project.commits

    def step(case, commit):
        return data.Regression(f"{data.OVER_NUMPY}({case!r})", commit, "", 1.0, 2.0, "", {})

    repeated = [step(common, at[2]), step(common, at[-2]), step(late, at[5])]
    single = [step(common, at[1]), step(common, at[-1]), step(late, at[4])]
    assert [r.is_repeated(place) for r in repeated] == [True] * 3
    assert [r.is_repeated(place) for r in single] == [False] * 3

    text = page("p", place, [*repeated, *single], Names({}), {})
    assert '<a href="#regressions">3 regressions</a>' in text
    sure, apart = section(text, "regressions").split('id="once"')
    assert "<h2>Regressions: 3</h2>" in sure
    assert sure.count("data-before") == apart.count("data-before") == 3
    assert "may be chance: 3." in apart
    assert "3 regressions)" in data.title(place, [*repeated, *single])
    assert '<a href="#regressions">no regressions</a>' in page("p", place, [], Names({}), {})


def test_a_step_of_what_has_a_unit_is_shown_in_it(runs, project):
    place = [run for run in runs if run.place == runs[0].place]
    size = data.Regression("startup.CacheSize.track_step", project.commits[4], "", 4e5, 5e5, "", {})
    assert size.is_repeated(place)
    assert ">0.4 to 0.5 MB<" in page("p", place, [size], Names({}), {})


def test_each_environment_has_its_page(html, site, project):
    link = "python 3.11, numpy 1.26.0, numba 0.68.1 on abacus (1 commit)"
    assert f'<a href="place-1.html">{link}</a>' in html
    other = (site / "place-1.html").read_text(encoding="utf-8")
    assert f"on abacus ({len(project.commits)} commits, 1 regression)</a>" in other
    assert "1.26.0" in section(other, "machine")
    assert "Cases that failed at this commit: 1" in other
    assert "Cases that failed" not in html
    assert "None." in section(other, "regressions")  # that of the others is not its own
    assert "No data" in section(other, "limit")


def test_page_takes_nothing_from_elsewhere(site):
    for path in site.glob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "<script" not in text
        assert not re.search(r"(src|href)=\"(https?:)?//", text)
        assert not re.search(r"url\(|@import", text)


def test_asv_pages_take_nothing_from_elsewhere(site):
    index = (site / "asv" / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<(script|link)\b[^>]*https?:", index)
    for name in COPIES.values():
        assert f'"vendor/{name}"' in index
        assert (site / "asv" / "vendor" / name).is_file()
    assert {path.name for path in VENDOR.iterdir()} == {*COPIES.values(), "LICENSES.txt"}


def test_an_unknown_script_is_refused(tmp_path):
    (tmp_path / "index.html").write_text('<script src="https://example.org/new.js"></script>')
    with pytest.raises(LookupError, match=r"example\.org/new\.js"):
        make_offline(tmp_path)


def test_commits_lead_to_their_page(runs, project):
    names = Names({}, "https://example.org/commit/")
    text = page("p", runs[-1:], [], names, {})
    assert f'href="https://example.org/commit/{project.commits[-1]}"' in text


def test_no_results_of_a_benchmark(runs):
    bare = data.Run("0" * 40, runs[0].date, "env", {}, {}, 0)
    text = page("p", [bare], [], Names({}), {})
    for name in ("speedup", "limit", "history", "facts"):
        assert "No data" in section(text, name)


def test_results_of_an_earlier_version_do_not_count(project, benchmarks):
    newer = {**benchmarks, data.OVER_NUMPY: {**benchmarks[data.OVER_NUMPY], "version": "2"}}
    found = data.read(project.results, newer, project.commits)[0][-1].values
    assert data.OVER_NUMPY not in found
    assert data.OVER_LIMIT in found


def test_results_of_other_commits_do_not_count(project, benchmarks):
    found, elsewhere = data.read(project.results, benchmarks, project.commits[:-1])
    assert {run.commit for run in found} == {*project.commits[:-1]}
    assert elsewhere == 2  # of two environments


def test_a_regression_concerns_its_machine_and_versions(runs):
    facts = {**runs[-1].facts, "os": "another", "ram": "less"}
    found = data.Regression("b", "1", "", 1.0, 2.0, "", facts)
    assert found.concerns(runs[-1])
    for key in ("machine", "numpy"):
        assert not replace(found, facts={**facts, key: "another"}).concerns(runs[-1])


def changed(project, **settings):
    """Return the project's settings of asv with changes, in a file beside them."""
    path = project.folder / "changed.json"
    path.write_text(json.dumps({**json.loads(project.config.read_text()), **settings}))
    return path


def test_build_without_results_says_so(project, dashboard, tmp_path):
    config = changed(project, results_dir="empty")
    done = dashboard("build", "--config", config, "--site", tmp_path)
    assert done.returncode == 1
    assert "there are no results" in done.stderr
    assert not (tmp_path / "index.html").exists()


@pytest.mark.slow
def test_build_with_results_of_earlier_benchmarks_alone_says_so(project, dashboard, tmp_path):
    shutil.copytree(project.results, tmp_path / "results")
    shutil.copytree(project.folder / "benchmarks", tmp_path / "benchmarks")
    text = (tmp_path / "benchmarks" / "ratios.py").read_text()
    (tmp_path / "benchmarks" / "ratios.py").write_text(text.replace("version", "old"))
    folders = {f"{name}_dir": str(tmp_path / name) for name in ("results", "benchmarks")}
    folders["benchmark_dir"] = folders.pop("benchmarks_dir")
    done = dashboard("build", "--config", changed(project, **folders), "--site", tmp_path / "site")
    assert done.returncode == 1
    assert f"the benchmark {data.OVER_NUMPY} as it is now" in done.stderr


@pytest.mark.parametrize("step", ["measure", "build"])
def test_a_repository_without_the_branch(project, dashboard, tmp_path, step):
    config = changed(project, branches=["trunk"])
    done = dashboard(step, "--config", config, "--site", tmp_path)
    assert done.returncode == 1
    assert "there is no branch trunk here, which changed.json names" in done.stderr


@pytest.mark.parametrize("values", [[0.03, 700.0], [1.0], [4.9], [0.99, 1.2]])
def test_speedup_scale_holds_all_values(values):
    scale = charts.speedup_scale(values)
    assert scale.least <= min(*values, 1.0)
    assert scale.most >= max(*values, 1.0)
    places = [scale.place(value) for value in sorted(values)]
    assert places == sorted(places)
    assert scale.place(scale.least) == 0
    assert scale.place(scale.most) == 100


def test_served(address, html):
    for path, text in (("", html), ("asv/regressions.json", None), ("asv/vendor/md5.min.js", None)):
        with urlopen(f"{address}/{path}") as answer:
            assert answer.status == 200
            assert text in (None, answer.read().decode())
