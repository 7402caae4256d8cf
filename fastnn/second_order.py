"""Second-order methods: L-BFGS on a full batch, and Newton's method for small networks.

Both minimise the training loss over all samples, weight decay included. Neither has a learning
rate: the curvature of the loss, which L-BFGS estimates from the gradients of the last steps and
Newton's method computes, says how far to go (CS231n notes, "Neural networks 3", second order
methods).

A step on all samples is a function of the parameters, with batch normalisation too; dropout is
refused. Running statistics of batch normalisation are those of all samples at the end. Build the
network with ``dtype="float64"``: near a minimum losses differ by less than float32 can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn import _compiling as compiling
from fastnn import _distribution, layers
from fastnn import _html as html
from fastnn import _numbers as numbers
from fastnn._bars import Progress
from fastnn._copies import expect_network, set_statistics
from fastnn._route import Float64s
from fastnn._samples import samples
from fastnn.networks import MultiLayerNetExtend

__all__ = ["Minimization", "hessian", "lbfgs", "newton"]

# More would take gigabytes and minutes.
_MOST = 5000
# Of a step of Newton's method, before it is given up.
_HALVINGS = 20
_EPS = float(np.finfo(np.float64).eps)


@dataclass(repr=False)
class Minimization:
    """What :func:`lbfgs` or :func:`newton` recorded.

    Attributes
    ----------
    method : str
    loss : list of float
        With weight penalty: at the start, and after each iteration.
    gradient_norm : list of float
        Largest absolute value in the gradient there.
    evaluations : list of int
        How often the gradient had been computed by then: passes over all samples.
    seconds : list of float
        What had passed by then, without the compiling and loading of kernels.
    converged : bool
        Whether it ended at a minimum, as far as its tolerances tell.
    message : str
        Why it ended.
    """

    method: str
    loss: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    evaluations: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    converged: bool = False
    message: str = ""

    @property
    def iterations(self) -> int:
        """Number of iterations."""
        return max(0, len(self.loss) - 1)

    def _facts(self) -> dict[str, str]:
        return {"loss": f"{self.loss[-1]:.4g}"}

    def __repr__(self) -> str:
        if not self.loss:
            return f"Minimization({self.method}, not begun)"
        return (
            f"Minimization({self.method}, {self.iterations} iterations, "
            f"{self.evaluations[-1]} evaluations, {self.seconds[-1]:.2f} s: "
            f"loss {self.loss[0]:.4g} to {self.loss[-1]:.4g}, "
            f"gradient norm {self.gradient_norm[-1]:.2g}; {self.message})"
        )

    def _repr_html_(self) -> str:
        rows = [
            [str(i), f"{loss:.6g}", f"{norm:.2g}", str(evaluations), f"{seconds:.2f}"]
            for i, (loss, norm, evaluations, seconds) in enumerate(
                zip(self.loss, self.gradient_norm, self.evaluations, self.seconds, strict=True)
            )
        ]
        head = ["iteration", "loss", "gradient norm", "evaluations", "seconds"]
        return html.join(
            html.heading(f"{self.method}: {self.message or 'not begun'}"),
            html.curves({"loss": self.loss}),
            html.table(head, html.some_rows(rows)),
        )


Watcher = Callable[[Minimization], bool | None]


class _End(Exception):
    """Ends a minimisation; its text says why."""


class _Objective:
    """The training loss and its gradient as functions of one vector.

    Attributes
    ----------
    at : ndarray of float64, shape (P,)
        The parameters one after the other, as of the last iteration.
    last : (float, ndarray)
        Loss and gradient of the last evaluation.
    """

    def __init__(
        self, method: str, network: Any, x: ArrayLike, t: ArrayLike, callback: Watcher | None
    ) -> None:
        self.network = expect_network("network", network)
        for name, layer in network.layers.items():
            if isinstance(layer, layers.Dropout) and layer.dropout_ratio > 0:
                raise ValueError(
                    f"network: expected one without dropout, which makes the loss random, "
                    f"got {name}"
                )
        if callback is not None and not callable(callback):
            raise TypeError(f"callback: expected a function, got {callback!r}")
        x, self._t = samples(network, x, t)
        self._x = x.astype(network.dtype, copy=False)
        self._callback = callback
        self._start = compiling.clock()
        self.evaluations = 0
        self.most: int | None = None
        self.record = Minimization(method)
        self.at = np.concatenate([p.ravel() for p in network.params.values()], dtype=np.float64)

    def set(self, theta: Float64s) -> None:
        """Write a vector to the parameters."""
        begin = 0
        for p in self.network.params.values():
            p[...] = theta[begin : begin + p.size].reshape(p.shape)
            begin += p.size

    def __call__(self, theta: Float64s) -> tuple[float, Float64s]:
        """Return loss and gradient."""
        if self.evaluations == self.most:
            raise _End(f"the limit of {self.most} evaluations is reached")
        self.set(theta)
        grads = self.network.gradient(self._x, self._t)
        self.evaluations += 1
        data = self.network.last_layer.loss
        assert data is not None
        flat = [grads[key].ravel() for key in self.network.params]
        self.last = data + self.network._penalty(), np.concatenate(flat, dtype=np.float64)
        return self.last

    def accept(self, theta: Float64s) -> None:
        """Record an iteration that ended at the last evaluation; raise _End if it is enough."""
        self.at = theta.copy()
        loss, gradient = self.last
        record = self.record
        record.loss.append(loss)
        record.gradient_norm.append(float(np.abs(gradient).max()))
        record.evaluations.append(self.evaluations)
        record.seconds.append(compiling.clock() - self._start)
        if self._callback is not None and self._callback(record):
            raise _End("the callback ended it")

    def begin(self) -> None:
        """Evaluate and record the start."""
        loss, gradient = self(self.at)
        if not (np.isfinite(loss) and np.isfinite(gradient).all()):
            raise ValueError(f"network: expected a finite loss and gradient, got a loss of {loss}")
        self.accept(self.at)

    def finish(self) -> None:
        """Leave the network with the parameters of the last iteration."""
        self.set(self.at)
        set_statistics(self.network, self._x)


def lbfgs(
    network: MultiLayerNetExtend,
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
    network : MultiLayerNetExtend
        Without dropout. Its parameters are trained in place; if an exception ends the training,
        Ctrl-C included, they are those of the last iteration.
    x : array_like, shape (N, D), or (N, ...) with D elements a sample
    t : array_like, shape (N,), (N, 1) or (N, output_size)
        Labels, or one-hot targets; (N, output_size) alone for the squared error.
    iterations : int
        At most so many, from 1 up.
    memory : int
        How many pairs of steps and changes of the gradient stand for the Hessian, from 1 up.
    gtol : float
        End where no element of the gradient is larger, from 0 up.
    ftol : float
        End where an iteration lessens the loss by no more than this times
        max(loss before, loss after, 1), from 0 up.
    evaluations : int, optional
        At most so many, from 1 up.
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
    iterations = numbers.whole("iterations", iterations, 1)
    options = {
        "maxiter": iterations,
        "maxcor": numbers.whole("memory", memory, 1),
        "gtol": numbers.not_negative("gtol", gtol),
        "ftol": numbers.not_negative("ftol", ftol),
        "maxfun": np.inf,
    }
    objective = _Objective("L-BFGS", network, x, t, callback)
    if evaluations is not None:
        objective.most = numbers.whole("evaluations", evaluations, 1)
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
        except _End as end:
            record.message = str(end)
        finally:
            objective.finish()
    return record


def hessian(
    network: MultiLayerNetExtend, x: ArrayLike, t: ArrayLike, *, verbose: bool = False
) -> Float64s:
    """Return the second derivatives of the training loss, by centred differences of gradients.

    Parameters
    ----------
    network : MultiLayerNetExtend
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
    network: MultiLayerNetExtend,
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
    network : MultiLayerNetExtend
        Of float64, without dropout. Its parameters are trained in place; if an exception ends
        the training, Ctrl-C included, they are those of the last iteration.
    x, t
        As for :func:`lbfgs`.
    iterations : int
        At most so many, from 1 up.
    damping : float
        Added to the eigenvalues of the Hessian, from 0 up. Where the loss is not convex some are
        negative, and steps lead to a saddle point unless this is larger.
    gtol : float
        End where no element of the gradient is larger, from 0 up.
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
    iterations = numbers.whole("iterations", iterations, 1)
    damping = numbers.not_negative("damping", damping)
    gtol = numbers.not_negative("gtol", gtol)
    objective = _objective_with_hessian("Newton", network, x, t, callback)
    record = objective.record
    with Progress(iterations * 2 * objective.at.size, " gradients", verbose) as bar:
        try:
            objective.begin()
            while record.gradient_norm[-1] > gtol:
                if record.iterations == iterations:
                    raise _End(f"the limit of {iterations} iterations is reached")
                _newton_step(objective, damping, bar)
            record.converged, record.message = True, "no element of the gradient is above gtol"
        except _End as end:
            record.message = str(end)
        finally:
            objective.finish()
    return record


def _newton_step(objective: _Objective, damping: float, bar: Progress) -> None:
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
        raise _End(
            f"the next step would raise the loss from {loss:.6g}, however short it is: eigenvalues "
            f"of the Hessian are from {values[0]:.3g} to {values[-1]:.3g}, damping is {damping:g}"
        )
    objective.accept(theta - step)
    bar.advance(0, objective.record._facts)


def _objective_with_hessian(
    method: str, network: Any, x: ArrayLike, t: ArrayLike, callback: Watcher | None
) -> _Objective:
    objective = _Objective(method, network, x, t, callback)
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


def _hessian(objective: _Objective, bar: Progress) -> Float64s:
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
