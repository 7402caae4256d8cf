"""What is timed: a module a family, each with a title, notes, and ``cases(dtype)``.

A module may have a ``measure`` of its own, in place of that of :mod:`fastnn._bench.measure`, a
``table`` of its own, and ``THREADS``: "fewest" or "most" where one number of threads is enough.
"""

from fastnn._bench.families import (
    accuracy,
    activations,
    affine,
    batchnorm,
    busy,
    chapters,
    convolution,
    estimators,
    formulas,
    growth,
    images,
    many,
    memory,
    mixed,
    optimizers,
    overhead,
    products,
    scripts,
    simplechains,
    startup,
    throughput,
)

FAMILIES = {
    "affine": affine,
    "products": products,
    "convolution": convolution,
    "batchnorm": batchnorm,
    "optimizers": optimizers,
    "activations": activations,
    "throughput": throughput,
    "images": images,
    "simplechains": simplechains,
    "busy": busy,
    "mixed": mixed,
    "growth": growth,
    "many": many,
    "memory": memory,
    "accuracy": accuracy,
    "overhead": overhead,
    "formulas": formulas,
    "scripts": scripts,
    "chapters": chapters,
    "startup": startup,
    "sklearn": estimators,
}

# Families under one name.
GROUPS = {
    "training": [
        "throughput",
        "images",
        "simplechains",
        "busy",
        "growth",
        "many",
        "memory",
        "accuracy",
    ],
    "calls": ["overhead", "formulas", "scripts"],
}
