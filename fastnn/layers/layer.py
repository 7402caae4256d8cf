"""What a network asks of a layer."""

from __future__ import annotations

from typing import Any, Protocol

from fastnn._utils.types import Array


class Layer(Protocol):
    """What a network asks of a layer, of :mod:`fastnn.layers` or your own in ``network.layers``.

    A layer of your own with parameters names them, and training changes these arrays in place:

    - `params`: a dict of names and arrays, or a list of arrays, float32 or float64. Their keys in
      ``network.params`` are ``"<layer>.<name>"``, or ``"<layer>.0"`` and so on for a list.
    - `grads`: from `backward` on, a gradient for each, by the same names or in the same order.
    - `decayed`, if you like: the names of those that weight decay of the network acts on, in a list
      or tuple; ``decayed = ()`` for none. Without it these are the ones whose name begins with W,
      and in a list those of two and more axes.

    A :class:`fastnn.Network` also asks for the sizes of what layers give:

    - ``output_shape(shape)``: the shape of the output for a sample of this shape. Without it, a
      copy of the layer is shown one sample of zeros.
    - ``build(shape, rng, dtype)``: sets `params`, which is None before, for samples of this shape,
      with random numbers from a :class:`numpy.random.Generator`. Not needed if `params` is there.

    A layer with arrays that have gradients beside them (`W` and `dW`) and without `params` is
    refused; ``params = {}`` says that they are not to be trained. So is a layer around another
    one that does not name what that has.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> class Scale:
    ...     def __init__(self, size):
    ...         self.params = {"s": np.ones(size, np.float32)}
    ...
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x * self.params["s"]
    ...
    ...     def backward(self, dout):
    ...         self.grads = {"s": (dout * self.x).sum(axis=0)}
    ...         return dout * self.params["s"]
    >>> net = MultiLayerNet(4, [8], 3, seed=0)
    >>> net.layers["Scale"] = Scale(3)
    >>> x, t = np.random.default_rng(0).normal(size=(6, 4)), np.array([0, 1, 2, 0, 1, 2])
    >>> history = net.fit(x, t, verbose=False)
    >>> list(net.params), history.reason
    (['W1', 'b1', 'W2', 'b2', 'Scale.s'], 'Scale is of type Scale')
    """

    def forward(self, x: Array, train_flg: bool = True) -> Array:
        """Return the output; `train_flg` says whether it is for a training step.

        ``forward(x)``, as in the book, will do: `train_flg` is passed where an argument has that
        name, or where the second one has no default, or True or False as its default.
        """
        ...

    def backward(self, dout: Array) -> Any:
        """Return the gradient with respect to the input of the last forward pass."""
        ...
