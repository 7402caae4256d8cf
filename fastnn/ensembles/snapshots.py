"""Copies of a network during its training, and the average of its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn.layers.state import normalised, set_statistics
from fastnn.networks import Network
from fastnn.networks.copies import copy_of, expect_network
from fastnn.training.callbacks import Callback


class Snapshots(Callback):
    """Keep copies of a network while ``network.fit`` trains it.

    A training that is resumed goes on with the copies of the epochs that it has behind it; one
    that begins anew drops them.

    Parameters
    ----------
    every : int
        Copy after each so many epochs, at least 1.
    keep : int, optional
        How many copies to keep: the last ones; all if not given.

    Attributes
    ----------
    networks : list of Network
        With parameters, running statistics and states of dropout of their own.
    epochs : list of int
        The epoch of each copy, counted from 1.

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.ensembles import Ensemble, Snapshots
    >>> x = np.random.default_rng(0).normal(size=(300, 4))
    >>> t = (x[:, 0] > 0).astype(int)
    >>> snapshots = Snapshots(every=2, keep=3)
    >>> net = MultiLayerNet(4, [16], 2, seed=0)
    >>> history = net.fit(x, t, 10, callbacks=[snapshots], verbose=False, seed=0)
    >>> snapshots.epochs
    [6, 8, 10]
    >>> Ensemble(snapshots.networks)
    Ensemble(3 networks, 4 inputs, 2 outputs)
    """

    def __init__(self, every: SupportsIndex = 1, keep: SupportsIndex | None = None) -> None:
        self.every = numbers.integer("every", every, 1)
        self.keep = None if keep is None else numbers.integer("keep", keep, 1)
        self.networks: list[Network] = []
        self.epochs: list[int] = []

    def on_train_begin(self) -> None:
        """Drop the copies of epochs that this training has not had yet."""
        count = sum(epoch <= self.history.sound for epoch in self.epochs)
        del self.networks[count:], self.epochs[count:]

    def on_train_end(self) -> None:
        """Drop the copies of epochs that led to a loss that is not finite."""
        self.on_train_begin()

    def on_epoch_end(self, epoch: int) -> None:
        """Copy the network."""
        if epoch % self.every == 0:
            self.networks.append(copy_of(self.network))
            self.epochs.append(epoch)
            if self.keep is not None:
                del self.networks[: -self.keep], self.epochs[: -self.keep]


def averaged(
    network: Network, averages: Mapping[str, ArrayLike], x: ArrayLike | None = None
) -> Network:
    """Return a copy of a network that has other parameters, such as their moving average.

    Running statistics of batch normalisation belong to the parameters that they were taken
    with, so they are taken again (as Izmailov et al., 2018, do for averaged weights).

    Parameters
    ----------
    network : Network
        It stays as it is.
    averages : dict of str to array_like
        An array for each of ``network.params``: ``history.averages`` of ``fit(ema=...)``, whose
        training should have had several times 1 / (1 - ema) steps to forget its initial values.
    x : array_like, shape (N, D), or (N, ...) with D elements a sample
        Training samples, for a network with batch normalisation: statistics are set to those
        of all of them as one batch. Some thousands will do.

    Returns
    -------
    Network

    Raises
    ------
    TypeError, ValueError
        If arrays do not fit the network, or `x` is needed and not given.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.ensembles import averaged
    >>> x = np.random.default_rng(0).normal(size=(300, 4))
    >>> net = MultiLayerNet(4, [16], 2, seed=0)
    >>> history = net.fit(x, (x[:, 0] > 0).astype(int), 5, ema=0.9, verbose=False, seed=0)
    >>> smooth = averaged(net, history.averages)
    >>> np.array_equal(smooth.params["W1"], history.averages["W1"])
    True
    """
    expect_network("network", network)
    if not isinstance(averages, Mapping):
        raise TypeError(
            f"averages: expected a dict of arrays (history.averages after fit with ema=), "
            f"got {averages!r}"
        )
    wanted = {key: p.shape for key, p in network.params.items()}
    given = {key: np.shape(average) for key, average in averages.items()}
    if given != wanted:
        raise ValueError(f"averages: expected arrays of shapes {wanted}, got {given}")
    if normalised(network) and x is None:
        raise ValueError(
            "x: expected samples to take the statistics of batch normalisation from, got None"
        )
    result = copy_of(network)
    for key, average in averages.items():
        result.params[key][...] = average
    if x is not None:
        set_statistics(result, x)
    return result
