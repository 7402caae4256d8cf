"""Results in notebooks: the numbers are there, every text is escaped, and figures are pictures."""

import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from fastnn import MultiLayerNet
from fastnn._utils import html as _html
from fastnn.diagnostics import Finding, Monitor, Verdict, dashboard, diagnose, sanity_checks
from fastnn.fit import History
from fastnn.gradient_check import gradient_check
from fastnn.search import FinishedTrial, Log, SearchResult
from fastnn.second_order import Minimization

EVIL = '<script>alert("&")</script>'


class Reader(HTMLParser):
    """Reads the texts of cells, list entries and headings; fails where tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.texts, self.tags = [], [], set()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(result):
    """Return the texts of what a notebook shows of a result."""
    text = result._repr_html_()
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")  # nothing from elsewhere
    reader = Reader(text)
    assert "script" not in reader.tags
    return reader.texts


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 16))
    t = (x[:, 0] > 0).astype(int)
    network, monitor = MultiLayerNet(16, [8], 2, seed=0), Monitor(x[:50], t[:50], every=10)
    network.fit(x, t, 15, 40, callbacks=[monitor], validation=0.2, verbose=False, seed=0)
    return network, monitor, x, t


def test_history(trained):
    history = trained[0].history
    texts = read(history)
    assert f"History: {history._what()}" in texts
    for epoch in (1, 2, 3, 7, 15):  # the first three and the last nine
        row = history.row(epoch)
        begin = texts.index(f"{row['loss']:.4f}")
        assert texts[begin - 1 : begin + 6] == [
            str(epoch),
            *(f"{row[name]:.4f}" for name in ("loss", "accuracy", "val_loss", "val_accuracy")),
            f"{row['lr']:.3g}",
            f"{row['seconds']:.2f}",
        ]
    assert f"{history.loss[4]:.4f}" not in texts and "…" in texts
    assert "polyline" in history._repr_html_()


def test_a_history_of_nothing_and_one_that_diverged():
    history = History(("loss", "accuracy"), 10, 5, 0, route="layers", reason=EVIL)
    assert any(EVIL in text for text in read(history))
    history.loss, history.accuracy, history.lr = [math.nan, math.inf], [0.0, 0.0], [0.1, 0.1]
    history.seconds = [1.0, 1.0]
    texts = read(history)
    assert "nan" in texts and "inf" in texts and "svg" not in history._repr_html_()


def test_verdict(trained):
    network, monitor = trained[:2]
    verdict = diagnose(network.history, monitor)
    assert "".join(read(verdict)).startswith(verdict._head)
    assert ", ".join(verdict.facts) in read(verdict)
    texts = read(Verdict([Finding(EVIL, [EVIL + "1"], EVIL + "2")], [EVIL + "3"]))
    assert texts == ["suspicious", EVIL + "3", EVIL, EVIL + "1", EVIL + "2"]


def test_sanity_report(trained):
    network, _, x, t = trained
    report = sanity_checks(network, x, t)
    texts = read(report)
    assert "Sanity checks: ok" in texts and report.ok
    for check in report.checks:
        assert check.name in texts and check.text in texts
    evil = replace(report, checks=(replace(report.checks[0], text=EVIL, advice=EVIL),))
    assert read(evil).count(EVIL) == 2
    failed = replace(report, checks=(replace(report.checks[0], ok=False),))
    assert f"Sanity checks: failed: {report.checks[0].name}" in read(failed)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_gradient_report(trained, decay):
    x, t = trained[2:]
    network = MultiLayerNet(16, [8], 2, weight_decay_lambda=decay, seed=0)
    report = gradient_check(network, x[:10], t[:10])
    texts = read(report)
    for key, check in report.checks.items():
        begin = texts.index(key)
        assert texts[begin + 1] == str(len(check.indices))
        assert f"{check.worst.error:.1e}" in texts[begin : begin + 11] and check.verdict in texts
    assert ("weight penalty alone:" in texts) == (decay > 0)
    assert texts[-1] == report._summary()
    assert EVIL in read(replace(report, checks={EVIL: replace(report.checks["W1"], key=EVIL)}))


def test_search_result():
    trials = tuple(
        FinishedTrial(i, {"lr": lr, "kind": EVIL}, "complete", value, {}, 1.0)
        for i, (lr, value) in enumerate([(1e-3, 0.25), (0.9, 0.75), (1e-2, math.nan)])
    )
    result = SearchResult(
        EVIL, "val_accuracy", True, {"lr": Log(1e-6, 1), "kind": Log(1, 2)}, trials, None
    )
    result = replace(result, ranges={"lr": Log(1e-6, 1)})
    texts = read(result)
    begin = texts.index("0.75")
    assert texts[begin - 1 : begin + 4] == ["1", "0.75", "0.9", EVIL, "complete"]
    assert any(text.startswith(f"{EVIL}: 3 trials") for text in texts)
    assert any(text.startswith("careful: the best lr, 0.9,") for text in texts)


def test_minimization():
    record = Minimization("lbfgs", [2.0, 1.0], [0.5, 0.25], [1, 3], [0.0, 1.5], True, EVIL)
    texts = read(record)
    assert f"lbfgs: {EVIL}" in texts
    assert texts[-5:] == ["1", "1", "0.25", "3", "1.50"]
    assert "lbfgs: not begun" in read(Minimization("lbfgs"))


def test_curves():
    picture = _html.curves({EVIL: [4.0, math.nan, 2.0, 0.0], "short": [1.0]})
    (root,) = [ElementTree.fromstring(picture)]
    lines = [e.get("points") for e in root.iter() if e.tag.endswith("polyline")]
    assert lines == ["0.0,0.0 213.3,50.0 320.0,100.0"]
    assert [e.text for e in root.iter() if e.tag.endswith("text")] == ["4", "0", EVIL]
    long = _html.curves({"loss": np.linspace(1, 0, 10_001).tolist()})
    points = re.search('points="([^"]*)"', long)[1].split()
    assert 250 < len(points) <= 300 and points[0] == "0.0,0.0"
    assert "0.0,0.0 320.0,0.0" in _html.curves({"flat": [1.0, 1.0]})


@pytest.mark.parametrize(
    ("text", "side"), [("1,234", "right"), ("5%", "right"), ("1e-3", "right"), ("W1", "left")]
)
def test_numbers_are_on_the_right(text, side):
    assert f'<td style="text-align:{side}">{text}</td>' in _html.table(["a"], [[text]])


@pytest.mark.slow
def test_the_dashboard_is_a_picture(trained):
    network, monitor = trained[:2]
    picture = dashboard(network.history, monitor, network)._repr_png_()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert [int.from_bytes(picture[i : i + 4], "big") for i in (16, 20)] == [1200, 1000]
