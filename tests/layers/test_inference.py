"""Layers at inference write nothing to themselves: threads may predict with one network."""

import threading

import numpy as np
import pytest

from fastnn import layers, ops
from fastnn.config import use_backend

IMAGES = (3, 4, 6, 6)
ROWS = (5, 4)

# How to make what cannot be made without arguments; shapes of samples.
MADE = {
    layers.Affine: (lambda: layers.Affine(np.ones((4, 3)), np.zeros(3)), ROWS),
    layers.AffineRelu: (lambda: layers.AffineRelu(np.ones((4, 3)), np.zeros(3)), ROWS),
    layers.BatchNormalization: (lambda: layers.BatchNormalization(*np.ones((2, 4))), IMAGES),
    layers.BatchNormRelu: (lambda: layers.BatchNormRelu(*np.ones((2, 4))), IMAGES),
    layers.Convolution: (
        lambda: layers.Convolution(np.ones((2, 4, 3, 3)), np.zeros(2)),
        IMAGES,
    ),
    layers.LayerNormalization: (lambda: layers.LayerNormalization(*np.ones((2, 4))), ROWS),
    layers.MaxPool: (lambda: layers.MaxPool(2, 2), IMAGES),
}

KINDS = [
    kind
    for kind in vars(layers).values()
    if isinstance(kind, type) and hasattr(kind, "forward") and not kind.__name__.endswith("Loss")
    and kind is not layers.Layer
]  # fmt: skip


def made(kind):
    make, shape = MADE.get(kind, (kind, ROWS))
    return make(), np.random.default_rng(0).standard_normal(shape)


def test_layers_are_found():
    assert {layers.Affine, layers.BatchNormRelu, layers.Dropout, layers.Gelu} <= set(KINDS)
    assert len(KINDS) >= 15


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_inference_leaves_a_layer_alone(kind, trained, backend):
    layer, x = made(kind)
    with use_backend(backend):
        if trained:
            layer.forward(x, True)
        before = dict(vars(layer))
        bytes_before = {k: a.tobytes() for k, a in before.items() if isinstance(a, np.ndarray)}
        layer.forward(x[:2], False)
    after = vars(layer)
    assert after.keys() == before.keys()
    changed = [name for name in before if after[name] is not before[name]]
    changed += [name for name, a in bytes_before.items() if after[name].tobytes() != a]
    assert not changed


@pytest.mark.parametrize("name", ["batchnorm_inference", "batchnorm_relu_inference"])
def test_two_threads_with_batches_of_two_sizes(name, monkeypatch):
    """The one comes while the other is in its kernel, which has given up the interpreter's lock."""
    kind = layers.BatchNormRelu if "relu" in name else layers.BatchNormalization
    layer, x = made(kind)
    function, inner = getattr(ops, name), []

    def switched(*args):
        y = function(*args)
        if not inner:
            inner.append(None)
            other = threading.Thread(target=lambda: inner.append(layer.forward(x[:1], False)))
            other.start()
            other.join()
        return y

    expected = layer.forward(x, False)
    monkeypatch.setattr(ops, name, switched)
    np.testing.assert_array_equal(layer.forward(x, False), expected)
    np.testing.assert_array_equal(inner[1], expected[:1])
