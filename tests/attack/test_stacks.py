"""The attack on networks: a slice of it, and faults that are planted for it to find."""

import inspect

import numpy as np
import pytest

from fastnn import Network, config, layers
from tests.attack import stacks, workers

SLICE = 40


def found(amount):
    tally = workers.here(stacks.case, amount, 0, stacks.COMMAND)
    print(dict(tally.figures))
    return " ".join(tally.failures())


def test_each_layer_and_each_argument_of_fit_has_a_generator():
    assert set(layers.__all__) == set(stacks.LAYERS) | stacks.OTHERS
    assert set(inspect.signature(Network.fit).parameters) <= {"self", "x", "t", *stacks.BAD}


@pytest.mark.slow
def test_a_slice():
    assert found(SLICE) == ""


predict, gradient, fit = Network.predict, Network.gradient, Network.fit


def scores_of_threads(self, x, train_flg=False):
    return predict(self, x, train_flg) * np.float32(config.get_num_threads())


def counts_predictions(self, x, train_flg=False):
    layer = next(iter(self.layers.values()))
    layer.count = getattr(layer, "count", 0) + 1
    return predict(self, x, train_flg)


def gradients_of_threads(self, x, t):
    found = gradient(self, x, t)
    return {key: g + config.get_num_threads() for key, g in found.items()}


def trains_otherwise_after_pickling(self, x, t, **settings):
    self.params[next(iter(self.params))][...] += getattr(self, "pickled", 0)
    return fit(self, x, t, **settings)


def learns_before_an_error(self, x, t, **settings):
    next(iter(self.params.values()))[...] += 1
    return fit(self, x, t, **settings)


def hides_what_is_wrong(self, *args, **settings):
    try:
        return fit(self, *args, **settings)
    except ValueError as error:
        raise AssertionError from error


FAULTS = {
    scores_of_threads: ("predict", "two threads: scores has other bits"),
    counts_predictions: ("predict", "prediction changes"),
    gradients_of_threads: ("gradient", "has other bits"),
    learns_before_an_error: ("fit", "an error: "),
    hides_what_is_wrong: ("fit", "AssertionError"),
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(fault, monkeypatch):
    method, text = FAULTS[fault]
    monkeypatch.setattr(Network, method, fault)
    assert text in found(12)


def test_samples_that_are_written_to_are_found(monkeypatch):
    def writes(self, x, train_flg=False):
        if x.flags.writeable:
            x[...] += 1
        return predict(self, x, train_flg)

    monkeypatch.setattr(Network, "predict", writes)
    assert found(12)


def test_a_backend_that_predicts_otherwise_is_found(monkeypatch):
    def other(self, x, train_flg=False):
        return predict(self, x, train_flg) * (1 + 1e-3 * (config.get_backend() == "numpy"))

    monkeypatch.setattr(Network, "predict", other)
    assert "backends predict otherwise" in found(12)


@pytest.mark.slow
def test_layers_that_train_otherwise_than_the_program_are_found(monkeypatch):
    by_layers = stacks.routes.by_layers

    def slower(net, optimizer, *others):
        optimizer.lr *= 0.9
        return by_layers(net, optimizer, *others)

    monkeypatch.setattr(stacks.routes, "by_layers", slower)
    assert "the program trains otherwise" in found(60)


def writes_its_input(self, x, train_flg=True):
    y = forward(self, x, train_flg)
    if isinstance(x, np.ndarray) and x.flags.writeable:
        x += 1
    return y


def adds_threads(self, x, train_flg=True):
    return forward(self, x, train_flg) + config.get_num_threads()


def depends_on_the_backend(self, x, train_flg=True):
    return forward(self, x, train_flg) * (1 + 1e-3 * (config.get_backend() == "numpy"))


forward = layers.Sigmoid.forward


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (writes_its_input, "samples were written to"),
        (adds_threads, "y has other bits"),
        (depends_on_the_backend, "backends differ in y"),
    ],
)
def test_a_layer_that_breaks_its_word_is_found(fault, said, monkeypatch):
    monkeypatch.setattr(stacks, "KINDS", [stacks.alone])
    monkeypatch.setattr(stacks, "LAYERS", {"Sigmoid": stacks.LAYERS["Sigmoid"]})
    assert found(20) == ""
    monkeypatch.setattr(layers.Sigmoid, "forward", fault)
    assert said in found(20)
