"""What this package takes of Numba and llvmlite that they do not promise to keep.

With a version that lacks one of these, what needs it is done without, and :func:`warn_of_lost`
says so.
"""

from __future__ import annotations

import importlib
from typing import Any

import llvmlite
import numba

from fastnn._utils.warnings import warn

_lost: dict[str, str] = {}  # what does not happen -> why


def find(module: str, name: str, lost: str) -> Any:
    """Return what a module has under a dotted name, or None.

    Parameters
    ----------
    module, name : str
    lost : str
        What does not happen without it, as part of a sentence.
    """
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        _lost.setdefault(lost, f"no {module}.{name}")
        return None
    return found


def find_set(module: str, name: str, attributes: tuple[str, ...], lost: str) -> bool:
    """Say whether a class sets attributes where it makes an object, which it need not have itself.

    Parameters
    ----------
    module, name : str
    attributes : tuple of str
    lost : str
        What does not happen without them, as part of a sentence.
    """
    there = find(module, f"{name}.__init__.__code__.co_names", lost)
    missing = () if there is None else tuple(set(attributes).difference(there))
    if missing:
        _lost.setdefault(lost, f"no {module}.{name}.{min(missing)}")
    return there is not None and not missing


def versions() -> str:
    """Return the versions that are in use, in words."""
    return f"numba {numba.__version__} with llvmlite {llvmlite.__version__}"


def warn_of_lost() -> None:
    """Warn, if something was not found: once, as modules are imported once."""
    if _lost:
        lost = "; ".join(f"{what} ({why})" for what, why in _lost.items())
        warn(
            f"this fastnn does not know {versions()}: {lost}; install a newer fastnn-kernels or "
            "an older numba",
            RuntimeWarning,
        )
