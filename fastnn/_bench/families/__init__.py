"""What is timed: a module a family, each with a title, notes, and ``cases(dtype)``."""

from fastnn._bench.families import activations, affine, batchnorm, optimizers, startup

FAMILIES = {
    "affine": affine,
    "batchnorm": batchnorm,
    "optimizers": optimizers,
    "activations": activations,
    "startup": startup,
}
