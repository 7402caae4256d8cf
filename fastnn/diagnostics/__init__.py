"""Looking after a training, after the CS231n notes ("Neural networks 3").

Before it, sanity checks: :func:`sanity_checks` does all of them.
"""

from fastnn.diagnostics._check import Check, SanityReport
from fastnn.diagnostics._initial import check_initial_loss, check_penalty
from fastnn.diagnostics._sanity import check_gradients, sanity_checks
from fastnn.diagnostics._short_trainings import check_generalisation, check_overfitting

__all__ = [
    "Check",
    "SanityReport",
    "check_generalisation",
    "check_gradients",
    "check_initial_loss",
    "check_overfitting",
    "check_penalty",
    "sanity_checks",
]
