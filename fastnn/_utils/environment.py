"""The environment variables of fastnn: one that holds nothing, or spaces, counts as unset."""

from __future__ import annotations

import os


def variable(name: str) -> str | None:
    """Return what a variable holds, without spaces around it, or None."""
    return os.environ.get(name, "").strip() or None
