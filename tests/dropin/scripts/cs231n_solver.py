"""In the style of the course's notebooks: checks of gradients, update rules, and networks."""

import numpy as np
from cs231n import optim
from cs231n.classifiers.cnn import *
from cs231n.classifiers.fc_net import *
from cs231n.gradient_check import eval_numerical_gradient, eval_numerical_gradient_array
from cs231n.layers import *
from cs231n.solver import Solver


def rel_error(x, y):
    """Return the largest relative error."""
    return np.max(np.abs(x - y) / (np.maximum(1e-8, np.abs(x) + np.abs(y))))


def images(num, seed):
    """Return images of ten classes: a bright bar at an angle, in noise."""
    rng = np.random.RandomState(seed)
    y = rng.randint(10, size=num)
    rows, columns = np.mgrid[-1:1:12j, -1:1:12j]
    angle = (np.pi * y / 10)[:, np.newaxis, np.newaxis]
    distance = np.abs(rows * np.cos(angle) + columns * np.sin(angle))
    X = np.exp(-8 * distance**2)[:, np.newaxis] + 0.3 * rng.randn(num, 1, 12, 12)
    return X, y


data = {}
data["X_train"], data["y_train"] = images(600, 0)
data["X_val"], data["y_val"] = images(200, 1)
mean_image = data["X_train"].mean(axis=0)
data["X_train"] -= mean_image
data["X_val"] -= mean_image
for k, v in data.items():
    print("%s: " % k, v.shape, v.dtype, float(np.sum(v)))

# Affine layer, as the first notebook tests it
num_inputs, input_shape, output_dim = 2, (4, 5, 6), 3
x = np.linspace(-0.1, 0.5, num=num_inputs * 120).reshape(num_inputs, *input_shape)
w = np.linspace(-0.2, 0.3, num=120 * output_dim).reshape(120, output_dim)
b = np.linspace(-0.3, 0.1, num=output_dim)
out, _ = affine_forward(x, w, b)
correct_out = np.array([[1.49834967, 1.70660132, 1.91485297], [3.25553199, 3.5141327, 3.77273342]])
print("Testing affine_forward function:", rel_error(out, correct_out) < 1e-8)
print(out)

np.random.seed(231)
x, w, b, dout = (np.random.randn(*s) for s in ((10, 2, 3), (6, 5), (5,), (10, 5)))
_, cache = affine_forward(x, w, b)
dx, dw, db = affine_backward(dout, cache)
dw_num = eval_numerical_gradient_array(lambda w: affine_forward(x, w, b)[0], w, dout)
print("Testing affine_backward function:", rel_error(dw_num, dw) < 1e-8, dx.sum(), db)

# Batch normalisation over the course of training, then at test time
N, D1, D2, D3 = 200, 50, 60, 3
W1, W2 = np.random.randn(D1, D2), np.random.randn(D2, D3)
bn_param = {"mode": "train"}
gamma, beta = np.ones(D3), np.zeros(D3)
for _ in range(50):
    a = np.maximum(0, np.random.randn(N, D1).dot(W1)).dot(W2)
    batchnorm_forward(a, gamma, beta, bn_param)
bn_param["mode"] = "test"
a = np.maximum(0, np.random.randn(N, D1).dot(W1)).dot(W2)
a_norm, _ = batchnorm_forward(a, gamma, beta, bn_param)
print("After batch normalization (test-time):")
print("  means: ", a_norm.mean(axis=0))
print("  stds: ", a_norm.std(axis=0))
print(bn_param)

# Gradient check of a network with everything
np.random.seed(231)
X, y = np.random.randn(4, 15), np.random.randint(10, size=(4,))
for reg in [0, 3.14]:
    print("Running check with reg = ", reg)
    model = FullyConnectedNet(
        [8, 7], input_dim=15, num_classes=10, normalization="batchnorm", dropout_keep_ratio=0.8,
        reg=reg, weight_scale=5e-2, dtype=np.float64, seed=123,
    )  # fmt: skip
    loss, grads = model.loss(X, y)
    print("Initial loss: ", loss)
    for name in sorted(grads):
        grad_num = eval_numerical_gradient(
            lambda _, model=model: model.loss(X, y)[0], model.params[name], verbose=False, h=1e-5
        )
        error = np.max(np.abs(grad_num - grads[name])) / np.max(np.abs(grads[name]) + 1e-3)
        print("%s relative error below 1e-5:" % name, error < 1e-5)

# Overfit a small part with each update rule
num_train = 50
small_data = {
    "X_train": data["X_train"][:num_train],
    "y_train": data["y_train"][:num_train],
    "X_val": data["X_val"],
    "y_val": data["y_val"],
}
learning_rates = {"sgd": 1e-1, "sgd_momentum": 1e-2, "rmsprop": 1e-3, "adam": 1e-3}
solvers = {}
for update_rule, learning_rate in learning_rates.items():
    print("Running with ", update_rule)
    np.random.seed(3)
    model = FullyConnectedNet(
        [30, 30], input_dim=144, weight_scale=5e-2, normalization="batchnorm", dropout_keep_ratio=0.9,
        reg=1e-3, dtype=np.float64,
    )  # fmt: skip
    solver = Solver(
        model, small_data, num_epochs=4, batch_size=25, update_rule=update_rule,
        optim_config={"learning_rate": learning_rate, "epsilon": 1e-4}, print_every=3, verbose=True,
    )  # fmt: skip
    solvers[update_rule] = solver
    solver.train()
    print(solver.loss_history[-1], solver.train_acc_history, solver.val_acc_history)
    print(sorted(solver.optim_configs["W1"]))

# A larger run, with decay of the learning rate
np.random.seed(4)
for normalization in (None, "batchnorm", "layernorm"):
    model = FullyConnectedNet(
        [50, 40], input_dim=144, weight_scale=3e-2, normalization=normalization, dtype=np.float64
    )
    solver = Solver(
        model, data, update_rule="adam", optim_config={"learning_rate": 2e-3, "epsilon": 1e-4},
        lr_decay=0.8, num_epochs=3, batch_size=100, num_train_samples=300, print_every=5,
    )  # fmt: skip
    solver.train()
    y_val_pred = np.argmax(model.loss(data["X_val"]), axis=1)
    print("Validation set accuracy: ", (y_val_pred == data["y_val"]).mean())
    print("Norm of W2:", np.sqrt(np.sum(model.params["W2"] ** 2)))

# An update by hand
w, dw = np.linspace(-0.4, 0.6, num=20).reshape(4, 5), np.linspace(-0.6, 0.4, num=20).reshape(4, 5)
m, v = np.linspace(0.6, 0.9, num=20).reshape(4, 5), np.linspace(0.7, 0.5, num=20).reshape(4, 5)
config = {"learning_rate": 1e-2, "m": m, "v": v, "t": 5}
next_w, _ = optim.adam(w, dw, config=config)
print(next_w)
print(config)

# Convolution
x_shape, w_shape = (2, 3, 4, 4), (3, 3, 4, 4)
x = np.linspace(-0.1, 0.5, num=np.prod(x_shape)).reshape(x_shape)
w = np.linspace(-0.2, 0.3, num=np.prod(w_shape)).reshape(w_shape)
b = np.linspace(-0.1, 0.2, num=3)
out, cache = conv_forward_naive(x, w, b, {"stride": 2, "pad": 1})
print("Testing conv_forward_naive")
print(out)
dx, dw, db = conv_backward_naive(np.ones_like(out), cache)
print(dx.sum(axis=(1, 2, 3)), dw.sum(axis=(1, 2, 3)), db)
out, cache = max_pool_forward_naive(x, {"pool_width": 2, "pool_height": 2, "stride": 2})
print(out[0, 0], max_pool_backward_naive(out, cache)[1, 2])

np.random.seed(231)
model = ThreeLayerConvNet(
    input_dim=(1, 12, 12), num_filters=8, filter_size=3, hidden_dim=40, weight_scale=5e-2,
    reg=1e-3, dtype=np.float64,
)  # fmt: skip
print("Initial loss: ", model.loss(data["X_train"][:50], data["y_train"][:50])[0])
solver = Solver(
    model, small_data, num_epochs=6, batch_size=25, update_rule="sgd_momentum",
    optim_config={"learning_rate": 1e-1}, verbose=True, print_every=1,
)  # fmt: skip
solver.train()
print("best_val_acc", solver.best_val_acc, "W1", model.params["W1"][0, 0])
