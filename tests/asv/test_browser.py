"""The site in headless Chromium, served as the dashboard serves it."""

import json
import re
import shutil
import subprocess
from html import unescape
from urllib.parse import urlsplit

import pytest
from dashboard import data

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)

pytestmark = [pytest.mark.skipif(BROWSER is None, reason="there is no Chromium"), pytest.mark.slow]


@pytest.fixture
def opened(tmp_path, address):
    """Return a function that opens a page: what is on it when its scripts have run.

    The browser knows no other host, and what the page requested must have been of this one.
    """

    def open_page(path):
        log = tmp_path / "net.json"
        done = subprocess.run(
            [
                BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-component-update",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}",
                "--virtual-time-budget=5000", "--dump-dom", f"{address}/{path}",
            ],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        events = [event.get("params") or {} for event in json.loads(log.read_text())["events"]]
        # The browser's own requests have no page as their initiator.
        asked = {p["url"] for p in events if "url" in p and p.get("initiator") == address}
        assert {urlsplit(url).netloc for url in asked} <= {urlsplit(address).netloc}, asked
        return done.stdout, asked

    return open_page


def test_landing_page_has_the_numbers(opened, project):
    html, asked = opened("index.html")
    for result in project.newest[data.OVER_NUMPY]:
        assert f'data-result="{result!r}"' in html
        assert f'<span class="value">{1 / result:.2f}x</span>' in html
    assert project.planted[:8] in html
    assert html.count("<polyline") == 3  # a history for each family
    assert asked == set()


def test_graph_of_the_regression_draws(opened, site):
    html = (site / "index.html").read_text(encoding="utf-8")
    link = unescape(re.search(r'href="(asv/index.html#ratios[^"]*)"', html)[1])
    graph, asked = opened(link)
    assert graph.count('class="flot-base"') == 2  # the graph, and the overview below it
    assert "case-affine.forward (1, 784, 100) float32" in graph  # in the legend
    assert any("/asv/graphs/" in url for url in asked)
    assert any(url.endswith("/asv/vendor/jquery.flot.js") for url in asked)


def test_regressions_of_asv(opened, project):
    html, _ = opened("asv/index.html#/regressions")
    listed = re.search(r'id="regressions-body">(.*)', html, re.S)[1]
    assert f"{data.OVER_NUMPY}('{project.cases[1]}')" in listed
    assert project.planted[:8] in listed
