"""scikit-learn's multilayer perceptrons on compiled kernels: change the import, keep the script.

:class:`MLPClassifier` and :class:`MLPRegressor` have the parameters, defaults and fitted attributes
of those in ``sklearn.neural_network``. For the same `random_state` they draw the same initial
values and take samples in the same order, so that with ``dtype="float64"`` ``loss_curve_`` and
``coefs_`` agree step by step, as far as rounding lets them; the default, float32, agrees
statistically. The extra "sklearn" installs what they need.
"""

try:
    from sklearn.utils.validation import validate_data as _needed  # noqa: F401 (since 1.6)
except ImportError as _error:
    from fastnn._utils import distribution as _distribution

    raise ImportError(
        f"fastnn.sklearn: {_error}; it needs scikit-learn 1.6 or newer: "
        f"{_distribution.install_command('sklearn')}",
        name=__name__,
    ) from _error

from fastnn.sklearn.classifier import MLPClassifier
from fastnn.sklearn.regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
