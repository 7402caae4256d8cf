"""Scripts written for the NumPy code of a book or a course, on fastnn, unmodified.

The modules that such scripts import, ``common`` and ``dataset`` of *Deep Learning from Scratch*
or ``cs231n`` of the course CS231n, come before files of the same name while they are installed.
Where such files are the script's own, what their owner has changed or added in them is kept::

    import fastnn.dropin

    fastnn.dropin.install("dlfs")
    from common.multi_layer_net import MultiLayerNet

``python -m fastnn run --as dlfs SCRIPT.py`` does it for a script.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from fastnn._utils import validation as numbers
from fastnn.dropin import _facade, _owner, _sources

__all__ = ["NAMES", "install", "installed", "uninstall"]

NAMES: tuple[str, ...] = tuple(_sources.SOURCES)
"""What can be installed: the book in its Korean and its Japanese edition, and the course."""

_installed: dict[str, dict[str, ModuleType]] = {}  # by name, the modules that were there before


def install(name: str, tells: str = "kept") -> None:
    """Put the modules of a book or a course in place.

    Modules of the same names that were imported before are put away until :func:`uninstall`.
    The two editions of the book replace each other.

    Parameters
    ----------
    name : {"dlfs", "dlfs-ja", "cs231n"}
        *Deep Learning from Scratch* as in the repository of the Korean edition, or of the
        Japanese one; or the assignments 1 and 2 of CS231n, solved.
    tells : {"kept", "all", "error"}
        What is said on standard error of each module that the script has as a file of its own:
        what is kept as it is there, if something is; all, with what runs on fastnn; or nothing,
        but what must be kept is an ImportError.

    Raises
    ------
    ValueError
        If there is no such name, or `tells` is another text.

    Examples
    --------
    >>> import fastnn.dropin
    >>> fastnn.dropin.install("dlfs")
    >>> from common.functions import softmax
    >>> fastnn.dropin.uninstall()
    """
    numbers.one_of("name", name, NAMES)
    numbers.one_of("tells", tells, _owner.TELLS)
    _owner.tells = tells
    roots = _sources.SOURCES[name].roots
    for other in [other for other in _installed if set(_sources.SOURCES[other].roots) & set(roots)]:
        uninstall(other)
    modules = _facade.make(name)
    _installed[name] = _take_out(roots)
    _facade.watch(modules)


def uninstall(name: str | None = None) -> None:
    """Take modules out again, and put back those that were there before.

    What a script has imported from them goes on working.

    Parameters
    ----------
    name : str, optional
        What was installed; everything if not given. What is not installed is left out.

    Raises
    ------
    ValueError
        If there is no such name.
    """
    if name is not None:
        numbers.one_of("name", name, NAMES)
    for each in [*_installed] if name is None else [name]:
        if each in _installed:
            roots = _sources.SOURCES[each].roots
            _facade.forget(roots)
            _take_out(roots)
            sys.modules.update(_installed.pop(each))


@contextmanager
def installed(name: str) -> Iterator[None]:
    """Install modules for a ``with`` block.

    Parameters
    ----------
    name : {"dlfs", "dlfs-ja", "cs231n"}
        As for :func:`install`.

    Raises
    ------
    ValueError
        If there is no such name.

    Examples
    --------
    >>> import fastnn.dropin
    >>> with fastnn.dropin.installed("dlfs"):
    ...     from common.optimizer import Adam
    >>> Adam().lr
    0.001
    """
    before = [*_installed]
    install(name)
    try:
        yield
    finally:
        uninstall(name)
        for other in before:
            if other not in _installed:
                install(other)


def _take_out(roots: tuple[str, ...]) -> dict[str, ModuleType]:
    """Remove the packages and all their modules from those imported; return them."""
    found = [key for key in sys.modules if key.partition(".")[0] in roots]
    return {key: sys.modules.pop(key) for key in found}
