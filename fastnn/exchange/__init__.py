"""Networks for other libraries, and from them.

- `names`: what PyTorch calls the arrays of a network; `state_dict`: these arrays, and back;
- `tensors`: those of PyTorch as NumPy's;
- `modules`: PyTorch's modules as layers, and layers as modules;
- `graph`, `forms`: the nodes of an ONNX graph, of each kind of layer; `onnx_file`: that in a file.

Neither PyTorch nor the package onnx is imported before it is asked for.
"""
