"""scikit-learn's MLPClassifier, one ``partial_fit`` an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from .spec import BETAS, NotMeasuredError, Params, Spec


class Training:
    """A training that goes on with each call."""

    def __init__(self, spec: Spec, params: Params, x: Any, t: Any) -> None:
        if spec.batchnorm:
            raise NotMeasuredError("MLPClassifier has no batch normalisation")
        if spec.loss != "cross_entropy":
            raise NotMeasuredError("MLPClassifier has no other loss than cross-entropy")
        self.spec, self.x, self.t = spec, x, t
        self.model = MLPClassifier(
            spec.widths[1:-1],
            activation=spec.activation,
            solver=spec.rule.lower(),
            alpha=0.0,
            batch_size=spec.batch,
            beta_1=BETAS[0],
            beta_2=BETAS[1],
            epsilon=spec.eps,
            momentum=0.0,
            nesterovs_momentum=False,
            shuffle=False,  # the order comes with the samples
            random_state=0,
        )
        # Makes the arrays; the next one makes a new optimizer for what is put into them.
        classes = np.arange(spec.widths[-1])
        self.model.partial_fit(x[: spec.batch], t[: spec.batch], classes=classes)
        del self.model._optimizer
        for i in range(spec.depth):
            self.model.coefs_[i] = np.array(params[f"W{i + 1}"])
            self.model.intercepts_[i] = np.array(params[f"b{i + 1}"])

    def epoch(self, lr: float, order: Any) -> Any:
        """Train on the samples in this order; return their mean loss."""
        self.model.learning_rate_init = lr
        if hasattr(self.model, "_optimizer"):
            # Adam reads the one, SGD the other.
            self.model._optimizer.learning_rate_init = self.model._optimizer.learning_rate = lr
        self.model.partial_fit(self.x[order], self.t[order])
        return np.array([self.model.loss_])

    def parameters(self) -> list[Any]:
        """Return the parameters to compare."""
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [np.array(p) for pair in pairs for p in pair]
