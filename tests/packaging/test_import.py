"""``import fastnn``: submodules and names that load at first use."""

import os
import pathlib
import pickle
import pkgutil
import re
import shutil
import subprocess
import sys

import pytest

import fastnn

SUBMODULES = [
    module.name for module in pkgutil.iter_modules(fastnn.__path__) if module.name[0] != "_"
]
NAMES = {
    "DivergenceWarning": "fastnn.training.divergence",
    "MultiLayerNet": "fastnn.networks.builders",
    "MultiLayerNetExtend": "fastnn.networks.builders",
    "Network": "fastnn.networks.network",
    "Trainer": "fastnn.training.trainer",
    "TwoLayerNet": "fastnn.networks.builders",
    "cross_validate": "fastnn.many.folds",
    "fit_many": "fastnn.many.trainings",
    "from_torch": "fastnn.networks.from_torch",
    "get_num_threads": "fastnn.config",
    "load": "fastnn.networks.files",
    "set_num_threads": "fastnn.kernels.threading.threads",
}


def run(code, *arguments, **variables):
    """Run code in a process of its own, in which warnings are errors; return what it printed."""
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    env = os.environ | variables
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_loads_nothing_yet():
    loaded = set(run("import sys, fastnn; print(*sys.modules)").split())
    assert not loaded & {"numpy", "numba", *(f"fastnn.{name}" for name in SUBMODULES)}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SUBMODULES, *NAMES])
def test_first_use(name):
    shown = run(
        f"import fastnn, sys\nprint(fastnn.{name}.__name__, 'fastnn._cli.commands' in sys.modules)"
    )
    assert shown.split() == [f"fastnn.{name}" if name in SUBMODULES else name, "False"]


def test_all_of_it_is_listed():
    assert {"datasets", "dropin", "gradient_check", "kernels", "search"} <= set(SUBMODULES)
    # A star must need nothing that is optional, nor take the name of scikit-learn.
    assert sorted([*fastnn.__all__, "sklearn"]) == sorted([*SUBMODULES, *NAMES])
    assert dir(fastnn) == sorted(["__version__", "sklearn", *fastnn.__all__])
    for name, home in NAMES.items():
        assert getattr(fastnn, name).__module__ == home


@pytest.mark.slow
def test_star():
    # Of what is optional, nothing is needed.
    names = "'optuna', 'scipy', 'matplotlib', 'sklearn'"
    code = f"import sys\nfor name in {names}: sys.modules[name] = None\n"
    shown = run(f"{code}from fastnn import *\nprint(*globals())")
    assert set(fastnn.__all__) <= set(shown.split())


def test_name_that_is_not_there():
    with pytest.raises(
        AttributeError, match="module 'fastnn' has no attribute 'dataset'"
    ) as raised:
        _ = fastnn.dataset
    # From these Python makes "Did you mean: 'datasets'?", asv's benchmarks tell what is absent.
    assert (raised.value.name, raised.value.obj) == ("dataset", fastnn)
    with pytest.raises(ImportError):
        from fastnn import nothing  # noqa: F401
    assert not hasattr(fastnn, "_nothing")


@pytest.mark.slow
def test_pickle():
    assert pickle.loads(pickle.dumps(fastnn.MultiLayerNet)) is fastnn.networks.MultiLayerNet
    network = fastnn.MultiLayerNet(2, [3], 2, seed=0)
    code = "import pickle, sys; print(type(pickle.load(sys.stdin.buffer)))"
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(network), capture_output=True, check=True
    )
    assert done.stdout.split() == [b"<class", b"'fastnn.networks.builders.MultiLayerNet'>"]


@pytest.mark.slow
def test_readme_way_of_installing_the_book():
    run("import fastnn; fastnn.dropin.install('dlfs'); from common.functions import softmax")


@pytest.mark.slow
def test_a_clone_beside_an_ordinary_install(tmp_path):
    # Python finds the package of the clone first, and there the kernels stand beside it.
    (package,) = fastnn.__path__
    clone = tmp_path / "clone"
    links = shutil.ignore_patterns("kernels", "__pycache__")
    shutil.copytree(package, clone / "fastnn", ignore=links)
    shutil.copytree(pathlib.Path(fastnn.kernels.__file__).parent, clone / "kernels")
    command = [sys.executable, "-c", "import fastnn\nprint(fastnn.kernels.__path__, fastnn.ops)"]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(clone / "kernels") in done.stdout and str(clone / "fastnn" / "ops") in done.stdout


# What `make lint` holds of Numba stands there.
CONTRACT = re.search(
    r'name = "Numba is imported only where it compiles".*?source_modules = \[(.*?)\]',
    (pathlib.Path(__file__).parents[2] / "pyproject.toml").read_text(),
    re.DOTALL,
)
WITHOUT_NUMBA = """
import importlib, pkgutil, sys

class Refuses:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("numba", "llvmlite"):
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, Refuses())
import fastnn
"""
EVERYTHING = """
def load(name):
    module = importlib.import_module(name)
    for found in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
        if found.name not in ("fastnn._bench.peers.with_compile", "fastnn._cli.__main__"):
            load(found.name)

for name in sys.argv[1:]:
    load(name)
"""
NUMPY = """
import numpy as np
from fastnn import config, MultiLayerNet, ops
assert config.get_backend() == "numpy"
x, t = np.random.default_rng(0).random((20, 4)), np.arange(20) % 3
ops.affine(x, np.ones((4, 3)), np.zeros(3))
net = MultiLayerNet(4, [5], 3, seed=0)
net.fit(x, t, 2, 10, verbose=False)
net.accuracy(x, t)
"""


@pytest.mark.slow
def test_nothing_but_what_compiles_loads_numba():
    names = re.findall(r'"([\w.]+)"', CONTRACT[1])
    assert {f"fastnn.{name}" for name in SUBMODULES} - {"fastnn.build", "fastnn.kernels"} <= {
        *names
    }
    names.remove("fastnn.__main__")
    run(WITHOUT_NUMBA + EVERYTHING, *names)


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["FASTNN_BACKEND=numpy", "NUMBA_DISABLE_JIT=1"])
def test_numpy_needs_no_numba(variable):
    run(WITHOUT_NUMBA + NUMPY, **dict([variable.split("=")]))
