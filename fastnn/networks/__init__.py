"""Networks: any stack of layers, and those with the interface of *Deep Learning from Scratch*.

- `network`: a stack of layers, which is made, copied and shown there; what is done with it, each a
  part of the class: `predictions`, `evaluation` (loss, accuracy, metrics), `gradients`, `fitting`,
  `exchange` (files, PyTorch, ONNX). `attributes`: what these parts share.
- `builders`: the book's networks; `from_torch`: a network of PyTorch's modules.
- `building`: names of layers, their arrays and initial values; `sizing`: sizes, given or of the
  first samples; `buffer`: the parameters in one buffer; `summary`: the layers as a table.
- `files`: networks from files; `saved`: what is in them, and how it comes into a network at hand;
  `described`: what they say, checked; `tensor_files`: the format safetensors; `copies`: copies.
- `interface`: what checks and diagnostics ask of a network, also of a user's.
"""

from fastnn.networks.builders import MultiLayerNet, MultiLayerNetExtend, TwoLayerNet
from fastnn.networks.network import Network

__all__ = ["MultiLayerNet", "MultiLayerNetExtend", "Network", "TwoLayerNet"]
