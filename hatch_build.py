"""What a build adds to the clone's files: links of an editable install, libraries of a wheel.

Python, mypy and editors are told of the folder `.editable`, and find the package there, one of the
clone's two folders, new files at once. They are not told of the clone itself, where `kernels` and
`tests` could be imported too.

A wheel is for all systems, unless the variable `FASTNN_LIBRARIES` names a folder that
``python -m fastnn.build --into`` has made: then these libraries are in it, and it is for theirs.
"""

import json
import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LINKS = {".editable/fastnn": "../fastnn", "fastnn/kernels": "../kernels"}


class Additions(BuildHookInterface[Any]):
    """Make the links before an editable wheel, which names `.editable`, or add the libraries."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Do so."""
        folder = os.environ.get("FASTNN_LIBRARIES", "").strip()
        if version == "editable":
            self._link()
        elif folder:
            _add(Path(folder), build_data)

    def _link(self) -> None:
        for name, target in LINKS.items():
            link = Path(self.root, name)
            link.parent.mkdir(exist_ok=True)
            if link.is_symlink():
                link.unlink()
            try:
                link.symlink_to(target, target_is_directory=True)
            except OSError as error:
                raise OSError(
                    f"an editable install makes a symbolic link from {link} to {target}: {error} "
                    "(on Windows, switch on Developer Mode)"
                ) from error


def _add(folder: Path, build_data: dict[str, Any]) -> None:
    """Add libraries to a wheel: no symbol of Python is in them, so one serves all its versions."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
    except OSError as error:
        raise OSError(
            "FASTNN_LIBRARIES: expected a folder made by `python -m fastnn.build --into`, got "
            f"{str(folder)!r}: {error}"
        ) from error
    for name in ("manifest.json", *(f"{level}.so" for level in manifest["libraries"])):
        build_data["force_include"][str(folder / name)] = f"fastnn/kernels/libraries/{name}"
    build_data["pure_python"] = False
    build_data["tag"] = f"py3-none-{manifest['wheel']}"
