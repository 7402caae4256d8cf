"""All kinds of steps of training programs."""

from fastnn.kernels.program import tables
from fastnn.kernels.program.step import Step

# Steps that are part of the program itself: samples in, products.
AFFINE = Step("affine", tables.AFFINE)
INPUT_GRADIENT = Step("input gradient", tables.INPUT_GRADIENT)
WEIGHT_GRADIENT = Step("weight and bias gradient", tables.WEIGHT_GRADIENT)
GATHER = Step("copy samples", tables.GATHER)
PACK_ROWS = Step("pack gradient", tables.PACK_ROWS)
JOIN = Step("sum of both parts, bias", tables.JOIN)

PRODUCTS = AFFINE, INPUT_GRADIENT, WEIGHT_GRADIENT

CROSS_ENTROPY = Step("softmax with cross-entropy", part="step_of_cross_entropy")
DENSE_CROSS_ENTROPY = Step(
    "softmax with cross-entropy, dense targets", part="step_of_dense_cross_entropy"
)
SQUARED_ERROR = Step("squared error", part="step_of_squared_error")
BINARY_CROSS_ENTROPY = Step("sigmoid with cross-entropy", part="step_of_binary_cross_entropy")
POISSON = Step("Poisson deviance", part="step_of_poisson")
HUBER = Step("Huber's loss", part="step_of_huber")

# Batch normalisation; the last two are of the whole batch, after a segment.
MOMENTS = Step("sums for mean and variance", part="step_of_moments")
NORMALISE = Step("normalise", part="step_of_normalise")
GRADIENT_SUMS = Step("sums for gamma and beta", part="step_of_gradient_sums")
NORM_GRADIENT = Step("gradient of normalisation", part="step_of_norm_gradient")
FINISH_MOMENTS = Step("mean, variance, running statistics", part="step_of_finish_moments")
FINISH_SUMS = Step("gradients of gamma and beta", part="step_of_finish_sums")

# The same of images, with statistics over the pixels of a channel.
IMAGE_MOMENTS = Step("sums for mean and variance of channels", part="step_of_image_moments")
IMAGE_NORMALISE = Step("normalise channels", part="step_of_image_normalise")
IMAGE_SUMS = Step("sums for gamma and beta of channels", part="step_of_image_sums")
IMAGE_NORM_GRADIENT = Step(
    "gradient of normalisation of channels", part="step_of_image_norm_gradient"
)
FINISH_IMAGE_MOMENTS = Step(
    "mean, variance, running statistics of channels", part="step_of_finish_image_moments"
)
FINISH_IMAGE_SUMS = Step(
    "gradients of gamma and beta of channels", part="step_of_finish_image_sums"
)

CONVOLUTION = Step("convolution", part="step_of_convolution", kernel="convolution")
CONVOLUTION_GRADIENT = Step(
    "gradients of convolution",
    part="step_of_convolution_gradient",
    kernel="convolution_backward",
)
MAX_POOL = Step("max-pooling", part="step_of_max_pool", kernel="max_pool")
MAX_POOL_GRADIENT = Step(
    "gradient of max-pooling", part="step_of_max_pool_gradient", kernel="max_pool_backward"
)

DROPOUT = Step("dropout", part="step_of_dropout")
BY_MASK = Step("dropout by a given mask", part="step_of_mask")
DROPOUT_GRADIENT = Step("gradient of dropout", part="step_of_mask")


def activation(label: str, name: str) -> tuple[Step, Step]:
    """Return the steps of an activation and of its gradient, whose kernels have such a name."""
    gradient = Step(f"gradient of {label}", tables.ELEMENTWISE, kernel=f"{name}_backward")
    return Step(label, tables.ELEMENTWISE, kernel=name), gradient


RELU = activation("ReLU", "relu")
SIGMOID = activation("sigmoid", "sigmoid")
TANH = activation("tanh", "tanh")
LEAKY_RELU = activation("leaky ReLU", "leaky_relu")
ELU = activation("ELU", "elu")
SILU = activation("SiLU", "silu")
SOFTPLUS = activation("softplus", "softplus")
GELU = activation("GELU", "gelu")
GELU_TANH = activation("GELU, tanh form", "gelu_tanh")
