import numpy as np


def smooth_curve(x):
    width = 11
    mirrored = np.r_[x[width - 1 : 0 : -1], x, x[-1:-width:-1]]
    window = np.kaiser(width, 2)
    smooth = np.convolve(window / window.sum(), mirrored, mode="valid")
    return smooth[5 : len(smooth) - 5]


def shuffle_dataset(x, t):
    order = np.random.permutation(x.shape[0])
    x = x[order, :] if x.ndim == 2 else x[order, :, :, :]
    return x, t[order]


def conv_output_size(input_size, filter_size, stride=1, pad=0):
    return (input_size + 2 * pad - filter_size) / stride + 1


def _windows(size, filter_size, stride, pad):
    return (size + 2 * pad - filter_size) // stride + 1


def im2col(input_data, filter_h, filter_w, stride=1, pad=0):
    n, c, h, w = input_data.shape
    out_h = _windows(h, filter_h, stride, pad)
    out_w = _windows(w, filter_w, stride, pad)
    padded = np.pad(input_data, [(0, 0), (0, 0), (pad, pad), (pad, pad)], "constant")
    # float64 whatever the images are.
    col = np.zeros((n, c, filter_h, filter_w, out_h, out_w))
    for i in range(filter_h):
        for j in range(filter_w):
            rows = slice(i, i + stride * out_h, stride)
            columns = slice(j, j + stride * out_w, stride)
            col[:, :, i, j] = padded[:, :, rows, columns]
    return col.transpose(0, 4, 5, 1, 2, 3).reshape(n * out_h * out_w, -1)


def col2im(col, input_shape, filter_h, filter_w, stride=1, pad=0):
    n, c, h, w = input_shape
    out_h = _windows(h, filter_h, stride, pad)
    out_w = _windows(w, filter_w, stride, pad)
    col = col.reshape(n, out_h, out_w, c, filter_h, filter_w).transpose(0, 3, 4, 5, 1, 2)
    image = np.zeros((n, c, h + 2 * pad + stride - 1, w + 2 * pad + stride - 1))
    for i in range(filter_h):
        for j in range(filter_w):
            rows = slice(i, i + stride * out_h, stride)
            columns = slice(j, j + stride * out_w, stride)
            image[:, :, rows, columns] += col[:, :, i, j]
    return image[:, :, pad : h + pad, pad : w + pad]
