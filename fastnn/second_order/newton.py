"""Newton's method, and the Hessian that it needs."""

from __future__ import annotations

from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn._messages.bars import Progress
from fastnn._utils import validation as numbers
from fastnn._utils.types import Float64s
from fastnn.networks import Network
from fastnn.second_order.minimization import Minimization, Watcher
from fastnn.second_order.objective import End, Objective

# More would take gigabytes and minutes.
_MOST = 5000


# Of a step of Newton's method, before it is given up.
_HALVINGS = 20


_EPS = float(np.finfo(np.float64).eps)


def hessian(network: Network, x: ArrayLike, t: ArrayLike, *, verbose: bool = False) -> Float64s:
    """Return the second derivatives of the training loss, by centred differences of gradients.

    Parameters
    ----------
    network : Network
        Of float64, without dropout. It stays as it is. With ReLU there are no derivatives
        where a unit is at its kink.
    x, t
        As for :func:`lbfgs`.
    verbose : bool
        Whether to show a progress bar.

    Returns
    -------
    ndarray of float64, shape (P, P)
        Symmetric; in the order of ``network.params``, each array row by row.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, there are more than 5,000 parameters, or the loss is not
        finite.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.second_order import hessian
    >>> net = MultiLayerNet(1, [], 1, dtype="float64", loss="mean_squared_error")
    >>> hessian(net, [[1.0], [3.0]], [[0.0], [0.0]]).round(6)  # mean of x^2 and of x; and 1
    array([[5., 2.],
           [2., 1.]])
    """
    objective = _objective_with_hessian("hessian", network, x, t, None)
    with network._rewound(), Progress(2 * objective.at.size, " gradients", verbose) as bar:
        try:
            objective.begin()  # raises ValueError if it is not finite
            return _hessian(objective, bar)
        finally:
            objective.set(objective.at)


def newton(
    network: Network,
    x: ArrayLike,
    t: ArrayLike,
    iterations: SupportsIndex = 10,
    *,
    damping: SupportsFloat = 0.0,
    gtol: SupportsFloat = 1e-8,
    callback: Watcher | None = None,
    verbose: bool = True,
) -> Minimization:
    """Train on all samples at once by Newton's method: steps of -(H + damping I)^-1 gradient.

    The method of the CS231n notes, with their warning: the Hessian H of P parameters takes
    8 P^2 bytes, and here, as it comes from differences, 2 P evaluations of the gradient for each
    step. It is for softmax regression and the like. Directions in which the loss is flat as far as
    the differences tell, such as one number added to the biases of all classes, are left out.
    A step that would raise the loss, as may be far from the minimum, is halved until it does not.

    Parameters
    ----------
    network : Network
        Of float64, without dropout. Its parameters are trained in place; if an exception ends
        the training, Ctrl-C included, they are those of the last iteration.
    x, t
        As for :func:`lbfgs`.
    iterations : int
        At most so many, at least 1.
    damping : float
        Added to the eigenvalues of the Hessian, at least 0. Where the loss is not convex some are
        negative, and steps lead to a saddle point unless this is larger.
    gtol : float
        End where no element of the gradient is larger, at least 0.
    callback : function of a Minimization, optional
        Called at the start and after each iteration; ends the training by returning True.
    verbose : bool
        Whether to show a progress bar.

    Returns
    -------
    Minimization
        If the loss rises however short a step is, that step is not made, and the message says
        what eigenvalues the Hessian has.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above, there are more than 5,000 parameters, or the loss is not
        finite at the start.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.second_order import newton
    >>> x = np.random.default_rng(0).normal(size=(300, 4))
    >>> net = MultiLayerNet(4, [], 1, dtype="float64", loss="mean_squared_error", seed=0)
    >>> result = newton(net, x, x @ [[1.0], [2.0], [3.0], [4.0]] + 5, verbose=False)
    >>> result.iterations, net.params["W1"].round(6).ravel()  # a parabola: one step
    (1, array([1., 2., 3., 4.]))
    """
    iterations = numbers.integer("iterations", iterations, 1)
    damping = numbers.not_negative("damping", damping)
    gtol = numbers.not_negative("gtol", gtol)
    objective = _objective_with_hessian("Newton", network, x, t, callback)
    record = objective.record
    with Progress(iterations * 2 * objective.at.size, " gradients", verbose) as bar:
        try:
            objective.begin()
            while record.gradient_norm[-1] > gtol:
                if record.iterations == iterations:
                    raise End(f"the limit of {iterations} iterations is reached")
                _newton_step(objective, damping, bar)
            record.converged, record.message = True, "no element of the gradient is above gtol"
        except End as end:
            record.message = str(end)
        finally:
            objective.finish()
    return record


def _newton_step(objective: Objective, damping: float, bar: Progress) -> None:
    theta, (loss, gradient) = objective.at, objective.last
    values, vectors = np.linalg.eigh(_hessian(objective, bar))
    damped = values + damping
    # The error of the differences is about eps^(2/3) of the largest elements.
    kept = np.abs(damped) > theta.size * _EPS ** (2 / 3) * np.abs(damped).max()
    along = vectors[:, kept]
    step = along @ ((along.T @ gradient) / damped[kept])
    # Rounding of a sum of losses can look like a rise.
    enough = loss + 16 * _EPS * max(1.0, abs(loss))
    for _ in range(_HALVINGS):
        if objective(theta - step)[0] <= enough:
            break
        step /= 2
    else:
        raise End(
            f"the next step would raise the loss from {loss:.6g}, however short it is: eigenvalues "
            f"of the Hessian are from {values[0]:.3g} to {values[-1]:.3g}, damping is {damping:g}"
        )
    objective.accept(theta - step)
    bar.advance(0, objective.record._facts)


def _objective_with_hessian(
    method: str, network: Any, x: ArrayLike, t: ArrayLike, callback: Watcher | None
) -> Objective:
    objective = Objective(method, network, x, t, callback)
    if objective.network.dtype != np.float64:
        raise TypeError(
            f"network: expected dtype float64, as differences of gradients drown in the rounding "
            f"of others, got {objective.network.dtype}"
        )
    size = objective.at.size
    if size > _MOST:
        raise ValueError(
            f"network: expected at most {_MOST:,} parameters, as the Hessian of {size:,} takes "
            f"{8 * size**2 / 2**30:,.1f} GiB, and {2 * size:,} gradients; "
            f"fastnn.second_order.lbfgs does without it"
        )
    return objective


def _hessian(objective: Objective, bar: Progress) -> Float64s:
    theta = objective.at.copy()
    result = np.empty((theta.size, theta.size))
    for i, value in enumerate(objective.at):
        # Balances the error of the formula, of order h^2, and that of rounding, eps / h.
        h = _EPS ** (1 / 3) * max(1.0, abs(value))
        theta[i] = value + h
        _, above = objective(theta)
        theta[i] = value - h
        _, below = objective(theta)
        theta[i] = value
        result[i] = (above - below) / (2 * h)
        bar.advance(2)
    return (result + result.T) / 2
