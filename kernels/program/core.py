"""Steps that are part of the program itself: samples in, products, losses out."""

from fastnn.kernels.program import tables
from fastnn.kernels.program.step import Step

AFFINE = Step("affine", tables.AFFINE)
INPUT_GRADIENT = Step("input gradient", tables.INPUT_GRADIENT)
WEIGHT_GRADIENT = Step("weight and bias gradient", tables.WEIGHT_GRADIENT)
GATHER = Step("copy samples", tables.GATHER)
PACK_ROWS = Step("pack gradient", tables.PACK_ROWS)
CROSS_ENTROPY = Step("softmax with cross-entropy", tables.CROSS_ENTROPY)
DENSE_CROSS_ENTROPY = Step("softmax with cross-entropy, dense targets", tables.DENSE_CROSS_ENTROPY)
SQUARED_ERROR = Step("squared error", tables.SQUARED_ERROR)

PRODUCTS = AFFINE, INPUT_GRADIENT, WEIGHT_GRADIENT
