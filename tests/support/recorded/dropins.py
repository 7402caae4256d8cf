"""Scripts' names of the book and of the course, as ``fastnn.dropin`` installs them."""

import itertools
from importlib import import_module

import numpy as np
from recorded.settings import SETTINGS, running

from fastnn import dropin

IMAGES = 5, 3, 8, 8


def _data(seed, n=120, shape=(23,), classes=5):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, *shape)), rng.integers(0, classes, n)


def _book():
    """Yield trainings of the book's networks, and its layers of images."""
    trainer = import_module("common.trainer").Trainer
    plain = import_module("common.multi_layer_net").MultiLayerNet
    extended = import_module("common.multi_layer_net_extend").MultiLayerNetExtend
    layers = import_module("common.layers")
    (x, t), (x_test, t_test) = _data(1), _data(2)
    optimizers = "SGD", "Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam"
    for name, optimizer in itertools.product(("plain", "sigmoid", "extended"), optimizers):
        np.random.seed(3)  # which the book draws from  # noqa: NPY002
        if name == "extended":
            network = extended(
                23, [31, 17], 5, use_dropout=True, dropout_ration=0.2, use_batchnorm=True
            )
        else:
            activation = "relu" if name == "plain" else name
            network = plain(23, [31, 17], 5, activation, weight_decay_lambda=0.01)
        training = trainer(
            network, x, t, x_test, t_test, 3, 32, optimizer, {"lr": 0.01}, verbose=False
        )
        training.train()
        losses = training.train_loss_list, training.train_acc_list, training.test_acc_list
        yield f"{name}, {optimizer}", [
            network.params, losses, network.predict(x_test), network.gradient(x_test, t_test)
        ]  # fmt: skip
    yield from _book_functions()
    x, _ = _data(4, shape=IMAGES[1:])
    rng = np.random.default_rng(5)
    W, b = rng.standard_normal((7, 3, 3, 3)), rng.standard_normal(7)
    for name, layer in {
        "Convolution": layers.Convolution(W, b, 1, 1),
        "Pooling": layers.Pooling(2, 2, 2),
        "BatchNormalization": layers.BatchNormalization(np.ones(192), np.zeros(192)),
    }.items():
        y = layer.forward(x, True) if name == "BatchNormalization" else layer.forward(x)
        yield name, [y, layer.backward(rng.standard_normal(y.shape))]


def _book_functions():
    """Yield the book's functions, of numbers that kernels take and of others."""
    functions = import_module("common.functions")
    squared_error = getattr(functions, "mean_squared_error", None) or functions.sum_squared_error
    gradient, util = import_module("common.gradient"), import_module("common.util")
    x, t = _data(10, n=9)
    images, _ = _data(11, n=2, shape=IMAGES[1:])
    for kind in ("float64", "float32", "int64"):
        given = (3 * x).astype(kind)
        names = "sigmoid", "sigmoid_grad", "relu", "relu_grad", "step_function", "softmax"
        found = {name: getattr(functions, name)(given) for name in names}
        y = functions.softmax(given)
        losses = functions.cross_entropy_error(y, t), functions.softmax_loss(given, t)
        yield f"functions/{kind}", [found, losses, squared_error(y, given)]
        col = util.im2col((3 * images).astype(kind), 3, 3, 1, 1)
        yield f"util/{kind}", [col, util.col2im(col, images.shape, 3, 3, 1, 1)]
    found = gradient.numerical_gradient(lambda p: (p**3).sum(), x.copy())
    yield "gradient, smooth_curve", [found, util.smooth_curve(x[:, 0])]


def _course():
    """Yield the course's layers, forward and backward, and trainings of its networks."""
    layers, optim = import_module("cs231n.layers"), import_module("cs231n.optim")
    fast = import_module("cs231n.fast_layers")
    rng = np.random.default_rng(6)

    def random(*shape):
        return rng.standard_normal(shape)

    convolution, pool = (random(7, 3, 3, 3), random(7), {"stride": 1, "pad": 1}), {
        "pool_height": 2, "pool_width": 2, "stride": 2,
    }  # fmt: skip
    rows, channels = [random(23), random(23)], [random(3), random(3)]
    images = random(*IMAGES)
    for module, name, x, *args in (
        (layers, "affine", random(9, 23), random(23, 7), random(7)),
        (layers, "relu", random(9, 23)),
        (layers, "batchnorm", random(9, 23), *rows, {"mode": "train"}),
        (layers, "layernorm", random(9, 23), *rows, {}),
        (layers, "dropout", random(9, 23), {"mode": "train", "p": 0.7, "seed": 3}),
        (layers, "spatial_batchnorm", images, *channels, {"mode": "train"}),
        (layers, "spatial_groupnorm", images, *(c.reshape(1, 3, 1, 1) for c in channels), 3, {}),
        (layers, "conv", images, *convolution),
        (layers, "max_pool", images, pool),
        (fast, "conv", images, *convolution),
        (fast, "max_pool", images, pool),
    ):
        end = "_fast" if module is fast else "_naive" if name in ("conv", "max_pool") else ""
        out, cache = getattr(module, f"{name}_forward{end}")(x, *args)
        back = getattr(module, f"{name}_backward{end}")(random(*out.shape), cache)
        yield name + end, [out, back, args]
    scores, labels = _data(7, shape=(5,))
    yield "losses", [layers.softmax_loss(scores, labels), layers.svm_loss(scores, labels)]
    for name in ("sgd", "sgd_momentum", "rmsprop", "adam"):
        w, settings = random(23, 7), None
        for _ in range(3):
            w, settings = getattr(optim, name)(w, random(23, 7), settings)
        yield name, [w, settings]
    yield from _course_functions()
    yield from _course_trainings()


def _course_functions():
    utilities, patches = import_module("cs231n.layer_utils"), import_module("cs231n.im2col")
    check = import_module("cs231n.gradient_check")
    rng = np.random.default_rng(12)
    x, w, b = rng.standard_normal(IMAGES), rng.standard_normal((7, 3, 3, 3)), np.arange(7.0)
    pool = {"pool_height": 2, "pool_width": 2, "stride": 2}
    for name, args in {
        "conv_relu": (w, b, {"stride": 1, "pad": 1}),
        "conv_bn_relu": (w, b, b + 1, b, {"stride": 1, "pad": 1}, {"mode": "train"}),
        "conv_relu_pool": (w, b, {"stride": 1, "pad": 1}, pool),
    }.items():
        out, cache = getattr(utilities, f"{name}_forward")(x, *args)
        yield name, [out, getattr(utilities, f"{name}_backward")(np.cos(out), cache)]
    col = patches.im2col_indices(x, 3, 3, 1, 1)
    yield "im2col", [col, patches.col2im_indices(col, x.shape, 3, 3, 1, 1)]
    yield "gradient", check.eval_numerical_gradient(lambda p: (p**3).sum(), b, verbose=False)


def _course_trainings():
    x, t = _data(13)
    for module, name in (
        ("linear_classifier", "LinearSVM"),
        ("linear_classifier", "Softmax"),
    ):
        np.random.seed(3)  # which the course draws from  # noqa: NPY002
        model = getattr(import_module(f"cs231n.classifiers.{module}"), name)()
        losses = model.train(x, t, 0.1, 1e-3, 20, 32)
        yield f"trained, {name}", [model.W, losses, model.predict(x)]
    np.random.seed(3)  # noqa: NPY002
    model = import_module("cs231n.classifiers.neural_net").TwoLayerNet(23, 31, 5)
    history = model.train(x, t, x, t, 0.1, num_iters=20, batch_size=32)
    yield "trained, TwoLayerNet", [model.params, history]
    net = import_module("cs231n.classifiers.fc_net").FullyConnectedNet
    images = import_module("cs231n.classifiers.cnn").ThreeLayerConvNet
    solver = import_module("cs231n.solver").Solver
    for name, make in {
        "batchnorm": lambda: net(
            [31, 17], 192, 5, 0.8, "batchnorm", 0.01, 0.1, dtype=np.float64, seed=3
        ),
        "layernorm": lambda: net([31, 17], 192, 5, 1, "layernorm", 0.01, 0.1, seed=3),
        "images": lambda: images((3, 8, 8), 4, 3, 17, 5, 0.1, 0.01, np.float64),
    }.items():
        np.random.seed(3)  # which the course draws from  # noqa: NPY002
        model = make()
        data = [array for seed in (8, 9) for array in _data(seed, shape=IMAGES[1:])]
        training = solver(
            model, dict(zip(("X_train", "y_train", "X_val", "y_val"), data, strict=True)),
            update_rule="adam", optim_config={"learning_rate": 1e-3}, lr_decay=0.9,
            num_epochs=2, batch_size=50, verbose=False,
        )  # fmt: skip
        training.train()
        accuracies = training.train_acc_history, training.val_acc_history
        yield f"trained, {name}", [model.params, training.loss_history, accuracies]


def cases():
    """Yield names and results."""
    for setting in SETTINGS:
        for name, section in (("dlfs", _book), ("dlfs-ja", _book), ("cs231n", _course)):
            with running(*setting), dropin.installed(name):
                for case, value in section():
                    yield "/".join([name, case, *map(str, setting)]), value
