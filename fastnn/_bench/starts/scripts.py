"""What new processes run, with each library; ``{dtype}`` stands for the dtype's name.

Networks are 784-100-100-100-100-10 with ReLU, batches of 128, Adam.
"""

from __future__ import annotations

NUMPY = "import numpy"

AFFINE = """
import numpy as np
from fastnn import ops
x, W, b = np.ones((100, 50), "{dtype}"), np.ones((50, 20), "{dtype}"), np.ones(20, "{dtype}")
ops.affine(x, W, b)
"""

EPOCH = """
from fastnn import MultiLayerNet, optimizers
from fastnn.datasets import load_mnist
(x, t), _ = load_mnist(subset="bundled")
network = MultiLayerNet(784, [100] * 4, 10, dtype="{dtype}", seed=0)
network.fit(x, t, epochs=1, batch_size=128, optimizer=optimizers.Adam(), verbose=False, seed=0)
"""

STEP = """
import numpy as np
from fastnn import MultiLayerNet, optimizers
net = MultiLayerNet(784, [100] * 4, 10, dtype="{dtype}", seed=0)
x, t = np.zeros((128, 784), "{dtype}"), np.zeros(128, np.int64)
optimizers.Adam().update(net.params, net.gradient(x, t))
"""

STEP_IN_NUMPY = "import os; os.environ['FASTNN_BACKEND'] = 'numpy'\n" + STEP

STEP_IN_TORCH = """
import torch
from torch import nn
sizes = [784, 100, 100, 100, 100]
parts = [m for d, h in zip(sizes, sizes[1:]) for m in (nn.Linear(d, h), nn.ReLU())]
net = nn.Sequential(*parts, nn.Linear(100, 10)).to(torch.{dtype})
optimizer = torch.optim.Adam(net.parameters(), fused=True)
x, t = torch.zeros(128, 784, dtype=torch.{dtype}), torch.zeros(128, dtype=torch.int64)
nn.functional.cross_entropy(net(x), t).backward()
optimizer.step()
"""

CALL_IN_JAX = """
import jax
import jax.numpy as jnp
x, W, b = jnp.ones((100, 50)), jnp.ones((50, 20)), jnp.ones(20)
jax.block_until_ready(jax.jit(lambda x, W, b: x @ W + b)(x, W, b))
"""

STEP_IN_JAX = """
import jax
import jax.numpy as jnp
jax.config.update("jax_enable_x64", "{dtype}" == "float64")
sizes = [784, 100, 100, 100, 100, 10]
keys = jax.random.split(jax.random.key(0), 5)
params = [(jax.random.normal(k, (d, h), "{dtype}") * (2 / d) ** 0.5, jnp.zeros(h, "{dtype}"))
          for k, d, h in zip(keys, sizes, sizes[1:])]
def loss(params, x, t):
    for W, b in params[:-1]:
        x = jnp.maximum(x @ W + b, 0)
    W, b = params[-1]
    return -jnp.take_along_axis(jax.nn.log_softmax(x @ W + b), t[:, None], axis=1).mean()
@jax.jit
def step(params, m, v, x, t):
    g = jax.grad(loss)(params, x, t)
    tree = jax.tree.map
    m = tree(lambda m, g: m + 0.1 * (g - m), m, g)
    v = tree(lambda v, g: v + 0.001 * (g * g - v), v, g)
    return tree(lambda p, m, v: p - 1e-3 * m / (jnp.sqrt(v) + 1e-7), params, m, v), m, v
zeros = jax.tree.map(jnp.zeros_like, params)
x, t = jnp.zeros((128, 784), "{dtype}"), jnp.zeros(128, jnp.int32)
jax.block_until_ready(step(params, zeros, zeros, x, t))
"""
