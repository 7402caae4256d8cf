"""Build the site: asv's own pages in the folder ``asv``, the landing page before them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from asv.config import Config

from . import data
from .measure import git, run_asv
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
    settings = Config.load(str(config))
    results_dir, html_dir = config.parent / settings.results_dir, site / "asv"
    if not any(results_dir.glob("*/*-*.json")):
        sys.exit(
            f"dashboard: there are no results in {results_dir}; "
            "`python -m dashboard measure` makes some"
        )
    _discover(config, config.parent / settings.benchmark_dir)
    if code := run_asv(config, "publish", "--no-pull", "--html-dir", str(html_dir)):
        sys.exit(f"dashboard: asv publish ended with exit code {code}")
    make_offline(html_dir)
    if address:
        _set_address(html_dir / "index.json", address)

    runs = data.read(results_dir, data.published_revisions(html_dir))
    if not runs:
        sys.exit(f"dashboard: no results in {results_dir} are of commits of this repository")
    found = data.regressions(html_dir)
    log = git(config, "log", "--format=%H %s", settings.branches[0])
    subjects = dict(line.split(" ", 1) for line in log.splitlines())
    places = data.by_place(runs)
    files = {place: f"{i}.html" if i else "index.html" for i, place in enumerate(places)}
    for place, of_place in places.items():
        others = {file: places[p][-1].title for p, file in files.items() if p != place}
        concerning = [r for r in found if r.concerns(of_place[-1])]
        text = page(settings.project, of_place, concerning, Names(subjects, address), others)
        (site / files[place]).write_text(text, encoding="utf-8")
    print(f"dashboard: {len(runs)} results, {len(found)} regressions, {site / 'index.html'}")


def _discover(config: Path, benchmarks: Path) -> None:
    """Have asv write down what benchmarks there are now."""
    if not benchmarks.is_dir():
        return
    code = run_asv(
        config, "run", "--bench", "just-discover", "--environment", f"existing:{sys.executable}"
    )
    if code:
        sys.exit("dashboard: asv found no benchmarks; is fastnn installed beside it?")


def _set_address(index: Path, address: str) -> None:
    settings = json.loads(index.read_text(encoding="utf-8"))
    settings["show_commit_url"] = address
    index.write_text(json.dumps(settings), encoding="utf-8")
