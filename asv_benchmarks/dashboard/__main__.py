"""Command line of the dashboard: measure what is missing, build the site, serve it."""

from __future__ import annotations

import argparse
import functools
import http.server
from pathlib import Path

from .build import build
from .measure import branch, last_commits, measure

FOLDER = Path(__file__).resolve().parent.parent


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def serve(site: Path, port: int) -> None:
    """Serve the site to this machine until Ctrl-C."""
    handler = functools.partial(_Quiet, directory=site)
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
    parser.add_argument("--site", type=Path, default=FOLDER / ".asv" / "site", help="its folder")
    parser.add_argument(
        "--commits", type=int, default=1,
        help="measure as many of the last commits that changed the library (1)",
    )  # fmt: skip
    parser.add_argument(
        "--revisions", nargs="+", default=[], metavar="REV",
        help="measure the library as in these commits instead",
    )  # fmt: skip
    parser.add_argument(
        "--every-environment", action="store_true",
        help="measure with the oldest NumPy and Numba too",
    )  # fmt: skip
    parser.add_argument("--bench", default="", metavar="REGEX", help="measure only these, as asv")
    parser.add_argument("--machine", help="name under which to store what is measured")
    parser.add_argument(
        "--commit-url", default="", help="what a commit is appended to for a link to it"
    )
    parser.add_argument("--port", type=int, default=0, help="to serve at; a free one if 0")
    arguments = parser.parse_args(argv)
    config, site = arguments.config.resolve(), arguments.site.resolve()
    for step in arguments.steps:
        if step == "measure":
            # What did not change the library is as fast as what did before it.
            found = (last_commits(config, 1, revision) for revision in arguments.revisions)
            commits = [*dict.fromkeys(commit for commits in found for commit in commits)]
            measure(
                config,
                commits or last_commits(config, arguments.commits, branch(config)),
                arguments.every_environment,
                arguments.bench,
                arguments.machine,
            )
        elif step == "build":
            build(config, site, arguments.commit_url)
        else:
            serve(site, arguments.port)


if __name__ == "__main__":
    main()
