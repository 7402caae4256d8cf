"""Networks from files."""

from __future__ import annotations

from fastnn._utils import archive
from fastnn._utils.archive import Path_
from fastnn.networks import saved
from fastnn.networks.builders import MultiLayerNet, MultiLayerNetExtend, TwoLayerNet
from fastnn.networks.building import LOSSES

__all__ = ["load"]

_CLASSES = {c.__name__: c for c in (TwoLayerNet, MultiLayerNet, MultiLayerNetExtend)}


def load(path: Path_) -> MultiLayerNetExtend:
    """Return the network of a file that ``network.save`` or a checkpoint has written.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    MultiLayerNetExtend
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
    loss = {layer.__name__: name for name, layer in LOSSES.items()}.get(given["last_layer"])
    network: MultiLayerNetExtend = object.__new__(
        next(_CLASSES[name] for name in given["classes"] if name in _CLASSES)
    )
    MultiLayerNetExtend.__init__(
        network,
        **{name: given[name] for name in saved.SETTINGS},
        weight_init_std=0,
        dtype=given["dtype"],
        loss=loss or "cross_entropy",
    )
    if loss is None or not saved.same_layers(network, given["layers"]):
        names = ", ".join([*given["layers"].values(), given["last_layer"]])
        raise ValueError(
            f"path: expected a network of fastnn's own layers, got one of {names}: "
            "build it as your script does, and call its load(path)"
        )
    saved.put(network, facts, groups)
    return network
