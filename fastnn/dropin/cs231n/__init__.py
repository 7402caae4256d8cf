"""The modules of ``cs231n`` that assignments 1 and 2 of CS231n import, solved, on fastnn.

Where the assignments leave the formula to the student, it is the one that their notebooks ask
for. Arrays of float32 and float64 in the shapes that functions are meant for go to
:mod:`fastnn.ops`; whatever else NumPy takes goes through the formula in NumPy, with its result,
its dtype and its errors.
"""

__all__ = ["MODULES"]

MODULES: tuple[str, ...] = (
    "classifiers",
    "classifiers.cnn",
    "classifiers.fc_net",
    "classifiers.linear_classifier",
    "classifiers.linear_svm",
    "classifiers.neural_net",
    "classifiers.softmax",
    "data_utils",
    "fast_layers",
    "gradient_check",
    "im2col",
    "layer_utils",
    "layers",
    "optim",
    "solver",
)
"""What there is, by its dotted name below ``cs231n``."""
