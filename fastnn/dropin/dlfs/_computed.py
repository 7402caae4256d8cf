"""Attributes that are computed when a script asks for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn._utils.reprs import of_settings


class Computed:
    """A layer some of whose attributes few scripts ask for.

    They are missing from the instance until somebody does, and then computed and kept. Whoever
    copies or pickles the layer asks for all of them.
    """

    def __repr__(self) -> str:
        return of_settings(self)

    def _compute_later(self, **attributes: Callable[[], Any]) -> None:
        """Say how attributes are to be computed; what they are now is forgotten."""
        for name in attributes:
            self.__dict__.pop(name, None)
        self.__dict__.setdefault("_later", {}).update(attributes)

    def __getattr__(self, name: str) -> Any:
        later = self.__dict__.get("_later", {})
        if name not in later:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = self.__dict__[name] = later.pop(name)()
        return value

    def __getstate__(self) -> dict[str, Any]:
        for name in [*self.__dict__.get("_later", {})]:
            getattr(self, name)
        return {key: value for key, value in self.__dict__.items() if key != "_later"}
