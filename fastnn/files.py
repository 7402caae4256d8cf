"""Networks from files, and from PyTorch."""

from fastnn.networks.files import load
from fastnn.networks.from_torch import from_torch

__all__ = ["from_torch", "load"]
