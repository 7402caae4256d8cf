"""What is called with targets checks them alike: each entry, each wrong kind, each right one."""

import numpy as np
import pytest

from fastnn import MultiLayerNet, Trainer, functional, layers, ops
from fastnn.diagnostics import (
    Monitor,
    activation_gradients,
    check_generalisation,
    check_gradients,
    check_initial_loss,
    check_overfitting,
    check_penalty,
    sanity_checks,
)
from fastnn.ensembles import DistillationLoss, Ensemble, distill
from fastnn.gradient_check import gradient_check
from fastnn.optimizers import SGD
from fastnn.second_order import hessian, lbfgs, newton

N, D, C = 40, 2, 3
X = np.random.default_rng(0).normal(size=(N, D))
T = (X[:, 0] > 0).astype(np.int64)  # of the three classes, the last has no sample
ONE_HOT = np.eye(C)[T]
Y = np.round(8 * X[:, 1]) / 8  # which no dtype rounds


def classifier():
    return MultiLayerNet(D, [], C, dtype="float64", seed=0)


def regression():
    return MultiLayerNet(D, [], 1, dtype="float64", loss="mse", seed=0)


def params(net):
    return np.concatenate([p.ravel() for p in net.params.values()])


def fitted(net, t, **settings):
    history = net.fit(X, t, 2, 16, SGD(0.1), verbose=False, seed=0, **settings)
    return np.append(params(net), [*history.loss, *history.val_loss])


def validated(net, t):
    right = T if net.output_size == C else Y
    return fitted(net, right, validation=(X, t))


def trained(net, t):
    trainer = Trainer(net, X, t, X, T, 2, 16, verbose=False, seed=0)
    trainer.train()
    return np.append(params(net), trainer.train_acc_list)


def on_test(net, t):
    trainer = Trainer(net, X, T, X, t, 2, 16, verbose=False, seed=0)
    trainer.train()
    return np.array(trainer.test_acc_list)


def monitored(net, t):
    monitor = Monitor(X, t, every=1)
    right = T if net.output_size == C else Y
    fitted(net, right, callbacks=[monitor])
    return np.array([monitor.chance, *(d.mean for d in monitor.gradients["Affine1"])])


def ensemble(net):
    return Ensemble([net, classifier() if net.output_size == C else regression()])


def checked(check, **settings):
    return lambda net, t: [*check(net, X, t, **settings).values.values()]


def distilled(net, t):
    return distill(net, classifier(), X, t, epochs=2, verbose=False, seed=0).loss


# Of every network.
ENTRIES = {
    "fit": fitted,
    "validation": validated,
    "loss": lambda net, t: net.loss(X, t),
    "gradient": lambda net, t: [*net.gradient(X, t).values()],
    "numerical_gradient": lambda net, t: [*net.numerical_gradient(X, t).values()],
    "Monitor": monitored,
    "activation_gradients": lambda net, t: [*activation_gradients(net, X, t).values()],
    "gradient_check": lambda net, t: gradient_check(net, X, t).worst.error,
    "sanity_checks": lambda net, t: sanity_checks(net, X, t).ok,
    "check_initial_loss": checked(check_initial_loss),
    "check_penalty": checked(check_penalty),
    "check_gradients": lambda net, t: check_gradients(net, X, t).ok,
    "check_overfitting": checked(check_overfitting, steps=20),
    "check_generalisation": checked(check_generalisation),
    "Ensemble.loss": lambda net, t: ensemble(net).loss(X, t),
    "lbfgs": lambda net, t: lbfgs(net, X, t, 2, verbose=False).loss,
    "newton": lambda net, t: newton(net, X, t, 1, damping=1, verbose=False).loss,
    "hessian": lambda net, t: hessian(net, X, t),
}
OF_CLASSES = {
    **ENTRIES,
    "Trainer": trained,
    "Trainer's test": on_test,
    "accuracy": lambda net, t: net.accuracy(X, t),
    "Ensemble.accuracy": lambda net, t: ensemble(net).accuracy(X, t),
    "distill": distilled,
    "DistillationLoss": lambda net, t: DistillationLoss(2, 0.5).targets(np.full((N, C), 1 / C), t),
    "ops": lambda net, t: ops.softmax_cross_entropy(net.predict(X), t)[1],
    "layer": lambda net, t: layers.SoftmaxWithLoss().forward(net.predict(X), t),
    "cross_entropy_error": lambda net, t: functional.cross_entropy_error(
        ops.softmax(net.predict(X)), t
    ),
}
OF_SQUARES = {
    **ENTRIES,
    "ops": lambda net, t: ops.mean_squared_error(net.predict(X), t)[1],
    "layer": lambda net, t: layers.IdentityWithLoss().forward(net.predict(X), t),
}
NAMES = {
    "validation": "validation t",
    "Monitor": "Monitor: t",
    "Trainer": "t_train",
    "Trainer's test": "t_test",
}


def changed(t, place, value):
    t = np.array(t, np.float64)
    t[place] = value
    return t


TEXT = np.array(["no", "yes"])[T]
OTHERS = "(np.unique.t, return_inverse=True. makes labels of any values|got 2 .*: 'no', 'yes'; .*)$"
SQUARES = '; real-valued targets take loss="mean_squared_error" in the network'
SHAPE = r"expected 40 labels of shape \(40,\) or targets of shape \(40, 3\), got shape "
ONLY_TWO = "($|; fit takes other integers for labels, .* as outputs, 3, got 2$)"
ROWS = "expected rows of probabilities, got "
WRONG = {
    "text": (TEXT, OTHERS),
    "text as objects": (TEXT.astype(object), OTHERS),
    "bytes": (TEXT.astype("S"), OTHERS),
    "complex": (T * 1j, "expected an array of real numbers, got dtype complex128$"),
    "no array": (None, "expected an array of real numbers, got None$"),
    "fractions": (T + 0.5, f"expected labels that are integers, got float64{SQUARES}$"),
    "NaN": (changed(T, 7, np.nan), "expected labels from 0 to 2, got nan in "),
    "infinity": (changed(T, 7, np.inf), "expected labels from 0 to 2, got inf in "),
    "one too high": (
        T + 2,
        f"expected labels from 0 to 2, got 3{ONLY_TWO}",
    ),
    "one too high as float": (
        T + 2.0,
        f"expected labels from 0 to 2, got 3.0{ONLY_TWO}",
    ),
    "negative": (T - 1, "expected labels from 0 to 2, got -1; "),
    "too few": (T[1:], rf"{SHAPE}\(39,\)$"),
    "too many": (np.append(T, 0), rf"{SHAPE}\(41,\)$"),
    "none": (T[:0], rf"{SHAPE}\(0,\)$"),
    "wider rows": (np.eye(C + 1)[T], rf"{SHAPE}\(40, 4\)$"),
    "narrower rows": (np.eye(C - 1)[T], rf"{SHAPE}\(40, 2\)$"),
    "fewer rows": (ONE_HOT[1:], rf"{SHAPE}\(39, 3\)$"),
    "another axis": (ONE_HOT[..., np.newaxis], rf"{SHAPE}\(40, 3, 1\)$"),
    "no sum of 1": (changed(ONE_HOT, (7, T[7]), 0.5), f"{ROWS}a sum of 0.5 in row 7; "),
    "below 0": (changed(ONE_HOT, (7, 2), -0.5), f"{ROWS}-0.5 in row 7, column 2; "),
    "NaN in a row": (changed(ONE_HOT, (7, 2), np.nan), f"{ROWS}nan in row 7, column 2$"),
}
SHAPE = r"expected targets of shape \(40, 1\), got "
WRONG_OUTPUTS = {
    "text": (TEXT, OTHERS),
    "no array": (None, "expected an array of real numbers, got None$"),
    "NaN": (changed(Y, 7, np.nan), "expected finite numbers, got nan in .*7]$"),
    "infinity": (
        changed(Y[:, np.newaxis], 7, np.inf),
        "expected finite numbers, got inf in .*7, 0]$",
    ),
    "too few": (Y[1:], rf"{SHAPE}\(39,\)$"),
    "more columns": (X, rf"{SHAPE}\(40, 2\)$"),
    "a row": (Y[np.newaxis], rf"{SHAPE}\(1, 40\)$"),
}


def expect_refused(entry, call, net, t, text):
    name = NAMES.get(entry, "t")
    before = params(net)
    with pytest.raises((TypeError, ValueError), match=f"^{name}: .*{text}"):
        call(net, t)
    np.testing.assert_array_equal(params(net), before)


@pytest.mark.parametrize("entry", OF_CLASSES)
def test_wrong_targets_of_classes(entry):
    for kind, (t, text) in WRONG.items():
        if kind == "no array" and entry in ("Trainer", "Trainer's test", "distill"):
            continue  # another error, or no labels at all
        expect_refused(entry, OF_CLASSES[entry], classifier(), t, text)


@pytest.mark.parametrize("entry", OF_SQUARES)
def test_wrong_targets_of_the_squared_error(entry):
    for kind, (t, text) in WRONG_OUTPUTS.items():
        # Functions of arrays give NaN for NaN.
        if not (kind in ("NaN", "infinity") and entry in ("ops", "layer")):
            expect_refused(entry, OF_SQUARES[entry], regression(), t, text)


class Table:
    """What tables of one column are."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype)


LABELS = {
    "uint8": T.astype(np.uint8),
    "int32 column": T[:, np.newaxis].astype(np.int32),
    "truth values": T > 0,
    "a column of truth values": T[:, np.newaxis] > 0,
    "float64": T * 1.0,
    "float16 column": T[:, np.newaxis].astype(np.float16),
    "list": T.tolist(),
    "list of truth values": (T > 0).tolist(),
    "integers as objects": T.astype(object),
    "truth values as objects": (T > 0).astype(object),
    "a column of a table": Table((T > 0).astype(object)),
    "backwards": np.ascontiguousarray(T[::-1])[::-1],
    "big-endian": T.astype(">i4"),
}
ROWS_ALIKE = {
    "bool": ONE_HOT > 0,
    "int8": ONE_HOT.astype(np.int8),
    "float32": ONE_HOT.astype(np.float32),
    "Fortran order": np.asfortranarray(ONE_HOT),
    "list": ONE_HOT.tolist(),
    "table": Table(ONE_HOT),
}
OUTPUTS = {
    "a column": Y[:, np.newaxis],
    "float16": Y.astype(np.float16),
    "float32 column": Y[:, np.newaxis].astype(np.float32),
    "list": Y.tolist(),
    "table": Table(Y),
    "objects of a table": Table(Y.astype(object)),
}
SLOW = ("sanity_checks",)  # its parts are called one by one


def expect_alike(call, net, wanted, kinds):
    expected = call(net(), wanted)
    for kind, t in kinds.items():
        found = call(net(), t)
        pairs = (
            zip(found, expected, strict=True) if isinstance(found, list) else [(found, expected)]
        )
        for ours, theirs in pairs:
            np.testing.assert_array_equal(ours, theirs, err_msg=kind)


@pytest.mark.parametrize("entry", [entry for entry in OF_CLASSES if entry not in SLOW])
def test_right_targets_of_classes(entry):
    expect_alike(OF_CLASSES[entry], classifier, T, LABELS)
    expect_alike(OF_CLASSES[entry], classifier, ONE_HOT, ROWS_ALIKE)


@pytest.mark.parametrize("entry", [entry for entry in OF_SQUARES if entry not in SLOW])
def test_right_targets_of_the_squared_error(entry):
    expect_alike(OF_SQUARES[entry], regression, Y, OUTPUTS)


def test_truth_values_are_labels_as_whole_numbers_are():
    """By the formula: a bool that is read as a row, or as anything else, has another loss."""
    net = classifier()
    z = net.predict(X)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    expected = -log_p[np.arange(N), T].mean()
    for t in (T, T > 0, T * 1.0, ONE_HOT > 0):
        assert net.loss(X, t) == pytest.approx(expected, rel=1e-14)


def test_a_vector_of_targets_is_a_column():
    """(N, 1) less (N,) would be (N, N)."""
    net = regression()
    expected = ((net.predict(X)[:, 0] - Y) ** 2).mean() / 2
    for t in (Y, Y[:, np.newaxis]):
        assert net.loss(X, t) == pytest.approx(expected, rel=1e-14)
