"""``common.optimizer`` against its transcription: parameters, states, and what is written where."""

import numpy as np
import pytest

from fastnn import optimizers

OPTIMIZERS = {
    "SGD": {"lr": 0.1},
    "Momentum": {"lr": 0.1, "momentum": 0.8},
    "Nesterov": {"lr": 0.1, "momentum": 0.8},
    "AdaGrad": {"lr": 0.3},
    "RMSprop": {"lr": 0.05, "decay_rate": 0.9},
    "Adam": {"lr": 0.05, "beta1": 0.8, "beta2": 0.99},
}
# Of three steps, each of which rounds two or three times.
ROUNDING = 8 * np.finfo(np.float32).eps


def data(seed, *shape, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def states(optimizer):
    return {
        key: getattr(optimizer, key) for key in ("v", "h", "m", "iter") if hasattr(optimizer, key)
    }


def train(m, optimizer, params, grads, steps=3):
    """Return what is to be seen after each step, and whether the arrays are still the same."""
    given_arrays = dict(params)
    seen = [m.visible(optimizer)]
    for i in range(steps):
        changed = {key: g * (1 + 0.5 * i) for key, g in grads.items()}
        assert optimizer.update(params, changed) is None
        copies = {k: np.copy(p) if isinstance(p, np.ndarray) else p for k, p in params.items()}
        seen += [copies, m.visible(optimizer)]
    return seen, params, {key: params[key] is given_arrays[key] for key in params}


@pytest.mark.parametrize("settings", ["given", "default"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_arrays(edition, name, settings):
    def action(m):
        shapes = {
            "W1": (30, 20),
            "b1": (20,),
            "W2": (20, 3),
            "x": (),
            "c": (2, 1, 3, 3),
            "e": (0, 2),
        }
        params = {key: np.asarray(data(i, *s)) for i, (key, s) in enumerate(shapes.items())}
        grads = {key: np.asarray(data(9 + i, *s)) for i, (key, s) in enumerate(shapes.items())}
        grads["unused"] = np.ones(3)
        arguments = OPTIMIZERS[name] if settings == "given" else {}
        return train(m, getattr(m.optimizer, name)(**arguments), params, grads)

    edition.compare(action)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_large_arrays(dlfs, name):
    def action(m):
        params = {"W": data(1, 784, 100), "b": np.zeros(100)}
        grads = {"W": data(2, 784, 100), "b": data(3, 100)}
        return train(m, getattr(m.optimizer, name)(**OPTIMIZERS[name]), params, grads, 2)

    dlfs.compare(action)


@pytest.mark.parametrize("kind", [float, np.float64, np.float32], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_plain_numbers(edition, name, kind):
    def action(m):
        params = {"x": kind(-7.0), "y": kind(2.0)}
        optimizer = getattr(m.optimizer, name)(**OPTIMIZERS[name])
        seen = []
        for _ in range(10):
            grads = {"x": params["x"] / 10.0, "y": 2.0 * params["y"]}
            optimizer.update(params, grads)
            seen.append((dict(params), {k: str(v) for k, v in states(optimizer).items()}))
        return seen, m.visible(optimizer)

    edition.compare(action, exact=True)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_integers(dlfs, name):
    def run(m):
        params = {"x": 3}
        optimizer = getattr(m.optimizer, name)(**OPTIMIZERS[name])
        optimizer.update(params, {"x": 2})
        optimizer.update(params, {"x": 2})
        return params, states(optimizer)

    # States of integers cannot take the fractions that are added to them in place.
    refused = name in ("Nesterov", "RMSprop", "Adam")
    dlfs.compare(run, exact=True, raises=TypeError if refused else None)


@pytest.mark.parametrize("lr", [float, np.float64, np.float32, lambda lr: np.array(lr)])
@pytest.mark.parametrize("g_dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_types_of_arrays_and_of_the_rate(dlfs, name, dtype, g_dtype, lr):
    def action(m):
        params = {"W": data(4, 5, 4, dtype=dtype), "b": np.zeros(4, dtype)}
        grads = {"W": data(5, 5, 4, dtype=g_dtype), "b": data(6, 4, dtype=g_dtype)}
        optimizer = getattr(m.optimizer, name)(**{**OPTIMIZERS[name], "lr": lr(0.1)})
        return train(m, optimizer, params, grads)

    single = np.float32 in (dtype, g_dtype)
    dlfs.compare(action, tolerance=ROUNDING if single and dtype is not np.float16 else None)


@pytest.mark.parametrize(
    "settings",
    [{"lr": 0}, {"lr": -0.1}, {"lr": 1}, {"lr": np.nan}, {"lr": np.inf}],
    ids=str,
)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_odd_rates(dlfs, name, settings):
    def action(m):
        optimizer = getattr(m.optimizer, name)(**settings)
        return train(m, optimizer, {"W": data(7, 5, 4)}, {"W": data(8, 5, 4)})

    dlfs.compare(action)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("Momentum", {"momentum": 0}),
        ("Momentum", {"momentum": 1.0}),
        ("Momentum", {"momentum": -0.5}),
        ("Nesterov", {"momentum": 1.5}),
        ("RMSprop", {"decay_rate": 1}),
        ("RMSprop", {"decay_rate": 0.0}),
        ("Adam", {"beta1": 0.0, "beta2": 0.0}),
        ("Adam", {"beta1": np.float64(0.5)}),
    ],
    ids=str,
)
def test_odd_settings(dlfs, name, settings):
    def action(m):
        optimizer = getattr(m.optimizer, name)(**settings)
        return train(m, optimizer, {"W": data(9, 5, 4)}, {"W": data(10, 5, 4)})

    dlfs.compare(action)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_settings_may_change_between_steps(dlfs, name):
    def action(m):
        optimizer = getattr(m.optimizer, name)(**OPTIMIZERS[name])
        params, grads = {"W": data(11, 5, 4)}, {"W": data(12, 5, 4)}
        optimizer.update(params, grads)
        optimizer.lr *= 0.5
        if hasattr(optimizer, "iter"):
            optimizer.iter += 5
        optimizer.update(params, grads)
        return params, m.visible(optimizer)

    dlfs.compare(action)


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "transposed": lambda a: a.T,
    "strided": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "reversed": lambda a: a[::-1],
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_layouts(dlfs, name, layout):
    def action(m):
        W = layout(data(13, 6, 6))
        params, grads = {"W": W}, {"W": data(14, 6, 6)}
        optimizer = getattr(m.optimizer, name)(**OPTIMIZERS[name])
        return train(m, optimizer, params, grads), W, W.base

    dlfs.compare(action)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_views_of_one_array(dlfs, name):
    def action(m):
        flat = data(15, 40)
        params = {"W": flat[:30].reshape(5, 6), "b": flat[30:]}
        grads = {"W": data(16, 5, 6), "b": data(17, 10)}
        optimizer = getattr(m.optimizer, name)(**OPTIMIZERS[name])
        return train(m, optimizer, params, grads), flat

    dlfs.compare(action)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_array_under_two_names(dlfs, name):
    def action(m):
        W = data(18, 5, 4)
        params = {"encoder": W, "decoder": W}
        grads = {"encoder": data(19, 5, 4), "decoder": data(20, 5, 4)}
        return train(m, getattr(m.optimizer, name)(**OPTIMIZERS[name]), params, grads), W

    dlfs.compare(action)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_that_is_the_parameter(dlfs, name):
    def action(m):
        W = data(21, 5, 4)
        optimizer = getattr(m.optimizer, name)(**OPTIMIZERS[name])
        optimizer.update({"W": W}, {"W": W})
        return W, m.visible(optimizer)

    dlfs.compare(action)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_that_are_broadcast(dlfs, name):
    def action(m):
        params = {"W": data(22, 5, 4), "b": np.ones(4)}
        optimizer = getattr(m.optimizer, name)(**OPTIMIZERS[name])
        optimizer.update(params, {"W": data(23, 4), "b": 0.5})
        return params, m.visible(optimizer)

    dlfs.compare(action)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_are_left_as_they_are(dlfs, name):
    def action(m):
        grads = {"W": data(24, 5, 4)}
        getattr(m.optimizer, name)().update({"W": np.ones((5, 4))}, grads)
        return grads, data(24, 5, 4)

    dlfs.compare(action, exact=True)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_missing_gradient_stops_after_the_keys_before_it(dlfs, name):
    def action(m):
        params = {"a": np.ones(3), "b": np.ones(3), "c": np.ones(3)}
        optimizer = getattr(m.optimizer, name)(**OPTIMIZERS[name])
        with pytest.raises(KeyError):
            optimizer.update(params, {"a": np.ones(3), "c": np.ones(3)})
        return params, states(optimizer)

    dlfs.compare(action)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "SGD"])
def test_a_parameter_that_comes_later_has_no_state(dlfs, name):
    def action(m):
        params, grads = {"a": np.ones(3)}, {"a": np.ones(3), "b": np.ones(2)}
        optimizer = getattr(m.optimizer, name)(**OPTIMIZERS[name])
        optimizer.update(params, grads)
        params["b"] = np.ones(2)
        optimizer.update(params, grads)

    dlfs.compare(action, raises=KeyError)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_read_only_arrays_are_refused(dlfs, name):
    def action(m):
        W = np.ones(3)
        W.flags.writeable = False
        getattr(m.optimizer, name)(**OPTIMIZERS[name]).update({"W": W}, {"W": np.ones(3)})

    dlfs.compare(action, raises=ValueError)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "SGD"])
def test_states_of_earlier_steps_that_are_kept(edition, name):
    # Momentum makes a new array at each step; the others write into theirs.
    def action(m):
        optimizer = getattr(m.optimizer, name)(**OPTIMIZERS[name])
        params, history, copies = {"W": data(25, 3)}, [], []
        for i in range(3):
            optimizer.update(params, {"W": data(26 + i, 3)})
            state = optimizer.h if hasattr(optimizer, "h") else optimizer.v
            history.append(state["W"][:2])
            copies.append(state["W"].copy())
        return history, copies

    edition.compare(action)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_states_can_be_set(dlfs, name):
    def action(m):
        optimizer = getattr(m.optimizer, name)(**OPTIMIZERS[name])
        for key in ("v", "h", "m"):
            if hasattr(optimizer, key):
                setattr(optimizer, key, {"W": np.full((5, 4), 0.25), "unused": None})
        params = {"W": data(30, 5, 4)}
        optimizer.update(params, {"W": data(31, 5, 4)})
        return params, states(optimizer)

    dlfs.compare(action)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_one_optimizer_for_two_networks(dlfs, name):
    def action(m):
        optimizer = getattr(m.optimizer, name)(**OPTIMIZERS[name])
        first, second = {"W": data(32, 5, 4)}, {"W": data(33, 5, 4)}
        grads = {"W": data(34, 5, 4)}
        for params in (first, second, first):
            optimizer.update(params, grads)
        return first, second, m.visible(optimizer)

    dlfs.compare(action)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200, 0.0])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_special_gradients(dlfs, name, value):
    # The book's g^2 - v is infinity less infinity from the second step on, and so NaN for ever.
    better = name == "Adam" and abs(value) > 1e154

    def action(m):
        params, grads = {"W": np.array([1.0, 2.0])}, {"W": np.array([value, 1.0])}
        optimizer = getattr(m.optimizer, name)(**OPTIMIZERS[name])
        if not better:
            return train(m, optimizer, params, grads)
        train(m, optimizer, params, grads)
        return params["W"][1:], optimizer.m["W"][1:], optimizer.v["W"][1:]

    with np.errstate(over="ignore", invalid="ignore"):
        dlfs.compare(action)
    if better:
        adam, params = optimizers.Adam(), {"W": np.ones(1)}
        for _ in range(3):
            adam.update(params, {"W": np.array([value])})
        assert not np.isnan(adam.v["W"]).any()
