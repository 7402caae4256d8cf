"""What an editable install adds to the clone: links that make one package of its two folders.

Python, mypy and editors are told of the folder `.editable`, and find the package there, new files
at once. They are not told of the clone itself, where `kernels` and `tests` could be imported too.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LINKS = {".editable/fastnn": "../fastnn", "fastnn/kernels": "../kernels"}


class EditableLinks(BuildHookInterface[Any]):
    """Make the links before an editable wheel, which names `.editable`, is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make them, unless a wheel for others is built."""
        if version != "editable":
            return
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
