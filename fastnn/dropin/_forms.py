"""The form of a definition: what is left of it without comments, texts and names that do nothing.

Two functions or classes of one form do the same, if the names that they take from their module
mean the same. Digests of forms tell definitions that we know without having their text here.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import symtable
from collections.abc import Iterator

__all__ = ["Definition", "definitions", "digest", "outer_names"]

Definition = ast.FunctionDef | ast.ClassDef

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
# What has no effect, or depends on the version of Python that has parsed it.
_LEFT_OUT = {"annotation", "returns", "type_comment", "type_params", "kind", "ctx"}
_DIGITS = 16


def definitions(tree: ast.Module) -> dict[str, Definition]:
    """Return the functions and classes at the top of a module by name, the last of each name."""
    return {
        node.name: node for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))
    }


def digest(definition: ast.AST) -> str:
    """Return the digest of a definition's form.

    Left out are comments, texts that are no part of an expression, annotations, and what the
    variables of functions are called; names of arguments and attributes count.
    """
    text = "".join(_written(definition, {}))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _written(node: ast.AST, local: dict[str, str]) -> Iterator[str]:
    """Yield the form of a node in pieces; `local` has other names for variables."""
    if isinstance(node, _FUNCTIONS):
        local = {**local, **_locals(node, len(local))}
    yield f"{type(node).__name__}("
    if isinstance(node, ast.Name):
        yield local.get(node.id, node.id)
    else:
        for name, value in ast.iter_fields(node):
            if name in _LEFT_OUT or value is None or value == []:
                continue
            yield f"{name}="
            if name == "arg" and isinstance(node, ast.arg):
                yield local.get(node.arg, node.arg)
            else:
                yield from _value(value, local)
    yield ")"


def _value(value: object, local: dict[str, str]) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:
            if not (isinstance(each, ast.Expr) and _is_text(each.value)) and not isinstance(
                each, ast.Pass
            ):
                yield from _value(each, local)
                yield ","
    elif isinstance(value, ast.AST):
        yield from _written(value, local)
    else:
        yield repr(value)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _locals(function: ast.AST, first: int) -> dict[str, str]:
    """Return numbered names for the variables of a function, in their order.

    Arguments keep theirs, by which they may be given, but for those of functions inside.
    """
    kept = {argument.arg for argument in _arguments(function)}
    kept |= {
        name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names
    }
    found: dict[str, str] = {}
    for node in _in_order(function):
        name = None
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.Lambda):
            for argument in _arguments(node):
                found.setdefault(argument.arg, f"_{first + len(found)}")
        if name is not None and name not in kept:
            found.setdefault(name, f"_{first + len(found)}")
    return {name: other for name, other in found.items() if name not in kept}


def _in_order(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what a node holds in the order of the text, as far as fields are."""
    for child in ast.iter_child_nodes(node):
        yield child
        yield from _in_order(child)


def _arguments(function: ast.AST) -> list[ast.arg]:
    its = function.args  # type: ignore[attr-defined]
    found = [*its.posonlyargs, *its.args, *its.kwonlyargs]
    return found + [a for a in (its.vararg, its.kwarg) if a is not None]


def outer_names(definition: Definition) -> set[str]:
    """Return the names that a definition reads from its module, builtins aside."""
    table = symtable.symtable(ast.unparse(definition), definition.name, "exec")
    names = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    inner = [*table.get_children()]
    while inner:
        scope = inner.pop()
        names |= {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}
        inner += scope.get_children()
    return {name for name in names if not hasattr(builtins, name)}
