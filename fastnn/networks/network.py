"""Networks of layers."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn import initializers, layers, optimizers
from fastnn._utils import archive
from fastnn._utils import validation as numbers
from fastnn._utils.archive import Groups, Path_
from fastnn._utils.types import Array
from fastnn.functional import numerical_gradient
from fastnn.layers.adoption import NOTHING, Adopted, adopt, places_of, relink, weights_of
from fastnn.layers.calls import first_gradient, forward
from fastnn.layers.parameters import gradients
from fastnn.layers.record import record_of
from fastnn.layers.state import layer_state, set_layer_state
from fastnn.layers.undeclared import expect_declared, undeclared
from fastnn.networks import saved
from fastnn.ops._arrays import real
from fastnn.ops._dispatch import compiled
from fastnn.ops._targets import expect_comparable, expect_range, whole_numbers
from fastnn.optimizers.updater import optimizer_of
from fastnn.program.executor import StepSettings
from fastnn.program.inference import scores
from fastnn.program.memory import Layout, aligned
from fastnn.training.callbacks import Callback
from fastnn.training.choice import choose
from fastnn.training.history import History
from fastnn.training.loop import fit
from fastnn.training.schedules import Schedule

LOSSES: dict[str, type[layers.SoftmaxWithLoss] | type[layers.IdentityWithLoss]] = {
    "cross_entropy": layers.SoftmaxWithLoss,
    "mean_squared_error": layers.IdentityWithLoss,
}


_SHORT = {"mse": "mean_squared_error"}


_AFFINE = (layers.Affine, layers.AffineRelu)


_ACTIVATIONS = {"sigmoid": layers.Sigmoid, "tanh": layers.Tanh}  # ReLU is fused


_INITIALIZERS = {
    "relu": initializers.he,
    "he": initializers.he,
    "sigmoid": initializers.xavier,
    "tanh": initializers.xavier,
    "xavier": initializers.xavier,
}


class MultiLayerNetExtend:
    """Fully connected network with batch normalisation, dropout and weight decay.

    Each hidden layer is Affine, [BatchNormalization], activation, [Dropout]; the last one is
    Affine, with softmax and cross-entropy as the loss, or the squared error. ReLU is fused with
    the layer before it, Affine or BatchNormalization.

    Parameters
    ----------
    input_size : int
        Features of a sample.
    hidden_size_list : sequence of int
        Units of each hidden layer.
    output_size : int
        Classes.
    activation : {"relu", "sigmoid", "tanh"}
        Activation of the hidden layers.
    weight_init_std : float or {"relu", "he", "sigmoid", "tanh", "xavier"}
        Standard deviation of the initial weights, or their rule: sqrt(2 / n) for "relu" and
        "he", sqrt(1 / n) for the others, n being the layer's inputs. Biases start at zero.
    weight_decay_lambda : float
        L2 penalty: ``lambda / 2 * sum(W ** 2)`` of all weights is added to the loss.
    use_dropout : bool
        Whether each activation is followed by dropout.
    dropout_ration : float
        Probability of dropping; the spelling is the book's.
    use_batchnorm : bool
        Whether each hidden Affine is followed by batch normalisation.
    dtype : dtype
        float32 or float64: of parameters, activations and gradients. Inputs are converted.
    seed : int, optional
        Chooses initial weights and dropout masks; random ones if not given.
    loss : {"cross_entropy", "mean_squared_error"}
        Softmax and cross-entropy, for labels or one-hot targets; or half the squared error,
        summed over outputs, for targets (N, output_size). "mse" is short for it.
    input_scale : float
        Inputs are multiplied by it, above 0: 1/255 for images of bytes, which then need not be
        converted beforehand.

    Attributes
    ----------
    params : dict of str to ndarray
        W1, b1, ..., and gamma1, beta1, ... with batch normalisation. The layers hold the
        same arrays: change them in place. All are views of one buffer.
    layers : OrderedDict of str to layer
        Layers may be added, replaced, moved and removed; `params` follows at the next call, as
        "<layer>.<name>" for arrays that are new. Your own, with parameters, are as
        :class:`fastnn.layers.Layer` says. `input_size` and `output_size` are what samples and
        targets are checked against: set them if your layers change them.
    last_layer : SoftmaxWithLoss or IdentityWithLoss
    history : History or None
        What the last :meth:`fit` recorded, also if it was interrupted.

    Raises
    ------
    ValueError, TypeError
        If a setting is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastnn.networks import MultiLayerNetExtend
    >>> net = MultiLayerNetExtend(4, [8, 8], 3, use_batchnorm=True, seed=0)
    >>> x, t = np.ones((2, 4)), np.array([0, 2])
    >>> sorted(net.gradient(x, t)) == sorted(net.params)
    True
    """

    _adopted: Adopted = NOTHING  # when `params` was last brought in line with the layers

    def __init__(
        self,
        input_size: int,
        hidden_size_list: Sequence[int],
        output_size: int,
        activation: str = "relu",
        weight_init_std: SupportsFloat | str = "relu",
        weight_decay_lambda: SupportsFloat = 0,
        use_dropout: bool = False,
        dropout_ration: SupportsFloat = 0.5,
        use_batchnorm: bool = False,
        *,
        dtype: DTypeLike = np.float32,
        seed: int | None = None,
        loss: str = "cross_entropy",
        input_scale: SupportsFloat = 1.0,
    ) -> None:
        self.input_size = numbers.whole("input_size", input_size, 1)
        if not isinstance(hidden_size_list, Iterable):
            raise TypeError(f"hidden_size_list: expected a list of sizes, got {hidden_size_list!r}")
        self.hidden_size_list = [
            numbers.whole(f"hidden_size_list[{i}]", size, 1)
            for i, size in enumerate(hidden_size_list)
        ]
        self.hidden_layer_num = len(self.hidden_size_list)
        self.output_size = numbers.whole("output_size", output_size, 1)
        self.activation = numbers.one_of(
            "activation", str(activation).lower(), ("relu", *_ACTIVATIONS)
        )
        self.weight_decay_lambda = numbers.not_negative("weight_decay_lambda", weight_decay_lambda)
        self.use_dropout = bool(use_dropout)
        self.dropout_ration = numbers.below_one("dropout_ration", dropout_ration)
        self.use_batchnorm = bool(use_batchnorm)
        try:
            self.dtype = np.dtype(dtype)
        except TypeError:
            raise TypeError(f"dtype: expected float32 or float64, got {dtype!r}") from None
        if self.dtype not in (np.float32, np.float64):
            raise TypeError(f"dtype: expected float32 or float64, got {self.dtype}")
        given = numbers.one_of("loss", str(loss).lower(), (*LOSSES, *_SHORT))
        last_layer = LOSSES[_SHORT.get(given, given)]
        self.input_scale = numbers.positive("input_scale", input_scale)

        if isinstance(seed, (int, float, str, np.number)):
            seed = numbers.whole("seed", seed, 0, 2**128 - 1)
        self._rng = np.random.default_rng(seed)
        self.params: dict[str, Array] = {}
        self._init_weights(weight_init_std)
        self.layers: OrderedDict[str, Any] = OrderedDict()
        for i in range(1, self.hidden_layer_num + 1):
            self._add_hidden(i)
        last = self.hidden_layer_num + 1
        self.layers[f"Affine{last}"] = layers.Affine(
            self.params[f"W{last}"], self.params[f"b{last}"]
        )
        self.layers["Affine1"].input_gradient = False
        self.last_layer: layers.SoftmaxWithLoss | layers.IdentityWithLoss = last_layer()
        self.history: History | None = None
        self._join()

    def _join(self) -> None:
        """Move the parameters of fastnn's layers into one buffer that has none but them."""
        found = adopt(self)
        others = {id(p.array) for p in found if record_of(p.owner) is None}
        ours = [p for p in found if id(p.array) not in others and p.array.dtype == self.dtype]
        movable = {id(p.array) for p in ours}
        arrays = {id(array): array for array in self.params.values() if id(array) in movable}
        # Copies and unpickled networks have a buffer for each array; shallow copies share ours.
        bases = {id(a.base): a.base for a in arrays.values()}
        if not arrays or (len(bases) == 1 and None not in bases.values()):
            return
        layout: Layout[int] = Layout(arrays)
        views = layout.views(aligned((layout.size,), self.dtype))
        for number, view in views.items():
            view[...] = arrays[number]
        for p in ours:
            setattr(p.owner, p.name, views[id(p.array)])
        for key, array in self.params.items():
            self.params[key] = views.get(id(array), array)
        adopt(self)

    def __getstate__(self) -> dict[str, Any]:
        state = {key: value for key, value in vars(self).items() if key != "_adopted"}
        return {**state, "_places": places_of(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        relink(self, self.__dict__.pop("_places", []))
        with suppress(TypeError, ValueError):  # which come again when the network is used
            self._join()

    def _has_own(self, method: str) -> bool:
        """Say whether a method is not that of this class."""
        ours = getattr(MultiLayerNetExtend, method)
        return getattr(type(self), method) is not ours or method in vars(self)

    def _init_weights(self, weight_init_std: SupportsFloat | str) -> None:
        sizes = [self.input_size, *self.hidden_size_list, self.output_size]
        for i, shape in enumerate(pairwise(sizes), start=1):
            if isinstance(weight_init_std, str):
                rule = numbers.one_of(
                    "weight_init_std", weight_init_std.lower(), tuple(_INITIALIZERS)
                )
                W = _INITIALIZERS[rule](shape, rng=self._rng, dtype=self.dtype)
            else:
                std = numbers.not_negative("weight_init_std", weight_init_std)
                W = initializers.normal(shape, std, rng=self._rng, dtype=self.dtype)
            self.params[f"W{i}"] = W
            self.params[f"b{i}"] = initializers.zeros(shape[1:], dtype=self.dtype)

    def _add_hidden(self, i: int) -> None:
        W, b = self.params[f"W{i}"], self.params[f"b{i}"]
        fused = self.activation == "relu"
        if self.use_batchnorm:
            gamma, beta = np.ones_like(b), np.zeros_like(b)
            self.params[f"gamma{i}"], self.params[f"beta{i}"] = gamma, beta
            normalise = layers.BatchNormRelu if fused else layers.BatchNormalization
            self.layers[f"Affine{i}"] = layers.Affine(W, b)
            self.layers[f"BatchNorm{i}"] = normalise(gamma, beta)
        else:
            self.layers[f"Affine{i}"] = (layers.AffineRelu if fused else layers.Affine)(W, b)
        if not fused:
            self.layers[f"Activation_function{i}"] = _ACTIVATIONS[self.activation]()
        if self.use_dropout:
            self.layers[f"Dropout{i}"] = layers.Dropout(
                self.dropout_ration, seed=int(self._rng.integers(2**63))
            )

    def predict(self, x: ArrayLike, train_flg: bool = False) -> Array:
        """Return the scores before softmax.

        Without `train_flg`, many samples go through the layers in one compiled call, with what
        batch normalisation and dropout do put into the weights beside them. That changes scores
        by rounding errors, and layers then keep nothing for a backward pass.

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
        first: Any = next(iter(self.layers.values()), None)
        if type(first) in _AFFINE and given.ndim > 1:
            features = len(first.W)
            if math.prod(given.shape[1:]) != features:
                raise ValueError(
                    f"x: expected samples of {features} features, one for each row of its first "
                    f"layer's W, got shape {given.shape}"
                )
        if not train_flg and given.ndim > 1 and compiled():
            result = scores(self, given)
            if result is not None:
                return result
        out: Array = given.astype(self.dtype, copy=False)
        if self.input_scale != 1:
            out = out * np.asarray(self.input_scale, self.dtype)
        for layer in self.layers.values():
            out = forward(layer, out, train_flg)
        return out

    def loss(self, x: ArrayLike, t: ArrayLike, train_flg: bool = False) -> float:
        """Return the mean loss over the samples, plus the weight penalty.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
        t : array_like, shape (N,), (N, 1) or (N, output_size)
            Labels, or one-hot targets; (N, output_size) alone for the squared error.
        train_flg : bool
            Whether batch normalisation and dropout act as in training.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the batch is empty, shapes do not fit, or a label is out of range.
        """
        data = self.last_layer.forward(self.predict(x, train_flg), t)
        return data + self._penalty()

    def _penalty(self) -> float:
        if self.weight_decay_lambda == 0:
            return 0.0
        adopt(self)
        squares = sum(float(np.square(W).sum(dtype=np.float64)) for W in self._weights().values())
        return 0.5 * self.weight_decay_lambda * squares

    def _weights(self) -> dict[str, Array]:
        return weights_of(self)

    def accuracy(self, x: ArrayLike, t: ArrayLike) -> float:
        """Return the share of samples whose largest score is the target's.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
        t : array_like, shape (N,), (N, 1) or (N, output_size)
            Labels, or one-hot targets.

        Returns
        -------
        float

        Raises
        ------
        TypeError, ValueError
            If there is no sample, the number of targets differs, labels are no whole numbers or out
            of range, or the network is trained on the squared error of a single output, which has
            no classes.
        """
        t = whole_numbers(np.asarray(t))
        if isinstance(self.last_layer, layers.IdentityWithLoss) and (t.ndim < 2 or t.shape[1] < 2):
            raise ValueError(
                "accuracy: with the mean squared error it compares the largest of several outputs "
                f"with the largest target, so t must have shape (N, C), C > 1, got {t.shape}"
            )
        expect_comparable(t)
        labels = t.argmax(axis=1) if t.ndim == 2 and t.shape[1] > 1 else t.reshape(-1)
        predicted = self.predict(x).argmax(axis=1)
        if labels.size == 0 or labels.shape != predicted.shape:
            raise ValueError(
                f"t: expected targets for {predicted.size} samples, at least one, "
                f"got shape {t.shape}"
            )
        expect_range(labels, self.output_size)
        return float(np.mean(predicted == labels))

    def gradient(self, x: ArrayLike, t: ArrayLike) -> dict[str, Array]:
        """Return the gradients of the training loss by backpropagation.

        Parameters
        ----------
        x, t
            As for :meth:`loss`.

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
        found = adopt(self)
        own = not self._adopted.objects  # layers of one's own are among them
        # Samples that a layer keeps are no parameters, whatever it calls their gradient.
        held = [each for each in undeclared(self) if each.array is not x] if own else []
        self.last_layer.forward(self.predict(x, train_flg=True), t)
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

    def fit(
        self,
        x: ArrayLike,
        t: ArrayLike,
        epochs: SupportsIndex = 1,
        batch_size: SupportsIndex = 128,
        optimizer: Any = None,
        validation: Any = None,
        callbacks: Iterable[Callback] = (),
        verbose: bool = True,
        *,
        schedule: Schedule | None = None,
        clip_value: SupportsFloat | None = None,
        clip_norm: SupportsFloat | None = None,
        ema: SupportsFloat | None = None,
        shuffle: bool | None = None,
        seed: SupportsIndex | None = None,
        resume: History | None = None,
    ) -> History:
        """Train on mini-batches, epoch by epoch.

        Each epoch takes every sample once; the last batch may be smaller. Steps run in the
        compiled training program if it knows the network and the optimizer, else layer by
        layer: the history says which, and why.

        Ctrl-C ends the training after a whole step: KeyboardInterrupt comes through, and
        ``network.history`` has what was recorded. ``resume=network.history`` goes on from
        there, in the middle of an epoch too, as if nothing had happened.

        Parameters
        ----------
        x : array_like, shape (N, D), or (N, ...) with D elements a sample
            Of any real dtype and layout, and finite; a ``numpy.memmap`` is read batch by batch,
            and not looked through before.
        t : array_like, shape (N,), (N, 1) or (N, output_size)
            Labels, or one-hot targets, or other probabilities; (N, output_size) alone for the
            squared error.
        epochs : int
            Passes over the data, with `resume` those before included.
        batch_size : int
            Samples a step.
        optimizer : Optimizer or str, optional
            Anything with ``update(params, grads)`` that changes arrays in place, or a name in any
            case: "SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam", "AdamW". By default
            the one of the history to resume, else Adam.
        validation : (x, t) or float, optional
            Data to evaluate on after each epoch, or which share of the samples to hold out for
            that: the last ones, in the order in which they come.
        callbacks : iterable of Callback
            See :mod:`fastnn.callbacks`.
        verbose : bool
            Whether to show a progress bar, and to print a line for each epoch.
        schedule : function of an array of int, optional
            Gives for each step, from 0 up, the factor from 0 up on the optimizer's `lr`; see
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
            they are not given; data, batch size and callbacks should be the same again.

        Returns
        -------
        History

        Raises
        ------
        TypeError, ValueError
            If an argument is not as above; nothing has been changed then.

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
        return fit(
            self,
            x,
            t,
            epochs,
            batch_size,
            optimizer,
            validation,
            callbacks,
            verbose,
            schedule=schedule,
            clip_value=clip_value,
            clip_norm=clip_norm,
            ema=ema,
            shuffle=shuffle,
            seed=seed,
            resume=resume,
        )

    def save(self, path: Path_) -> None:
        """Write the network to a file, from which :func:`fastnn.load` makes it again.

        The file is an npz archive without pickles: parameters, running statistics of batch
        normalisation, what chooses the next dropout masks, and the settings of the
        constructor. It takes the place of one before only when it is whole. Of a layer of your
        own it has what that names as parameters. A training that is to go on needs more: see
        :class:`fastnn.callbacks.Checkpoint`.

        Parameters
        ----------
        path : str or path
            The name is taken as it is; ".npz" is usual.
        """
        archive.write(path, *self._parts())

    def load(self, path: Path_) -> None:
        """Bring this network to what :meth:`save`, or a checkpoint, has written.

        For a network that :func:`fastnn.load` cannot build, such as one with layers of your own,
        and for one that others hold on to: parameters are written in place. Weight decay, ratios
        of dropout and settings of batch normalisation become those of the file too.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        ValueError
            If the file is not of this version of fastnn, or of a network with other layers,
            sizes, dtype, loss or `input_scale`; nothing has been changed then.
        FileNotFoundError
            If there is no such file.
        """
        self._restore(*archive.read(path, "network"))

    def _parts(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the facts and the groups of arrays that a file of the network has."""
        return saved.parts(self)

    def _restore(self, facts: dict[str, Any], groups: Groups) -> None:
        """Bring the network to what :meth:`_parts` returned; raise before if they do not fit."""
        saved.put(self, facts, groups)

    def explain(self, optimizer: Any = None, batch_size: SupportsIndex = 128) -> None:
        """Print how :meth:`fit` would train: the route and why, steps, buffers, operations.

        Parameters
        ----------
        optimizer : Optimizer or str, optional
            As for :meth:`fit`.
        batch_size : int
            Samples a step.
        """
        size = numbers.whole("batch_size", batch_size, 1)
        optimizer = optimizers.Adam() if optimizer is None else optimizer_of(optimizer, {})
        n = size + 1  # a batch is not all of the data
        x = np.zeros((n, self.input_size), self.dtype)
        t: Any = np.zeros(n, np.int64)
        if isinstance(self.last_layer, layers.IdentityWithLoss):
            t = np.zeros((n, self.output_size), self.dtype)
        # Copies, as a program gives states to the optimizer and statistics to layers.
        network, optimizer = copy.deepcopy((self, optimizer))
        print(choose(network, optimizer, x, t, size, StepSettings()).describe())
