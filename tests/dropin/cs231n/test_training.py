"""``cs231n.optim``, ``solver``, ``gradient_check``, ``data_utils`` and ``classifiers``."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from fastnn.dropin.cs231n.classifiers import _saved


def data(n, *shape, classes=5, dtype=np.float64):
    """Return samples that a network can learn, and their labels."""
    rng = np.random.default_rng(n)
    y = rng.integers(0, classes, n)
    centres = np.random.default_rng(0).standard_normal((classes, *shape))
    return (centres[y] + rng.standard_normal((n, *shape))).astype(dtype), y


def split(*shape, dtype=np.float64):
    """Return the data of a solver."""
    (X_train, y_train), (X_val, y_val) = (data(n, *shape, dtype=dtype) for n in (60, 30))
    return {"X_train": X_train, "y_train": y_train, "X_val": X_val, "y_val": y_val}


RULES = ["sgd", "sgd_momentum", "rmsprop", "adam"]

SETTINGS = [
    {},
    {"learning_rate": 0.3},
    {"learning_rate": np.float64(0.2), "momentum": 0.5, "decay_rate": 0.7, "beta1": 0.6},
    {"learning_rate": 0, "epsilon": 1e-3, "beta2": 0.5},
    {"learning_rate": -0.1, "momentum": 1, "epsilon": 1},
    {"learning_rate": 0.1, "t": 7},
]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_update_rules(course, rule, settings, dtype):
    def action(m):
        rng = np.random.default_rng(1)
        first = w = rng.standard_normal((4, 5)).astype(dtype)
        config, seen = dict(settings), []
        for _ in range(4):
            dw = rng.standard_normal((4, 5)).astype(w.dtype)
            before = {k: v for k, v in config.items() if isinstance(v, np.ndarray)}
            w, returned = getattr(m.optim, rule)(w, dw, config)
            assert returned is config
            # State is replaced, and what was there stays as it was.
            new = {k: before[k] is not config[k] for k in before}
            seen.append((w.copy(), dict(config), before, new, w is first, first.copy(), dw))
        return seen

    course.compare(action)


@pytest.mark.parametrize("rule", RULES)
def test_update_rules_of_other_things(course, rule):
    def action(m):
        update = getattr(m.optim, rule)
        rng = np.random.default_rng(1)
        w, dw = rng.standard_normal((2, 6, 6))
        return [
            update(1.5, 0.5),
            update(np.asfortranarray(w), dw),
            update(w[::2, ::2].copy(), dw[::2, 1::2], None),
            update(w.copy(), np.float64(2)),
            update(w.copy(), dw[0]),
            update(w.astype(np.float32), dw),
            update(w.copy(), dw.astype(np.float32)),
            update(w, w),
        ]

    course.compare(action)


def solve(m, model, samples, **options):
    """Return all that a solver shows after training."""
    solver = m.solver.Solver(model, samples, **options)
    solver.train()
    names = [
        "epoch",
        "best_val_acc",
        "best_params",
        "loss_history",
        "train_acc_history",
        "val_acc_history",
        "optim_configs",
        "optim_config",
    ]
    return {name: getattr(solver, name) for name in names}, model.params


def without_effect(result, hidden):
    """Take hidden biases before batch normalisation out: their gradients are all rounding."""
    if isinstance(result, dict):
        for i in range(1, hidden + 1):
            result.pop(f"b{i}", None)
        result = [*result.values()]
    if isinstance(result, (list, tuple)):
        for each in result:
            without_effect(each, hidden)


NETWORKS = {
    "plain": {},
    "batchnorm": {"normalization": "batchnorm", "reg": 0.1},
    "layernorm": {"normalization": "layernorm", "reg": 0.1},
    "dropout": {"dropout_keep_ratio": 0.7},
    "seeded dropout": {"dropout_keep_ratio": 0.7, "seed": 3},
    "all": {"normalization": "batchnorm", "dropout_keep_ratio": 0.6, "reg": 0.01},
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("rule", RULES)
def test_solver(course, network, rule):
    def action(m):
        model = m.fc_net.FullyConnectedNet(
            [9, 8], 12, 5, weight_scale=0.1, dtype=np.float64, **NETWORKS[network]
        )
        # With a larger epsilon rounding does not become a step where gradients are next to zero.
        config = {"learning_rate": 1e-2, "epsilon": 1e-3}
        result = solve(
            m, model, split(3, 4), update_rule=rule, optim_config=config,
            lr_decay=0.9, num_epochs=3, batch_size=25, print_every=2,
        )  # fmt: skip
        if model.normalization == "batchnorm":
            without_effect(result, hidden=2)
        return result, model.dropout_param, model.bn_params

    course.compare(action)


@pytest.mark.parametrize(
    "options",
    [
        {"num_train_samples": 20, "num_val_samples": 10},
        {"num_train_samples": None, "batch_size": 100, "num_epochs": 2},
        {"verbose": False, "print_every": 1},
        {"num_epochs": 0},
    ],
    ids=str,
)
def test_solver_options(course, options):
    def action(m):
        model = m.fc_net.TwoLayerNet(12, 6, 5, reg=0.1)
        return solve(m, model, split(12), optim_config={"learning_rate": 0.1}, **options)

    course.compare(action)


def test_solver_of_float32(course):
    def action(m):
        model = m.fc_net.FullyConnectedNet([9], 12, 5, normalization="batchnorm")
        result, params = solve(
            m, model, split(12), update_rule="sgd_momentum", num_epochs=1, verbose=False,
            batch_size=30, optim_config={"learning_rate": 1e-2},
        )  # fmt: skip
        without_effect(params, hidden=1)
        return params, result["loss_history"]

    course.compare(action, roundings=1000)


def test_solver_says_what_is_wrong(course):
    def unknown(m):
        m.solver.Solver(m.fc_net.TwoLayerNet(12, 6, 5), split(12), epochs=3, lr=1)

    def rule(m):
        m.solver.Solver(m.fc_net.TwoLayerNet(12, 6, 5), split(12), update_rule="newton")

    course.compare(unknown, raises=ValueError)
    course.compare(rule, raises=ValueError)


def test_checkpoints(course, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def action(m):
        model = m.fc_net.TwoLayerNet(12, 6, 5)
        result = solve(
            m, model, split(12), num_epochs=2, checkpoint_name="saved", update_rule="adam",
            optim_config={"learning_rate": 0.01},
        )  # fmt: skip
        (tmp_path / "README.txt").write_text("no checkpoint")
        models = m.data_utils.load_models(str(tmp_path))
        with open("saved_epoch_2.pkl", "rb") as file:
            checkpoint = pickle.load(file)
        rule = checkpoint.pop("update_rule")
        params = checkpoint.pop("model").params
        assert sorted(models) == [f"saved_epoch_{i}.pkl" for i in (1, 2)]
        return result, checkpoint, rule.__name__, params, models["saved_epoch_1.pkl"].params

    course.compare(action)


@pytest.mark.parametrize(
    ("reg", "dtype"), [(0.0, np.float64), (0.1, np.float64), (0.0, np.float32)]
)
def test_convolutional_network(course, reg, dtype):
    """Images of float64, also where parameters are float32: then numbers are as NumPy's."""

    def action(m):
        model = m.cnn.ThreeLayerConvNet((2, 6, 6), 3, 3, 7, 5, 0.1, reg, dtype)
        X, y = data(8, 2, 6, 6)
        loss = model.loss(X, y)
        solved = solve(
            m, model, split(2, 6, 6), num_epochs=1, batch_size=20, update_rule="adam",
            optim_config={"learning_rate": 1e-3}, verbose=False,
        )  # fmt: skip
        return loss, model.loss(X), solved

    course.compare(action)


def test_odd_networks(course):
    def action(m):
        X, y = data(6, 4)
        linear = m.fc_net.FullyConnectedNet([], 4, 5, dtype=np.float64, reg=1)
        narrow = m.fc_net.FullyConnectedNet([1], 4, 5, normalization="layernorm", dtype=np.float64)
        half = m.fc_net.FullyConnectedNet([3], 4, 5, dtype=np.float16, weight_scale=1)
        return [(n.params, n.loss(X, y), n.loss(X)) for n in (linear, narrow, half)]

    course.compare(action)


OLD_AND_NEW = [
    ({"dropout": 0}, {}),
    ({"dropout": 1}, {}),
    ({"dropout": 0.25}, {"dropout_keep_ratio": 0.25}),
    ({"use_batchnorm": True}, {"normalization": "batchnorm"}),
    ({"use_batchnorm": False, "dropout": 0.75}, {"dropout_keep_ratio": 0.75}),
    (
        {"use_batchnorm": True, "dropout": 0.25, "seed": 5},
        {"normalization": "batchnorm", "dropout_keep_ratio": 0.25, "seed": 5},
    ),
]


@pytest.mark.parametrize(("old", "new"), OLD_AND_NEW, ids=str)
def test_arguments_of_earlier_years(course, old, new):
    def action(m):
        arguments = new if m is course.plain else old
        net = m.fc_net.FullyConnectedNet([7, 6], 4, 5, dtype=np.float64, **arguments)
        shown = net.use_dropout, net.dropout_param, net.normalization, net.bn_params
        loss, grads = net.loss(*data(6, 4))
        if net.normalization:
            without_effect(grads, hidden=2)
        return net.params, loss, grads, shown

    course.compare(action)


@pytest.mark.parametrize(("fourth", "fifth"), [(0.25, True), (0, True), (0.25, False), (0, False)])
def test_arguments_of_2016_by_position(course, fourth, fifth):
    def action(m):
        if m is course.plain:
            fourth_, fifth_ = fourth or 1, "batchnorm" if fifth else None
        else:
            fourth_, fifth_ = fourth, fifth
        net = m.fc_net.FullyConnectedNet([7], 4, 5, fourth_, fifth_, 0.1, 0.2, np.float64, 3)
        loss, grads = net.loss(*data(6, 4))
        if net.normalization:
            without_effect(grads, hidden=1)
        return net.params, loss, grads, net.use_dropout

    course.compare(action)


def test_use_batchnorm_is_shown(course):
    net = course.fast.fc_net.FullyConnectedNet([7], 4, 5, use_batchnorm=True)
    assert net.use_batchnorm and net.normalization == "batchnorm"
    assert not course.fast.fc_net.FullyConnectedNet([7], 4, 5).use_batchnorm


@pytest.mark.parametrize("name", ["LinearSVM", "Softmax"])
def test_linear_classifiers(course, name):
    def action(m):
        classifier = getattr(m.classifiers, name)()
        X, y = data(300, 13)
        history = classifier.train(X, y, 1e-2, 1e-3, num_iters=201, batch_size=50, verbose=True)
        again = classifier.train(X, y, verbose=True)
        return history, again, classifier.W, classifier.predict(X[:50]), X, y

    course.compare(action)


@pytest.mark.parametrize("name", ["svm_loss", "softmax_loss"])
@pytest.mark.parametrize("way", ["naive", "vectorized"])
def test_losses_of_linear_classifiers(course, name, way):
    def action(m):
        module = m.linear_svm if name == "svm_loss" else m.softmax
        X, y = data(40, 13)
        W = np.random.default_rng(2).standard_normal((13, 5))
        return getattr(module, f"{name}_{way}")(W, X, y, 0.1), W, X

    course.compare(action)


def test_two_layer_net_of_assignment_1(course):
    def action(m):
        net = m.neural_net.TwoLayerNet(13, 8, 5, std=0.1)
        arrays = {name: w for name, w in net.params.items()}
        X, y = data(90, 13)
        loss = net.loss(X, y, reg=0.05)
        history = net.train(X, y, X[:20], y[:20], 0.1, 0.9, 1e-3, 150, 20, True)
        kept = [net.params[name] is w for name, w in arrays.items()]
        return loss, history, net.params, kept, net.predict(X), net.loss(X)

    course.compare(action)


def test_saved_parameters(course, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cs231n" / "saved").mkdir(parents=True)

    def action(m):
        net, other = (m.fc_net.TwoLayerNet(4, 3, 2) for _ in range(2))
        found = [other.load("net.npy")]
        net.save("net.npy")
        found.append(other.load("net.npy"))
        linear, another = m.linear_classifier.Softmax(), m.linear_classifier.Softmax()
        linear.W = np.arange(3.0)
        linear.save("linear.npy")
        found += [another.load("no.npy"), another.load("linear.npy")]
        for file in (tmp_path / "cs231n" / "saved").iterdir():
            file.unlink()
        return found, other.params, another.W

    course.compare(action)


def test_parameters_are_saved_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cs231n" / "saved").mkdir(parents=True)
    _saved.save("net", {"W1": np.ones(3)})  # ".npy" is added, as by NumPy

    def full(file, params):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="no space left"):
        _saved.save("net", {"W1": np.zeros(3)})
    np.testing.assert_array_equal(_saved.load("net.npy")["W1"], np.ones(3))
    assert [path.name for path in (tmp_path / "cs231n" / "saved").iterdir()] == ["net.npy"]


def test_gradient_checks(course):
    def action(m):
        rng = np.random.default_rng(4)
        x = np.asfortranarray(rng.standard_normal((2, 3)))
        kept, calls = x.copy(), []

        def square(x):
            calls.append(x is kept)
            return np.sum(x * x)

        check = m.gradient_check
        results = [
            check.eval_numerical_gradient(square, x),
            check.eval_numerical_gradient(square, x, verbose=False, h=1e-3),
            check.eval_numerical_gradient_array(lambda x: x**2, x, np.ones((2, 3))),
            check.grad_check_sparse(square, x, 2 * x),
            check.grad_check_sparse(square, x, 2 * x + 1, 3, 1e-3),
        ]
        assert np.array_equal(x, kept)
        return results, len(calls)

    # Differences of numbers that agree to 1e-16 are divided by 2e-5.
    course.compare(action)


def test_gradient_checks_of_blobs(course):
    def action(m):
        x, w, out = (SimpleNamespace(vals=np.arange(3.0) + i, diffs=np.ones(3)) for i in range(3))

        def multiply(x, w, out):
            out.vals = x.vals * w.vals

        net = SimpleNamespace(forward=lambda: multiply(x, w, out))
        check = m.gradient_check
        return [
            check.eval_numerical_gradient_blobs(multiply, (x, w), out),
            check.eval_numerical_gradient_net(net, (x, w), out, h=1e-3),
        ]

    course.compare(action)


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """Make the working directory one with files like those of CIFAR-10, of few images."""
    folder = tmp_path / "cs231n" / "datasets" / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        images = rng.integers(0, 256, (6, 3072), np.uint8)
        batch = {"data": images, "labels": rng.integers(0, 10, 6).tolist()}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize("subtract_mean", [True, False])
def test_cifar10(course, cifar, subtract_mean):
    def action(m):
        utils = m.data_utils
        loaded = utils.get_CIFAR10_data(20, 10, 4, subtract_mean)
        layouts = [a.flags.c_contiguous for a in loaded.values()]
        by_name = {name: loaded[name] for name in sorted(loaded)}
        return by_name, layouts, utils.load_CIFAR10(str(cifar))

    course.compare(action)


def test_names(course):
    """A script sees each name that the transcription's modules define."""
    for name, module in vars(course.plain).items():
        theirs = {
            key
            for key, value in vars(module).items()
            if getattr(value, "__module__", "").startswith("numpy_cs231n")
        }
        ours = vars(course.fast)[name]
        assert theirs <= set(ours.__all__), name
        assert "np" in ours.__all__, name
