"""Every public class shows what it is: none prints its address."""

import importlib
import inspect
import pkgutil
import re
from collections import OrderedDict

import numpy as np
import pytest

import fastnn
from fastnn import callbacks, ensembles, layers, optimizers, schedules, search
from fastnn.dropin.cs231n.classifiers import LinearSVM
from fastnn.dropin.cs231n.classifiers.cnn import ThreeLayerConvNet
from fastnn.dropin.dlfs import layers as book
from fastnn.dropin.dlfs import optimizer as book_optimizers
from fastnn.program import Program
from fastnn.program.executor import StepSettings

ADDRESS = re.compile(r" at 0x[0-9a-f]+")
X, T = np.zeros((6, 4), np.float32), np.array([0, 1, 2, 0, 1, 2])


def public_classes():
    """Return the classes of all modules' `__all__`, by name."""
    found = {}
    modules = ["fastnn", *(m.name for m in pkgutil.walk_packages(fastnn.__path__, "fastnn."))]
    for name in modules:
        if not any(part.startswith("_") for part in name.split(".")):
            module = importlib.import_module(name)
            for public in getattr(module, "__all__", []):
                value = getattr(module, public)
                if inspect.isclass(value) and value.__module__.startswith("fastnn"):
                    found[f"{value.__module__}.{value.__qualname__}"] = value
    return found


def test_every_public_class_has_a_text_of_its_own():
    classes = public_classes()
    assert len(classes) > 80  # the walk finds them
    default = [
        name
        for name, kind in classes.items()
        if kind.__repr__ is object.__repr__
        and not inspect.isabstract(kind)
        and not getattr(kind, "_is_protocol", False)
    ]
    assert default == []


def test_what_is_made_without_arguments():
    shown = 0
    for name, kind in public_classes().items():
        try:
            text = repr(kind())
        except (TypeError, ValueError, AttributeError):  # it needs arguments, or is a base
            continue
        shown += 1
        assert not ADDRESS.search(text), name
        assert text.startswith(kind.__name__), name
    assert shown > 25


def network(**settings):
    return fastnn.MultiLayerNet(4, [8], 3, seed=0, **settings)


def trained():
    net = network()
    return net.fit(X, T, 1, 6, callbacks=[callbacks.EarlyStopping("loss")], verbose=False)


NET = "MultiLayerNet([AffineRelu(8), Affine(3)], loss='cross_entropy', input_size=4, dtype=float32)"
SHAPES = "ndarray of shape (6, 4)", "ndarray of shape (6,)"
TEXTS = {
    "layers.Relu()": lambda: layers.Relu(),
    "layers.Flatten()": lambda: layers.Flatten(),
    "layers.Identity()": lambda: layers.Identity(),
    "layers.SoftmaxWithLoss()": lambda: layers.SoftmaxWithLoss(),
    "layers.LayerNormalization(eps=0.01)": lambda: layers.LayerNormalization(eps=0.01),
    "layers.BatchNormalization()": lambda: layers.BatchNormalization(),
    "layers.BatchNormRelu(momentum=0.5, eps=0.001, per_pixel=True)": lambda: layers.BatchNormRelu(
        momentum=0.5, eps=1e-3, per_pixel=True
    ),
    "ensembles.DistillationLoss(temperature=4.0, alpha=0.5)": lambda: ensembles.DistillationLoss(
        4, 0.5
    ),
    "ensembles.Snapshots(every=2, keep=None)": lambda: ensembles.Snapshots(2),
    "optimizers.SGD(lr=0.1, weight_decay=0.0)": lambda: optimizers.SGD(0.1),
    "callbacks.Callback()": lambda: callbacks.Callback(),
    "schedules.cosine(epochs=3.0, final=0.0)": lambda: schedules.cosine(epochs=3),
    "schedules.warmup(steps=5, then=step_decay(every=10, factor=0.5))": lambda: schedules.warmup(
        5, schedules.step_decay(10)
    ),
    "schedules.warmup(steps=5)": lambda: schedules.warmup(5),
    "schedules.cosine(final=0.0, steps=6)": lambda: schedules.in_steps(
        schedules.cosine(epochs=3), 2
    ),
    f"fastnn.{NET}": network,
    f"fastnn.{NET[:-1]}, weight_decay_lambda=0.1, input_scale=0.5)": lambda: network(
        weight_decay_lambda=0.1, input_scale=0.5
    ),
    f"program.Program(network={NET}, optimizer=SGD(lr=0.1, weight_decay=0.0), samples=6, "
    "batch_size=2)": lambda: Program(network(), optimizers.SGD(0.1), X, T, 2, StepSettings()),
    f"fastnn.Trainer(network={NET}, x_train={SHAPES[0]}, t_train={SHAPES[1]}, "
    f"x_test={SHAPES[0]}, t_test={SHAPES[1]}, epochs=2, optimizer=SGD(lr=0.01, weight_decay=0.0), "
    "evaluate_sample_num_per_epoch=None, verbose=False, mini_batch_size=3)": lambda: fastnn.Trainer(
        network(), X, T, X, T, 2, 3, verbose=False
    ),
    "book.Affine(W=ndarray of shape (4, 2), b=ndarray of shape (2,))": lambda: book.Affine(
        np.zeros((4, 2)), np.zeros(2)
    ),
    "book.Dropout(dropout_ratio=0.25)": lambda: book.Dropout(0.25),
    "book.Adam(lr=0.001, beta1=0.9, beta2=0.999)": lambda: book_optimizers.Adam(),
    "course.LinearSVM()": LinearSVM,
    "course.ThreeLayerConvNet(reg=0.0, dtype=float32)": ThreeLayerConvNet,
}  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_texts(text):
    assert repr(TEXTS[text]()) == text.partition(".")[2]


def test_what_trainings_and_searches_leave():
    history = trained()
    ranges = {"width": search.Choice(1, 2)}
    result = search.search(lambda trial: trial.report(trial["width"]), ranges, 2, verbose=False)
    for thing in (history, history.state, history.settings, result, result.top(1)[0]):
        assert not ADDRESS.search(repr(thing))


def test_a_users_own_classes_show_what_they_hold():
    class Own(callbacks.Callback):
        def __init__(self, path, weights, *rest, quiet=True):
            self.path, self.weights, self.secret = path, weights, 1

    assert repr(Own("a", np.zeros((3, 2)))) == "Own(path='a', weights=ndarray of shape (3, 2))"
    net = fastnn.Network(OrderedDict(a=layers.Affine(3)), input_size=2)
    assert repr(net).startswith("Network([Affine(3)], loss='cross_entropy'")
