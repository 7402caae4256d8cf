"""What this package consists of, in bytes: files of a folder or of a zip, or frozen code."""

from __future__ import annotations

import hashlib
import pkgutil
from collections.abc import Iterator
from importlib import import_module, util
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any


def digest(package: str) -> str:
    """Return a digest of the name and the content of each module of a package.

    Raises
    ------
    LookupError
        As :func:`contents`.
    """
    whole = hashlib.sha256()
    for name, content in contents(package):
        whole.update(f"{name} {len(content)}\n".encode() + content)
    return whole.hexdigest()


def contents(package: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of each module of a package, in an order of their own.

    Raises
    ------
    LookupError
        If there are none, or one has neither source nor code.
    """
    module = import_module(package)
    files = sorted((name, path) for root in module.__path__ for name, path in _files(Path(root)))
    if files:
        yield from ((name, path.read_bytes()) for name, path in files)
        return
    names = sorted(_modules(module))
    if names == [package]:
        raise LookupError(f"{package} has no files, and no modules that its loader tells of")
    for name in names:
        yield name, _content(name)


def has_files(package: str) -> bool:
    """Say whether a package consists of files of source, which somebody may edit."""
    roots = import_module(package).__path__
    return any(True for root in roots for _ in _files(Path(root)))


def _files(root: Path) -> Iterator[tuple[str, Path]]:
    for path in root.rglob("*.py"):
        yield path.relative_to(root).as_posix(), path


def _modules(package: ModuleType) -> Iterator[str]:
    """Yield the names of a package and of all modules below it."""
    yield package.__name__
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        if found.ispkg:
            yield from _modules(import_module(found.name))
        else:
            yield found.name


def _content(name: str) -> bytes:
    """Return the source of a module, or else what its code does."""
    spec = util.find_spec(name)
    loader: Any = spec and spec.loader
    try:
        source = loader.get_source(name)
        return (
            source.encode() if source is not None else repr(_facts(loader.get_code(name))).encode()
        )
    except (AttributeError, ImportError, OSError) as error:
        raise LookupError(f"{name} has neither source nor code: {error}") from error


def _facts(value: Any) -> Any:
    """Return what a constant is, in a form that prints the same in each process."""
    if isinstance(value, CodeType):
        names = (value.co_name, value.co_names, value.co_varnames, value.co_freevars)
        counts = (value.co_argcount, value.co_kwonlyargcount, value.co_flags)
        return names, counts, value.co_code, [_facts(constant) for constant in value.co_consts]
    if isinstance(value, frozenset):
        return "frozenset", sorted(map(repr, value))
    if isinstance(value, tuple):
        return [_facts(item) for item in value]
    return repr(value)
