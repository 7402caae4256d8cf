"""What networks are judged by: loss, accuracy, metrics."""

from __future__ import annotations

import math
from typing import Any, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array, Float64s
from fastnn.layers.adoption import adopt, weights_of
from fastnn.layers.record import record_of, right_of, takes
from fastnn.networks import sizing
from fastnn.networks.predictions import Predictions
from fastnn.ops._arrays import real
from fastnn.ops._targets import right_classes
from fastnn.training.data import expect_finite, samples, targets, to_compare
from fastnn.training.evaluation import TILE, evaluate
from fastnn.training.metrics import Metrics, expect_for, metrics_of
from fastnn.training.sample_weights import weights_for


class Evaluation(Predictions):
    """What a network is judged by."""

    @sizing.sizes_first
    def loss(
        self,
        x: ArrayLike,
        t: ArrayLike,
        train_flg: bool = False,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
    ) -> float:
        """Return the mean loss over the samples, plus the weight penalty.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
        t : array_like, shape (N,), (N, 1) or (N, output_size)
            Labels, or one-hot targets; for other losses than the cross-entropy (N, output_size), or
            (N,) with one output.
        train_flg : bool
            Whether batch normalisation and dropout act as in training.
        sample_weight : array_like, shape (N,), optional
        class_weight : dict, array_like or "balanced", optional
            As for :meth:`fit`.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the batch is empty, shapes do not fit, a label is out of range, or a target is not
            finite.
        """
        if self._classes is not None:
            t = self._classes.positions("t", t)
        scores = self.predict(x, train_flg)
        weights = self._weights_of(t, scores, sample_weight, class_weight)
        data: float = self.last_layer.forward(scores, t, *weights)
        self._expect_finite(t)
        return data + self._penalty()

    @sizing.sizes_first
    def accuracy(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the share of samples whose largest score is the target's.

        Of a network with the logistic loss: the share of samples all of whose outputs are right,
        above 0, which is a probability above 1/2, where the target is above 1/2, and only there
        (scikit-learn's subset accuracy).

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
        t : array_like, shape (N,), (N, 1) or (N, output_size)
            Labels, or rows of which the largest element counts; with the logistic loss as for
            :meth:`fit`.

        Returns
        -------
        float

        Raises
        ------
        TypeError, ValueError
            If there is no sample, targets are none that the network can be trained on, or there is
            a single output, which has no classes.
        """
        scores = self.predict(x)
        n, outputs = len(scores), scores.shape[-1]
        if n == 0:
            raise ValueError("x: expected at least one sample, got none")
        t = to_compare(self, t, n, outputs)
        if outputs == 1 and takes(self) != "answers":
            raise ValueError(
                "accuracy: expected a network of several outputs, the largest of which is compared "
                "with the target, got one output"
            )
        right = right_of(self) or right_classes
        return int(np.count_nonzero(right(scores, t))) / n

    @sizing.sizes_first
    def evaluate(
        self,
        x: ArrayLike,
        t: ArrayLike,
        metrics: Metrics | None = None,
        batch_size: SupportsIndex = TILE,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
    ) -> dict[str, float]:
        """Return the mean loss, without weight penalty, accuracy, and metrics, of one pass.

        These are what :meth:`fit` records of validation data.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
        t : array_like, shape (N,), (N, 1) or (N, output_size)
            As for :meth:`fit`.
        metrics : list of str or function, or dict of str to function, optional
            As for :meth:`fit`.
        batch_size : int
            Samples that go through the layers together.
        sample_weight : array_like, shape (N,), optional
        class_weight : dict, array_like or "balanced", optional
            As for :meth:`fit`. Loss, accuracy and metrics are weighted then.

        Returns
        -------
        dict of str to float
            "loss", "accuracy" if that is a cross-entropy, and the metrics by their names.

        Raises
        ------
        TypeError, ValueError
            If samples, targets or metrics are not as for :meth:`fit`.
        RuntimeError
            If a function raises an error, which it names.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import MultiLayerNet
        >>> x, t = np.eye(3), ["red", "green", "blue"]
        >>> net = MultiLayerNet(3, [8], 3, seed=0)
        >>> _ = net.fit(x, t, 200, verbose=False, seed=0)
        >>> found = net.evaluate(x, t, metrics=["top_2_accuracy"])
        >>> {name: round(value, 1) for name, value in found.items()}
        {'loss': 0.5, 'accuracy': 1.0, 'top_2_accuracy': 1.0}
        >>> print(*net.predict_classes(x))
        red green blue
        """
        size = numbers.integer("batch_size", batch_size, 1)
        x, t = samples(self, x, t)
        found = metrics_of(() if metrics is None else metrics)
        expect_for(self, found)
        weights = weights_for(self, t, len(x), sample_weight, class_weight)
        values = evaluate(self, x, t, found, size, weights)
        names = "loss", "accuracy", *(metric.name for metric in found)
        named = dict(zip(names, values, strict=True))
        if right_of(self) is None and "accuracy" not in names[2:]:
            del named["accuracy"]
        return named

    def _weights_of(
        self, t: ArrayLike, scores: Array, sample_weight: ArrayLike | None, class_weight: Any
    ) -> tuple[Float64s, ...]:
        """Return weights of samples as one more argument of the loss, if there are any."""
        if sample_weight is None and class_weight is None:
            return ()
        n = len(scores)
        if class_weight is not None:
            t = targets(self, t, n, scores.shape[-1])
        found = weights_for(self, np.asarray(t), n, sample_weight, class_weight)
        return () if found is None else (found,)

    def _expect_finite(self, t: ArrayLike) -> None:
        """Raise ValueError if targets are what makes the loss of numbers not finite."""
        last = self.last_layer
        if (
            takes(self) == "numbers"
            and record_of(last) is not None
            and last.loss is not None
            and not math.isfinite(last.loss)
        ):
            expect_finite("t", real("t", t))

    def _penalty(self) -> float:
        if self.weight_decay_lambda == 0:
            return 0.0
        adopt(self)
        squares = sum(float(np.square(W).sum(dtype=np.float64)) for W in self._weights().values())
        return 0.5 * self.weight_decay_lambda * squares

    def _weights(self) -> dict[str, Array]:
        return weights_of(self)
