"""PyTorch on the CPU, as its users train: modules, autograd, a fused optimizer."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .spec import BETAS, NORM_EPS, NORM_MOMENTUM, Params, Spec


def network(spec: Spec, params: Params) -> Any:
    """Return the network as a Sequential."""
    parts: list[Any] = []
    for i, (d, h) in enumerate(pairwise(spec.widths), start=1):
        affine = nn.Linear(d, h)
        affine.weight.data = torch.from_numpy(np.ascontiguousarray(params[f"W{i}"].T))
        affine.bias.data = torch.from_numpy(params[f"b{i}"].copy())
        parts.append(affine)
        if i == spec.depth:
            break
        if spec.batchnorm:
            norm = nn.BatchNorm1d(h, NORM_EPS, 1 - NORM_MOMENTUM)
            norm.weight.data = torch.from_numpy(params[f"gamma{i}"].copy())
            norm.bias.data = torch.from_numpy(params[f"beta{i}"].copy())
            parts.append(norm)
        parts.append(nn.Tanh() if spec.activation == "tanh" else nn.ReLU(inplace=True))
    return nn.Sequential(*parts).to(getattr(torch, spec.dtype))


def loss_of(spec: Spec, y: Any, t: Any) -> Any:
    """Return the mean loss of a batch."""
    if spec.loss == "cross_entropy":
        return functional.cross_entropy(y, t)
    return functional.mse_loss(y, t, reduction="sum") * (0.5 / len(y))


class Training:
    """A training that goes on with each call."""

    def __init__(self, spec: Spec, params: Params, x: Any, t: Any) -> None:
        self.spec, self.network = spec, network(spec, params)
        self.x, self.t = torch.from_numpy(x), torch.from_numpy(t)
        weights = self.network.parameters()
        if spec.rule == "Adam":
            self.optimizer: Any = torch.optim.Adam(weights, betas=BETAS, eps=spec.eps, fused=True)
        else:
            self.optimizer = torch.optim.SGD(weights, fused=True)

    def set_rate(self, lr: float) -> None:
        """Set the learning rate."""
        self.optimizer.param_groups[0]["lr"] = lr

    def step(self, x: Any, t: Any) -> Any:
        """Take a step; return its loss."""
        loss = loss_of(self.spec, self.network(x), t)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach()

    def epoch(self, lr: float, order: Any) -> Any:
        """Train on the samples in this order, None for one batch of all; return the losses."""
        self.set_rate(lr)
        if order is None:
            return self.step(self.x, self.t)[None]
        losses = []
        for rows in torch.from_numpy(order).split(self.spec.batch):
            losses.append(self.step(self.x.index_select(0, rows), self.t.index_select(0, rows)))
        return torch.stack(losses)

    def parameters(self) -> list[Any]:
        """Return the parameters to compare, in fastnn's layout."""
        found, i = {}, 0
        for part in self.network:
            if isinstance(part, nn.Linear):
                i += 1
                found[f"W{i}"], found[f"b{i}"] = part.weight.t(), part.bias
            elif isinstance(part, nn.BatchNorm1d):
                found[f"gamma{i}"], found[f"beta{i}"] = part.weight, part.bias
        return [found[name].detach().numpy().copy() for name in self.spec.names()]

    def accuracy(self, x: Any, t: Any) -> float:
        """Return the share of samples that are classified correctly."""
        with torch.no_grad():
            self.network.eval()
            scores = self.network(torch.from_numpy(x))
            self.network.train()
        return float((scores.argmax(1) == torch.from_numpy(t)).float().mean())
