"""What the classifier and the regressor share."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Real
from operator import index
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fastnn import config
from fastnn._utils.types import Array, Float64s
from fastnn._utils.warnings import warn
from fastnn.networks import Network, building
from fastnn.sklearn import lbfgs
from fastnn.sklearn.building import affine_arrays, initial_values, network_of
from fastnn.sklearn.losses import LOSSES, Loss
from fastnn.sklearn.parameters import COMMON, Constraint, expect_valid
from fastnn.sklearn.sparse import as_samples, blocks
from fastnn.sklearn.stochastic import Data, fit_stochastic

# What samples may stay: the others become float64.
DTYPES = (np.float64, np.float32, np.uint8)

_REAL = (np.dtype(np.float32), np.dtype(np.float64))
_OF_ACTIVATION = {loss.out_activation: loss for loss in LOSSES.values()}


class BaseMLP(BaseEstimator, ABC):
    """A multilayer perceptron: parameters, training, scores.

    Its weights are ``coefs_`` and ``intercepts_``, which the network that trains and predicts
    shares. Arrays that are assigned to them are taken over at the next call.
    """

    _constraints: ClassVar[dict[str, Constraint]] = COMMON

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        # What is in it but in no other attribute: running statistics, and the numbers of masks.
        if not (self.batch_norm or self.dropout):
            state = {key: value for key, value in state.items() if key != "_network"}
        return state

    @abstractmethod
    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        """Return samples and targets, checked, with the classes known."""

    @abstractmethod
    def _loss_of(self) -> Loss:
        """Return the loss to begin with."""

    @abstractmethod
    def _encoded(self, y: Array) -> tuple[Array, int]:
        """Return the targets of the loss, and how many outputs there are."""

    @abstractmethod
    def _score_of(self, scores: Array, data: Data) -> float:
        """Return the score of predictions that are made of scores."""

    def _strata(self, t: Array) -> Array | None:
        """Return what a split keeps the shares of; None for a plain one."""
        return None

    def _weights_of(self, y: Array) -> Float64s | None:
        """Return weights of samples by their class, if there are any."""
        return None

    @property
    def _loss_entry(self) -> Loss:
        """The loss that was begun with."""
        return _OF_ACTIVATION[self.out_activation_]

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, incremental: bool, eval_set: Any = None
    ) -> None:
        expect_valid(self, self._constraints)
        with config.limit_num_threads(self.n_threads):
            self._train(X, y, sample_weight, incremental, eval_set)

    def _train(self, X: Any, y: Any, sample_weight: Any, incremental: bool, eval_set: Any) -> None:
        sizes = self.hidden_layer_sizes
        hidden = list(sizes) if np.ndim(sizes) else [sizes]
        if any(size <= 0 for size in hidden):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
        first = not hasattr(self, "coefs_") or not (self.warm_start or incremental)
        X, y = self._checked(X, y, incremental, first)
        weights = _checked_weights(sample_weight, X)
        of_classes = self._weights_of(y)
        if of_classes is not None:
            weights = of_classes if weights is None else weights * of_classes
        t, outputs = self._encoded(y)
        data = Data(X, y, t, weights)
        held_out = None if eval_set is None else self._held_out(eval_set, outputs)
        random_state = check_random_state(self.random_state)
        self.n_outputs_ = outputs
        if first:
            self._begin([X.shape[1], *map(index, hidden), outputs], random_state, X.dtype)
        if self.solver == "lbfgs":
            self._fit_lbfgs(data)
        else:
            self._begin_record(held_out is not None or self.early_stopping)
            fit_stochastic(self, data, random_state, incremental, held_out)
        if not all(np.isfinite(array).all() for array in self.coefs_ + self.intercepts_):
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large "
                "values and need to be preprocessed."
            )

    def _held_out(self, eval_set: Any, outputs: int) -> Data:
        """Return what is given to validate on, checked."""
        if not isinstance(eval_set, (tuple, list)) or len(eval_set) != 2:
            raise ValueError(f"eval_set must be a pair (X, y), got {type(eval_set).__name__}.")
        X, y = self._checked(eval_set[0], eval_set[1], incremental=True, reset=False)
        t, found = self._encoded(y)
        if found != outputs:
            raise ValueError(f"eval_set must have y of {outputs} outputs, got {found}.")
        return Data(X, y, t, None)

    def _begin(
        self, units: list[int], random_state: np.random.RandomState, given: np.dtype[Any]
    ) -> None:
        """Draw initial values, and forget what was before."""
        for name in ("_network", "_best", "_optimizer", "loss_curve_"):
            self.__dict__.pop(name, None)
        self.n_iter_ = self.t_ = 0
        self.n_layers_ = len(units)
        self.out_activation_ = self._loss_of().out_activation
        real = np.dtype(self.dtype or (given if given.kind == "f" else np.float64))
        drawn = initial_values(units, self.activation, random_state, real)
        self.coefs_, self.intercepts_ = drawn
        if self.dropout:
            self._dropout_seed = int(random_state.randint(2**31 - 1))

    def _begin_record(self, validated: bool) -> None:
        """Begin to record what stochastic solvers do, or go on with it."""
        if not hasattr(self, "loss_curve_"):
            self.loss_curve_: list[float] = []
            self._no_improvement_count = 0
            self.validation_scores_: list[float] | None = None
            self.validation_loss_curve_: list[float] | None = None
            self.best_validation_score_ = self.best_loss_ = None
        if validated and self.validation_loss_curve_ is None:
            self.validation_loss_curve_ = []
        if self.early_stopping and self.validation_scores_ is None:
            self.validation_scores_, self.best_validation_score_ = [], -np.inf
        if not self.early_stopping and self.best_loss_ is None:
            self.best_loss_ = np.inf

    def _linked(self, last_layer: Any = None) -> Network:
        """Return the network whose arrays ``coefs_`` and ``intercepts_`` are.

        Parameters
        ----------
        last_layer : str or layer, optional
            The loss to train with.
        """
        arrays = [*self.coefs_, *self.intercepts_]
        real = np.dtype(self.dtype or np.result_type(*arrays))
        network: Network | None = vars(self).get("_network")
        if network is not None:
            W, b = affine_arrays(network)
            same = [array.shape for array in W + b] == [np.shape(array) for array in arrays]
            if not same or network.dtype != real:
                network = None
            elif any(ours is not theirs for ours, theirs in zip(W + b, arrays, strict=True)):
                for ours, theirs in zip(W + b, arrays, strict=True):
                    ours[...] = theirs
        if network is None:
            given = self.coefs_, self.intercepts_, last_layer or "mse", real
            self._network = network = network_of(self, *given)
        self.coefs_, self.intercepts_ = affine_arrays(network)
        if last_layer is not None:
            wanted = building.last_layer(last_layer)
            if wanted is last_layer or type(wanted) is not type(network.last_layer):
                network.last_layer = wanted
        return network

    def _fit_lbfgs(self, data: Data) -> None:
        """Train on all samples at once, in float64."""
        if self.batch_norm or self.dropout:
            raise ValueError("solver='lbfgs' does not support batch_norm and dropout")
        loss, weights = self._loss_entry, data.weights
        network = network_of(self, self.coefs_, self.intercepts_, loss.known, np.dtype(np.float64))
        given = as_samples(data.X), data.t, weights, self.alpha
        objective = lbfgs.Objective(network, *given)
        result = lbfgs.minimize(objective, self)
        objective.set(result.x)
        penalty = objective.penalty()
        self.n_iter_ = min(result.nit, self.max_iter)
        self.loss_ = (result.fun - penalty) * loss.reported(self.n_outputs_) + penalty
        ours = self._linked()
        for key, array in ours.params.items():
            array[...] = network.params[key]
        if result.status != 0:
            more = ""
            if self.n_iter_ == self.max_iter:
                more = (
                    "\nIncrease the number of iterations to improve the convergence "
                    f"(max_iter={self.max_iter})."
                )
            warn(
                f"lbfgs failed to converge after {self.n_iter_} iteration(s) "
                f"(status={result.status}):\n{result.message}\n{more}\n"
                "You might also want to scale the data as shown in:\n"
                "    https://scikit-learn.org/stable/modules/preprocessing.html",
                ConvergenceWarning,
            )

    def _scores_of(self, X: Any, network: Network) -> Array:
        """Return scores of samples that were checked."""
        with np.errstate(all="ignore"):
            parts = [network.predict(block) for block in blocks(as_samples(X))]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _scores(self, X: Any) -> Array:
        """Return the scores of samples, which are checked."""
        if not hasattr(self, "coefs_"):
            check_is_fitted(self)
        if not self._is_plain(X):
            X = validate_data(self, X, accept_sparse=["csr", "csc"], reset=False)
        with config.limit_num_threads(self.n_threads):
            return self._scores_of(X, self._linked())

    def _is_plain(self, X: Any) -> bool:
        """Say whether samples need no more checks, which take as long as to predict few of them."""
        if (
            type(X) is not np.ndarray
            or X.dtype not in _REAL
            or X.ndim != 2
            or X.shape[0] == 0
            or X.shape[1] != self.n_features_in_
            or hasattr(self, "feature_names_in_")
        ):
            return False
        with np.errstate(all="ignore"):  # where the sum overflows scikit-learn looks closer
            return math.isfinite(X.sum())

    def _outputs(self, X: Any) -> Array:
        """Return what the output activation makes of the scores of samples."""
        scores = self._scores(X)
        with config.limit_num_threads(self.n_threads), np.errstate(all="ignore"):
            return self._loss_entry.activate(scores)

    def _check_solver(self) -> bool:
        """Raise AttributeError where there is no `partial_fit`."""
        if self.solver == "lbfgs":
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. "
                f"{self.solver} is not stochastic."
            )
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _checked_weights(sample_weight: Any, X: Any) -> Float64s | None:
    """Return weights of samples, checked."""
    if sample_weight is None:
        return None
    n = X.shape[0]
    if isinstance(sample_weight, Real):
        return np.full(n, sample_weight, np.float64)
    weights: Float64s = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got {weights.ndim}D array.")
    if weights.shape != (n,):
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n,)}!")
    if not weights.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    return weights
