"""Gradients of networks, by backpropagation and by differences."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numpy.typing import ArrayLike

from fastnn._utils.types import Array, Float64s
from fastnn.layers.adoption import adopt
from fastnn.layers.calls import first_gradient
from fastnn.layers.parameters import gradients
from fastnn.layers.state import layer_state, set_layer_state
from fastnn.layers.undeclared import expect_declared, undeclared
from fastnn.networks import sizing
from fastnn.networks.evaluation import Evaluation
from fastnn.ops._arrays import real
from fastnn.training.data import samples
from fastnn.training.sample_weights import weights_for


class Gradients(Evaluation):
    """The gradients of the loss."""

    @sizing.sizes_first
    def gradient(
        self,
        x: ArrayLike,
        t: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
    ) -> dict[str, Array]:
        """Return the gradients of the training loss by backpropagation.

        Parameters
        ----------
        x, t
            As for :meth:`loss`.
        sample_weight : array_like, shape (N,), optional
        class_weight : dict, array_like or "balanced", optional
            As for :meth:`fit`.

        Returns
        -------
        dict of str to ndarray
            One for each entry of `params`, freshly allocated. The loss itself is in
            ``last_layer.loss`` (without the penalty).

        Raises
        ------
        TypeError, ValueError
            If `x` or `t` does not fit, or a layer of your own has parameters that it does not
            name, or no gradient for one.
        """
        weights = None
        if sample_weight is not None or class_weight is not None:
            x, t = samples(self, x, t)
            weights = weights_for(self, t, len(x), sample_weight, class_weight)
        grads = self._gradient(x, t, weights)
        loss = self.last_layer.loss
        if type(loss) is float and not math.isfinite(loss):
            self._expect_finite(t)
        return grads

    def _gradient(
        self, x: ArrayLike, t: ArrayLike, weights: Float64s | None = None
    ) -> dict[str, Array]:
        if self._classes is not None:
            t = self._classes.positions("t", t)
        found = adopt(self)
        own = not self._adopted.objects  # layers of one's own are among them
        # Samples that a layer keeps are no parameters, whatever it calls their gradient.
        held = [each for each in undeclared(self) if each.array is not x] if own else []
        of_own = self._has_own("predict")
        scores = self.predict(x, train_flg=True) if of_own else self._scores(real("x", x), True)
        if weights is None:
            self.last_layer.forward(scores, t)
        else:
            self.last_layer.forward(scores, t, weights)
        dout: Any = first_gradient(self.last_layer)
        for name, layer in reversed(self.layers.items()):
            if dout is None:
                raise ValueError(
                    f"layers: expected backward of the layer after {name} to return the gradient "
                    "with respect to its input, got None"
                )
            dout = layer.backward(dout)
        expect_declared(held)
        grads = gradients(adopt(self) if own else found)  # which the pass may have made
        if self.weight_decay_lambda:
            for key, W in self._weights().items():
                grads[key] += self.weight_decay_lambda * W
        return grads

    @sizing.sizes_first
    def numerical_gradient(self, x: ArrayLike, t: ArrayLike) -> dict[str, Array]:
        """Return the gradients of the training loss by centred differences; slow.

        All differences see the dropout masks of the next training pass, and running
        statistics are left as they are, so that :meth:`gradient`, called next, should agree.
        Build the network with ``dtype="float64"`` for this. :mod:`fastnn.gradient_check` compares
        the two on some entries of each parameter, and says what the difference means.

        Parameters
        ----------
        x, t
            As for :meth:`loss`.

        Returns
        -------
        dict of str to ndarray
        """

        def loss(_: Array) -> float:
            with self._rewound():
                return self.loss(x, t, train_flg=True)

        from fastnn.functional import numerical_gradient

        adopt(self, trained=False)
        return {key: numerical_gradient(loss, p) for key, p in self.params.items()}

    @contextmanager
    def _rewound(self) -> Iterator[None]:
        """Undo at the end what a training pass changes in the layers for the next one."""
        before = layer_state(self)
        try:
            yield
        finally:
            set_layer_state(self, before)
