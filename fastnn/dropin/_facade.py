"""Modules under the names that scripts import, and errors that say what there is."""

from __future__ import annotations

import dis
import importlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any

from fastnn.dropin._sources import SOURCES

_IMPORT_FROM = dis.opmap["IMPORT_FROM"]


class Shown:
    """A module under the name that scripts import; it is empty until they do.

    To load what all modules have takes as long as to load NumPy.

    Attributes
    ----------
    module : module
    """

    def __init__(self, name: str, shown: str, real: str | None) -> None:
        self.module = ModuleType(shown)
        self.module.__dict__["__getattr__"] = _missing(name, self.module)
        self._name, self._real = name, real
        if real is None:  # a package around others, no more
            self.module.__dict__["__all__"] = []

    def fill(self) -> None:
        """Give the module what it has, once: scripts may put other things into it."""
        if self._real is None:
            return
        contents = importlib.import_module(self._real)
        exported = {key: getattr(contents, key) for key in contents.__all__}
        for key, other in SOURCES[self._name].others.items():
            if key in exported:
                where, _, its_name = other.partition(":")
                del exported[key]
                exported[its_name] = getattr(importlib.import_module(where), its_name)
        self.module.__doc__, self.module.__file__ = contents.__doc__, contents.__file__
        self.module.__dict__.update(exported)
        self.module.__dict__["__all__"] = [*exported]
        self._real = None


def make(name: str) -> dict[str, Shown]:
    """Return new modules for a book or a course, by the names that scripts import."""
    modules = {key: Shown(name, key, real) for key, real in SOURCES[name].modules.items()}
    for key in [*modules]:
        while key := key.rpartition(".")[0]:
            modules.setdefault(key, Shown(name, key, None)).module.__path__ = []
    return modules


def _missing(name: str, module: ModuleType) -> Callable[[str], Any]:
    """Return what a module does when it is asked for something that it lacks."""

    def missing(key: str) -> Any:
        inner = f"{module.__name__}.{key}"
        if inner in _finder.modules and sys.modules.get(module.__name__) is module:
            return importlib.import_module(inner)
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
    import difflib  # for errors alone

    close = difflib.get_close_matches(wrong, [*names], n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


class _Finder:
    """Comes before all others, and finds the modules or says that there is none.

    They are the same for one who took them out of ``sys.modules`` and imports them again.
    """

    def __init__(self) -> None:
        self.modules: dict[str, Shown] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module of the packages."""
        root = name.partition(".")[0]
        if root not in self.modules:
            return None
        if name in self.modules:
            is_package = hasattr(self.modules[name].module, "__path__")
            return ModuleSpec(name, self, origin="fastnn", is_package=is_package)  # type: ignore[arg-type]
        names = [n for n in self.modules if n.startswith(f"{root}.")]
        raise ModuleNotFoundError(
            f"No module named {name!r}{_guess(name, names)}; fastnn has {', '.join(names)}",
            name=name,
        )

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module, which is there."""
        return self.modules[spec.name].module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module what it has."""
        self.modules[module.__name__].fill()


_finder = _Finder()


def watch(modules: Mapping[str, Shown]) -> None:
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
