"""What is to be done when Numba is loaded: which is, where machine code was made ahead, never."""

from __future__ import annotations

from collections.abc import Callable

_waiting: list[Callable[[], None]] = []
_come = False


def at_arrival(function: Callable[[], None]) -> None:
    """Call a function when what compiles kernels is loaded: now, if it is."""
    if _come:
        function()
    else:
        _waiting.append(function)


def arrive() -> None:
    """Call what has waited."""
    global _come
    _come = True
    while _waiting:
        _waiting.pop(0)()
