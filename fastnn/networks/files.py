"""Networks from files."""

from __future__ import annotations

from typing import Any, cast

from fastnn._utils import archive
from fastnn._utils.archive import Groups, Path_
from fastnn.layers.adoption import relink
from fastnn.networks import saved
from fastnn.networks.builders import MultiLayerNet, MultiLayerNetExtend, TwoLayerNet
from fastnn.networks.building import LOSSES
from fastnn.networks.network import Network

__all__ = ["load"]

_CLASSES = {c.__name__: c for c in (TwoLayerNet, MultiLayerNet, MultiLayerNetExtend, Network)}


def load(path: Path_) -> Network:
    """Return the network of a file that ``network.save`` or a checkpoint has written.

    Parameters
    ----------
    path : str or path

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
        build that one as your script does, and call its ``load(path)``.
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
    facts, groups = archive.read(path, "network")
    given = facts["network"]
    kind = next(_CLASSES[name] for name in given["classes"] if name in _CLASSES)
    loss = {layer.__name__: name for name, layer in LOSSES.items()}.get(given["last_layer"])
    network: Network | None = None
    if loss is not None:
        network = _rebuilt(given, groups, loss) if kind is Network else _built(kind, given, loss)
    if network is None:
        names = ", ".join([*given["layers"].values(), given["last_layer"]])
        raise ValueError(
            f"path: expected a network of fastnn's own layers, got one of {names}: "
            "build it as your script does, and call its load(path)"
        )
    saved.put(network, facts, groups)
    return network


def _built(kind: type[Network], given: dict[str, Any], loss: str) -> Network | None:
    """Return one of the book's networks, None if it has had other layers put into it."""
    network = object.__new__(kind)
    MultiLayerNetExtend.__init__(
        cast(MultiLayerNetExtend, network),
        **{name: given[name] for name in MultiLayerNetExtend._SETTINGS},
        weight_init_std=0,
        dtype=given["dtype"],
        loss=loss,
    )
    return network if saved.same_layers(network, given["layers"]) else None


def _rebuilt(given: dict[str, Any], groups: Groups, loss: str) -> Network | None:
    """Return a network of the layers of a file, None if there is one of the user's own."""
    try:
        found = saved.stack(given, groups)
    except KeyError:
        return None
    size = given["input_size"]
    network = Network(
        found,
        loss=loss,
        input_size=tuple(size) if isinstance(size, list) else size,
        input_scale=given["input_scale"],
        dtype=given["dtype"],
    )
    places = [tuple(place) for place in given["places"]]
    named = {key: getattr(found[layer], name) for key, layer, name, _ in places}
    network.params = {key: named[key] for key in groups["params"]}
    relink(network, places)
    network.output_size = given["output_size"]
    return network
