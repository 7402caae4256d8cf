"""Attributes that are computed when a script asks for them."""

from __future__ import annotations

from typing import Any


class Computed:
    """A layer with attributes that few scripts ask for.

    After a forward pass they are missing from the instance; whoever asks gets them from the
    method of the same name with an underscore before it, and from then on they are there.
    """

    _computed: tuple[str, ...] = ()

    def _outdate(self) -> None:
        """Forget what was computed of an earlier pass."""
        for name in self._computed:
            self.__dict__.pop(name, None)

    def __getattr__(self, name: str) -> Any:
        if name not in type(self)._computed:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = getattr(self, f"_{name}")()
        setattr(self, name, value)
        return value
