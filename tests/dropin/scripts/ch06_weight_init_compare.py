"""Chapter 6: initial weights, and the optimizer shared by the networks."""

import sys, os

sys.path.append(os.pardir)
import numpy as np
from dataset.mnist import load_mnist
from common.util import smooth_curve
from common.multi_layer_net import MultiLayerNet
from common.optimizer import SGD

np.random.seed(7)
(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)

train_size = x_train.shape[0]
batch_size = 64
max_iterations = 12

weight_init_types = {"std=0.01": 0.01, "Xavier": "sigmoid", "He": "relu", "HE": "He"}
optimizer = SGD(lr=0.01)

networks = {}
train_loss = {}
for key, weight_type in weight_init_types.items():
    networks[key] = MultiLayerNet(
        input_size=784,
        hidden_size_list=[40, 40, 40],
        output_size=10,
        activation="sigmoid" if key == "Xavier" else "relu",
        weight_init_std=weight_type,
    )
    train_loss[key] = []
    print(key, [networks[key].params["W" + str(i)].std() for i in range(1, 5)])

for i in range(max_iterations):
    batch_mask = np.random.choice(train_size, batch_size)
    x_batch = x_train[batch_mask]
    t_batch = t_train[batch_mask]
    for key in weight_init_types.keys():
        grads = networks[key].gradient(x_batch, t_batch)
        optimizer.update(networks[key].params, grads)
        loss = networks[key].loss(x_batch, t_batch)
        train_loss[key].append(loss)

for key in weight_init_types.keys():
    print(key + ":" + str(train_loss[key][-1]), train_loss[key])
    print(smooth_curve(np.array(train_loss[key])))
