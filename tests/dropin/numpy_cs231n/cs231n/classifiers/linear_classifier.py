import os

import numpy as np

from .linear_svm import *
from .softmax import *


class LinearClassifier:
    def __init__(self):
        self.W = None

    def train(
        self, X, y, learning_rate=1e-3, reg=1e-5, num_iters=100, batch_size=200, verbose=False
    ):
        num_train, dim = X.shape
        num_classes = np.max(y) + 1
        if self.W is None:
            self.W = 0.001 * np.random.randn(dim, num_classes)
        loss_history = []
        for it in range(num_iters):
            indices = np.random.choice(num_train, batch_size)
            loss, grad = self.loss(X[indices], y[indices], reg)
            loss_history.append(loss)
            self.W -= learning_rate * grad
            if verbose and it % 100 == 0:
                print("iteration %d / %d: loss %f" % (it, num_iters, loss))
        return loss_history

    def predict(self, X):
        return np.argmax(X.dot(self.W), axis=1)

    def loss(self, X_batch, y_batch, reg):
        pass

    def save(self, fname):
        np.save(os.path.join("cs231n/saved", fname), {"W": self.W})
        print(fname, "saved.")

    def load(self, fname):
        path = os.path.join("cs231n/saved", fname)
        if not os.path.exists(path):
            print(fname, "not available.")
            return False
        self.W = np.load(path, allow_pickle=True).item()["W"]
        print(fname, "loaded.")
        return True


class LinearSVM(LinearClassifier):
    def loss(self, X_batch, y_batch, reg):
        return svm_loss_vectorized(self.W, X_batch, y_batch, reg)


class Softmax(LinearClassifier):
    def loss(self, X_batch, y_batch, reg):
        return softmax_loss_vectorized(self.W, X_batch, y_batch, reg)
