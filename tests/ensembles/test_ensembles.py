"""Ensembles: averages of predictions, snapshots, moving averages, distillation."""

import copy
import re
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import rounding
from states import everything, expect_same, of_layers

from fastnn import MultiLayerNet, MultiLayerNetExtend, layers, ops, optimizers
from fastnn.datasets import load_mnist
from fastnn.ensembles import (
    DistillationLoss,
    Ensemble,
    Snapshots,
    averaged,
    distill,
    soft_targets,
)

D, C = 5, 3
EPS = np.finfo(np.float64).eps


def data(n=200, seed=0, dtype=np.float32):
    """Three clouds that overlap."""
    rng = np.random.default_rng(seed)
    t = rng.integers(C, size=n)
    return (1.5 * np.eye(C, D)[t] + rng.normal(size=(n, D))).astype(dtype), t


def network(seed=0, hidden=(8,), **settings):
    return MultiLayerNetExtend(D, hidden, C, seed=seed, **settings)


def full_network(**settings):
    """One in which training changes more than the parameters."""
    return network(
        hidden=(8, 7), use_batchnorm=True, use_dropout=True, dropout_ration=0.2, **settings
    )


def fit(net, epochs=3, **settings):
    return net.fit(*data(), epochs, 16, **{"verbose": False, "seed": 0, **settings})


def members(count=4, **settings):
    nets = [network(seed, **settings) for seed in range(count)]
    for seed, net in enumerate(nets):
        fit(net, seed=seed)
    return nets


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# --- ensembles ---------------------------------------------------------------------------


def test_probabilities_are_averaged():
    nets = members(dtype="float64")
    x, t = data(50, seed=1)
    scores = [net.predict(x) for net in nets]
    expected = np.mean([softmax(z) for z in scores], axis=0)
    ensemble = Ensemble(nets)
    limit = max(map(rounding.of_softmax, scores)) + len(nets) * EPS
    np.testing.assert_allclose(ensemble.predict(x), expected, rtol=limit)
    loss = -np.mean(np.log(expected[np.arange(50), t]))
    assert ensemble.loss(x, t) == pytest.approx(loss, rel=50 * EPS, abs=limit)
    assert ensemble.loss(x, np.eye(C)[t]) == pytest.approx(loss, rel=50 * EPS, abs=limit)
    accuracy = np.mean(expected.argmax(axis=1) == t)
    assert ensemble.accuracy(x, t) == ensemble.accuracy(x, np.eye(C)[t]) == accuracy
    assert len(ensemble) == 4
    assert repr(ensemble) == "Ensemble(4 networks, 5 inputs, 3 outputs)"


def test_outputs_of_regressions_are_averaged():
    x, t = data()[0], data(seed=1)[0][:, :C]
    nets = [network(seed, loss="mean_squared_error", dtype="float64") for seed in range(3)]
    ensemble = Ensemble(nets)
    expected = np.mean([net.predict(x) for net in nets], axis=0)
    limit = len(nets) * EPS * np.abs(expected).max()
    np.testing.assert_allclose(ensemble.predict(x), expected, rtol=0, atol=limit)
    loss = 0.5 * np.mean(np.sum((expected - t) ** 2, axis=1))
    assert ensemble.loss(x, t) == pytest.approx(loss, rel=x.size * EPS)
    assert ensemble.loss(x, t) < np.mean([net.loss(x, t) for net in nets])
    hits = expected.argmax(axis=1) == t.argmax(axis=1)
    assert ensemble.accuracy(x, t) == np.mean(hits)


def test_one_member_is_itself():
    net = members(1, dtype="float64")[0]
    x, t = data(50, seed=1)
    limit = rounding.of_softmax(net.predict(x))
    assert Ensemble([net]).loss(x, t) == pytest.approx(net.loss(x, t), rel=50 * EPS, abs=limit)
    assert Ensemble([net]).accuracy(x, t) == net.accuracy(x, t)


def test_members_may_differ_in_all_but_inputs_and_outputs():
    nets = [
        network(0, dtype="float64"),
        network(1, hidden=(), weight_decay_lambda=0.1),
        MultiLayerNet(D, [4, 4], C, "tanh", seed=2),
    ]
    x, t = data()
    ensemble = Ensemble(iter(nets))
    assert ensemble.predict(x).dtype == np.float64
    limit = (C + 8) * np.finfo(np.float32).eps
    np.testing.assert_allclose(ensemble.predict(x).sum(axis=1), 1, rtol=limit)
    assert np.isfinite(ensemble.loss(x, t))


def test_loss_is_finite_where_probabilities_are_zero():
    nets = [network(seed, hidden=()) for seed in range(2)]
    for net in nets:
        net.params["W1"][...], net.params["b1"][...] = 0, [0, 2000, 1000]
    x, t = np.zeros((2, D)), np.array([0, 1])
    assert Ensemble(nets).predict(x)[0, 0] == 0
    assert Ensemble(nets).loss(x, t) == 1000


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_sick_member_makes_the_loss_nan(value):
    nets = [network(seed) for seed in range(2)]
    nets[0].params["b2"][0] = value
    assert np.isnan(Ensemble(nets).loss(*data()))


@pytest.fixture(scope="module")
def mnist():
    return load_mnist(subset="bundled")


@pytest.fixture(scope="module")
def trained(mnist):
    nets = []
    for seed in range(5):
        nets.append(MultiLayerNet(784, [50], 10, seed=seed))
        nets[-1].fit(*mnist[0], 12, verbose=False, seed=seed)
    return nets


@pytest.mark.slow
def test_ensemble_beats_its_members_on_mnist(mnist, trained):
    ensemble, test = Ensemble(trained), mnist[1]
    losses = [net.loss(*test) for net in trained]
    assert ensemble.loss(*test) < np.mean(losses)  # always, by Jensen's inequality
    assert ensemble.loss(*test) < min(losses)
    accuracies = [net.accuracy(*test) for net in trained]
    assert ensemble.accuracy(*test) > np.mean(accuracies)


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error"])
def test_memory_does_not_grow_with_members(loss):
    n, outputs = 4000, 1000
    nets = [MultiLayerNet(4, [], outputs, loss=loss, seed=seed) for seed in range(6)]
    x, t = np.ones((n, 4), np.float32), np.zeros(n, int)
    result = Ensemble(nets).predict(x)
    calls = [lambda: Ensemble(nets).predict(x)]
    if loss == "cross_entropy":
        calls += [lambda: soft_targets(Ensemble(nets), x, 3), lambda: Ensemble(nets).loss(x, t)]
    for call in calls:
        call()  # compiles
        tracemalloc.start()
        call()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # The scores of one network, the mean (the loss: logarithms and gradients in float64),
        # and tiles. All members' would take six.
        assert peak < (6 if call is calls[-1] and len(calls) > 1 else 3.5) * result.nbytes


def test_an_ensemble_of_the_best_of_a_search():
    pytest.importorskip("optuna")
    from fastnn.search import Log, search

    x, t = data()

    def train(values, epochs, callbacks=()):
        net = network()
        net.fit(
            x, t, epochs, 16, optimizers.SGD(values["lr"]), validation=0.2, callbacks=callbacks,
            verbose=False, seed=0,
        )  # fmt: skip
        return net

    def run(trial):
        train(trial, trial.epochs, [trial])

    result = search(run, {"lr": Log(1e-5, 10)}, 6, epochs=3, seed=0, verbose=False)
    best = result.top(3)
    ensemble = Ensemble(train(trial, trial.epochs) for trial in best)
    held_out = x[160:], t[160:]
    assert [net.accuracy(*held_out) for net in ensemble.networks] == [b.value for b in best]


def test_members_that_do_not_fit():
    net = network()
    bad = [
        ([], ValueError, "networks: expected at least one network, got none"),
        (7, TypeError, "networks: expected a list of networks, got 7"),
        ([net, "net"], TypeError, "networks[1]: expected a network of fastnn.networks, got 'net'"),
        ([net, network(1), net], ValueError, "networks[2]: expected another network, got netw"),
        (
            [net, MultiLayerNet(D + 1, [8], C)],
            ValueError,
            "networks[1]: expected input_size 5, like that of networks[0], got 6",
        ),
        (
            [net, MultiLayerNet(D, [8], C + 1)],
            ValueError,
            "networks[1]: expected output_size 3, like that of networks[0], got 4",
        ),
        (
            [net, network(input_scale=1 / 255)],
            ValueError,
            "networks[1]: expected input_scale 1.0, like that of networks[0], got 0.0039",
        ),
        (
            [net, network(loss="mean_squared_error")],
            ValueError,
            "networks[1]: expected the same kind of loss as that of networks[0]",
        ),
    ]
    for nets, error, text in bad:
        with pytest.raises(error, match="^" + re.escape(text)):
            Ensemble(nets)


def test_samples_that_do_not_fit():
    ensemble = Ensemble([network()])
    x, t = data(10)
    for method in (ensemble.accuracy, ensemble.loss):
        with pytest.raises(ValueError, match="^x: expected at least one sample of 5 features"):
            method(x[:, :4], t)
        with pytest.raises(ValueError, match="^t: expected 10 labels"):
            method(x, t[:9])
    single = MultiLayerNet(D, [], 1, loss="mean_squared_error")
    with pytest.raises(ValueError, match="accuracy: expected networks of several outputs"):
        Ensemble([single]).accuracy(x, np.ones((10, 1)))


# --- snapshots ---------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["Adam", "user's"])
def test_snapshots_are_the_network_at_that_time(optimizer):
    class Update(optimizers.SGD):
        """Not known to the program, so that layers keep what they did last."""

    def rule():
        return optimizer if optimizer == "Adam" else Update(lr=0.1)

    snapshots, net = Snapshots(every=2), full_network()
    fit(net, 5, callbacks=[snapshots], optimizer=rule(), validation=data(20, seed=1))
    assert snapshots.epochs == [2, 4]
    for epoch, copied in zip(snapshots.epochs, snapshots.networks, strict=True):
        shorter = full_network()
        fit(shorter, epoch, optimizer=rule())
        expect_same(everything(copied), everything(shorter))
        assert copied.history is None
        assert all(getattr(layer, "x", None) is None for layer in copied.layers.values())
        assert copied.last_layer.x is None and copied.last_layer.t is None
        assert len({id(p.base) for p in copied.params.values()}) == 1
    x, t = data(50, seed=1)
    first, second = (net.predict(x) for net in snapshots.networks)
    assert not np.allclose(first, second)
    assert Ensemble(snapshots.networks).loss(x, t) < np.mean(
        [net.loss(x, t) for net in snapshots.networks]
    )


def test_the_last_snapshots_are_kept():
    snapshots = Snapshots(keep=2)
    fit(network(), 5, callbacks=[snapshots])
    assert snapshots.epochs == [4, 5] and len(snapshots.networks) == 2


def test_snapshots_of_trainings_that_go_on_and_of_new_ones():
    snapshots, net = Snapshots(), network()
    history = fit(net, 3, callbacks=[snapshots])
    before = copy.deepcopy(history)
    kept = list(snapshots.networks)
    fit(net, 5, callbacks=[snapshots], resume=history)
    assert snapshots.epochs == [1, 2, 3, 4, 5] and snapshots.networks[:3] == kept
    fit(net, 4, callbacks=[snapshots], resume=before)
    assert snapshots.epochs == [1, 2, 3, 4]
    fit(net, 1, callbacks=[snapshots])
    assert snapshots.epochs == [1] and len(snapshots.networks) == 1


def test_bad_snapshots():
    with pytest.raises(ValueError, match="^every: expected an integer from 1"):
        Snapshots(every=0)
    with pytest.raises(ValueError, match="^keep: expected an integer from 1"):
        Snapshots(keep=0)


# --- moving averages ---------------------------------------------------------------------


def test_network_of_the_moving_average():
    net = network()
    history = fit(net, ema=0.9)
    before = everything(net)
    smooth = averaged(net, history.averages)
    expect_same(smooth.params, history.averages)
    expect_same(everything(net), before)
    assert not np.array_equal(smooth.params["W1"], net.params["W1"])
    smooth.params["W1"][...] = 0  # its own arrays
    assert history.averages["W1"].any()


def test_statistics_belong_to_the_average():
    net = full_network(dtype="float64")
    history = fit(net, ema=0.9)
    before, (x, _) = everything(net), data()
    smooth = averaged(net, history.averages, x)
    expect_same(everything(net), before)
    assert smooth.layers["Dropout1"].step == net.layers["Dropout1"].step
    z = x @ history.averages["W1"] + history.averages["b1"]
    norm = smooth.layers["BatchNorm1"]
    limit = len(z) * EPS * np.abs(z).max()
    np.testing.assert_allclose(norm.running_mean, z.mean(axis=0), rtol=0, atol=limit)
    limit *= np.abs(z).max()
    np.testing.assert_allclose(norm.running_var, z.var(axis=0), rtol=0, atol=limit)
    assert norm.momentum == net.layers["BatchNorm1"].momentum
    # After NaN, which a batch of large numbers leaves, too.
    net.layers["BatchNorm1"].running_mean[...] = np.nan
    again = averaged(net, history.averages, x)
    expect_same(of_layers(again), of_layers(smooth))


def test_bad_averages():
    net = network(use_batchnorm=True)
    x, _ = data()
    with pytest.raises(ValueError, match="^x: expected samples to take the statistics of batch"):
        averaged(net, net.params)
    with pytest.raises(TypeError, match="^averages: expected a dict of arrays .*, got None"):
        averaged(net, None, x)
    with pytest.raises(ValueError, match="^averages: expected arrays of shapes {'W1': "):
        averaged(net, {"W1": net.params["W1"]}, x)
    with pytest.raises(TypeError, match="^network: expected a network of fastnn.networks"):
        averaged("net", net.params, x)


# --- distillation ------------------------------------------------------------------------


def test_soft_targets():
    nets, (x, _) = members(dtype="float64"), data(50, seed=1)
    scores = [net.predict(x) / 3 for net in nets]
    limit = max(map(rounding.of_softmax, scores)) + len(nets) * EPS
    np.testing.assert_allclose(soft_targets(nets[0], x, 3), softmax(scores[0]), rtol=limit)
    mean = np.mean([softmax(z) for z in scores], axis=0)
    np.testing.assert_allclose(soft_targets(Ensemble(nets), x, 3), mean, rtol=limit)


@pytest.mark.parametrize("temperature, alpha", [(3, 0.7), (0.5, 0.2), (20, 1), (4, 0), (1, 0.9)])
@pytest.mark.parametrize("one_hot", [False, True])
def test_the_loss_is_hintons(temperature, alpha, one_hot):
    rng = np.random.default_rng(0)
    x, q = rng.normal(size=(6, C)), softmax(rng.normal(size=(6, C)))
    t = rng.integers(C, size=6)
    truth = np.eye(C)[t]

    def formula(x):
        soft = -np.mean(np.sum(q * np.log(softmax(x / temperature)), axis=1))
        hard = -np.mean(np.sum(truth * np.log(softmax(x)), axis=1))
        return alpha * temperature**2 * soft + (1 - alpha) * hard

    loss = DistillationLoss(temperature, alpha)
    p = loss.targets(q, truth if one_hot else t)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=(C + 8) * EPS)
    # Each of the two losses is rounded, and then multiplied.
    limit = (alpha * temperature**2 + 1 - alpha) * rounding.of_softmax(x / min(temperature, 1))
    assert loss.forward(x, p) == loss.loss == pytest.approx(formula(x), rel=x.size * EPS, abs=limit)
    h = 1e-5
    numerical = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[index] = h
        numerical[index] = (formula(x + step) - formula(x - step)) / (2 * h)
    # Third derivatives times h^2, and rounding of the formula's loss over h.
    limit = temperature**2 * h**2 + limit / h
    np.testing.assert_allclose(loss.backward(), numerical, rtol=0, atol=limit)


def test_labels_have_the_ordinary_loss():
    x, t = np.random.default_rng(0).normal(size=(6, C)), np.array([0, 1, 2, 2, 1, 0])
    loss = DistillationLoss(3, 0.7)
    expected, dx = ops.softmax_cross_entropy(x, t)
    assert loss.forward(x, t) == expected
    np.testing.assert_array_equal(loss.backward(), dx)


@pytest.mark.parametrize("label", [-1, C])
def test_labels_of_no_class(label):
    q = np.full((2, C), 1 / C)
    with pytest.raises(ValueError, match=f"^t: expected labels from 0 to 2, got {label}"):
        DistillationLoss(3, 0.7).targets(q, [0, label])


def test_gradients_of_a_student():
    """Through the network, by its own check."""
    student, teacher = network(hidden=(4,), activation="tanh", dtype="float64"), network(1)
    x, t = data(20, dtype=np.float64)
    student.last_layer = DistillationLoss(3, 0.7)
    p = student.last_layer.targets(soft_targets(teacher, x, 3).astype(float), t)
    numerical = student.numerical_gradient(x, p)
    for key, gradient in student.gradient(x, p).items():
        # h^2 = 1e-8 of third derivatives, which the square of the temperature multiplies.
        np.testing.assert_allclose(gradient, numerical[key], rtol=0, atol=9e-8, err_msg=key)


def test_temperature_one_is_mixed_targets_in_the_program():
    teacher, student, other = members(2)[1], network(7), network(7)
    x, t = data()
    history = distill(student, teacher, x, t, temperature=1, alpha=0.3, verbose=False, seed=0)
    assert history.route == "program"
    mixed = 0.3 * soft_targets(teacher, x) + 0.7 * np.eye(C, dtype=np.float32)[t]
    other.fit(x, mixed, verbose=False, seed=0)
    expect_same(student.params, other.params)  # of the same targets, to the last bit


def test_a_student_is_an_ordinary_network_again():
    teacher, student = Ensemble(members(2)), full_network(dtype="float64")
    x, t = data()
    ordinary, snapshots = student.last_layer, Snapshots()
    history = distill(
        student, teacher, x, t, temperature=3, epochs=2, validation=data(50, seed=1),
        callbacks=[snapshots], verbose=False, seed=0,
    )  # fmt: skip
    assert history is student.history and history.epochs == 2
    assert "DistillationLoss" in history.reason
    assert student.last_layer is ordinary
    assert type(snapshots.networks[0].last_layer) is layers.SoftmaxWithLoss
    limit = rounding.of_softmax(student.predict(data(50, seed=1)[0]))
    loss = pytest.approx(history.val_loss[-1], rel=50 * EPS, abs=limit)
    assert student.loss(*data(50, seed=1)) == loss
    assert student.accuracy(*data(50, seed=1)) == history.val_accuracy[-1]

    def interrupt(steps):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        distill(student, teacher, x, t, schedule=interrupt, verbose=False)
    assert student.last_layer is ordinary


@pytest.mark.slow
def test_a_student_learns_from_samples_without_labels(mnist, trained):
    """The teacher has seen 10,000 labels; there are 200 for the student."""
    (x, t), test = mnist
    alone, student = (MultiLayerNet(784, [20], 10, seed=9) for _ in range(2))
    alone.fit(x[:200], t[:200], 100, 64, verbose=False, seed=0)
    distill(student, Ensemble(trained), x, temperature=2, epochs=4, verbose=False, seed=0)
    assert student.accuracy(*test) > alone.accuracy(*test) + 0.05
    assert student.loss(*test) < alone.loss(*test)


def test_bad_distillation():
    student, teacher, (x, t) = network(), network(1), data(10)
    before = everything(student)
    bad = [
        ({"teacher": "net"}, TypeError, "teacher: expected a network or an Ensemble, got 'net'"),
        (
            {"teacher": SimpleNamespace(networks=[])},
            TypeError,
            "teacher: expected a network or an Ensemble, got namespace(networks=[])",
        ),
        (
            {"teacher": network(1, loss="mean_squared_error")},
            ValueError,
            "teacher: expected softmax and cross-entropy as the loss",
        ),
        ({"student": "net"}, TypeError, "student: expected a network of fastnn.networks"),
        (
            {"student": MultiLayerNet(D, [8], C + 1)},
            ValueError,
            "student: expected output_size 3, like that of the teacher, got 4",
        ),
        (
            {"student": network(loss="mean_squared_error")},
            ValueError,
            "student: expected the same kind of loss as that of the teacher",
        ),
        ({"temperature": 0}, ValueError, "temperature: expected a number above 0, got 0"),
        ({"alpha": 1.5}, ValueError, "alpha: expected a number in [0, 1], got 1.5"),
        (
            {"t": None, "alpha": 0.5},
            ValueError,
            "alpha: expected 1, as there are no labels t, got 0.5",
        ),
        ({"x": x[:, :4]}, ValueError, "x: expected at least one sample of 5 features"),
        ({"x": 3.0, "t": None}, ValueError, "x: expected at least one sample of 5 features"),
        ({"t": t[:9]}, ValueError, "t: expected 10 labels"),
        ({"epochs": -1}, ValueError, "epochs: expected an integer"),
    ]
    for change, error, text in bad:
        arguments = {"student": student, "teacher": teacher, "x": x, "t": t, "verbose": False}
        with pytest.raises(error, match="^" + re.escape(text)):
            distill(**{**arguments, **change})
    expect_same(everything(student), before)


def test_fit_trains_all_members():
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(60, 4)), np.array([*"abc"] * 20)
    together, alone = (
        Ensemble(MultiLayerNet(4, [5], 3, seed=seed) for seed in range(3)) for _ in range(2)
    )
    histories = together.fit(x, t, epochs=2, batch_size=8, seed=[4, 5, 6], n_jobs=2, verbose=False)
    assert [network.history for network in together.networks] == histories
    for seed, network in zip([4, 5, 6], alone.networks, strict=True):
        network.fit(x, t, 2, 8, seed=seed, verbose=False)
    np.testing.assert_array_equal(together.predict(x), alone.predict(x))
    assert 0 <= together.accuracy(x, t) <= 1


def test_fit_of_members_with_other_classes_each():
    ensemble = Ensemble(MultiLayerNet(4, [5], 2, seed=seed) for seed in range(2))
    x = np.ones((4, 4))
    with pytest.raises(ValueError, match=r"networks\[1\]: expected classes 'a', 'b', like those"):
        ensemble.fit(x, [np.array([*"abab"]), np.array([*"xyxy"])], verbose=False)
