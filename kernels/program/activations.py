"""The steps of a training program for activations."""

from fastnn.kernels.layers import activations
from fastnn.kernels.program.making import activation

PARTS = (
    activation("relu", activations.relu_each, activations.relu_gradient)
    | activation("sigmoid", activations.sigmoid_each, activations.sigmoid_gradient)
    | activation("tanh", activations.tanh_each, activations.tanh_gradient)
    | activation(
        "leaky_relu", activations.leaky_relu_each, activations.leaky_relu_gradient, setting=True
    )
    | activation("elu", activations.elu_each, activations.elu_gradient, setting=True)
    | activation("silu", activations.silu_each, activations.silu_gradient)
    | activation("softplus", activations.softplus_each, activations.softplus_gradient)
    | activation("gelu", activations.gelu_each, activations.gelu_gradient)
    | activation("gelu_tanh", activations.gelu_tanh_each, activations.gelu_tanh_gradient)
)
