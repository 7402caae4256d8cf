"""A network with a convolution, 30 filters of 5 x 5, on MNIST: batch 100, Adam by Trainer."""

import time
from collections import OrderedDict

import numpy as np
from common.layers import Affine, Convolution, Pooling, Relu, SoftmaxWithLoss
from common.trainer import Trainer
from dataset.mnist import load_mnist


class ConvNet:
    def __init__(self):
        shapes = {"W1": (30, 1, 5, 5), "W2": (30 * 12 * 12, 100), "W3": (100, 10)}
        self.params = {}
        for key, shape in shapes.items():
            self.params[key] = 0.01 * np.random.randn(*shape)
            self.params["b" + key[1]] = np.zeros(shape[0] if len(shape) == 4 else shape[1])
        p = self.params
        self.layers = OrderedDict(
            Conv1=Convolution(p["W1"], p["b1"]),
            Relu1=Relu(),
            Pool1=Pooling(pool_h=2, pool_w=2, stride=2),
            Affine1=Affine(p["W2"], p["b2"]),
            Relu2=Relu(),
            Affine2=Affine(p["W3"], p["b3"]),
        )
        self.last_layer = SoftmaxWithLoss()

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.last_layer.forward(self.predict(x), t)

    def accuracy(self, x, t, batch_size=100):
        right = 0.0
        for i in range(len(x) // batch_size):
            rows = slice(i * batch_size, (i + 1) * batch_size)
            right += np.sum(np.argmax(self.predict(x[rows]), axis=1) == t[rows])
        return right / len(x)

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.last_layer.backward(1)
        for layer in reversed(self.layers.values()):
            dout = layer.backward(dout)
        grads = {}
        for i, key in enumerate(("Conv1", "Affine1", "Affine2"), start=1):
            grads[f"W{i}"], grads[f"b{i}"] = self.layers[key].dW, self.layers[key].db
        return grads


(x_train, t_train), (x_test, t_test) = load_mnist(flatten=False)
x_train, t_train = x_train[:2000], t_train[:2000]
np.random.seed(0)
start = time.perf_counter()
trainer = Trainer(
    ConvNet(), x_train, t_train, x_test[:1000], t_test[:1000], epochs=3, mini_batch_size=100,
    optimizer="Adam", optimizer_param={"lr": 0.001}, verbose=False,
    evaluate_sample_num_per_epoch=1000,
)  # fmt: skip
trainer.train()
seconds = time.perf_counter() - start
print("losses", *trainer.train_loss_list[-3:])
print("seconds", seconds)
