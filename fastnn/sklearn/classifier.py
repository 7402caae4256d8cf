"""The classifier."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, DTypeLike
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target, unique_labels
from sklearn.utils.validation import validate_data

from fastnn._utils.files import File
from fastnn._utils.types import Array, Float64s
from fastnn.sklearn.estimator import DTYPES, BaseMLP
from fastnn.sklearn.losses import LOSSES, Loss
from fastnn.sklearn.onnx_file import write_classifier
from fastnn.sklearn.parameters import COMMON, NONE, Constraint, among, either
from fastnn.sklearn.stochastic import Data
from fastnn.training.callbacks import Callback
from fastnn.training.schedules import Schedule


class MLPClassifier(ClassifierMixin, BaseMLP):
    """A multilayer perceptron that classifies; ``sklearn.neural_network.MLPClassifier``'s twin.

    It minimises the log-loss by Adam, SGD or L-BFGS.

    Parameters
    ----------
    hidden_layer_sizes : array_like of int, or int
        Units of each hidden layer.
    activation : {"identity", "logistic", "tanh", "relu"}
        Of hidden layers.
    solver : {"lbfgs", "sgd", "adam"}
        "lbfgs" computes in float64, whatever `dtype` is.
    alpha : float
        L2 penalty on weights, divided by the samples of a batch.
    batch_size : int or "auto"
        "auto" is min(200, samples). Not for "lbfgs".
    learning_rate : {"constant", "invscaling", "adaptive"}
        For "sgd": constant; the initial rate / (samples seen + 1)^power_t, from epoch to epoch; or
        divided by 5 each time that `n_iter_no_change` epochs bring nothing, down to 1e-6.
    learning_rate_init : float
    power_t : float
    max_iter : int
        Epochs, or iterations of "lbfgs", at most.
    shuffle : bool
        Whether each epoch takes samples in a new order.
    random_state : int, RandomState or None
        Chooses initial values, the validation set, and the order of samples.
    tol : float
        What the loss, or the score of validation, must gain.
    verbose : bool or int
        Whether to print a line for each epoch.
    warm_start : bool
        Whether `fit` goes on from the weights of the last call.
    momentum : float
    nesterovs_momentum : bool
        For "sgd".
    early_stopping : bool
        Whether to hold out samples, end where their score does not improve, and keep the weights
        of the best one.
    validation_fraction : float
        Share of samples that is held out.
    beta_1, beta_2, epsilon : float
        For "adam".
    n_iter_no_change : int or inf
        Epochs without a gain of `tol`, after which it ends.
    max_fun : int
        Evaluations of "lbfgs", at most.
    class_weight : dict, "balanced" or None
        Weights of samples by class, times `sample_weight`.
    dropout : float
        Share of hidden units that is dropped in training, in [0, 1).
    batch_norm : bool
        Whether hidden layers are normalised over the batch before their activation.
    optimizer : Optimizer or str, optional
        One of :mod:`fastnn.optimizers`, in place of the one that `solver` names, with its own rate.
        It is copied.
    schedule : function, optional
        Factors on the rate, one of :mod:`fastnn.schedules`.
    callbacks : iterable of Callback
        Those of :mod:`fastnn.callbacks`, called as by :meth:`fastnn.Network.fit`. Their history has
        losses without penalty, and "val_loss", "val_accuracy" with validation; a checkpoint is
        that of a network, and no training of an estimator resumes from it.
    clip_norm : float, optional
        Gradients are scaled down to this norm of all together.
    ema : float, optional
        Decay of a moving average of the parameters, which the network has in the end.
    dtype : {"float32", "float64"} or None
        Of parameters and arithmetic. None: that of the samples, as in scikit-learn.
    n_threads : int, optional
        At most so many threads train and predict, of this estimator alone, whatever others do
        meanwhile. None: as many as :func:`fastnn.get_num_threads` says. Results have the same bits
        for any number.

    Attributes
    ----------
    classes_ : ndarray
    loss_, best_loss_ : float
        Of the last epoch, and the lowest; the latter is None with `early_stopping`.
    loss_curve_ : list of float
        Of each epoch, with penalty: the mean over its batches, each before its update.
    validation_scores_ : list of float or None
        Accuracy on what is held out by `early_stopping`.
    best_validation_score_ : float or None
    validation_loss_curve_ : list of float or None
        Loss on what is held out, or on `eval_set`, without penalty.
    t_ : int
        Samples that the solver has seen.
    coefs_, intercepts_ : list of ndarray
    n_features_in_, n_iter_, n_layers_, n_outputs_ : int
    feature_names_in_ : ndarray of str
        If samples have names of columns.
    out_activation_ : {"softmax", "logistic"}

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastnn.sklearn import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier(learning_rate_init=0.01, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """

    loss: ClassVar[str] = "log_loss"

    _constraints: ClassVar[dict[str, Constraint]] = {
        **COMMON,
        "class_weight": either(
            Constraint(lambda value: isinstance(value, dict), "an instance of 'dict'"),
            among("balanced"),
            NONE,
        ),
    }

    def __init__(
        self,
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
        class_weight: dict[Any, float] | str | None = None,
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
        self.class_weight = class_weight
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
    ) -> MLPClassifier:
        """Train on samples.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (N, D)
            Sparse ones become dense some batches at a time.
        y : array_like, shape (N,), or (N, C) of 0 and 1 for several labels a sample
            Numbers or strings.
        sample_weight : array_like, shape (N,), optional
        eval_set : (X, y), optional
            What to validate on after each epoch. With `early_stopping` nothing else is held out.

        Returns
        -------
        MLPClassifier
        """
        self._fit(X, y, sample_weight, incremental=False, eval_set=eval_set)
        return self

    @available_if(lambda estimator: estimator._check_solver())
    def partial_fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        classes: ArrayLike | None = None,
    ) -> MLPClassifier:
        """Train on samples for one epoch, and go on from the last call.

        Parameters
        ----------
        X, y, sample_weight
            As for :meth:`fit`.
        classes : array_like, optional
            All of them, as of all calls; for the first one.

        Returns
        -------
        MLPClassifier
        """
        if self._is_first_call(classes):
            given = y if type_of_target(y).startswith("multilabel") else classes
            self._label_binarizer = LabelBinarizer().fit(given)
        self._fit(X, y, sample_weight, incremental=True)
        return self

    def _is_first_call(self, classes: Any) -> bool:
        """Say whether classes are new; set them, or raise ValueError if they are others."""
        known = getattr(self, "classes_", None)
        if known is None:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self.classes_ = unique_labels(classes)
            return True
        if classes is not None and not np.array_equal(known, unique_labels(classes)):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on last call to partial_fit, was: "
                f"{known!r}"
            )
        return False

    def predict(self, X: Any) -> Array:
        """Return the class of each sample, or for several labels a row of 0 and 1.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (N, D)

        Returns
        -------
        ndarray, shape (N,) or (N, C)
        """
        return self._labels_of(self._scores(X))

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (N, D)

        Returns
        -------
        ndarray, shape (N, C)
            In the order of ``classes_``.
        """
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs

    def predict_log_proba(self, X: Any) -> Array:
        """Return the logarithms of :meth:`predict_proba`.

        Parameters
        ----------
        X : array_like or sparse matrix, shape (N, D)

        Returns
        -------
        ndarray, shape (N, C)
        """
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            return np.log(probabilities, out=probabilities)

    def _labels_of(self, scores: Array) -> Array:
        """Return the classes of the largest scores; of one output, and of labels, those above 0."""
        if self._loss_entry.of_labels:
            found = scores.argmax(axis=1)
        elif self._label_binarizer.y_type_.startswith("multilabel"):
            return (scores > 0).astype(int)
        else:
            found = (scores[:, 0] > 0) & (len(self.classes_) > 1)
        labels: Array = self.classes_[found.astype(np.intp, copy=False)]
        return labels

    def to_onnx(self, path: File, *, input_name: str = "X") -> None:
        """Write the fitted estimator to an ONNX file, which other programs run.

        It takes samples of float32, any number of them, of shape (batch, features), and gives
        what :meth:`predict` and :meth:`predict_proba` return: "label", integers of 64 bits or
        strings, and "probabilities". Labels that are truth values, or floats, are integers there.
        Parameters of float64 are rounded to float32; a label may then be another where two classes
        are about equally probable. Names are those of skl2onnx with ``zipmap=False``. Needs the
        extra "onnx".

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
        write_classifier(path, self, input_name)

    def _checked(self, X: Any, y: Any, incremental: bool, reset: bool) -> tuple[Any, Array]:
        X, y = validate_data(
            self,
            X,
            y,
            accept_sparse=["csr", "csc"],
            multi_output=True,
            dtype=DTYPES,
            reset=reset,
        )
        if scipy.sparse.issparse(y):
            y = y.toarray()
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if not hasattr(self, "classes_") or not (self.warm_start or incremental):
            self._label_binarizer = LabelBinarizer().fit(y)
            self.classes_ = self._label_binarizer.classes_
            return X, y
        classes = unique_labels(y)
        if self.warm_start and not incremental:
            if set(classes) != set(self.classes_):
                raise ValueError(
                    "warm_start can only be used where `y` has the same classes as in the previous "
                    f"call to fit. Previously got {self.classes_}, `y` has {classes}"
                )
        elif len(np.setdiff1d(classes, self.classes_, assume_unique=True)):
            raise ValueError(
                "`y` has classes not in `self.classes_`. "
                f"`self.classes_` has {self.classes_}. 'y' has {classes}."
            )
        return X, y

    def _loss_of(self) -> Loss:
        several = self._label_binarizer.y_type_ == "multiclass"
        return LOSSES["multiclass" if several else "logistic"]

    def _encoded(self, y: Array) -> tuple[Array, int]:
        if self._loss_of().of_labels:
            return np.searchsorted(self.classes_, y), len(self.classes_)
        rows = self._label_binarizer.transform(y).astype(np.float64)
        return rows, rows.shape[1]

    def _strata(self, t: Array) -> Array | None:
        return t.astype(bool) if self.n_outputs_ == 1 else None

    def _weights_of(self, y: Array) -> Float64s | None:
        if self.class_weight is None:
            return None
        weights: Float64s = compute_sample_weight(self.class_weight, y)
        return weights

    def _score_of(self, scores: Array, data: Data) -> float:
        labels = self._labels_of(scores)
        return float(accuracy_score(data.y, labels, sample_weight=data.weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
