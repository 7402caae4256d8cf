"""The layers of a network: their names, sizes and initial values."""

from __future__ import annotations

import copy
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastnn import layers
from fastnn.layers.calls import forward
from fastnn.layers.parameters import where_of
from fastnn.layers.record import nearest_record, record_of
from fastnn.layers.sizes import Shape, is_built
from fastnn.networks.interface import random_state_kept

LOSSES: dict[str, type[Any]] = {
    "cross_entropy": layers.SoftmaxWithLoss,
    "binary_cross_entropy": layers.SigmoidWithLoss,
    "mean_squared_error": layers.IdentityWithLoss,
    "poisson": layers.PoissonWithLoss,
    "huber": layers.HuberWithLoss,
}
SHORT = {"mse": "mean_squared_error"}


def named(given: Any) -> OrderedDict[str, Any]:
    """Return layers by name: those of a list are Affine1, Relu1, Affine2 and so on."""
    if isinstance(given, Mapping):
        found = OrderedDict(given)
    elif isinstance(given, Iterable) and not isinstance(given, str):
        found, counts = OrderedDict(), dict[str, int]()
        for layer in given:
            kind = type(layer).__name__
            counts[kind] = counts.get(kind, 0) + 1
            found[f"{kind}{counts[kind]}"] = layer
    else:
        raise TypeError(f"layers: expected a list of layers, or a dict of them, got {given!r}")
    if not found:
        raise ValueError("layers: expected at least one layer, got none")
    for name, layer in found.items():
        record = record_of(layer)
        if record is not None and record.is_loss:
            raise TypeError(f"{where_of(name)}: expected a layer before the loss, which is `loss`")
    return found


def last_layer(loss: Any) -> Any:
    """Return the last layer for the name of a loss, or one of the user's own."""
    if isinstance(loss, str):
        name = SHORT.get(loss.lower(), loss.lower())
        if name in LOSSES:
            return LOSSES[name]()
    elif not isinstance(loss, type) and all(
        callable(getattr(loss, method, None)) for method in ("forward", "backward")
    ):
        return loss
    names = ", ".join((*LOSSES, *SHORT))
    error = ValueError if isinstance(loss, str) else TypeError
    raise error(
        f"loss: expected one of {names}, or an object with forward and backward, got {loss!r}"
    )


def features_of(found: Iterable[Any]) -> int | None:
    """Return how many features the first layer with weights takes, None if they are not known."""
    first = next((layer for layer in found if isinstance(layer, layers.Affine)), None)
    if not flattens(found) or first is None or not is_built(first):
        return None
    return len(first.W)


def flattens(found: Iterable[Any]) -> bool:
    """Say whether the first layer that is not one of single elements takes samples as rows."""
    for layer in found:
        if isinstance(layer, (layers.Affine, layers.Flatten)):
            return True
        if record_of(layer) is None or hasattr(layer, "output_shape"):
            return False
    return False


def build(
    found: Mapping[str, Any], shape: Shape, rng: np.random.Generator, dtype: np.dtype[Any]
) -> dict[str, Shape | None]:
    """Build the layers that are not yet, in order; return the shapes of all outputs.

    First all weights are drawn, then the seeds of dropout. An error leaves all as it was.

    Raises
    ------
    ValueError
        If a layer does not fit what comes before, or that is not known and should be.
    """
    with undone(found, rng):
        after = shapes(found, shape, dtype, rng)
        for layer in found.values():
            if isinstance(layer, layers.Dropout):
                layer.reseed(rng)
    return after


def shapes(
    found: Mapping[str, Any],
    shape: Shape,
    dtype: np.dtype[Any],
    rng: np.random.Generator | None = None,
) -> dict[str, Shape | None]:
    """Return the shape of each layer's output for a sample, None where it is not known.

    With a generator, layers are built on the way that are not yet.
    """
    result: dict[str, Shape | None] = {}
    now: Shape | None = shape
    why = ""  # it is not known
    rest = list(found.values())
    for name, layer in found.items():
        rest = rest[1:]
        if now is None and not is_built(layer):
            if rng is not None:
                raise ValueError(f"{where_of(name)}: expected an input of known shape, but {why}")
        elif now is None:
            now = _of_its_own(layer)
        else:
            try:
                if rng is not None and not is_built(layer):
                    _build(layer, now, rest, rng, dtype)
                now = _shape_after(layer, now, dtype)
            except _Unknown as error:
                now, why = None, f"{where_of(name)} gives one that is not: {error}"
            except (TypeError, ValueError) as error:
                raise type(error)(f"{where_of(name)}: {error}") from None
        result[name] = now
    return result


class _Unknown(Exception):
    """Raised for a layer of the user's own whose output is not known; its text says why."""


def _build(
    layer: Any, shape: Shape, following: list[Any], rng: np.random.Generator, dtype: np.dtype[Any]
) -> None:
    if nearest_record(layer) is not None:
        layer.build(shape, rng, dtype, _rule(layer, following))
        return
    layer.build(shape, rng, dtype)
    if not is_built(layer):
        raise ValueError(
            f"expected {type(layer).__name__}.build to set params, a dict or a list of arrays"
        )


def _rule(layer: Any, following: list[Any]) -> str:
    """Return the rule of initial values by the activation that weights come before."""
    for each in (layer, *following):
        record = nearest_record(each)
        if record is not None and record.initial:
            return record.initial
        if record is None or (record.decayed and each is not layer):
            break
    return "xavier"


def _of_its_own(layer: Any) -> Shape | None:
    """Return the shape of the output of a layer that says it whatever its input."""
    return (np.shape(layer.W)[1],) if isinstance(layer, layers.Affine) else None


def _shape_after(layer: Any, shape: Shape, dtype: np.dtype[Any]) -> Shape:
    method = getattr(layer, "output_shape", None)
    if callable(method):
        return tuple(method(shape))
    if record_of(layer) is not None:  # of single elements
        return shape
    if not is_built(layer):
        raise _Unknown("it is not built")
    try:
        with random_state_kept(), warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            out = forward(copy.deepcopy(layer), np.zeros((1, *shape), dtype), False)
    except Exception as error:
        raise _Unknown(
            f"forward of one sample of zeros raised {type(error).__name__} ({error}); "
            "a method output_shape(shape) may say it"
        ) from None
    after: Shape = np.shape(out)
    if after[:1] != (1,):
        raise _Unknown(f"forward of one sample gave shape {after}")
    return after[1:]


@contextmanager
def undone(
    found: Mapping[str, Any], rng: np.random.Generator, wanted: Callable[[], bool] = lambda: True
) -> Iterator[None]:
    """Put attributes of layers and the state of a generator back after an error, if `wanted`."""
    held = [(layer, dict(vars(layer))) for layer in found.values() if hasattr(layer, "__dict__")]
    state = rng.bit_generator.state
    try:
        yield
    except Exception:
        if wanted():
            for layer, attributes in held:
                vars(layer).clear()
                vars(layer).update(attributes)
            rng.bit_generator.state = state
        raise
