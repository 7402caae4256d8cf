"""Networks and checkpoints from files, and trainings that go on from them."""

import itertools

from recorded.settings import DTYPES, running
from recorded.trainings import (
    OPTIONS,
    SIZES,
    Case,
    network_of,
    optimizer_of,
    results,
    samples_of,
)

import fastnn
from fastnn import callbacks, networks

CASES = [
    Case(),
    Case("two layers", optimizer="SGD", option="clip_norm"),
    Case("sigmoid", "one-hot", "Momentum", "in order"),
    Case("tanh", "squared error", "Nesterov", "cosine"),
    Case("batchnorm", "dense", "Adam, explicit", "ema"),
    Case("dropout", optimizer="AdaGrad", option="warmup"),
    Case("all", optimizer="AdamW", option="everything"),
    Case("all, sigmoid", optimizer="RMSProp", data="uint8"),
    Case("no hidden layer", "squared error", size="one batch"),
]


def _write(case, dtype, saved, checkpoint):
    x, t = samples_of(case)
    network = network_of(case, dtype)
    network.fit(
        x, t, 2, SIZES[case.size][1], optimizer_of(case, "program"), verbose=False, seed=5,
        callbacks=[callbacks.Checkpoint(checkpoint)], **OPTIONS[case.option],
    )  # fmt: skip
    network.save(saved)


def _read(case, dtype, saved, checkpoint):
    """Yield what files hold, and where trainings come to that go on from them."""
    x, t = samples_of(case)
    network = fastnn.load(saved)
    other = network_of(case, dtype)
    other.load(saved)
    same = type(network) is type(other) and isinstance(network, networks.MultiLayerNetExtend)
    yield "loaded", [same, network.params, other.params, network.predict(x), other.gradient(x, t)]
    network = fastnn.load(checkpoint)
    history = callbacks.load_checkpoint(checkpoint, network)
    given = {"validation": OPTIONS[case.option].get("validation")}
    history = network.fit(x, t, 4, SIZES[case.size][1], verbose=False, resume=history, **given)
    yield from results(network, history, history.optimizer, x, t, many=True)


def cases(folder, write):
    """Yield names and results; write the files before, or take those that are there."""
    for (i, case), dtype in itertools.product(enumerate(CASES), DTYPES):
        files = folder / f"network-{i}-{dtype}.npz", folder / f"checkpoint-{i}-{dtype}.npz"
        with running("numba", 2):
            if write:
                _write(case, dtype, *files)
            for name, value in _read(case, dtype, *files):
                yield f"{i}/{dtype}/{name}", value
