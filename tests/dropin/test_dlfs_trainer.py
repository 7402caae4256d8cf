"""``common.trainer``: what it prints, keeps and draws."""

import io
from contextlib import redirect_stdout

import numpy as np
import pytest


def data(n=30, one_hot=False):
    rng = np.random.default_rng(1)
    x, t = rng.random((n, 12)).astype(np.float32), rng.integers(0, 5, n)
    return x, np.eye(5)[t] if one_hot else t


class Network:
    """Records calls; has one parameter."""

    def __init__(self):
        self.params = {"W": np.ones(3)}
        self.calls = []

    def gradient(self, x, t):
        self.calls.append(("gradient", x.copy(), t.copy()))
        return {"W": np.full(3, x.mean())}

    def loss(self, x, t):
        self.calls.append(("loss", x.copy()))
        return self.params["W"].sum()

    def accuracy(self, x, t):
        self.calls.append(("accuracy", x.shape, t.shape))
        return 0.125 * len(self.calls)


def train(m, network, *, n=30, **settings):
    x, t = data(n)
    with redirect_stdout(io.StringIO()) as printed:
        trainer = m.trainer.Trainer(network, x, t, x[:7], t[:7], **settings)
        before = m.visible(trainer)
        result = trainer.train()
    after = m.visible(trainer)
    for seen in (before, after):
        for name in ("network", "optimizer"):
            seen[name] = type(seen[name]).__name__
    return printed.getvalue(), result, before, after, m.visible(trainer.optimizer)


SETTINGS = {
    "default but for epochs": {"epochs": 2},
    "batches that do not divide": {"epochs": 4, "mini_batch_size": 8},
    "batches larger than the set": {"epochs": 3, "mini_batch_size": 50},
    "whole epochs": {"epochs": 3, "mini_batch_size": 10, "optimizer_param": {"lr": 0.5}},
    "half an epoch": {"epochs": 0.5, "mini_batch_size": 3},
    "no epoch": {"epochs": 0},
    "few evaluated": {"epochs": 2, "mini_batch_size": 10, "evaluate_sample_num_per_epoch": 4},
    "none evaluated": {"epochs": 2, "mini_batch_size": 10, "evaluate_sample_num_per_epoch": 0},
    "silent": {"epochs": 2, "mini_batch_size": 10, "verbose": False},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_network_of_the_script(dlfs, settings):
    def action(m):
        network = Network()
        return train(m, network, **settings), network.calls, network.params, np.random.rand()

    dlfs.compare(action)


OPTIMIZERS = [
    "SGD",
    "sgd",
    "Momentum",
    "nesterov",
    "AdaGrad",
    "rmsprop",
    "rmsprpo",
    "RMSprop",
    "Adam",
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_by_their_names(edition, optimizer):
    def action(m):
        settings = {"optimizer": optimizer, "optimizer_param": {"lr": 0.02}}
        return train(m, Network(), epochs=2, mini_batch_size=10, **settings)

    edition.compare(action)


def test_settings_of_the_optimizer(dlfs):
    def action(m):
        settings = {"optimizer": "Momentum", "optimizer_param": {"lr": 0.02, "momentum": 0.5}}
        return train(m, Network(), epochs=2, mini_batch_size=10, **settings)

    dlfs.compare(action)


def test_mistakes(dlfs):
    x, t = data()

    def start(m, **settings):
        m.trainer.Trainer(Network(), x, t, x, t, **settings)

    dlfs.compare(lambda m: start(m, optimizer="Adan"), raises=KeyError)
    dlfs.compare(lambda m: start(m, optimizer_param={"rate": 1}), raises=TypeError)
    dlfs.compare(lambda m: start(m, mini_batch_size=0), raises=ZeroDivisionError)
    dlfs.compare(lambda m: start(m, batch_size=10), raises=TypeError)


@pytest.mark.parametrize("one_hot", [False, True], ids=["labels", "one-hot"])
@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("extended", [False, True])
def test_networks_of_the_book(dlfs, extended, optimizer, one_hot, same_text):
    def action(m):
        if extended:
            network = m.multi_layer_net_extend.MultiLayerNetExtend(
                12, [8, 8], 5, use_dropout=True, use_batchnorm=True
            )
        else:
            network = m.multi_layer_net.MultiLayerNet(12, [8, 8], 5, weight_decay_lambda=0.01)
        x, t = data(30, one_hot)
        with redirect_stdout(io.StringIO()) as printed:
            trainer = m.trainer.Trainer(
                network,
                x,
                t,
                x[:7],
                t[:7],
                epochs=3,
                mini_batch_size=10,
                optimizer=optimizer,
                optimizer_param={"lr": 0.01},
            )
            trainer.train()
        texts.append(printed.getvalue())
        lists = trainer.train_loss_list, trainer.train_acc_list, trainer.test_acc_list
        return lists, network.params, np.random.rand()

    texts = []
    # A bias before batch normalisation has a gradient of 0, of which rounding leaves about 1e-16,
    # which Adam divides by 1e-7 and the like.
    dlfs.compare(action, rounded=extended)
    same_text(*texts[:2])
    assert texts[0].count("train loss:") == 9
    assert texts[0].count("=== epoch:") == 3


def test_single_steps(dlfs):
    def action(m):
        x, t = data()
        with redirect_stdout(io.StringIO()) as printed:
            trainer = m.trainer.Trainer(Network(), x, t, x, t, mini_batch_size=10)
            for _ in range(5):
                trainer.train_step()
                trainer.optimizer.lr *= 0.5  # a schedule of the script's own
        return printed.getvalue(), trainer.train_loss_list, trainer.current_iter

    dlfs.compare(action)


def test_a_subclass(dlfs):
    def action(m):
        class Trainer(m.trainer.Trainer):
            def train_step(self):
                super().train_step()
                self.steps = getattr(self, "steps", 0) + 1

        x, t = data()
        trainer = Trainer(Network(), x, t, x, t, epochs=2, mini_batch_size=10, verbose=False)
        trainer.train()
        return trainer.steps

    dlfs.compare(action)
