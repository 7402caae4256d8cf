"""What layers compute, forward and backward, a file for each kind of layer.

Each file has its kernels, those named in `__all__`, and the serial functions that the training
program takes from it. Beside these stand their innermost steps: for batch normalisation
`batchnorm_rows` on `batchnorm_steps`, `batchnorm_planes`, and `moments`, which joins means and
variances of parts; for convolution `strips`, which says how it is cut, `taps`, its product, and
`blocks`, which copies and adds rectangles of pixels; for pooling `largest`.
"""
