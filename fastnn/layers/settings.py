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
        Returns the value, or raises TypeError or ValueError with the name in it.
    """

    def __init__(self, check: Callable[[str, Any], T]) -> None:
        self._check = check

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
        vars(layer)[self._name] = self._check(self._name, value)
