"""Functions of Python that compiled code can call too.

They are plain functions. When Numba is loaded it is told of all that there are, and from then on of
each new one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])

_functions: list[Callable[..., Any]] = []
_listeners: list[Callable[[Any], Any]] = []


def shared(function: _Function) -> _Function:
    """Let compiled code call a function."""
    _functions.append(function)
    for listener in _listeners:
        listener(function)
    return function


def tell(listener: Callable[[Any], Any]) -> None:
    """Tell `listener` of all functions, now of those that there are."""
    _listeners.append(listener)
    for function in _functions:
        listener(function)
