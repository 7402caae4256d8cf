"""Several networks as one."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import ops
from fastnn._utils.files import File
from fastnn._utils.types import Array
from fastnn.ensembles.averaging import expect_alike, mean_of, tiles
from fastnn.layers.record import right_of, takes
from fastnn.many import fit_many
from fastnn.networks import Network
from fastnn.networks.copies import expect_network
from fastnn.ops._targets import right_classes
from fastnn.training.data import samples
from fastnn.training.labels import classes_of

if TYPE_CHECKING:
    from fastnn.training.history import History


class Ensemble:
    """Networks whose predictions are averaged.

    Classifiers give the mean of their probabilities, networks with other losses than the
    cross-entropy the mean of their outputs. Losses are convex in what is averaged, so that the
    ensemble's is never above the mean of the members' (Jensen's inequality).

    Parameters
    ----------
    networks : iterable of Network
        At least one, all different, with the same inputs, outputs, kind of loss and
        `input_scale`. Hidden layers, settings and dtypes may differ. They are not copied.

    Attributes
    ----------
    networks : list of Network
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

    def __init__(self, networks: Iterable[Network]) -> None:
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

    def fit(
        self,
        x: ArrayLike,
        t: ArrayLike,
        *,
        n_jobs: SupportsIndex = -1,
        verbose: Any = True,
        **settings: Any,
    ) -> list[History]:
        """Train all networks, several at the same time, by :func:`fastnn.fit_many`.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
        t : array_like, shape (N,), (N, 1) or (N, output_size)
            One for all members, or a list with one for each, as for a bagged ensemble.
        n_jobs, verbose
            As for ``fit_many``.
        **settings
            Its other keywords: one for all members or a list with one for each, such as
            ``seed=[0, 1, 2]`` for as many orders of the samples.

        Returns
        -------
        list of History
            In the order of the members.

        Raises
        ------
        TypeError, ValueError, FitManyError
            As there; ValueError also if members come to have different classes.
        """
        histories = fit_many(self.networks, x, t, n_jobs=n_jobs, verbose=verbose, **settings)
        for i, network in enumerate(self.networks):
            expect_alike(f"networks[{i}]", network, "networks[0]", self.networks[0])
        return histories

    @property
    def _classifies(self) -> bool:
        return takes(self.networks[0]) == "classes"

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
            return mean_of(self.networks, x, ops.softmax)
        return mean_of(self.networks, x, np.asarray)

    def predict_classes(self, x: ArrayLike) -> NDArray[Any]:
        """Return the label of each sample's largest mean.

        With the logistic loss: 1, or the second of two `classes`, where a mean of scores is above
        0, else 0, or the first.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample

        Returns
        -------
        ndarray, shape (N,) or (N, output_size)
            As for ``Network.predict_classes``; classes are those of the first member that has any.

        Raises
        ------
        ValueError
            If there is a single output, which has no classes.
        """
        known = (network._classes for network in self.networks)
        return classes_of(self.networks[0], self.predict(x), next(filter(None, known), None))

    def to_onnx(
        self, path: File, *, input_name: str = "input", output_name: str = "output"
    ) -> None:
        """Write the ensemble to an ONNX file, which other programs run: what :meth:`predict` does.

        Parameters
        ----------
        path, input_name, output_name
            As for ``Network.to_onnx``.

        Raises
        ------
        ImportError, TypeError, ValueError
            As there; also if a member is of float64.
        """
        from fastnn.exchange import onnx_file  # which few need

        activation = "softmax" if self._classifies else ""
        onnx_file.write(path, self.networks, activation, input_name, output_name, repr(self))

    def accuracy(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the share of samples whose largest mean is the target's.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
        t : array_like, shape (N,), (N, 1) or (N, output_size)
            Labels, or one-hot targets; for the squared error (N, output_size), or (N,) with one
            output.

        Returns
        -------
        float

        Raises
        ------
        TypeError, ValueError
            If they are not as above, or there are no classes: a single output.
        """
        first = self.networks[0]
        right = right_of(first) or right_classes
        if self.output_size < 2 and takes(first) != "answers":
            raise ValueError("accuracy: expected networks of several outputs, got one output")
        x, t = samples(first, x, t)
        return int(np.count_nonzero(right(self.predict(x), t))) / len(x)

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
        if not takes(self.networks[0]):  # a loss of the user's own
            return ops.mean_squared_error(self.predict(x), t)[0]
        if not self._classifies:
            last = copy.copy(self.networks[0].last_layer)
            return float(last.forward(self.predict(x), t))
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
