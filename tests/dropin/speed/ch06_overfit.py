"""Weight decay and dropout on 300 images, 7 layers, SGD; accuracy on 10,000 after each epoch."""

import time

import numpy as np
from common.multi_layer_net_extend import MultiLayerNetExtend
from common.trainer import Trainer
from dataset.mnist import load_mnist

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
x_train, t_train = x_train[:300], t_train[:300]
np.random.seed(0)
start = time.perf_counter()
for settings in ({"weight_decay_lambda": 0.1}, {"use_dropout": True, "dropout_ration": 0.2}):
    network = MultiLayerNetExtend(784, [100] * 6, 10, **settings)
    trainer = Trainer(
        network, x_train, t_train, x_test, t_test, epochs=25, mini_batch_size=100,
        optimizer="sgd", optimizer_param={"lr": 0.01}, verbose=False,
    )  # fmt: skip
    trainer.train()
seconds = time.perf_counter() - start
print("accuracies", trainer.train_acc_list[-1], trainer.test_acc_list[-1])
print("seconds", seconds)
