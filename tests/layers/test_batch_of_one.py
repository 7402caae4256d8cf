"""Batch normalisation of a batch with one number a feature: no variance, no running statistics."""

import numpy as np
import pytest
from routes import set_stretch

from fastnn import Network, config
from fastnn.callbacks import Callback
from fastnn.ensembles import averaged
from fastnn.layers import Affine, BatchNormalization, BatchNormRelu, Convolution, Relu
from fastnn.networks import MultiLayerNetExtend
from fastnn.optimizers import SGD
from fastnn.second_order import lbfgs

D, C = 4, 3
X = np.random.default_rng(0).normal(2, 3, size=(11, D))
T = np.arange(11) % C
IMAGES = np.random.default_rng(1).normal(2, 3, size=(3, 1, 5, 5))
REFUSED = (
    r"^batch_size: expected at least 2 samples a step with batch normalisation "
    r"\(layers\['BatchNorm.*1'\]\): .*, got 1$"
)


def network(**settings):
    return MultiLayerNetExtend(D, [6, 5], C, use_batchnorm=True, seed=0, **settings)


def statistics(net):
    found = [layer for layer in net.layers.values() if isinstance(layer, BatchNormalization)]
    return np.concatenate([a for norm in found for a in (norm.running_mean, norm.running_var)])


class Watch(Callback):
    """Keeps statistics and parameters as they are before the last step of each epoch, and after."""

    def on_train_begin(self):
        self.before, self.after, self.params = [], [], []

    def next_stop(self, done):
        steps = self.history.steps_per_epoch
        return done + (steps - 1 if done % steps == 0 else 1)

    def on_steps_end(self, step):
        if (step + 1) % self.history.steps_per_epoch == 0:
            self.before.append(statistics(self.network))
            self.params.append({key: p.copy() for key, p in self.network.params.items()})

    def on_epoch_end(self, epoch):
        self.after.append(statistics(self.network))


@pytest.mark.parametrize("settings", [{}, {"use_dropout": True}, {"activation": "tanh"}])
@pytest.mark.parametrize("batch_size", [2, 5, 10])
def test_a_last_batch_of_one_sample(route, batch_size, settings, monkeypatch):
    set_stretch(monkeypatch, 100)
    net, watch = route(network(**settings)), Watch()
    fit = {"epochs": 3, "batch_size": batch_size, "verbose": False, "seed": 0}
    history = net.fit(X, T, optimizer=SGD(0.1), callbacks=[watch], **fit)
    assert len(watch.before) == len(watch.after) == 3
    for before, after in zip(watch.before, watch.after, strict=True):
        np.testing.assert_array_equal(after, before)
    assert np.diff(watch.after, axis=0).any(axis=1).all()  # other batches move them
    # The step is taken: the bias of the last layer learns from the label.
    assert not np.array_equal(net.params["b3"], watch.params[-1]["b3"])
    plain = route(network(**settings))
    plain.fit(X, T, optimizer=SGD(0.1), **fit)
    assert plain.history.step_losses == history.step_losses
    np.testing.assert_array_equal(statistics(plain), watch.after[-1])


@pytest.mark.parametrize(("n", "batch_size"), [(11, 1), (1, 8)])
def test_batches_of_one_sample_are_refused(route, n, batch_size):
    net, optimizer = route(network()), SGD(0.1)
    before = {key: p.copy() for key, p in net.params.items()}
    with pytest.raises(ValueError, match=REFUSED):
        net.fit(X[:n], T[:n], 2, batch_size, optimizer, verbose=False)
    assert net.history is None
    for key, p in net.params.items():
        np.testing.assert_array_equal(p, before[key])
    for layer in net.layers.values():
        running = getattr(layer, "running_mean", None)
        assert running is None or not running.any()


def test_one_image_has_many_pixels(route):
    def images(**settings):
        layers = [Convolution(2, 3), BatchNormalization(**settings), Relu(), Affine(2)]
        return route(Network(layers, input_size=(1, 5, 5), seed=0))

    net = images()
    net.fit(IMAGES, [0, 1, 0], 1, 1, SGD(0.1), verbose=False)
    assert net.layers["BatchNormalization1"].running_var.all()
    with pytest.raises(ValueError, match=REFUSED):
        images(per_pixel=True).fit(IMAGES, [0, 1, 0], 1, 1, SGD(0.1), verbose=False)


@pytest.mark.parametrize("kind", [BatchNormalization, BatchNormRelu])
@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize(
    ("shape", "per_pixel", "alone"),
    [
        ((1, 6), False, True),
        ((2, 6), False, False),
        ((1, 6, 1, 1), False, True),
        ((1, 6, 1, 2), False, False),
        ((1, 2, 3, 1), True, True),
        ((2, 2, 3, 1), True, False),
    ],
)
def test_layers(kind, backend, shape, per_pixel, alone):
    x = np.random.default_rng(3).normal(2, 3, size=shape)
    beta, before = np.linspace(0.5, 1, 6), (np.full(6, 2.0), np.full(6, 3.0))
    layer = kind(np.ones(6), beta, 0.9, *(a.copy() for a in before), per_pixel=per_pixel)
    with config.use_backend(backend):
        y = layer.forward(x)
        dx = layer.backward(np.ones(shape))
    rows = x.reshape(shape[0], 6, -1)
    mean, var = rows.mean(axis=(0, 2)), rows.var(axis=(0, 2))  # the biased one
    expected = before
    if not alone:
        expected = 0.9 * before[0] + 0.1 * mean, 0.9 * before[1] + 0.1 * var
        np.testing.assert_allclose(layer.running_mean, expected[0], rtol=1e-14)
        np.testing.assert_allclose(layer.running_var, expected[1], rtol=1e-13)
        return
    np.testing.assert_array_equal(layer.running_mean, expected[0])
    np.testing.assert_array_equal(layer.running_var, expected[1])
    np.testing.assert_array_equal(y.ravel(), beta)
    np.testing.assert_array_equal(dx, 0)


def test_one_sample_that_is_not_finite_leaves_statistics_alone():
    layer = BatchNormalization(np.ones(2), np.zeros(2))
    layer.forward(np.array([[1.0, 2.0], [3.0, 5.0]]))
    before = layer.running_mean.copy(), layer.running_var.copy()
    with np.errstate(invalid="ignore"):
        layer.forward(np.array([[np.nan, np.inf]]))
    np.testing.assert_array_equal([layer.running_mean, layer.running_var], before)


def test_statistics_are_taken_again_of_two_samples_or_more():
    net = network(dtype="float64")
    net.fit(X, T, 1, 5, verbose=False)
    before = statistics(net)
    np.testing.assert_array_equal(statistics(averaged(net, net.params, X[:1])), before)
    assert not (statistics(averaged(net, net.params, X[:2])) == before).any()
    lbfgs(net, X[:1], T[:1], 1, verbose=False)
    np.testing.assert_array_equal(statistics(net), before)
