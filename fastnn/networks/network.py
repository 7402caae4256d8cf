"""Networks: any stack of layers, and what is done with it."""

from __future__ import annotations

import copy
import functools
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array, Float64s
from fastnn.layers import Affine
from fastnn.layers.adoption import (
    NOTHING,
    Adopted,
    adopt,
    expect_layers,
    relink,
    state_of,
    weights_of,
)
from fastnn.layers.calls import first_gradient, forward
from fastnn.layers.parameters import Params, gradients
from fastnn.layers.record import nearest_record, record_of, right_of, takes
from fastnn.layers.settings import Setting
from fastnn.layers.sizes import Shape, is_built
from fastnn.layers.state import layer_state, set_layer_state
from fastnn.layers.undeclared import expect_declared, undeclared
from fastnn.networks import building, sizing
from fastnn.networks.buffer import join
from fastnn.ops import sigmoid, softmax
from fastnn.ops._arrays import real
from fastnn.ops._dispatch import compiled
from fastnn.ops._targets import right_classes
from fastnn.training.data import (
    expect_finite,
    in_shape,
    samples,
    targets,
    to_compare,
)
from fastnn.training.evaluation import TILE, evaluate
from fastnn.training.labels import Classes, classes_of, expect_count
from fastnn.training.metrics import Metrics, expect_for, metrics_of
from fastnn.training.sample_weights import weights_for

# What saves, shows and trains networks is loaded when that is done: it takes as long as the rest.
if TYPE_CHECKING:
    from fastnn._utils.archive import Contents
    from fastnn._utils.files import File
    from fastnn.exchange.state_dict import Incompatible
    from fastnn.networks.summary import Summary
    from fastnn.training.callbacks import Callback
    from fastnn.training.divergence import OnDivergence
    from fastnn.training.history import History
    from fastnn.training.schedules import Schedule

Size = SupportsIndex | Sequence[SupportsIndex]


@functools.cache
def _in_program() -> Any:
    """Return how programs predict, and read samples in blocks."""
    from fastnn.program import inference

    return inference


class Network:
    """Any stack of layers, with a loss after it.

    Parameters
    ----------
    layers : sequence of layer, or dict of str to layer
        Those of :mod:`fastnn.layers`, and your own, as :class:`fastnn.layers.Layer` says. They are
        kept, not copied. Layers may be made from sizes, ``Affine(100)``, ``Convolution(16, 3)``,
        ``BatchNormalization()``, or from arrays, ``Affine(W, b)``. Those of a list are named by
        their kind: Affine1, Relu1, Affine2, ...
    loss : str or layer
        "cross_entropy": softmax and cross-entropy, for labels or one-hot targets.
        "binary_cross_entropy": sigmoid and cross-entropy of each output by itself, for targets
        (N, output_size) that are 0, 1 or between: two classes with one output, or several
        questions, any of which may have a yes (multilabel).
        "mean_squared_error", short "mse": half the squared error. "huber": the same up to a
        difference of 1, and straight beyond. "poisson": half the deviance of counts, whose
        logarithm is predicted. These are sums over outputs, for targets (N, output_size).
        Or a last layer of :mod:`fastnn.layers` with other settings, such as
        ``SoftmaxWithLoss(label_smoothing=0.1)`` or ``HuberWithLoss(delta=2)``. Or one of your own,
        with ``forward(x, t)`` that returns the mean loss and leaves it in an attribute `loss`, and
        ``backward()``.
    input_size : int or sequence of int, optional
        Features of a sample, or its shape, such as (1, 28, 28) for images. If not given it is
        that of a first layer which has its weights, or else of the samples of the first call.
    weight_decay_lambda : float
        L2 penalty: ``lambda / 2 * sum(W ** 2)`` of all weights is added to the loss.
    input_scale : float
        Inputs are multiplied by it, above 0: 1/255 for images of bytes, which then need not be
        converted beforehand.
    dtype : dtype
        float32 or float64: of parameters, activations and gradients. Inputs are converted.
    seed : int, optional
        Chooses initial weights and dropout masks; random ones if not given.

    Attributes
    ----------
    params : dict of str to ndarray
        By ``"<layer>.<name>"``: Affine1.W, Affine1.b, BatchNormalization1.gamma, ... The layers
        hold the same arrays: change them in place. All are views of one buffer. What is assigned,
        one array or a dict of all, is written into these arrays at the next call of a method;
        what is taken out is not trained. Empty as long as sizes are not known.
    layers : OrderedDict of str to layer
        Layers may be added, replaced, moved and removed; `params` follows at the next call.
    last_layer : layer
    input_size : int, tuple of int or None
        What samples are checked against: set it if your layers change it.
    output_size : int, tuple of int or None
        Likewise of targets; None where it is not known.
    history : History or None
        What the last :meth:`fit` recorded, also if it was interrupted.
    classes : ndarray or None
        Labels of the outputs. The first :meth:`fit` finds them where labels are text, or integers
        others than 0, 1, ...; from then on targets are labels among these. Assign a list to name
        outputs, also those of which there is no sample, or None to forget them. With the logistic
        loss and one output they are two: what a no stands for, and what a yes does.
    feature_names : list of str or None
        Names of the columns of the table that the first :meth:`fit` was given. A table with others
        is refused from then on; arrays are not. Assign None to forget them.

    Raises
    ------
    ValueError, TypeError
        If a setting is out of its range, or layers do not fit each other.

    Notes
    -----
    Initial weights are He's before ReLU and what is like it, with batch normalisation, dropout and
    pooling in between, else Xavier's; ``Affine(100, init=...)`` sets a rule, a standard deviation
    or a function for one layer. They are drawn in the order of the layers, then the seeds of
    dropout layers that were given none, so that `seed` makes all of them repeatable.

    An affine layer takes images as rows: no layer has to flatten them. Samples may be given flat,
    (N, D), and with or without axes of length 1, whatever `input_size` says.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn import Network
    >>> from fastnn.layers import Affine, BatchNormalization, Dropout, Relu
    >>> net = Network(
    ...     [Affine(8), BatchNormalization(), Relu(), Dropout(0.2), Affine(3)], input_size=4, seed=0
    ... )
    >>> print(net.summary())
    layer                kind                  output  parameters
    Affine1              Affine(8)             (N, 8)          40
    BatchNormalization1  BatchNormalization()  (N, 8)          16
    Relu1                Relu()                (N, 8)           0
    Dropout1             Dropout(0.2)          (N, 8)           0
    Affine2              Affine(3)             (N, 3)          27
    total                                                      83
    >>> net.predict(np.ones((2, 4))).shape
    (2, 3)
    """

    # What a file has of the network's own attributes.
    _SETTINGS: tuple[str, ...] = "input_size", "output_size", "weight_decay_lambda", "input_scale"

    weight_decay_lambda = Setting(numbers.not_negative)
    _adopted: Adopted = NOTHING  # when `params` was last brought in line with the layers
    _classes: Classes | None = None
    feature_names: list[str] | None = None
    _without_bias: frozenset[str] = frozenset()  # layers of PyTorch's modules that have none

    layers: OrderedDict[str, Any]
    last_layer: Any
    input_size: int | Shape | None
    output_size: Any  # the same

    def __init__(
        self,
        layers: Sequence[Any] | Mapping[str, Any],
        *,
        loss: Any = "cross_entropy",
        input_size: Size | None = None,
        weight_decay_lambda: SupportsFloat = 0,
        input_scale: SupportsFloat = 1.0,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
    ) -> None:
        self.layers = building.named(layers)
        self.last_layer = building.last_layer(loss)
        self.input_size = None if input_size is None else sizing.size_of("input_size", input_size)
        self.output_size = None
        self.weight_decay_lambda = weight_decay_lambda
        self.input_scale = numbers.positive("input_scale", input_scale)
        try:
            self.dtype = np.dtype(dtype)
        except TypeError:
            raise TypeError(f"dtype: expected float32 or float64, got {dtype!r}") from None
        if self.dtype not in (np.float32, np.float64):
            raise TypeError(f"dtype: expected float32 or float64, got {self.dtype}")
        if isinstance(seed, (int, float, str, np.number)):
            seed = numbers.integer("seed", seed, 0, 2**128 - 1)
        try:
            self._rng = np.random.default_rng(seed)
        except (TypeError, ValueError):
            raise TypeError(f"seed: expected an integer, got {numbers.brief(seed)}") from None
        self.params: dict[str, Array] = Params()
        self.history: History | None = None
        expect_layers(self)
        first = next(iter(self.layers.values()))
        if getattr(first, "input_gradient", False) and nearest_record(first) is not None:
            first.input_gradient = False
        if self.input_size is None:
            self.input_size = building.features_of(self.layers.values())
        if self.input_size is not None:
            self._build()
        if all(map(is_built, self.layers.values())):
            self._begin()

    @property
    def classes(self) -> NDArray[Any] | None:
        """Labels of the outputs, if targets are others than 0, 1, ...; see :class:`Network`."""
        return None if self._classes is None else self._classes.array

    @classes.setter
    def classes(self, values: Iterable[str] | Iterable[int] | None) -> None:
        found, kind = None if values is None else Classes(values), takes(self)
        if found is not None:
            if kind not in ("", "classes", "answers"):
                raise ValueError(
                    f"classes: expected None, as the network has the loss {self._loss_name()}"
                )
            expect_count(len(found), kind, self.output_size)
        self._classes = found

    def _begin(self) -> None:
        """Name the parameters, now that they are there, and move them into one buffer."""
        self.params.update(self._first_params())
        join(self)

    def _build(self) -> None:
        """Build the layers that are not yet; an error changes nothing."""
        sizing.build(self)

    def _take_size(self, x: ArrayLike) -> None:
        """Take sizes from samples where there are none yet."""
        with sizing.sized(self, x):
            pass

    def _first_params(self) -> dict[str, Array]:
        """Return parameters whose keys are others than ``"<layer>.<name>"``."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        with suppress(RuntimeError):  # there are no sizes yet
            adopt(self, trained=False)
        state = {key: value for key, value in vars(self).items() if key != "_adopted"}
        return {**state, **state_of(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        places, shared = (self.__dict__.pop(name, []) for name in ("_places", "_shared"))
        relink(self, places, shared)
        # Errors come again when the network is used; that there are no sizes yet is none.
        with suppress(TypeError, ValueError, RuntimeError):
            join(self)

    def __copy__(self) -> Network:
        """Return one that shares all with this one."""
        copied = object.__new__(type(self))
        copied.__dict__.update(vars(self))
        return copied

    def _has_own(self, method: str) -> bool:
        """Say whether a method is not that of this class."""
        ours = getattr(Network, method)
        return getattr(type(self), method) is not ours or method in vars(self)

    def __repr__(self) -> str:
        """Return the layers, the sizes, the loss, and settings that are not the usual ones."""
        from fastnn.networks.summary import text_of

        found = ", ".join(map(text_of, self.layers.values()))
        facts = [f"loss={self._loss_name()}"]
        facts += [f"input_size={self.input_size}", f"dtype={self.dtype}"]
        for setting, usual in (("weight_decay_lambda", 0), ("input_scale", 1)):
            if getattr(self, setting) != usual:
                facts.append(f"{setting}={getattr(self, setting):g}")
        return f"{type(self).__name__}([{found}], {', '.join(facts)})"

    def _loss_name(self) -> str:
        """Return what `loss` was given as, in a script."""
        last = self.last_layer
        usual = {f"{kind.__name__}()": repr(name) for name, kind in building.LOSSES.items()}
        ours = record_of(last) is not None
        return usual.get(repr(last), repr(last)) if ours else type(last).__name__

    def summary(self) -> Summary:
        """Return a table of the layers: their names, kinds, output shapes and parameters.

        Its text prints well, and notebooks show it as a table. Shapes are unknown, "?", as long as
        the network has no sizes, and after a layer of your own that has no method `output_shape`
        and does not take zeros.

        Returns
        -------
        Summary
        """
        from fastnn.networks.summary import summarize

        return summarize(self)

    @sizing.sizes_first
    def predict(self, x: ArrayLike, train_flg: bool = False) -> Array:
        """Return the scores before softmax.

        Without `train_flg`, many samples go through the layers in one compiled call, with what
        batch normalisation and dropout do put into the weights beside them. That changes scores
        by rounding errors. Layers keep nothing then, and threads may predict at the same time.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
        train_flg : bool
            Whether batch normalisation and dropout act as in training.

        Returns
        -------
        ndarray, shape (N, output_size)
        """
        given = real("x", x)
        adopt(self, trained=False)
        return self._scores(given, train_flg)

    def _scores(self, given: Array, train_flg: bool) -> Array:
        """Return the scores of samples, with layers and `params` in line with each other."""
        if isinstance(self.input_size, tuple):
            given = in_shape("x", given, self.input_size)
        first: Any = next(iter(self.layers.values()), None)
        if record_of(first) is not None and isinstance(first, Affine) and given.ndim > 1:
            features = len(first.W)
            if math.prod(given.shape[1:]) != features:
                raise ValueError(
                    f"x: expected samples of {features} features, one for each row of its first "
                    f"layer's W, got shape {given.shape}"
                )
        if not train_flg and given.ndim > 1 and compiled():
            result: Array | None = _in_program().scores(self, given)
            if result is not None:
                return result
        if not train_flg and len(given) and _in_program().is_for_blocks(given):
            parts = (given[rows] for rows in _in_program().blocks(given, self.dtype))
            return np.concatenate([self._layer_by_layer(part, train_flg) for part in parts])
        return self._layer_by_layer(given, train_flg)

    def _layer_by_layer(self, x: Array, train_flg: bool) -> Array:
        out: Array = x.astype(self.dtype, copy=False)
        if self.input_scale != 1:
            out = out * np.asarray(self.input_scale, self.dtype)
        for layer in self.layers.values():
            out = forward(layer, out, train_flg)
        return out

    @sizing.sizes_first
    def loss(
        self,
        x: ArrayLike,
        t: ArrayLike,
        train_flg: bool = False,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
    ) -> float:
        """Return the mean loss over the samples, plus the weight penalty.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
        t : array_like, shape (N,), (N, 1) or (N, output_size)
            Labels, or one-hot targets; for other losses than the cross-entropy (N, output_size), or
            (N,) with one output.
        train_flg : bool
            Whether batch normalisation and dropout act as in training.
        sample_weight : array_like, shape (N,), optional
        class_weight : dict, array_like or "balanced", optional
            As for :meth:`fit`.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the batch is empty, shapes do not fit, a label is out of range, or a target is not
            finite.
        """
        if self._classes is not None:
            t = self._classes.positions("t", t)
        scores = self.predict(x, train_flg)
        weights = self._weights_of(t, scores, sample_weight, class_weight)
        data: float = self.last_layer.forward(scores, t, *weights)
        self._expect_finite(t)
        return data + self._penalty()

    def _weights_of(
        self, t: ArrayLike, scores: Array, sample_weight: ArrayLike | None, class_weight: Any
    ) -> tuple[Float64s, ...]:
        """Return weights of samples as one more argument of the loss, if there are any."""
        if sample_weight is None and class_weight is None:
            return ()
        n = len(scores)
        if class_weight is not None:
            t = targets(self, t, n, scores.shape[-1])
        found = weights_for(self, np.asarray(t), n, sample_weight, class_weight)
        return () if found is None else (found,)

    def _expect_finite(self, t: ArrayLike) -> None:
        """Raise ValueError if targets are what makes the loss of numbers not finite."""
        last = self.last_layer
        if (
            takes(self) == "numbers"
            and record_of(last) is not None
            and last.loss is not None
            and not math.isfinite(last.loss)
        ):
            expect_finite("t", real("t", t))

    def _penalty(self) -> float:
        if self.weight_decay_lambda == 0:
            return 0.0
        adopt(self)
        squares = sum(float(np.square(W).sum(dtype=np.float64)) for W in self._weights().values())
        return 0.5 * self.weight_decay_lambda * squares

    def _weights(self) -> dict[str, Array]:
        return weights_of(self)

    @sizing.sizes_first
    def accuracy(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the share of samples whose largest score is the target's.

        Of a network with the logistic loss: the share of samples all of whose outputs are right,
        above 0, which is a probability above 1/2, where the target is above 1/2, and only there
        (scikit-learn's subset accuracy).

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
        t : array_like, shape (N,), (N, 1) or (N, output_size)
            Labels, or rows of which the largest element counts; with the logistic loss as for
            :meth:`fit`.

        Returns
        -------
        float

        Raises
        ------
        TypeError, ValueError
            If there is no sample, targets are none that the network can be trained on, or there is
            a single output, which has no classes.
        """
        scores = self.predict(x)
        n, outputs = len(scores), scores.shape[-1]
        if n == 0:
            raise ValueError("x: expected at least one sample, got none")
        t = to_compare(self, t, n, outputs)
        if outputs == 1 and takes(self) != "answers":
            raise ValueError(
                "accuracy: expected a network of several outputs, the largest of which is compared "
                "with the target, got one output"
            )
        right = right_of(self) or right_classes
        return int(np.count_nonzero(right(scores, t))) / n

    @sizing.sizes_first
    def predict_classes(self, x: ArrayLike) -> NDArray[Any]:
        """Return the label of each sample's largest score.

        Of a network with the logistic loss: 1, or the second of two `classes`, where a score is
        above 0, which is a probability above 1/2, else 0, or the first.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample

        Returns
        -------
        ndarray, shape (N,)
            Of `classes`, if the network has any, else integers from 0. With the logistic loss and
            several outputs, shape (N, output_size), 0 and 1.

        Raises
        ------
        ValueError
            If there is a single output, which has no classes.
        """
        return classes_of(self, self.predict(x), self._classes)

    @sizing.sizes_first
    def predict_proba(self, x: ArrayLike) -> Array:
        """Return the probability of each class: the softmax of the scores.

        Of a network with the logistic loss: the probability of a yes, or of the second of two
        `classes`, the sigmoid of each score. (scikit-learn's classifier of two classes has two
        columns; here there is one.)

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample

        Returns
        -------
        ndarray, shape (N, output_size)
            A column for each output, in the order of `classes`.

        Raises
        ------
        ValueError
            If the network's loss is none of the cross-entropies.
        """
        if takes(self) == "answers":
            answers: Array = sigmoid(self.predict(x))
            return answers
        if takes(self) != "classes":
            raise ValueError(
                'predict_proba: expected a network with loss="cross_entropy", whose scores become '
                'probabilities by softmax, or "binary_cross_entropy", got '
                f"{type(self.last_layer).__name__}; predict returns its outputs"
            )
        probabilities: Array = softmax(self.predict(x))
        return probabilities

    @sizing.sizes_first
    def evaluate(
        self,
        x: ArrayLike,
        t: ArrayLike,
        metrics: Metrics | None = None,
        batch_size: SupportsIndex = TILE,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
    ) -> dict[str, float]:
        """Return the mean loss, without weight penalty, accuracy, and metrics, of one pass.

        These are what :meth:`fit` records of validation data.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
        t : array_like, shape (N,), (N, 1) or (N, output_size)
            As for :meth:`fit`.
        metrics : list of str or function, or dict of str to function, optional
            As for :meth:`fit`.
        batch_size : int
            Samples that go through the layers together.
        sample_weight : array_like, shape (N,), optional
        class_weight : dict, array_like or "balanced", optional
            As for :meth:`fit`. Loss, accuracy and metrics are weighted then.

        Returns
        -------
        dict of str to float
            "loss", "accuracy" if that is a cross-entropy, and the metrics by their names.

        Raises
        ------
        TypeError, ValueError
            If samples, targets or metrics are not as for :meth:`fit`.
        RuntimeError
            If a function raises an error, which it names.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import MultiLayerNet
        >>> x, t = np.eye(3), ["red", "green", "blue"]
        >>> net = MultiLayerNet(3, [8], 3, seed=0)
        >>> _ = net.fit(x, t, 200, verbose=False, seed=0)
        >>> found = net.evaluate(x, t, metrics=["top_2_accuracy"])
        >>> {name: round(value, 1) for name, value in found.items()}
        {'loss': 0.5, 'accuracy': 1.0, 'top_2_accuracy': 1.0}
        >>> print(*net.predict_classes(x))
        red green blue
        """
        size = numbers.integer("batch_size", batch_size, 1)
        x, t = samples(self, x, t)
        found = metrics_of(() if metrics is None else metrics)
        expect_for(self, found)
        weights = weights_for(self, t, len(x), sample_weight, class_weight)
        values = evaluate(self, x, t, found, size, weights)
        names = "loss", "accuracy", *(metric.name for metric in found)
        named = dict(zip(names, values, strict=True))
        if right_of(self) is None and "accuracy" not in names[2:]:
            del named["accuracy"]
        return named

    @sizing.sizes_first
    def gradient(
        self,
        x: ArrayLike,
        t: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
    ) -> dict[str, Array]:
        """Return the gradients of the training loss by backpropagation.

        Parameters
        ----------
        x, t
            As for :meth:`loss`.
        sample_weight : array_like, shape (N,), optional
        class_weight : dict, array_like or "balanced", optional
            As for :meth:`fit`.

        Returns
        -------
        dict of str to ndarray
            One for each entry of `params`, freshly allocated. The loss itself is in
            ``last_layer.loss`` (without the penalty).

        Raises
        ------
        TypeError, ValueError
            If `x` or `t` does not fit, or a layer of your own has parameters that it does not
            name, or no gradient for one.
        """
        weights = None
        if sample_weight is not None or class_weight is not None:
            x, t = samples(self, x, t)
            weights = weights_for(self, t, len(x), sample_weight, class_weight)
        grads = self._gradient(x, t, weights)
        loss = self.last_layer.loss
        if type(loss) is float and not math.isfinite(loss):
            self._expect_finite(t)
        return grads

    def _gradient(
        self, x: ArrayLike, t: ArrayLike, weights: Float64s | None = None
    ) -> dict[str, Array]:
        if self._classes is not None:
            t = self._classes.positions("t", t)
        found = adopt(self)
        own = not self._adopted.objects  # layers of one's own are among them
        # Samples that a layer keeps are no parameters, whatever it calls their gradient.
        held = [each for each in undeclared(self) if each.array is not x] if own else []
        of_own = self._has_own("predict")
        scores = self.predict(x, train_flg=True) if of_own else self._scores(real("x", x), True)
        if weights is None:
            self.last_layer.forward(scores, t)
        else:
            self.last_layer.forward(scores, t, weights)
        dout: Any = first_gradient(self.last_layer)
        for name, layer in reversed(self.layers.items()):
            if dout is None:
                raise ValueError(
                    f"layers: expected backward of the layer after {name} to return the gradient "
                    "with respect to its input, got None"
                )
            dout = layer.backward(dout)
        expect_declared(held)
        grads = gradients(adopt(self) if own else found)  # which the pass may have made
        if self.weight_decay_lambda:
            for key, W in self._weights().items():
                grads[key] += self.weight_decay_lambda * W
        return grads

    @sizing.sizes_first
    def numerical_gradient(self, x: ArrayLike, t: ArrayLike) -> dict[str, Array]:
        """Return the gradients of the training loss by centred differences; slow.

        All differences see the dropout masks of the next training pass, and running
        statistics are left as they are, so that :meth:`gradient`, called next, should agree.
        Build the network with ``dtype="float64"`` for this. :mod:`fastnn.gradient_check` compares
        the two on some entries of each parameter, and says what the difference means.

        Parameters
        ----------
        x, t
            As for :meth:`loss`.

        Returns
        -------
        dict of str to ndarray
        """

        def loss(_: Array) -> float:
            with self._rewound():
                return self.loss(x, t, train_flg=True)

        from fastnn.functional import numerical_gradient

        adopt(self, trained=False)
        return {key: numerical_gradient(loss, p) for key, p in self.params.items()}

    @contextmanager
    def _rewound(self) -> Iterator[None]:
        """Undo at the end what a training pass changes in the layers for the next one."""
        before = layer_state(self)
        try:
            yield
        finally:
            set_layer_state(self, before)

    @sizing.sizes_first
    def fit(
        self,
        x: ArrayLike,
        t: ArrayLike,
        epochs: SupportsIndex = 1,
        batch_size: SupportsIndex = 128,
        optimizer: Any = None,
        validation: Any = None,
        callbacks: Iterable[Callback] = (),
        verbose: bool | Literal["auto"] = True,
        *,
        schedule: Schedule | None = None,
        clip_value: SupportsFloat | None = None,
        clip_norm: SupportsFloat | None = None,
        ema: SupportsFloat | None = None,
        shuffle: bool | None = None,
        seed: SupportsIndex | None = None,
        resume: History | None = None,
        on_divergence: OnDivergence = "stop",
        validate_averages: bool = False,
        metrics: Metrics | None = None,
        sample_weight: ArrayLike | None = None,
        class_weight: Any = None,
    ) -> History:
        """Train on mini-batches, epoch by epoch.

        Each epoch takes every sample once; the last batch may be smaller. If that is of one sample,
        running statistics of batch normalisation stay as they are. Steps run in the
        compiled training program if it knows the network and the optimizer, else layer by
        layer: the history says which, and why.

        Ctrl-C ends the training after a whole step: KeyboardInterrupt comes through, and
        ``network.history`` has what was recorded. ``resume=network.history`` goes on from
        there, in the middle of an epoch too, as if nothing had happened. Until then the network has
        the best weights if EarlyStopping keeps them.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
            Of any real dtype and layout, and finite; a ``numpy.memmap`` is read, and converted,
            some batches at a time, and not looked through before. That its file is still as long
            as it was is seen to every so many steps: one that is cut off between two looks
            ends the process (SIGBUS), as for any memmap.
        t : array_like, shape (N,), (N, 1) or (N, output_size)
            Labels, or one-hot targets, or other probabilities; for other losses than the
            cross-entropy (N, output_size), or (N,) with one output: for the logistic one between 0
            and 1, for "poisson" at least 0. Labels may be truth values, or
            floating-point numbers without a fraction. At the first training they may be text or
            any integers, in lists or columns of tables, as many different ones as outputs, or two
            for one output with the logistic loss: `classes` has them afterwards, sorted, or in the
            order of a categorical column, and later targets are looked up there.
        epochs : int
            Passes over the data, with `resume` those before included.
        batch_size : int
            Samples a step; with batch normalisation of rows at least 2.
        optimizer : Optimizer or str, optional
            Anything with ``update(params, grads)`` that changes arrays in place, or a name in any
            case: "SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam", "AdamW", "NAdam",
            "Adamax", "AMSGrad", "Lion". By default the one of the history to resume, else Adam.
            One of fastnn's keeps a state, and a rate that callbacks have reduced, for each network
            that it trains: see :class:`fastnn.optimizers.Optimizer`.
        validation : (x, t), (x, t, weights) or float, optional
            Data to evaluate on after each epoch, with weights of its samples if they have any; or
            which share of the samples to hold out for that: the last ones, in the order in which
            they come.
        callbacks : iterable of Callback
            See :mod:`fastnn.callbacks`.
        verbose : bool or "auto"
            Whether to show a progress bar, and to print a line for each epoch. "auto": in a
            terminal or a notebook only, not in the log of a job.
        schedule : function of an array of int, optional
            Gives for each step, counted from 0, the factor on the optimizer's `lr`, at least 0; see
            :mod:`fastnn.schedules`, such as ``schedules.cosine(epochs=20)``. One of a single
            step becomes such a function by ``np.vectorize(f, otypes=[float])``.
        clip_value : float, optional
            Gradients are clipped to [-clip_value, clip_value], elementwise.
        clip_norm : float, optional
            Gradients, clipped, are scaled down to this norm of all together where they are
            above it. Both come after weight decay of the network, and before that of the
            optimizer.
        ema : float, optional
            Keep a moving average of the parameters with this decay, in [0, 1), in
            ``history.averages``: a = ema a + (1 - ema) p after each step.
            :func:`fastnn.ensembles.averaged` makes a network of it.
        shuffle : bool, optional
            Whether each epoch takes the samples in a new order; it does if not given.
        seed : int, optional
            Chooses the order; a random one if not given.
        resume : History, optional
            Of a training that was interrupted, or that a checkpoint brought back
            (:func:`fastnn.callbacks.load_checkpoint`): go on where it ended. Of the arguments
            above, `optimizer` and those from `schedule` to `seed` are that training's where
            they are not given; data, batch size, callbacks and `validate_averages` should be the
            same again.
        on_divergence : {"stop", "warn"}
            What to do about a loss that is not finite. "stop": the training ends at that step,
            before its update. Parameters, running statistics, moving average and optimizer become
            those of the beginning of the epoch, or of the one before if its first step is the one
            and no sample is to blame.
            (With a layer or an optimizer of your own, where an epoch is a single step and there are
            neither callbacks nor validation, it may be one up to 100 epochs back.) A
            :class:`fastnn.DivergenceWarning` says what is to blame as far as that shows, a sample
            that is not finite or the rate: the layer, the largest gradient; ``history.diverged``
            has it. A parameter that is not finite at the end of an epoch counts, too. To go on,
            lower the rate and `resume` the history. Two copies of all that is put back are kept for
            this.
            "warn": a warning, once, and the training goes on.
        validate_averages : bool
            Whether `validation` is of the moving average of `ema` instead of the parameters, and so
            is what callbacks see of it. Running statistics of batch normalisation are taken for it
            from some thousands of the samples, at each epoch.
        metrics : list of str or function, or dict of str to function, optional
            What to record besides loss and accuracy, as ``history["name"]``, and
            ``history["val_name"]`` of validation data: of classes "top_5_accuracy", with any
            number; of the squared error "mean_absolute_error", "mean_squared_error" and "r2", the
            mean over outputs; or functions of (predictions, targets) that return a number. These
            get what :meth:`predict` returns of all samples, and targets as integers from 0, or
            rows. Those of the training data are taken at the end of each epoch, as for validation
            data, in one pass over the data for all of them. Where samples have weights the metrics
            are weighted, and functions get them if they have a parameter `sample_weight`. By
            default those of the training to resume.
        sample_weight : array_like, shape (N,), optional
            Weights of the samples, at least 0. The loss of a batch is sum(w loss) / sum(w), as in
            scikit-learn, so that it does not matter how large all of them are; 0 if all of a
            batch are 0. Accuracy of steps is not weighted; what is taken at the end of an epoch
            is: metrics and, of a share that is held out for validation, loss and accuracy. A
            training that is resumed needs them again.
        class_weight : dict, array_like or "balanced", optional
            Weights of samples by their class, times `sample_weight`: by labels, those that are not
            there counting 1, or one for each class in their order. "balanced": N / (classes count),
            as in scikit-learn. For networks with classes, and those with the logistic loss and one
            output, whose classes are 0 and 1. (PyTorch's cross-entropy with `weight` is the same
            mean without label smoothing; its ``BCEWithLogitsLoss`` divides by N instead.)

        Returns
        -------
        History

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above; nothing has been changed then.
        RuntimeError
            If a function of `metrics` raises an error, which it names.

        Examples
        --------
        >>> import numpy as np
        >>> from fastnn import MultiLayerNet
        >>> x = np.random.default_rng(0).normal(size=(300, 4))
        >>> net = MultiLayerNet(4, [16], 2, seed=0)
        >>> history = net.fit(x, (x[:, 0] > 0).astype(int), 20, 32, verbose=False, seed=0)
        >>> history.loss[-1] < 0.5 * history.loss[0]
        True
        """
        from fastnn.training.loop import fit
        from fastnn.training.settings import FitSettings

        settings = FitSettings.from_arguments(
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            validation=validation,
            callbacks=callbacks,
            verbose=verbose,
            schedule=schedule,
            clip_value=clip_value,
            clip_norm=clip_norm,
            ema=ema,
            shuffle=shuffle,
            seed=seed,
            resume=resume,
            on_divergence=on_divergence,
            validate_averages=validate_averages,
            metrics=metrics,
            sample_weight=sample_weight,
            class_weight=class_weight,
        )
        return fit(self, x, t, settings)

    def save(self, path: File) -> None:
        """Write the network to a file, from which :func:`fastnn.load` makes it again.

        The file is an npz archive without pickles: parameters, running statistics of batch
        normalisation, what chooses the next dropout masks, and the settings of the
        constructor. It takes the place of one before only when it is whole. Of a layer of your
        own it has what that names as parameters. A training that is to go on needs more: see
        :class:`fastnn.callbacks.Checkpoint`.

        A file whose name ends in ".safetensors" has the same in that format: other libraries find
        what :meth:`state_dict` returns in it, and the rest is in its metadata.

        Parameters
        ----------
        path : str, path or file object
            A name is taken as it is; ".npz" is usual. A file object, open for writing bytes, is
            written to as it stands, an archive: it is not whole if there is an error.
        """
        from fastnn._utils import archive
        from fastnn.networks import tensor_files

        if tensor_files.is_named_so(path):
            tensor_files.write(path, self)
        else:
            archive.write(path, *self._parts())

    def load(self, path: File) -> None:
        """Bring this network to what :meth:`save`, or a checkpoint, has written.

        For a network that :func:`fastnn.load` cannot build, such as one with layers of your own,
        and for one that others hold on to: parameters are written in place. Weight decay, ratios
        of dropout and settings of batch normalisation become those of the file too.

        A safetensors file that another library has written is loaded as
        ``load_state_dict`` loads a dict: its names must be those of :meth:`state_dict`.

        Parameters
        ----------
        path : str, path or file object
            As for :func:`fastnn.load`.

        Raises
        ------
        ValueError
            If the file is not of this version of fastnn, or of a network with other layers,
            sizes, dtype, loss or `input_scale`; nothing has been changed then.
        FileNotFoundError
            If there is no such file.
        """
        from fastnn.networks import tensor_files

        found = tensor_files.read(path)
        if isinstance(found, tensor_files.Foreign):
            self._take_arrays(found.arrays, strict=True, source=f"path ({found.source})")
        else:
            self._restore(found)

    def state_dict(self) -> dict[str, Array]:
        """Return the arrays of the network by PyTorch's names, in its orientation.

        Names are those of a ``torch.nn.Sequential`` that does the same. The layers of a list, and
        those of the book's networks, are numbered: 0.weight, 0.bias, 2.weight, ... An affine layer
        of images counts as two, as modules have to flatten them before, and so do `AffineRelu` and
        `BatchNormRelu`. Layers that you have named in a dict keep their names.

        Returns
        -------
        dict of str to ndarray
            Copies. The weights of an affine layer have shape (H, D), a row for each output. Batch
            normalisation has weight, bias, running_mean, running_var (biased, as ours is) and
            num_batches_tracked, which is 0, as nobody counts.

        Raises
        ------
        RuntimeError
            If sizes are not known yet.

        Examples
        --------
        >>> from fastnn import MultiLayerNet
        >>> {name: array.shape for name, array in MultiLayerNet(4, [8], 3).state_dict().items()}
        {'0.weight': (8, 4), '0.bias': (8,), '2.weight': (3, 8), '2.bias': (3,)}
        """
        from fastnn.exchange import state_dict

        return state_dict.state_dict(self)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> Incompatible:
        """Write arrays by PyTorch's names, such as a module's ``state_dict()``, into the network.

        They are converted to the network's dtype and written in place. A network whose sizes are
        not known takes them from the weights, if its first layer with parameters is an affine one.

        Parameters
        ----------
        state_dict : mapping of str to array_like or tensor
            Names and shapes as :meth:`state_dict` has them. num_batches_tracked may be there and
            is not used.
        strict : bool
            Whether the dict must have all names of the network and no others.

        Returns
        -------
        Incompatible
            The names that only one of them has, in `missing_keys` and `unexpected_keys`.

        Raises
        ------
        ValueError
            If shapes differ, or, where it is `strict`, names; the message lists all of them. If a
            running variance is negative. Nothing has been changed then.
        TypeError
            If a value is no array of real numbers.
        RuntimeError
            If sizes are not known, nor told by the weights: those of images before a convolution.
        """
        flag = numbers.flag("strict", strict)
        return self._take_arrays(state_dict, flag, source="state_dict")

    def _take_arrays(self, arrays: Any, strict: bool, source: str) -> Incompatible:
        """Write arrays by PyTorch's names into the network, which they may give its sizes."""
        from fastnn.exchange.state_dict import features_of, load_state_dict

        with sizing.sized_as(self, features_of(self, arrays)):
            return load_state_dict(self, arrays, strict, source)

    def to_onnx(
        self,
        path: File,
        *,
        softmax: bool = False,
        sigmoid: bool = False,
        input_name: str = "input",
        output_name: str = "output",
    ) -> None:
        """Write the network to an ONNX file, which other programs run: what :meth:`predict` does.

        It takes samples of float32, any number of them, of shape (batch, ...), and has
        `input_scale` in it. Operators are those of ONNX's set 17. Needs the extra "onnx".

        Parameters
        ----------
        path : str, path or file object
            A file takes the place of one before only when it is whole. A file object, open for
            writing bytes, is written to as it stands.
        softmax : bool
            Whether the output is probabilities, not the scores before softmax.
        sigmoid : bool
            Whether the output is the probability of each yes, not the scores before the sigmoid:
            for networks with the logistic loss.
        input_name, output_name : str
            What they are called in the file.

        Raises
        ------
        ImportError
            If the package onnx is missing; it says how to install it.
        ValueError
            If a layer is one of your own, which is named; if probabilities are asked for that are
            not those of the network's loss; or if the file would have 2 GiB.
        TypeError
            If the network is of float64.
        RuntimeError
            If sizes are not known yet.

        Examples
        --------
        >>> import tempfile, os
        >>> from fastnn import MultiLayerNet
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     MultiLayerNet(4, [8], 3).to_onnx(os.path.join(folder, "net.onnx"), softmax=True)
        """
        from fastnn.exchange import onnx_file

        activation = onnx_file.activation_of(self, softmax, sigmoid)
        onnx_file.write(path, [self], activation, input_name, output_name, repr(self))

    def to_torch(self) -> Any:
        """Return a ``torch.nn.Sequential`` that computes what :meth:`predict` does.

        Its modules are such that its ``state_dict()`` has the names of :meth:`state_dict`; the
        arrays are copies. What is not in ``params`` needs no gradient there. It is in evaluation
        mode. Needs PyTorch.

        Returns
        -------
        torch.nn.Sequential

        Raises
        ------
        ValueError
            If there is no module for a layer, which is named: one of your own, dropout of the
            book's form, batch normalisation of pixels; or if `input_scale` is not 1.
        RuntimeError
            If sizes are not known yet.
        """
        from fastnn.exchange.modules import sequential

        return sequential(self)

    def _parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the facts and the groups of arrays that a file of the network has."""
        from fastnn.networks import saved

        return saved.parts(self)

    def _restore(self, contents: Contents) -> None:
        """Bring the network to what :meth:`_parts` returned; raise before if they do not fit."""
        from fastnn.networks import saved

        saved.put(self, contents)

    def explain(self, optimizer: Any = None, batch_size: SupportsIndex = 128) -> None:
        """Print how :meth:`fit` would train: the route and why, steps, buffers, operations.

        Parameters
        ----------
        optimizer : Optimizer or str, optional
            As for :meth:`fit`.
        batch_size : int
            Samples a step.
        """
        size = numbers.integer("batch_size", batch_size, 1)
        from fastnn import optimizers
        from fastnn.optimizers.updater import as_of, optimizer_of, owner_of
        from fastnn.program.executor import StepSettings
        from fastnn.training.choice import choose

        optimizer = optimizers.Adam() if optimizer is None else optimizer_of(optimizer, {})
        adopt(self)
        if self.input_size is None:
            raise RuntimeError(
                "network: expected one whose sizes are known: give it an input_size, or call fit "
                "or predict with samples first"
            )
        n = size + 1  # a batch is not all of the data
        x = np.zeros((n, *np.atleast_1d(self.input_size)), self.dtype)
        t: Any = np.zeros(n, np.int64)
        if takes(self) not in ("", "classes"):
            t = np.zeros((n, self.output_size or 1), self.dtype)
        # Copies, as a program gives states to the optimizer and statistics to layers.
        network, optimizer = copy.deepcopy((self, as_of(optimizer, owner_of(self))))
        print(choose(network, optimizer, x, t, size, StepSettings()).describe())
