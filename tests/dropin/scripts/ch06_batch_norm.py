"""Chapter 6: networks with and without batch normalisation over several initial scales."""

import sys, os

sys.path.append(os.pardir)
import numpy as np
from dataset.mnist import load_mnist
from common.multi_layer_net_extend import MultiLayerNetExtend
from common.optimizer import SGD, Adam

np.random.seed(9)
(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
x_train = x_train[:200]
t_train = t_train[:200]

max_epochs = 3
train_size = x_train.shape[0]
batch_size = 50
learning_rate = 0.01


def __train(weight_init_std):
    bn_network = MultiLayerNetExtend(
        input_size=784,
        hidden_size_list=[30, 30, 30],
        output_size=10,
        weight_init_std=weight_init_std,
        use_batchnorm=True,
    )
    network = MultiLayerNetExtend(
        input_size=784,
        hidden_size_list=[30, 30, 30],
        output_size=10,
        weight_init_std=weight_init_std,
    )
    optimizer = SGD(lr=learning_rate)
    train_acc_list, bn_train_acc_list = [], []
    iter_per_epoch = max(train_size / batch_size, 1)
    epoch_cnt = 0

    for i in range(1000000000):
        batch_mask = np.random.choice(train_size, batch_size)
        x_batch = x_train[batch_mask]
        t_batch = t_train[batch_mask]
        for _network in (bn_network, network):
            grads = _network.gradient(x_batch, t_batch)
            optimizer.update(_network.params, grads)

        if i % iter_per_epoch == 0:
            train_acc = network.accuracy(x_train, t_train)
            bn_train_acc = bn_network.accuracy(x_train, t_train)
            train_acc_list.append(train_acc)
            bn_train_acc_list.append(bn_train_acc)
            print("epoch:" + str(epoch_cnt) + " | " + str(train_acc) + " - " + str(bn_train_acc))
            print(network.loss(x_batch, t_batch), bn_network.loss(x_batch, t_batch, True))
            epoch_cnt += 1
            if epoch_cnt >= max_epochs:
                break

    layer = bn_network.layers["BatchNorm2"]
    print(layer.running_mean, layer.running_var, bn_network.params["gamma2"])
    return train_acc_list, bn_train_acc_list


weight_scale_list = np.logspace(0, -2, num=3)
for i, w in enumerate(weight_scale_list):
    print("============== " + str(i + 1) + "/3" + " ==============")
    print(__train(w))
