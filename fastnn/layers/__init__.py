"""Layers: state around the functions of :mod:`fastnn.ops`.

The interface is that of *Deep Learning from Scratch*: ``forward(x)`` keeps what the backward
pass needs, ``backward(dout)`` returns the gradient with respect to the input and leaves those
of the parameters in attributes (``dW``, ``db``, ``dgamma``, ``dbeta``). Unlike the book's
layers none of them writes to its arguments. Activations keep their output, or their input,
not a copy, for the backward pass: do not change it in between.

A file has layers of one kind: `affine`, `activations`, `normalization`, `layer_normalization`,
`dropout`, `flatten`, `convolution`, `pooling` and, for the end of a network, `losses`. It ends with
their records. Beside them stand

- `record`: what a kind of layer is, for all who ask, and `layer`: what a network asks of any layer;
- `planning`: what a record may ask of the plan of a training program, and `folding`: how it says
  what the layer does at test time;
- `parameters`: the parameters of a layer and their gradients; `adoption`: those of a network, as
  ``network.params`` has them; `undeclared`: arrays of a user's layer that it does not name;
- `state`: what else a training changes in layers; `sizes`: layers that are built when their input
  is known; `calls`: how ``forward`` and ``backward`` are called, also where a user wrote them.
"""

from fastnn.layers.activations import (
    Elu,
    Gelu,
    Identity,
    LeakyRelu,
    Relu,
    Sigmoid,
    Silu,
    Softplus,
    Tanh,
)
from fastnn.layers.affine import Affine, AffineRelu
from fastnn.layers.convolution import Convolution
from fastnn.layers.dropout import Dropout
from fastnn.layers.flatten import Flatten
from fastnn.layers.layer import Layer
from fastnn.layers.layer_normalization import LayerNormalization
from fastnn.layers.losses import (
    HuberWithLoss,
    IdentityWithLoss,
    PoissonWithLoss,
    SigmoidWithLoss,
    SoftmaxWithLoss,
)
from fastnn.layers.normalization import BatchNormalization, BatchNormRelu
from fastnn.layers.pooling import MaxPool

__all__ = [
    "Affine",
    "AffineRelu",
    "BatchNormRelu",
    "BatchNormalization",
    "Convolution",
    "Dropout",
    "Elu",
    "Flatten",
    "Gelu",
    "HuberWithLoss",
    "Identity",
    "IdentityWithLoss",
    "Layer",
    "LayerNormalization",
    "LeakyRelu",
    "MaxPool",
    "PoissonWithLoss",
    "Relu",
    "Sigmoid",
    "SigmoidWithLoss",
    "Silu",
    "SoftmaxWithLoss",
    "Softplus",
    "Tanh",
]
