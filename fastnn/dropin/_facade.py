"""Modules under the names that scripts import, and errors that say what there is."""

from __future__ import annotations

import dis
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import CodeType, ModuleType
from typing import Any

from fastnn.dropin import _owner
from fastnn.dropin._sources import SOURCES

_IMPORT_FROM = dis.opmap["IMPORT_FROM"]


class _Module(ModuleType):
    """A module whose attributes that a script sets reach the code that looks them up."""

    def __setattr__(self, key: str, value: Any) -> None:
        super().__setattr__(key, value)
        if not key.startswith("__") and not isinstance(value, ModuleType):
            _through.set(self, key, value)


class _Through:
    """What was set in modules of fastnn, and what they had before."""

    def __init__(self) -> None:
        self.targets: dict[ModuleType, list[ModuleType]] = {}
        self._before: dict[tuple[ModuleType, str], Any] = {}

    def set(self, module: ModuleType, key: str, value: Any) -> None:
        """Set an attribute where the code of a module looks names up."""
        for target in self.targets.get(module, ()):
            self._before.setdefault((target, key), vars(target).get(key, self))
            setattr(target, key, value)

    def undo(self) -> None:
        """Set all as it was before."""
        for (target, key), value in self._before.items():
            if value is self:
                delattr(target, key)
            else:
                setattr(target, key, value)
        self._before.clear()


_through = _Through()


class Shown:
    """A module under the name that scripts import; it is empty until they do.

    To load what all modules have takes as long as to load NumPy.

    Attributes
    ----------
    module : module
    """

    def __init__(self, name: str, shown: str, real: str | None) -> None:
        self.module = _Module(shown)
        self.module.__dict__["__getattr__"] = _missing(name, self.module)
        self._name, self._real, self._filled = name, real, False
        if real is None:  # a package around others, no more
            self.module.__dict__["__all__"] = []

    def fill(self) -> None:
        """Give the module what it has, once: scripts may put other things into it."""
        if self._filled:
            return
        file = self._open()
        if self._real is not None:
            self._fill(self._real, file)
        elif file is not None and os.path.getsize(file):
            del self.module.__all__
            _owner.run(self.module, file)
        self._filled = True

    def _open(self) -> str | None:
        """Let a package find the owner's modules; return the owner's file of this module."""
        name = self.module.__name__
        parent, _, last = name.rpartition(".")
        path = sys.modules[parent].__path__ if parent else ()
        if not hasattr(self.module, "__path__"):
            return _owner.file_of(last, path)
        inner = [os.path.join(folder, last) for folder in path] if parent else _owner.folders(name)
        self.module.__path__ = inner
        return _owner.file_of("__init__", inner)

    def _fill(self, real: str, file: str | None) -> None:
        source, contents = SOURCES[self._name], importlib.import_module(real)
        root = self.module.__name__.partition(".")[0]
        if not source.compared and sys.modules[root].__path__:
            importlib.import_module(f"{root}.layers")  # what is kept of it, others call
        others = [other for key, other in source.others.items() if key in contents.__all__]
        targets = {importlib.import_module(other.partition(":")[0]) for other in others}
        _through.targets[self.module] = [contents, *targets]
        if file is not None:
            from fastnn.dropin import _mixing  # parses files, which few scripts have

            if _mixing.fill(self.module, self._name, file):
                return
        exported = _owner.exported(source, self.module.__name__)
        self.module.__doc__, self.module.__file__ = contents.__doc__, contents.__file__
        self.module.__dict__.update(exported)
        self.module.__dict__["__all__"] = [*exported]


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
        own = PathFinder.find_spec(name, path) if path else None
        if own is not None:
            return own
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
        _through.targets.pop(_finder.modules.pop(name).module, None)
    _through.undo()
    if not _finder.modules and _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
