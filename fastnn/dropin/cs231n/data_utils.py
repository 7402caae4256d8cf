"""``cs231n.data_utils``: CIFAR-10 from ``cs231n/datasets`` in the working directory."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np

__all__ = [
    "get_CIFAR10_data",
    "load_CIFAR10",
    "load_CIFAR_batch",
    "load_models",
    "load_pickle",
    "np",
    "os",
    "pickle",
]


def load_pickle(f: BinaryIO) -> Any:
    """Return what an open file holds, which Python 2 may have written."""
    return pickle.load(f, encoding="latin1")


def load_CIFAR_batch(filename: str) -> tuple[Any, Any]:
    """Return images of float64 (N, 32, 32, 3) and labels (N,) from one of the dataset's files."""
    with open(filename, "rb") as f:
        batch = load_pickle(f)
    images = batch["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).astype("float")
    return images, np.array(batch["labels"])


def load_CIFAR10(ROOT: str) -> tuple[Any, Any, Any, Any]:
    """Return Xtr, Ytr, Xte, Yte from a folder with the dataset's six files."""
    batches = [load_CIFAR_batch(os.path.join(ROOT, f"data_batch_{b}")) for b in range(1, 6)]
    Xtr, Ytr = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return Xtr, Ytr, *load_CIFAR_batch(os.path.join(ROOT, "test_batch"))


def get_CIFAR10_data(
    num_training: int = 49000,
    num_validation: int = 1000,
    num_test: int = 1000,
    subtract_mean: bool = True,
) -> dict[str, Any]:
    """Return CIFAR-10 as X_train, y_train, X_val, y_val, X_test, y_test.

    Images are (N, 3, 32, 32) of float64, less the mean training image. The validation samples
    are those after the training samples.
    """
    Xtr, Ytr, Xte, Yte = load_CIFAR10("cs231n/datasets/cifar-10-batches-py")
    parts: Sequence[tuple[str, Any, Any, range]] = (
        ("train", Xtr, Ytr, range(num_training)),
        ("val", Xtr, Ytr, range(num_training, num_training + num_validation)),
        ("test", Xte, Yte, range(num_test)),
    )
    mean = np.mean(Xtr[list(parts[0][3])], axis=0) if subtract_mean else None
    data: dict[str, Any] = {}
    for name, X, y, chosen in parts:
        images = X[list(chosen)]
        if mean is not None:
            images -= mean
        data[f"X_{name}"] = images.transpose(0, 3, 1, 2).copy()
        data[f"y_{name}"] = y[list(chosen)]
    return data


def load_models(models_dir: str) -> dict[str, Any]:
    """Return the models in a folder's checkpoints, by file name; other files are left out."""
    models = {}
    for name in os.listdir(models_dir):
        with open(os.path.join(models_dir, name), "rb") as f:
            try:
                models[name] = load_pickle(f)["model"]
            except pickle.UnpicklingError:
                continue
    return models
