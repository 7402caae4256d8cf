"""Names, signatures and errors of the book's modules."""

import importlib
import inspect
import sys

import numpy as np
import pytest

import fastnn.dropin

MODULES = [
    "functions",
    "gradient",
    "layers",
    "multi_layer_net",
    "multi_layer_net_extend",
    "optimizer",
    "trainer",
    "util",
]


def names(module):
    """Return what a star import brings."""
    return set(getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")]))


@pytest.mark.parametrize("module", MODULES)
def test_a_star_import_brings_the_same_names(edition, module):
    book, fast = getattr(edition.book, module), getattr(edition.fast, module)
    assert names(fast) == names(book)


@pytest.mark.parametrize("edition_name", ["dlfs", "dlfs-ja"])
def test_a_star_import_brings_numpy_into_a_script(edition_name):
    script = {}
    with fastnn.dropin.installed(edition_name):
        exec("from common.layers import *\nfrom common.optimizer import *", script)
    assert script["np"] is np
    assert script["Affine"](script["np"].ones((1, 1)), 0).forward(np.ones((1, 1))) == 1


def signatures(module):
    """Return the parameters of each function, class and method of a module, by name."""
    found = {}
    for name, thing in vars(module).items():
        if name.startswith("_") or not getattr(thing, "__module__", "").startswith(
            ("common", "dataset", "fastnn", "numpy_dlfs")
        ):
            continue
        if inspect.isclass(thing):
            found[name] = _parameters(thing)
            for key, method in inspect.getmembers(thing, inspect.isfunction):
                if not key.startswith("_"):
                    found[f"{name}.{key}"] = _parameters(method)
        elif inspect.isfunction(thing):
            found[name] = _parameters(thing)
    return found


def _parameters(thing):
    return [(p.name, p.kind, p.default) for p in inspect.signature(thing).parameters.values()]


@pytest.mark.parametrize("module", MODULES)
def test_arguments_have_the_same_names_order_and_defaults(edition, module):
    book = signatures(getattr(edition.book, module))
    fast = signatures(getattr(edition.fast, module))
    assert book
    assert {name: fast.get(name) for name in book} == book


def test_arguments_of_load_mnist(edition):
    book = signatures(edition.book.mnist)["load_mnist"]
    assert signatures(edition.fast.mnist)["load_mnist"] == book


def test_ways_to_import():
    with fastnn.dropin.installed("dlfs"):
        import common.functions
        import common.util as util
        from common import layers
        from dataset import mnist

        assert common.functions.sigmoid(0.0) == 0.5
        assert util is sys.modules["common.util"]
        assert importlib.import_module("common.layers") is layers
        assert callable(mnist.load_mnist)
    assert not [name for name in sys.modules if name.split(".")[0] in ("common", "dataset")]


@pytest.mark.parametrize(
    ("statement", "error", "parts"),
    [
        (
            "from common.optimzer import SGD",
            ModuleNotFoundError,
            ["common.optimzer", "common.optimizer", "common.multi_layer_net_extend"],
        ),
        ("import common.three_layer_net", ModuleNotFoundError, ["common.multi_layer_net"]),
        ("import common.layers.affine", ModuleNotFoundError, ["common.layers.affine"]),
        ("from dataset.cifar import load_cifar", ModuleNotFoundError, ["dataset.mnist"]),
        (
            "from common.layers import Rely",
            ImportError,
            ["Rely", "Relu", "Affine", "SoftmaxWithLoss"],
        ),
        ("from common.optimizer import Adan", ImportError, ["Adan", "Adam", "Momentum"]),
        ("from dataset.mnist import load_minst", ImportError, ["load_minst", "load_mnist"]),
        (
            "import common.functions\ncommon.functions.sigmod(1.0)",
            AttributeError,
            ["sigmod", "sigmoid", "softmax"],
        ),
    ],
)
def test_what_is_missing_is_an_error_that_lists_what_there_is(statement, error, parts):
    with fastnn.dropin.installed("dlfs"), pytest.raises(error) as info:
        exec(statement, {})
    assert info.type is error
    for part in parts:
        assert part in str(info.value)


def test_each_edition_has_its_own_name_of_the_squared_error(dlfs, dlfs_ja):
    assert not hasattr(dlfs.fast.functions, "sum_squared_error")
    assert not hasattr(dlfs_ja.fast.functions, "mean_squared_error")
    assert not hasattr(dlfs_ja.fast.layers, "mean_squared_error")


def test_the_editions_share_no_state():
    with fastnn.dropin.installed("dlfs"):
        from common.optimizer import Nesterov as korean
    with fastnn.dropin.installed("dlfs-ja"):
        from common.optimizer import Nesterov as japanese
    with fastnn.dropin.installed("dlfs"):
        from common.optimizer import Nesterov as korean_again
    assert korean is korean_again
    assert korean is not japanese
