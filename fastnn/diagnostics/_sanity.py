"""Sanity checks before a training.

The first, second and fourth are those of the CS231n notes ("Neural networks 3", before learning:
sanity checks). The notes warn that a network overfits a few samples also when features are
random. Gradients and generalisation are checked for that reason: a wrong gradient may still go
down, and shuffled labels can be learnt by heart.
"""

from __future__ import annotations

from typing import Any, SupportsFloat, SupportsIndex

from numpy.typing import ArrayLike

from fastnn.diagnostics._check import Check, SanityReport
from fastnn.diagnostics._initial import check_initial_loss, check_penalty
from fastnn.diagnostics._short_trainings import check_generalisation, check_overfitting
from fastnn.gradient_check import gradient_check
from fastnn.networks.interface import PENALTY


def sanity_checks(
    network: Any,
    x: ArrayLike,
    t: ArrayLike,
    *,
    expected: SupportsFloat | None = None,
    optimizer: Any = None,
    penalty: str = PENALTY,
    seed: SupportsIndex = 0,
) -> SanityReport:
    """Carry out all sanity checks, on copies: the network stays as it is.

    In turn :func:`check_initial_loss`, :func:`check_penalty`, :func:`check_gradients`,
    :func:`check_overfitting` and :func:`check_generalisation`, with their usual settings.

    Parameters
    ----------
    network : object
        A fresh one of :mod:`fastnn.networks`, or any object with `params` (a dict of arrays that
        it computes with), ``predict(x)``, ``loss(x, t)`` and ``gradient(x, t)``.
    x : array_like, shape (N, ...)
        Training data; 1,000 samples are enough.
    t : array_like, shape (N,) or (N, C)
        Labels, or targets.
    expected : float, optional
        Loss of a network that knows nothing; see :func:`check_initial_loss`.
    optimizer : Optimizer or str, optional
        For the two that train; Adam with its usual settings if not given. It is copied.
    penalty : str
        Name of the attribute with the strength of the weight penalty, if there is one.
    seed : int
        Of all that is random.

    Returns
    -------
    SanityReport

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.diagnostics import sanity_checks
    >>> x = np.random.default_rng(0).normal(size=(400, 8))
    >>> report = sanity_checks(MultiLayerNet(8, [32], 2, seed=0), x, (x[:, 0] > 0).astype(int))
    >>> report.ok
    True
    """
    return SanityReport(
        (
            check_initial_loss(network, x, t, expected=expected, penalty=penalty),
            check_penalty(network, x, t, penalty=penalty),
            check_gradients(network, x, t, penalty=penalty, seed=seed),
            check_overfitting(network, x, t, optimizer=optimizer, penalty=penalty),
            check_generalisation(network, x, t, optimizer=optimizer, penalty=penalty, seed=seed),
        )
    )


def check_gradients(
    network: Any,
    x: ArrayLike,
    t: ArrayLike,
    *,
    penalty: str = PENALTY,
    seed: SupportsIndex = 0,
) -> Check:
    """Check the gradients: :func:`fastnn.gradient_check.gradient_check`, in short.

    A wrong gradient may still point downhill, and overfit.

    Parameters
    ----------
    network, x, t
        As for :func:`sanity_checks`.
    penalty : str
        Name of the attribute with the strength of the weight penalty, if there is one.
    seed : int
        Chooses the entries that are checked.

    Returns
    -------
    Check

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above.
    """
    report = gradient_check(
        network, x, t, entries=6, steps=(1e-3, 1e-4, 1e-5, 1e-6), penalty=penalty, seed=seed
    )
    wrong = [f"{key} ({check.verdict})" for key, check in report.checks.items() if not check.ok]
    wrong += [f"penalty of {key}" for key, check in report.penalty.items() if not check.ok]
    advice = ""
    if not report.ok:
        advice = f"See print(gradient_check(network, x, t)){': ' if wrong else ''}"
        advice += ", ".join(wrong)
    text = "every gradient is zero, or too small to tell"
    if report.worst is not None:
        text = f"relative error up to {report.worst.error:.1e} against centred differences: "
        text += report.verdict
    return Check("gradients", report.ok, text, advice)
