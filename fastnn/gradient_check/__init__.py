"""Gradient checks: backpropagation against centred differences.

They follow the CS231n notes ("Neural networks 3", gradient checks): double precision, relative
errors, several step sizes, few samples, some entries of each parameter, kinks that a difference
crosses, data loss and weight penalty apart, dropout repeated, a burn-in before.

- :func:`gradient_check`: a network, ours or a user's with the interface of the book.
- :func:`check_layer`: a layer with ``forward`` and ``backward``.
- :func:`check_function`: a function of arrays and its gradient.
- :class:`GradientReport`: what they return; print it.
- :func:`relative_error`, :func:`verdict`: what is compared, and what is thought of it.
"""

from fastnn.gradient_check._compare import Kink, ParameterCheck, Worst, relative_error, verdict
from fastnn.gradient_check._functions import check_function, check_layer
from fastnn.gradient_check._network import gradient_check
from fastnn.gradient_check._report import GradientReport

__all__ = [
    "GradientReport",
    "Kink",
    "ParameterCheck",
    "Worst",
    "check_function",
    "check_layer",
    "gradient_check",
    "relative_error",
    "verdict",
]
