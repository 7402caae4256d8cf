"""The regressor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import validate_data

from fastnn._utils.files import File
from fastnn._utils.types import Array
from fastnn.sklearn.estimator import DTYPES, BaseMLP
from fastnn.sklearn.losses import LOSSES, Loss
from fastnn.sklearn.onnx_file import write_regressor
from fastnn.sklearn.parameters import COMMON, Constraint, among
from fastnn.sklearn.stochastic import Data
from fastnn.training.callbacks import Callback
from fastnn.training.schedules import Schedule


class MLPRegressor(RegressorMixin, BaseMLP):
    """A multilayer perceptron for regression; ``sklearn.neural_network.MLPRegressor``'s twin.

    It minimises the squared error, or half the Poisson deviance, by Adam, SGD or L-BFGS.

    Parameters
    ----------
    loss : {"squared_error", "poisson"}
        Half the squared error; or half the Poisson deviance, for targets of at least 0, of which
        the network gives the logarithm.
    hidden_layer_sizes, activation, solver, alpha, batch_size, learning_rate, learning_rate_init
        As for :class:`MLPClassifier`, and so are all that follow but `class_weight`.
    power_t, max_iter, shuffle, random_state, tol, verbose, warm_start, momentum
    nesterovs_momentum, early_stopping, validation_fraction, beta_1, beta_2, epsilon
    n_iter_no_change, max_fun, dropout, batch_norm, optimizer, schedule, callbacks, clip_norm
    ema, dtype, n_threads

    Attributes
    ----------
    validation_scores_ : list of float or None
        R^2 on what is held out by `early_stopping`.
    loss_, best_loss_, loss_curve_, best_validation_score_, validation_loss_curve_, t_
        As for :class:`MLPClassifier`, and so are all that follow.
    coefs_, intercepts_, n_features_in_, feature_names_in_, n_iter_, n_layers_, n_outputs_
    out_activation_ : {"identity", "exp"}

    Notes
    -----
    With several outputs scikit-learn descends on the sum of their errors and reports the mean, and
    so is this. Its "lbfgs" searches along lines by that mean too, though the gradient is that of
    the sum; here both are of the sum.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from fastnn.sklearn import MLPRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor(learning_rate_init=0.1, tol=1, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.4
    True
    """

    _constraints: ClassVar[dict[str, Constraint]] = {
        **COMMON,
        "loss": among("squared_error", "poisson"),
    }

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: ArrayLike | int = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool | int = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        batch_norm: bool = False,
        optimizer: Any = None,
        schedule: Schedule | None = None,
        callbacks: Iterable[Callback] = (),
        clip_norm: float | None = None,
        ema: float | None = None,
        dtype: DTypeLike = "float32",
        n_threads: int | None = None,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.optimizer = optimizer
        self.schedule = schedule
        self.callbacks = callbacks
        self.clip_norm = clip_norm
        self.ema = ema
        self.dtype = dtype
        self.n_threads = n_threads

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        eval_set: tuple[Any, Any] | None = None,
    ) -> MLPRegressor:
        """Train on samples.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (N, D)
            Sparse ones become dense some batches at a time.
        y : array_like, shape (N,) or (N, C)
        sample_weight : array_like, shape (N,), optional
        eval_set : (X, y), optional
            What to validate on after each epoch. With `early_stopping` nothing else is held out.

        Returns
        -------
        MLPRegressor
        """
        self._fit(X, y, sample_weight, incremental=False, eval_set=eval_set)
        return self

    @available_if(lambda estimator: estimator._check_solver())
    def partial_fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> MLPRegressor:
        """Train on samples for one epoch, and go on from the last call.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.

        Returns
        -------
        MLPRegressor
        """
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def predict(self, X: Any) -> Array:
        """Return a number for each sample, or a row of several.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (N, D)

        Returns
        -------
        ndarray, shape (N,) or (N, C)
        """
        outputs = self._outputs(X)
        return outputs.ravel() if outputs.shape[1] == 1 else outputs

    def to_onnx(self, path: File, *, input_name: str = "X") -> None:
        """Write the fitted estimator to an ONNX file, which other programs run.

        It takes samples of float32, any number of them, of shape (batch, features), and gives
        what :meth:`predict` returns: "variable", a row for each sample, also with one output.
        Parameters of float64 are rounded to float32. Names are those of skl2onnx. Needs the extra
        "onnx".

        Parameters
        ----------
        path : str, path or file object
            As for :meth:`fastnn.Network.to_onnx`.
        input_name : str
            What the input is called in the file.

        Raises
        ------
        ImportError
            If the package onnx is missing; it says how to install it.
        NotFittedError
            If it is not fitted.
        """
        write_regressor(path, self, input_name)

    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            y_numeric=True,
            dtype=DTYPES,
            reset=reset,
        )
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return X, y

    def _loss_of(self) -> Loss:
        return LOSSES[self.loss]

    def _encoded(self, y: Array) -> tuple[Array, int]:
        rows = y.reshape(len(y), -1)
        return rows, rows.shape[1]

    def _score_of(self, scores: Array, data: Data) -> float:
        predicted = self._loss_entry.activate(scores)
        if not np.isfinite(predicted).all():
            return float("nan")
        return float(r2_score(data.t, predicted, sample_weight=data.weights))
