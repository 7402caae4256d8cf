"""Networks: random stacks of every layer, their predictions, gradients and trainings.

What has to have the same bits is made twice: with one thread and with two, before and after
pickling and files, by the compiled program and layer by layer (there within rounding, where sums
are taken in another order).
"""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import rounding
import routes
from states import everything

import fastnn
from fastnn import Network, config, layers, optimizers, schedules
from fastnn.kernels.threading import threads
from fastnn.layers.record import nearest_record
from fastnn.layers.sizes import is_built
from fastnn.layers.state import lasting
from fastnn.training import choice
from tests.attack import workers
from tests.attack.calls import SMALL_GRAIN, Failure
from tests.attack.guarded import READ_LAYOUTS, Placed, Slot, place
from tests.attack.outcome import Outcome
from tests.attack.values import Draw
from tests.attack.workers import Found, Note

RANK, UNIT, FULL, CHUNK = 5, "networks", 20_000, 1_000
COMMAND = "python -m tests.attack stacks"
PROMISE = (
    "Any stack of layers predicts, gives gradients and trains with the same bits for any number of "
    "threads, and after pickling and files; the compiled program agrees with the layers; samples "
    "and targets stay as they are, prediction changes no layer, and a bad argument changes nothing."
)
TEST = "tests/attack/test_stacks.py"

Shape = tuple[int, ...]
Made = tuple[Callable[[], Any], Shape]  # what makes a layer, and the shape of its output

_slots: list[Slot] = []


def slots() -> list[Slot]:
    """Return this process's guarded memory, for samples and targets."""
    if not _slots:
        _slots.extend(Slot(1 << 18) for _ in range(2))
    return _slots


# Layers ---------------------------------------------------------------------------------------


def _affine(kind: type[Any]) -> Callable[[Draw, Shape], Made]:
    def make(draw: Draw, shape: Shape) -> Made:
        size = draw.one([1, 2, 3, 5, 8, 16, 17])
        return lambda: kind(size), (size,)

    return make


def _same(kind: type[Any], **settings: Callable[[Draw], Any]) -> Callable[[Draw, Shape], Made]:
    """Return what draws a layer whose output is shaped like its input."""

    def make(draw: Draw, shape: Shape) -> Made:
        given = {name: of(draw) for name, of in settings.items() if draw.chance(0.6)}
        return lambda: kind(**given), shape

    return make


def _convolution(draw: Draw, shape: Shape) -> Made | None:
    if len(shape) != 3:
        return None
    filters, size, stride, pad = (
        int(draw.rng.integers(*of)) for of in ((1, 5), (1, 4), (1, 3), (0, 2))
    )
    h, w = (n + 2 * pad - size for n in shape[1:])
    if min(h, w) < 0:
        return None
    made = lambda: layers.Convolution(filters, size, stride, pad)  # noqa: E731
    return made, (filters, h // stride + 1, w // stride + 1)


def _pool(draw: Draw, shape: Shape) -> Made | None:
    if len(shape) != 3 or min(shape[1:]) < 2:
        return None
    size, stride = int(draw.rng.integers(1, 3)), draw.one([None, 1, 2])
    step = stride or size
    h, w = ((n - size) // step + 1 for n in shape[1:])
    return (lambda: layers.MaxPool(size, size, stride)), (shape[0], h, w)


def _flatten(draw: Draw, shape: Shape) -> Made:
    return layers.Flatten, (int(np.prod(shape)),)


def _share(draw: Draw) -> float:
    return float(draw.rng.uniform(0, 0.9))


def _slope(draw: Draw) -> float:
    return float(draw.rng.uniform(0, 1.5))


def _flag(draw: Draw) -> bool:
    return draw.chance(0.5)


_norm = {"momentum": _share, "eps": lambda draw: 10 ** draw.rng.uniform(-6, -1), "per_pixel": _flag}
LAYERS: dict[str, Callable[[Draw, Shape], Made | None]] = {
    "Affine": _affine(layers.Affine),
    "AffineRelu": _affine(layers.AffineRelu),
    "BatchNormalization": _same(layers.BatchNormalization, **_norm),
    "BatchNormRelu": _same(layers.BatchNormRelu, **_norm),
    "LayerNormalization": _same(layers.LayerNormalization, eps=_norm["eps"]),
    "Convolution": _convolution,
    "MaxPool": _pool,
    "Dropout": _same(layers.Dropout, dropout_ratio=_share, inverted=_flag),
    "Relu": _same(layers.Relu),
    "LeakyRelu": _same(layers.LeakyRelu, negative_slope=_slope),
    "Elu": _same(layers.Elu, alpha=_slope),
    "Gelu": _same(layers.Gelu, approximate=lambda draw: draw.one(["none", "tanh"])),
    "Silu": _same(layers.Silu),
    "Softplus": _same(layers.Softplus),
    "Sigmoid": _same(layers.Sigmoid),
    "Tanh": _same(layers.Tanh),
    "Identity": _same(layers.Identity),
    "Flatten": _flatten,
}
# The base class; and last layers, which `loss` names.
OTHERS = {
    "Layer",
    "SoftmaxWithLoss",
    "IdentityWithLoss",
    "SigmoidWithLoss",
    "PoissonWithLoss",
    "HuberWithLoss",
}
LOSSES = ["mean_squared_error", "binary_cross_entropy", "poisson", "huber"]


class Stack:
    """A network, its data and the settings of its training, which are drawn."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        rng = draw.rng
        images = draw.chance(0.3)
        shape: Shape = (
            (draw.one([1, 2, 3]), *map(int, rng.integers(3, 8, 2))) if images
            else (draw.one([1, 2, 4, 7, 16]),)
        )  # fmt: skip
        self.input_size = shape
        self.layers, self.names = [], []
        for _ in range(draw.one([0, 1, 2, 2, 3, 4, 6])):
            name = draw.one([*LAYERS])
            made = LAYERS[name](draw, shape)
            if made is not None:
                self.layers.append(made[0])
                self.names.append(name)
                shape = made[1]
        self.loss = draw.one(["cross_entropy", "cross_entropy", *LOSSES])
        self.outputs = draw.one([2, 3, 5]) if self.loss == "cross_entropy" else draw.one([1, 2, 4])
        self.layers.append(lambda: layers.Affine(self.outputs))
        self.settings = {
            "loss": self.loss,
            "input_size": self.input_size if images else self.input_size[0],
            "weight_decay_lambda": draw.one([0, 0, 0.01]),
            "input_scale": draw.one([1.0, 1.0, 0.5]),
            "dtype": draw.dtype,
            "seed": int(rng.integers(1000)),
        }
        self.normed = any("BatchNorm" in name for name in self.names)
        n = int(rng.integers(4, 40))
        self.batch = draw.one([b for b in (2, 3, 5, 16, 64) if not self.normed or n % b != 1])
        self.x = rng.standard_normal((n, *self.input_size)).astype(draw.dtype)
        self.t = self._targets(n)
        self.fit_settings = self._fit_settings()

    def _targets(self, n: int) -> np.ndarray:
        rng, draw = self.draw.rng, self.draw
        if self.loss == "binary_cross_entropy":
            return draw.rng.integers(0, 2, (n, self.outputs)).astype(
                draw.one([draw.dtype, np.uint8])
            )
        if self.loss == "poisson":
            return rng.poisson(1, (n, self.outputs)).astype(draw.one([draw.dtype, np.int64]))
        if self.loss != "cross_entropy":
            return rng.standard_normal((n, self.outputs)).astype(draw.dtype)
        labels = rng.integers(0, self.outputs, n)
        if draw.chance(0.3):
            return np.eye(self.outputs, dtype=draw.one([np.float32, np.uint8]))[labels]
        return labels.astype(draw.one([np.int64, np.int32, np.uint8]))

    def _fit_settings(self) -> dict[str, Any]:
        draw = self.draw
        found: dict[str, Any] = {"epochs": 2, "batch_size": self.batch, "verbose": False}
        if draw.chance(0.3):
            found["clip_value"] = 0.5
        if draw.chance(0.2):
            found["sample_weight"] = draw.rng.integers(1, 4, len(self.x))
        if draw.chance(0.2):
            found["clip_norm"] = 1.0
        if draw.chance(0.2):
            found["ema"] = 0.9
        if draw.chance(0.3):
            found["schedule"] = draw.one(
                [schedules.exponential(0.1), schedules.step_decay(3), schedules.cosine(epochs=9)]
            )
        if draw.chance(0.3):
            found["shuffle"] = draw.chance(0.5)
        found["seed"] = int(draw.rng.integers(1000))
        self.optimizer = draw.one([*optimizers.OPTIMIZERS])
        return found

    def make(self) -> Network:
        """Return the network; each time it is the same."""
        return Network([make() for make in self.layers], **self.settings)

    def fit(self, net: Network, epochs: int = 2) -> dict[str, Any]:
        """Train a network; return what came of it, and the losses."""
        optimizer = optimizers.OPTIMIZERS[self.optimizer](lr=0.01)
        settings = {**self.fit_settings, "epochs": epochs}
        history = net.fit(self.x, self.t, optimizer=optimizer, **settings)
        return everything(net) | {"losses": np.array(history.loss)}

    def place(self) -> list[Placed]:
        """Put samples and targets between guard pages, or where they can only be read."""
        found = []
        for name, slot in zip(("x", "t"), slots(), strict=True):
            layout = self.draw.one(
                ["plain", "plain", "read-only", "fortran", "spaced", "unaligned"]
            )
            placed = place(slot, getattr(self, name), layout, self.draw.chance(0.5), False)
            setattr(self, name, placed.array)
            found.append(placed)
        return found


@contextmanager
def using(threads_: int) -> Iterator[None]:
    """Use so many threads, more than one of them in small calls too."""
    grain = SMALL_GRAIN if threads_ > 1 else threads.GRAIN
    config.set_num_threads(threads_)
    with mock.patch.object(threads, "GRAIN", grain):
        yield


def expect_same(what: str, got: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raise Failure unless two dicts have the same bits."""
    if got.keys() != expected.keys():
        raise Failure(f"{what}: {sorted(got.keys() ^ expected.keys())} are there once")
    for key, value in expected.items():
        a, b = np.asarray(got[key]), np.asarray(value)
        if a.dtype != b.dtype or not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            raise Failure(f"{what}: {key} has other bits")


# Good ones ------------------------------------------------------------------------------------


def good(stack: Stack, note: Note, figures: Counter[str]) -> None:
    """Predict, differentiate and train, each in several ways."""
    placed = stack.place()
    for step in (predictions, gradients, trainings):
        note(f"{step.__name__} of {stack.names}")
        step(stack, figures)
        for each in placed:
            if not each.unchanged():
                raise Failure(f"{step.__name__}: samples or targets were written to")


def predictions(stack: Stack, figures: Counter[str]) -> None:
    """Predict with one thread and two, after a pass of training, pickling, and a file."""
    net = stack.make()
    net.loss(stack.x, stack.t)
    before = {key: _bytes(lasting(layer)) for key, layer in net.layers.items()}
    state = everything(net)
    with using(1):
        first = {"scores": net.predict(stack.x)}
    for key, layer in net.layers.items():
        if _bytes(lasting(layer)) != before[key]:
            raise Failure(f"prediction changes {type(layer).__name__}")
    expect_same("prediction", everything(net), state)
    with using(2):
        expect_same("two threads", {"scores": net.predict(stack.x)}, first)
        expect_same("again", {"scores": net.predict(stack.x)}, first)
    for name, other in _copies(net):
        expect_same(name, {"scores": other.predict(stack.x)}, first)
        expect_same(name, everything(other), state)
    figures["predictions"] += 6
    if not np.isfinite(first["scores"]).all():
        raise Failure("scores of a new network are not finite")
    agree_on_numpy(stack, net, first["scores"])


def agree_on_numpy(stack: Stack, net: Network, scores: np.ndarray) -> None:
    """Compare with the NumPy backend, within what numbers that are moved give."""
    with config.use_backend("numpy"):
        expected = net.predict(stack.x)

        def again(seed: int) -> dict[str, np.ndarray]:
            rng, moved = np.random.default_rng(seed), copy.deepcopy(net)
            for p in moved.params.values():
                p[...] = rounding.moved(p, rng, 32)
            x = rounding.moved(np.asarray(stack.x, net.dtype), rng, 32)
            return {"scores": moved.predict(x)}

        limit = rounding.limits({"scores": expected}, again)["scores"]
    far = float(np.abs(scores.astype(np.float64) - expected).max())
    floor = 32 * np.finfo(net.dtype).eps * float(np.abs(expected).max())
    if not far <= 4 * limit + floor:
        raise Failure(
            f"backends predict otherwise: off by {far:.3g}, limit {4 * limit + floor:.3g}"
        )


def _copies(net: Network) -> Iterator[tuple[str, Network]]:
    yield "pickling", pickle.loads(pickle.dumps(net))
    yield "copying", copy.deepcopy(net)
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as folder:
        path = Path(folder) / "net.npz"
        net.save(path)
        yield "a file", fastnn.load(path)


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _bytes(value: Any) -> Any:
    """Return values with arrays as their bytes, to compare."""
    if isinstance(value, dict):
        return {key: _bytes(each) for key, each in value.items()}
    return value.tobytes() if isinstance(value, np.ndarray) else repr(value)


def gradients(stack: Stack, figures: Counter[str]) -> None:
    """Differentiate with one thread and with two."""
    found = []
    for threads_ in (1, 2):
        net = stack.make()
        with using(threads_):
            found.append({key: g.copy() for key, g in net.gradient(stack.x, stack.t).items()})
        figures["gradients"] += 1
        if set(found[0]) != set(net.params):
            raise Failure("gradients and parameters have other keys")
    expect_same("two threads: gradient", found[1], found[0])


def trainings(stack: Stack, figures: Counter[str]) -> None:
    """Train with one thread and with two, once more after pickling, and layer by layer."""
    ours = []
    for threads_ in (1, 2):
        net = stack.make()
        with using(threads_):
            ours.append(stack.fit(net))
    expect_same("two threads: training", ours[1], ours[0])
    other = pickle.loads(pickle.dumps(net))
    expect_same("training after pickling", stack.fit(other, 1), stack.fit(net, 1))
    figures["trainings"] += 4
    agree_with_layers(stack, ours[0], figures)


def agree_with_layers(stack: Stack, ours: dict[str, Any], figures: Counter[str]) -> None:
    """Compare the compiled program with the way through the layers."""

    def train(seed: int | None = None) -> dict[str, Any]:
        net = stack.make()
        if seed is not None:
            rounding.moving(net, seed)
        with mock.patch.object(choice, "Program", routes.by_layers):
            return stack.fit(net)

    theirs = train()
    figures["trainings layer by layer"] += 1
    # Where rounding is all that a gradient is, a rule that divides by its size makes steps of it,
    # and kinks let a rounding decide on more than a rounding.
    exact = all(
        np.array_equal(np.asarray(ours[key]), np.asarray(theirs[key]), equal_nan=False)
        for key in ours if key != "losses"
    )  # fmt: skip
    figures["of the same bits as the program"] += exact
    if (
        exact
        or stack.draw.dtype == np.float32
        or stack.optimizer not in ("sgd", "momentum", "nesterov")
    ):
        return

    def numbers(found: dict[str, Any]) -> dict[str, np.ndarray]:
        arrays = {key: np.asarray(value) for key, value in found.items()}
        return {key: array for key, array in arrays.items() if array.dtype.kind == "f"}

    arrays = numbers(theirs)
    limits = rounding.limits(
        arrays, lambda seed: numbers(train(seed)), lambda key: key.rpartition(".")[2]
    )
    for key, limit in limits.items():
        far = float(np.abs(np.asarray(ours[key], np.float64) - arrays[key]).max(initial=0))
        floor = 64 * np.finfo(np.float64).eps * (1 + float(np.abs(arrays[key]).max(initial=0)))
        if not far <= 16 * limit + floor:
            raise Failure(
                f"the program trains otherwise: {key} off by {far:.3g}, limit {limit:.3g}"
            )


def alone(stack: Stack, note: Note, figures: Counter[str]) -> None:
    """Let one layer pass samples and gradients of any layout, forwards and backwards."""
    draw = stack.draw
    made, name = None, ""
    while made is None:
        name = draw.one([*LAYERS])
        made = LAYERS[name](draw, stack.input_size)
    note(f"{name} alone")
    n = int(draw.rng.integers(2, 20))
    shapes = (n, *stack.input_size), (n, *made[1])
    placed = []
    for slot, shape in zip(slots(), shapes, strict=True):
        values = draw.rng.standard_normal(shape).astype(draw.one(["f", "d", "e", "b"]))
        layout = draw.one(READ_LAYOUTS)
        placed.append(place(slot, values, layout, draw.chance(0.5), False))
    x, dout = (each.array for each in placed)
    seed = int(draw.rng.integers(1000))

    def passed(move: int | None = None) -> dict[str, np.ndarray]:
        layer, rng = made[0](), np.random.default_rng(move)
        if not is_built(layer):
            layer.build(stack.input_size, seed, draw.dtype)
        if name == "Dropout":
            layer.seed = seed
        given = [np.asarray(a, draw.dtype) for a in (x, dout)] if move is not None else [x, dout]
        if move is not None:
            given = [rounding.moved(a, rng, 32) for a in given]
        y = np.array(layer.forward(given[0]))
        found = {"y": y, "dx": np.array(layer.backward(given[1]))}
        for key in nearest_record(layer).parameters:
            found[f"d{key}"] = np.array(getattr(layer, f"d{key}"))
        return found

    def expect_kept() -> None:
        for each, what in zip(placed, ("samples", "gradients"), strict=True):
            if not each.unchanged():
                raise Failure(f"{name}: {what} were written to")

    with using(1):
        first = passed()
    expect_kept()
    with using(2):
        expect_same(f"{name} with two threads", passed(), first)
    with config.use_backend("numpy"):
        theirs = passed()
        limits = rounding.limits(theirs, passed)
    expect_kept()
    figures["passes of a layer alone"] += 3
    for key, limit in limits.items():
        if first[key].dtype != theirs[key].dtype:
            raise Failure(f"{name}: {key} is of another dtype on the other backend")
        far = float(np.abs(first[key].astype(np.float64) - theirs[key]).max(initial=0))
        size = float(np.abs(theirs[key]).max(initial=0))
        exact = theirs[key].dtype.kind != "f"  # what passes through as it is
        floor = 0.0 if exact else 64 * np.finfo(theirs[key].dtype).eps * size
        if not far <= 4 * limit + floor:
            raise Failure(f"{name}: backends differ in {key} by {far:.3g}, limit {limit:.3g}")


# Bad arguments --------------------------------------------------------------------------------

NO_NUMBERS: list[Any] = ["1", None, 1.5, [1], {}, np.ones(2)]
BAD: dict[str, list[Any]] = {
    "epochs": [*NO_NUMBERS, -1],
    "batch_size": [*NO_NUMBERS, 0, -1],
    "optimizer": ["nothing", 1, {}, [], object()],
    "validation": [1, "text", (1,), (1, 2, 3), {}],
    "callbacks": [1, [1], ["text"], [object()], None],
    "verbose": [],
    "schedule": [1, "cosine", schedules.cosine, {}],
    "clip_value": ["1", 0, -1.0, np.nan, np.inf, [1], {}],
    "clip_norm": ["1", 0, -1.0, np.nan, np.inf, [1], {}],
    "ema": ["1", 1.0, -0.1, np.nan, [1], {}],
    "validate_averages": ["yes", 1, 0.5, [], True],  # there is no average
    "shuffle": ["yes", 1, 0.5, []],
    "seed": ["1", 1.5, -1, 2**64, [1]],
    "resume": [1, "text", {}, object()],
    "on_divergence": ["never", 1, None, []],
    "sample_weight": ["text", [1.0], -1, [[1]], {"a": 1}],
    "class_weight": ["text", [1.0], -1, [[1]], {"a": 1}],
    "metrics": ["nothing", "top_0_accuracy", 1, [1], [["accuracy"]], {"loss": len}, {"a": 1}],
}


def _bad_samples(stack: Stack) -> list[Any]:
    x = np.array(stack.x)
    with_nan = x.copy()
    with_nan.reshape(-1)[-1] = np.nan
    more = np.concatenate([x, x], axis=1)
    return [None, "text", x[:0], x.astype(object), x.astype(complex), with_nan, x[0, :0], more, 1.0]


def _bad_targets(stack: Stack) -> list[Any]:
    t = np.array(stack.t)
    found: list[Any] = [None, "text", t[:-1], t[:0], t.astype(complex), 1.0, [[1], [1, 2]]]
    if stack.loss == "cross_entropy":
        # Any labels are taken if there are as many different ones as outputs.
        kinds = 1 + stack.outputs * (len(t) > stack.outputs)
        labels = np.arange(len(t)) % kinds
        found += [labels + stack.outputs, labels - stack.outputs - 1, labels + 0.5]
        found += [np.char.add("class ", labels.astype(str))]
    return found


def bad(stack: Stack, note: Note, figures: Counter[str]) -> None:
    """Train with one argument that does not fit: an error that names it, nothing changed."""
    net, draw = stack.make(), stack.draw
    state = everything(net)
    parameters = inspect.signature(net.fit).parameters
    name = draw.one(["x", "t", *(n for n in parameters if BAD.get(n))])
    given = {"x": stack.x, "t": stack.t, "optimizer": "sgd", **stack.fit_settings}
    of = _bad_samples if name == "x" else _bad_targets if name == "t" else lambda _: BAD[name]
    value = draw.one(of(stack))
    note(f"fit of {stack.names} with {name}={value!r:.200}")
    figures["trainings with a bad argument"] += 1
    try:
        net.fit(**(given | {name: value}))
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
        if not isinstance(error, (TypeError, ValueError)):
            raise Failure(f"fit with {name}={value!r:.60}: {text:.200}") from None
        if not re.search(rf"\b{name}\b", str(error)):
            raise Failure(
                f"fit with {name}={value!r:.60}, an error that does not say so: {text:.200}"
            ) from None
    else:
        raise Failure(f"fit takes {name}={value!r:.60}")
    expect_same("an error", everything(net), state)


KINDS = [good] * 6 + [bad] * 2 + [alone] * 2


def case(seed: int, note: Note) -> tuple[Counter[str], list[Found]]:
    """Make one network and what is done with it."""
    stack, figures = Stack(Draw(seed)), Counter({UNIT: 1})
    try:
        stack.draw.one(KINDS)(stack, note, figures)
    except Exception as error:
        failure = error if isinstance(error, Failure) else Failure(f"good arguments: {error!r}")
        kind = re.sub(r"[\d.e+-]*\d", "0", str(failure))[:80]
        what = f"{stack.names}, {stack.settings}, {stack.fit_settings}, {stack.optimizer}"
        return figures, [Found(f"stacks: {kind}", f"{failure} ({what})")]
    return figures, []


def attack(amount: int, seed: int) -> Outcome:
    """Make so many networks, in processes of their own."""
    began = time.monotonic()
    tally = workers.run(f"{__name__}:case", amount, seed, COMMAND)
    figures = {"kinds of layers": str(len(LAYERS)), **tally.figures}
    return Outcome(
        "stacks", PROMISE, TEST, figures, tally.failures(), time.monotonic() - began,
        f"{COMMAND} --amount {amount} --seed {seed}",
    )  # fmt: skip
