"""Fully connected networks with the interface of *Deep Learning from Scratch*."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, SupportsFloat

import numpy as np
from numpy.typing import DTypeLike

from fastnn import layers
from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.networks.building import LOSSES, SHORT
from fastnn.networks.network import Network

_ACTIVATIONS = {"sigmoid": layers.Sigmoid, "tanh": layers.Tanh}  # ReLU is fused
_RULES = {"relu": "he", "he": "he", "sigmoid": "xavier", "tanh": "xavier", "xavier": "xavier"}


class Weights:
    """Initial weights that are there: those of a file, if they have the shapes that sizes say."""

    def __init__(self, params: Mapping[str, Array]) -> None:
        self._params, self._count = params, 0

    def __call__(self, shape: tuple[int, ...], **_: Any) -> Array:
        """Return those of the next layer."""
        self._count += 1
        key = f"W{self._count}"
        found = self._params[key].shape if key in self._params else "none"
        if found != shape:
            raise ValueError(f"params/{key}: expected shape {shape}, as sizes say, got {found}")
        return self._params[key]


class MultiLayerNetExtend(Network):
    """Fully connected network with batch normalisation, dropout and weight decay.

    Each hidden layer is Affine, [BatchNormalization], activation, [Dropout]; the last one is
    Affine, with softmax and cross-entropy as the loss, or the squared error. ReLU is fused with
    the layer before it, Affine or BatchNormalization.

    Parameters
    ----------
    input_size : int
        Features of a sample.
    hidden_size_list : sequence of int
        Units of each hidden layer.
    output_size : int
        Classes.
    activation : {"relu", "sigmoid", "tanh"}
        Activation of the hidden layers.
    weight_init_std : float or {"relu", "he", "sigmoid", "tanh", "xavier"}
        Standard deviation of the initial weights, or their rule: sqrt(2 / n) for "relu" and
        "he", sqrt(1 / n) for the others, n being the layer's inputs. Biases start at zero.
    weight_decay_lambda : float
        L2 penalty: ``lambda / 2 * sum(W ** 2)`` of all weights is added to the loss.
    use_dropout : bool
        Whether each activation is followed by dropout.
    dropout_ration : float
        Probability of dropping; the spelling is the book's.
    use_batchnorm : bool
        Whether each hidden Affine is followed by batch normalisation.
    dtype : dtype
        float32 or float64: of parameters, activations and gradients. Inputs are converted.
    seed : int, optional
        Chooses initial weights and dropout masks; random ones if not given.
    loss : {"cross_entropy", "mean_squared_error"}
        Softmax and cross-entropy, for labels or one-hot targets; or half the squared error,
        summed over outputs, for targets (N, output_size). "mse" is short for it.
    input_scale : float
        Inputs are multiplied by it, above 0: 1/255 for images of bytes, which then need not be
        converted beforehand.

    Attributes
    ----------
    params : dict of str to ndarray
        W1, b1, ..., and gamma1, beta1, ... with batch normalisation. The layers hold the
        same arrays: change them in place. All are views of one buffer. What is assigned is written
        into these arrays, as :class:`Network` says.
    layers : OrderedDict of str to layer
        Layers may be added, replaced, moved and removed; `params` follows at the next call, as
        "<layer>.<name>" for arrays that are new. Your own, with parameters, are as
        :class:`fastnn.layers.Layer` says. `input_size` and `output_size` are what samples and
        targets are checked against: set them if your layers change them.
    last_layer : SoftmaxWithLoss or IdentityWithLoss
    history : History or None
        What the last :meth:`fit` recorded, also if it was interrupted.
    classes, feature_names
        Labels of the outputs, and names of columns, as :class:`Network` says.

    Raises
    ------
    ValueError, TypeError
        If a setting is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.networks import MultiLayerNetExtend
    >>> net = MultiLayerNetExtend(4, [8, 8], 3, use_batchnorm=True, seed=0)
    >>> x, t = np.ones((2, 4)), np.array([0, 2])
    >>> sorted(net.gradient(x, t)) == sorted(net.params)
    True
    """

    _SETTINGS = (
        "input_size",
        "hidden_size_list",
        "output_size",
        "activation",
        "weight_decay_lambda",
        "use_dropout",
        "dropout_ration",
        "use_batchnorm",
        "input_scale",
    )

    def __init__(
        self,
        input_size: int,
        hidden_size_list: Sequence[int],
        output_size: int,
        activation: str = "relu",
        weight_init_std: SupportsFloat | str = "relu",
        weight_decay_lambda: SupportsFloat = 0,
        use_dropout: bool = False,
        dropout_ration: SupportsFloat = 0.5,
        use_batchnorm: bool = False,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
        loss: str = "cross_entropy",
        input_scale: SupportsFloat = 1.0,
    ) -> None:
        self.input_size = numbers.integer("input_size", input_size, 1)
        if not isinstance(hidden_size_list, Iterable):
            raise TypeError(f"hidden_size_list: expected a list of sizes, got {hidden_size_list!r}")
        self.hidden_size_list = [
            numbers.integer(f"hidden_size_list[{i}]", size, 1)
            for i, size in enumerate(hidden_size_list)
        ]
        self.hidden_layer_num = len(self.hidden_size_list)
        self.output_size = numbers.integer("output_size", output_size, 1)
        self.activation = str(activation).lower()
        if self.activation not in ("relu", *_ACTIVATIONS):
            raise ValueError(
                f"activation: expected one of relu, {', '.join(_ACTIVATIONS)}, got {activation!r}; "
                "fastnn.Network takes layers of any activation"
            )
        self.use_dropout = bool(use_dropout)
        self.dropout_ration = numbers.below_one("dropout_ration", dropout_ration)
        self.use_batchnorm = bool(use_batchnorm)
        loss = numbers.one_of("loss", str(loss).lower(), (*LOSSES, *SHORT))
        super().__init__(
            self._stack(_rule(weight_init_std)),
            loss=loss,
            input_size=self.input_size,
            weight_decay_lambda=weight_decay_lambda,
            input_scale=input_scale,
            dtype=dtype,
            seed=seed,
        )

    def _stack(self, init: str | float | Weights) -> dict[str, Any]:
        """Return the layers by name."""
        found: dict[str, Any] = {}
        fused = self.activation == "relu"
        for i, size in enumerate(self.hidden_size_list, start=1):
            if self.use_batchnorm:
                found[f"Affine{i}"] = layers.Affine(size, init=init)
                normalise = layers.BatchNormRelu if fused else layers.BatchNormalization
                found[f"BatchNorm{i}"] = normalise()
            else:
                affine = layers.AffineRelu if fused else layers.Affine
                found[f"Affine{i}"] = affine(size, init=init)
            if not fused:
                found[f"Activation_function{i}"] = _ACTIVATIONS[self.activation]()
            if self.use_dropout:
                found[f"Dropout{i}"] = layers.Dropout(self.dropout_ration)
        found[f"Affine{self.hidden_layer_num + 1}"] = layers.Affine(self.output_size, init=init)
        return found

    def _first_params(self) -> dict[str, Array]:
        """Return the parameters by the book's keys: W1, b1, ..., then gamma1, beta1, ..."""
        params: dict[str, Array] = {}
        for kind, names in (("Affine", ("W", "b")), ("BatchNorm", ("gamma", "beta"))):
            for i in range(1, self.hidden_layer_num + 2):
                layer = self.layers.get(f"{kind}{i}")
                if layer is not None:
                    params |= {f"{name}{i}": getattr(layer, name) for name in names}
        return params


def _rule(weight_init_std: SupportsFloat | str | Weights) -> str | float | Weights:
    if isinstance(weight_init_std, Weights):
        return weight_init_std
    if isinstance(weight_init_std, str):
        return _RULES[numbers.one_of("weight_init_std", weight_init_std.lower(), tuple(_RULES))]
    return numbers.not_negative("weight_init_std", weight_init_std)


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
            [numbers.integer("hidden_size", hidden_size, 1)],
            output_size,
            weight_init_std=weight_init_std,
            dtype=dtype,
            seed=seed,
            loss=loss,
            input_scale=input_scale,
        )
