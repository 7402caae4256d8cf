"""How many times faster the kernels are than NumPy, for the cases of the other modules."""

from itertools import product

from . import (
    activations,
    affine,
    batchnorm,
    convolution,
    layernorm,
    losses,
    optimizers,
    training,
)
from .common import DTYPES, speedup

_AXES = [
    (affine.forward, affine.SHAPES),
    (affine.backward, affine.SHAPES),
    (convolution.forward, convolution.SHAPES),
    (convolution.backward, convolution.SHAPES),
    (convolution.pool, convolution.POOLED),
    (convolution.pool_backward, convolution.POOLED),
    (batchnorm.forward, batchnorm.SHAPES),
    (batchnorm.inference, batchnorm.SHAPES),
    (batchnorm.backward, batchnorm.SHAPES),
    (layernorm.forward, layernorm.SHAPES),
    (layernorm.backward, layernorm.SHAPES),
    (activations.forward, activations.FUNCTIONS, activations.SHAPES),
    (activations.backward, activations.BACKWARD, activations.SHAPES),
    (losses.loss, losses.LOSSES, losses.SHAPES),
    (optimizers.update, optimizers.OPTIMIZERS, optimizers.SIZES),
    (optimizers.update_network, optimizers.OPTIMIZERS),
    (training.step, training.OPTIMIZERS, training.NORMALIZATIONS),
    (training.epoch, training.OPTIMIZERS, training.NORMALIZATIONS),
]


def _label(make, args):
    module = make.__module__.rpartition(".")[2]
    return " ".join(map(str, (f"{module}.{make.__name__}", *args)))


CASES = {_label(make, args): (make, args) for make, *axes in _AXES for args in product(*axes)}


class SpeedUp:
    params = [list(CASES), DTYPES]
    param_names = ["case", "dtype"]
    unit = "x"

    def track_over_numpy(self, case, dtype):
        make, args = CASES[case]
        return speedup(make(*args, dtype))
