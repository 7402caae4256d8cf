"""Parameters in files, as the course has them since 2024."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from fastnn._utils.files import replacing

_FOLDER = "cs231n/saved"  # in the working directory, as the course's package is


def save(fname: str, params: dict[str, Any]) -> None:
    """Write parameters to a file, and say so."""
    path = os.path.join(_FOLDER, fname)
    with replacing(path if path.endswith(".npy") else f"{path}.npy") as file:
        np.save(file, params)  # type: ignore[arg-type]
    print(fname, "saved.")


def load(fname: str) -> dict[str, Any] | None:
    """Return the parameters from a file, or None if there is none, and say which."""
    path = os.path.join(_FOLDER, fname)
    if not os.path.exists(path):
        print(fname, "not available.")
        return None
    params: dict[str, Any] = np.load(path, allow_pickle=True).item()
    print(fname, "loaded.")
    return params
