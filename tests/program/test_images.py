"""Networks of images in the training program: the numbers of the layers, on any threads."""

import copy
import gc
import tracemalloc

import numpy as np
import pytest
import rounding
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from routes import StepSettings, Unsupported, by_layers
from states import everything, expect_same

from fastnn import Network, optimizers, set_num_threads
from fastnn.callbacks import Checkpoint, load_checkpoint
from fastnn.layers import (
    Affine,
    BatchNormalization,
    BatchNormRelu,
    Convolution,
    Dropout,
    Flatten,
    MaxPool,
    Relu,
    Sigmoid,
)
from fastnn.program import Program
from fastnn.program.data import samples
from fastnn.program.inference import scores_of

C = 3
ALL = StepSettings(clip_value=0.5, clip_norm=0.4, ema=0.9)
KINDS = {
    "convolution": lambda: Convolution(3, (3, 2), pad=1),
    "stride": lambda: Convolution(4, 2, stride=2),
    "pixels": lambda: Convolution(2, 1),
    "much padding": lambda: Convolution(2, 2, pad=3),
    "pool": lambda: MaxPool(2, 2),
    "pools that meet": lambda: MaxPool(2, 3, stride=1),
    "norm": lambda: BatchNormalization(eps=1e-3),
    "norm + relu": lambda: BatchNormRelu(eps=1e-3),
    "norm per pixel": lambda: BatchNormalization(eps=1e-3, per_pixel=True),
    "relu": Relu,
    "sigmoid": Sigmoid,
    "dropout": lambda: Dropout(0.2),
    "flatten": Flatten,
    "affine": lambda: Affine(5),
}
BOOK = ("convolution", "relu", "pool", "affine", "relu")
DEEP = ("convolution", "norm", "relu", "stride", "norm + relu", "dropout", "affine", "sigmoid")


def network(kinds, size=(2, 7, 6), dtype="float64", **options):
    net = Network(
        [*(KINDS[kind]() for kind in kinds), Affine(C)], input_size=size, dtype=dtype, seed=0,
        **options,
    )  # fmt: skip
    rng = np.random.default_rng(920)
    for key, p in net.params.items():
        if not key.endswith("W"):  # a unit that is exactly zero is on a kink
            p += rng.normal(0, 0.3, p.shape).astype(dtype)
    return net


def data(n=60, size=(2, 7, 6)):
    rng = np.random.default_rng(921)
    return rng.normal(size=(n, *size)), rng.integers(C, size=n)


def train(make, net, batch=40, steps=3, last=9, chosen=ALL, moved=None, xt=None, weights=None):
    """Return all that some steps change; the last of them has fewer samples."""
    if moved is not None:
        rounding.moving(net, moved)
    opt, (x, t) = optimizers.SGD(), xt or data()
    route = make(net, opt, x, t, batch, chosen, weights)
    rows = np.random.default_rng(922).integers(len(x), size=(steps - 1) * batch + last)
    losses, hits = np.zeros(steps), np.zeros(steps, np.int64)
    route.run(rows, batch, np.linspace(0.1, 0.02, steps), losses, hits)
    averages = {f"average {key}": a for key, a in (route.averages or {}).items()}
    return {**everything(net), **averages, "losses": losses, "hits": hits}


def expect_as_layers(net, **given):
    """Expect what rounding can make of the steps that layers take."""
    got = train(Program, copy.deepcopy(net), **given)
    expected = train(by_layers, copy.deepcopy(net), **given)

    def again(seed):
        return train(by_layers, copy.deepcopy(net), moved=seed, **given)

    np.testing.assert_array_equal(got["hits"], expected["hits"])
    assert got.keys() == expected.keys()
    for key, limit in rounding.limits(expected, again, lambda key: key.split(".")[-1]).items():
        np.testing.assert_allclose(got[key], expected[key], rtol=0, atol=limit, err_msg=key)


@settings(max_examples=25, deadline=None)
@given(
    kinds=st.lists(st.sampled_from([*KINDS]), min_size=1, max_size=6),
    size=st.tuples(st.integers(1, 3), st.integers(4, 9), st.integers(4, 9)),
    batch=st.integers(2, 40),
    decay=st.sampled_from([0, 0.01]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_any_stack_is_the_same_on_both_routes(kinds, size, batch, decay, dtype):
    try:
        net = network(kinds, size, dtype, weight_decay_lambda=decay)
    except ValueError:  # images have become too small, or are no images any more
        assume(False)
    expect_as_layers(net, batch=batch, last=min(9, batch), xt=data(size=size))


@pytest.mark.parametrize("kinds", [BOOK, DEEP])
@pytest.mark.parametrize("name", ["momentum", "adam", "rmsprop"])
def test_fit_takes_the_program(kinds, name):
    """Optimizers, weights of samples and schedules are none of the layers' business."""
    x, t = data()
    weight = np.linspace(0.5, 2, len(x))
    found = []
    for stranger in (False, True):
        net = network(kinds)
        if stranger:
            net.layers["Relu1"].forward = net.layers["Relu1"].forward
        opt = optimizers.OPTIMIZERS[name](0.003)
        history = net.fit(
            x, t, 2, 16, optimizer=opt, seed=0, verbose=False, sample_weight=weight, clip_norm=1
        )
        assert history.route == ("layers" if stranger else "program")
        found.append(net.params)
    unit = 500 * np.finfo(float).eps  # a smooth stretch of eight steps
    for key, p in found[0].items():
        np.testing.assert_allclose(p, found[1][key], rtol=0, atol=unit ** (2 / 3), err_msg=key)


@pytest.mark.parametrize("last", [1, 15, 16, 17])
def test_batches_of_few_images(last):
    """A channel of one image has a variance: that of its pixels."""
    expect_as_layers(network(DEEP[:5]), batch=17, last=last)


def test_one_image_at_a_time():
    expect_as_layers(network(("convolution", "norm", "relu")), batch=1, last=1, steps=5)


def test_one_image_with_a_norm_per_pixel_is_refused():
    x, t = data()
    with pytest.raises(ValueError, match="at least 2 samples"):
        network(("norm per pixel",)).fit(x, t, 1, 1, verbose=False)


@pytest.mark.parametrize("kinds", [BOOK, DEEP])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_for_any_number_of_threads(crowd, kinds, dtype):
    def trained(count):
        set_num_threads(count)
        given = {"batch": 100, "last": 83, "xt": data(130)}
        return train(Program, network(kinds, dtype=dtype), **given)

    expected = trained(1)
    for count in (2, 5):
        expect_same(trained(count), expected)


def test_flat_samples_bytes_and_samples_on_other_strides():
    x, t = data()
    whole = np.clip(np.rint(60 * x + 128), 0, 255)
    expected = train(Program, network(BOOK, input_scale=1 / 256), xt=(whole, t))
    for other in (whole.reshape(len(x), -1), whole.astype(np.uint8), np.asfortranarray(whole)):
        net = network(BOOK, input_scale=1 / 256)
        expect_same(train(Program, net, xt=(other, t)), expected)


def test_all_samples_in_a_step():
    """They are read where they lie."""
    x, t = data()
    found = []
    for make in (Program, by_layers):
        net = network(BOOK)
        losses, hits = np.zeros(2), np.zeros(2, np.int64)
        route = make(net, optimizers.SGD(), x, t, len(x), StepSettings())
        route.run(None, len(x), np.full(2, 0.1), losses, hits)
        found.append({**everything(net), "losses": losses})
    for key, value in found[0].items():
        terms = len(x) * 42 * np.finfo(float).eps  # sums over places of all images, of numbers of 1
        np.testing.assert_allclose(value, found[1][key], rtol=0, atol=8 * terms, err_msg=key)


def test_steps_allocate_nothing():
    x, t = data(300)
    net, opt = network(DEEP), optimizers.Adam()
    program = Program(net, opt, x, t, 20, StepSettings())
    counts = []
    for steps in (5, 60):
        rows = np.arange(steps * 20) % len(x)
        arrays = np.full(steps, 0.01), np.zeros(steps), np.zeros(steps, np.int64)
        program.run(rows, 20, *arrays)
        gc.collect()
        tracemalloc.start()
        program.run(rows, 20, *arrays)
        counts.append(tracemalloc.get_traced_memory()[1] - rows.nbytes - 8 * steps)
        tracemalloc.stop()
    assert counts[1] - counts[0] < 8 * 55 * 8  # what is given for each step


def test_a_training_goes_on_from_its_checkpoint(tmp_path):
    x, t = data()
    straight, parts = network(DEEP), network(DEEP)
    chosen = {"batch_size": 16, "seed": 3, "verbose": False}
    straight.fit(x, t, 4, optimizer=optimizers.Adam(0.01), **chosen)
    path = tmp_path / "half"
    parts.fit(x, t, 2, optimizer=optimizers.Adam(0.01), callbacks=[Checkpoint(path)], **chosen)
    again, optimizer = network(DEEP), optimizers.Adam(0.01)
    history = load_checkpoint(path, again, optimizer)
    history = again.fit(x, t, 4, optimizer=optimizer, resume=history, **chosen)
    assert history.route == "program"
    expect_same(everything(again), everything(straight))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(kinds=st.lists(st.sampled_from([*KINDS]), min_size=1, max_size=5), n=st.integers(1, 70))
def test_scores(kinds, n):
    """What batch normalisation does at test time is part of the filters before it."""
    try:
        net = network(kinds)
    except ValueError:
        assume(False)
    x, t = data(n)
    if n > 1:
        net.fit(x, t, 1, 16, verbose=False, seed=0)  # which leaves running statistics
    expected = net._layer_by_layer(x, False)
    try:
        found = scores_of([*net.layers.items()], samples(x, 1.0, net.dtype), net.dtype, x.shape[1:])
    except Unsupported:  # such as batch normalisation before the first weights
        return
    far = 1e4 * np.finfo(float).eps * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=far)


def test_explain_names_the_steps(capsys):
    network(DEEP).explain()
    text = capsys.readouterr().out
    assert text.startswith("route: compiled training program")
    for words in ("convolution", "mean, variance, running statistics of channels", "dropout"):
        assert words in text
