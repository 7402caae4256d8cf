"""Small networks of all kinds of layers, and data for them."""

import numpy as np

from fastnn import Network
from fastnn.layers import (
    Affine,
    BatchNormalization,
    Convolution,
    Dropout,
    MaxPool,
    Relu,
    Sigmoid,
    Tanh,
)

D, C = 6, 3


def data(n=40, shape=(D,), seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, *shape)), rng.integers(C, size=n)


def images(n=20, seed=0):
    return data(n, (2, 6, 6), seed)


def plain(**given):
    return Network([Affine(8), Relu(), Affine(7), Relu(), Affine(C)], **given)


def convolutional(**settings):
    return Network(
        [
            Convolution(4, 3, pad=1), BatchNormalization(), Relu(), MaxPool(2, 2),
            Convolution(3, 2, stride=1), Tanh(), Dropout(0.2), Affine(5), Sigmoid(), Affine(C),
        ],
        **settings,
    )  # fmt: skip


def full(**settings):
    return Network(
        [Affine(8), BatchNormalization(), Relu(), Dropout(0.3), Affine(C)],
        **{"weight_decay_lambda": 0.1} | settings,
    )
