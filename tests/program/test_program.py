"""The training program gives the numbers of the layers, whatever is trained with whatever."""

import re
from dataclasses import replace

import numpy as np
import pytest
import rounding
from routes import StepSettings, by_layers
from states import of_layers

from fastnn import MultiLayerNetExtend, optimizers
from fastnn import layers as layers_module
from fastnn.kernels.machine import catalogue, code
from fastnn.kernels.program import kinds, parts
from fastnn.kernels.program import tables as program_tables
from fastnn.kernels.program.parts import addresses
from fastnn.kernels.program.step import Step
from fastnn.layers import BatchNormalization, Dropout
from fastnn.layers import record as _record
from fastnn.layers.record import record_of
from fastnn.program import Program
from fastnn.program import inference as _inference
from fastnn.program import passes as _passes
from fastnn.program import tables as _tables
from fastnn.program.tables import Tables

N, D, C, BATCH = 150, 5, 3, 12
STEPS = 200
RAGGED = 9  # samples of the last batch: more than the 8 up to which dx is computed another way

NETWORKS = {
    f"{activation}{' norm' if norm else ''}{' ' + dropout if dropout else ''}": {
        "activation": activation,
        "use_batchnorm": norm,
        "dropout": dropout,
    }
    for activation in ("relu", "sigmoid", "tanh")
    for norm in (False, True)
    for dropout in ("", "dropout", "inverted")
}
OPTIMIZERS = {
    **{name: (make, {}) for name, make in optimizers.OPTIMIZERS.items()},
    **{f"{name} decay": (m, {"weight_decay": 0.01}) for name, m in optimizers.OPTIMIZERS.items()},
    "adam explicit": (optimizers.Adam, {"bias_correction": "explicit"}),
    "adamw explicit": (optimizers.AdamW, {"bias_correction": "explicit"}),
}


def network(kind="relu", hidden=(8, 7), sizes=(D, C), dtype=np.float64, **settings):
    values = dict(NETWORKS[kind])
    dropout = values.pop("dropout")
    net = MultiLayerNetExtend(
        sizes[0], hidden, sizes[1], use_dropout=bool(dropout), dropout_ration=0.2, dtype=dtype,
        seed=0, weight_init_std=0.5, **values, **settings,
    )  # fmt: skip
    for layer in net.layers.values():
        if isinstance(layer, Dropout):
            layer.inverted = dropout == "inverted"
    return net


def optimizer(name="sgd"):
    make, settings = OPTIMIZERS[name]
    return make(lr=1.0, **settings)


def data(n=N, sizes=(D, C)):
    rng = np.random.default_rng(900)
    return rng.normal(size=(n, sizes[0])), rng.integers(sizes[1], size=n)


def rates(steps=STEPS):
    """Some are 0, as at the end of schedules."""
    values = np.random.default_rng(901).uniform(0, 0.05, steps)
    values[::17] = 0
    return values


def rows(steps=STEPS, batch=BATCH, last=RAGGED, n=N):
    return np.random.default_rng(902).integers(n, size=(steps - 1) * batch + last)


class Trained:
    """A network after a run, with all that the run has changed."""

    def __init__(self, route, net, opt, samples, batch, steps):
        self.net, self.opt, self.route = net, opt, route
        self.losses, self.hits = np.full(steps, np.nan), np.full(steps, -1)
        route.run(samples, batch, rates(steps), self.losses, self.hits)
        assert route.done == steps

    def arrays(self):
        found = {f"params {key}": p for key, p in self.net.params.items()}
        for name in self.opt.rule.states:
            found |= {f"{name} {key}": p for key, p in getattr(self.opt, name).items()}
        for key, average in (self.route.averages or {}).items():
            found[f"average {key}"] = average
        for key, value in of_layers(self.net).items():
            found[key] = np.asarray(value)  # running statistics, seeds and steps of dropout
        for name in ("iter", "mu_product"):
            found[name] = np.asarray(getattr(self.opt, name, 0))
        return found


def both(
    kind="relu", name="sgd", settings=None, xt=None, steps=STEPS, batch=BATCH, last=RAGGED,
    make_net=network, of_layers=lambda net: None, **of_net,
):  # fmt: skip
    """Train two equal networks, one on each route; `of_layers` prepares one for the layers."""
    x, t = xt or data(sizes=of_net.get("sizes", (D, C)))

    def train(make, seed=None):
        net, opt = make_net(kind, **of_net), optimizer(name)
        if make is by_layers:
            of_layers(net)
        if seed is not None:
            rounding.moving(net, seed)
        route = make(net, opt, x, t, batch, settings or StepSettings())
        return Trained(route, net, opt, rows(steps, batch, last, len(x)), batch, steps)

    ours, theirs = train(Program), train(by_layers)
    theirs.again = lambda seed: train(by_layers, seed)
    return ours, theirs


def expect_equal(ours, theirs):
    """Expect the same bits; the losses are means, of which the order of the sum may differ."""
    eps = np.finfo(ours.net.dtype).eps
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=4 * BATCH * eps)
    np.testing.assert_array_equal(ours.hits, theirs.hits)
    expected = theirs.arrays()
    assert ours.arrays().keys() == expected.keys()
    for key, array in ours.arrays().items():
        assert array.dtype == expected[key].dtype, key
        np.testing.assert_array_equal(array, expected[key], err_msg=key)


def kind_of(key):
    """Return "params" for "params W1", and "running_mean" for "BatchNorm1.running_mean"."""
    return key.split()[0].split(".")[-1]


def expect_close(ours, theirs, but=()):
    """Expect what rounding can make of the same steps.

    Sums over a batch are taken in another order where there is batch normalisation, a penalty, a
    norm or a moving average, so that each step differs by some eps.
    """
    got, expected = ({"losses": one.losses, **one.arrays()} for one in (ours, theirs))

    def again(seed):
        moved = theirs.again(seed)
        return {"losses": moved.losses, **moved.arrays()}

    np.testing.assert_array_equal(ours.hits, theirs.hits)
    assert got.keys() == expected.keys()
    for key, limit in rounding.limits(expected, again, kind_of).items():
        if not key.endswith(but or "\0"):
            np.testing.assert_allclose(got[key], expected[key], rtol=0, atol=limit, err_msg=key)


@pytest.mark.parametrize("kind", [k for k in NETWORKS if "norm" not in k])
def test_networks_have_the_same_bits(kind):
    ours, theirs = both(kind, "momentum")
    assert ours.route._plan(gathered=True).slots <= 1
    expect_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [k for k in NETWORKS if "norm" in k])
def test_networks_with_batch_normalisation(kind):
    expect_close(*both(kind, "momentum"))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_have_the_same_bits(name):
    expect_equal(*both("tanh", name))


# A bias before batch normalisation does nothing, so its gradient is rounding noise. Rules that
# divide by its size make steps of it, and with a penalty on the bias each makes the
# next one larger. Nothing depends on them but the running means.
DIVIDES = re.compile("ada|rms|ams|lion")
NOISE = " b1", " b2", "running_mean"


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_with_batch_normalisation_and_dropout(name):
    expect_close(*both("relu norm dropout", name), but=NOISE if DIVIDES.search(name) else ())


@pytest.mark.parametrize("kind", ["relu", "sigmoid inverted", "relu dropout"])
@pytest.mark.parametrize("name", ["adam", "nesterov"])
def test_float32_has_the_same_bits(kind, name):
    expect_equal(*both(kind, name, steps=40, dtype=np.float32))


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam"])
def test_float32_with_batch_normalisation(name):
    """Few steps: in many, rounding decides on which side of a kink of ReLU some number lies."""
    ours, theirs = both("relu norm", name, steps=4, dtype=np.float32)
    expect_close(ours, theirs, but=NOISE if DIVIDES.search(name) else ())


@pytest.mark.parametrize("name", ["sgd", "nesterov", "adam"])
def test_float32_with_batch_normalisation_and_no_kinks(name):
    ours, theirs = both("tanh norm", name, steps=40, dtype=np.float32)
    expect_close(ours, theirs, but=NOISE if DIVIDES.search(name) else ())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["relu", "relu norm dropout"])
@pytest.mark.parametrize(
    "settings",
    [
        StepSettings(clip_value=0.02),
        StepSettings(clip_norm=0.1),
        StepSettings(ema=0.9),
        StepSettings(ema=0.0),
        StepSettings(0.05, 0.08, 0.95),
    ],
    ids=str,
)
def test_settings(kind, settings):
    ours, theirs = both(kind, "momentum", settings, weight_decay_lambda=0.01)
    expect_close(ours, theirs)
    free = both(kind, "momentum")[0]
    if settings.clip_value or settings.clip_norm:
        assert np.abs(ours.net.params["W1"] - free.net.params["W1"]).max() > 1e-3


@pytest.mark.parametrize("name", ["sgd", "adam decay"])
def test_weight_penalty(name):
    expect_close(*both("sigmoid", name, weight_decay_lambda=0.1))


def one_hot(t):
    return np.eye(C)[t]


def dense(t):
    return np.random.default_rng(903).dirichlet(np.ones(C), size=len(t))


@pytest.mark.parametrize(
    "form",
    [
        lambda t: t[:, None],
        lambda t: t.astype(np.uint8),
        lambda t: one_hot(t).astype(bool),
        lambda t: np.asfortranarray(dense(t)),
        one_hot,
        dense,
    ],
    ids=["column", "bytes", "bool", "fortran", "one-hot", "dense"],
)
def test_targets(form):
    x, t = data()
    expect_equal(*both("relu", xt=(x, form(t)), steps=50))


@pytest.mark.parametrize("kind", ["relu", "tanh dropout"])
@pytest.mark.parametrize("outputs", [1, C])
def test_squared_error(kind, outputs):
    x, _ = data()
    t = np.random.default_rng(904).normal(size=(N, outputs))
    ours, theirs = both(kind, "momentum", xt=(x, t), loss="mean_squared_error", sizes=(D, outputs))
    assert (ours.hits == 0).all()
    expect_equal(ours, theirs)


@pytest.mark.parametrize("last", [1, 2, 5])
@pytest.mark.parametrize("kind", ["relu", "relu norm"])
def test_small_last_batch(kind, last):
    """The program computes its dx as for whole batches, the layer as for few samples."""
    expect_close(*both(kind, last=last, steps=20))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["relu", "tanh norm"])
def test_wide_layers(kind, dtype):
    """Wide enough to pack all operands of all products, and to update in many parts."""
    sizes = 70, 300
    # Of a gradient that rounding alone keeps from 0, Adam makes a whole step.
    name = "momentum" if "norm" in kind else "adam"
    ours, theirs = both(
        kind, name, steps=4, batch=120, last=110, xt=data(200, sizes), sizes=sizes,
        hidden=(400, 800), dtype=dtype,
    )  # fmt: skip
    if "norm" in kind:
        expect_close(ours, theirs)
    else:
        expect_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["relu", "sigmoid dropout", "relu inverted", "tanh norm"])
@pytest.mark.parametrize("last", [256, 250, 17, 1])
def test_many_samples_of_a_tiny_network(kind, last):
    """Gradients are then summed by slots, in another order."""
    ours, theirs = both(
        kind, "momentum", batch=256, last=last, xt=data(1000), steps=30, hidden=(4, 3)
    )
    assert ours.route._plan(gathered=True).slots > 1
    expect_close(ours, theirs)


@pytest.mark.parametrize("kind", ["relu", "tanh dropout", "relu norm"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_first_layer_in_halves(kind, dtype):
    """The sum over its many features is then taken in two parts."""
    sizes = 210, C
    ours, theirs = both(
        kind, "momentum", xt=data(sizes=sizes), sizes=sizes, hidden=(9, 7), steps=20, dtype=dtype
    )
    assert [s.parts for s in ours.route._plan(gathered=True).segments][:2] == [2, 1]
    assert "in 2 parts of columns" in ours.route.describe()
    expect_close(ours, theirs)


@pytest.mark.parametrize("hidden", [(), (8,), (8, 7, 6, 5, 4)])
@pytest.mark.parametrize("kind", ["relu", "sigmoid inverted"])
def test_depths(hidden, kind):
    expect_equal(*both(kind, hidden=hidden, steps=20))


def test_runs_go_on_where_the_last_one_ended():
    x, t = data()
    once, parts = (network("relu norm dropout") for _ in range(2))
    ours = Trained(
        Program(once, first := optimizers.Adam(), x, t, BATCH, StepSettings(ema=0.5)),
        once, first, rows(), BATCH, STEPS,
    )  # fmt: skip
    second = optimizers.Adam()
    route = Program(parts, second, x, t, BATCH, StepSettings(ema=0.5))
    losses, hits = np.zeros(STEPS), np.zeros(STEPS, np.int64)
    for part in (slice(0, 1), slice(1, 77), slice(77, STEPS)):
        samples = rows()[part.start * BATCH : part.stop * BATCH]
        route.run(samples, BATCH, rates()[part], losses[part], hits[part])
    np.testing.assert_array_equal(losses, ours.losses)
    np.testing.assert_array_equal(hits, ours.hits)
    theirs = Trained.__new__(Trained)
    theirs.net, theirs.opt, theirs.route = parts, second, route
    for key, array in ours.arrays().items():
        np.testing.assert_array_equal(array, theirs.arrays()[key], err_msg=key)


@pytest.mark.parametrize("kind", ["relu", "relu norm", "tanh dropout"])
@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("batch", [BATCH, N])
@pytest.mark.parametrize("features", [D, 130])
def test_every_step_takes_all_samples(kind, scale, batch, features):
    """Without an order: as with one that names all samples."""
    sizes = features, C
    x, t = data(sizes=sizes)
    results = []
    for order in (None, np.tile(np.arange(N), 30)):
        net, opt = network(kind, sizes=sizes, input_scale=scale), optimizers.Momentum()
        route = Program(net, opt, x, t, batch if order is None else N, StepSettings())
        results.append(Trained(route, net, opt, order, N, 30))
    expect_equal(*results)


def test_layers_that_users_put_together():
    """An order of layers that no constructor makes: norms on data, two in a row, dropout last."""

    def build(kind, **of_net):
        net = network(kind, **of_net)
        layers = dict(net.layers)
        gamma, beta = np.full(D, 1.5), np.full(D, 0.5)
        net.params["gamma9"], net.params["beta9"] = gamma, beta
        net.layers.clear()
        net.layers["Dropout9"] = Dropout(0.1, seed=5, inverted=True)
        net.layers["Norm9"] = BatchNormalization(gamma, beta)
        net.layers.update(layers)
        net.layers["Dropout8"] = Dropout(0.3, seed=6)
        net.layers["Affine1"].input_gradient = True
        return net

    def with_norm(net):
        by_network, norm = net.gradient, net.layers["Norm9"]

        def gradient(x, t):
            return {**by_network(x, t), "gamma9": norm.dgamma, "beta9": norm.dbeta}

        net.gradient = gradient

    expect_close(*both("tanh norm dropout", "momentum", make_net=build, of_layers=with_norm))


def test_each_rule_has_a_function_of_its_own():
    """Programs call it by its address, so none runs another's, or one that is not known."""
    rules = {kind.rule.name for kind in optimizers.OPTIMIZERS.values()}
    found = {addresses(np.dtype(d), rule).on_rule for d in "fd" for rule in rules}
    assert len(found) == 2 * len(rules) and 0 not in found
    with pytest.raises(KeyError, match="newton_"):
        addresses(np.dtype("f"), "newton_")


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_no_rule_is_compiled_but_the_one_that_is_asked_for(name, monkeypatch):
    asked, find = [], code.address

    def note(part, dtype=None):
        asked.append((part, dtype))
        return find(part, dtype)

    monkeypatch.setattr(code, "address", note)
    monkeypatch.setattr(_tables, "addresses", parts.addresses.__wrapped__)
    both(name=name, steps=1)
    rules = {parts.part_of(kind.rule.name) for kind in optimizers.OPTIMIZERS.values()}
    own = parts.part_of(optimizers.OPTIMIZERS[name].rule.name)
    assert {each for each in asked if each[0] in rules} == {(own, np.dtype(np.float64))}


def test_every_kind_of_step_that_has_a_part_is_in_the_catalogue():
    steps = [value for value in vars(kinds).values() if isinstance(value, Step)]
    steps += [step for value in vars(kinds).values() if isinstance(value, tuple) for step in value]
    named = {step.part for step in steps if step.part}
    listed = {name for name in catalogue.parts() if name.startswith("step_of_")}
    rules = {parts.part_of(kind.rule.name) for kind in optimizers.OPTIMIZERS.values()}
    assert named | rules == listed and not named & rules


@pytest.mark.parametrize("kind", ["float32", "int32", "every other"])
@pytest.mark.parametrize("which", ["losses", "correct", "penalties"])
def test_results_are_written_where_they_fit_alone(which, kind):
    """Compiled code knows where they begin, and nothing else of them."""
    (x, t), net = data(), network()
    program = Program(net, optimizer(), x, t, BATCH, StepSettings(alpha=0.1))
    given = {"losses": np.zeros(2), "correct": np.zeros(2, np.int64), "penalties": np.zeros(2)}
    wrong = given[which].repeat(2)[::2] if kind == "every other" else given[which].astype(kind)
    before = {key: p.copy() for key, p in net.params.items()}
    with pytest.raises(ValueError, match=f"^{which}: expected 2 numbers of (float|int)64, side"):
        program.run(rows(2), BATCH, rates(2), **(given | {which: wrong}))
    for key, p in net.params.items():
        np.testing.assert_array_equal(p, before[key])


# Of these one is known, but not without a kernel.
UNKNOWN = [-1, program_tables.ELEMENTWISE, program_tables.ELEMENTWISE + 1, 1 << 40]


def planted(plant, kind="relu norm", steps=3, n=N, batch=BATCH):
    """Train with a table in which `plant` has put something else; return what changed, and why."""
    net, opt = network(kind), optimizer("adam")
    x, t = data(n)
    program = Program(net, opt, x, t, batch, StepSettings(clip_norm=1.0, ema=0.9))
    before = {key: p.copy() for key, p in net.params.items()}
    averages = {key: average.copy() for key, average in program.averages.items()}
    plant(program._tables(gathered=True))
    losses, hits = np.zeros(steps), np.zeros(steps, np.int64)
    with pytest.raises(RuntimeError) as caught:
        program.run(rows(steps, batch, n=n), batch, rates(steps), losses, hits)
    assert program.done == 0
    assert opt.iter == 0
    for key, p in net.params.items():
        np.testing.assert_array_equal(p, before[key])
        np.testing.assert_array_equal(program.averages[key], averages[key])
        for state in (opt.m, opt.v):
            assert not state[key].any()
    return str(caught.value)


@pytest.mark.parametrize("number", [program_tables.BY_ADDRESS, *UNKNOWN])
@pytest.mark.parametrize("which", ["first", "loss", "last", "finish"])
def test_nothing_else_is_done_for_an_unknown_step(number, which):
    def plant(tables):
        loss = kinds.CROSS_ENTROPY.address(tables.plan.sizes.real)
        last = int(np.flatnonzero(tables.steps["function"] == loss)[0])
        finish = int(tables.segments["finish"].max())
        places = {"first": 0, "loss": last, "last": -1, "finish": finish}
        tables.steps["kind"][places[which]] = number
        tables.steps["function"][places[which]] = 0

    assert f"got a step of kind {number};" in planted(plant)


@pytest.mark.parametrize("number", UNKNOWN)
def test_nothing_else_is_done_for_an_unknown_update(number):
    def plant(tables):
        tables.updates["kind"][-1] = number

    assert f"got an update of kind {number};" in planted(plant)


@pytest.mark.parametrize("number", UNKNOWN)
def test_nothing_else_is_read_for_an_unknown_kind_of_data(number):
    def plant(tables):
        tables.program["data_kind"] = number

    assert f"got data of kind {number};" in planted(plant)


class Planted(Tables):
    """With a last step of a kind that there is not."""

    def __init__(self, *args):
        super().__init__(*args)
        self.steps["kind"][-1], self.steps["function"][-1] = 99, 0


def test_passes_stop_at_an_unknown_step(monkeypatch):
    monkeypatch.setattr(_passes, "Tables", Planted)
    net, (x, t) = network(), data()
    passes = _passes.Passes([*net.layers.items()], D, N, net.dtype, training=True)
    with pytest.raises(RuntimeError, match="got a step of kind 99;"):
        passes.backward(x, t)


def test_inference_stops_at_an_unknown_step(monkeypatch):
    monkeypatch.setattr(_inference, "WORTH", 0)
    net, (x, _) = network(), data()
    assert _inference.scores(net, x) is not None
    monkeypatch.setattr(_inference, "Tables", Planted)
    with pytest.raises(RuntimeError, match="got a step of kind 99;"):
        _inference.scores(net, x)


@pytest.mark.parametrize("where", ["rows", "batch"])
def test_a_layer_cannot_plan_a_step_that_is_none(monkeypatch, where):
    def forward(plan, name, layer, x):
        (plan.add if where == "rows" else plan.end_segment)(Step("odd", 99), source=x)
        return x

    odd = replace(record_of(layers_module.Tanh()), forward=forward)
    monkeypatch.setitem(_record._RECORDS, layers_module.Tanh, odd)
    net, (x, t) = network("tanh"), data()
    before = {key: p.copy() for key, p in net.params.items()}
    program = Program(net, optimizer(), x, t, BATCH, StepSettings())
    with pytest.raises(RuntimeError, match="got a step of kind 99;"):
        program.run(rows(1), BATCH, np.ones(1), np.zeros(1), np.zeros(1, np.int64))
    for key, p in net.params.items():
        np.testing.assert_array_equal(p, before[key])


def test_passes_have_no_rule():
    """They compute gradients alone: there is nothing that could change a parameter."""
    net = network()
    passes = _passes.Passes([*net.layers.items()], D, N, net.dtype, training=True)
    assert passes._tables.program[0]["on_rule"] == 0
    assert passes._tables.program[0]["training"] == program_tables.FORWARD
