"""Command line of the dashboard: measure what is missing, build the site, serve it."""

from __future__ import annotations

import argparse
import functools
import http.server
import subprocess
import sys
from pathlib import Path

from asv.config import Config

from . import data
from .page import page

FOLDER = Path(__file__).resolve().parent.parent


def asv(*arguments: str, config: Path) -> int:
    """Run an asv command; return its exit code."""
    command = [sys.executable, "-m", "asv", *arguments, "--config", config.name]
    return subprocess.run(command, cwd=config.parent, check=False).returncode


def measure(config: Path, commits: int) -> None:
    """Measure those of the last commits that have no results; exit if one fails."""
    span = f"{Config.load(str(config)).branches[0]} -{commits}"
    code = asv("run", span, "--skip-existing-commits", "--show-stderr", config=config)
    if code:
        sys.exit(f"dashboard: asv run ended with exit code {code}")


def build(config: Path, site: Path) -> None:
    """Publish asv's site into a folder of the site, and write the landing page before it."""
    settings = Config.load(str(config))
    runs = data.read(config.parent / settings.results_dir)
    if not runs:
        sys.exit(
            f"dashboard: there are no results in {config.parent / settings.results_dir}; "
            "`python -m dashboard measure` makes some"
        )
    if code := asv("publish", "--html-dir", str(site / "asv"), config=config):
        sys.exit(f"dashboard: asv publish ended with exit code {code}")
    found = data.regressions(site / "asv")
    (site / "index.html").write_text(page(runs, found, settings.project), encoding="utf-8")
    print(f"dashboard: {len(runs)} results, {len(found)} regressions: {site / 'index.html'}")


def serve(site: Path, port: int) -> None:
    """Serve the site to this machine until Ctrl-C."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", port), handler) as server:
        address, port = server.server_address[:2]
        print(f"dashboard: http://{address}:{port}/ (Ctrl-C ends it)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def main(argv: list[str] | None = None) -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="dashboard", description=__doc__)
    parser.add_argument("steps", nargs="+", choices=("measure", "build", "serve"), help="in order")
    parser.add_argument("--config", type=Path, default=FOLDER / "asv.conf.json", help="of asv")
    parser.add_argument("--site", type=Path, default=FOLDER / ".asv" / "site", help="folder")
    parser.add_argument("--commits", type=int, default=1, help="the last ones to be measured (1)")
    parser.add_argument("--port", type=int, default=0, help="to serve at; a free one if 0")
    arguments = parser.parse_args(argv)
    config, site = arguments.config.resolve(), arguments.site.resolve()
    for step in arguments.steps:
        if step == "measure":
            measure(config, arguments.commits)
        elif step == "build":
            build(config, site)
        else:
            serve(site, arguments.port)


if __name__ == "__main__":
    main()
