"""Look after a training, by the CS231n notes ("Neural networks 3").

Before it, sanity checks: :func:`sanity_checks` does all of them.

While it runs, and after it:

- :class:`Monitor`, a callback of ``network.fit``, and the functions that it calls, for training
  loops of one's own: :func:`activations`, :func:`activation_gradients`, :func:`dead_units`,
  :func:`saturation`, :func:`update_ratio`.
- :func:`diagnose` says in words what is suspicious.
- :func:`dashboard` draws it, :func:`weight_images` the weights of a first layer.
"""

from fastnn.diagnostics._check import Check, SanityReport
from fastnn.diagnostics._dashboard import dashboard, weight_images
from fastnn.diagnostics._initial import check_initial_loss, check_penalty
from fastnn.diagnostics._layers import (
    activation_gradients,
    activations,
    dead_units,
    saturation,
)
from fastnn.diagnostics._measurements import Distribution, update_ratio
from fastnn.diagnostics._monitor import Monitor
from fastnn.diagnostics._sanity import check_gradients, sanity_checks
from fastnn.diagnostics._short_trainings import check_generalisation, check_overfitting
from fastnn.diagnostics._verdict import Finding, Verdict, diagnose

__all__ = [
    "Check",
    "Distribution",
    "Finding",
    "Monitor",
    "SanityReport",
    "Verdict",
    "activation_gradients",
    "activations",
    "check_generalisation",
    "check_gradients",
    "check_initial_loss",
    "check_overfitting",
    "check_penalty",
    "dashboard",
    "dead_units",
    "diagnose",
    "sanity_checks",
    "saturation",
    "update_ratio",
    "weight_images",
]
