"""Look at a training: what to measure, what it means, and all of it in one picture.

- :class:`Monitor`, a callback of ``network.fit``, and the functions that it calls, for training
  loops of one's own: :func:`activations`, :func:`activation_gradients`, :func:`dead_units`,
  :func:`saturation`, :func:`update_ratio`.
- :func:`diagnose` says in words what is suspicious.
- :func:`dashboard` draws it, :func:`weight_images` the weights of a first layer.
"""

from fastnn.diagnostics._dashboard import dashboard, weight_images
from fastnn.diagnostics._layers import (
    activation_gradients,
    activations,
    dead_units,
    saturation,
)
from fastnn.diagnostics._monitor import Distribution, Monitor, update_ratio
from fastnn.diagnostics._verdict import Finding, Verdict, diagnose

__all__ = [
    "Distribution",
    "Finding",
    "Monitor",
    "Verdict",
    "activation_gradients",
    "activations",
    "dashboard",
    "dead_units",
    "diagnose",
    "saturation",
    "update_ratio",
    "weight_images",
]
