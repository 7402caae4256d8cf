"""Chapter 7: a convolutional network with its own pickled parameters."""

import sys, os

sys.path.append(os.pardir)
import pickle
import numpy as np
from collections import OrderedDict
from dataset.mnist import load_mnist
from common.layers import *
from common.gradient import numerical_gradient
from common.trainer import Trainer


class SimpleConvNet:
    def __init__(
        self,
        input_dim=(1, 28, 28),
        conv_param={"filter_num": 30, "filter_size": 5, "pad": 0, "stride": 1},
        hidden_size=100,
        output_size=10,
        weight_init_std=0.01,
    ):
        filter_num = conv_param["filter_num"]
        filter_size = conv_param["filter_size"]
        filter_pad = conv_param["pad"]
        filter_stride = conv_param["stride"]
        conv_size = (input_dim[1] - filter_size + 2 * filter_pad) / filter_stride + 1
        pool_size = int(filter_num * (conv_size / 2) * (conv_size / 2))

        self.params = {}
        self.params["W1"] = weight_init_std * np.random.randn(
            filter_num, input_dim[0], filter_size, filter_size
        )
        self.params["b1"] = np.zeros(filter_num)
        self.params["W2"] = weight_init_std * np.random.randn(pool_size, hidden_size)
        self.params["b2"] = np.zeros(hidden_size)
        self.params["W3"] = weight_init_std * np.random.randn(hidden_size, output_size)
        self.params["b3"] = np.zeros(output_size)

        self.layers = OrderedDict()
        self.layers["Conv1"] = Convolution(
            self.params["W1"], self.params["b1"], conv_param["stride"], conv_param["pad"]
        )
        self.layers["Relu1"] = Relu()
        self.layers["Pool1"] = Pooling(pool_h=2, pool_w=2, stride=2)
        self.layers["Affine1"] = Affine(self.params["W2"], self.params["b2"])
        self.layers["Relu2"] = Relu()
        self.layers["Affine2"] = Affine(self.params["W3"], self.params["b3"])
        self.last_layer = SoftmaxWithLoss()

    def predict(self, x):
        for layer in self.layers.values():
            x = layer.forward(x)
        return x

    def loss(self, x, t):
        return self.last_layer.forward(self.predict(x), t)

    def accuracy(self, x, t, batch_size=100):
        if t.ndim != 1:
            t = np.argmax(t, axis=1)
        acc = 0.0
        for i in range(int(x.shape[0] / batch_size)):
            tx = x[i * batch_size : (i + 1) * batch_size]
            tt = t[i * batch_size : (i + 1) * batch_size]
            y = np.argmax(self.predict(tx), axis=1)
            acc += np.sum(y == tt)
        return acc / x.shape[0]

    def numerical_gradient(self, x, t):
        loss_w = lambda w: self.loss(x, t)
        return {key: numerical_gradient(loss_w, self.params[key]) for key in self.params}

    def gradient(self, x, t):
        self.loss(x, t)
        dout = self.last_layer.backward(1)
        layers = list(self.layers.values())
        layers.reverse()
        for layer in layers:
            dout = layer.backward(dout)
        grads = {}
        for i, name in enumerate(("Conv1", "Affine1", "Affine2")):
            grads["W" + str(i + 1)] = self.layers[name].dW
            grads["b" + str(i + 1)] = self.layers[name].db
        return grads

    def save_params(self, file_name="params.pkl"):
        with open(file_name, "wb") as f:
            pickle.dump(dict(self.params), f)

    def load_params(self, file_name="params.pkl"):
        with open(file_name, "rb") as f:
            params = pickle.load(f)
        for key, val in params.items():
            self.params[key] = val
        for i, key in enumerate(["Conv1", "Affine1", "Affine2"]):
            self.layers[key].W = self.params["W" + str(i + 1)]
            self.layers[key].b = self.params["b" + str(i + 1)]


np.random.seed(15)
tiny = SimpleConvNet((1, 8, 8), {"filter_num": 2, "filter_size": 3, "pad": 0, "stride": 1}, 3, 10)
x = np.random.rand(1, 64).reshape((1, 1, 8, 8))
t = np.array([1])
grad_num = tiny.numerical_gradient(x, t)
grad = tiny.gradient(x, t)
for key, val in grad_num.items():
    print(key, "close:", np.abs(grad[key] - val).mean() < 1e-6, np.abs(grad[key]).sum())

(x_train, t_train), (x_test, t_test) = load_mnist(flatten=False)
x_train, t_train = x_train[:120], t_train[:120]
x_test, t_test = x_test[:100], t_test[:100]
network = SimpleConvNet(
    input_dim=(1, 28, 28),
    conv_param={"filter_num": 6, "filter_size": 5, "pad": 0, "stride": 1},
    hidden_size=20,
    output_size=10,
    weight_init_std=0.01,
)
trainer = Trainer(
    network,
    x_train,
    t_train,
    x_test,
    t_test,
    epochs=3,
    mini_batch_size=40,
    optimizer="Adam",
    optimizer_param={"lr": 0.001},
    evaluate_sample_num_per_epoch=100,
)
trainer.train()
network.save_params("params.pkl")
print("Saved Network Parameters!")

other = SimpleConvNet(
    conv_param={"filter_num": 6, "filter_size": 5, "pad": 0, "stride": 1}, hidden_size=20
)
other.load_params("params.pkl")
print(other.loss(x_test, t_test), other.accuracy(x_test, t_test))
print(other.layers["Conv1"].W is other.params["W1"], other.params["W1"].mean())
