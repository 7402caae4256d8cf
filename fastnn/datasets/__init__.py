"""Data sets to train on, read the way the book reads them."""

from fastnn.datasets.idx import read_idx
from fastnn.datasets.mnist import load_mnist, mnist_source

__all__ = ["load_mnist", "mnist_source", "read_idx"]
