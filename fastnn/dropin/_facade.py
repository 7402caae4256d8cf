"""Modules under the names that scripts import, and errors that say what there is."""

from __future__ import annotations

import difflib
import dis
import importlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any, NoReturn

from fastnn.dropin._sources import SOURCES

_IMPORT_FROM = dis.opmap["IMPORT_FROM"]


def make(name: str) -> dict[str, ModuleType]:
    """Return new modules for a book or a course, by the names that scripts import."""
    source = SOURCES[name]
    modules: dict[str, ModuleType] = {}
    for shown, real in source.modules.items():
        contents = importlib.import_module(real)
        exported = {key: getattr(contents, key) for key in contents.__all__}
        for key, other in source.others.items():
            if key in exported:
                where, _, its_name = other.partition(":")
                del exported[key]
                exported[its_name] = getattr(importlib.import_module(where), its_name)
        modules[shown] = _module(name, shown, contents, exported)
    for shown in source.modules:  # and the packages around them
        parent, _, last = shown.rpartition(".")
        while parent:
            if parent not in modules:
                modules[parent] = _module(name, parent, None, {})
            setattr(modules[parent], last, modules[shown])
            modules[parent].__path__ = []
            shown = parent
            parent, _, last = parent.rpartition(".")
    return modules


def _module(
    name: str, shown: str, contents: ModuleType | None, exported: Mapping[str, Any]
) -> ModuleType:
    module = ModuleType(shown, None if contents is None else contents.__doc__)
    module.__dict__.update(exported)
    module.__dict__["__all__"] = [*exported]
    module.__spec__ = ModuleSpec(shown, None, origin="fastnn", is_package=contents is None)
    if contents is not None:
        module.__file__ = contents.__file__
    module.__dict__["__getattr__"] = _missing(name, module)
    return module


def _missing(name: str, module: ModuleType) -> Callable[[str], NoReturn]:
    """Return what a module does when it is asked for something that it lacks."""

    def missing(key: str) -> NoReturn:
        public = [k for k in vars(module) if not k.startswith("__")]
        text = (
            f"{module.__name__} of fastnn ({SOURCES[name].title}) has no {key!r}"
            f"{_guess(key, public)}; it has {', '.join(public)}"
        )
        # Only an AttributeError tells hasattr and getattr with a default that there is none, but
        # an import would put a text of its own in the place of it.
        frame = sys._getframe(1)
        if not key.startswith("__") and _instruction(frame.f_code, frame.f_lasti) == _IMPORT_FROM:
            raise ImportError(text, name=module.__name__)
        raise AttributeError(text, name=key, obj=module)

    return missing


def _instruction(code: CodeType, offset: int) -> int:
    return code.co_code[offset] if offset >= 0 else -1


def _guess(wrong: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(wrong, [*names], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


class _Finder:
    """Comes before all others, and finds the modules or says that there is none."""

    def __init__(self) -> None:
        self.modules: dict[str, ModuleType] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of the packages, for one who took it out of ``sys.modules``."""
        root = name.partition(".")[0]
        if root not in self.modules:
            return None
        if name in self.modules:
            return ModuleSpec(name, self, is_package=hasattr(self.modules[name], "__path__"))  # type: ignore[arg-type]
        names = [n for n in self.modules if n.startswith(f"{root}.")]
        raise ModuleNotFoundError(
            f"No module named {name!r}{_guess(name, names)}; fastnn has {', '.join(names)}",
            name=name,
        )

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module, which is there."""
        return self.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Leave the module as it is."""


_finder = _Finder()


def watch(modules: Mapping[str, ModuleType]) -> None:
    """Answer for the packages of these modules from now on."""
    _finder.modules.update(modules)
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def forget(roots: Sequence[str]) -> None:
    """Leave these packages to others again."""
    for name in [n for n in _finder.modules if n.partition(".")[0] in roots]:
        del _finder.modules[name]
    if not _finder.modules and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
