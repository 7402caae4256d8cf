"""What is installed under the name of the distribution, which is not that of the package."""

from __future__ import annotations

import os
import re

from fastnn._utils.warnings import warn

NAME = "fastnn-kernels"  # `fastnn` on the package index is another project


def version() -> str:
    """Return the version that is installed."""
    from importlib import metadata  # takes as long to import as this package without it

    return metadata.version(NAME)


def install_command(extra: str) -> str:
    """Return the command that installs what an extra needs.

    It names the packages of the extra, not the extra: that would have to be asked for where this
    distribution came from, a clone or a wheel.
    """
    from importlib import metadata

    pattern = re.compile(rf"""([^;]+?) *; *extra == (["']){re.escape(extra)}\2""")
    found = [pattern.fullmatch(line) for line in metadata.requires(NAME) or []]
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

    names = []
    for file in metadata.files(NAME) or []:
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
