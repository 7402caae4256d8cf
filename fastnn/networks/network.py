"""Networks: any stack of layers, and what is done with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnn._utils import validation as numbers
from fastnn._utils.types import Array
from fastnn.layers.adoption import adopt, expect_layers, relink, state_of
from fastnn.layers.parameters import Params
from fastnn.layers.record import nearest_record, record_of, takes
from fastnn.layers.sizes import is_built
from fastnn.networks import building, sizing
from fastnn.networks.buffer import join
from fastnn.networks.exchange import Exchange
from fastnn.networks.fitting import Fitting
from fastnn.training.labels import Classes, expect_count

if TYPE_CHECKING:
    from fastnn.networks.summary import Summary
    from fastnn.training.history import History

Size = SupportsIndex | Sequence[SupportsIndex]


class Network(Fitting, Exchange):
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
