"""What normalising layers share: a scale and a shift for each feature."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from fastnn.layers.sizes import Shape
from fastnn.layers.state import Trained


class Scaling(Trained):
    """A layer with arrays gamma and beta, or None for both until it is built."""

    gamma: Any
    beta: Any

    def _features(self, shape: Shape) -> int:
        """Return how many features samples of a shape have."""
        raise NotImplementedError

    def build(
        self, shape: Shape, rng: object = None, dtype: DTypeLike = np.float32, init: object = None
    ) -> Shape:
        """Make scale and shift, ones and zeros, for samples of a shape.

        Parameters
        ----------
        shape : tuple of int
            Of a sample.
        rng, init : object
            As other layers take them; not used.
        dtype : dtype

        Returns
        -------
        tuple of int
            The shape of the output for a sample.
        """
        if self.gamma is None:
            size = self._features(shape)
            self.gamma, self.beta = np.ones(size, dtype), np.zeros(size, dtype)
        return self.output_shape(shape)

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of the output for a sample, its own; raise if it does not fit."""
        if self.gamma is not None:
            for name in ("gamma", "beta"):
                if np.shape(getattr(self, name)) != (self._features(shape),):
                    raise ValueError(
                        f"expected samples for {name} of shape {np.shape(getattr(self, name))}, "
                        f"got shape {shape}"
                    )
        return shape
