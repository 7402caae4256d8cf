"""Convolutions by hand: columns of images times filters, and gradients back into images."""

import time

import numpy as np
from common.util import col2im, im2col

np.random.seed(0)
images = np.random.rand(100, 3, 28, 28)
start = time.perf_counter()
for _ in range(60):
    col = im2col(images, 5, 5, stride=1, pad=2)
    back = col2im(col, images.shape, 5, 5, stride=1, pad=2)
    strided = im2col(images, 3, 3, stride=2, pad=1)
    back2 = col2im(strided, images.shape, 3, 3, stride=2, pad=1)
seconds = time.perf_counter() - start
print("sums", col.sum(), back.sum(), strided.sum(), back2.sum())
print("seconds", seconds)
