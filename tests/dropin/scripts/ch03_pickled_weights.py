"""Chapter 3: inference with weights from a pickle, one image at a time and in batches."""

import sys, os

sys.path.append(os.pardir)
import pickle
import numpy as np
from dataset.mnist import load_mnist
from common.functions import sigmoid, softmax


def get_data():
    (x_train, t_train), (x_test, t_test) = load_mnist(
        normalize=True, flatten=True, one_hot_label=False
    )
    return x_test, t_test


def save_network(file_name):
    np.random.seed(3)
    sizes = [784, 20, 30, 10]
    network = {}
    for i in range(1, 4):
        network["W" + str(i)] = np.random.randn(sizes[i - 1], sizes[i]).astype(np.float32)
        network["b" + str(i)] = np.random.randn(sizes[i]).astype(np.float32)
    # Weights come as float32, one of them in Fortran order.
    network["W2"] = np.asfortranarray(network["W2"])
    with open(file_name, "wb") as f:
        pickle.dump(network, f)


def init_network(file_name):
    with open(file_name, "rb") as f:
        return pickle.load(f)


def predict(network, x):
    W1, W2, W3 = network["W1"], network["W2"], network["W3"]
    b1, b2, b3 = network["b1"], network["b2"], network["b3"]
    z1 = sigmoid(np.dot(x, W1) + b1)
    z2 = sigmoid(np.dot(z1, W2) + b2)
    return softmax(np.dot(z2, W3) + b3)


x, t = get_data()
save_network("weights.pkl")
network = init_network("weights.pkl")
accuracy_cnt = 0
for i in range(30):
    y = predict(network, x[i])
    p = np.argmax(y)
    if p == t[i]:
        accuracy_cnt += 1
print("one by one:", y.dtype, p, y)
print("Accuracy:" + str(float(accuracy_cnt) / 30))

batch_size = 25
accuracy_cnt = 0
for i in range(0, len(x), batch_size):
    y_batch = predict(network, x[i : i + batch_size])
    p = np.argmax(y_batch, axis=1)
    accuracy_cnt += np.sum(p == t[i : i + batch_size])
print("batch:", y_batch.shape, y_batch.dtype, p)
print("Accuracy:" + str(float(accuracy_cnt) / len(x)))
