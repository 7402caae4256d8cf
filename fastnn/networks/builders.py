"""Fully connected networks with the interface of *Deep Learning from Scratch*."""

from __future__ import annotations

from collections.abc import Sequence
from typing import SupportsFloat

import numpy as np
from numpy.typing import DTypeLike

from fastnn.networks.network import MultiLayerNetExtend


class MultiLayerNet(MultiLayerNetExtend):
    """Fully connected network with weight decay; the book's plain form.

    Parameters
    ----------
    input_size, hidden_size_list, output_size, activation, weight_init_std, \
weight_decay_lambda, dtype, seed, loss, input_scale
        As for :class:`MultiLayerNetExtend`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size_list: Sequence[int],
        output_size: int,
        activation: str = "relu",
        weight_init_std: SupportsFloat | str = "relu",
        weight_decay_lambda: SupportsFloat = 0,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
        loss: str = "cross_entropy",
        input_scale: SupportsFloat = 1.0,
    ) -> None:
        super().__init__(
            input_size,
            hidden_size_list,
            output_size,
            activation,
            weight_init_std,
            weight_decay_lambda,
            dtype=dtype,
            seed=seed,
            loss=loss,
            input_scale=input_scale,
        )


class TwoLayerNet(MultiLayerNet):
    """Network with one hidden layer of ReLUs; the book's first.

    Parameters
    ----------
    input_size, hidden_size, output_size : int
        Features, hidden units, classes.
    weight_init_std : float
        Standard deviation of the initial weights.
    dtype, seed, loss, input_scale
        As for :class:`MultiLayerNetExtend`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        weight_init_std: SupportsFloat = 0.01,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
        loss: str = "cross_entropy",
        input_scale: SupportsFloat = 1.0,
    ) -> None:
        super().__init__(
            input_size,
            [hidden_size],
            output_size,
            weight_init_std=weight_init_std,
            dtype=dtype,
            seed=seed,
            loss=loss,
            input_scale=input_scale,
        )
