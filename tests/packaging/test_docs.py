"""Docstrings name the arguments, and their examples run; what texts refer to is there."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import fastnn
import fastnn.kernels
from fastnn import ops

ROOT = Path(__file__).parents[2]

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


# Update rules stand in `ops` with the records, and the optimizers, that are made around them.
ON_ARRAYS = [
    name
    for name, value in sorted(PUBLIC.items())
    if name.startswith("fastnn.ops.") and value.__name__ in ops.__all__
]


@pytest.mark.parametrize("name", ON_ARRAYS)
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


def refers_to(name):
    """Return what a dotted name stands for: a module, or something in one."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        home, _, last = name.rpartition(".")
        return getattr(refers_to(home), last)


@pytest.mark.parametrize("package", [fastnn, fastnn.kernels], ids=["fastnn", "kernels"])
def test_docstrings_refer_to_what_is_there(package):
    paths = sorted(Path(package.__file__).parent.rglob("*.py"))
    text = "".join(path.read_text() for path in paths)
    names = set(re.findall(r":\w+:`~?(fastnn\.[\w.]+)`", text))
    assert names
    for name in sorted(names):
        refers_to(name)


@pytest.mark.repository
def test_links_lead_to_files():
    texts = [
        path
        for folder in ("", "examples", "asv_benchmarks")
        for path in (ROOT / folder).glob("*.md")
    ]
    assert ROOT / "README.md" in texts
    for path in texts:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
