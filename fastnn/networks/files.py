"""Networks from files."""

from __future__ import annotations

from typing import Any, cast

from fastnn._utils.archive import Contents
from fastnn._utils.files import File
from fastnn.layers.adoption import relink
from fastnn.layers.record import records
from fastnn.networks import described, saved, tensor_files
from fastnn.networks.builders import MultiLayerNet, MultiLayerNetExtend, TwoLayerNet, Weights
from fastnn.networks.building import LOSSES
from fastnn.networks.network import Network
from fastnn.networks.tensor_files import Foreign

__all__ = ["load"]

_CLASSES = {c.__name__: c for c in (TwoLayerNet, MultiLayerNet, MultiLayerNetExtend, Network)}


def load(path: File) -> Network:
    """Return the network of a file that ``network.save`` or a checkpoint has written.

    Parameters
    ----------
    path : str, path or file object
        An archive, or a safetensors file. A file object is open for reading bytes, and is read to
        its end.

    Returns
    -------
    Network
        Of the class that was saved, or for a class of your own the one that it is derived
        from: a network with the same settings, parameters, running statistics and next
        dropout masks.

    Raises
    ------
    ValueError
        If the file is not of this version of fastnn, or of a network with layers of your own:
        build that one as your script does, and call its ``load(path)``. So it is with a
        safetensors file that another library has written.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import tempfile, os
    >>> import numpy as np
    >>> import fastnn
    >>> net = fastnn.MultiLayerNet(4, [8], 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     net.save(os.path.join(folder, "net.npz"))
    ...     again = fastnn.load(os.path.join(folder, "net.npz"))
    >>> bool(np.array_equal(again.params["W1"], net.params["W1"]))
    True
    """
    contents = tensor_files.read(path)
    if isinstance(contents, Foreign):
        raise ValueError(
            "path: expected a file that says what network it is of, as network.save writes it, got "
            f"{contents.source} without: build the network as your script does, and call its "
            "load(path)"
        )
    with contents.reading(described.WHAT):
        given = described.facts_of(contents)
        known = [_CLASSES[name] for name in given["classes"] if name in _CLASSES]
        if not known:
            raise ValueError(f"network.classes: expected one of {', '.join(_CLASSES)}")
        make = _rebuilt if known[0] is Network else _built
        network = make(known[0], given, contents)
    if network is None:
        names = ", ".join([*given["layers"].values(), given["last_layer"]])
        raise ValueError(
            f"path: expected a network of fastnn's own layers, got {contents.source} with one of "
            f"{names}: build it as your script does, and call its load(path)"
        )
    saved.put(network, contents)
    return network


def _loss_of(given: dict[str, Any]) -> str | None:
    """Return the name of a loss, None for one of the user's own."""
    return {layer.__name__: name for name, layer in LOSSES.items()}.get(given["last_layer"])


def _built(kind: type[Network], given: dict[str, Any], contents: Contents) -> Network | None:
    """Return one of the book's networks, None if it has had other layers put into it."""
    loss = _loss_of(given)
    own = {*given["layers"].values()} - {record.kind.__name__ for record in records()}
    if loss is None or own:
        return None
    if "hidden_size_list" not in given:
        raise ValueError(f"network.classes: expected one with forms, got {kind.__name__}")
    network = object.__new__(kind)
    MultiLayerNetExtend.__init__(
        cast(MultiLayerNetExtend, network),
        **{name: given[name] for name in MultiLayerNetExtend._SETTINGS},
        weight_init_std=cast(Any, Weights(contents.groups["params"])),
        dtype=given["dtype"],
        loss=loss,
    )
    return network if saved.same_layers(network, given["layers"]) else None


def _rebuilt(kind: type[Network], given: dict[str, Any], contents: Contents) -> Network | None:
    """Return a network of the layers of a file, None if there is one of the user's own."""
    loss = _loss_of(given)
    if loss is None:
        return None
    if "places" not in given:
        raise ValueError(
            f"network.classes: expected one with hidden_size_list, got {kind.__name__}"
        )
    found = described.stack(given, contents)
    if found is None:
        return None
    network = kind(
        found,
        loss=loss,
        input_size=given["input_size"],
        input_scale=given["input_scale"],
        dtype=given["dtype"],
    )
    named = {key: getattr(found[layer], name) for key, layer, name, _ in given["places"]}
    network.params = {key: named[key] for key in contents.groups["params"]}
    relink(network, given["places"])
    if network.output_size is None:
        network.output_size = given["output_size"]
    elif network.output_size != given["output_size"]:
        raise ValueError(
            f"network.output_size: expected {network.output_size}, as the layers give, got "
            f"{given['output_size']}"
        )
    return network
