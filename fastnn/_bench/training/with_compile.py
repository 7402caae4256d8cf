"""``torch.compile`` of a whole step: forward, backward and update in one graph."""

from __future__ import annotations

import math
from typing import Any

import torch

from . import with_torch
from .spec import BETAS, NotMeasuredError, Params, Spec


class Training(with_torch.Training):
    """A training whose step is one compiled function, without autograd's tape at run time.

    ``loss.backward()`` and an optimizer's ``step()`` cut a graph in three; gradients by
    ``torch.func`` do not.
    """

    def __init__(self, spec: Spec, params: Params, x: Any, t: Any) -> None:
        super().__init__(spec, params, x, t)
        del self.optimizer
        # Numbers that change come in tensors: others are compiled in.
        self.rate = torch.zeros((), dtype=getattr(torch, spec.dtype))
        self.count = torch.zeros((), dtype=getattr(torch, spec.dtype))
        self.weights = dict(self.network.named_parameters())
        for p in self.weights.values():
            p.requires_grad_(False)
        self.state = [
            [torch.zeros_like(p) for _ in range(2 if spec.rule == "Adam" else 0)]
            for p in self.weights.values()
        ]
        self._compiled: Any = torch.compile(self._step, fullgraph=True, dynamic=False)

    def set_rate(self, lr: float) -> None:
        """Set the learning rate."""
        self.rate.fill_(lr)

    def _loss(self, weights: Any, x: Any, t: Any) -> Any:
        y = torch.func.functional_call(self.network, weights, (x,))
        return with_torch.loss_of(self.spec, y, t)

    def _step(self, x: Any, t: Any) -> Any:
        grads, loss = torch.func.grad_and_value(self._loss)(self.weights, x, t)
        self.count += 1
        for (name, p), state in zip(self.weights.items(), self.state, strict=True):
            g = grads[name]
            p -= self.rate * (self._adam(g, *state) if state else g)
        return loss

    def _adam(self, g: Any, m: Any, v: Any) -> Any:
        m.lerp_(g, 1 - BETAS[0])
        v.mul_(BETAS[1]).addcmul_(g, g, value=1 - BETAS[1])
        # 1 - beta^n, without the difference, which has lost three digits at first.
        first, second = (-torch.expm1(self.count * math.log(beta)) for beta in BETAS)
        root = second.sqrt()
        return m * (root / first) / (v.sqrt() + self.spec.eps * root)

    def step(self, x: Any, t: Any) -> Any:
        """Take a step; return its loss."""
        return self._compiled(x, t)

    def epoch(self, lr: float, order: Any) -> Any:
        """Train on the samples in this order; return the losses.

        Raises
        ------
        NotMeasuredError
            If the step cannot be compiled, as without a C++ compiler.
        """
        try:
            return super().epoch(lr, order)
        except Exception as error:
            text = str(error).strip().splitlines() or [""]
            raise NotMeasuredError(f"{type(error).__name__}: {text[0]}") from error
