"""Train neural networks on the CPU, on compiled kernels, from NumPy code.

The interface is that of *Deep Learning from Scratch* (layers with ``forward`` and
``backward``, optimizers with ``update(params, grads)``, ``MultiLayerNet``, ``Trainer``); the
arithmetic is Numba kernels.

- :mod:`fastnn.ops`: checked functions on arrays.
- :mod:`fastnn.layers`, :mod:`fastnn.optimizers`, :mod:`fastnn.initializers`,
  :mod:`fastnn.networks`, :mod:`fastnn.trainer`, :mod:`fastnn.functional`: the book's parts.
- :mod:`fastnn.callbacks`, :mod:`fastnn.schedules`: for ``network.fit``.
- :func:`fastnn.load`: networks from files that ``network.save`` has written.
- :mod:`fastnn.gradient_check`, :mod:`fastnn.diagnostics`: checks before a training; monitors,
  verdicts and a dashboard of one.
- :mod:`fastnn.search`: hyper-parameter search on Optuna.
- :mod:`fastnn.ensembles`: several networks as one, and one that learns from them.
- :mod:`fastnn.second_order`: L-BFGS and Newton's method.
- :mod:`fastnn.reference`: each kernel in plain NumPy.
- :mod:`fastnn.datasets`: MNIST.
- :mod:`fastnn.dropin`: the modules that scripts of the book and of CS231n import.
- :mod:`fastnn.config`: kernels or reference; number of threads.
"""

from importlib.metadata import version as _version

from fastnn import (
    callbacks,
    config,
    ensembles,
    functional,
    initializers,
    layers,
    networks,
    ops,
    optimizers,
    schedules,
    second_order,
)
from fastnn.config import get_num_threads, set_num_threads
from fastnn.files import load
from fastnn.networks import MultiLayerNet, MultiLayerNetExtend, TwoLayerNet
from fastnn.trainer import Trainer

__version__ = _version("fastnn")

__all__ = [
    "MultiLayerNet",
    "MultiLayerNetExtend",
    "Trainer",
    "TwoLayerNet",
    "callbacks",
    "config",
    "ensembles",
    "functional",
    "get_num_threads",
    "initializers",
    "layers",
    "load",
    "networks",
    "ops",
    "optimizers",
    "schedules",
    "second_order",
    "set_num_threads",
]
