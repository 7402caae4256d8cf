"""Train neural networks on the CPU, on compiled kernels, from NumPy code.

The interface is that of *Deep Learning from Scratch* (layers with ``forward`` and
``backward``, optimizers with ``update(params, grads)``, ``MultiLayerNet``, ``Trainer``); the
arithmetic is Numba kernels.

- :mod:`fastnn.ops`: checked functions on arrays.
- :mod:`fastnn.layers`, :mod:`fastnn.optimizers`, :mod:`fastnn.initializers`,
  :mod:`fastnn.networks`, :mod:`fastnn.trainer`, :mod:`fastnn.functional`: the book's parts.
- :class:`fastnn.Network`: any stack of layers, with the methods of the book's networks.
- :mod:`fastnn.callbacks`, :mod:`fastnn.schedules`: for ``network.fit``.
- :func:`fastnn.load`: networks from files that ``network.save`` has written;
  :func:`fastnn.from_torch`: from PyTorch's modules; ``network.to_onnx``: for other programs.
- :mod:`fastnn.gradient_check`, :mod:`fastnn.diagnostics`: checks before a training; monitors,
  verdicts and a dashboard of one.
- :mod:`fastnn.search`: hyper-parameter search on Optuna.
- :func:`fastnn.fit_many`, :func:`fastnn.cross_validate` (:mod:`fastnn.many`): several trainings at
  the same time.
- :mod:`fastnn.ensembles`: several networks as one, and one that learns from them.
- :mod:`fastnn.second_order`: L-BFGS and Newton's method.
- :mod:`fastnn.sklearn`: scikit-learn's multilayer perceptrons.
- :mod:`fastnn.reference`: each kernel in plain NumPy.
- :mod:`fastnn.datasets`: MNIST.
- :mod:`fastnn.dropin`: the modules that scripts of the book and of CS231n import.
- :mod:`fastnn.config`: kernels or reference; number of threads.
- :mod:`fastnn.build`: makes machine code ahead of time, for wheels.

Submodules are loaded at first use: ``import fastnn`` is enough for ``fastnn.datasets``.
"""

import sys as _sys
from importlib import import_module as _import_module
from os.path import dirname as _dirname
from os.path import isdir as _isdir
from os.path import join as _join
from typing import TYPE_CHECKING

from fastnn._utils import distribution as _distribution

if TYPE_CHECKING:
    from fastnn import (
        build,
        callbacks,
        config,
        datasets,
        diagnostics,
        dropin,
        ensembles,
        exchange,
        files,
        fit,
        functional,
        gradient_check,
        initializers,
        kernels,
        layers,
        many,
        networks,
        ops,
        optimizers,
        program,
        reference,
        schedules,
        search,
        second_order,
        trainer,
        training,
    )
    from fastnn import sklearn as sklearn
    from fastnn.config import get_num_threads, set_num_threads
    from fastnn.files import from_torch, load
    from fastnn.fit import DivergenceWarning
    from fastnn.many import cross_validate, fit_many
    from fastnn.networks import MultiLayerNet, MultiLayerNetExtend, Network, TwoLayerNet
    from fastnn.trainer import Trainer

__version__ = _distribution.VERSION
__all__ = [
    "DivergenceWarning",
    "MultiLayerNet",
    "MultiLayerNetExtend",
    "Network",
    "Trainer",
    "TwoLayerNet",
    "build",
    "callbacks",
    "config",
    "cross_validate",
    "datasets",
    "diagnostics",
    "dropin",
    "ensembles",
    "exchange",
    "files",
    "fit",
    "fit_many",
    "from_torch",
    "functional",
    "get_num_threads",
    "gradient_check",
    "initializers",
    "kernels",
    "layers",
    "load",
    "many",
    "networks",
    "ops",
    "optimizers",
    "program",
    "reference",
    "schedules",
    "search",
    "second_order",
    "set_num_threads",
    "trainer",
    "training",
]

if not TYPE_CHECKING:  # for a type checker, a module with __getattr__ has all names
    # Where names come from that are no submodules.
    _HOMES = {
        "DivergenceWarning": "fit",
        "MultiLayerNet": "networks",
        "MultiLayerNetExtend": "networks",
        "Network": "networks",
        "Trainer": "trainer",
        "TwoLayerNet": "networks",
        "cross_validate": "many",
        "fit_many": "many",
        "from_torch": "files",
        "get_num_threads": "config",
        "load": "files",
        "set_num_threads": "config",
    }

    # Not of the names that a star imports: it needs scikit-learn, and is called like that.
    _OTHERS = ("sklearn",)

    def __getattr__(name):
        """Load what is asked for, once: all of it takes a third of a second."""
        if name in __all__ or name in _OTHERS:
            home = _import_module(f"fastnn.{_HOMES.get(name, name)}")
            value = getattr(home, name) if name in _HOMES else home
        else:
            message = f"module 'fastnn' has no attribute {name!r}"
            raise AttributeError(message, name=name, obj=_sys.modules[__name__])
        globals()[name] = value
        return value

    def __dir__():
        return ["__version__", *__all__, *_OTHERS]


_beside = _dirname(__path__[0])
if not _isdir(_join(__path__[0], "kernels")) and _isdir(_join(_beside, "kernels")):  # in a clone
    __path__.append(_beside)

_distribution.warn_of_others(__path__[0])
