"""Chapter 6: gradients of a network with batch normalisation, for one sample and for four."""

import sys, os

sys.path.append(os.pardir)
import numpy as np
from dataset.mnist import load_mnist
from common.multi_layer_net_extend import MultiLayerNetExtend

np.random.seed(10)
(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True, one_hot_label=True)

for n in (1, 4):
    network = MultiLayerNetExtend(
        input_size=60, hidden_size_list=[5, 4], output_size=10, use_batchnorm=True
    )
    x_batch = x_train[:n, 300:360]
    t_batch = t_train[:n]
    grad_backprop = network.gradient(x_batch, t_batch)
    grad_numerical = network.numerical_gradient(x_batch, t_batch)
    for key in grad_numerical.keys():
        diff = np.average(np.abs(grad_backprop[key] - grad_numerical[key]))
        print(key + ":" + str(diff))
        print("  backprop", np.abs(grad_backprop[key]).sum())
