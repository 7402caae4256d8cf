"""Where fastnn keeps files between runs."""

import os
import sys
from pathlib import Path

from fastnn._utils.environment import variable

__all__ = ["cache_dir", "kernels_dir"]


def cache_dir() -> Path:
    """Say which folder fastnn keeps its files in; the folder may not exist yet.

    Returns
    -------
    Path
        ``FASTNN_CACHE_DIR`` where that is set. Otherwise ``fastnn`` in the user's own cache
        folder: ``$XDG_CACHE_HOME`` or ``~/.cache`` (Linux), ``~/Library/Caches`` (macOS),
        ``%LOCALAPPDATA%`` (Windows). Otherwise, for a user without a home, a folder under the
        system's temporary one with the user's number in its name.

    Notes
    -----
    Nothing is created and nothing is raised: who writes there meets the error, if there is one,
    and knows what to say about it. The last resort is in a place where any user can create
    folders: who runs code that was stored there must check first that its owner is the user.
    """
    chosen = variable("FASTNN_CACHE_DIR")
    if chosen:
        # Not Path.expanduser, which raises where there is no home.
        return Path(os.path.expanduser(chosen))
    user_cache = _user_cache_dir()
    return user_cache / "fastnn" if user_cache else _temporary_dir()


def kernels_dir() -> Path:
    """Say which folder compiled kernels of all versions are kept in."""
    return cache_dir() / "kernels"


def _user_cache_dir() -> Path | None:
    """Return the folder for caches of this user, or None where the user has no home."""
    # The XDG rules say that a relative path is to be ignored; it would move with every chdir.
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    configured = os.environ.get(variable, "")
    if sys.platform != "darwin" and os.path.isabs(configured):
        return Path(configured)
    try:
        home = Path.home()
    except RuntimeError:  # no HOME, and a user number that the system has no entry for
        return None
    if sys.platform == "win32":
        return home / "AppData" / "Local"
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return home / ".cache"


def _temporary_dir() -> Path:
    """Return a folder for this user under the system's temporary one."""
    import tempfile  # takes as long to import as all the rest of a first call

    try:
        parent = Path(tempfile.gettempdir())
    except FileNotFoundError:  # a machine with nothing to write to: any name does
        parent = Path(os.sep, "tmp")
    if sys.platform == "win32":  # where the temporary folder is the user's own already
        return parent / "fastnn"
    return parent / f"fastnn-{os.getuid()}"
