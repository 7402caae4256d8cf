"""Chapter 7: images laid out as columns, a convolution by hand, and a filter with Convolution."""

import sys, os

sys.path.append(os.pardir)
import numpy as np
from dataset.mnist import load_mnist
from common.util import im2col, col2im, conv_output_size
from common.layers import Convolution, Pooling

np.random.seed(14)
x1 = np.random.rand(1, 3, 7, 7)
print(im2col(x1, 5, 5, stride=1, pad=0).shape)
x2 = np.random.rand(10, 3, 7, 7)
col = im2col(x2, 5, 5, stride=1, pad=0)
print(col.shape, col.dtype, conv_output_size(7, 5), col.sum(), col[3, :5])

W = np.random.randn(4, 3, 5, 5)
b = np.random.randn(4)
out = np.dot(col, W.reshape(4, -1).T) + b
out = out.reshape(10, 3, 3, -1).transpose(0, 3, 1, 2)
conv = Convolution(W, b)
print(out.sum(), np.abs(conv.forward(x2) - out).max() < 1e-12)
print(col2im(col, x2.shape, 5, 5)[0, 1])

(x_train, t_train), (x_test, t_test) = load_mnist(normalize=False, flatten=False)
print(x_train.shape, x_train.dtype)
edges = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]]).reshape(1, 1, 3, 3)
img = x_train[:20]
conv_layer = Convolution(edges, 0, stride=2, pad=1)
out = conv_layer.forward(img)
print(out.shape, out.dtype, out[3, 0, 6], np.abs(out).sum())
pool = Pooling(2, 2)
small = pool.forward(out)
print(small.shape, small.dtype, small.sum(), pool.arg_max.shape, pool.arg_max.sum())
dx = conv_layer.backward(pool.backward(np.ones_like(small)))
print(dx.shape, dx.dtype, dx.sum(), conv_layer.dW, conv_layer.db)
