"""What the losses of linear classifiers share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.dropin.cs231n._affine import affine_forward, affine_gradients


def loss_of_scores(
    loss_of: Callable[[Any, Any], tuple[Any, Any]], W: Any, X: Any, y: Any, reg: Any
) -> tuple[Any, Any]:
    """Return the loss of the scores X W, plus reg sum(W^2), and its gradient."""
    scores, cache = affine_forward(X, W, np.zeros(W.shape[1:], W.dtype))
    loss, dscores = loss_of(scores, y)
    _, dW, _ = affine_gradients(dscores, cache, input_gradient=False)
    return loss + reg * np.sum(W * W), dW + 2 * reg * W
