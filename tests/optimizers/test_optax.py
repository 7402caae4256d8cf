"""Optimizers against Optax, where it is installed and its formulas are ours."""

import numpy as np
import pytest

from fastnn import optimizers

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

SHAPES = [(13, 7), (7,), (3, 2, 5)]

# Ours and theirs, with betas that are not the defaults.
OPTIMIZERS = {
    "Lion": (
        lambda lr: optimizers.Lion(lr, 0.8, 0.95),
        lambda lr: optax.lion(lr, 0.8, 0.95, weight_decay=0.0),
    ),
    "Lion, decay": (
        lambda lr: optimizers.Lion(lr, weight_decay=0.05),
        lambda lr: optax.lion(lr, 0.9, 0.99, weight_decay=0.05),
    ),
    "Adamax": (lambda lr: optimizers.Adamax(lr, 0.8, 0.95), lambda lr: optax.adamax(lr, 0.8, 0.95)),
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("lr", [0.01, 10.0])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name, lr, dtype):
    steps, eps = 60, np.finfo(dtype).eps
    rng = np.random.default_rng(300)
    ours, theirs = (make(lr) for make in OPTIMIZERS[name])
    params = {str(i): rng.normal(size=shape).astype(dtype) for i, shape in enumerate(SHAPES)}
    path = {key: np.abs(p).astype(np.float64) for key, p in params.items()}
    with jax.enable_x64():
        peer = {key: jax.numpy.array(p) for key, p in params.items()}
        state = theirs.init(peer)
        for _ in range(steps):
            grads = {
                key: (rng.normal(size=p.shape) * 10.0 ** rng.integers(-3, 2, p.shape)).astype(dtype)
                for key, p in params.items()
            }
            before = {key: p.copy() for key, p in params.items()}
            ours.update(params, grads)
            updates, state = theirs.update(grads, state, peer)
            peer = optax.apply_updates(peer, updates)
            for key, p in params.items():
                path[key] += np.abs(p - before[key])
        for key, p in params.items():
            assert peer[key].dtype == dtype
            # Both round the parameter, the state and the settings a few times a step, each time
            # by at most eps times the way that the element has gone.
            assert np.all(np.abs(p - np.asarray(peer[key])) <= 4 * steps * eps * path[key]), key
