"""Optimizers, losses and batch normalisation against PyTorch, where it is installed."""

import numpy as np
import pytest
import rounding

from fastnn import layers, optimizers

torch = pytest.importorskip("torch")

dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])

SHAPES = [(13, 7), (7,), (3, 2, 5)]
EXPLICIT = {"bias_correction": "explicit"}

# Ours, theirs, what our state is called and how it follows from theirs at a constant rate.
OPTIMIZERS = {
    "SGD": (
        lambda lr, decay: optimizers.SGD(lr, weight_decay=decay),
        lambda p, lr, decay: torch.optim.SGD(p, lr, weight_decay=decay),
        {},
    ),
    "Momentum": (
        lambda lr, decay: optimizers.Momentum(lr, 0.8, weight_decay=decay),
        lambda p, lr, decay: torch.optim.SGD(p, lr, momentum=0.8, weight_decay=decay),
        {"v": lambda state, lr: -lr * state["momentum_buffer"]},
    ),
    "Nesterov": (
        lambda lr, decay: optimizers.Nesterov(lr, 0.8, weight_decay=decay),
        lambda p, lr, decay: torch.optim.SGD(
            p, lr, momentum=0.8, nesterov=True, weight_decay=decay
        ),
        {"v": lambda state, lr: -lr * state["momentum_buffer"]},
    ),
    "AdaGrad": (
        lambda lr, decay: optimizers.AdaGrad(lr, eps=1e-10, weight_decay=decay),
        lambda p, lr, decay: torch.optim.Adagrad(p, lr, eps=1e-10, weight_decay=decay),
        {"h": lambda state, lr: state["sum"]},
    ),
    "RMSProp": (
        lambda lr, decay: optimizers.RMSProp(lr, 0.9, eps=1e-8, weight_decay=decay),
        lambda p, lr, decay: torch.optim.RMSprop(p, lr, alpha=0.9, eps=1e-8, weight_decay=decay),
        {"h": lambda state, lr: state["square_avg"]},
    ),
    "Adam": (
        lambda lr, decay: optimizers.Adam(lr, eps=1e-8, weight_decay=decay, **EXPLICIT),
        lambda p, lr, decay: torch.optim.Adam(p, lr, eps=1e-8, weight_decay=decay),
        {"m": lambda state, lr: state["exp_avg"], "v": lambda state, lr: state["exp_avg_sq"]},
    ),
    "AdamW": (
        lambda lr, decay: optimizers.AdamW(lr, eps=1e-8, weight_decay=decay, **EXPLICIT),
        lambda p, lr, decay: torch.optim.AdamW(p, lr, eps=1e-8, weight_decay=decay),
        {"m": lambda state, lr: state["exp_avg"], "v": lambda state, lr: state["exp_avg_sq"]},
    ),
    "NAdam": (
        lambda lr, decay: optimizers.NAdam(lr, 0.8, 0.9, weight_decay=decay),
        lambda p, lr, decay: torch.optim.NAdam(p, lr, (0.8, 0.9), weight_decay=decay),
        {"m": lambda state, lr: state["exp_avg"], "v": lambda state, lr: state["exp_avg_sq"]},
    ),
    "NAdam, fast": (
        lambda lr, decay: optimizers.NAdam(lr, momentum_decay=0.5, weight_decay=decay),
        lambda p, lr, decay: torch.optim.NAdam(p, lr, momentum_decay=0.5, weight_decay=decay),
        {"m": lambda state, lr: state["exp_avg"], "v": lambda state, lr: state["exp_avg_sq"]},
    ),
    "Adamax": (
        lambda lr, decay: optimizers.Adamax(lr, weight_decay=decay),
        lambda p, lr, decay: torch.optim.Adamax(p, lr, weight_decay=decay),
        {"m": lambda state, lr: state["exp_avg"], "u": lambda state, lr: state["exp_inf"]},
    ),
    "AMSGrad": (
        lambda lr, decay: optimizers.AMSGrad(lr, 0.8, 0.9, weight_decay=decay),
        lambda p, lr, decay: torch.optim.Adam(p, lr, (0.8, 0.9), weight_decay=decay, amsgrad=True),
        {
            "m": lambda state, lr: state["exp_avg"],
            "v": lambda state, lr: state["exp_avg_sq"],
            "v_max": lambda state, lr: state["max_exp_avg_sq"],
        },
    ),
}


@pytest.fixture
def double():
    """Let PyTorch keep the numbers of its own, such as NAdam's product, in double precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.slow
@dtypes
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("steps", [15, 150])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("lr", [0.01, 10.0])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizer(name, lr, decay, steps, dtype):
    eps = np.finfo(dtype).eps
    rng = np.random.default_rng(200)
    ours, theirs, state = OPTIMIZERS[name]
    params = {str(i): rng.normal(size=shape).astype(dtype) for i, shape in enumerate(SHAPES)}
    tensors = {key: torch.tensor(p, requires_grad=True) for key, p in params.items()}
    path = {key: np.abs(p).astype(np.float64) for key, p in params.items()}
    mine, peer = ours(lr, decay), theirs(list(tensors.values()), lr, decay)
    for _ in range(steps):
        grads = {
            key: (rng.normal(size=p.shape) * 10.0 ** rng.integers(-3, 2, p.shape)).astype(dtype)
            for key, p in params.items()
        }
        for key, tensor in tensors.items():
            tensor.grad = torch.tensor(grads[key])
        before = {key: p.copy() for key, p in params.items()}
        mine.update(params, grads)
        peer.step()
        for key, p in params.items():
            path[key] += np.abs(p - before[key])
    for key, p in params.items():
        theirs = tensors[key].detach().numpy()
        # Both round the parameter, the state and the settings a few times a step, each time
        # by at most eps times the way that the element has gone.
        assert np.all(np.abs(p - theirs) <= 4 * steps * eps * path[key]), key
        for attribute, convert in state.items():
            actual = getattr(mine, attribute)[key]
            expected = convert(peer.state[tensors[key]], lr).numpy()
            # Decay takes what rounding has made of p into gradients, and into their squares.
            way = decay * path[key].max() * max(1, lr)
            limit = 4 * steps * eps * (np.abs(expected).max() + way + way**2)
            np.testing.assert_allclose(actual, expected, rtol=0, atol=limit, err_msg=attribute)


@dtypes
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_that_are_not_finite(name, dtype):
    rng = np.random.default_rng(206)
    ours, theirs, _ = OPTIMIZERS[name]
    p = rng.normal(size=12).astype(dtype)
    tensor = torch.tensor(p, requires_grad=True)
    mine, peer = ours(0.01, 0.1), theirs([tensor], 0.01, 0.1)
    for step in range(5):
        g = rng.normal(size=12).astype(dtype)
        if step in (1, 3):
            g[:3] = np.nan, np.inf, -np.inf
        if step == 4:
            g[3:6] = -np.inf, np.nan, np.inf
        tensor.grad = torch.tensor(g)
        mine.update({"p": p}, {"p": g})
        peer.step()
        expected = tensor.detach().numpy()
        finite = np.isfinite(expected)
        assert finite[6:].all()
        np.testing.assert_array_equal(p[~finite], expected[~finite])
        limit = 32 * np.finfo(dtype).eps
        np.testing.assert_allclose(p[finite], expected[finite], rtol=limit, atol=limit)


def test_folded_adam_is_theirs_with_another_eps():
    rng = np.random.default_rng(201)
    p, g = rng.normal(size=(2, 20))
    lr, eps, settings = 0.5, 1e-2, {"beta1": 0.8, "beta2": 0.9}
    tensor = torch.tensor(p, requires_grad=True)
    tensor.grad = torch.tensor(g)
    # Folded, eps is added to sqrt(v), not to sqrt(v / (1 - beta2^step)).
    torch.optim.Adam([tensor], lr, betas=(0.8, 0.9), eps=eps / np.sqrt(1 - 0.9)).step()
    folded, explicit = p.copy(), p.copy()
    optimizers.Adam(lr, eps=eps, **settings).update({"p": folded}, {"p": g})
    optimizers.Adam(lr, eps=eps, **settings, **EXPLICIT).update({"p": explicit}, {"p": g})
    limit = 8 * np.finfo(np.float64).eps * (np.abs(p).max() + lr)
    np.testing.assert_allclose(folded, tensor.detach().numpy(), rtol=0, atol=limit)
    assert np.abs(explicit - folded).max() > 1e-3


@dtypes
@pytest.mark.parametrize("scale", [1.0, 100.0])
@pytest.mark.parametrize("form", ["labels", "one-hot", "soft"])
def test_cross_entropy(form, scale, dtype):
    n, classes = 9, 13
    rng = np.random.default_rng(202)
    x = rng.normal(scale=scale, size=(n, classes)).astype(dtype)
    labels = rng.integers(classes, size=n)
    t = {
        "labels": labels,
        "one-hot": np.eye(classes, dtype=dtype)[labels],
        "soft": rng.dirichlet(np.ones(classes), size=n).astype(dtype),
    }[form]
    layer = layers.SoftmaxWithLoss()
    loss = layer.forward(x, t)
    tensor = torch.tensor(x, requires_grad=True)
    theirs = torch.nn.functional.cross_entropy(tensor, torch.tensor(t))
    theirs.backward()
    expected = theirs.item()
    limit = rounding.of_softmax(x)
    assert abs(loss - expected) <= limit * max(1, expected)
    np.testing.assert_allclose(layer.backward(), tensor.grad.numpy(), rtol=0, atol=limit / n)


@dtypes
def test_mean_squared_error(dtype):
    rng = np.random.default_rng(203)
    x, t = rng.normal(size=(2, 9, 4)).astype(dtype)
    layer = layers.IdentityWithLoss()
    loss = layer.forward(x, t)
    tensor = torch.tensor(x, requires_grad=True)
    # Ours is half the sum over the columns, theirs the mean.
    theirs = torch.nn.functional.mse_loss(tensor, torch.tensor(t)) * 4 / 2
    theirs.backward()
    expected = theirs.item()
    eps = np.finfo(dtype).eps
    assert abs(loss - expected) <= x.size * eps * expected
    limit = 4 * eps * np.abs(x - t).max() / len(x)
    np.testing.assert_allclose(layer.backward(), tensor.grad.numpy(), rtol=0, atol=limit)


@dtypes
@pytest.mark.parametrize("shape", [(10, 6), (4, 6, 5, 3)])
def test_batchnorm(shape, dtype):
    rng = np.random.default_rng(204)
    features, n, eps, steps = shape[1], int(np.prod(shape)) // shape[1], np.finfo(dtype).eps, 3
    gamma, beta = rng.normal(size=(2, features)).astype(dtype)
    layer = layers.BatchNormalization(gamma, beta, momentum=0.8, eps=1e-5)
    scale, shift = (torch.tensor(a, requires_grad=True) for a in (gamma, beta))
    running = torch.zeros(features, dtype=scale.dtype), torch.zeros(features, dtype=scale.dtype)
    for _ in range(steps):
        x, dout = rng.normal(size=(2, *shape)).astype(dtype)
        x = 3 * x + 1
        tensor = torch.tensor(x, requires_grad=True)
        scale.grad = shift.grad = None
        expected = torch.nn.functional.batch_norm(
            tensor, *running, scale, shift, training=True, momentum=0.2, eps=1e-5
        )
        expected.backward(torch.tensor(dout))
        y, dx = layer.forward(x), layer.backward(dout)
        # The sums of n products of numbers of these sizes, each rounded n times.
        size = n * eps * np.abs(x).max() * max(1, np.abs(gamma).max())
        np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=size)
        size *= np.abs(dout).max()
        np.testing.assert_allclose(dx, tensor.grad.numpy(), rtol=0, atol=size)
        np.testing.assert_allclose(layer.dgamma, scale.grad.numpy(), rtol=0, atol=n * size)
        np.testing.assert_allclose(layer.dbeta, shift.grad.numpy(), rtol=0, atol=n * size)
    limit = steps * n * eps * np.abs(x).max() ** 2
    mean, var = (a.numpy() for a in running)
    np.testing.assert_allclose(layer.running_mean, mean, rtol=0, atol=limit)
    # Theirs is the average of variances with n - 1, ours of those with n.
    biased = var * (n - 1) / n
    np.testing.assert_allclose(layer.running_var, biased, rtol=0, atol=limit)
    assert np.abs(layer.running_var - var).min() > limit
    expected = torch.nn.functional.batch_norm(
        torch.tensor(x), torch.tensor(mean), torch.tensor(biased), scale, shift, eps=1e-5
    )
    size = 8 * eps * expected.abs().max().item() + limit
    np.testing.assert_allclose(
        layer.forward(x, False), expected.detach().numpy(), rtol=0, atol=size
    )


@dtypes
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("pad", [0, 2])
def test_convolution(pad, stride, dtype):
    rng = np.random.default_rng(204)
    x, W, b = (rng.normal(size=s).astype(dtype) for s in ((7, 3, 11, 9), (5, 3, 4, 3), 5))
    layer = layers.Convolution(W, b, stride, pad)
    y = layer.forward(x)
    dout = rng.normal(size=y.shape).astype(dtype)
    dx = layer.backward(dout)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, W, b)]
    theirs = torch.nn.functional.conv2d(*tensors, stride, pad)
    theirs.backward(torch.tensor(dout))
    # As many terms as a filter has, as there are filters and pixels of one, and as places.
    terms = max(W[0].size + 1, W.size // 3, y[:, 0].size)
    limit = 2 * terms * np.finfo(dtype).eps * 4 * terms**0.5
    for ours, other in (
        (y, theirs.detach()),
        *zip((dx, layer.dW, layer.db), (t.grad for t in tensors), strict=True),
    ):
        np.testing.assert_allclose(ours, other.numpy(), rtol=0, atol=limit)


@dtypes
@pytest.mark.parametrize("window", [(2, 2, 2), (3, 2, 2), (3, 3, 1)])
def test_max_pool(window, dtype):
    rng = np.random.default_rng(205)
    x = rng.normal(size=(4, 3, 9, 8)).astype(dtype)
    x[0, 0, 3, 2:5] = np.nan
    layer = layers.MaxPool(*window)
    y = layer.forward(x)
    dout = rng.normal(size=y.shape).astype(dtype)
    tensor = torch.tensor(x, requires_grad=True)
    theirs = torch.nn.functional.max_pool2d(tensor, window[:2], window[2])
    np.testing.assert_array_equal(y, theirs.detach().numpy())
    # Of several NaN they choose the last, and we, as NumPy, the first.
    theirs[1:].backward(torch.tensor(dout[1:]))
    limit = window[0] * window[1] * np.finfo(dtype).eps * np.abs(dout).max()
    dx = layer.backward(dout)
    np.testing.assert_allclose(dx[1:], tensor.grad.numpy()[1:], rtol=0, atol=limit)


def _loss_and_gradient(function, x):
    tensor = torch.tensor(x, requires_grad=True)
    loss = function(tensor)
    loss.backward()
    return loss.item(), tensor.grad.numpy()


@dtypes
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_smoothed_and_weighted_cross_entropy(smoothing, dtype):
    rng = np.random.default_rng(204)
    x, labels = rng.normal(size=(9, 13)).astype(dtype), rng.integers(13, size=9)
    each = rng.random(13).astype(dtype) if smoothing == 0 else None
    layer = layers.SoftmaxWithLoss(smoothing)
    loss = layer.forward(x, labels, None if each is None else each[labels])
    weight = None if each is None else torch.tensor(each)
    expected, gradient = _loss_and_gradient(
        lambda scores: torch.nn.functional.cross_entropy(
            scores, torch.tensor(labels), weight, label_smoothing=smoothing
        ),
        x,
    )
    limit = rounding.of_softmax(x)
    assert abs(loss - expected) <= limit * max(1, expected)
    np.testing.assert_allclose(layer.backward(), gradient, rtol=0, atol=limit)


@dtypes
@pytest.mark.parametrize("name", ["sigmoid", "poisson", "huber"])
def test_losses_of_outputs(name, dtype):
    """Theirs are means over outputs, too; their Poisson loss lacks t log(t) - t."""
    rng = np.random.default_rng(205)
    x = rng.normal(scale=2, size=(9, 4)).astype(dtype)
    t = (rng.poisson(2, x.shape) if name == "poisson" else rng.random(x.shape)).astype(dtype)
    functional = torch.nn.functional
    layer, theirs = {
        "sigmoid": (layers.SigmoidWithLoss(), functional.binary_cross_entropy_with_logits),
        "poisson": (layers.PoissonWithLoss(), functional.poisson_nll_loss),
        "huber": (
            layers.HuberWithLoss(0.5),
            lambda x, t: functional.huber_loss(x, t, delta=0.5),
        ),
    }[name]
    loss = layer.forward(x, t)
    expected, gradient = _loss_and_gradient(lambda x: theirs(x, torch.tensor(t)), x)
    rest = np.log(t, where=t > 0, out=np.zeros_like(t)) * t - t if name == "poisson" else 0 * t
    # Some roundings of terms as large as exp(x), and of their sum.
    size = np.exp(np.abs(x).max()) + t.max() * np.abs(x).max()
    limit = (16 + x.size) * np.finfo(dtype).eps * size
    assert abs(loss - (4 * expected + rest.sum(axis=1).mean())) <= 4 * limit
    np.testing.assert_allclose(layer.backward(), 4 * gradient, rtol=0, atol=limit)
