"""Objects as text: what they are, and the settings that they were made with."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from fastnn._utils.validation import brief


def written(kind: str, **facts: Any) -> str:
    """Return text such as ``Adam(lr=0.001)``; of arrays and long lists it says what they are."""
    return f"{kind}({', '.join(f'{name}={_brief(value)}' for name, value in facts.items())})"


def of_settings(thing: Any, names: Iterable[str] = (), changed: bool = False, **more: Any) -> str:
    """Return an object as its constructor is called.

    Parameters
    ----------
    thing : object
    names : iterable of str
        Arguments of the constructor to name; all if there are none. Those that the object does not
        hold under their names are left out.
    changed : bool
        Whether arguments are left out that are what they are if not given.
    **more
        Facts to add.
    """
    kind: Any = type(thing)
    held, found = vars(thing), {}
    for name, default in _arguments(kind).items():
        same = changed and held.get(name) is not None and _is(held[name], default)
        if name in held and (not names or name in names) and not same:
            found[name] = held[name]
    return written(kind.__name__, **found, **more)


@lru_cache(maxsize=256)
def _arguments(kind: Any) -> dict[str, Any]:
    try:
        found = inspect.signature(kind).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in found}


def _is(value: Any, default: Any) -> bool:
    return isinstance(value, (bool, int, float, str)) and bool(value == default)


def _brief(value: Any) -> str:
    if isinstance(value, type) or inspect.isroutine(value):
        return value.__name__
    return brief(value)
