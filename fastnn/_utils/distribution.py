"""What is installed under the name of the distribution, which is not that of the package.

A clone that was never installed, a zip file and a frozen program have no metadata: what is known
without is in the sources.
"""

from __future__ import annotations

import os
import re

from fastnn._utils.warnings import warn

NAME = "fastnn-kernels"  # `fastnn` on the package index is another project
VERSION = "0.1.0"  # as in pyproject.toml


def install_command(extra: str) -> str:
    """Return the command that installs what an extra needs.

    It names the packages of the extra, not the extra: that would have to be asked for where this
    distribution came from, a clone or a wheel. A clone that was not installed does not know them.
    """
    from importlib import metadata  # takes as long to import as this package without it

    try:
        required = metadata.requires(NAME) or []
    except metadata.PackageNotFoundError:
        return f'pip install --editable ".[{extra}]"'
    pattern = re.compile(rf"""([^;]+?) *; *extra == (["']){re.escape(extra)}\2""")
    found = [pattern.fullmatch(line) for line in required]
    return " ".join(["pip install", *(f'"{match[1]}"' for match in found if match)])


def others(package: str) -> list[str]:
    """Return the folders by which other distributions say that they own the folder `package`."""
    beside = os.path.dirname(package)
    try:
        names = os.listdir(beside)
    except OSError:  # in an archive
        return []
    ends = (".dist-info", ".egg-info")
    found = sorted(name for name in names if name.startswith("fastnn-") and name.endswith(ends))
    return [os.path.join(beside, name) for name in found]


def changed() -> list[str]:
    """Return the installed files that are not what was installed, such as overwritten ones."""
    import base64
    import hashlib
    from importlib import metadata

    try:
        files = metadata.files(NAME) or []
    except metadata.PackageNotFoundError:
        return []
    names = []
    for file in files:
        if file.hash is None:
            continue
        try:
            content = file.read_binary()
        except OSError:
            content = b""
        digest = base64.urlsafe_b64encode(hashlib.new(file.hash.mode, content).digest())
        if digest.decode().rstrip("=") != file.hash.value:
            names.append(file.as_posix())
    return names


def warn_of_others(package: str) -> None:
    """Warn, on behalf of the module that imports this package, if there are :func:`others`."""
    if found := others(package):
        warn(
            f"{found[0]} is of another project, or of {NAME} before it was called so: files of "
            f"both are mixed. To have this one: pip uninstall fastnn {NAME}, then install {NAME} "
            "again",
            RuntimeWarning,
        )
