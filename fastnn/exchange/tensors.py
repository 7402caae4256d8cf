"""Arrays of PyTorch as NumPy's."""

from __future__ import annotations

import sys
from typing import Any

from fastnn._utils.types import Array
from fastnn.ops._arrays import real


def array_of(name: str, value: Any) -> Array:
    """Return an array of real numbers, not a copy where that can be; raise TypeError for others.

    A tensor may be on any device, and need gradients; one of bfloat16 gives float32.
    """
    torch = sys.modules.get("torch")  # which is there, if the value is of it
    if torch is not None and isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        value = (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return real(name, value)
