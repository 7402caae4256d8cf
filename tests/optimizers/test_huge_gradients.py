"""Gradients whose squares float32 does not hold: no rule is left with NaN, as PyTorch is not."""

import numpy as np
import pytest

from fastnn import kernels, ops
from fastnn.config import use_backend
from fastnn.kernels.machine import catalogue
from fastnn.optimizers import OPTIMIZERS, Adam, AMSGrad, NAdam, RMSProp

torch = pytest.importorskip("torch")

KINDS = list(dict.fromkeys(OPTIMIZERS.values()))
HUGE = (2e19, 1e30, 3e38)


def states_of(optimizer):
    return {name: getattr(optimizer, name)["W"] for name in optimizer.rule.states}


def test_all_rules_are_here():
    rules = {name for name in kernels.__all__ if catalogue.is_update(name)}
    assert {kind.rule.name for kind in KINDS} == rules
    assert rules == {name for name in ops.__all__ if name.endswith("_")}


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("huge", HUGE)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_states_are_numbers_after_huge_gradients(kind, huge, backend):
    optimizer, p = kind(lr=1e-3), np.ones(40, np.float32)
    with use_backend(backend):
        # Of both signs in turn: their differences leave the range, too.
        for g in (huge, huge, -huge, huge, 1.0, 1.0):
            optimizer.update({"W": p}, {"W": np.full(40, g, np.float32)})
    for name, state in states_of(optimizer).items():
        assert not np.isnan(state).any(), name


PEERS = {
    Adam: (dict(bias_correction="explicit"), "Adam", {}),
    AMSGrad: ({}, "Adam", {"amsgrad": True}),
    NAdam: ({}, "NAdam", {}),
    RMSProp: (dict(decay_rate=0.99), "RMSprop", {}),
}


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("last", [1.0, np.inf])
@pytest.mark.parametrize("kind", PEERS, ids=lambda kind: kind.__name__)
def test_averages_of_squares_as_in_pytorch(kind, last, backend):
    settings, name, others = PEERS[kind]
    gradients = [2e19, 2e19, 3.0, last]
    optimizer, p = kind(lr=1e-3, eps=1e-8, **settings), np.ones(40, np.float32)
    peer = torch.nn.Parameter(torch.ones(40))
    theirs = getattr(torch.optim, name)([peer], lr=1e-3, eps=1e-8, **others)
    for g in gradients:
        with use_backend(backend):
            optimizer.update({"W": p}, {"W": np.full(40, g, np.float32)})
        peer.grad = torch.full((40,), g)
        theirs.step()
    state = theirs.state[peer]
    pairs = {"h": "square_avg", "v": "exp_avg_sq", "v_max": "max_exp_avg_sq"}
    for ours, squares in states_of(optimizer).items():
        if ours in pairs:
            # Each of four updates rounds a few times, and the share that is kept once.
            limit = 16 * np.finfo(np.float32).eps
            np.testing.assert_allclose(squares, state[pairs[ours]].numpy(), rtol=limit)
    np.testing.assert_array_equal(np.isnan(p), np.isnan(peer.detach().numpy()))
