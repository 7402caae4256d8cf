"""Training of a network on a data set, epoch by epoch: what ``network.fit`` does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn import layers, ops
from fastnn._messages import compiling
from fastnn._utils import interrupts
from fastnn._utils import validation as numbers
from fastnn._utils.types import Float64s, Int64s, Samples
from fastnn._utils.warnings import warn
from fastnn.optimizers import Adam
from fastnn.optimizers.updater import Updater, optimizer_of, rate_of
from fastnn.program.executor import Route, StepSettings
from fastnn.training import schedules
from fastnn.training.callbacks import Callback, Checkpoint
from fastnn.training.choice import choose
from fastnn.training.data import Pair, not_finite, samples, split
from fastnn.training.evaluation import evaluate
from fastnn.training.factors import factors_of, warn_of_rest
from fastnn.training.history import History
from fastnn.training.progress import mean_text, samples_bar
from fastnn.training.runner import Runner
from fastnn.training.schedules import Schedule, describe


def fit(
    network: Any,
    x: ArrayLike,
    t: ArrayLike,
    epochs: SupportsIndex,
    batch_size: SupportsIndex,
    optimizer: Any,
    validation: Any,
    callbacks: Iterable[Any],
    verbose: bool,
    *,
    schedule: Schedule | None,
    clip_value: SupportsFloat | None,
    clip_norm: SupportsFloat | None,
    ema: SupportsFloat | None,
    shuffle: bool | None,
    seed: SupportsIndex | None,
    resume: History | None,
) -> History:
    """Train a network: see :meth:`fastnn.networks.MultiLayerNetExtend.fit`."""
    epochs = numbers.whole("epochs", epochs, 0)
    batch_size = numbers.whole("batch_size", batch_size, 1)
    if optimizer is None:
        optimizer = getattr(resume, "optimizer", None) or Adam()
    optimizer = optimizer_of(optimizer, {})
    if schedule is not None and not callable(schedule):
        raise TypeError(f"schedule: expected a function of step numbers, got {schedule!r}")
    for name in schedules.__all__:
        if schedule is getattr(schedules, name):
            raise TypeError(
                f"schedule: expected what schedules.{name}(...) returns, got that function itself"
            )
    if schedule is not None and rate_of(optimizer) is None:
        raise TypeError(f"schedule: expected an optimizer with a number `lr`, got {optimizer!r}")
    given = {
        "schedule": schedule,
        "clip_value": None if clip_value is None else numbers.positive("clip_value", clip_value),
        "clip_norm": None if clip_norm is None else numbers.positive("clip_norm", clip_norm),
        "ema": None if ema is None else numbers.below_one("ema", ema),
        "shuffle": None if shuffle is None else numbers.flag("shuffle", shuffle),
    }
    x, t = samples(network, x, t)
    (x, t), held_out = split(network, x, t, validation)
    called = _callbacks(callbacks)
    history = _history(network, len(x), min(batch_size, len(x)), held_out, seed, resume)
    if schedule is None and history.scheduled and history.schedule is None:
        raise ValueError(
            "schedule: expected the function of the training to resume, which its file or pickle "
            "could not hold, got None"
        )
    with _undone_unless_begun(network, history):
        for name, value in given.items():
            if value is not None:
                setattr(history, name, value)
        history.scheduled = history.schedule is not None
        settings = StepSettings(history.clip_value, history.clip_norm, history.ema)
        route = choose(network, optimizer, x, t, history.batch_size, settings)
        history.route, history.reason = route.name, route.reason
        if route.averages is not None and history.averages is not None:
            if route.averages.keys() != history.averages.keys():
                raise ValueError(
                    f"resume: expected a history with averages of {', '.join(route.averages)}, "
                    f"like this network, got {', '.join(history.averages)}"
                )
            for key, average in route.averages.items():
                average[...] = history.averages[key]
        history.averages, history.optimizer = route.averages, optimizer
        network.history = history
        for callback in called:
            callback.network, callback.optimizer, callback.history = network, optimizer, history
            callback.on_train_begin()
        _run(network, route, optimizer, {"x": x, "t": t}, epochs, held_out, called, verbose)
    return history


@contextmanager
def _undone_unless_begun(network: Any, history: History) -> Iterator[None]:
    """Put history and network.history back if an error comes before the first step."""
    before, of_network = dict(vars(history)), network.history
    first = len(history.step_losses)
    try:
        yield
    except Exception:
        if len(history.step_losses) == first:
            vars(history).update(before)
            network.history = of_network
        raise


def _run(
    network: Any,
    route: Route,
    optimizer: Updater,
    data: dict[str, Samples],
    epochs: int,
    held_out: Pair | None,
    called: Sequence[Callback],
    verbose: bool,
) -> None:
    """Carry out the epochs that are left."""
    history: History = network.history
    schedule = history.schedule
    if schedule is not None:
        schedule = schedules.in_steps(schedule, history.steps_per_epoch)
        if describe(schedule) is not None:
            warn_of_rest(schedule, len(history.step_losses), epochs * history.steps_per_epoch)

    def record(losses: Float64s, hits: Int64s) -> None:
        history.step_losses += losses.tolist()
        history.step_hits += hits.tolist()

    def advance(count: int) -> None:
        progress.advance(
            count,
            lambda: {
                "epoch": f"{history.epochs + 1}/{epochs}",
                "loss": mean_text(history.step_losses[-20:]),
            },
        )

    runner = Runner(route, optimizer, history.batch_size, history.steps_per_epoch, record, data)
    done = min(len(history.step_losses) * history.batch_size, epochs * history.samples)
    # A step on all samples takes them as they stand: their order changes rounding errors alone.
    whole, told = history.steps_per_epoch == 1, False
    rows = None if whole else np.arange(history.samples, dtype=np.int64)
    with samples_bar(route, epochs * history.samples, done, verbose) as progress:
        while history.epochs < epochs:
            if rows is not None and history.shuffle:
                ops.permutation(history.samples, history.seed, history.epochs, out=rows)
            if whole and held_out is None and not called:
                try:
                    _train(history, runner, rows, epochs, schedule, advance)
                finally:
                    _record(history, runner, schedule)
            else:
                _train(history, runner, rows, history.epochs + 1, schedule, advance, called)
                validated: tuple[float, ...] = ()
                if held_out is not None:
                    validated = evaluate(network, *held_out)
                    if not (math.isfinite(validated[0]) or told):
                        told = True
                        _warn_of_validation(validated[0], held_out, history.epochs + 1)
                _record(history, runner, schedule, *validated)
            progress.write(f"epoch {history.epochs}/{epochs}: {history.line(history.epochs)}")
            ending = [c for c in called if c.on_epoch_end(history.epochs)]
            if ending:
                names = ", ".join(type(callback).__name__ for callback in ending)
                progress.write(f"{names}: the training ends here")
                break
    for callback in called:
        callback.on_train_end()


def _warn_of_validation(loss: float, held_out: Pair, epoch: int) -> None:
    """Name a sample in a file that makes a validation loss not finite; others are seen before."""
    for name, array in zip("xt", held_out, strict=True):
        where = not_finite(f"validation {name}", array)
        if where:
            warn(
                f"the validation loss became {loss} in epoch {epoch}; there is {where}",
                RuntimeWarning,
            )
            return


def _train(
    history: History,
    runner: Runner,
    rows: Int64s | None,
    until: int,
    schedule: Schedule | None,
    after: Callable[[int], None],
    callbacks: Sequence[Callback] = (),
) -> None:
    """Carry out the steps that are left before epoch `until`, counted from 0."""
    size, end = history.batch_size, until * history.steps_per_epoch
    epoch = history.epochs * history.steps_per_epoch  # its first step
    begin = first = len(history.step_losses)  # in the middle if the epoch was interrupted
    factors = factors_of(schedule, first, end)
    while begin < end:
        stops = [_stop(callback, begin) for callback in callbacks]
        stop = min([end, *(step for step in stops if step is not None)])
        part = None if rows is None else rows[(begin - epoch) * size : (stop - epoch) * size]
        start = compiling.clock()
        try:
            runner.run(part, factors[begin - first : stop - first], begin, after)
        finally:
            history.elapsed += compiling.clock() - start
        for callback, wanted in zip(callbacks, stops, strict=True):
            if wanted == stop:
                callback.on_steps_end(stop)
        begin = stop


def _stop(callback: Callback, done: int) -> int | None:
    """Return the step after which a callback is to be called next."""
    stop = callback.next_stop(done)
    if stop is None:
        return None
    return numbers.whole(f"{type(callback).__name__}.next_stop({done})", stop, done + 1)


def _record(history: History, runner: Runner, schedule: Schedule | None, *validated: float) -> None:
    """Record the epochs that have all their steps by now; what was validated is the last one's."""
    steps, begin = history.steps_per_epoch, history.epochs
    end = len(history.step_losses) // steps
    if end == begin:
        return
    sizes = np.full(steps, history.batch_size)
    sizes[-1] = history.samples - sizes[:-1].sum()
    part = slice(begin * steps, end * steps)
    losses = np.reshape(history.step_losses[part], (-1, steps))
    hits = np.reshape(history.step_hits[part], (-1, steps))
    factors = factors_of(schedule, part.start, part.stop)[steps - 1 :: steps]
    with np.errstate(all="ignore"):
        values = {
            "loss": (losses @ sizes / history.samples).tolist(),
            "accuracy": (hits.sum(axis=1) / history.samples).tolist(),
            "lr": (runner.rate() * factors).tolist(),
            "seconds": [history.elapsed / (end - begin)] * (end - begin),
        }
    if validated:
        values["val_loss"], values["val_accuracy"] = ([value] for value in validated)
    with interrupts.held():  # all lists or none
        for name in (*history.metrics, "lr", "seconds"):
            getattr(history, name).extend(values[name])
        history.elapsed = 0.0


def _callbacks(callbacks: Any) -> list[Callback]:
    if not isinstance(callbacks, Iterable):
        raise TypeError(f"callbacks: expected a list of callbacks, got {callbacks!r}")
    found = list(callbacks)
    for callback in found:
        if not isinstance(callback, Callback):
            raise TypeError(f"callbacks: expected objects of type Callback, got {callback!r}")
    # What the others change at the end of an epoch must be in its checkpoint.
    return sorted(found, key=lambda callback: isinstance(callback, Checkpoint))


def _history(
    network: Any,
    n: int,
    batch_size: int,
    held_out: Pair | None,
    seed: SupportsIndex | None,
    resume: History | None,
) -> History:
    """Return a new history, or the one to go on with if it is of such a training."""
    kinds = ["loss"]
    if isinstance(network.last_layer, layers.SoftmaxWithLoss):
        kinds.append("accuracy")
    if held_out is not None:
        kinds += [f"val_{kind}" for kind in kinds]
    if seed is not None:
        seed = numbers.whole("seed", seed, 0, 2**64 - 1)
    if resume is None:
        if seed is None:
            seed = int(np.random.default_rng().integers(2**63))
        return History(tuple(kinds), n, batch_size, seed)
    if not isinstance(resume, History):
        raise TypeError(f"resume: expected a History, got {resume!r}")
    wanted = {"metrics": tuple(kinds), "samples": n, "batch_size": batch_size}
    if seed is not None:
        wanted["seed"] = seed
    for name, value in wanted.items():
        if getattr(resume, name) != value:
            raise ValueError(
                f"resume: expected a history with {name} {value}, like this training, "
                f"got {getattr(resume, name)}"
            )
    return resume
