"""Docstrings: every public name has one, it names the arguments, and its examples run."""

import doctest
import importlib
import inspect
import pkgutil
import re

import pytest

import fastnn

MODULES = [
    name
    for _, name, _ in pkgutil.walk_packages(fastnn.__path__, "fastnn.")
    if "._" not in name and not name.startswith(("fastnn.kernels", "fastnn.reference"))
]


def public():
    """Yield (name, object) for the public functions, classes and methods."""
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name, value in vars(module).items():
            home = getattr(value, "__module__", None) or ""
            own = home == module_name or ("._" in home and name in getattr(module, "__all__", ()))
            if not own or name.startswith("_"):
                continue
            if inspect.isfunction(value) or inspect.isclass(value):
                yield f"{module_name}.{name}", value
            if inspect.isclass(value):
                for method_name, method in vars(value).items():
                    if inspect.isfunction(method) and not method_name.startswith("_"):
                        yield f"{module_name}.{name}.{method_name}", method


PUBLIC = dict(public())


def documented(text):
    """Return the names in the Parameters section of a docstring, or None without one."""
    match = re.search(r"^Parameters\n-+\n(.*?)(?=^\S+( \S+)*\n-+$|\Z)", text, re.S | re.M)
    if not match:
        return None
    heads = re.findall(r"^(\S.*)$", match[1], re.M)
    return [name.lstrip("*") for head in heads for name in head.split(" : ")[0].split(", ")]


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_docstring(name):
    value = PUBLIC[name]
    text = inspect.getdoc(value)
    assert text
    names = documented(text)
    if names is None:
        return
    parameters = [p for p in inspect.signature(value).parameters if p != "self"]
    assert sorted(names) == sorted(parameters)


@pytest.mark.parametrize("name", [n for n in sorted(PUBLIC) if n.startswith("fastnn.ops.")])
def test_functions_on_arrays_say_what_they_take_return_and_raise(name):
    text = inspect.getdoc(PUBLIC[name])
    assert documented(text) is not None
    assert "\nRaises\n------" in text
    assert name.endswith("_") or "\nReturns\n-------" in text


def modules_with_examples():
    """Return the public modules, and the private ones where what they show is defined."""
    return sorted({"fastnn", *MODULES, *(value.__module__ for value in PUBLIC.values())})


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_in_docstrings(name):
    module = importlib.import_module(name)
    results = doctest.testmod(module)
    assert results.failed == 0
    assert bool(results.attempted) == (">>> " in inspect.getsource(module))
