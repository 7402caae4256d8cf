"""Chapter 3: predict each test image by itself."""

import numpy as np
from common.functions import sigmoid, softmax
from dataset.mnist import load_mnist

_, (x, t) = load_mnist(normalize=True)
rng = np.random.default_rng(0)
shapes = (784, 50), (50, 100), (100, 10)
W = [rng.normal(0, 0.1, shape).astype(np.float32) for shape in shapes]
right = 0
for i in range(len(x)):
    z = sigmoid(np.dot(x[i], W[0]))
    z = sigmoid(np.dot(z, W[1]))
    right += np.argmax(softmax(np.dot(z, W[2]))) == t[i]
print(right / len(x))
