"""All else that is public: constructors and functions with one bad argument, ensembles, IDX files.

What there is is found from the packages; the arguments of each by their names.
"""

from __future__ import annotations

import gzip
import inspect
import re
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import (
    MultiLayerNet,
    callbacks,
    datasets,
    ensembles,
    layers,
    networks,
    optimizers,
    schedules,
)
from fastnn.layers.record import record_of
from fastnn.layers.sizes import is_built
from tests.attack import values, workers
from tests.attack.calls import Failure
from tests.attack.outcome import Outcome
from tests.attack.stacks import expect_same, using
from tests.attack.values import NOT_INTEGERS, NOT_NUMBERS, Draw
from tests.attack.workers import Found, Note

RANK, UNIT, FULL, CHUNK = 7, "cases of the rest", 200_000, 10_000
COMMAND = "python -m tests.attack surface"
PROMISE = (
    "Constructors of layers, optimizers, networks, ensembles, schedules and callbacks, and loaders "
    "of data, answer a bad argument with a TypeError or ValueError that names it; a damaged "
    "file never loads as something else."
)
TEST = "tests/attack/test_surface.py"

# What is a table, a base of others, or takes anything.
OTHERS = {"OPTIMIZERS", "Optimizer", "Layer", "Callback"}
PACKAGES = (layers, optimizers, networks, ensembles, schedules, callbacks, datasets)
PUBLIC: dict[str, Callable[..., Any]] = {
    f"{package.__name__.rpartition('.')[2]}.{name}": getattr(package, name)
    for package in PACKAGES
    for name in package.__all__
    if name not in OTHERS
}
NAMES = sorted(PUBLIC)

_NUMBERS: list[Any] = [*NOT_NUMBERS, np.nan]
_INTEGERS: list[Any] = [*NOT_INTEGERS, -1]
_OPTIONAL = [value for value in _INTEGERS if value is not None]
# An integer is a file descriptor to `open`: one that is not there.
_NO_PATHS: list[Any] = [None, 98765, 1.5, [], {}, object()]
_NO_NETWORKS: list[Any] = [None, 1, "text", object(), [], np.ones(3)]
FEATURES, CLASSES = 3, 2


def network(draw: Draw) -> MultiLayerNet:
    """Return a small network."""
    return MultiLayerNet(FEATURES, [4], CLASSES, seed=int(draw.rng.integers(100)))


def samples(draw: Draw) -> np.ndarray:
    """Return samples for it."""
    return draw.rng.standard_normal((6, FEATURES))


def _ones(draw: Draw) -> np.ndarray:
    return np.ones(4, draw.dtype)


# Of each argument, by its name or by "function.name": how a good one is drawn, and some bad ones.
# None among the good ones is what it is when it is not given.
Given = tuple[Callable[[Draw], Any], list[Any]]
ARGUMENTS: dict[str, Given] = {
    "W": (lambda draw: 3, ["text", 1.5, {}, 0, -1, np.ones(3), 1j]),
    "b": (lambda draw: None, [3, "text", {}, np.ones((2, 2)), 1j]),
    "Convolution.W": (lambda draw: 3, ["text", 1.5, {}, 0, -1, np.ones(3), None]),
    "Convolution.b": (lambda draw: 2, ["text", 1.5, {}, 0, -1, None, (1, 2, 3)]),
    "init": (lambda draw: draw.one([None, "he", "xavier", 0.1]), ["nothing", -1.0, [], {}, np.nan]),
    "gamma": (_ones, ["text", {}, np.ones((2, 2, 2)), 1j]),
    "beta": (_ones, ["text", {}, np.ones((2, 2, 2)), 1j]),
    "running_mean": (lambda draw: draw.one([None, _ones(draw)]), ["text", {}, 1j]),
    "running_var": (lambda draw: draw.one([None, _ones(draw)]), ["text", {}, 1j]),
    "per_pixel": (lambda draw: draw.chance(0.5), []),
    "dropout_ratio": (values.fraction, [*_NUMBERS, 1.0, -0.1]),
    "dropout_ration": (values.fraction, [*_NUMBERS, 1.0, -0.1]),
    "Dropout.seed": (lambda draw: draw.one([None, 1]), _OPTIONAL),
    "Convolution.stride": (lambda draw: 1, [*_INTEGERS, 0]),
    "Convolution.pad": (lambda draw: 1, _INTEGERS),
    "pool_h": (lambda draw: 2, [*_INTEGERS, 0]),
    "pool_w": (lambda draw: 2, [*_INTEGERS, 0]),
    "MaxPool.stride": (lambda draw: draw.one([None, 1]), [*_OPTIONAL, 0]),
    "layers": (lambda draw: [layers.Affine(3)], [None, 1, "text", [], [1], [None], {}, {"a": 1}]),
    "loss": (lambda draw: "cross_entropy", [None, 1, "nothing", [], object()]),
    "input_size": (lambda draw: FEATURES, ["text", 1.5, 0, -1, [], {}, (1, "a"), (0,)]),
    "output_size": (lambda draw: CLASSES, [*_INTEGERS, 0]),
    "hidden_size": (lambda draw: 3, [*_INTEGERS, 0]),
    "hidden_size_list": (lambda draw: [3], [None, 1, "text", [0], [-1], ["a"], [1.5], {1.5: 2}]),
    "weight_decay_lambda": (lambda draw: 0.1, [*_NUMBERS, -1]),
    "input_scale": (lambda draw: 1.0, [*_NUMBERS, 0, -1]),
    "dtype": (lambda draw: draw.dtype, ["float16", "int64", "text", 1, object(), complex]),
    "seed": (lambda draw: 1, ["1", 1.5, -1, {}]),
    "activation": (lambda draw: "relu", [None, 1, "nothing", []]),
    "weight_init_std": (lambda draw: 0.1, [None, "nothing", -1.0, np.nan, [], {}]),
    "use_dropout": (lambda draw: draw.chance(0.5), []),
    "use_batchnorm": (lambda draw: draw.chance(0.5), []),
    "label_smoothing": (lambda draw: 0.1, [*_NUMBERS, 1.5, -0.1]),
    "delta": (lambda draw: 1.0, [*_NUMBERS, 0, -1]),
    "temperature": (lambda draw: 2.0, [*_NUMBERS, 0, -1]),
    "DistillationLoss.alpha": (lambda draw: 0.5, [*_NUMBERS, 1.5, -0.1]),
    "distill.alpha": (lambda draw: 0.5, [1j, "1", [0.5, 0.5], 1.5, -0.1, np.nan]),
    "networks": (lambda draw: [network(draw), network(draw)], [None, 1, [], [1], "text", {}]),
    "every": (lambda draw: 2, [*_OPTIONAL, 0]),
    "keep": (lambda draw: draw.one([None, 2]), [*_OPTIONAL, 0]),
    "network": (network, _NO_NETWORKS),
    "optimizer": (lambda draw: optimizers.SGD(), [1, "text", object(), {}]),
    "history": (lambda draw: network(draw).history, [1, "text", {}]),
    # The file, or a history, is looked at first, and there is none.
    "save_checkpoint.path": (lambda draw: "missing/file.npz", []),
    "save_checkpoint.optimizer": (lambda draw: None, []),
    "load_checkpoint.network": (network, []),
    "load_checkpoint.optimizer": (lambda draw: None, []),
    "averaged.x": (samples, []),  # of use where there is batch normalisation alone
    "averages": (lambda draw: dict(network(draw).params), [None, 1, [], {}, {"W1": 1}]),
    "student": (network, _NO_NETWORKS),
    "teacher": (network, _NO_NETWORKS),
    "x": (samples, [None, "text", 1j, np.ones((6, FEATURES + 1)), np.ones((6, FEATURES), complex)]),
    "t": (
        lambda draw: draw.rng.integers(0, CLASSES, 6),
        ["text", np.zeros(5, int), np.full(6, CLASSES), np.full(6, -1)],
    ),
    "settings": (lambda draw: None, []),
    "steps": (lambda draw: 5, [*_OPTIONAL, -1]),
    "epochs": (lambda draw: None, []),
    "final": (lambda draw: 0.1, [*_NUMBERS, 1.5, -0.1]),
    "k": (lambda draw: 0.1, [*_NUMBERS, -1.0]),
    "schedule": (lambda draw: schedules.exponential(0.1), []),
    "steps_per_epoch": (lambda draw: 5, [*_INTEGERS, 0]),
    "factor": (lambda draw: 0.5, [*_NUMBERS, 1.5, -0.1]),
    "then": (lambda draw: None, [1, "text", []]),
    "monitor": (lambda draw: "val_loss", [1, "nothing", [], {}]),
    "patience": (lambda draw: 3, [*_INTEGERS, 0]),
    "mode": (lambda draw: None, ["most", 1, True, []]),
    "min_delta": (lambda draw: 0.0, [*_NUMBERS, -1.0]),
    "min_lr": (lambda draw: 0.0, [*_NUMBERS, -1.0]),
    "restore_best": (lambda draw: draw.chance(0.5), []),
    "path": (lambda draw: "missing/file.npz", _NO_PATHS),
    "data_dir": (lambda draw: "missing", [1, 1.5, [], {}, object()]),
    "subset": (lambda draw: None, [1, "nothing", []]),
    "normalize": (lambda draw: draw.chance(0.5), []),
    "flatten": (lambda draw: draw.chance(0.5), []),
    "one_hot_label": (lambda draw: draw.chance(0.5), []),
}  # fmt: skip


def of(function: str, name: str) -> Given:
    """Return how an argument of a public name is drawn, and bad ones."""
    for key in (f"{function.rpartition('.')[2]}.{name}", name):
        if key in ARGUMENTS:
            return ARGUMENTS[key]
    return values.NUMBERS[name]


def parameters(function: str) -> list[str]:
    """Return the names of what it takes."""
    return list(inspect.signature(PUBLIC[function]).parameters)


def bad_argument(draw: Draw, note: Note, figures: Counter[str]) -> None:
    """Call something with one bad argument: an error that names it, or its file."""
    function = draw.one(NAMES)
    names = parameters(function)
    spoilable = [name for name in names if of(function, name)[1]]
    if not spoilable:
        return
    bad = draw.one(spoilable)
    given = {name: of(function, name)[0](draw) for name in names if name != "settings"}
    given = {name: value for name, value in given.items() if value is not None}
    given[bad] = draw.one(of(function, bad)[1])
    if bad == "b" and "Affine" in function:  # an array beside an array
        given["W"] = np.ones((FEATURES, 4), draw.dtype)
        given.pop("init", None)
    what = f"{function} with {bad}={type(given[bad]).__name__}: {given[bad]!r:.60}"
    note(what)
    figures["calls with a bad argument"] += 1
    if function == "ensembles.distill":
        given["verbose"] = False
    try:
        made = PUBLIC[function](**given)
        if function.startswith("layers."):
            use(made)
    except Exception as error:
        text = f"{what}: {type(error).__name__}: {error!s:.160}"
        if not isinstance(error, (TypeError, ValueError)):
            raise Failure(text) from None
        if not re.search(rf"\b{bad}\b", str(error)):
            raise Failure(f"{text} (which does not name it)") from None
    else:
        raise Failure(f"{what} is accepted")


def use(layer: Any) -> None:
    """Build a layer and let it compute: what it was given may be looked at only then."""
    shape = (2, 6, 6) if isinstance(layer, (layers.Convolution, layers.MaxPool)) else (FEATURES,)
    normalising = layers.BatchNormalization, layers.BatchNormRelu, layers.LayerNormalization
    if isinstance(layer, normalising):
        shape = (4,)
    if not is_built(layer):
        layer.build(shape)
    x = np.random.default_rng(0).standard_normal((5, *shape))
    layer.forward(*(x, x) if is_loss(layer) else (x,))


def is_loss(layer: Any) -> bool:
    """Say whether a layer takes targets too."""
    return record_of(layer).is_loss


def ensemble(draw: Draw, note: Note, figures: Counter[str]) -> None:
    """Predict with several networks: the same bits again, samples and members as they were."""
    note("an ensemble")
    members = [network(draw) for _ in range(draw.one([1, 2, 3]))]
    x, several = samples(draw), ensembles.Ensemble(members)
    before = x.tobytes(), [{k: p.copy() for k, p in net.params.items()} for net in members]
    with using(1):
        first = several.predict(x)
    with using(2):
        expect_same("two threads", {"scores": several.predict(x)}, {"scores": first})
    if x.tobytes() != before[0]:
        raise Failure("an ensemble writes to its samples")
    for net, params in zip(members, before[1], strict=True):
        expect_same("a member", net.params, params)
    figures["predictions of ensembles"] += 2


def schedule(draw: Draw, note: Note, figures: Counter[str]) -> None:
    """Ask a schedule for factors: as many as steps, finite, at least 0, and the steps kept."""
    name = draw.one([n for n in schedules.__all__ if n != "in_steps"])
    note(f"schedules.{name}")
    given = {n: of(f"schedules.{name}", n)[0](draw) for n in parameters(f"schedules.{name}")}
    made = getattr(schedules, name)(**{n: v for n, v in given.items() if v is not None})
    steps = np.arange(int(draw.rng.integers(0, 40)), dtype=np.int64) + int(
        draw.rng.integers(0, 2**40)
    )
    before = steps.copy()
    factors = np.asarray(made(steps))
    if factors.shape != steps.shape or not np.isfinite(factors).all() or (factors < 0).any():
        raise Failure(f"schedules.{name}: factors {factors[:3]} for steps {steps[:3]}")
    if not np.array_equal(steps, before):
        raise Failure(f"schedules.{name} writes to the steps")
    figures["schedules"] += 1


IDX = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def idx_file(draw: Draw, note: Note, figures: Counter[str]) -> None:
    """Read an IDX file, whole or damaged: the array, or a ValueError that names the file."""
    rng = draw.rng
    code = draw.one([*IDX])
    shape = tuple(int(n) for n in rng.integers(0, 6, draw.one([1, 2, 3, 4])))
    array = rng.integers(0, 100, shape).astype(IDX[code])
    data = bytearray(bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape))
    data += array.tobytes()
    whole = bytes(data)
    how = draw.one(["whole", "cut", "more", "bits", "header"])
    if how == "cut":
        del data[int(rng.integers(len(data))) :]
    elif how == "more":
        data += bytes(int(rng.integers(1, 20)))
    elif how in ("bits", "header"):
        most = len(data) if how == "bits" else min(len(data), 4 + 4 * len(shape))
        data[int(rng.integers(most))] ^= 1 << int(rng.integers(8))
    packed = gzip.compress(bytes(data), 1) if draw.chance(0.4) else bytes(data)
    if packed[:2] == b"\x1f\x8b" and draw.chance(0.4):
        damaged = bytearray(packed)
        damaged[int(rng.integers(len(damaged)))] ^= 1 << int(rng.integers(8))
        packed, how = bytes(damaged), "gzip"
    note(f"read_idx of {packed[:80].hex()}")
    figures["IDX files"] += 1
    with tempfile.NamedTemporaryFile(suffix=".idx") as file:
        file.write(packed)
        file.flush()
        try:
            got = datasets.read_idx(file.name)
        except ValueError as error:
            if how == "whole" or Path(file.name).name not in str(error):
                raise Failure(f"read_idx of a file, {how}: {error}") from None
            return
        except Exception as error:
            raise Failure(f"read_idx of a file, {how}: {error!r}") from None
    header = bytes([0, 0, data[2], got.ndim]) + struct.pack(f">{got.ndim}I", *got.shape)
    written = header + got.astype(IDX[data[2]]).tobytes()
    if written != bytes(data) and how != "gzip":
        raise Failure(f"read_idx of a file, {how}, gives what is not there")
    if how in ("cut", "more") or (how == "gzip" and written != whole and bytes(data) == whole):
        raise Failure(f"read_idx takes a damaged file, {how}")


KINDS = [bad_argument] * 6 + [idx_file] * 3 + [schedule, ensemble]


def _kind(text: str) -> str:
    """Return what failures have in common that differ in the bad value, or in numbers, alone."""
    return re.sub(r"\d+", "0", text.partition("=")[0])[:80]


def case(seed: int, note: Note) -> tuple[Counter[str], list[Found]]:
    """Make one of the calls."""
    draw, figures = Draw(seed), Counter({UNIT: 1})
    kind = draw.one(KINDS)
    try:
        kind(draw, note, figures)
    except Exception as error:
        failure = error if isinstance(error, Failure) else Failure(f"{kind.__name__}: {error!r}")
        return figures, [Found(_kind(str(failure)), str(failure))]
    return figures, []


def attack(amount: int, seed: int) -> Outcome:
    """Make so many cases, in processes of their own."""
    began = time.monotonic()
    tally = workers.run(f"{__name__}:case", amount, seed, COMMAND)
    figures = {"public names": str(len(NAMES)), **tally.figures}
    return Outcome(
        "surface", PROMISE, TEST, figures, tally.failures(), time.monotonic() - began,
        f"{COMMAND} --amount {amount} --seed {seed}",
    )  # fmt: skip
