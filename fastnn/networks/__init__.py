"""Networks with the interface of *Deep Learning from Scratch*."""

from fastnn.networks.builders import MultiLayerNet, TwoLayerNet
from fastnn.networks.network import MultiLayerNetExtend

__all__ = ["MultiLayerNet", "MultiLayerNetExtend", "TwoLayerNet"]
