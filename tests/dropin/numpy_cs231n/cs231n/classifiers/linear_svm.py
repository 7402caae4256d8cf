import numpy as np


def svm_loss_naive(W, X, y, reg):
    dW = np.zeros(W.shape)
    num_train, num_classes = X.shape[0], W.shape[1]
    loss = 0.0
    for i in range(num_train):
        scores = X[i].dot(W)
        for j in range(num_classes):
            margin = scores[j] - scores[y[i]] + 1
            if j != y[i] and margin > 0:
                loss += margin
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    loss = loss / num_train + reg * np.sum(W * W)
    return loss, dW / num_train + 2 * reg * W


def svm_loss_vectorized(W, X, y, reg):
    rows = np.arange(X.shape[0])
    scores = X.dot(W)
    margins = np.maximum(0, scores - scores[rows, y].reshape(-1, 1) + 1)
    margins[rows, y] = 0
    loss = np.sum(margins) / X.shape[0] + reg * np.sum(W * W)
    counts = (margins > 0).astype(X.dtype)
    counts[rows, y] = -np.sum(counts, axis=1)
    return loss, X.T.dot(counts) / X.shape[0] + 2 * reg * W
