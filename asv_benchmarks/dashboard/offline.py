"""asv's site without what it takes from other hosts: scripts and style stand beside its pages."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

VENDOR = Path(__file__).with_name("vendor")

# What asv's index.html names, and the file in VENDOR that takes its place.
_CDNJS = "https://cdnjs.cloudflare.com/ajax/libs"
_JSDELIVR = "https://cdn.jsdelivr.net/npm"
COPIES = {
    "https://code.jquery.com/jquery-3.3.1.min.js": "jquery-3.3.1.min.js",
    f"{_CDNJS}/flot/0.8.3/jquery.flot.min.js": "jquery.flot.js",
    f"{_CDNJS}/flot/0.8.3/jquery.flot.time.min.js": "jquery.flot.time.js",
    f"{_CDNJS}/flot/0.8.3/jquery.flot.selection.min.js": "jquery.flot.selection.js",
    f"{_CDNJS}/flot/0.8.3/jquery.flot.categories.min.js": "jquery.flot.categories.js",
    f"{_JSDELIVR}/flot-orderbars@1.0.0/js/jquery.flot.orderBars.js": "jquery.flot.orderBars.js",
    f"{_CDNJS}/stupidtable/1.0.1/stupidtable.min.js": "stupidtable.min.js",
    f"{_CDNJS}/blueimp-md5/2.19.0/js/md5.min.js": "md5.min.js",
    f"{_JSDELIVR}/bootstrap@3.1.1/dist/js/bootstrap.min.js": "bootstrap.min.js",
    f"{_JSDELIVR}/bootstrap@3.1.1/dist/css/bootstrap.min.css": "bootstrap.min.css",
}

_TAG = re.compile(r'<(script|link)\b[^>]*?\b(?:src|href)="(https?:[^"]+)"[^>]*>')


def _local(tag: re.Match[str]) -> str:
    kind, address = tag.groups()
    if address not in COPIES:
        raise LookupError(
            f"asv's page takes {address} from another host; expected one of those in "
            f"{Path(__file__).name}, which are for asv 0.6.6"
        )
    copy = f"vendor/{COPIES[address]}"
    return (
        f'<script src="{copy}">' if kind == "script" else f'<link rel="stylesheet" href="{copy}">'
    )


def make_offline(html_dir: Path) -> None:
    """Have the site that asv published use copies of what it would take from other hosts.

    Raises
    ------
    LookupError
        If it names something that there is no copy of.
    """
    index = html_dir / "index.html"
    index.write_text(_TAG.sub(_local, index.read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copytree(VENDOR, html_dir / "vendor")
