"""Ensembles of networks: the mean of several predictions, and one network that learns from it.

Four ways to several networks (CS231n notes, "Neural networks 3", model ensembles):

- one model from several initial values, each trained by itself::

      networks = []
      for seed in range(5):
          network = MultiLayerNet(784, [100, 100], 10, seed=seed)
          network.fit(x, t, epochs=5, seed=seed)
          networks.append(network)
      ensemble = Ensemble(networks)

- the best models that a search of hyper-parameters has found (:mod:`fastnn.search`), trained
  again, with the trial as a callback only while it searches::

      def train(values, epochs, callbacks=()):
          network = MultiLayerNet(784, [100, 100], 10, seed=0)
          network.fit(x, t, epochs, 100, optimizers.SGD(values["lr"]), validation=0.2,
                      callbacks=callbacks)
          return network

      def run(trial):
          train(trial, trial.epochs, [trial])

      result = search(run, {"lr": Log(1e-4, 1)}, 20, epochs=5)
      ensemble = Ensemble(train(trial, trial.epochs) for trial in result.top(5))

- one run as it was at several times: :class:`Snapshots`;
- the moving average of the parameters of one run, ``fit(ema=0.999)``, which is an ensemble over
  its last steps at the price of one network: :func:`averaged`.

:func:`distill` trains one network to predict what an ensemble does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn import _numbers as numbers
from fastnn import layers, ops
from fastnn._copies import copy_of, expect_network, normalised, set_statistics
from fastnn._distillation import (
    DistillationLoss,
    distill,
    expect_alike,
    mean_of,
    soft_targets,
    tiles,
)
from fastnn._layerwise import hits_of
from fastnn._samples import samples
from fastnn._types import Array
from fastnn.callbacks import Callback
from fastnn.networks import MultiLayerNetExtend

__all__ = ["DistillationLoss", "Ensemble", "Snapshots", "averaged", "distill", "soft_targets"]


class Ensemble:
    """Networks whose predictions are averaged.

    Classifiers give the mean of their probabilities, networks for the squared error the mean of
    their outputs. Both losses are convex in what is averaged, so that the ensemble's is never
    above the mean of the members' (Jensen's inequality).

    Parameters
    ----------
    networks : iterable of MultiLayerNetExtend
        At least one, all different, with the same inputs, outputs, kind of loss and
        `input_scale`. Hidden layers, settings and dtypes may differ. They are not copied.

    Attributes
    ----------
    networks : list of MultiLayerNetExtend
    input_size, output_size : int

    Raises
    ------
    TypeError, ValueError
        If they are not as above.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.ensembles import Ensemble
    >>> ensemble = Ensemble(MultiLayerNet(4, [8], 3, seed=seed) for seed in range(5))
    >>> ensemble
    Ensemble(5 networks, 4 inputs, 3 outputs)
    >>> ensemble.predict(np.ones((2, 4))).sum(axis=1).round(6)
    array([1., 1.], dtype=float32)
    """

    def __init__(self, networks: Iterable[MultiLayerNetExtend]) -> None:
        if not isinstance(networks, Iterable):
            raise TypeError(f"networks: expected a list of networks, got {networks!r}")
        self.networks = [
            expect_network(f"networks[{i}]", network) for i, network in enumerate(networks)
        ]
        if not self.networks:
            raise ValueError("networks: expected at least one network, got none")
        first: dict[int, int] = {}
        for i, network in enumerate(self.networks):
            if first.setdefault(id(network), i) != i:
                raise ValueError(
                    f"networks[{i}]: expected another network, got networks[{first[id(network)]}] "
                    "again (fastnn.ensembles.Snapshots copies one while it is trained)"
                )
            expect_alike(f"networks[{i}]", network, "networks[0]", self.networks[0])
        self.input_size = self.networks[0].input_size
        self.output_size = self.networks[0].output_size

    def __len__(self) -> int:
        return len(self.networks)

    def __repr__(self) -> str:
        return (
            f"Ensemble({len(self)} network{'s' * (len(self) > 1)}, {self.input_size} inputs, "
            f"{self.output_size} outputs)"
        )

    @property
    def _classifies(self) -> bool:
        return isinstance(self.networks[0].last_layer, layers.SoftmaxWithLoss)

    def predict(self, x: ArrayLike) -> Array:
        """Return the mean of the members' probabilities, or of their outputs.

        Unlike a network's scores, probabilities are after softmax.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample

        Returns
        -------
        ndarray, shape (N, output_size)
        """
        if self._classifies:
            return soft_targets(self, x, 1)
        return mean_of(self.networks, x, np.asarray)

    def accuracy(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the share of samples whose largest mean is the target's.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
        t : array_like, shape (N,), (N, 1) or (N, output_size)
            Labels, or one-hot targets; (N, output_size) alone for the squared error.

        Returns
        -------
        float

        Raises
        ------
        TypeError, ValueError
            If they are not as above, or there are no classes: a single output.
        """
        if self.output_size < 2:
            raise ValueError("accuracy: expected networks of several outputs, got one output")
        x, t = samples(self.networks[0], x, t)
        return hits_of(self.predict(x), t) / len(x)

    def loss(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the mean loss of the averaged predictions, without weight penalties.

        Cross-entropy is taken of the averaged probabilities, by way of their logarithms: it is
        finite for all finite scores.

        Parameters
        ----------
        x, t
            As for :meth:`accuracy`.

        Returns
        -------
        float

        Raises
        ------
        TypeError, ValueError
            If they are not as there.
        """
        x, t = samples(self.networks[0], x, t)
        if not self._classifies:
            return ops.mean_squared_error(self.predict(x), t)[0]
        # Logarithms of the sum of probabilities, which softmax takes as the mean.
        total = np.full((len(x), self.output_size), -np.inf)
        with np.errstate(invalid="ignore"):  # NaN and infinite scores give NaN
            for network in self.networks:
                scores = network.predict(x)
                for rows in tiles(scores):
                    total[rows] = np.logaddexp(total[rows], _log_softmax(scores[rows]))
        return ops.softmax_cross_entropy(total, t)[0]


def _log_softmax(scores: Array) -> Array:
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


class Snapshots(Callback):
    """Keep copies of a network while ``network.fit`` trains it.

    A training that is resumed goes on with the copies of the epochs that it has behind it; one
    that begins anew drops them.

    Parameters
    ----------
    every : int
        Copy after each so many epochs, from 1 up.
    keep : int, optional
        How many copies to keep: the last ones; all if not given.

    Attributes
    ----------
    networks : list of MultiLayerNetExtend
        With parameters, running statistics and states of dropout of their own.
    epochs : list of int
        The epoch of each copy, from 1 up.

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
        self.every = numbers.whole("every", every, 1)
        self.keep = None if keep is None else numbers.whole("keep", keep, 1)
        self.networks: list[MultiLayerNetExtend] = []
        self.epochs: list[int] = []

    def on_train_begin(self) -> None:
        """Drop the copies of epochs that this training has not had yet."""
        count = sum(epoch <= self.history.epochs for epoch in self.epochs)
        del self.networks[count:], self.epochs[count:]

    def on_epoch_end(self, epoch: int) -> None:
        """Copy the network."""
        if epoch % self.every == 0:
            self.networks.append(copy_of(self.network))
            self.epochs.append(epoch)
            if self.keep is not None:
                del self.networks[: -self.keep], self.epochs[: -self.keep]


def averaged(
    network: MultiLayerNetExtend, averages: Mapping[str, ArrayLike], x: ArrayLike | None = None
) -> MultiLayerNetExtend:
    """Return a copy of a network that has other parameters, such as their moving average.

    Running statistics of batch normalisation belong to the parameters that they were taken
    with, so they are taken again (as Izmailov et al., 2018, do for averaged weights).

    Parameters
    ----------
    network : MultiLayerNetExtend
        It stays as it is.
    averages : dict of str to array_like
        An array for each of ``network.params``: ``history.averages`` of ``fit(ema=...)``, whose
        training should have had several times 1 / (1 - ema) steps to forget its initial values.
    x : array_like, shape (N, D), or (N, ...) with D elements a sample
        Training samples, for a network with batch normalisation: statistics are set to those
        of all of them as one batch. Some thousands will do.

    Returns
    -------
    MultiLayerNetExtend

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
