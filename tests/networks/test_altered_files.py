"""Files that somebody has altered: refused as a whole, with their name, or good."""

import copy
import io
import itertools
import zipfile

import numpy as np
import pytest
from altered import altered, altered_arrays, archive, contents, places
from memory import peak_memory
from states import everything

import fastnn
from fastnn import MultiLayerNetExtend, Network, layers, optimizers, schedules
from fastnn.callbacks import load_checkpoint, save_checkpoint
from fastnn.layers.record import settings_of

D, C, N = 5, 3, 12


def data():
    rng = np.random.default_rng(902)
    return rng.normal(size=(N, D)).astype(np.float32), rng.integers(C, size=N)


def of_the_books(seed=0):
    return MultiLayerNetExtend(D, [4], C, use_batchnorm=True, use_dropout=True, seed=seed)


def stack(seed=0):
    return Network(
        [layers.Affine(4), layers.LeakyRelu(), layers.BatchNormalization(), layers.Dropout(0.2),
         layers.Affine(C)],
        input_size=D, seed=seed,
    )  # fmt: skip


def images(seed=0):
    return Network(
        [layers.Convolution(2, 2, pad=1), layers.Relu(), layers.MaxPool(2, 2), layers.Affine(C)],
        input_size=(1, 3, 3), seed=seed,
    )  # fmt: skip


def state_of(optimizer):
    """Return an optimizer's attributes, with arrays as bytes."""
    return {
        name: {key: (a.tobytes(), a.dtype, a.shape) for key, a in value.items()}
        if isinstance(value, dict)
        else value
        for name, value in vars(optimizer).items()
    }


def bytes_of(net):
    found = {k: v.tobytes() if isinstance(v, np.ndarray) else v for k, v in everything(net).items()}
    settings = {
        (key, name): getattr(layer, name)
        for key, layer in net.layers.items()
        for name in settings_of(layer)
        if hasattr(layer, name)
    }
    return found, settings, net.weight_decay_lambda


def expect_usable(net):
    """Use a network as its file says that it can be, and save it."""
    net.save(io.BytesIO())
    if net.input_size is None:  # as of one that is made of arrays
        return
    size = net.input_size if isinstance(net.input_size, tuple) else (net.input_size,)
    assert net.predict(np.zeros((2, *size), np.float32)).shape[0] == 2


def every(facts, arrays, share):
    """Yield all alterations, or one in so many of them."""
    each = itertools.chain(
        ((path, what, new, arrays) for path in places(facts) for what, new in altered(facts, path)),
        ((n, what, facts, new) for n in arrays for what, new in altered_arrays(arrays, n)),
    )
    yield from itertools.islice(each, 0, None, share)


SHARES = pytest.mark.parametrize(
    "share", [pytest.param(7, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)]
)


@SHARES
@pytest.mark.parametrize("make", [of_the_books, stack, images])
def test_networks(make, share):
    file, net = io.BytesIO(), make()
    net.save(file)
    other = make(1)
    before = bytes_of(other)
    refused = 0
    for place, what, facts, arrays in every(*contents(file), share):
        for load in (fastnn.load, other.load):
            try:
                loaded = load(archive(facts, arrays)) or other
            except ValueError as error:
                refused += 1
                assert "file object BytesIO" in str(error), (place, what)
                assert bytes_of(other) == before, (place, what)
            except Exception as error:
                raise AssertionError((place, what)) from error
            else:
                expect_usable(loaded)
                other = make(1)
    assert refused > 100 / share


@pytest.mark.parametrize(
    ("rule", "share"), [("nadam", 7), pytest.param("adam", 1, marks=pytest.mark.slow)]
)
def test_checkpoints(rule, share):
    (x, t), file, net = data(), io.BytesIO(), of_the_books()
    schedule = schedules.warmup(2, then=schedules.cosine(epochs=4))
    kind = optimizers.OPTIMIZERS[rule]
    net.fit(x, t, 2, 5, kind(), schedule=schedule, ema=0.9, clip_norm=1.0, verbose=False, seed=0)
    save_checkpoint(file, net)
    # What is of the network is altered above.
    facts, arrays = contents(file)
    network = facts.pop("network")
    kept = {name: a for name, a in arrays.items() if name.startswith(("params", "layers"))}
    rest = {name: a for name, a in arrays.items() if name not in kept}
    other, optimizer, refused = of_the_books(1), kind(), 0
    before = bytes_of(other), state_of(optimizer)
    for place, what, altered_facts, altered_rest in every(facts, rest, share):
        changed = archive({**altered_facts, "network": network}, {**kept, **altered_rest})
        try:
            history = load_checkpoint(changed, other, optimizer)
        except ValueError as error:
            refused += 1
            assert "BytesIO" in str(error), (place, what)
            assert (bytes_of(other), state_of(optimizer)) == before, (place, what)
        except Exception as error:
            raise AssertionError((place, what)) from error
        else:
            save_checkpoint(io.BytesIO(), other, optimizer, history)
            lost = history.scheduled and history.schedule is None  # as of one that is a function
            if history.samples == N and history.batch_size == 5 and not lost:
                resume = {"resume": history, "optimizer": optimizer, "verbose": False}
                other.fit(x, t, history.epochs, 5, **resume)
            other, optimizer = of_the_books(1), kind()
    assert refused > 100 / share


def test_settings_of_layers_of_the_users_own():
    class Own(layers.Layer):
        params: dict = {}  # noqa: RUF012
        alpha = None

        def forward(self, x, train_flg=False):
            return x

        def backward(self, dout):
            return dout

    def make(alpha):
        net = Network([Own(), layers.Affine(C)], input_size=D)
        net.layers["Own1"].alpha = alpha
        return net

    file, net = io.BytesIO(), make(0.5)
    net.save(file)
    facts, arrays = contents(file)
    named = facts["network"]["layer_settings"]
    assert named == {"Own1.alpha": 0.5}
    for present, value in ((0.1, 2), (None, "text"), ("text", "other"), (True, False)):
        named["Own1.alpha"], net = value, make(present)
        net.load(archive(facts, arrays))
        assert net.layers["Own1"].alpha is value or net.layers["Own1"].alpha == value
    for present, value in ((0.1, "text"), ("text", 2), (True, 2), (0.1, None), (0.1, [1])):
        named["Own1.alpha"], net = value, make(present)
        with pytest.raises(ValueError, match="BytesIO: network.layer_settings.*Own1.alpha.*got"):
            net.load(archive(facts, arrays))
        assert net.layers["Own1"].alpha == present
    for name in ("Own1.forward", "Own1._rule", "Own1.__class__", "Own2.alpha", "alpha"):
        net = make(0.1)
        named.clear()
        named[name] = 1
        with pytest.raises(ValueError, match=f"settings of the layers, got '{name}'"):
            net.load(archive(facts, arrays))


def test_a_property_of_a_layer_of_the_users_own_stays_what_it_is():
    class Plain(layers.Layer):
        params: dict = {}  # noqa: RUF012
        eps = property(lambda self: 0.5)

        def forward(self, x, train_flg=False):
            return x

        def backward(self, dout):
            return dout

    def make():
        return Network([Plain(), layers.Affine(C)], input_size=D)

    file, net = io.BytesIO(), make()
    net.save(file)
    other = make()
    other.load(file)
    assert bytes_of(other) == bytes_of(net)
    facts, arrays = contents(file)
    facts["network"]["layer_settings"]["Plain1.eps"] = 0.25
    before = bytes_of(other)
    with pytest.raises(ValueError, match=r"Plain1.eps.*: expected 0.5, which cannot be set"):
        other.load(archive(facts, arrays))
    assert bytes_of(other) == before


def test_parameters_that_cannot_be_written_to_are_refused_before_others_are_changed():
    file, net = io.BytesIO(), of_the_books()
    net.save(file)
    other = of_the_books(1)
    other.params["b2"].flags.writeable = False
    before = bytes_of(other)
    with pytest.raises(
        ValueError, match=r"^network: params\['b2'\]: expected an array to write to"
    ):
        other.load(file)
    assert bytes_of(other) == before


# --- sizes -------------------------------------------------------------------------------

LITTLE = 1 << 20  # bytes


def peak(call):
    """Return the most memory that a call which is refused takes, and the message."""
    with peak_memory() as taken, pytest.raises(ValueError, match="BytesIO") as caught:
        call()
    return taken[0], str(caught.value)


def test_sizes_that_a_file_does_not_hold():
    file, net = io.BytesIO(), fastnn.MultiLayerNet(D, [4], C)
    net.save(file)
    facts, arrays = contents(file)
    facts["network"] |= {
        "hidden_size_list": [12000, 12000],
        "layers": {"Affine1": "AffineRelu", "Affine2": "AffineRelu", "Affine3": "Affine"},
    }
    taken, text = peak(lambda: fastnn.load(archive(facts, arrays)))
    assert taken < LITTLE and "params/W1: expected shape (5, 12000)" in text


@pytest.mark.parametrize("make", [stack, images])
def test_the_size_of_an_input_that_a_file_does_not_fit(make):
    file, net = io.BytesIO(), make()
    net.save(file)
    facts, arrays = contents(file)
    for size in (10**9, [10**9, 3, 3], [1, 10**6, 10**6]):
        facts["network"]["input_size"] = size
        unsized = make()
        unsized = Network(
            [type(layer)(*FORMS.get(type(layer), ())) for layer in unsized.layers.values()]
        )
        for load in (fastnn.load, unsized.load):
            taken, _ = peak(lambda load=load: load(archive(facts, arrays)))
            assert taken < LITTLE
        assert unsized.params == {} and unsized.input_size is None


FORMS = {layers.Affine: (10**4,), layers.Convolution: (10**3, 2), layers.MaxPool: (2, 2)}


def test_headers_that_claim_more_than_there_is():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as whole:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f4", "fortran_order": False, "shape": (10**9,)}
        )
        whole.writestr("params/W1.npy", header.getvalue() + bytes(100))
    taken, text = peak(lambda: fastnn.load(file))
    assert taken < LITTLE and "params/W1.npy: expected 4000000000 bytes" in text


def test_archives_that_are_packed():
    file = io.BytesIO()
    np.savez_compressed(file, x=np.zeros(10**8, np.int8))
    taken, text = peak(lambda: fastnn.load(file))
    assert taken < LITTLE and "x.npy: expected an array that is not compressed" in text


def test_members_that_overlap():
    """As of a zip bomb: one array, which many entries of the directory stand for."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as whole:
        whole.writestr("x.npy", bytes(10**5))
        first = whole.infolist()[0]
        for i in range(100):
            again = copy.copy(first)
            again.filename = again.orig_filename = f"y{i}.npy"
            whole.filelist.append(again)
            whole.NameToInfo[again.filename] = again
        whole._didModify = True
    taken, text = peak(lambda: fastnn.load(file))
    assert taken < LITTLE and "bytes of arrays, its size" in text


def test_a_name_from_a_file_hides_no_attribute_of_an_optimizer():
    class Own:
        _rule = "of the class"

        def __init__(self):
            self.lr = 0.1

        def update(self, params, grads):
            pass

    (x, t), file, net = data(), io.BytesIO(), of_the_books()
    net.fit(x, t, 1, 5, Own(), verbose=False)
    save_checkpoint(file, net)
    facts, arrays = contents(file)
    for name in ("_rule", "update", "__class__", "a name"):
        facts["optimizer"]["settings"] = {"lr": 0.5, name: 1.0}
        optimizer = Own()
        with pytest.raises(ValueError, match=f"BytesIO: optimizer: expected .* Own, got '{name}'"):
            load_checkpoint(archive(facts, arrays), net, optimizer)
        assert vars(optimizer) == {"lr": 0.1}


@pytest.mark.parametrize("rule", optimizers.OPTIMIZERS)
def test_what_is_never_negative_is_not(rule):
    (x, t), file, net = data(), io.BytesIO(), of_the_books()
    net.fit(x, t, 1, 5, rule, verbose=False)
    save_checkpoint(file, net)
    facts, arrays = contents(file)
    signed = {"optimizer/m"} | ({"optimizer/v"} if rule in ("momentum", "nesterov") else set())
    for name in arrays:
        kind = name.rpartition("/")[0]
        if kind.startswith("optimizer") or name.endswith("running_var"):
            altered = archive(facts, {**arrays, name: arrays[name] - np.float32(1e6)})
            if kind in signed:
                load_checkpoint(altered, of_the_books(1))
                continue
            other = of_the_books(1)
            before = bytes_of(other)
            with pytest.raises(ValueError, match=f"{name}: expected numbers of at least 0, got -"):
                load_checkpoint(altered, other)
            assert bytes_of(other) == before
