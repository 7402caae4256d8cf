"""The landing page and what it is made of: numbers as in the result files."""

import json
import math
import re
import statistics
from html import unescape
from urllib.request import urlopen

import pytest
from dashboard import charts, data
from dashboard.offline import COPIES, VENDOR, make_offline
from dashboard.page import Names, page


@pytest.fixture(scope="module")
def revisions(site):
    return data.published_revisions(site / "asv")


@pytest.fixture(scope="module")
def runs(project, revisions):
    return data.read(project.results, revisions)


@pytest.fixture(scope="module")
def html(site):
    return (site / "index.html").read_text(encoding="utf-8")


def section(html, name):
    return re.search(f'<section id="{name}">(.*?)</section>', html, re.S)[1]


def bars(html):
    """Return what the bars of single cases show: label -> (number of the result file, text)."""
    found = re.findall(
        r'data-label="([^"]*)" data-result="([^"]*)".*?<output>([^<]*)</output>', html
    )
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
    heads = dict(re.findall(r'data-label="(\w+ \(\d\))">.*?<output>([^<]*)<', speedup))
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
    assert re.search(r'data-result="0.625">.*?>2<.*?>1.60x<', section(html, "threads"))


def test_history_counts_common_cases_alone(html, project, runs):
    newest_place = [run for run in runs if run.place == runs[-1].place or "2.4.6" in run.place[1]]
    found = data.history(newest_place, data.OVER_NUMPY)
    assert len(found["affine"]) == len(project.commits)
    assert len(found["layernorm"]) == len(project.commits) - 3  # the first three lack it
    # A case that only the later commits have leaves no step in its family.
    values = [{"a.x": 0.5}, {"a.x": 0.5, "a.y": 8.0}]
    runs = [data.Run(str(i), runs[0].date, "", {}, {"k": v}, 0) for i, v in enumerate(values)]
    assert [value for _, value in data.history(runs, "k")["a"]] == [0.5, 0.5]
    assert 'data-label="layernorm" data-points="6"' in section(html, "history")


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


def test_each_environment_has_its_page(html, site):
    assert '<a href="1.html">python 3.11, numpy 1.26.0, numba 0.68.1 on abacus</a>' in html
    other = (site / "1.html").read_text(encoding="utf-8")
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


def test_results_of_an_earlier_version_do_not_count(project, revisions, tmp_path):
    (tmp_path / "abacus").mkdir()
    for path in project.results.glob("abacus/*"):
        (tmp_path / "abacus" / path.name).write_bytes(path.read_bytes())
    known = json.loads((project.results / "benchmarks.json").read_text())
    known[data.OVER_NUMPY]["version"] = "2"
    (tmp_path / "benchmarks.json").write_text(json.dumps(known))
    found = data.read(tmp_path, revisions)[-1].values
    assert data.OVER_NUMPY not in found
    assert data.OVER_LIMIT in found


def test_build_without_results_says_so(project, dashboard, tmp_path):
    config = json.loads(project.config.read_text())
    config["results_dir"] = "empty"
    path = project.folder / "empty.json"
    path.write_text(json.dumps(config))
    done = dashboard("build", "--config", path, "--site", tmp_path)
    assert done.returncode == 1
    assert "there are no results" in done.stderr
    assert not (tmp_path / "index.html").exists()


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
