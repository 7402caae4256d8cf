"""PyTorch on the CPU trains networks of images, as its users do."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .images import ImageProblem, sized
from .spec import BETAS


class Training:
    """A training that goes on with each call."""

    def __init__(self, given: ImageProblem, channels_last: bool) -> None:
        weights, parts = iter(given.weights()), []
        for part, shape, _ in sized(given.parts):
            if part.kind == "convolution":
                parts.append(nn.Conv2d(*shape[1::-1], part.side, padding=part.pad))
                parts[-1].weight.data = torch.from_numpy(next(weights))
                parts[-1].bias.data = torch.zeros(part.units)
            elif part.kind == "affine":
                if not any(isinstance(each, nn.Flatten) for each in parts):
                    parts.append(nn.Flatten())
                parts.append(nn.Linear(*shape))
                parts[-1].weight.data = torch.from_numpy(np.ascontiguousarray(next(weights).T))
                parts[-1].bias.data = torch.zeros(part.units)
            else:
                parts.append(nn.ReLU(inplace=True) if part.kind == "relu" else nn.MaxPool2d(2))
        self._x, self._t = torch.from_numpy(given.x.copy()), torch.from_numpy(given.t)
        self._network = nn.Sequential(*parts).to(self._x.dtype)
        if channels_last:
            self._network = self._network.to(memory_format=torch.channels_last)
            self._x = self._x.to(memory_format=torch.channels_last)
        self._batch = given.batch
        self._optimizer = torch.optim.Adam(
            self._network.parameters(), given.lr, BETAS, eps=1e-7, fused=True
        )

    def epoch(self) -> list[Any]:
        """Train on all samples; return the loss of each step."""
        losses = []
        with torch.inference_mode(mode=False):
            for x, t in zip(self._x.split(self._batch), self._t.split(self._batch), strict=True):
                self._optimizer.zero_grad(set_to_none=True)
                loss = functional.cross_entropy(self._network(x), t)
                loss.backward()
                self._optimizer.step()
                losses.append(loss.detach())
        return [torch.stack(losses)]
