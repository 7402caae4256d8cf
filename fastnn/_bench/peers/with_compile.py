"""``torch.compile``, for whole training only."""

from __future__ import annotations

from fastnn._bench.case import Variant
from fastnn._bench.peers import with_torch
from fastnn._bench.training.problem import Problem
from fastnn._bench.training.with_compile import Training

session = with_torch.session


def training(problem: Problem) -> list[Variant]:
    """Return training with a compiled step."""
    return with_torch.training(problem, Training, "whole step, fullgraph")
