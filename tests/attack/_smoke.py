"""Trains, saves and loads with the package that is installed; prints versions, bits and loss.

The argument is the file of a network, which another installation may have written.
"""

import hashlib
import json
import os
import sys

import numba
import numpy as np

import fastnn
from fastnn import optimizers
from fastnn.kernels.plain.level import vector_bits


def digest(net):
    """Return what tells the parameters of a network from all others."""
    return hashlib.sha256(b"".join(p.tobytes() for p in net.params.values())).hexdigest()[:16]


rng = np.random.default_rng(3)
x, t = rng.normal(size=(60, 5)).astype(np.float32), rng.integers(0, 3, 60)
net = fastnn.MultiLayerNetExtend(5, [16, 8], 3, seed=1, use_batchnorm=True, use_dropout=True)
history = net.fit(x, t, 4, 12, optimizers.Adam(0.01), verbose=False, seed=5)
path = sys.argv[1]
if os.path.exists(path):
    before = fastnn.load(path)
    if before.predict(x).shape != (60, 3):
        raise ValueError("a file of another installation does not work")
net.save(path)
if digest(fastnn.load(path)) != digest(net):
    raise ValueError("the file has other parameters")
made = {"bits": digest(net), "loss": history.loss[-1], "route": history.route}
versions = {"numpy": np.__version__, "numba": numba.__version__}
print(json.dumps({**versions, str(vector_bits()): made}))
