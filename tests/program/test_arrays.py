"""What a training program is made of: data of any kind, arrays that change, what it declines."""

import numpy as np
import pytest
import rounding
from routes import StepSettings, Unsupported, by_layers

from fastnn import MultiLayerNetExtend, Trainer, layers, optimizers
from fastnn.layers.state import lasting
from fastnn.program import Program

N, D, C, BATCH, STEPS = 60, 12, 4, 16, 5
ROWS = np.random.default_rng(940).integers(N, size=STEPS * BATCH)


def network(**settings):
    settings = {"dtype": "float64", "seed": 0, **settings}
    return MultiLayerNetExtend(D, [9, 8], C, **settings)


def labels():
    return np.random.default_rng(941).integers(C, size=N)


def data():
    return np.random.default_rng(942).normal(size=(N, D))


def program(net=None, optimizer=None, x=None, t=None, settings=None):
    return Program(
        net or network(),
        optimizer or optimizers.SGD(),
        data() if x is None else x,
        labels() if t is None else t,
        BATCH,
        settings or StepSettings(),
    )


def run(route, rows=ROWS, steps=STEPS, batch=BATCH):
    losses, hits = np.full(steps, np.nan), np.zeros(steps, np.int64)
    route.run(rows, batch, np.full(steps, 0.1), losses, hits)
    return losses


def trained(net, x, t=None, **settings):
    run(program(net, x=x, t=t, **settings))
    return net


def expect_same(net, other):
    for key, p in other.params.items():
        np.testing.assert_array_equal(net.params[key], p, err_msg=key)


# --- data ---------------------------------------------------------------------------------

LAYOUTS = {
    "plain": lambda x: x,
    "fortran": np.asfortranarray,
    "images": lambda x: x.reshape(N, 3, 2, 2),
    "fortran images": lambda x: np.asfortranarray(x.reshape(N, 3, 2, 2)),
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "every other column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "columns of a table": lambda x: np.hstack([x, x])[:, :D],
    "odd address": lambda x: odd(x),
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "list": lambda x: x.tolist(),
}


def odd(x):
    memory = np.zeros(x.nbytes + 1, np.uint8)[1:]
    array = memory.view(x.dtype).reshape(x.shape)
    array[...] = x
    return array


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["float32", "float64", "uint8", "int64", "float16", "bool"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_data_of_any_kind(layout, kind, dtype):
    x = (data() * 40 + 100).astype(kind)
    expected = network(dtype=dtype, input_scale=1 / 128)
    real = np.ascontiguousarray(x, dtype)
    run(by_layers(expected, optimizers.SGD(), real, labels(), BATCH, StepSettings()))
    expect_same(trained(network(dtype=dtype, input_scale=1 / 128), LAYOUTS[layout](x)), expected)


def test_data_on_disk(tmp_path):
    mapped = np.memmap(tmp_path / "x", "float32", "w+", shape=(N, D))
    mapped[...] = data()
    expect_same(trained(network(), mapped), trained(network(), np.array(mapped)))


def test_broadcast_rows():
    x = np.broadcast_to(data()[0], (N, D))
    expect_same(trained(network(), x), trained(network(), x.copy()))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("norm", [False, True])
def test_numbers_that_are_not_finite_come_out_as_from_the_layers(bad, norm):
    x = data()
    x[ROWS[2 * BATCH]] = bad
    ours = network(use_batchnorm=norm)
    losses = run(program(ours, x=x))

    def reference(seed=None):
        net = network(use_batchnorm=norm)
        if seed is not None:
            rounding.moving(net, seed)
        route = by_layers(net, optimizers.SGD(), x, labels(), BATCH, StepSettings())
        with np.errstate(all="ignore"):
            return net, run(route)

    theirs, expected = reference()
    np.testing.assert_array_equal(np.isnan(expected), [False, False, True, True, True])
    np.testing.assert_array_equal(np.isnan(losses), np.isnan(expected))
    limit = rounding.limits({"": expected[:2]}, lambda seed: {"": reference(seed)[1][:2]})[""]
    np.testing.assert_allclose(losses[:2], expected[:2], rtol=0, atol=limit)
    for key, p in theirs.params.items():
        np.testing.assert_array_equal(np.isnan(ours.params[key]), np.isnan(p), err_msg=key)


@pytest.mark.parametrize("wrong", [-1, N, 2**62])
def test_rows_that_are_not_there(wrong):
    rows = ROWS.copy()
    rows[-1] = wrong
    net = network()
    with pytest.raises(ValueError, match=f"rows: expected numbers from 0 to {N - 1}"):
        run(program(net), rows)
    expect_same(net, network())


@pytest.mark.parametrize(
    ("rows", "steps", "batch"),
    [
        (ROWS, STEPS, BATCH + 1),
        (ROWS, STEPS, 0),
        (ROWS, STEPS - 1, BATCH),
        (ROWS[:-BATCH], STEPS, BATCH),
        (ROWS.reshape(STEPS, BATCH), STEPS, BATCH),
    ],
)
def test_sizes_that_do_not_fit(rows, steps, batch):
    with pytest.raises(ValueError, match="^(rows|batch_size): expected"):
        run(program(), rows, steps, batch)


def test_results_that_do_not_fit():
    with pytest.raises(ValueError, match=f"losses: expected {STEPS} numbers"):
        program().run(ROWS, BATCH, np.ones(STEPS), np.ones(STEPS - 1), np.ones(STEPS, np.int64))


def test_batches_larger_than_the_data_set():
    """Trainer takes them: it draws samples with replacement."""
    rows = np.random.default_rng(943).integers(N, size=700)
    x, t = data(), labels()

    def params(make, seed=None):
        net = network()
        if seed is not None:
            rounding.moving(net, seed)
        run(make(net, optimizers.SGD(), x, t, 700, StepSettings()), rows, 1, 700)
        return net.params

    def reference(seed=None):
        return params(by_layers, seed)

    ours, theirs = params(Program), reference()
    for key, limit in rounding.limits(theirs, reference).items():
        np.testing.assert_allclose(ours[key], theirs[key], rtol=0, atol=limit, err_msg=key)
    trainer = Trainer(network(), x[:5], t[:5], x, t, epochs=2, mini_batch_size=300, verbose=False)
    trainer.train()
    assert trainer.route == "program"


@pytest.mark.parametrize("t", [np.full(N, C), np.full(N, -1), np.zeros(N - 1, int)])
def test_labels_that_do_not_fit(t):
    with pytest.raises((ValueError, Unsupported)):
        program(t=t)


def test_labels_that_change_later_do_not_count():
    t = labels()
    ours = network()
    route = program(ours, t=t)
    t[...] = 1 << 40
    run(route)
    expect_same(ours, trained(network(), data()))


# --- arrays that change -------------------------------------------------------------------


def replaced(net, name, attribute, key):
    """Put another array in place of a parameter."""
    array = net.params[key] * 0.5
    net.params[key] = array
    setattr(net.layers[name], attribute, array)


@pytest.mark.parametrize("place", [("Affine1", "W", "W1"), ("BatchNorm1", "beta", "beta1")])
def test_parameters_that_are_replaced_between_runs(place):
    ours, theirs = (network(use_batchnorm=True) for _ in range(2))
    route = program(ours, optimizers.Momentum())
    run(route)
    before = ours.params[place[2]]
    kept = before.copy()
    replaced(ours, *place)
    run(route)
    np.testing.assert_array_equal(before, kept)  # nothing is written to it any more
    optimizer = optimizers.Momentum()
    run(program(theirs, optimizer))
    replaced(theirs, *place)
    run(program(theirs, optimizer))
    expect_same(ours, theirs)


def test_arrays_that_come_to_stand_where_others_stood():
    """An array has its number (id) for its life only; a program must not go by it alone."""
    net = network(use_batchnorm=True)
    route = program(net)
    run(route)
    norm = net.layers["BatchNorm1"]
    for _ in range(50):
        norm.running_mean = None
        norm.running_mean = np.zeros(9)
        run(route)
        assert norm.running_mean.any()


@pytest.mark.parametrize("place", ["params", "layer"])
def test_a_parameter_that_is_replaced_in_one_place_is_in_the_other(place):
    ours, theirs = network(), network()
    for net in (ours, theirs):
        route = program(net, optimizers.SGD(0.1))
        run(route)
        array = net.params["W1"] * 0.5
        if net is theirs:
            net.params["W1"][...] = array
        elif place == "params":
            net.params["W1"] = array
        else:
            net.layers["Affine1"].W = array
        run(route)
    expect_same(ours, theirs)
    assert ours.params["W1"] is ours.layers["Affine1"].W


def test_another_shape_or_another_layer_is_refused():
    net = network()
    route = program(net)
    run(route)
    net.params["W1"] = net.layers["Affine1"].W = np.zeros((D, 10))
    with pytest.raises(ValueError, match="^params: shapes of arrays changed"):
        run(route)
    net = network()
    route = program(net)
    net.layers["Affine2"] = layers.Affine(net.params["W2"], net.params["b2"])
    with pytest.raises(ValueError, match="^layers: "):
        run(route)


@pytest.mark.parametrize("state", [None, "zeros", "item", "list"])
def test_states_that_are_replaced_between_runs(state):
    """A callback may begin anew with the moments."""

    def change(optimizer):
        if state == "item":
            optimizer.v["W1"] = np.ones_like(optimizer.v["W1"])
        elif state == "list":
            optimizer.v = {key: (v * 0.5).tolist() for key, v in optimizer.v.items()}
        else:
            optimizer.v = state and {key: np.zeros_like(v) for key, v in optimizer.v.items()}

    ours, theirs = network(), network()
    first, second = optimizers.Momentum(), optimizers.Momentum()
    route = program(ours, first)
    run(route)
    change(first)
    run(route)
    run(program(theirs, second))
    change(second)
    run(program(theirs, second))
    expect_same(ours, theirs)
    np.testing.assert_array_equal(first.v["W1"], second.v["W1"])


@pytest.mark.parametrize(
    "change",
    [
        lambda net: setattr(net.layers["Dropout1"], "dropout_ratio", 0.9),
        lambda net: setattr(net.layers["Dropout1"], "inverted", True),
        lambda net: setattr(net.layers["Dropout1"], "seed", 77),
        lambda net: setattr(net.layers["Dropout2"], "step", 50),
        lambda net: setattr(net.layers["BatchNorm1"], "eps", 0.5),
        lambda net: setattr(net.layers["BatchNorm1"], "momentum", 0.1),
        lambda net: setattr(net, "weight_decay_lambda", 0.5),
    ],
    ids=["ratio", "inverted", "seed", "step", "eps", "momentum", "penalty"],
)
def test_settings_that_change_between_runs(change):
    nets = [network(use_batchnorm=True, use_dropout=True) for _ in range(3)]
    route = program(nets[0])
    run(route)
    change(nets[0])
    run(route)
    for net, done in zip(nets[1:], (change, lambda net: None), strict=True):
        run(program(net))
        done(net)
        run(program(net))
    expect_same(nets[0], nets[1])
    changed = [
        not np.array_equal(a, b)
        for net in (nets[0],)
        for a, b in (
            (net.params["W1"], nets[2].params["W1"]),
            (net.layers["BatchNorm1"].running_mean, nets[2].layers["BatchNorm1"].running_mean),
        )
    ]
    assert any(changed)


def test_whatever_is_set_in_a_layer_makes_new_tables():
    net = network(use_batchnorm=True, use_dropout=True)
    for layer in (*net.layers.values(), net.last_layer):
        layer.slope = 0.5  # of an activation that there may be one day
    route = program(net)
    run(route)
    tables = route._tables(gathered=True)
    for layer in (*net.layers.values(), net.last_layer):
        for name, value in lasting(layer).items():
            assert route._tables(gathered=True) is tables, name
            if isinstance(value, bool):
                other = not value
            else:
                other = (value / 2 or 0.5) if isinstance(value, float) else value + 1
            setattr(layer, name, value.copy() if isinstance(value, np.ndarray) else other)
            for key, p in net.params.items():
                if p is value:
                    net.params[key] = getattr(layer, name)
            before, tables = tables, route._tables(gathered=True)
            assert tables is not before, (type(layer).__name__, name)


def test_passes_make_no_new_tables():
    net, x, t = network(use_batchnorm=True, use_dropout=True), data(), labels()
    route = program(net)
    run(route)
    tables = route._tables(gathered=True)
    for _ in range(2):
        net.gradient(x, t)
        net.predict(x)
        net.loss(x, t)
        assert route._tables(gathered=True) is tables


def test_another_loss_is_refused():
    net = network()
    route = program(net)
    run(route)
    net.last_layer = layers.IdentityWithLoss()
    with pytest.raises(ValueError, match="^last_layer: its type changed"):
        run(route)
    net.last_layer = layers.SoftmaxWithLoss()
    run(route)


# --- what it declines ---------------------------------------------------------------------


def swish(net, optimizer):
    class Swish(layers.Relu):
        pass

    net.layers["Swish"] = Swish()
    return net, optimizer


def own_network(method):
    def make(net, optimizer):
        function = getattr(MultiLayerNetExtend, method)
        net.__class__ = type("Own", (MultiLayerNetExtend,), {method: lambda *a: function(*a)})
        return net, optimizer

    return make


def own_rule(net, optimizer):
    return net, type("Mine", (optimizers.Adam,), {})()


def other_rule(net, optimizer):
    class Still:
        lr = 0.1

        def update(self, params, grads):
            pass

    return net, Still()


def changing(function):
    def make(net, optimizer):
        function(net, optimizer)
        return net, optimizer

    return make


def with_weights(net, optimizer, form):
    net.params["W1"] = net.layers["Affine1"].W = form(net.params["W1"])


def read_only(net, optimizer):
    net.params["b2"].flags.writeable = False


def copied(net, optimizer):
    net.layers["Affine2"].b = net.params["b2"].copy()


def tied(net, optimizer):
    net.params["b2"] = net.layers["Affine2"].b = net.params["b3"] = net.layers["Affine3"].b


def overlapping(net, optimizer):
    memory = np.zeros(C + 8)
    net.params["b2"] = net.layers["Affine2"].b = memory[:8]
    net.params["b3"] = net.layers["Affine3"].b = memory[4 : 4 + C]


def short_bias(net, optimizer):
    net.params["b1"] = net.layers["Affine1"].b = np.zeros(1)


def wrong_state(net, optimizer):
    optimizer.v = {"W1": np.zeros((2, 2))}


def twice(net, optimizer):
    net.layers["Again"] = net.layers["Sigmoid"] = layers.Sigmoid()


DECLINED = {
    "an unknown layer": (swish, "Swish is of type Swish"),
    "a predict of its own": (own_network("predict"), "Own has a method predict"),
    "a gradient of its own": (own_network("gradient"), "Own has a method gradient"),
    "a gradient that was put in": (
        changing(lambda net, o: setattr(net, "gradient", net.gradient)), "has a method gradient"),
    "a forward that was put in": (
        changing(lambda net, o: setattr(net.layers["Affine1"], "forward", print)),
        "Affine1 has a method forward"),
    "an optimizer of one's own": (other_rule, "the optimizer is of type Still"),
    "a subclass of Adam": (own_rule, "the optimizer is of type Mine"),
    "an update that was put in": (
        changing(lambda n, optimizer: setattr(optimizer, "update", optimizer.update)),
        "the optimizer has a method update"),
    "a parameter that no layer has": (changing(copied), "Affine2.b is none of the arrays"),
    "a parameter more": (
        changing(lambda net, o: net.params.update(W9=np.zeros(3))), "params has arrays"),
    "another order of memory": (
        changing(lambda n, o: with_weights(n, o, np.asfortranarray)), "Affine1.W is not a contig"),
    "another dtype": (
        changing(lambda n, o: with_weights(n, o, np.float32)), "Affine1.W is not a contig"),
    "another byte order": (
        changing(lambda n, o: with_weights(n, o, lambda W: W.astype(">f8"))), "Affine1.W is not"),
    "a read-only parameter": (changing(read_only), "Affine2.b is not a contiguous, writable"),
    "a parameter of two layers": (changing(tied), "Affine[23].b|two layers share|shape"),
    "parameters that overlap": (changing(overlapping), "share memory"),
    "a bias of another size": (changing(short_bias), "Affine1.b has shape .1,."),
    "a state of another shape": (changing(wrong_state), "state for W1 has another shape"),
    "a layer under two names": (changing(twice), "under two names"),
}  # fmt: skip


@pytest.mark.parametrize("what", DECLINED)
def test_declined(what):
    change, reason = DECLINED[what]
    net, optimizer = change(network(), optimizers.Momentum())
    with pytest.raises(Unsupported, match=reason):
        program(net, optimizer)


@pytest.mark.parametrize(
    "what",
    [
        "an unknown layer",
        "a gradient of its own",
        "a subclass of Adam",
        "an optimizer of one's own",
        "another order of memory",
    ],
)
def test_fit_goes_layer_by_layer_and_says_why(what):
    change, reason = DECLINED[what]
    net, optimizer = change(network(), optimizers.Momentum())
    history = net.fit(data(), labels(), 2, BATCH, optimizer, verbose=False, seed=0)
    assert history.route == "layers"
    assert history.epochs == 2
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(history.reason)


def test_fit_of_what_is_known_takes_the_program():
    history = network().fit(data(), labels(), 1, BATCH, verbose=False, seed=0)
    assert (history.route, history.reason) == ("program", "")


def test_another_scale_is_refused():
    net = network()
    route = program(net)
    run(route)
    net.input_scale = 0.5
    with pytest.raises(ValueError, match="^input_scale: changed since training began"):
        run(route)
