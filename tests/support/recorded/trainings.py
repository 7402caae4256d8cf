"""Trainings by ``network.fit`` and ``Trainer``: each choice there is, not all of them together."""

import dataclasses
import itertools
from dataclasses import dataclass

import numpy as np
from recorded.settings import DTYPES, running

from fastnn import functional, networks, optimizers, schedules, trainer

# The route, by what there is to make it the one; its backend and threads.
ROUTES = {
    "program/1": ("numba", 1),
    "program/2": ("numba", 2),
    "layers/1": ("numba", 1),
    "layers/2": ("numba", 2),
    "numpy": ("numpy", 1),
}

FEATURES, HIDDEN, CLASSES = 23, [31, 17], 5
NETWORKS = {
    "two layers": ("TwoLayerNet", {"weight_init_std": 0.1}),
    "relu": ("MultiLayerNet", {}),
    "sigmoid": ("MultiLayerNet", {"activation": "sigmoid", "weight_decay_lambda": 0.01}),
    "tanh": ("MultiLayerNetExtend", {"activation": "tanh", "weight_init_std": 0.2}),
    "batchnorm": ("MultiLayerNetExtend", {"use_batchnorm": True}),
    "batchnorm, tanh": ("MultiLayerNetExtend", {"use_batchnorm": True, "activation": "tanh"}),
    "dropout": ("MultiLayerNetExtend", {"use_dropout": True, "dropout_ration": 0.2}),
    "all": (
        "MultiLayerNetExtend",
        {"use_dropout": True, "use_batchnorm": True, "weight_decay_lambda": 0.01},
    ),
    "all, sigmoid": (
        "MultiLayerNetExtend",
        {"use_dropout": True, "use_batchnorm": True, "activation": "sigmoid"},
    ),
    "no hidden layer": ("MultiLayerNet", {"hidden_size_list": []}),
    "wide": ("MultiLayerNetExtend", {"hidden_size_list": [300, 100], "use_batchnorm": True}),
}
TARGETS = "labels", "column", "one-hot", "dense", "squared error"
OPTIMIZERS = {
    "SGD": ("SGD", {"lr": 0.1}),
    "SGD, decay": ("SGD", {"lr": 0.1, "weight_decay": 0.01}),
    "Momentum": ("Momentum", {"lr": 0.05}),
    "Nesterov": ("Nesterov", {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.01}),
    "AdaGrad": ("AdaGrad", {"lr": 0.05}),
    "RMSProp": ("RMSProp", {"lr": 0.01, "decay_rate": 0.9}),
    "Adam": ("Adam", {"lr": 0.01}),
    "Adam, decay": ("Adam", {"lr": 0.01, "weight_decay": 0.01}),
    "Adam, explicit": ("Adam", {"lr": 0.01, "bias_correction": "explicit"}),
    "AdamW": ("AdamW", {"lr": 0.01}),
    "AdamW, explicit": ("AdamW", {"lr": 0.01, "bias_correction": "explicit"}),
}
OPTIONS = {
    "none": {},
    "clip_value": {"clip_value": 0.01},
    "clip_norm": {"clip_norm": 0.1},
    "both clips": {"clip_value": 0.05, "clip_norm": 0.2},
    "ema": {"ema": 0.9},
    "cosine": {"schedule": schedules.cosine(epochs=2)},
    "warmup": {"schedule": schedules.warmup(5, then=schedules.step_decay(epochs=1))},
    "own schedule": {"schedule": lambda step: 1 / (1 + step)},
    "in order": {"shuffle": False},
    "validation": {"validation": 0.2},
    "everything": {"clip_norm": 0.5, "ema": 0.8, "validation": 0.1},
}
DATA = "float32", "float64", "uint8", "int64", "images of uint8", "columns first", "strided"
# Samples and batch size.
SIZES = {
    "odd": (203, 32),
    "even": (192, 64),
    "one batch": (96, 96),
    "large batch": (50, 128),
    "one a step": (9, 1),
    "many a step": (4100, 2000),
}


@dataclass(frozen=True)
class Case:
    """A training."""

    network: str = "relu"
    target: str = "labels"
    optimizer: str = "Adam"
    option: str = "none"
    data: str = "float32"
    size: str = "odd"


def _all_cases():
    for network, target in itertools.product(NETWORKS, TARGETS):
        yield Case(network, target)
    for network in ("relu", "all"):
        case = Case(network)
        yield from (dataclasses.replace(case, optimizer=each) for each in OPTIMIZERS)
        yield from (dataclasses.replace(case, option=each) for each in OPTIONS)
        yield from (dataclasses.replace(case, data=each) for each in DATA)
        # Batch normalisation has no batches of one sample.
        sizes = [each for each in SIZES if (network, each) != ("all", "one a step")]
        yield from (dataclasses.replace(case, size=each) for each in sizes)


CASES = [*dict.fromkeys(_all_cases())]


def network_of(case, dtype):
    """Return a new network."""
    kind, settings = NETWORKS[case.network]
    if kind == "TwoLayerNet":
        settings = {"hidden_size": HIDDEN[0], **settings}
    else:
        settings = {"hidden_size_list": HIDDEN, **settings}
    loss = "mean_squared_error" if case.target == "squared error" else "cross_entropy"
    scale = 1 / 255 if "uint8" in case.data else 1.0
    return getattr(networks, kind)(
        FEATURES, output_size=CLASSES, dtype=dtype, seed=3, loss=loss, input_scale=scale, **settings
    )


def samples_of(case, count=None):
    """Return samples and targets."""
    n = count or SIZES[case.size][0]
    rng = np.random.default_rng(11)
    x = rng.standard_normal((n, FEATURES))
    if "int" in case.data:
        kind = case.data.split()[-1]
        x = rng.integers(0, 256 if kind == "uint8" else 5, (n, FEATURES)).astype(kind)
    elif case.data == "columns first":
        x = np.asfortranarray(x, np.float32)
    elif case.data == "strided":
        x = np.repeat(x, 2, axis=1)[:, ::2].astype(np.float32, order="K")
    else:
        x = x.astype(case.data)
    if case.data.startswith("images"):
        x = x.reshape(n, 1, FEATURES)
    labels = rng.integers(0, CLASSES, n)
    t = {
        "labels": labels,
        "column": labels[:, np.newaxis],
        "one-hot": np.eye(CLASSES)[labels],
        "dense": functional.softmax(rng.standard_normal((n, CLASSES))),
        "squared error": rng.standard_normal((n, CLASSES)),
    }
    return x, t[case.target]


def optimizer_of(case, route):
    """Return a new optimizer, of a class that is not fastnn's for the route through layers."""
    name, settings = OPTIMIZERS[case.optimizer]
    kind = getattr(optimizers, name)
    if route.startswith("layers"):
        kind = type(name, (kind,), {})
    return kind(**settings)


def state_of(network):
    """Return what layers remember from one step to the next."""
    names = "running_mean", "running_var", "step", "seed"
    return {
        key: {name: getattr(layer, name) for name in names if hasattr(layer, name)}
        for key, layer in network.layers.items()
    }


def settings_of(optimizer):
    """Return settings and states of an optimizer."""
    return {name: value for name, value in vars(optimizer).items() if name[0] != "_"}


def recorded(history):
    """Return what a history has that does not depend on time."""
    lists = "loss", "accuracy", "val_loss", "val_accuracy", "lr", "step_losses", "step_hits"
    return {"route": history.route, **{name: getattr(history, name) for name in lists}}


def results(network, history, optimizer, x, t, many):
    """Yield by name what a training has led to."""
    yield "history", recorded(history)
    yield "averages", history.averages
    yield "params", network.params
    yield "state", state_of(network)
    yield "optimizer", settings_of(optimizer)
    yield "predict", [network.predict(x[:n]) for n in (1, 33, len(x))]
    yield "accuracy and loss", [network.accuracy(x, t), network.loss(x, t)]
    yield "gradient", [network.gradient(x, t), network.loss(x, t, train_flg=True)]
    yield "state after gradient", state_of(network)
    if many:  # so that the operations are enough for compiled inference
        rows = np.arange(int(6e7 / sum(p.size for p in network.params.values()))) % len(x)
        yield "predict many", network.predict(x[rows])


def _fit(case, dtype, route):
    x, t = samples_of(case)
    network, optimizer = network_of(case, dtype), optimizer_of(case, route)
    history = network.fit(
        x, t, 3, SIZES[case.size][1], optimizer, verbose=False, seed=5, **OPTIONS[case.option]
    )
    if history.route != ("layers" if route == "numpy" else route.partition("/")[0]):
        raise ValueError(f"route: expected {route}, got {history.route}: {history.reason}")
    return results(network, history, optimizer, x, t, route.startswith("program"))


def _train(case, dtype, route):
    x, t = samples_of(case)
    network, optimizer = network_of(case, dtype), optimizer_of(case, route)
    trained = trainer.Trainer(
        network, x, t, x[:50], t[:50], 2, 32, optimizer, verbose=False, seed=5,
        evaluate_sample_num_per_epoch=40,
    )  # fmt: skip
    trained.train()
    yield "params", network.params
    yield "losses", trained.train_loss_list
    yield "accuracies", [trained.train_acc_list, trained.test_acc_list, trained.final_test_acc]
    yield "route", trained.route


def cases():
    """Yield names and results."""
    for route, dtype in itertools.product(ROUTES, DTYPES):
        with running(*ROUTES[route]), np.errstate(all="ignore"):
            for case in CASES:
                name = ", ".join(dataclasses.astuple(case))
                for part, value in _fit(case, dtype, route):
                    yield f"{name}/{dtype}/{route}/{part}", value
            for network, optimizer in itertools.product(("relu", "all"), ("SGD", "Adam")):
                case = Case(network, optimizer=optimizer)
                for part, value in _train(case, dtype, route):
                    yield f"Trainer: {network}, {optimizer}/{dtype}/{route}/{part}", value
