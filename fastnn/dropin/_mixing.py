"""What a script's own ``common``, ``dataset`` or ``cs231n`` has, and which of it is ours.

Files of the script's own package are run where the script expects their modules. Then objects of
fastnn take the places of definitions: in the book's modules of those whose form is known, and all
of whose names mean what they mean here, so that nothing that the owner has changed is lost; in the
course's, whose functions are exercises, of all that fastnn has.
"""

from __future__ import annotations

import ast
import importlib
import os
from collections.abc import Iterable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

from fastnn._utils.log import say
from fastnn.dropin import _forms, _owner
from fastnn.dropin._sources import BASES, SOURCES, VARIANTS

__all__ = ["fill"]

# Values of constants that our functions have no use for.
_PLACES = frozenset({"dataset_dir", "save_file", "url_base"})
_PLAIN = (int, float, str, tuple, list, dict)


def _parsed(file: str) -> ast.Module:
    with open(file, "rb") as binary:
        return ast.parse(binary.read(), file)


def fill(module: ModuleType, name: str, file: str) -> bool:
    """Give a module what the owner's file has, and fastnn's objects where they stand for it.

    Returns
    -------
    bool
        Whether it was done; if not, what fastnn has is all there is.
    """
    source, shown, tree = SOURCES[name], module.__name__, _parsed(file)
    if not source.compared:
        means_other = getattr(importlib.import_module(source.modules[shown]), "kept", None)
        others = means_other(_forms.definitions(tree)) if means_other else set()
        return _fill_exercises(module, _owner.exported(source, shown), file, tree, others)
    _owner.run(module, file)
    taken, kept = _stand_ins(vars(module), shown, _forms.definitions(tree), name)
    vars(module).update(taken)
    _tell(file, taken, kept)
    return True


def _fill_exercises(
    module: ModuleType, ours: Mapping[str, Any], file: str, tree: ast.Module, kept: set[str]
) -> bool:
    """Do it for a module of the course: the owner's is what fastnn lacks, and `kept`."""
    own = [key for key in _public(tree) if key not in ours or key in kept]
    if not own:
        return False
    try:
        _owner.run(module, file)
    except Exception as error:
        say(f"{_short(file)} is left out, with {', '.join(own)}: {type(error).__name__}: {error}")
        return False
    taken = [key for key in _forms.definitions(tree) if key in ours and key not in kept]
    vars(module).update({key: ours[key] for key in taken})
    for key, value in ours.items():
        vars(module).setdefault(key, value)
    _tell(file, taken, dict.fromkeys(own, ""))
    for key in own:
        if key in vars(module):
            setattr(module, key, vars(module)[key])  # where ours look names up, too
    return True


def _public(tree: ast.Module) -> list[str]:
    """Return the public names that a module's statements define or assign."""
    names: list[str] = []
    for node in ast.walk(ast.Module([n for n in tree.body if not _holds_names(n)], [])):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
    names += _forms.definitions(tree)
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]


def _holds_names(node: ast.stmt) -> bool:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


@cache
def _known() -> dict[tuple[str, str, str], frozenset[str]]:
    """Return the editions whose object stands for a form, by module, name and digest."""
    from fastnn.dropin._known import KNOWN

    found = {}
    for line in KNOWN.splitlines():
        module, name, editions, digest = line.split()
        found[module, name, digest] = frozenset(editions.split(","))
    return found


def _stand_ins(
    namespace: Mapping[str, Any],
    shown: str,
    definitions: Mapping[str, _forms.Definition],
    installed: str,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the objects that stand for definitions, and why others are kept, by name."""
    editions = {name: _editions(shown, name, node) for name, node in definitions.items()}
    taken: dict[str, Any] = {}
    helpers: set[str] = set()
    wrong: dict[str, str] = {}
    for edition in sorted({*SOURCES, *VARIANTS}, key=lambda each: each != installed):
        if not any(edition in its for its in editions.values()):
            continue
        ours = _owner.exported({**SOURCES, **VARIANTS}[edition], shown)
        fitting = {name for name, its in editions.items() if edition in its}
        fitting = {n for n in fitting if getattr(namespace[n], "__module__", None) == shown}
        while True:
            bad = {
                name: why
                for name in fitting
                if (why := _differs(definitions[name], fitting, namespace, definitions, ours))
            }
            if not bad:
                break
            wrong.update(bad)
            fitting -= bad.keys()
        helpers |= fitting - ours.keys()
        for name in fitting & ours.keys():
            taken.setdefault(name, ours[name])
    serves = getattr(importlib.import_module(SOURCES[installed].modules[shown]), "serves", None)
    if serves is not None and not serves(namespace):
        taken.clear()
    taken = {name: taken[name] for name in definitions if name in taken}
    kept = {
        name: f"with {wrong[name]}" if editions[name] and name in wrong else ""
        for name in definitions
        if name not in taken and name not in helpers
    }
    return taken, kept


def _editions(shown: str, name: str, node: _forms.Definition) -> frozenset[str]:
    its = _known().get((shown, name, _forms.digest(node)), frozenset())
    # A variant has what its edition has, but for a little.
    return its | {key for key, base in BASES.items() if base in its}


def _differs(
    node: _forms.Definition,
    fitting: set[str],
    namespace: Mapping[str, Any],
    definitions: Mapping[str, Any],
    ours: Mapping[str, Any],
) -> str:
    """Return a name that means something else to a definition than to ours, or an empty text."""
    for name in sorted(_forms.outer_names(node)):
        if name in definitions:
            same = name in fitting
        elif name in _PLACES or name not in namespace:
            same = name in _PLACES
        else:
            value, other = namespace[name], ours.get(name)
            same = value is other or (isinstance(value, ModuleType) and other is None)
            same = same or (isinstance(value, _PLAIN) and value == other)
        if not same:
            return name
    return ""


def _tell(file: str, taken: Iterable[str], kept: Mapping[str, str]) -> None:
    """Say what of a file runs on what, or raise ImportError for what is kept."""
    if not kept and _owner.tells != "all":
        return
    names = [f"{name} ({why})" if why else name for name, why in kept.items()]
    text = (
        f"{_short(file)}: on fastnn run {', '.join(taken) or 'none'}; kept as they are there: "
        f"{', '.join(names) or 'none'}"
    )
    if kept and _owner.tells == "error":
        raise ImportError(text, path=file)
    say(text)


def _short(file: str) -> str:
    """Return the path of a file of a package, from the folder that the package lies in."""
    return os.path.join(*file.split(os.sep)[-2:])
