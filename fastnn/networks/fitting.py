"""The training of networks: `fit`, and what it would do."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, SupportsFloat, SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from fastnn._utils import validation as numbers
from fastnn.layers.adoption import adopt
from fastnn.layers.record import takes
from fastnn.networks import sizing
from fastnn.networks.gradients import Gradients
from fastnn.training.metrics import Metrics

# What trains networks is loaded when that is done: it takes as long as the rest.
if TYPE_CHECKING:
    from fastnn.training.callbacks import Callback
    from fastnn.training.divergence import OnDivergence
    from fastnn.training.history import History
    from fastnn.training.schedules import Schedule


class Fitting(Gradients):
    """The training of a network."""

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
