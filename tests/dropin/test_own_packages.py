"""Scripts with a ``common``, ``dataset`` or ``cs231n`` of their own that was changed."""

import ast
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import fastnn.dropin
from fastnn.dropin import _forms, _owner
from fastnn.dropin.dlfs.mnist import serves

HERE = Path(__file__).parent
KOREAN, JAPANESE = HERE / "numpy_dlfs", HERE / "numpy_dlfs_ja"


@pytest.fixture
def own(tmp_path):
    """Return a folder with a copy of the transcription as a script's own packages."""
    shutil.copytree(KOREAN, tmp_path, dirs_exist_ok=True)
    return tmp_path


@contextmanager
def script_in(folder, edition="dlfs"):
    """Install modules for a script that lies in a folder."""
    path = sys.path.copy()
    sys.path.insert(0, str(folder))
    try:
        with fastnn.dropin.installed(edition):
            yield
    finally:
        sys.path[:] = path
        sys.path_importer_cache.pop(str(folder), None)


def edit(file, old, new):
    """Change a text in a file, where it stands once or more."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def whose(thing):
    """Say whether a function or class is the owner's or fastnn's."""
    return "own" if thing.__module__.startswith(("common", "dataset", "cs231n")) else "fastnn"


MODULES = {
    "functions": ["softmax", "cross_entropy_error", "sigmoid", "softmax_loss"],
    "gradient": ["numerical_gradient"],
    "layers": ["Affine", "Relu", "SoftmaxWithLoss", "BatchNormalization", "Pooling", "softmax"],
    "multi_layer_net": ["MultiLayerNet"],
    "multi_layer_net_extend": ["MultiLayerNetExtend"],
    "optimizer": ["SGD", "Momentum", "Nesterov", "Adam"],
    "trainer": ["Trainer"],
    "util": ["im2col", "smooth_curve"],
}


def owners():
    """Return whose the objects of the book's modules are, by module and name."""
    found = {}
    for module, names in MODULES.items():
        contents = __import__(f"common.{module}", fromlist=["x"])
        found |= {f"{module}.{name}": whose(getattr(contents, name)) for name in names}
    return found


@pytest.mark.parametrize("edition", fastnn.dropin.NAMES[:2])
@pytest.mark.parametrize("copied", [KOREAN, JAPANESE], ids=["korean", "japanese"])
def test_what_the_owner_has_not_changed_runs_on_fastnn(own, copied, edition, caplog, monkeypatch):
    monkeypatch.delenv("FASTNN_QUIET")
    if copied is JAPANESE:
        for name in ("functions", "optimizer"):
            later = ast.parse((JAPANESE / "common" / f"{name}.py").read_text())
            later.body = [node for node in later.body if not isinstance(node, ast.ImportFrom)]
            with (own / "common" / f"{name}.py").open("a") as file:
                file.write(f"\n\n{ast.unparse(later)}\n")
    with script_in(own, edition):
        assert {name for name, its in owners().items() if its == "own"} == set()
        from common import optimizer

        params = {"x": np.ones(1)}
        nesterov = optimizer.Nesterov(lr=0.5, momentum=0.5)
        for _ in range(2):
            nesterov.update(params, {"x": np.ones(1)})
    # Each edition's own rule, whichever was installed; see test_the_japanese_edition.
    assert params["x"] == (-0.625 if copied is JAPANESE else -0.8125)
    assert caplog.text == ""


def test_an_older_loss_keeps_its_infinities(own):
    """Networks with it run on fastnn, too: that loss is the only thing that is another one."""
    edit(own / "common" / "functions.py", " + 1e-7", "")
    edit(own / "common" / "layers.py", "stride=2", "stride=1")
    x, t = np.random.default_rng(1).normal(size=(5, 3)), np.array([0, 1, 2, 0, 1])
    with script_in(own):
        from common.functions import cross_entropy_error
        from common.layers import Pooling
        from common.multi_layer_net_extend import MultiLayerNetExtend

        net = MultiLayerNetExtend(3, [4], 3)
        assert whose(MultiLayerNetExtend) == whose(Pooling) == "fastnn"
        assert Pooling(2, 2).forward(np.ones((1, 1, 4, 4))).shape == (1, 1, 3, 3)
        grads = net.gradient(x, t)
        assert net.last_layer.loss == -np.log(net.last_layer.y[np.arange(5), t]).sum() / 5
        assert net.loss(x, t) == pytest.approx(net.last_layer.loss, rel=1e-14)
        with np.errstate(divide="ignore"):
            assert np.isinf(cross_entropy_error(np.array([[1.0, 0.0]]), np.array([1])))
        assert np.isfinite(grads["W1"]).all()


# A change, and what is the owner's then: what he has changed, and whatever calls it.
CHANGES = {
    "loss": (
        ("functions", "+ 1e-7", "+ 1e-9"),
        [
            *("functions.cross_entropy_error", "functions.softmax_loss"),
            *("layers.SoftmaxWithLoss", "multi_layer_net.MultiLayerNet"),
            "multi_layer_net_extend.MultiLayerNetExtend",
        ],
    ),
    "network": (("multi_layer_net", "float(", "1.0 * float("), ["multi_layer_net.MultiLayerNet"]),
    "momentum": (
        ("layers", "momentum=0.9", "momentum=0.8"),
        ["layers.BatchNormalization", "multi_layer_net_extend.MultiLayerNetExtend"],
    ),
    "rate": (("optimizer", "lr=0.001", "lr=0.002"), ["optimizer.Adam", "trainer.Trainer"]),
    "numpy": (
        ("layers", "import col2im, im2col", "import col2im, im2col\n\nnp = object()"),
        [f"layers.{name}" for name in ("Affine", "BatchNormalization", "SoftmaxWithLoss")]
        + ["multi_layer_net.MultiLayerNet", "multi_layer_net_extend.MultiLayerNetExtend"],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_owner_has_changed_is_kept(own, change, caplog, monkeypatch):
    monkeypatch.delenv("FASTNN_QUIET")
    (module, old, new), expected = CHANGES[change]
    edit(own / "common" / f"{module}.py", old, new)
    with script_in(own):
        found = owners()
    kept = {name for name, its in found.items() if its == "own"}
    assert kept >= set(expected)
    assert "layers.Relu" not in kept and "util.im2col" not in kept
    lines = caplog.messages
    for name in expected:
        file, _, thing = name.partition(".")
        assert any(f"{file}.py" in line and thing in line for line in lines)


def test_a_network_for_regression_stays_one(own):
    """It ran as one for classification, without a word."""
    file = own / "common" / "multi_layer_net.py"
    edit(file, "SoftmaxWithLoss()", "Squared()")
    with file.open("a") as more:
        more.write(
            "\n\nclass Squared:\n"
            "    def forward(self, y, t):\n"
            "        self.d = y - t\n"
            "        return (self.d**2).sum()\n\n"
            "    def backward(self, dout):\n"
            "        return 2 * self.d\n"
        )
    x, t = np.random.default_rng(1).normal(size=(2, 6, 3))
    with script_in(own):
        from common.multi_layer_net import MultiLayerNet

        np.random.seed(1)
        net = MultiLayerNet(3, [4], 3)
        loss, step = net.loss(x, t), net.gradient(x, t)["b2"]
        np.testing.assert_allclose(loss, ((net.predict(x) - t) ** 2).sum())
        np.testing.assert_allclose(step, 2 * (net.predict(x) - t).sum(axis=0))
        assert whose(type(net.layers["Affine1"])) == "fastnn"


def test_modules_and_names_of_the_owner(own):
    common, dataset = own / "common", own / "dataset"
    (common / "config.py").write_text("GPU = False\n")
    (common / "activation_functions.py").write_text(
        "from common.functions import *\nfrom .config import GPU\n\n\n"
        "def swish(x):\n    return x * sigmoid(x)\n"
    )
    (common / "nets").mkdir()
    (common / "nets" / "small.py").write_text("from ..layers import Affine\n")
    (dataset / "spiral.py").write_text("def load_data():\n    return [1, 2]\n")
    for name, text in {
        "layers": "class ReLU(Relu):\n    pass\n\n\nclass MatMul:\n    pass\n",
        "optimizer": "class Adamax(Adam):\n    pass\n",
    }.items():
        with (common / f"{name}.py").open("a") as file:
            file.write(f"\n\n{text}")
    with script_in(own):
        found = {}
        exec(
            "from common.layers import *\nfrom common.optimizer import *\n"
            "import common.config\nfrom common.activation_functions import swish\n"
            "from common.nets.small import Affine as Small\nfrom dataset.spiral import load_data\n",
            found,
        )
        assert found["swish"](0.0) == 0.0 and found["load_data"]() == [1, 2]
        assert found["Small"] is found["Affine"] and whose(found["Affine"]) == "fastnn"
        assert whose(found["ReLU"]) == whose(found["MatMul"]) == whose(found["Adamax"]) == "own"
        x = np.array([[-1.0, 2.0]])
        np.testing.assert_array_equal(found["ReLU"]().forward(x), [[0.0, 2.0]])
        with pytest.raises(ModuleNotFoundError, match=r"common\.layers"):
            exec("import common.missing", {})
    assert not [name for name in sys.modules if name.startswith(("common", "dataset"))]


def test_what_runs_on_what_is_told(own, run_alone, monkeypatch):
    monkeypatch.delenv("FASTNN_QUIET")
    edit(own / "common" / "optimizer.py", "lr=0.001", "lr=0.002")
    (own / "train.py").write_text(
        "from common.optimizer import *\nfrom common.util import im2col\nprint(Adam().lr)\n"
    )
    line = "fastnn: common/optimizer.py: on fastnn run SGD, Momentum, Nesterov, AdaGrad, RMSprop; "
    line += "kept as they are there: Adam\n"
    done = run_alone(own, "train.py")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.002\n", line)
    told = run_alone(own, "--explain", "train.py", name="auto")
    first, second = told.stderr.splitlines()
    assert (told.returncode, told.stdout, f"{first}\n") == (0, "0.002\n", line)
    assert "common/util.py: on fastnn run" in second and second.endswith("there: none")
    strict = run_alone(own, "--strict", "train.py")
    assert (strict.returncode, strict.stdout) == (1, "")
    assert strict.stderr.splitlines()[-1] == line.strip().replace("fastnn: ", "ImportError: ", 1)


def test_an_error_in_an_own_module_is_the_scripts(own, run_fastnn):
    with (own / "common" / "optimizer.py").open("a") as file:
        file.write("\n\n1 / 0\n")
    (own / "train.py").write_text("from common.optimizer import SGD\n")
    done = run_fastnn(own, "train.py")
    assert done.returncode == 1
    assert "common/optimizer.py" in done.stderr and "fastnn" not in done.stderr
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_the_course_keeps_what_fastnn_lacks(tmp_path):
    package = tmp_path / "cs231n"
    (package / "classifiers").mkdir(parents=True)
    (package / "classifiers" / "k_nearest_neighbor.py").write_text("class KNearestNeighbor: pass\n")
    (package / "vis_utils.py").write_text("def grid():\n    return 7\n")
    (package / "optim.py").write_text(
        "def sgd(w, dw, config=None):\n    raise NotImplementedError\n\n\n"
        "def adagrad(w, dw, config=None):\n    return w - dw, {'learning_rate': 1}\n"
    )
    (package / "layers.py").write_text("raise RuntimeError('not run: it has nothing of its own')")
    with script_in(tmp_path, "cs231n"):
        from cs231n import optim
        from cs231n.classifiers.fc_net import FullyConnectedNet
        from cs231n.classifiers.k_nearest_neighbor import KNearestNeighbor
        from cs231n.layers import affine_forward
        from cs231n.solver import Solver
        from cs231n.vis_utils import grid

        assert grid() == 7 and whose(KNearestNeighbor) == "own"
        assert whose(affine_forward) == whose(optim.sgd) == "fastnn"
        x, y = np.ones((4, 3)), np.array([0, 1, 0, 1])
        data = {"X_train": x, "y_train": y, "X_val": x, "y_val": y}
        solver = Solver(
            FullyConnectedNet([5], 3, 2), data, update_rule="adagrad", batch_size=4, verbose=False
        )
        solver.train()
        assert whose(solver.update_rule) == "own"


DROPOUT = """
import numpy as np


def dropout_forward(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask = (np.random.rand(*x.shape) {}) / {} if mode == "train" else None
    return x if mask is None else x * mask, (dropout_param, mask)


def dropout_backward(dout, cache):
    return dout * cache[1]
"""


@pytest.mark.parametrize(
    ("forward", "share"),
    [(DROPOUT.format("< p", "p"), 0.2), (DROPOUT.format(">= p", "(1 - p)"), 0.8), ("", 0.2)],
    ids=["keeps", "drops", "is not written"],
)
def test_dropout_of_2017_is_read_as_its_solution_reads_it(tmp_path, forward, share):
    """Texts of those years say that p is for dropping; most solutions keep with it."""
    (tmp_path / "cs231n").mkdir()
    (tmp_path / "cs231n" / "layers.py").write_text(forward)
    np.random.seed(4)
    expected = np.random.rand()
    np.random.seed(4)
    with script_in(tmp_path, "cs231n"):
        from cs231n.classifiers.fc_net import FullyConnectedNet
        from cs231n.layers import dropout_forward

        assert np.random.rand() == expected
        assert whose(dropout_forward) == ("own" if share == 0.8 else "fastnn")
        net = FullyConnectedNet([400], 3, 2, dropout=0.2, use_batchnorm=True, seed=1)
        assert np.mean(dropout_forward(np.ones((50, 50)), net.dropout_param)[0] != 0) == (
            pytest.approx(share, abs=0.1)
        )
        net = FullyConnectedNet([400], 3, 2, dropout=0.2, seed=1, weight_scale=1.0)
        _, grads = net.loss(np.array([[1.0, 2.0, 3.0]]), np.array([1]))
        used = np.abs(grads["W2"]).sum(axis=1) > 0  # about half of the units are above 0
        assert np.mean(used) == pytest.approx(share / 2, abs=0.1)


def test_attributes_that_a_script_sets_reach_the_code(tmp_path):
    """In the originals all of these are looked up in the module when they are used."""
    x, t = np.ones((2, 3)), np.array([0, 1])
    with script_in(tmp_path):
        from common import layers, multi_layer_net, multi_layer_net_extend, optimizer, trainer

        class Mine(layers.Relu):
            pass

        for module, kind in (
            (multi_layer_net, multi_layer_net.MultiLayerNet),
            (multi_layer_net_extend, multi_layer_net_extend.MultiLayerNetExtend),
        ):
            net = kind(3, [4], 2)
            before = net.loss(x, t)
            module.Relu = Mine
            assert type(kind(3, [4], 2).layers["Activation_function1"]) is Mine
        layers.softmax = lambda scores: np.full(scores.shape, 0.5)
        assert net.loss(x, t) == pytest.approx(-np.log(0.5 + 1e-7)) != before
        np.testing.assert_allclose(net.gradient(x, t)["b2"], 0, atol=1e-15)

        class Slow(optimizer.SGD):
            pass

        trainer.SGD = Slow
        assert type(trainer.Trainer(net, x, t, x, t).optimizer) is Slow
    with script_in(tmp_path):  # and are gone with the modules
        from common.layers import SoftmaxWithLoss
        from common.multi_layer_net import MultiLayerNet

        assert SoftmaxWithLoss().forward(np.array([[9.0, 0.0]]), t[:1]) < 0.01
        assert type(MultiLayerNet(3, [4], 2).layers["Activation_function1"]) is not Mine


def test_a_rule_that_a_script_puts_into_optim(tmp_path):
    with script_in(tmp_path, "cs231n"):
        from cs231n import optim
        from cs231n.classifiers.fc_net import FullyConnectedNet
        from cs231n.solver import Solver

        def mine(w, dw, config=None):
            return w, config

        optim.mine = mine
        x, y = np.ones((4, 3)), np.array([0, 1, 0, 1])
        data = {"X_train": x, "y_train": y, "X_val": x, "y_val": y}
        assert Solver(FullyConnectedNet([5], 3, 2), data, update_rule="mine").update_rule is mine


def test_mnist_is_read_by_the_owners_module_where_that_has_other_data(tmp_path, idx_files):
    """Never another set than the one that lies there, or that the owner's module would fetch."""
    beside, alone = ({"__file__": str(folder / "mnist.py")} for folder in (idx_files, tmp_path))
    pickled = tmp_path / "mnist.pkl"
    digits, fashion = "http://yann.lecun.com/exdb/mnist/", "http://example.org/fashion/"
    pickled.touch()
    for own, expected in [
        (
            {**alone, "url_base": digits, "dataset_dir": str(tmp_path), "save_file": "mnist.pkl"},
            True,
        ),
        ({**alone, "save_file": str(pickled)}, False),
        ({**alone, "url_base": fashion}, False),
        ({**alone, "dataset_dir": str(idx_files)}, False),
        ({**beside, "url_base": fashion, "save_file": str(pickled)}, True),
    ]:
        assert serves(own) == expected, own


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (
            "def f(x):\n    'a'\n    y = x  # b\n    return y",
            "def f(x: int):\n    z = x\n    return z",
            1,
        ),
        ("def f(x):\n    return (lambda a: a + x)", "def f(x):\n    return lambda b: b + x", 1),
        ("def f(x):\n    return [i for i in x]", "def f(x):\n    return [k for k in x]", 1),
        ("def f(x):\n    return x", "def f(y):\n    return y", 0),
        ("def f(x=1):\n    return x", "def f(x=2):\n    return x", 0),
        ("def f(x):\n    return x.a", "def f(x):\n    return x.b", 0),
        ("def f(x):\n    y = g(x)\n    return y", "def f(x):\n    y = h(x)\n    return y", 0),
        (
            "def f(x):\n    y = z = x\n    return y - z",
            "def f(x):\n    y = z = x\n    return z - y",
            0,
        ),
        ("class A:\n    a = 1", "class A:\n    a = 1.0", 0),
        ("class A(B):\n    pass", "class A(C):\n    pass", 0),
        ("def f():\n    global a\n    a = 1", "def f():\n    global b\n    b = 1", 0),
    ],
)
def test_forms(one, other, same):
    forms = [_forms.digest(ast.parse(text).body[0]) for text in (one, other)]
    assert (forms[0] == forms[1]) == bool(same)


def test_a_package_that_is_installed_for_all_is_not_the_scripts(tmp_path, monkeypatch):
    installed = tmp_path / "site-packages"
    (installed / "common").mkdir(parents=True)
    (installed / "common" / "layers.py").write_text("Affine = 1\n")
    monkeypatch.syspath_prepend(str(installed))
    assert _owner.folders("common") == []
