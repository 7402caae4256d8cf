"""Networks: any stack of layers, and those with the interface of *Deep Learning from Scratch*."""

from fastnn.networks.builders import MultiLayerNet, MultiLayerNetExtend, TwoLayerNet
from fastnn.networks.network import Network

__all__ = ["MultiLayerNet", "MultiLayerNetExtend", "Network", "TwoLayerNet"]
