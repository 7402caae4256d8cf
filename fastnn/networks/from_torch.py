"""Networks from PyTorch's modules."""

from __future__ import annotations

from typing import Any, SupportsFloat

from fastnn.layers import SoftmaxWithLoss
from fastnn.networks.network import Network, Size

__all__ = ["from_torch"]


def from_torch(
    module: Any,
    *,
    loss: Any = "cross_entropy",
    input_size: Size | None = None,
    weight_decay_lambda: SupportsFloat = 0,
    input_scale: SupportsFloat = 1.0,
    seed: int | None = None,
) -> Network:
    """Return a network that does what a ``torch.nn.Sequential`` does, with copies of its arrays.

    Layers are named by the paths of the modules, "0", "3.1", ..., so that
    ``network.state_dict()`` has the names of ``module.state_dict()``. To bring a trained network
    back::

        arrays = network.state_dict()
        module.load_state_dict({name: torch.from_numpy(a) for name, a in arrays.items()})

    Parameters
    ----------
    module : torch.nn.Sequential
        Of Linear, Conv2d, MaxPool2d, BatchNorm1d, BatchNorm2d, LayerNorm, Dropout, Flatten,
        Identity, ReLU, LeakyReLU, ELU, GELU, SiLU, Softplus, Sigmoid and Tanh, and of Sequentials
        of these; float32 or float64, on any device. It is not changed. Softmax or LogSoftmax at
        its end is left to the loss, as ``predict`` returns the scores before it.
    loss, input_size, weight_decay_lambda, input_scale, seed
        As for :class:`fastnn.Network`. The size of images, such as (3, 32, 32), is that of the
        first samples if it is not given.

    Returns
    -------
    Network
        ``predict`` does what the module does in evaluation mode, whatever mode it is in. Parameters
        that need no gradient are not in its `params`, and so not trained. Nor is the bias of a
        module that has none: it is 0 here, and neither `state_dict` nor `to_torch` has it. Where
        parameters are not trained, the others are trained layer by layer.

    Raises
    ------
    TypeError
        If it is no Sequential, or dtypes are others.
    ValueError
        If there is no layer for a module, or for one of its settings; its path is named.

    Notes
    -----
    A training goes on as PyTorch's would, up to rounding, but for the running variance, which takes
    the biased one of each batch here. Softplus is exact here also above 20, where PyTorch returns
    its input.
    """
    from fastnn.exchange.modules import layers_of  # which few need

    taken = layers_of(module)
    network = Network(
        taken.layers,
        loss=loss,
        input_size=input_size,
        weight_decay_lambda=weight_decay_lambda,
        input_scale=input_scale,
        dtype=taken.dtype,
        seed=seed,
    )
    if taken.softmax and not isinstance(network.last_layer, SoftmaxWithLoss):
        raise ValueError(
            f"loss: expected 'cross_entropy', which has the softmax of {taken.softmax} in it, "
            f"got {loss!r}"
        )
    for p in network._adopted.parameters:
        if (p.layer, p.name) in taken.frozen:
            network.params.pop(p.key, None)
    network._without_bias = taken.without_bias
    return network
