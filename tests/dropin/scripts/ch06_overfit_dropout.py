"""Chapter 6: overfitting a small data set, with dropout against it, through the Trainer."""

import sys, os

sys.path.append(os.pardir)
import numpy as np
from dataset.mnist import load_mnist
from common.multi_layer_net_extend import MultiLayerNetExtend
from common.trainer import Trainer

np.random.seed(12)
(x_train, t_train), (x_test, t_test) = load_mnist(normalize=True)
x_train = x_train[:90]
t_train = t_train[:90]

for use_dropout, optimizer in ((True, "sgd"), (False, "Adam"), (True, "rmsprpo")):
    network = MultiLayerNetExtend(
        input_size=784,
        hidden_size_list=[30, 30, 30],
        output_size=10,
        use_dropout=use_dropout,
        dropout_ration=0.2,
    )
    trainer = Trainer(
        network,
        x_train,
        t_train,
        x_test,
        t_test,
        epochs=3,
        mini_batch_size=40,
        optimizer=optimizer,
        optimizer_param={"lr": 0.01 if optimizer == "sgd" else 0.001},
        evaluate_sample_num_per_epoch=50,
        verbose=True,
    )
    trainer.train()
    print(trainer.train_acc_list, trainer.test_acc_list, trainer.train_loss_list[-1])
    print(trainer.iter_per_epoch, trainer.max_iter, trainer.current_iter, trainer.current_epoch)
print(np.random.rand())
