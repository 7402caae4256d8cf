"""Settings of layers, which are checked whenever a script or a file sets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class Setting(Generic[T]):
    """An attribute that a function of its name and a value checks and converts.

    Parameters
    ----------
    check : function of (str, value)
        Returns the value, or raises TypeError or ValueError with the name in it; an attribute, too.
    """

    def __init__(self, check: Callable[[str, Any], T]) -> None:
        self.check = check

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, layer: None, owner: type[Any]) -> Setting[T]: ...
    @overload
    def __get__(self, layer: object, owner: type[Any]) -> T: ...
    def __get__(self, layer: object | None, owner: type[Any]) -> Setting[T] | T:
        if layer is None:
            return self
        try:
            value: T = vars(layer)[self._name]
        except KeyError:
            raise AttributeError(f"{owner.__name__} has no {self._name} yet") from None
        return value

    def __set__(self, layer: object, value: Any) -> None:
        vars(layer)[self._name] = self.check(self._name, value)


def checked(owner: type[Any], attribute: str, name: str, value: Any) -> Any:
    """Return a value for a setting of a class, checked; messages call it by a name."""
    check: Callable[[str, Any], Any] = getattr(owner, attribute).check
    return check(name, value)
