"""One network that learns to predict what others do."""

from __future__ import annotations

from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike

from fastnn import layers, ops
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.ensembles.averaging import expect_alike, mean_of
from fastnn.ensembles.ensemble import Ensemble
from fastnn.networks import Network
from fastnn.networks.copies import expect_network
from fastnn.ops._targets import expect_probabilities, labels, read_targets
from fastnn.training.beginning import unlearned_unless_begun
from fastnn.training.data import samples
from fastnn.training.history import History
from fastnn.training.labels import Positions


def soft_targets(
    teacher: Network | Ensemble, x: ArrayLike, temperature: SupportsFloat = 1.0
) -> Array:
    """Return probabilities at a temperature: softmax(z / T) of the scores z.

    Section 2 of Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015.
    A high temperature brings out which wrong classes are the less wrong ones.

    Parameters
    ----------
    teacher : Network or Ensemble
        An ensemble gives the mean of its members' softmax(z / T).
    x : array_like, shape (N, D), or (N, ...) with D elements a sample
    temperature : float
        T, above 0.

    Returns
    -------
    ndarray, shape (N, output_size)

    Raises
    ------
    TypeError, ValueError
        If the teacher is no classifier, or a number is out of its range.

    Examples
    --------
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.ensembles import soft_targets
    >>> net = MultiLayerNet(2, [], 3, dtype="float64")
    >>> net.params["W1"][...] = [[0, 3, 6], [0, 0, 0]]
    >>> soft_targets(net, [[1, 0]]).round(3)
    array([[0.002, 0.047, 0.95 ]])
    >>> soft_targets(net, [[1, 0]], temperature=5).round(3)
    array([[0.163, 0.297, 0.541]])
    """
    temperature = numbers.positive("temperature", temperature)
    return mean_of(_members_of(teacher), x, lambda scores: ops.softmax(scores / temperature))


class DistillationLoss(layers.SoftmaxWithLoss):
    """Cross-entropy with a teacher's probabilities at a temperature, and with the truth.

    alpha T^2 CE(q, softmax(x / T)) + (1 - alpha) CE(t, softmax(x)): section 2 of Hinton, Vinyals
    and Dean, 2015, where T^2 makes up for the gradients that shrink by it. The loss is linear in
    targets: with w = alpha T / (alpha T + 1 - alpha) both terms may have the targets
    p = w q + (1 - w) t in place of q and t, and nothing changes. So this layer takes p, an
    ordinary row of probabilities for each sample (:meth:`targets`).

    Labels in place of rows get the ordinary cross-entropy, without teacher and temperature.

    Parameters
    ----------
    temperature : float
        T, above 0.
    alpha : float
        Weight of the teacher, in [0, 1].

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range.
    """

    stands_for = "SoftmaxWithLoss"  # in the file of a network that is saved meanwhile

    def __init__(self, temperature: SupportsFloat, alpha: SupportsFloat) -> None:
        super().__init__()
        self.temperature = numbers.positive("temperature", temperature)
        self.alpha = numbers.fraction("alpha", alpha)

    def targets(self, q: Array, t: ArrayLike) -> Array:
        """Return p.

        Parameters
        ----------
        q : ndarray, shape (N, C)
            The teacher's probabilities at this temperature, which each sum to 1.
        t : array_like, shape (N,), (N, 1) or (N, C)
            Labels, or probabilities that each sum to 1.

        Returns
        -------
        ndarray, shape (N, C)
            Of the dtype of `q`.

        Raises
        ------
        TypeError, ValueError
            If labels are none of the classes, or rows no probabilities.
        """
        soft = self.alpha * self.temperature
        w = soft / (soft + 1 - self.alpha)
        t = read_targets("t", t)
        if t.shape == q.shape:
            expect_probabilities("t", t)
            t = t.astype(np.result_type(q, t), copy=False)
            return np.asarray(w * q + (1 - w) * t, q.dtype)
        p = w * q
        p[np.arange(len(q)), labels(t, *q.shape)] += 1 - w
        return p

    def forward(self, x: ArrayLike, t: ArrayLike, weights: ArrayLike | None = None) -> float:
        """Return the loss for scores x (N, C) and targets p (N, C), or labels (N,)."""
        if np.shape(t) != np.shape(x):
            return super().forward(x, t, weights)
        T, alpha = self.temperature, self.alpha
        self.x, self.t = x, t
        soft, soft_dx = ops.softmax_cross_entropy(np.asarray(x) / T, t, weights=weights)
        hard, hard_dx = ops.softmax_cross_entropy(x, t, weights=weights)
        self.loss = alpha * T**2 * soft + (1 - alpha) * hard
        self._dx = alpha * T * soft_dx + (1 - alpha) * hard_dx
        return self.loss


def distill(
    student: Network,
    teacher: Network | Ensemble,
    x: ArrayLike,
    t: ArrayLike | None = None,
    *,
    temperature: SupportsFloat = 4.0,
    alpha: SupportsFloat | None = None,
    **settings: Any,
) -> History:
    """Train a network on what another one, or an ensemble, predicts ("dark knowledge").

    Minimises the loss of :class:`DistillationLoss`. The teacher predicts once, before the
    training, so that only its probabilities need memory. With temperature 1 the targets alone
    change, and the training runs in the compiled program; other temperatures run layer by layer.

    Parameters
    ----------
    student : Network
        With softmax and cross-entropy, like the teacher; afterwards its loss is that again.
    teacher : Network or Ensemble
        It stays as it is.
    x : array_like, shape (N, D), or (N, ...) with D elements a sample
        They need no labels, and need not be those that the teacher was trained on.
    t : array_like, shape (N,), (N, 1) or (N, output_size), optional
        Labels, or one-hot targets.
    temperature : float
        Softens the probabilities of both, above 0. Small students want a low one.
    alpha : float, optional
        Weight of the teacher's loss, in [0, 1]; the rest is that of labels. 0.9 by default, or 1
        without labels.
    **settings
        Of :meth:`Network.fit`: epochs, batch_size, optimizer and so on. Labels given
        as `validation` are compared by the ordinary loss; a share that is held out, by this one.

    Returns
    -------
    History
        Its accuracy is the share of samples whose largest score is that of the mixed targets.

    Raises
    ------
    TypeError, ValueError
        If the networks do not fit together, or an argument is not as above; nothing has been
        changed then.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.ensembles import distill
    >>> x = np.random.default_rng(0).normal(size=(300, 4))
    >>> teacher, student = MultiLayerNet(4, [32], 2, seed=0), MultiLayerNet(4, [4], 2, seed=1)
    >>> t = (x[:, 0] > 0).astype(int)
    >>> teacher.fit(x, t, 20, batch_size=16, verbose=False, seed=0).accuracy[-1] > 0.95
    True
    >>> history = distill(student, teacher, x, epochs=60, batch_size=16, verbose=False, seed=0)
    >>> history.accuracy[-1] > 0.95
    True
    """
    members = _members_of(teacher)
    expect_alike("student", expect_network("student", student, x), "the teacher", members[0])
    if alpha is None:
        alpha = 1.0 if t is None else 0.9
    loss = DistillationLoss(temperature, alpha)
    if t is None and loss.alpha < 1:
        raise ValueError(f"alpha: expected 1, as there are no labels t, got {alpha!r}")
    with unlearned_unless_begun(student):
        student._classes = student._classes or members[0]._classes
        if t is None:
            t = np.zeros(np.shape(x)[:1], np.int64).view(Positions)
        x, t = samples(student, x, t)
        soft = soft_targets(teacher, x, loss.temperature).astype(student.dtype, copy=False)
        ordinary = student.last_layer
        try:
            if loss.temperature != 1:
                student.last_layer = loss
            return student.fit(x, loss.targets(soft, t), **settings)
        finally:
            student.last_layer = ordinary


def _members_of(teacher: Any) -> list[Network]:
    """Return the networks of a teacher: of an ensemble, or the one that it is."""
    members = getattr(teacher, "networks", [teacher])
    if not members or not all(isinstance(net, Network) for net in members):
        raise TypeError(f"teacher: expected a network or an Ensemble, got {teacher!r}")
    if not isinstance(members[0].last_layer, layers.SoftmaxWithLoss):
        raise ValueError("teacher: expected softmax and cross-entropy as the loss")
    return list(members)
