"""Labels of any values: what fit learns, what is kept, and what is refused."""

import copy
import io
import json
import pickle
import zipfile

import numpy as np
import pytest
from own_loss import OwnLoss

import fastnn
from fastnn import MultiLayerNet, Network, Trainer
from fastnn.callbacks import Checkpoint, load_checkpoint
from fastnn.diagnostics import Monitor, activation_gradients, sanity_checks
from fastnn.ensembles import Ensemble, averaged, distill
from fastnn.gradient_check import gradient_check
from fastnn.layers import Affine, Relu, SoftmaxWithLoss
from fastnn.second_order import hessian, lbfgs

N, D, C = 60, 4, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D))
PLACES = RNG.integers(C, size=N)
NAMES = ["cat", "cow", "dog"]
TEXT = np.array(NAMES)[PLACES]


def network(outputs=C, **settings):
    return MultiLayerNet(D, [5], outputs, seed=0, **settings)


def fit(net, t, epochs=2, **settings):
    return net.fit(X, t, epochs, 20, seed=0, verbose=False, **settings)


def params(net):
    return {key: p.copy() for key, p in net.params.items()}


def expect_equal(one, other):
    assert one.keys() == other.keys()
    for key, array in one.items():
        np.testing.assert_array_equal(array, other[key])


# --- what fit takes -----------------------------------------------------------------------


class Column:
    """What a column of a frame shows of itself."""

    def __init__(self, values):
        self._values = np.array(values, object)

    def __array__(self, dtype=None, copy=None):
        return self._values.astype(dtype or object)


class Table:
    """What a frame shows of itself."""

    def __init__(self, columns):
        self._columns = columns
        self.columns = list(columns)

    @property
    def shape(self):
        return len(next(iter(self._columns.values()))), len(self.columns)

    def __array__(self, dtype=None, copy=None):
        return np.stack(list(self._columns.values()), axis=1).astype(dtype or float)


KINDS = {
    "an array": (TEXT, NAMES),
    "a list": (TEXT.tolist(), NAMES),
    "objects": (TEXT.astype(object), NAMES),
    "a column": (Column(TEXT), NAMES),
    "a matrix of a column": (TEXT[:, np.newaxis], NAMES),
    "strings of any length": (TEXT.astype(getattr(np.dtypes, "StringDType", object)), NAMES),
    "from 1": (PLACES + 1, [1, 2, 3]),
    "gaps": (PLACES * 10, [0, 10, 20]),
    "negative": (PLACES - 1, [-1, 0, 1]),
    "bytes of integers": ((PLACES + 100).astype(np.uint8), [100, 101, 102]),
    "floating-point": (PLACES + 1.0, [1, 2, 3]),
    "integers as objects": ((PLACES - 2**40).astype(object), [-(2**40), 1 - 2**40, 2 - 2**40]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_fit_learns_the_classes(kind, route):
    t, classes = KINDS[kind]
    net, plain = route(network()), route(network())
    history = fit(net, t, validation=0.2)
    expected = fit(plain, PLACES, validation=0.2)
    assert net.classes.tolist() == classes and plain.classes is None
    assert (history.loss, history.val_accuracy) == (expected.loss, expected.val_accuracy)
    expect_equal(net.params, plain.params)
    assert net.loss(X, t) == plain.loss(X, PLACES)
    assert net.accuracy(X, t) == plain.accuracy(X, PLACES)
    assert net.evaluate(X, t) == plain.evaluate(X, PLACES)
    expect_equal(net.gradient(X, t), plain.gradient(X, PLACES))
    found = plain.predict_classes(X)
    np.testing.assert_array_equal(net.predict_classes(X), np.array(classes)[found])
    np.testing.assert_array_equal(found, plain.predict(X).argmax(axis=1))


def test_rows_are_in_the_order_of_the_classes():
    net, rows = network(), np.eye(C)[PLACES]
    fit(net, TEXT)
    assert net.loss(X, rows) == pytest.approx(net.loss(X, TEXT), rel=1e-6)
    assert net.accuracy(X, rows) == net.accuracy(X, TEXT)
    fit(net, rows.tolist())


@pytest.mark.parametrize("t", [PLACES, PLACES.astype(float), PLACES > 0, PLACES.astype(object)])
def test_integers_in_range_stay_what_they_are(t):
    net = network()
    fit(net, t, validation=(X, PLACES % 2))
    assert net.classes is None and net.feature_names is None
    assert net.predict_classes(X).dtype.kind == "i"


def test_losses_of_ones_own():
    class Extended(SoftmaxWithLoss):
        pass

    for loss in (Extended(), OwnLoss()):
        nets = [Network([Affine(C)], input_size=D, loss=loss, seed=0) for _ in range(2)]
        if isinstance(loss, OwnLoss):
            with pytest.raises(TypeError, match="^t: expected an array of real numbers"):
                fit(nets[0], TEXT)
            nets[0].classes = NAMES
        losses = [fit(net, t).loss for net, t in zip(nets, (TEXT, PLACES), strict=True)]
        assert losses[0] == losses[1] and nets[0].classes.tolist() == NAMES
        assert nets[0].accuracy(X, TEXT) == nets[1].accuracy(X, PLACES)


def test_classes_can_be_named_before_there_are_samples_of_all():
    some = PLACES < 2
    net = network()
    net.classes = ["dog", "cat", "cow"]
    history = net.fit(X[some], TEXT[some], 2, 20, seed=0, verbose=False)
    plain = network()
    expected = plain.fit(X[some], PLACES[some] + 1, 2, 20, seed=0, verbose=False)
    assert history.loss == expected.loss and net.classes.tolist() == ["dog", "cat", "cow"]
    net.classes = None
    assert net.accuracy(X, PLACES) == plain.accuracy(X, PLACES)
    bare = Network([Affine(5), Relu(), Affine(2)])
    bare.classes = NAMES
    with pytest.raises(ValueError, match="^network.classes: expected 2 labels, one .*, got 3$"):
        fit(bare, TEXT)
    assert bare.input_size is None


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_columns_of_frames(library):
    module = pytest.importorskip(library)
    plain = network()
    expected = fit(plain, PLACES).loss
    frame = module.DataFrame({"y": TEXT.tolist(), "ten": (10 * PLACES).tolist()})
    columns = [frame["y"], frame[["y"]], frame["ten"]]
    order = ["dog", "cat", "cow"]
    if library == "pandas":
        columns += [frame["y"].astype(kind) for kind in (object, "category", "string")]
        columns += [frame["ten"].astype("Int64"), module.Categorical(TEXT)]
        ordered = module.Categorical(TEXT, categories=order)
    else:
        columns.append(frame["y"].cast(module.Categorical))
        ordered = frame["y"].cast(module.Enum(order))
    for column in columns:
        net = network()
        assert fit(net, column).loss == expected
        assert net.accuracy(X, column) == plain.accuracy(X, PLACES)
        assert net.classes.tolist() in (NAMES, [0, 10, 20])
    net = network()
    fit(net, ordered)
    assert net.classes.tolist() == order


# --- what is refused ----------------------------------------------------------------------

NAN = float("nan")
REFUSED = {
    "three for four": (4, TEXT, r"^t: expected 4 .*, got 3 .*: 'cat', .*network.classes = \["),
    "three for two": (2, TEXT, "^t: expected 2 .*, got 3 different labels: 'cat', 'cow', 'dog'$"),
    "from 1": (
        4,
        PLACES + 1 + (PLACES > 1),
        "^t: .* 0 to 3, got 4; t - 1 .*as many .* as outputs, 4, got 3$",
    ),
    "None": (C, [*TEXT[:-1], None], r"^t: expected a label .*, got None in t\[59\]$"),
    "NaN": (C, [*TEXT[:-1], NAN], r"^t: expected a label .*, got nan in t\[59\]$"),
    "a column's": (C, Column([*TEXT[:-1], None]), r"^t: expected a label .*None in t\[59\]$"),
    "None beside integers": (C, [*PLACES[:-1], None], r"^t: .*got None in t\[59\]$"),
    "two types": (C, [*TEXT[:-1], 3], "^t: expected labels of one type, got '.*' and 3$|3 and '"),
    "bytes": (C, TEXT.astype("S"), "^t: expected an array of real numbers, got dtype .S3; "),
    "dates": (C, PLACES.astype("datetime64[D]"), "^t: expected an array of real numbers"),
    "masked": (C, np.ma.masked_equal(TEXT, "cat"), "^t: expected labels, got .* masked"),
    "lists": (C, [[1, 2], [3]] * 30, "^t: expected an array of real numbers"),
    "too few": (C, TEXT[1:], "^t: expected an array of real numbers"),
    "a matrix": (C, np.stack([TEXT, TEXT], axis=1), "^t: expected an array of real numbers"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_labels_that_are_refused(what):
    outputs, t, text = REFUSED[what]
    net = network(outputs)
    before = params(net)
    with pytest.raises((TypeError, ValueError), match=text):
        fit(net, t)
    expect_equal(net.params, before)
    assert net.classes is None and net.history is None


CALLS = {
    "fit": lambda net, t: net.fit(X[: len(t)], t, verbose=False),
    "loss": lambda net, t: net.loss(X[: len(t)], t),
    "gradient": lambda net, t: net.gradient(X[: len(t)], t),
    "accuracy": lambda net, t: net.accuracy(X[: len(t)], t),
    "evaluate": lambda net, t: net.evaluate(X[: len(t)], t),
    "validation": lambda net, t: fit(net, TEXT, validation=(X[: len(t)], t)),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("emu", "expected labels that the network knows, .*'cat', 'cow', 'dog'; got 'emu'"),
        (1, "expected labels that the network knows, .*; got 1"),
        (None, "expected a label for each sample, got None"),
        (NAN, "expected a label for each sample, got nan"),
        ([1], "expected labels that the network knows, .*"),
    ],
)
def test_unknown_labels(call, label, text):
    net = network()
    fit(net, TEXT)
    before, t = params(net), np.array(["dog", "cat", label], object)
    name = "validation t" if call == "validation" else "t"
    with pytest.raises(ValueError, match=rf"^{name}: {text}.* in {name}\[2\]$"):
        CALLS[call](net, t)
    expect_equal(net.params, before)


@pytest.mark.parametrize("t", [TEXT, PLACES + 1])
def test_a_network_that_was_trained_on_integers_learns_no_other_labels(t):
    net = network()
    fit(net, PLACES)
    before = params(net)
    with pytest.raises((TypeError, ValueError), match="was trained on integers .*network.classes"):
        fit(net, t)
    expect_equal(net.params, before)
    net.classes = [1, 2, 3] if t is not TEXT else NAMES
    fit(net, t)


def test_classes_and_columns_are_forgotten_after_an_error():
    x = Table({name: X[:, i] for i, name in enumerate("abcd")})

    class Broken(fastnn.callbacks.Callback):
        def on_train_begin(self):
            raise ValueError("broken")

    for settings in ({"validation": 2}, {"callbacks": [Broken()]}, {"metrics": ["r2"]}):
        net = network()
        with pytest.raises(ValueError):
            net.fit(x, TEXT, verbose=False, **settings)
        assert (net.classes, net.feature_names, net.history) == (None, None, None)


@pytest.mark.parametrize(
    ("classes", "error", "text"),
    [
        ("abc", TypeError, "expected a list of labels, got 'abc'"),
        (3, TypeError, "expected a list of labels, got 3"),
        (["a", "b"], ValueError, "expected 3 labels, one for each output of the network, got 2"),
        (["a", "b", "a"], ValueError, "expected different labels, got 'a' twice"),
        ([1, 2, "a"], TypeError, "expected labels of one type, all text or all integers, got 2 a"),
        ([0.5, 1.5, 2.5], TypeError, "expected labels of one type"),
        ([1, 2, 2**63], ValueError, "expected integers of 64 bits"),
        (["a"], ValueError, "expected at least 2 labels, got 1"),
    ],
)
def test_classes_that_are_none(classes, error, text):
    net = network()
    with pytest.raises(error, match=f"classes: {text}"):
        net.classes = classes
    assert net.classes is None
    with pytest.raises(ValueError, match="^classes: expected None, as .* 'mean_squared_error'"):
        network(loss="mse").classes = NAMES


# --- two classes with one output ----------------------------------------------------------

YES = PLACES > 0
TWO = {
    "text": (np.where(YES, "yes", "no"), ["no", "yes"]),
    "a list": (np.where(YES, "spam", "ham").tolist(), ["ham", "spam"]),
    "a column": (Column(np.where(YES, "b", "a")), ["a", "b"]),
    "signs": (np.where(YES, 1, -1), [-1, 1]),
    "1 and 2": (YES + 1, [1, 2]),
    "a matrix of a column": (np.where(YES, "yes", "no")[:, np.newaxis], ["no", "yes"]),
}


def of_two(**settings):
    return network(1, loss="binary_cross_entropy", **settings)


@pytest.mark.parametrize("kind", TWO)
def test_the_logistic_loss_tells_two_classes_apart(kind, route):
    t, classes = TWO[kind]
    net, plain = route(of_two()), route(of_two())
    history = fit(net, t, 4, validation=0.2)
    expected = fit(plain, YES, 4, validation=0.2)
    assert net.classes.tolist() == classes and plain.classes is None
    assert (history.loss, history.val_accuracy) == (expected.loss, expected.val_accuracy)
    expect_equal(net.params, plain.params)
    assert net.loss(X, t) == plain.loss(X, YES)
    assert net.accuracy(X, t) == plain.accuracy(X, YES)
    assert net.evaluate(X, t) == plain.evaluate(X, YES)
    expect_equal(net.gradient(X, t), plain.gradient(X, YES))
    found = plain.predict_classes(X)
    assert set(found) == {0, 1}
    np.testing.assert_array_equal(net.predict_classes(X), np.array(classes)[found])
    np.testing.assert_array_equal(net.predict_proba(X), plain.predict_proba(X))
    with pytest.raises(ValueError, match="expected labels that the network knows"):
        net.accuracy(X, np.full(N, "maybe"))


def test_weights_of_two_classes():
    net, plain = of_two(), of_two()
    fit(net, TWO["text"][0], class_weight={"no": 2.0, "yes": 0.5})
    fit(plain, YES, class_weight={0: 2.0, 1: 0.5})
    expect_equal(net.params, plain.params)
    with pytest.raises(ValueError, match="class_weight: expected classes .*'no', 'yes', got 0"):
        fit(net, TWO["text"][0], class_weight={0: 2.0})


@pytest.mark.parametrize("ending", [".npz", ".safetensors", "pickle"])
def test_files_know_two_classes(ending, tmp_path):
    net = of_two()
    fit(net, TWO["text"][0])
    if ending == "pickle":
        other = pickle.loads(pickle.dumps(net))
    else:
        net.save(tmp_path / f"net{ending}")
        other = fastnn.load(tmp_path / f"net{ending}")
    assert other.classes.tolist() == ["no", "yes"]
    np.testing.assert_array_equal(other.predict_classes(X), net.predict_classes(X))


def test_what_one_output_tells_apart():
    three, one = TEXT, np.full(N, "yes")
    for t, text in (
        (three, "t: expected 2 classes, of no and of yes, as the network has one output, got 3"),
        (one, "t: expected 2 classes, .* got 1 different labels: 'yes'; network.classes = "),
        (PLACES, "only where there are 2 different ones, got 3"),
        (PLACES * 0.7, "expected finite numbers from 0 to 1, got 1.4"),
    ):
        net = of_two()
        with pytest.raises((TypeError, ValueError), match=text):
            fit(net, t)
        assert net.classes is None and net.history is None
    net = of_two()
    assert fit(net, PLACES * 0.5).epochs == 2 and net.classes is None  # probabilities
    net = of_two()
    net.classes = ["no", "yes"]
    fit(net, one)
    with pytest.raises(ValueError, match="expected 2 labels, of no and of yes, as .* got 3"):
        net.classes = NAMES
    several = network(3, loss="binary_cross_entropy")
    with pytest.raises(ValueError, match="network.classes: expected None, as several outputs"):
        several.classes = NAMES
    with pytest.raises((TypeError, ValueError), match="t: "):
        fit(several, TEXT)


def test_ensembles_know_classes():
    members = [MultiLayerNet(D, [5], C, seed=seed) for seed in range(3)]
    ensemble = Ensemble(members)
    np.testing.assert_array_equal(ensemble.predict_classes(X), ensemble.predict(X).argmax(axis=1))
    for net in members[1:]:
        fit(net, TEXT, 10)
    found = ensemble.predict_classes(X)
    np.testing.assert_array_equal(found, np.array(NAMES)[ensemble.predict(X).argmax(axis=1)])
    answers = [of_two(), MultiLayerNet(D, [5], 1, loss="binary_cross_entropy", seed=3)]
    for net in answers:
        fit(net, TWO["text"][0], 10)
    both = Ensemble(answers)
    expected = np.where(both.predict(X)[:, 0] > 0, "yes", "no")
    np.testing.assert_array_equal(both.predict_classes(X), expected)
    assert both.accuracy(X, TWO["text"][0]) == np.mean(expected == TWO["text"][0])
    several = Ensemble([network(3, loss="binary_cross_entropy")])
    np.testing.assert_array_equal(several.predict_classes(X), several.predict(X) > 0)
    with pytest.raises(ValueError, match="predict_classes: expected a network of several outputs"):
        Ensemble([network(1, loss="mse")]).predict_classes(X)


# --- what keeps them ----------------------------------------------------------------------


def expect_kept(net, like):
    assert net.classes.tolist() == like.classes.tolist()
    assert net.feature_names == like.feature_names
    np.testing.assert_array_equal(net.predict_classes(X), like.predict_classes(X))


@pytest.mark.parametrize("t", [TEXT, PLACES - 1], ids=["text", "integers"])
def test_files_and_copies_keep_classes_and_columns(t, tmp_path):
    net = Network([Affine(5), Relu(), Affine(C)], seed=0)
    path = tmp_path / "checkpoint.npz"
    x = Table({name: X[:, i] for i, name in enumerate("abcd")})
    net.fit(x, t, 2, 20, verbose=False, seed=0, callbacks=[Checkpoint(path)])
    assert net.feature_names == [*"abcd"]
    file = io.BytesIO()
    net.save(file)
    file.seek(0)
    expect_kept(fastnn.load(file), net)
    for copied in (copy.copy(net), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        expect_kept(copied, net)
    expect_kept(averaged(net, net.params, x), net)
    other = Network([Affine(5), Relu(), Affine(C)], input_size=D, seed=1)
    history = load_checkpoint(path, other)
    expect_kept(other, net)
    other.fit(x, t, 3, 20, verbose=False, resume=history)
    assert history.epochs == 3
    plain = Network([Affine(5), Relu(), Affine(C)], input_size=D, seed=1)
    plain.save(tmp_path / "plain.npz")
    other.load(tmp_path / "plain.npz")
    assert (other.classes, other.feature_names) == (None, None)
    assert "classes: " in str(net.summary()) and "classes" in net.summary()._repr_html_()
    assert "classes" not in str(plain.summary())


def facts_of(path):
    with zipfile.ZipFile(path) as file:
        return json.loads(str(np.load(io.BytesIO(file.read("facts.npy")))))


def test_files_without_classes_have_what_they_had(tmp_path):
    net = network()
    fit(net, PLACES)
    net.save(tmp_path / "w.npz")
    assert not {"labels", "feature_names"} & facts_of(tmp_path / "w.npz")["network"].keys()


def test_files_with_other_classes_are_refused(tmp_path):
    net, path = network(), tmp_path / "w.npz"
    fit(net, TEXT)
    net.save(path)
    facts = facts_of(path)
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    wrong = {
        "expected 3 labels": ["a", "b"],
        "of one type": ["a", "b", 1],
        "expected a list": "abc",
        "number or a string": [None, 1, 2],
    }
    for text, labels in wrong.items():
        facts["network"]["labels"] = labels
        np.savez(path, **arrays | {"facts": np.array(json.dumps(facts))})
        with pytest.raises(ValueError, match=text):
            fastnn.load(path)


# --- tools that train, check and measure --------------------------------------------------


def with_sums(net, t):
    monitor = Monitor(X, t, every=2)
    fit(net, t, callbacks=[monitor])
    fit(net, t, 3, resume=net.history, callbacks=[monitor])
    return [g.mean for of in monitor.gradients.values() for g in of]


TOOLS = {
    "Monitor": with_sums,
    "gradient_check": lambda net, t: str(gradient_check(net, X, t)),
    "sanity_checks": lambda net, t: str(sanity_checks(net, X, t)),
    "activation_gradients": lambda net, t: activation_gradients(net, X, t)["Affine2"].tolist(),
    "numerical_gradient": lambda net, t: net.numerical_gradient(X[:4], t[:4])["b2"].tolist(),
    "Ensemble": lambda net, t: (Ensemble([net]).accuracy(X, t), Ensemble([net]).loss(X, t)),
    "hessian": lambda net, t: hessian(net, X, t).tolist(),
    "lbfgs": lambda net, t: lbfgs(net, X, t, 3, verbose=False).loss,
    "distill": lambda net, t: [
        distill(network(dtype="float64"), net, X, labels, epochs=2, seed=0, verbose=False).loss
        for labels in (t, None)
    ],
    "distill again": lambda net, t: (
        distill(copy.deepcopy(net), net, X, epochs=2, seed=0, verbose=False).loss
    ),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_tools_take_labels(tool):
    """Of integers that are positions of others, what is looked up twice would not be the same."""
    if tool == "lbfgs":
        pytest.importorskip("scipy")
    found = []
    for t, classes in ((PLACES, None), (3 - PLACES, [3, 2, 1]), (TEXT, NAMES)):
        net = network(dtype="float64")
        net.classes = classes
        found.append(TOOLS[tool](net, t))
    assert found[0] == found[1] == found[2]


def test_a_trainer_takes_labels():
    losses = []
    for t, classes in ((PLACES, None), (3 - PLACES, [3, 2, 1])):
        net = network()
        net.classes = classes
        trainer = Trainer(net, X, t, X, t, 2, 20, verbose=False, seed=0)
        trainer.train()
        losses.append((trainer.train_loss_list, trainer.test_acc_list))
    assert losses[0] == losses[1]


def test_networks_with_other_classes_do_not_fit_together():
    nets = [network(), MultiLayerNet(D, [5], C, seed=1)]
    fit(nets[0], TEXT)
    nets[1].classes = NAMES[::-1]
    with pytest.raises(ValueError, match=r"^networks\[1\]: expected classes 'cat', .*, got 'dog'"):
        Ensemble(nets)
    student = network()
    distill(student, nets[0], X, epochs=1, verbose=False)
    assert student.classes.tolist() == NAMES


# --- columns of tables --------------------------------------------------------------------


def table(names="abcd"):
    return Table({name: X[:, i] for i, name in enumerate(names)})


def test_tables_with_other_columns():
    net, x = network(), table()
    net.fit(x, PLACES, 2, 20, seed=0, verbose=False)
    assert net.feature_names == [*"abcd"]
    scores = net.predict(x)
    np.testing.assert_array_equal(net.predict(X), scores)
    np.testing.assert_array_equal(net.predict(Table(dict(enumerate(X.T)))), scores)
    before = params(net)
    calls = [
        lambda x: net.predict(x),
        lambda x: net.predict_classes(x),
        lambda x: net.predict_proba(x),
        lambda x: net.loss(x, PLACES),
        lambda x: net.gradient(x, PLACES),
        lambda x: net.accuracy(x, PLACES),
        lambda x: net.evaluate(x, PLACES),
        lambda x: net.fit(x, PLACES, verbose=False),
        lambda x: net.fit(X, PLACES, verbose=False, validation=(x, PLACES)),
        lambda x: Ensemble([net]).loss(x, PLACES),
    ]
    for names, text in (
        ("bacd", r"has them in another order; x\[network.feature_names\] takes them"),
        ("abcz", "lacks 'd' and has 'z' too$"),
        ("abcde"[1:], "lacks 'a' and has 'e' too$"),
    ):
        for call in calls:
            with pytest.raises(ValueError, match=f"x: expected a table with the columns .*{text}"):
                call(table(names))
    expect_equal(net.params, before)
    net.feature_names = None
    net.predict(table("bacd"))


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames(library):
    module = pytest.importorskip(library)
    frame = module.DataFrame({name: X[:, i] for i, name in enumerate("abcd")})
    net, plain = network(), network()
    assert fit_of(net, frame).loss == fit(plain, PLACES).loss
    assert net.feature_names == [*"abcd"]
    np.testing.assert_array_equal(net.predict(frame), plain.predict(X))
    with pytest.raises(ValueError, match="another order"):
        net.predict(frame[[*"dcba"]])
    np.testing.assert_array_equal(
        net.predict(frame[[*"dcba"]][net.feature_names]), plain.predict(X)
    )
    text = module.DataFrame({"a": X[:, 0], "kind": TEXT, "b": X[:, 1], "c": X[:, 2]})
    with pytest.raises(
        TypeError, match=r"other columns: 'kind' \(str\); .*get_dummies.*to_dummies"
    ):
        fit_of(network(), text)


def fit_of(net, x):
    return net.fit(x, PLACES, 2, 20, seed=0, verbose=False)


# --- probabilities ------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities(dtype):
    net = network(dtype=dtype)
    scores = net.predict(X)
    p = net.predict_proba(X)
    assert p.dtype == dtype
    np.testing.assert_array_equal(p, fastnn.ops.softmax(scores))
    squares = network(loss="mse")
    with pytest.raises(ValueError, match="^predict_proba: expected .*, got IdentityWithLoss; "):
        squares.predict_proba(X)
    assert squares.predict_classes(X).tolist() == squares.predict(X).argmax(axis=1).tolist()
    with pytest.raises(ValueError, match="^predict_classes: .*got one output"):
        network(1, loss="mse").predict_classes(X)
