"""What else there is to call: layers, functions, initial values, schedules, techniques."""

import numpy as np

from fastnn import (
    ensembles,
    functional,
    gradient_check,
    initializers,
    layers,
    schedules,
    second_order,
)
from support.recorded.settings import DTYPES, SETTINGS, running
from support.recorded.trainings import CLASSES, Case, network_of, samples_of


def _layers(dtype):
    """Yield each layer's passes, two of training and one of inference."""
    rng = np.random.default_rng(1)
    x, dout = rng.standard_normal((2, 37, 23)).astype(dtype)
    W = rng.standard_normal((23, 23)).astype(dtype)
    vectors = rng.standard_normal((2, 23)).astype(dtype)
    made = {
        "Relu": layers.Relu(),
        "Sigmoid": layers.Sigmoid(),
        "Tanh": layers.Tanh(),
        "Affine": layers.Affine(W, vectors[0]),
        "AffineRelu": layers.AffineRelu(W, vectors[0]),
        "BatchNormalization": layers.BatchNormalization(*vectors),
        "BatchNormRelu": layers.BatchNormRelu(*vectors, momentum=0.8, eps=1e-3),
        "Dropout": layers.Dropout(0.3, seed=5),
        "Dropout, inverted": layers.Dropout(0.3, seed=5, inverted=True),
    }
    names = "dW", "db", "dgamma", "dbeta", "running_mean", "running_var", "mask", "step"
    for name, layer in made.items():
        passes = [(layer.forward(x), layer.backward(dout)) for _ in range(2)]
        left = {key: getattr(layer, key, None) for key in names}
        yield name, [passes, left, layer.forward(dout, train_flg=False)]
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
    return {
        key: [check.analytic, check.numerical, check.crossed, check.indices, check.rounding]
        for key, check in {**report.checks, **report.penalty}.items()
    }


def _gradient_checks():
    for name in ("sigmoid", "all"):
        x, t = samples_of(Case(name))
        network = network_of(Case(name), "float64")
        yield name, _numbers(gradient_check.gradient_check(network, x, t, burn_in=2))
        yield (
            f"{name}: numerical_gradient",
            network_of(Case("no hidden layer"), "float64").numerical_gradient(x[:9], t[:9]),
        )
    x = np.random.default_rng(4).standard_normal((5, CLASSES))
    yield "layer", _numbers(gradient_check.check_layer(layers.BatchNormRelu(*x[:2]), x))


def cases():
    """Yield names and results."""
    yield from ((f"plain/{name}", value) for name, value in _without_arithmetic())
    for setting in SETTINGS:
        where = "/".join(map(str, setting))
        with running(*setting), np.errstate(all="ignore"):
            for section in (_layers, _functional, _ensembles):
                for dtype in DTYPES:
                    for name, value in section(dtype):
                        yield f"{section.__name__[1:]}/{name}/{dtype}/{where}", value
            for section in (_second_order, _gradient_checks):
                for name, value in section():
                    yield f"{section.__name__[1:]}/{name}/{where}", value
