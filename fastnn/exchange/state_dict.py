"""The arrays of a network by PyTorch's names, and a network with the arrays of such a dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fastnn._utils import interrupts, schema
from fastnn._utils.types import Array
from fastnn._utils.validation import brief
from fastnn.exchange.names import COUNT, Tensor, modules, tensors
from fastnn.exchange.tensors import array_of
from fastnn.layers import Affine, Flatten
from fastnn.layers.record import nearest_record
from fastnn.layers.state import set_layer_state


class Incompatible(NamedTuple):
    """What a state dict and a network do not have in common.

    Attributes
    ----------
    missing_keys : list of str
        Names that the network has and the dict has not.
    unexpected_keys : list of str
        Names that the dict has and the network has not.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


def state_dict(network: Any) -> dict[str, Array]:
    """Return copies of the arrays by name."""
    return {each.name: np.array(each.theirs(network), order="C") for each in tensors(network)}


def features_of(network: Any, given: Any) -> int | None:
    """Return how many features samples have by the first weights of a dict, if these tell.

    Images before a convolution may be of any size.
    """
    if network.input_size is not None or not isinstance(given, Mapping):
        return None
    names = modules(network)
    for name, layer in network.layers.items():
        if isinstance(layer, Affine):
            shape = np.shape(given.get(f"{names[name]}.weight", 0))
            return shape[1] if len(shape) == 2 and shape[1] else None
        record = nearest_record(layer)
        sizeless = record is not None and not record.parameters
        if not sizeless or (hasattr(layer, "output_shape") and not isinstance(layer, Flatten)):
            return None
    return None


def load_state_dict(network: Any, given: Any, strict: bool, source: str) -> Incompatible:
    """Write the arrays of a dict into a network, all or none.

    Parameters
    ----------
    network : Network
    given : mapping of str to array_like
    strict : bool
        Whether all names must be in both.
    source : str
        What messages call the dict.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"{source}: expected a dict of names and arrays, got {brief(given)}")
    found = {each.name: each for each in tensors(network)}
    missing = [name for name in found if name not in given and found[name].attribute != COUNT]
    unexpected = [str(name) for name in given if name not in found]
    wrong: list[str] = []
    if strict and missing:
        wrong.append(f"missing: {', '.join(missing)}")
    if strict and unexpected:
        wrong.append(f"unexpected: {', '.join(unexpected)}")
    values: list[tuple[Tensor, Array]] = []
    for name, each in found.items():
        if name not in given or each.attribute == COUNT:
            continue
        array = array_of(f"{source}[{name!r}]", given[name])
        if array.shape != each.shape:
            wrong.append(f"{name}: expected shape {each.shape}, got {array.shape}")
        else:
            values.append((each, _checked(network, each, array, source)))
    if wrong:
        raise ValueError(f"{source}: expected the arrays of the network; {'; '.join(wrong)}")
    with interrupts.held():
        for each, array in values:
            if each.parameter is not None:
                each.parameter.array[...] = array
            else:
                set_layer_state(network, {f"{each.layer}.{each.attribute}": array})
    return Incompatible(missing, unexpected)


def _checked(network: Any, each: Tensor, array: Array, source: str) -> Array:
    """Return an array as the network has it; raise if that cannot take it."""
    if each.parameter is not None and not each.parameter.array.flags.writeable:
        raise ValueError(f"network: {each.parameter.place}: expected an array to write to")
    dtype = network.dtype if each.parameter is None else each.parameter.array.dtype
    with np.errstate(all="ignore"):  # what is too large becomes infinity
        array = array.astype(dtype, copy=False)
    if each.attribute == "running_var" and each.parameter is None:
        schema.not_negative(f"{source}[{each.name!r}]", array)
    return array.T if each.transposed else array
