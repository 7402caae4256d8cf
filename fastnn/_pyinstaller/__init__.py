"""Tells PyInstaller, by an entry point, in which folder the hook for this package is."""

import os


def hook_dirs() -> list[str]:
    """Return the folders of hooks."""
    return [os.path.dirname(__file__)]
