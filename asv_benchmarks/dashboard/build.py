"""Build the site: asv's own pages in the folder ``asv``, the landing page before them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from asv.config import Config

from . import data
from .measure import branch, discover, git, run_asv
from .offline import make_offline
from .page import Names, page


def build(config: Path, site: Path, address: str) -> None:
    """Publish asv's site, and write the landing pages.

    Parameters
    ----------
    config : Path
        ``asv.conf.json``.
    site : Path
        Folder for the site.
    address : str
        What a commit is appended to for the address of its page, or "".
    """
    settings, followed = Config.load(str(config)), branch(config)
    results_dir, html_dir = config.parent / settings.results_dir, site / "asv"
    if not any(results_dir.glob("*/*-*.json")):
        sys.exit(
            f"dashboard: there are no results in {results_dir}; "
            "`python -m dashboard measure` makes some"
        )
    benchmarks = discover(config)
    if code := run_asv(config, "publish", "--no-pull", "--html-dir", str(html_dir)):
        sys.exit(f"dashboard: asv publish ended with exit code {code}")
    make_offline(html_dir)
    if address:
        _set_address(html_dir / "index.json", address)

    log = git(config, "log", "--first-parent", "--reverse", "--format=%H %s", followed)
    subjects = dict(line.split(" ", 1) for line in log.splitlines())  # the oldest first
    runs, elsewhere = data.read(results_dir, benchmarks, [*subjects])
    if elsewhere:
        print(f"dashboard: {elsewhere} results are of commits that the branch does not have")
    if not any(data.OVER_NUMPY in run.values for run in runs):
        sys.exit(
            f"dashboard: nothing in {results_dir} is of this branch's commits and of the benchmark "
            f"{data.OVER_NUMPY} as it is now; `python -m dashboard measure` makes some"
        )
    found = data.regressions(html_dir)
    places = data.by_place(runs)
    concerning = {p: [r for r in found if r.concerns(runs[-1])] for p, runs in places.items()}
    files = {place: f"place-{i}.html" if i else "index.html" for i, place in enumerate(places)}
    titles = {place: data.title(runs, concerning[place]) for place, runs in places.items()}
    for old in site.glob("place-*.html"):
        old.unlink()
    for place, of_place in places.items():
        others = {files[p]: title for p, title in titles.items() if p != place}
        text = page(settings.project, of_place, concerning[place], Names(subjects, address), others)
        (site / files[place]).write_text(text, encoding="utf-8")
    print(f"dashboard: {len(runs)} results, {len(found)} regressions, {site / 'index.html'}")


def _set_address(index: Path, address: str) -> None:
    settings = json.loads(index.read_text(encoding="utf-8"))
    settings["show_commit_url"] = address
    index.write_text(json.dumps(settings), encoding="utf-8")
