"""What networks predict: scores, classes, probabilities."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn._utils.types import Array
from fastnn.layers import Affine
from fastnn.layers.adoption import adopt
from fastnn.layers.calls import forward
from fastnn.layers.record import record_of, takes
from fastnn.networks import sizing
from fastnn.networks.attributes import Attributes
from fastnn.ops import sigmoid, softmax
from fastnn.ops._arrays import real
from fastnn.ops._dispatch import compiled
from fastnn.training.data import in_shape
from fastnn.training.labels import classes_of


@functools.cache
def _in_program() -> Any:
    """Return how programs predict, and read samples in blocks."""
    from fastnn.program import inference  # which takes as long as the rest to load

    return inference


class Predictions(Attributes):
    """What a network predicts."""

    @sizing.sizes_first
    def predict(self, x: ArrayLike, train_flg: bool = False) -> Array:
        """Return the scores before softmax.

        Without `train_flg`, many samples go through the layers in one compiled call, with what
        batch normalisation and dropout do put into the weights beside them. That changes scores
        by rounding errors. Layers keep nothing then, and threads may predict at the same time.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
        train_flg : bool
            Whether batch normalisation and dropout act as in training.

        Returns
        -------
        ndarray, shape (N, output_size)
        """
        given = real("x", x)
        adopt(self, trained=False)
        return self._scores(given, train_flg)

    def _scores(self, given: Array, train_flg: bool) -> Array:
        """Return the scores of samples, with layers and `params` in line with each other."""
        if isinstance(self.input_size, tuple):
            given = in_shape("x", given, self.input_size)
        first: Any = next(iter(self.layers.values()), None)
        if record_of(first) is not None and isinstance(first, Affine) and given.ndim > 1:
            features = len(first.W)
            if math.prod(given.shape[1:]) != features:
                raise ValueError(
                    f"x: expected samples of {features} features, one for each row of its first "
                    f"layer's W, got shape {given.shape}"
                )
        if not train_flg and given.ndim > 1 and compiled():
            result: Array | None = _in_program().scores(self, given)
            if result is not None:
                return result
        if not train_flg and len(given) and _in_program().is_for_blocks(given):
            parts = (given[rows] for rows in _in_program().blocks(given, self.dtype))
            return np.concatenate([self._layer_by_layer(part, train_flg) for part in parts])
        return self._layer_by_layer(given, train_flg)

    def _layer_by_layer(self, x: Array, train_flg: bool) -> Array:
        out: Array = x.astype(self.dtype, copy=False)
        if self.input_scale != 1:
            out = out * np.asarray(self.input_scale, self.dtype)
        for layer in self.layers.values():
            out = forward(layer, out, train_flg)
        return out

    @sizing.sizes_first
    def predict_classes(self, x: ArrayLike) -> NDArray[Any]:
        """Return the label of each sample's largest score.

        Of a network with the logistic loss: 1, or the second of two `classes`, where a score is
        above 0, which is a probability above 1/2, else 0, or the first.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample

        Returns
        -------
        ndarray, shape (N,)
            Of `classes`, if the network has any, else integers from 0. With the logistic loss and
            several outputs, shape (N, output_size), 0 and 1.

        Raises
        ------
        ValueError
            If there is a single output, which has no classes.
        """
        return classes_of(self, self.predict(x), self._classes)

    @sizing.sizes_first
    def predict_proba(self, x: ArrayLike) -> Array:
        """Return the probability of each class: the softmax of the scores.

        Of a network with the logistic loss: the probability of a yes, or of the second of two
        `classes`, the sigmoid of each score. (scikit-learn's classifier of two classes has two
        columns; here there is one.)

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample

        Returns
        -------
        ndarray, shape (N, output_size)
            A column for each output, in the order of `classes`.

        Raises
        ------
        ValueError
            If the network's loss is none of the cross-entropies.
        """
        if takes(self) == "answers":
            answers: Array = sigmoid(self.predict(x))
            return answers
        if takes(self) != "classes":
            raise ValueError(
                'predict_proba: expected a network with loss="cross_entropy", whose scores become '
                'probabilities by softmax, or "binary_cross_entropy", got '
                f"{type(self.last_layer).__name__}; predict returns its outputs"
            )
        probabilities: Array = softmax(self.predict(x))
        return probabilities
