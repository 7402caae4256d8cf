"""What scripts import from ``cs231n`` while it is installed."""

import importlib

import pytest

import fastnn.dropin
from fastnn.dropin.cs231n import MODULES


@pytest.fixture(autouse=True)
def installed():
    with fastnn.dropin.installed("cs231n"):
        yield


@pytest.mark.parametrize("name", MODULES)
def test_modules(name):
    module = importlib.import_module(f"cs231n.{name}")
    ours = importlib.import_module(f"fastnn.dropin.cs231n.{name}")
    assert module.__all__ == ours.__all__
    assert all([getattr(module, key) is getattr(ours, key) for key in ours.__all__])


def test_the_ways_in_which_notebooks_import():
    names = {}
    exec(
        "import cs231n.classifiers.linear_svm\n"
        "from cs231n import optim, classifiers\n"
        "from cs231n.classifiers import LinearSVM, Softmax, fc_net\n"
        "from cs231n.classifiers.fc_net import *\n"
        "from cs231n.classifiers.cnn import *\n"
        "from cs231n.layers import *\n"
        "from cs231n.fast_layers import *\n"
        "from cs231n.solver import Solver\n"
        "from cs231n.classifiers.neural_net import TwoLayerNet as First\n",
        names,
    )
    assert names["TwoLayerNet"] is names["fc_net"].TwoLayerNet is not names["First"]
    for name in ("np", "affine_relu_forward", "conv_forward_fast", "ThreeLayerConvNet"):
        assert name in names


def test_what_is_left_out():
    with pytest.raises(ImportError, match=r"no 'KNearestNeighbor'.* it has .*LinearSVM"):
        exec("from cs231n.classifiers import KNearestNeighbor")
    with pytest.raises(ModuleNotFoundError, match=r"'cs231n.rnn_layers'.* fastnn has .*layers"):
        exec("import cs231n.rnn_layers")
