"""What else there is to call: layers, functions, initial values, schedules, techniques."""

import copy
import pickle
from contextlib import suppress

import numpy as np
from recorded.settings import DTYPES, SETTINGS, running
from recorded.trainings import (
    CLASSES,
    Case,
    network_of,
    recorded,
    results,
    samples_of,
    settings_of,
    state_of,
)

from fastnn import (
    callbacks,
    ensembles,
    functional,
    gradient_check,
    initializers,
    layers,
    schedules,
    second_order,
    trainer,
)


def _passes(made, x, dout):
    """Yield what layers give in two passes of training and one of inference."""
    names = "dW", "db", "dgamma", "dbeta", "running_mean", "running_var", "mask", "step"
    for name, layer in made.items():
        passes = [(layer.forward(x), layer.backward(dout)) for _ in range(2)]
        left = {key: getattr(layer, key, None) for key in names}
        yield name, [passes, left, layer.forward(x[::-1], train_flg=False)]


def _layers(dtype):
    rng = np.random.default_rng(1)
    x, dout = rng.standard_normal((2, 37, 23)).astype(dtype)
    W = rng.standard_normal((23, 23)).astype(dtype)
    vectors = rng.standard_normal((2, 23)).astype(dtype)
    made = {
        "Relu": layers.Relu(),
        "Sigmoid": layers.Sigmoid(),
        "Tanh": layers.Tanh(),
        "LeakyRelu": layers.LeakyRelu(0.2),
        "Elu": layers.Elu(1.5),
        "Gelu": layers.Gelu(),
        "Gelu, tanh": layers.Gelu("tanh"),
        "Silu": layers.Silu(),
        "Softplus": layers.Softplus(),
        "Affine": layers.Affine(W, vectors[0]),
        "AffineRelu": layers.AffineRelu(W, vectors[0]),
        "BatchNormalization": layers.BatchNormalization(*vectors),
        "BatchNormRelu": layers.BatchNormRelu(*vectors, momentum=0.8, eps=1e-3),
        "Dropout": layers.Dropout(0.3, seed=5),
        "Dropout, inverted": layers.Dropout(0.3, seed=5, inverted=True),
    }
    yield from _passes(made, x, dout)
    images = x[:36, :20].reshape(4, 3, 6, 10)
    filters = W[:9, :21].reshape(7, 3, 3, 3)
    of_images = {
        "Convolution": layers.Convolution(filters, vectors[0, :7], 1, 1),
        "Convolution, stride": layers.Convolution(filters, vectors[0, :7], 2),
        "MaxPool": layers.MaxPool(2, 2, 2),
        "BatchNormalization": layers.BatchNormalization(*vectors[:, :3]),
        "BatchNormalization, per_pixel": layers.BatchNormalization(
            np.ones(180, dtype), np.zeros(180, dtype), per_pixel=True
        ),
    }
    for name, layer in of_images.items():
        y = layer.forward(images)
        yield from _passes({f"{name} of images": layer}, images, np.cos(y))
    t = {"SoftmaxWithLoss": rng.integers(0, 23, 37), "IdentityWithLoss": dout}
    for name, each in t.items():
        layer = getattr(layers, name)()
        yield name, [layer.forward(x, each), layer.backward(), layer.backward(3.0), layer.y]


def _functional(dtype):
    rng = np.random.default_rng(2)
    x = rng.standard_normal((41, 7)).astype(dtype)
    y, t = functional.softmax(x), rng.integers(0, 7, 41)
    yield "softmax", [y, functional.softmax(x[0])]
    yield "relu, sigmoid", [functional.relu(x), functional.sigmoid(x)]
    yield "cross_entropy_error", functional.cross_entropy_error(y, t)
    yield "numerical_gradient", functional.numerical_gradient(lambda p: (p**3).sum(), x.copy())
    yield "smooth_curve", functional.smooth_curve(x[:, 0])


def _without_arithmetic():
    """Yield what depends on no backend."""
    for name in initializers.__all__:
        draw = {} if name == "zeros" else {"rng": 3}
        for dtype in DTYPES:
            shapes = (23, 31), (5, 3, 4, 4)
            function = getattr(initializers, name)
            yield f"{name}/{dtype}", [function(shape, dtype=dtype, **draw) for shape in shapes]
    steps = np.arange(200)
    for name, schedule in {
        "step_decay": schedules.step_decay(7, 0.3),
        "exponential": schedules.exponential(0.01),
        "inverse_time": schedules.inverse_time(0.1),
        "cosine": schedules.cosine(150, 0.1),
        "warmup": schedules.warmup(20, then=schedules.cosine(100)),
        "in_steps": schedules.in_steps(schedules.warmup(epochs=2, then=schedules.cosine(9)), 7),
    }.items():
        yield name, schedule(steps)


class Scale:
    """A layer of a user's own, with a parameter."""

    def __init__(self, size, dtype):
        self.params = {"s": np.ones(size, dtype)}

    def forward(self, x):
        self.x = x
        return x * self.params["s"]

    def backward(self, dout):
        self.grads = {"s": (dout * self.x).sum(axis=0)}
        return dout * self.params["s"]


class Plain:
    """An optimizer of a user's own."""

    lr = 0.1

    def update(self, params, grads):
        for key in params:
            params[key] -= self.lr * grads[key]


class Network:
    """A network of a user's own, with what ``Trainer`` asks for, around one of fastnn's."""

    def __init__(self, inner):
        self.params, self.last_layer = inner.params, inner.last_layer
        self.gradient, self.accuracy = inner.gradient, inner.accuracy


def _own(dtype):
    """Yield trainings of what users have written."""
    x, t = samples_of(Case())
    network = network_of(Case(), dtype)
    network.layers["Scale"] = Scale(CLASSES, np.dtype(dtype))
    history = network.fit(x, t, 3, 32, seed=5, verbose=False, clip_norm=0.5, ema=0.9)
    yield "layer", [*results(network, history, history.optimizer, x, t, many=False)]
    network = network_of(Case("all"), dtype)
    history = network.fit(x, t, 3, 32, Plain(), seed=5, verbose=False)
    yield "optimizer", [network.params, recorded(history)]
    inner = network_of(Case("batchnorm"), dtype)
    trained = trainer.Trainer(Network(inner), x, t, x, t, 2, 32, "adam", {}, verbose=False, seed=5)
    trained.train()
    yield "network", [inner.params, trained.train_loss_list, trained.test_acc_list, trained.route]
    network = network_of(Case("all"), dtype)
    for part in (x[:100], x):  # others than the ones before: other plans, one optimizer
        network.fit(part, t[: len(part)], 1, 32, "Nesterov", seed=5, verbose=False)
    copies = {"deepcopy": copy.deepcopy(network), "pickle": pickle.loads(pickle.dumps(network))}
    for name, each in copies.items():
        each.fit(x, t, 1, 50, seed=6, verbose=False)
        yield name, [each.params, state_of(each)]


class Interrupting(callbacks.Callback):
    """Interrupts a training in the middle of an epoch."""

    every_steps = 10

    def on_steps_end(self, step):
        if step == 10:
            raise KeyboardInterrupt


def _callbacks(dtype):
    case = Case("all")
    x, t = samples_of(case)
    for name, callback in {
        "EarlyStopping": callbacks.EarlyStopping(patience=2),
        "ReduceLROnPlateau": callbacks.ReduceLROnPlateau(factor=0.5, patience=1, min_lr=1e-4),
    }.items():
        network = network_of(case, dtype)
        history = network.fit(
            x, t, 12, 32, "adam", 0.3, [callback], clip_norm=0.1, seed=5, verbose=False
        )
        yield name, [network.params, recorded(history), settings_of(history.optimizer)]
    network = network_of(case, dtype)
    with suppress(KeyboardInterrupt):
        network.fit(x, t, 3, 32, "adam", 0.1, [Interrupting()], ema=0.9, seed=5, verbose=False)
    history = network.fit(x, t, 3, 32, validation=0.1, resume=network.history, verbose=False)
    yield "interrupted", [*results(network, history, history.optimizer, x, t, many=False)]


def _ensembles(dtype):
    """Yield snapshots of a training, averages, and a network that has learned from both."""
    case = Case("all")
    x, t = samples_of(case)
    network, snapshots = network_of(case, dtype), ensembles.Snapshots(keep=2)
    history = network.fit(x, t, 3, 32, callbacks=[snapshots], ema=0.9, seed=5, verbose=False)
    yield "snapshots", [each.params for each in snapshots.networks]
    ensemble = ensembles.Ensemble(snapshots.networks)
    scores = [ensemble.accuracy(x, t), ensemble.loss(x, t)]
    yield "ensemble", [ensemble.predict(x), scores, ensembles.soft_targets(ensemble, x, 3)]
    smooth = ensembles.averaged(network, history.averages, x)
    yield "averaged", [smooth.params, smooth.predict(x)]
    pupil = network_of(Case(), dtype)
    learned = ensembles.distill(
        pupil, ensemble, x, t, epochs=2, batch_size=32, seed=5, verbose=False
    )
    yield "distilled", [pupil.params, learned.step_losses]


def _second_order():
    case = Case("sigmoid")
    x, t = samples_of(case)
    for dtype in DTYPES:
        network = network_of(case, dtype)
        found = second_order.lbfgs(network, x, t, 15, verbose=False)
        yield f"lbfgs/{dtype}", [network.params, found.loss, found.gradient_norm, found.evaluations]
    network = network_of(Case("no hidden layer"), "float64")
    yield "hessian", second_order.hessian(network, x, t)
    found = second_order.newton(network, x, t, 2, damping=0.1, verbose=False)
    yield "newton", [network.params, found.loss, found.gradient_norm]


def _numbers(report):
    """Return the numbers of a report."""
    names = "analytic", "numerical", "crossed", "rounding"
    checks = [
        {"indices": np.array(check.indices), **{name: getattr(check, name) for name in names}}
        for check in (*report.checks.values(), *report.penalty.values())
    ]
    return [checks, report.errors(), report.steps, report.best_step, report.ok]


def _gradient_checks():
    for name in ("sigmoid", "all"):
        x, t = samples_of(Case(name))
        network = network_of(Case(name), "float64")
        yield name, _numbers(gradient_check.gradient_check(network, x, t, burn_in=2))
        network = network_of(Case(name), "float32")
        report = gradient_check.gradient_check(network, x, t, dtype="float32")
        yield f"{name}, in float32", _numbers(report)
        yield (
            f"{name}: numerical_gradient",
            network_of(Case("no hidden layer"), "float64").numerical_gradient(x[:9], t[:9]),
        )
    x = np.random.default_rng(4).standard_normal((5, CLASSES))
    yield "layer", _numbers(gradient_check.check_layer(layers.BatchNormRelu(*x[:2]), x))
    report = gradient_check.check_function(lambda p: (p**3).sum(), lambda p: 3 * p**2, x)
    yield "function", _numbers(report)


def cases():
    """Yield names and results."""
    yield from ((f"plain/{name}", value) for name, value in _without_arithmetic())
    for setting in SETTINGS:
        where = "/".join(map(str, setting))
        with running(*setting), np.errstate(all="ignore"):
            for section in (_layers, _functional, _own, _callbacks, _ensembles):
                for dtype in DTYPES:
                    for name, value in section(dtype):
                        yield f"{section.__name__[1:]}/{name}/{dtype}/{where}", value
            for section in (_second_order, _gradient_checks):
                for name, value in section():
                    yield f"{section.__name__[1:]}/{name}/{where}", value
