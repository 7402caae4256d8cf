"""What a training changes in a network, and its comparison bit by bit."""

import numpy as np

from fastnn.layers.state import layer_state


def of_layers(net):
    """Return copies of running statistics, and seeds and steps of dropout."""
    return layer_state(net)


def everything(net):
    """Return copies of the parameters, and running statistics and states of dropout."""
    return {key: p.copy() for key, p in net.params.items()} | of_layers(net)


def expect_same(got, expected):
    """Compare two dicts of arrays and numbers."""
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(got[key], value, err_msg=key)
