"""What Ctrl-C interrupts: a run each, what must hold after it, and how it is gone on with."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np

import fastnn
from fastnn import Trainer, callbacks, ensembles, ops, optimizers
from fastnn.diagnostics import check_overfitting
from fastnn.kernels.codegen import compile
from fastnn.search import Uniform, load, search
from fastnn.second_order import lbfgs
from tests.attack import small
from tests.attack.writers import Kernels, kernels_in


class Scene:
    """A run that can be interrupted anywhere.

    ``begin`` makes what it needs, ``run`` is interrupted, ``check`` says what holds after that, and
    ``finish`` goes on and returns what must be the same as without an interrupt.
    """

    name: str

    def begin(self) -> Any:
        return SimpleNamespace()

    def run(self, at: Any) -> None:
        raise NotImplementedError

    def check(self, at: Any) -> None:
        """Raise if something is not whole."""

    def finish(self, at: Any) -> Any:
        raise NotImplementedError

    def close(self, at: Any) -> None:
        """Clear up."""


class Fit(Scene):
    """Training by one of the two routes; the states after each step are known."""

    epochs = 3

    def __init__(self, route: str) -> None:
        self.route, self.name = route, f"fit, {route}"
        self._states: dict[int, str] = {}

    def states(self) -> dict[int, str]:
        """Return the bits of the network after so many steps."""
        if not self._states:
            net, states = small.network(self.route), self._states
            states[0] = small.bits(net)

            class Noting(callbacks.Callback):
                every_steps = 1

                def on_steps_end(self, step: int) -> None:
                    states[step] = small.bits(net)

            small.train(net, self.epochs, callbacks=[Noting()])
        return self._states

    def begin(self) -> Any:
        self.states()
        return SimpleNamespace(net=small.network(self.route))

    def callbacks(self, at: Any) -> list[callbacks.Callback]:
        return []

    def run(self, at: Any) -> None:
        small.train(at.net, self.epochs, callbacks=self.callbacks(at))

    def check(self, at: Any) -> None:
        assert small.finite(at.net), "parameters are not finite"
        history = at.net.history
        steps = 0 if history is None else len(history.step_losses)
        where = [step for step, bits in self.states().items() if bits == small.bits(at.net)]
        assert where == [steps], f"history has {steps} steps, the network those of {where}"

    def finish(self, at: Any) -> Any:
        history = at.net.history
        history = small.train(at.net, self.epochs, resume=history, callbacks=self.callbacks(at))
        averages = {key: a.tolist() for key, a in (history.averages or {}).items()}
        return small.bits(at.net), history.step_losses, history.loss, history.val_loss, averages


class FitWithCallbacks(Fit):
    """The same with callbacks, which read and write between epochs and steps."""

    def __init__(self) -> None:
        super().__init__("program")
        self.name = "fit with callbacks"

    def begin(self) -> Any:
        at = super().begin()
        at.folder = tempfile.TemporaryDirectory()
        return at

    def callbacks(self, at: Any) -> list[callbacks.Callback]:
        folder = Path(at.folder.name)
        return [
            callbacks.EarlyStopping("val_loss", 50, restore_best=False),
            callbacks.ReduceLROnPlateau("val_loss", patience=50),
            callbacks.Checkpoint(folder / "training.npz"),
            callbacks.CSVLogger(folder / "log.csv"),
        ]

    def finish(self, at: Any) -> Any:
        result = super().finish(at)
        folder = Path(at.folder.name)
        # Before the first epoch's end there is no file, after the last one's nothing to do for fit.
        net, history = small.network(), None
        if (folder / "training.npz").exists():
            history = callbacks.load_checkpoint(folder / "training.npz", net)
        history = small.train(net, self.epochs, resume=history)
        assert small.bits(net) == small.bits(at.net), "the file is of another training"
        with open(folder / "log.csv", newline="") as file:
            rows = [row[0] for row in csv.reader(file)]
        return result, history.epochs, rows, sorted(path.name for path in folder.iterdir())

    def close(self, at: Any) -> None:
        at.folder.cleanup()


class Books(Scene):
    """The book's Trainer, which goes on when it is called again."""

    name = "Trainer"

    def begin(self) -> Any:
        net = small.network()
        return SimpleNamespace(
            trainer=Trainer(
                net, small.X[:48], small.T[:48], small.X[48:], small.T[48:], 3, 12, "Adam",
                {"lr": 0.01}, verbose=False, seed=3,
            )
        )  # fmt: skip

    def run(self, at: Any) -> None:
        at.trainer.train()

    def check(self, at: Any) -> None:
        assert small.finite(at.trainer.network)
        assert at.trainer.current_iter == len(at.trainer.train_loss_list)

    def finish(self, at: Any) -> Any:
        trainer = at.trainer
        trainer.train()
        return small.bits(trainer.network), trainer.train_loss_list, trainer.test_acc_list


class Unchanged(Scene):
    """Something that leaves a network as it is."""

    def begin(self) -> Any:
        net = small.network()
        small.train(net, 1)
        at = SimpleNamespace(net=net, bits=small.bits(net), result=None)
        at.folder = tempfile.TemporaryDirectory()
        at.path = Path(at.folder.name) / "net.npz"
        return at

    def value(self, at: Any) -> Any:
        """Do it; return what comes of it."""
        raise NotImplementedError

    def run(self, at: Any) -> None:
        at.result = self.value(at)

    def check(self, at: Any) -> None:
        assert small.bits(at.net) == at.bits, "the network was changed"

    def finish(self, at: Any) -> Any:
        return self.value(at)

    def close(self, at: Any) -> None:
        at.folder.cleanup()


class Predict(Unchanged):
    name = "predict"

    def value(self, at: Any) -> Any:
        sizes = (1, 7, 60, 60)
        return [at.net.predict(small.X[:n]).tolist() for n in sizes]


class Evaluate(Unchanged):
    name = "accuracy and loss"

    def value(self, at: Any) -> Any:
        return at.net.accuracy(small.X, small.T), at.net.loss(small.X, small.T)


class Save(Unchanged):
    """Saving over a file: it is the old one or the new one, and alone."""

    name = "save"

    def begin(self) -> Any:
        at = super().begin()
        small.network().save(at.path)
        return at

    def value(self, at: Any) -> Any:
        at.net.save(at.path)
        return small.bits(fastnn.load(at.path))

    def check(self, at: Any) -> None:
        super().check(at)
        names = [path.name for path in at.path.parent.iterdir()]
        assert names == ["net.npz"], names
        old = small.bits(small.network())
        assert small.bits(fastnn.load(at.path)) in (old, at.bits), "neither old nor new"


class Load(Scene):
    """Loading into a network: it is what it was, or what the file has."""

    name = "load into a network"

    def begin(self) -> Any:
        at = SimpleNamespace(folder=tempfile.TemporaryDirectory(), net=small.network())
        at.path = Path(at.folder.name) / "net.npz"
        at.old = small.bits(at.net)
        net = small.network()
        small.train(net, 1, callbacks=[callbacks.Checkpoint(at.path)])
        at.new = small.bits(net)
        return at

    def run(self, at: Any) -> None:
        at.net.load(at.path)

    def check(self, at: Any) -> None:
        assert small.bits(at.net) in (at.old, at.new), "a network that is neither"

    def finish(self, at: Any) -> Any:
        self.run(at)
        return small.bits(at.net)

    def close(self, at: Any) -> None:
        at.folder.cleanup()


class LoadNew(Load):
    name = "fastnn.load"

    def run(self, at: Any) -> None:
        fastnn.load(at.path)

    def finish(self, at: Any) -> Any:
        return small.bits(fastnn.load(at.path))


class LoadCheckpoint(Load):
    name = "load_checkpoint"

    def run(self, at: Any) -> None:
        callbacks.load_checkpoint(at.path, at.net)

    def finish(self, at: Any) -> Any:
        history = callbacks.load_checkpoint(at.path, at.net)
        small.train(at.net, 2, resume=history)
        return small.bits(at.net)


class Operations(Scene):
    """Functions of ops, with memory of their own and given."""

    name = "ops"

    def run(self, at: Any) -> None:
        at.result = self.finish(at)

    def finish(self, at: Any) -> Any:
        x = small.X
        W, b = np.ones((small.D, 4), x.dtype), np.arange(4, dtype=x.dtype)
        results = []
        for n in (3, 60):
            y = ops.affine_relu(x[:n], W, b)
            loss, dy = ops.softmax_cross_entropy(y, small.T[:n])
            dx, dW, db = ops.affine_relu_backward(dy, x[:n], W, y)
            p, m, v = W.copy(), np.zeros_like(W), np.zeros_like(W)
            ops.adam_(p, dW, m, v, 1)
            results.append([loss, *(each.tolist() for each in (y, dx, dW, db, p, m, v))])
        return results


class Compile(Scene):
    """Compiling a kernel and keeping it on disk, as all kernels are."""

    name = "compile"

    def begin(self) -> Any:
        at = SimpleNamespace(folder=tempfile.TemporaryDirectory())
        kernels_in(Path(at.folder.name))
        at.kernel = compile._kept(numba.njit(Kernels.function))
        return at

    def run(self, at: Any) -> None:
        at.kernel(1.5, 2.0)

    def finish(self, at: Any) -> Any:
        again = compile._kept(numba.njit(Kernels.function))
        values = at.kernel(1.5, 2.0), again(1.5, 2.0)
        # What was compiled, and not kept yet, is kept by the next process.
        return values, [path.name for path in Path(at.folder.name).rglob("*") if path.is_file()]

    def close(self, at: Any) -> None:
        kernels_in(None)
        at.folder.cleanup()


class Search(Scene):
    """A search with a file, which is called again."""

    name = "search"
    trials = 3

    def begin(self) -> Any:
        at = SimpleNamespace(folder=tempfile.TemporaryDirectory())
        at.path = Path(at.folder.name) / "trials.log"
        return at

    def run(self, at: Any) -> None:
        def train(trial: Any) -> float:
            trial.report(trial["a"])
            return trial["a"]

        search(train, {"a": Uniform(0, 1)}, self.trials, seed=4, storage=at.path, verbose=False)

    def finish(self, at: Any) -> Any:
        self.run(at)
        names = sorted(path.name for path in at.path.parent.iterdir())
        return [(trial.number, trial["a"], trial.value) for trial in load(at.path)], names

    def close(self, at: Any) -> None:
        at.folder.cleanup()


class Ensemble(Unchanged):
    name = "ensemble"

    def value(self, at: Any) -> Any:
        several = ensembles.Ensemble([at.net, small.network()])
        return several.predict(small.X).tolist(), several.loss(small.X, small.T)


class Averaged(Unchanged):
    name = "averaged parameters"

    def value(self, at: Any) -> Any:
        return small.bits(ensembles.averaged(at.net, at.net.history.averages, small.X))


class Distill(Scene):
    """Distillation at a temperature; the student's loss comes back."""

    name = "distill"

    def begin(self) -> Any:
        teacher, student = small.network(), small.network()
        small.train(teacher, 1)
        return SimpleNamespace(teacher=teacher, bits=small.bits(teacher), net=student)

    def _distill(self, at: Any, net: Any) -> Any:
        settings = {"optimizer": optimizers.SGD(0.1), "seed": 2, "verbose": False}
        ensembles.distill(net, at.teacher, small.X, temperature=2, epochs=1, batch_size=20,
                          **settings)  # fmt: skip
        return small.bits(net)

    def run(self, at: Any) -> None:
        self._distill(at, at.net)

    def check(self, at: Any) -> None:
        assert small.bits(at.teacher) == at.bits, "the teacher was changed"
        assert type(at.net.last_layer).__name__ == "SoftmaxWithLoss"
        assert small.finite(at.net)

    def finish(self, at: Any) -> Any:
        return self._distill(at, small.network())


class NumericalGradient(Unchanged):
    """Differences move each parameter, and put it back."""

    name = "numerical_gradient"

    def begin(self) -> Any:
        at = super().begin()
        at.net = small.network(use_batchnorm=False, use_dropout=False, dtype="float64")
        at.bits = small.bits(at.net)
        return at

    def value(self, at: Any) -> Any:
        grads = at.net.numerical_gradient(small.X[:2], small.T[:2])
        return [g.tolist() for g in grads.values()]


class GradientCheck(NumericalGradient):
    name = "gradient_check"

    def value(self, at: Any) -> Any:
        return str(fastnn.gradient_check.gradient_check(at.net, small.X[:4], small.T[:4], seed=0))


class Overfitting(Unchanged):
    """A short training on a copy."""

    name = "check_overfitting"

    def value(self, at: Any) -> Any:
        check = check_overfitting(small.network(use_dropout=False), small.X, small.T, steps=20)
        return str(check)


class SecondOrder(Scene):
    """L-BFGS: parameters are those of an iteration."""

    name = "lbfgs"

    def begin(self) -> Any:
        net = small.network(use_batchnorm=False, use_dropout=False, dtype="float64")
        return SimpleNamespace(net=net)

    def _states(self) -> set[str]:
        net = self.begin().net
        states = {small.bits(net)}

        def watch(_: Any) -> None:
            states.add(small.bits(net))

        lbfgs(net, small.X, small.T, 4, verbose=False, callback=watch)
        return states | {small.bits(net)}

    def run(self, at: Any) -> None:
        lbfgs(at.net, small.X, small.T, 4, verbose=False)

    def check(self, at: Any) -> None:
        assert small.bits(at.net) in self._states(), "parameters that are no iteration's"

    def finish(self, at: Any) -> Any:
        net = self.begin().net
        lbfgs(net, small.X, small.T, 4, verbose=False)
        return small.bits(net)


SCENES: tuple[Scene, ...] = (
    Fit("program"), Fit("layers"), FitWithCallbacks(), Books(), Predict(), Evaluate(), Save(),
    Load(), LoadNew(), LoadCheckpoint(), Operations(), Compile(), Search(), Ensemble(), Averaged(),
    Distill(), NumericalGradient(), GradientCheck(), Overfitting(), SecondOrder(),
)  # fmt: skip
