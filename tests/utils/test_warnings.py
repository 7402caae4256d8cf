"""Warnings point to the user's line, whatever lies between."""

import linecache
import math
import warnings

import numpy as np
import pytest

from fastnn import MultiLayerNet, Trainer, config, ops, optimizers, schedules
from fastnn._utils import warnings as _warnings
from fastnn.callbacks import Callback
from fastnn.diagnostics import check_generalisation, check_overfitting, sanity_checks
from fastnn.dropin.cs231n import optim
from fastnn.dropin.cs231n.solver import Solver
from fastnn.dropin.dlfs.multi_layer_net import MultiLayerNet as BookNet
from fastnn.dropin.dlfs.trainer import Trainer as BookTrainer
from fastnn.ensembles import distill
from fastnn.kernels.codegen import cache
from fastnn.search import Log, Stage, coarse_to_fine, search
from fastnn.training import runner
from tests.support.unknown import unknown_layout

N, D, C = 40, 4, 3
X = np.random.default_rng(0).normal(size=(N, D))
T = np.arange(N) % C
MANY = np.tile(X, (10, 1)), np.tile(T, 10)
HUGE = {"optimizer": optimizers.SGD(1e30), "verbose": False}


def network():
    return MultiLayerNet(D, [5], C, seed=0)


def warned(call, text):
    """Call it; return the line that the one warning with this text points to."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    (found,) = [w for w in caught if text in str(w.message)]
    assert found.filename == __file__
    return linecache.getline(found.filename, found.lineno)


def layerwise(net):
    net.gradient = net.gradient
    return net


def in_a_callback():
    class Nested(Callback):
        def on_train_begin(self):
            network().fit(X, T, 9, **HUGE)  # here

    network().fit(X, T, 1, callbacks=[Nested()], verbose=False)


def trainer(**settings):
    return Trainer(network(), X, T, X, T, 9, 10, "SGD", {"lr": 1e30}, verbose=False, **settings)


def stepwise():
    run = trainer()
    for _ in range(9):
        run.train_step()  # here


def held_out_on_disk(tmp_path):
    x = X.copy()
    x[3, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    held_out = np.load(tmp_path / "x.npy", mmap_mode="r"), T
    network().fit(X, T, 2, 10, validation=held_out, verbose=False)  # here


LOSSES = {
    "fit": lambda: network().fit(X, T, 9, **HUGE),  # here
    "fit in batches": lambda: network().fit(X, T, 9, 7, **HUGE),  # here
    "fit layer by layer": lambda: layerwise(network()).fit(X, T, 9, **HUGE),  # here
    "fit with callbacks": lambda: network().fit(X, T, 9, callbacks=[Callback()], **HUGE),  # here
    "fit in a callback": in_a_callback,
    "Trainer.train": lambda: trainer().train(),  # here
    "Trainer.train_step": stepwise,
    "distill": lambda: distill(network(), network(), X, epochs=9, **HUGE),  # here
}


@pytest.mark.parametrize("place", LOSSES)
@pytest.mark.parametrize("stretch", [0, 100], ids=["steps by themselves", "all steps at once"])
def test_of_a_loss(place, stretch, monkeypatch):
    monkeypatch.setattr(runner, "STRETCH", stretch)
    assert "# here" in warned(LOSSES[place], "the loss became")


def test_of_a_validation_loss(tmp_path):
    assert "# here" in warned(lambda: held_out_on_disk(tmp_path), "the validation loss became")


def test_of_a_schedule():
    def train():
        schedule = schedules.cosine(2)
        network().fit(X, T, 9, 10, schedule=schedule, verbose=False)  # here

    assert "# here" in warned(train, "schedule: expected factors")


RANGES = {"lr": Log(1e-6, 1e-2)}
OPTIONS = {"seed": 0, "verbose": False}
SEARCHES = {
    "search": lambda: search(learn, RANGES, 20, **OPTIONS),  # here
    "coarse_to_fine": lambda: coarse_to_fine(learn, RANGES, [Stage(20)], **OPTIONS),  # here
}


def learn(trial):
    return trial["lr"]


@pytest.mark.parametrize("place", SEARCHES)
def test_of_a_border(place):
    assert "# here" in warned(SEARCHES[place], "upper")


@pytest.fixture
def unreadable():
    with unknown_layout():
        yield "optimizers run on NumPy"


def update():
    params, optimizer = {"W": np.ones((3, 2))}, optimizers.SGD(0.5)
    for _ in range(3):
        optimizer.update(params, {"W": np.ones((3, 2))})  # here
    np.testing.assert_array_equal(params["W"], -0.5)


def book():
    net = BookNet(D, [5], C)
    BookTrainer(net, X, T, X, T, 2, 10, verbose=False).train()  # here


class Model:
    """As CS231n's Solver takes them: logistic regression."""

    def __init__(self):
        self.params = {"W": np.zeros((D, C))}

    def loss(self, X, y=None):
        scores = X @ self.params["W"]
        if y is None:
            return scores
        loss, dscores = ops.softmax_cross_entropy(scores, y)
        return loss, {"W": X.T @ dscores}


def solver():
    data = {"X_train": X, "y_train": T, "X_val": X, "y_val": T}
    solver = Solver(Model(), data, update_rule="adam", num_epochs=2, batch_size=10, verbose=False)
    solver.train()  # here


UPDATES = {
    "update": update,
    "sgd_": lambda: ops.sgd_(np.ones(3), np.ones(3), 0.1),  # here
    "fit": lambda: layerwise(network()).fit(X, T, 2, verbose=False),  # here
    "check_overfitting": lambda: check_overfitting(network(), X, T, steps=9),  # here
    "check_generalisation": lambda: check_generalisation(network(), *MANY, epochs=1),  # here
    "sanity_checks": lambda: sanity_checks(network(), X, T),  # here
    "the book's Trainer": book,
    "CS231n's Solver": solver,
    "CS231n's sgd": lambda: optim.sgd(np.ones(9999), np.ones(9999)),  # here
}


@pytest.mark.parametrize("place", UPDATES)
def test_of_arrays_that_cannot_be_read(place, unreadable):
    assert "# here" in warned(UPDATES[place], unreadable)


def test_of_arrays_that_cannot_be_read_names_numpy_and_comes_once(unreadable):
    message = f"{unreadable}, which is slower: Python .* or NumPy {np.__version__} keeps objects"
    with pytest.warns(RuntimeWarning, match=message) as caught:
        update()
        update()
    assert len(caught) == 1


def test_numpy_that_was_asked_for_is_no_surprise(unreadable):
    with config.use_backend("numpy"):
        update()


def test_of_kernels_that_are_not_kept(monkeypatch, tmp_path):
    """Numba calls what keeps them."""
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "file"))
    cache.folder.cache_clear()
    cache._warn_once.cache_clear()
    kernel = cache.enable(_kernel())
    try:
        assert "# here" in warned(lambda: kernel(math.pi), "not kept on disk")  # here
    finally:
        cache.folder.cache_clear()
        cache._warn_once.cache_clear()


def _kernel():
    from fastnn.kernels.codegen.compile import OPTIONS, numba

    def twice(a):
        return 2 * a

    twice.__module__ = "fastnn.kernels.of_a_test"
    return numba.njit(twice, **OPTIONS)


def test_without_a_user_on_the_stack(monkeypatch):
    """It points to the outermost function there is."""
    monkeypatch.setattr(_warnings, "_is_ours", lambda frame: True)
    with pytest.warns(UserWarning, match="nobody") as caught:
        _warnings.warn("nobody", UserWarning)
    assert len(caught) == 1


@pytest.mark.parametrize(
    "error", [ValueError("closed"), BrokenPipeError(32, "nobody reads"), AttributeError("write")]
)
def test_a_warning_that_cannot_be_printed_ends_nothing(error, monkeypatch):
    def fail(*warning, **named):
        raise error

    monkeypatch.setattr(warnings, "showwarning", fail)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        _warnings.warn("nobody sees it", RuntimeWarning)
        warnings.simplefilter("error")
        with pytest.raises(RuntimeWarning, match="nobody sees it"):
            _warnings.warn("nobody sees it", RuntimeWarning)
