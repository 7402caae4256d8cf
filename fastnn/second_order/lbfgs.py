"""L-BFGS on a full batch."""

from __future__ import annotations

from typing import SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn._messages.bars import Progress
from fastnn._utils import distribution as _distribution
from fastnn._utils import validation as numbers
from fastnn._utils.types import Float64s
from fastnn.networks import Network
from fastnn.second_order.minimization import Minimization, Watcher
from fastnn.second_order.objective import End, Objective


def lbfgs(
    network: Network,
    x: ArrayLike,
    t: ArrayLike,
    iterations: SupportsIndex = 100,
    *,
    memory: SupportsIndex = 10,
    gtol: SupportsFloat = 1e-5,
    ftol: SupportsFloat = 1e-9,
    evaluations: SupportsIndex | None = None,
    callback: Watcher | None = None,
    verbose: bool = True,
) -> Minimization:
    """Train on all samples at once by L-BFGS, SciPy's L-BFGS-B (Byrd et al., 1995).

    Each evaluation is a pass over all samples; an iteration takes one, or more where its line
    search does. The vectors of SciPy are float64, whatever the network is. BLAS has one thread
    meanwhile.

    Parameters
    ----------
    network : Network
        Without dropout. Its parameters are trained in place; if an exception ends the training,
        Ctrl-C included, they are those of the last iteration.
    x : array_like, shape (N, D), or (N, ...) with D elements a sample
    t : array_like, shape (N,), (N, 1) or (N, output_size)
        Labels, or one-hot targets; for the squared error (N, output_size), or (N,) with one
        output.
    iterations : int
        At most so many, at least 1.
    memory : int
        How many pairs of steps and changes of the gradient stand for the Hessian, at least 1.
    gtol : float
        End where no element of the gradient is larger, at least 0.
    ftol : float
        End where an iteration lessens the loss by no more than this times
        max(loss before, loss after, 1), at least 0.
    evaluations : int, optional
        At most so many, at least 1.
    callback : function of a Minimization, optional
        Called at the start and after each iteration; ends the training by returning True.
    verbose : bool
        Whether to show a progress bar.

    Returns
    -------
    Minimization

    Raises
    ------
    ImportError
        Without SciPy or threadpoolctl.
    TypeError, ValueError
        If an argument is not as above, or the loss is not finite at the start.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import MultiLayerNet
    >>> from fastnn.second_order import lbfgs
    >>> x = np.random.default_rng(0).normal(size=(300, 4))
    >>> net = MultiLayerNet(4, [8], 2, "tanh", dtype="float64", seed=0)
    >>> result = lbfgs(net, x, (x[:, 0] > 0).astype(int), 30, verbose=False)
    >>> result.loss[-1] < 0.1 * result.loss[0]
    True
    """
    try:
        from scipy.optimize import minimize
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        command = _distribution.install_command("second-order")
        message = f"lbfgs: {error}; it needs SciPy and threadpoolctl: {command}"
        raise ImportError(message) from error
    iterations = numbers.integer("iterations", iterations, 1)
    options = {
        "maxiter": iterations,
        "maxcor": numbers.integer("memory", memory, 1),
        "gtol": numbers.not_negative("gtol", gtol),
        "ftol": numbers.not_negative("ftol", ftol),
        "maxfun": np.inf,
    }
    objective = Objective("L-BFGS", network, x, t, callback)
    if evaluations is not None:
        objective.most = numbers.integer("evaluations", evaluations, 1)
    record = objective.record
    # On vectors of this length the threads of BLAS, which spin on the cores that the gradient
    # needs, make SciPy's part of an iteration take ten times as long.
    with threadpool_limits(1, "blas"), Progress(iterations, " iterations", verbose) as bar:

        def after(theta: Float64s) -> None:
            objective.accept(theta)  # SciPy's last evaluation is that of its new point
            bar.advance(1, record._facts)

        def function(theta: Float64s) -> tuple[float, Float64s]:
            # SciPy begins with the start, which has been evaluated.
            known = objective.evaluations == 1 and np.array_equal(theta, objective.at)
            return objective.last if known else objective(theta)

        try:
            objective.begin()
            result = minimize(
                function, objective.at, method="L-BFGS-B", jac=True, callback=after,
                options=options,
            )  # fmt: skip
            record.converged, record.message = bool(result.status == 0), str(result.message)
        except End as end:
            record.message = str(end)
        finally:
            objective.finish()
    return record
