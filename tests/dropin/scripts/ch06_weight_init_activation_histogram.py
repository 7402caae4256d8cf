"""Chapter 6: how initial weights spread the activations of a deep network."""

import sys, os

sys.path.append(os.pardir)
import numpy as np
from common.functions import sigmoid, relu
from common.layers import Affine, Sigmoid, Relu


def tanh(x):
    return np.tanh(x)


np.random.seed(8)
input_data = np.random.randn(200, 50)
node_num = 50
hidden_layer_size = 5

for scale in (1, 0.01, np.sqrt(1.0 / node_num), np.sqrt(2.0 / node_num)):
    for function, layer in ((sigmoid, Sigmoid()), (relu, Relu()), (tanh, None)):
        activations = {}
        x = input_data
        for i in range(hidden_layer_size):
            if i != 0:
                x = activations[i - 1]
            w = np.random.randn(node_num, node_num) * scale
            a = np.dot(x, w)
            z = function(a)
            if layer is not None:
                # The bias is the integer 0.
                assert np.allclose(layer.forward(Affine(w, 0).forward(x)), z, rtol=1e-9)
            activations[i] = z
        for i, a in activations.items():
            counts, _ = np.histogram(a.flatten(), 30, range=(0, 1))
            print(str(i + 1) + "-layer", function.__name__, counts, a.mean(), a.std())
