"""Ensembles of networks: the mean of several predictions, and one network that learns from it.

Four ways to several networks (CS231n notes, "Neural networks 3", model ensembles):

- one model from several initial values, trained at the same time on as many threads::

      ensemble = Ensemble(MultiLayerNet(784, [100, 100], 10, seed=seed) for seed in range(5))
      ensemble.fit(x, t, epochs=5, seed=[*range(5)])

- the best models that a search of hyper-parameters has found (:mod:`fastnn.search`), trained
  again, with the trial as a callback only while it searches::

      def train(values, epochs, callbacks=()):
          network = MultiLayerNet(784, [100, 100], 10, seed=0)
          network.fit(x, t, epochs, 100, optimizers.SGD(values["lr"]), validation=0.2,
                      callbacks=callbacks)
          return network

      def run(trial):
          train(trial, trial.epochs, [trial])

      result = search(run, {"lr": Log(1e-4, 1)}, 20, epochs=5)
      ensemble = Ensemble(train(trial, trial.epochs) for trial in result.top(5))

- one run as it was at several times: :class:`Snapshots`;
- the moving average of the parameters of one run, ``fit(ema=0.999)``, which is an ensemble over
  its last steps at the price of one network: :func:`averaged`.

:func:`distill` trains one network to predict what an ensemble does.
"""

from fastnn.ensembles.distillation import DistillationLoss, distill, soft_targets
from fastnn.ensembles.ensemble import Ensemble
from fastnn.ensembles.snapshots import Snapshots, averaged

__all__ = ["DistillationLoss", "Ensemble", "Snapshots", "averaged", "distill", "soft_targets"]
