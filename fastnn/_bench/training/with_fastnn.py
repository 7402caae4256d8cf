"""fastnn: ``network.fit``, on either backend."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import config, networks, optimizers

from .spec import BETAS, Params, Spec


class Training:
    """A training that goes on with each call; orders of samples are fastnn's own."""

    def __init__(
        self, spec: Spec, params: Params, x: Any, t: Any, *, backend: str | None = None,
        seed: int = 0, input_scale: float = 1.0,
    ) -> None:  # fmt: skip
        self.spec, self.x, self.t, self.seed = spec, x, t, seed
        self.backend = backend or config.get_backend()
        first, *hidden, last = spec.widths
        self.network = networks.MultiLayerNetExtend(
            first,
            hidden,
            last,
            activation=spec.activation,
            use_batchnorm=spec.batchnorm,
            loss=spec.loss,
            dtype=spec.dtype,
            input_scale=input_scale,
        )
        for name, p in self.network.params.items():
            p[...] = params[name]
        if spec.rule == "Adam":
            self.optimizer: Any = optimizers.Adam(
                1e-3, *BETAS, eps=spec.eps, bias_correction="explicit"
            )
        else:
            self.optimizer = getattr(optimizers, spec.rule)()

    def epoch(self, lr: float, order: Any = None, epochs: int = 1) -> list[float]:
        """Train on all samples, so many times; return the loss of each step.

        `order` is what others take: ``fit`` draws its own.
        """
        self.optimizer.lr = lr
        with config.use_backend(self.backend):
            history = self.network.fit(
                self.x,
                self.t,
                epochs=epochs,
                batch_size=self.spec.batch,
                optimizer=self.optimizer,
                verbose=False,
                shuffle=self.spec.batch < len(self.x),
                seed=self.seed,
            )
        self.seed += 1
        return history.step_losses

    def parameters(self) -> list[Any]:
        """Return the parameters to compare."""
        return [np.copy(self.network.params[name]) for name in self.spec.names()]

    def accuracy(self, x: Any, t: Any) -> float:
        """Return the share of samples that are classified correctly."""
        return self.network.accuracy(x, t)
