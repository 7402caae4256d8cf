import numpy as np

from .im2col import *


def conv_forward_im2col(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    assert (W + 2 * pad - WW) % stride == 0, "width does not work"
    assert (H + 2 * pad - HH) % stride == 0, "height does not work"
    OH, OW = (H + 2 * pad - HH) // stride + 1, (W + 2 * pad - WW) // stride + 1
    x_cols = im2col_indices(x, HH, WW, pad, stride)
    res = w.reshape(F, -1).dot(x_cols) + b.reshape(-1, 1)
    out = res.reshape(F, OH, OW, N).transpose(3, 0, 1, 2)
    return out, (x, w, b, conv_param, x_cols)


def conv_backward_im2col(dout, cache):
    x, w, b, conv_param, x_cols = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    F, _, HH, WW = w.shape
    db = np.sum(dout, axis=(0, 2, 3))
    reshaped = dout.transpose(1, 2, 3, 0).reshape(F, -1)
    dw = reshaped.dot(x_cols.T).reshape(w.shape)
    dx_cols = w.reshape(F, -1).T.dot(reshaped)
    return col2im_indices(dx_cols, x.shape, HH, WW, pad, stride), dw, db


# The course's own is another way to the same columns.
conv_forward_strides = conv_forward_fast = conv_forward_im2col
conv_backward_strides = conv_backward_fast = conv_backward_im2col


def max_pool_forward_fast(x, pool_param):
    N, C, H, W = x.shape
    height, width = pool_param["pool_height"], pool_param["pool_width"]
    same_size = height == width == pool_param["stride"]
    tiles = H % height == 0 and W % width == 0
    if same_size and tiles:
        out, cache = max_pool_forward_reshape(x, pool_param)
        return out, ("reshape", cache)
    out, cache = max_pool_forward_im2col(x, pool_param)
    return out, ("im2col", cache)


def max_pool_backward_fast(dout, cache):
    method, real_cache = cache
    if method == "reshape":
        return max_pool_backward_reshape(dout, real_cache)
    elif method == "im2col":
        return max_pool_backward_im2col(dout, real_cache)
    else:
        raise ValueError('Unrecognized method "%s"' % method)


def max_pool_forward_reshape(x, pool_param):
    N, C, H, W = x.shape
    height, width = pool_param["pool_height"], pool_param["pool_width"]
    assert height == width == pool_param["stride"], "Invalid pool params"
    assert H % height == 0
    assert W % width == 0
    reshaped = x.reshape(N, C, H // height, height, W // width, width)
    out = reshaped.max(axis=3).max(axis=4)
    return out, (x, reshaped, out)


def max_pool_backward_reshape(dout, cache):
    x, reshaped, out = cache
    dreshaped = np.zeros_like(reshaped)
    mask = reshaped == out[:, :, :, np.newaxis, :, np.newaxis]
    spread, _ = np.broadcast_arrays(dout[:, :, :, np.newaxis, :, np.newaxis], dreshaped)
    dreshaped[mask] = spread[mask]
    dreshaped /= np.sum(mask, axis=(3, 5), keepdims=True)
    return dreshaped.reshape(x.shape)


def max_pool_forward_im2col(x, pool_param):
    N, C, H, W = x.shape
    height, width = pool_param["pool_height"], pool_param["pool_width"]
    stride = pool_param["stride"]
    assert (H - height) % stride == 0, "Invalid height"
    assert (W - width) % stride == 0, "Invalid width"
    OH, OW = (H - height) // stride + 1, (W - width) // stride + 1
    cols = im2col_indices(x.reshape(N * C, 1, H, W), height, width, padding=0, stride=stride)
    argmax = np.argmax(cols, axis=0)
    largest = cols[argmax, np.arange(cols.shape[1])]
    out = largest.reshape(OH, OW, N, C).transpose(2, 3, 0, 1)
    return out, (x, cols, argmax, pool_param)


def max_pool_backward_im2col(dout, cache):
    x, cols, argmax, pool_param = cache
    N, C, H, W = x.shape
    height, width = pool_param["pool_height"], pool_param["pool_width"]
    dcols = np.zeros_like(cols)
    dcols[argmax, np.arange(cols.shape[1])] = dout.transpose(2, 3, 0, 1).flatten()
    shape = (N * C, 1, H, W)
    dx = col2im_indices(dcols, shape, height, width, padding=0, stride=pool_param["stride"])
    return dx.reshape(x.shape)
