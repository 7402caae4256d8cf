"""MultiLayerNet and MultiLayerNetExtend, and what scripts do with networks of their own."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest
from book_networks import KINDS, attributes, batch, network
from copying import COPIES

SINGLE = 32 * np.finfo(np.float32).eps


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(12, [7, 6], 5), (12, [], 5), (3, [4], 2)], ids=str)
def test_initial_state(dlfs, kind, sizes):
    def action(m):
        net = network(m, kind, sizes)
        own = [
            layer.W is net.params[f"W{i}"] and layer.b is net.params[f"b{i}"]
            for i, layer in enumerate(
                (layer for name, layer in net.layers.items() if "Affine" in name), 1
            )
        ]
        return attributes(m, net), own, np.random.rand()

    dlfs.compare(action, exact=True)


@pytest.mark.parametrize(
    "std", ["relu", "He", "HE", "sigmoid", "Xavier", 0.01, 1, np.float64(0.5), np.sqrt(2.0 / 12)]
)
@pytest.mark.parametrize("name", ["MultiLayerNet", "MultiLayerNetExtend"])
def test_initial_weights(dlfs, name, std):
    def action(m):
        module = m.multi_layer_net if name == "MultiLayerNet" else m.multi_layer_net_extend
        return getattr(module, name)(12, [7, 6], 5, weight_init_std=std).params

    dlfs.compare(action, exact=True)


def test_bad_settings(dlfs):
    dlfs.compare(
        lambda m: m.multi_layer_net.MultiLayerNet(3, [2], 2, activation="tanh"), raises=KeyError
    )
    dlfs.compare(
        lambda m: m.multi_layer_net.MultiLayerNet(3, [2], 2, weight_init_std="lecun"),
        raises=TypeError,
    )
    dlfs.compare(
        lambda m: m.multi_layer_net.MultiLayerNet(3, [2], 2, use_dropout=True), raises=TypeError
    )


@pytest.mark.parametrize("one_hot", [False, True], ids=["labels", "one-hot"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("kind", KINDS)
def test_all_methods(dlfs, kind, dtype, one_hot):
    def action(m):
        net = network(m, kind)
        x, t = batch(8, dtype, one_hot)
        seen = [net.predict(x), net.loss(x, t), net.accuracy(x, t), attributes(m, net)]
        grads = net.gradient(x, t)
        seen += [grads, attributes(m, net), net.loss(x, t)]
        if hasattr(net, "use_dropout"):
            seen += [net.predict(x, True), net.predict(x, train_flg=True), net.loss(x, t, True)]
        return seen, x, t, np.random.rand()

    dlfs.compare(action, rounded=True)


@pytest.mark.parametrize("kind", KINDS)
def test_numerical_gradients(dlfs, kind):
    def action(m):
        net = network(m, kind, (4, [3, 2], 3))
        x, t = batch(4, features=4, classes=3)
        numerical = net.numerical_gradient(x, t)
        return numerical, net.params, attributes(m, net), net.gradient(x, t), np.random.rand()

    # A loss is rounded at some 1e-16 of it, and a difference of two divided by 2e-4.
    dlfs.compare(action, rounded=True)


@pytest.mark.parametrize("kind", ["plain", "all"])
@pytest.mark.parametrize("n", [1, 2])
def test_few_samples(dlfs, kind, n):
    def action(m):
        net = network(m, kind)
        x, t = batch(n)
        return net.gradient(x, t), net.loss(x, t), net.accuracy(x, t)

    dlfs.compare(action, rounded=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["SGD", "Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam"])
def test_training(dlfs, kind, name):
    def action(m):
        net = network(m, kind, (20, [16, 16], 5))
        optimizer = getattr(m.optimizer, name)()
        losses = []
        for _ in range(4):
            chosen = np.random.choice(50, 10)
            x, t = batch(50, features=20)
            optimizer.update(net.params, net.gradient(x[chosen], t[chosen]))
            losses.append(net.loss(x[chosen], t[chosen]))
        return losses, net.params, m.visible(optimizer), [net.accuracy(x, t)]

    # Some optimizers divide even a gradient of nothing by its root mean square and 1e-7.
    dlfs.compare(action, rounded=kind in ("normalised", "all"))


def test_decay_is_of_the_arrays_of_the_layers_or_of_params(dlfs):
    # MultiLayerNet takes the weights from the layers, MultiLayerNetExtend from params.
    def action(m):
        seen = []
        for kind in ("decay", "normalised"):
            net = network(m, kind)
            net.params["W1"] = np.ones((12, 7))
            x, t = batch()
            seen += [net.loss(x, t), net.gradient(x, t), net.weight_decay_lambda]
            net.weight_decay_lambda = 2
            seen += [net.loss(x, t), net.gradient(x, t)]
        return seen

    dlfs.compare(action, rounded=True)


def test_parameters_from_a_pickle(dlfs, tmp_path):
    file = tmp_path / "params.pkl"
    rng = np.random.default_rng(1)
    sizes = [12, 7, 6, 5]
    params = {}
    for i in range(1, 4):
        params[f"W{i}"] = np.asfortranarray(
            rng.normal(size=(sizes[i - 1], sizes[i])).astype(np.float32)
        )
        params[f"b{i}"] = rng.normal(size=sizes[i]).astype(np.float32)
    file.write_bytes(pickle.dumps(params))

    def action(m):
        net = network(m, "plain")
        for key, value in pickle.loads(file.read_bytes()).items():
            net.params[key] = value
        before = net.predict(batch(dtype=np.float32)[0])  # the layers still have the old ones
        for i in range(1, 4):
            net.layers[f"Affine{i}"].W = net.params[f"W{i}"]
            net.layers[f"Affine{i}"].b = net.params[f"b{i}"]
        x, t = batch(dtype=np.float32)
        seen = [before, net.predict(x), net.loss(x, t), net.accuracy(x, t), net.gradient(x, t)]
        m.optimizer.SGD().update(net.params, net.gradient(x, t))
        return seen, net.params, net.predict(x)

    dlfs.compare(action, tolerance=SINGLE)


def test_networks_can_be_copied_and_pickled(dlfs):
    net = network(dlfs.fast, "all")
    x, t = batch()
    net.gradient(x, t)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other.predict(x), net.predict(x))
        assert other.layers["Affine1"].W is other.params["W1"]
        assert other.layers["Affine1"].W is not net.params["W1"]


def test_layers_of_the_script_in_a_network(dlfs):
    class Tanh:
        def forward(self, x):
            self.out = np.tanh(x)
            return self.out

        def backward(self, dout):
            return dout * (1 - self.out**2)

    class Half:
        def __init__(self):
            self.seen = []

        def forward(self, x, train_flg=True):
            self.seen.append(train_flg)
            return x * 0.5

        def backward(self, dout):
            return dout * 0.5

    def action(m):
        net = network(m, "dropout")
        net.layers["Activation_function1"] = Tanh()
        net.layers["BatchNormOfMine"] = Half()  # by its name it is given the flag
        x, t = batch()
        seen = [net.gradient(x, t), net.accuracy(x, t), net.loss(x, t)]
        del net.layers["Dropout2"]
        return seen, net.layers["BatchNormOfMine"].seen, net.gradient(x, t), list(net.layers)

    dlfs.compare(action)


def test_a_subclass_that_replaces_methods(dlfs):
    def action(m):
        class Net(m.multi_layer_net.MultiLayerNet):
            def __init__(self):
                super().__init__(12, [7], 5)
                self.calls = []
                self.last_layer = Squared(self.calls)

            def predict(self, x):
                self.calls.append("predict")
                return super().predict(x) * 2

            def loss(self, x, t):
                self.calls.append("loss")
                return super().loss(x, t) + 1

        class Squared:
            def __init__(self, calls):
                self.calls = calls

            def forward(self, y, t):
                self.calls.append("forward")
                self.dy = 2 * (y - t)
                return np.sum((y - t) ** 2)

            def backward(self, dout):
                self.calls.append(("backward", dout))
                return self.dy

        net = Net()
        x, t = batch(one_hot=True)
        return net.gradient(x, t), net.loss(x, t), net.accuracy(x, t), net.calls

    dlfs.compare(action)


def test_a_subclass_of_the_extended_one_is_given_the_flags(dlfs):
    def action(m):
        class Net(m.multi_layer_net_extend.MultiLayerNetExtend):
            def predict(self, x, train_flg=False):
                self.calls = [*getattr(self, "calls", []), train_flg]
                return super().predict(x, train_flg)

        net = Net(4, [3], 2, use_dropout=True)
        x, t = batch(3, features=4, classes=2)
        net.loss(x, t)
        net.gradient(x, t)
        net.accuracy(x, t)
        net.numerical_gradient(x, t)
        return net.calls

    dlfs.compare(action)


def test_the_same_batch_through_two_networks(dlfs):
    def action(m):
        first, second = network(m, "plain"), network(m, "normalised")
        x, t = batch()
        optimizer = m.optimizer.SGD(lr=0.1)
        for _ in range(3):
            for net in (first, second):
                optimizer.update(net.params, net.gradient(x, t))
        return first.params, second.params, x

    dlfs.compare(action, rounded=True)


def test_gradients_of_one_step_stay_when_the_next_is_taken(dlfs):
    def action(m):
        net = network(m, "normalised")
        history = []
        for n in (8, 8, 4):
            history.append(net.gradient(*batch(n)))
        return history

    dlfs.compare(action, rounded=True)


def test_layers_are_an_ordered_dict_and_params_a_dict(dlfs):
    net = network(dlfs.fast, "all")
    assert type(net.layers) is OrderedDict
    assert type(net.params) is dict
    assert list(net.params) == [
        *("W1", "b1", "W2", "b2", "W3", "b3"),
        *("gamma1", "beta1", "gamma2", "beta2"),
    ]


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, int])
def test_other_types_of_images(dlfs, dtype):
    def action(m):
        net = network(m, "normalised")
        x, t = batch()
        x = (x * 9).astype(dtype)
        return net.gradient(x, t), net.loss(x, t), net.accuracy(x, t)

    dlfs.compare(action, rounded=True)


def test_images_in_four_axes(dlfs):
    def action(m):
        net = network(m, "plain")
        x, t = batch()
        return net.gradient(x.reshape(8, 1, 3, 4), t), net.layers["Affine1"].original_x_shape

    dlfs.compare(action)


def test_mistakes(dlfs):
    x, t = batch()

    dlfs.compare(lambda m: network(m, "plain").predict(x[:, :3]), raises=ValueError)
    dlfs.compare(lambda m: network(m, "plain").loss(x, t + 5), raises=IndexError)
    dlfs.compare(lambda m: network(m, "plain").gradient(x[:0], t[:0]), raises=ValueError)
    dlfs.compare(lambda m: network(m, "plain").predict(x.tolist()), raises=AttributeError)


@pytest.mark.parametrize("kind", KINDS)
def test_attributes_are_those_of_the_pass_also_after_an_update(dlfs, kind):
    def action(m):
        net = network(m, kind)
        optimizer = m.optimizer.SGD(lr=0.5)
        x, t = batch()
        optimizer.update(net.params, net.gradient(x, t))
        after_gradient = attributes(m, net)
        net.loss(x, t)
        for p in net.params.values():
            p += 1  # what the layers have kept is not computed from these
        after_loss = attributes(m, net)
        net.accuracy(x[:3], t[:3])
        return after_gradient, after_loss, attributes(m, net)

    dlfs.compare(action, rounded=True)


@pytest.mark.parametrize("kind", KINDS)
def test_backward_by_hand(dlfs, kind):
    def action(m):
        net = network(m, kind)
        x, t = batch()
        seen = [net.loss(x, t, True) if hasattr(net, "use_dropout") else net.loss(x, t)]
        dout = net.last_layer.backward(1)
        for layer in reversed(net.layers.values()):
            previous = dout
            dout = layer.backward(dout)
            seen += [dout.copy(), previous.copy(), dout is previous]
        return seen, attributes(m, net)

    dlfs.compare(action, rounded=True)


@pytest.mark.parametrize("kind", KINDS)
def test_forward_by_hand_after_a_method(dlfs, kind):
    def action(m):
        net = network(m, kind)
        x, t = batch()
        net.loss(x, t)
        second = net.layers["Affine2"].forward(np.ones((3, 7)))
        kept = net.layers["Affine1"].x, net.layers["Affine2"].x
        net.last_layer.forward(np.ones((2, 5)), np.array([0, 1]))
        return second, kept, net.last_layer.backward(), attributes(m, net)

    dlfs.compare(action)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_of_several_sizes(dlfs, kind):
    def action(m):
        net = network(m, kind, (30, [25, 20], 10))
        seen = []
        for n, dtype in ((100, np.float32), (1, np.float64), (37, np.float32), (300, np.float64)):
            x, t = batch(n, dtype, features=30, classes=10)
            seen += [net.gradient(x, t), net.accuracy(x, t), net.loss(x[::2], t[::2])]
            seen.append(net.predict(np.asfortranarray(x)))
        return seen, attributes(m, net)

    dlfs.compare(action, rounded=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_of_the_size_of_the_book(dlfs, kind):
    def action(m):
        net = network(m, kind, (784, [100, 100, 100, 100], 10))
        x, t = batch(300, np.float32, features=784, classes=10)
        optimizer = m.optimizer.SGD(lr=0.01)
        losses = []
        for _ in range(3):
            chosen = np.random.choice(300, 100)
            optimizer.update(net.params, net.gradient(x[chosen], t[chosen]))
            losses.append(net.loss(x[chosen], t[chosen]))
        return losses, net.accuracy(x, t), net.params

    dlfs.compare(action, rounded=True)


@pytest.mark.parametrize("kind", ["plain", "all"])
def test_scores_are_the_callers_own(dlfs, kind):
    def action(m):
        net = network(m, kind)
        x, t = batch()
        first = net.predict(x)
        second = net.predict(x + 1)
        first *= 0
        loss = net.loss(x, t)
        grads = net.gradient(x, t)
        grads["W1"] *= 0
        net.layers["Affine2"].dW *= 2
        return second, loss, x, grads, net.layers["Affine1"].dW, net.layers["Affine2"].dW

    dlfs.compare(action, rounded=True)


def test_methods_of_a_layer_that_the_script_replaces(dlfs):
    def action(m):
        net = network(m, "plain")
        calls = []

        def traced(name, method):
            def call(*arguments):
                calls.append((name, arguments[0].shape))
                return method(*arguments)

            return call

        for name, layer in net.layers.items():
            layer.forward = traced(name, layer.forward)
            layer.backward = traced(name, layer.backward)
        x, t = batch()
        return net.gradient(x, t), net.accuracy(x, t), calls

    dlfs.compare(action)


def test_layers_in_another_order_and_of_other_sizes(dlfs):
    def action(m):
        net = network(m, "plain")
        x, t = batch()
        net.loss(x, t)
        net.layers["Affine2"] = m.layers.Affine(np.sin(np.arange(28.0)).reshape(7, 4), np.zeros(4))
        net.layers["Activation_function2"] = m.layers.Sigmoid()
        net.layers["Affine3"].W = np.cos(np.arange(20.0)).reshape(4, 5)
        net.layers["Extra"] = m.layers.Affine(np.eye(5), 0)
        net.layers.move_to_end("Extra")
        return net.gradient(x, t), net.loss(x, t), list(net.layers), attributes(m, net)

    dlfs.compare(action)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e200])
@pytest.mark.parametrize("kind", ["plain", "all"])
def test_special_values(dlfs, kind, value):
    def action(m):
        net = network(m, kind)
        x, t = batch()
        x[1, 2] = value
        return net.gradient(x, t), net.loss(x, t), net.predict(x), net.accuracy(x, t)

    dlfs.compare(action, rounded=True)


@pytest.mark.parametrize("kind", ["decay", "normalised"])
def test_a_decay_of_another_type(dlfs, kind):
    def action(m):
        net = network(m, kind)
        x, t = batch(dtype=np.float32)
        seen = []
        for decay in (0, 0.0, 1, np.float64(0.1), np.float32(0.1), np.array(0.2)):
            net.weight_decay_lambda = decay
            seen += [net.loss(x, t), net.gradient(x, t)["W2"]]
        return seen

    dlfs.compare(action)


def test_methods_of_a_class_that_the_script_replaces(dlfs, monkeypatch):
    def action(m):
        calls = []
        forward = m.layers.Relu.forward

        def traced(self, x):
            calls.append(x.shape)
            return forward(self, x)

        with monkeypatch.context() as patch:
            patch.setattr(m.layers.Relu, "forward", traced)
            net = network(m, "plain")
            x, t = batch()
            seen = net.gradient(x, t), net.accuracy(x, t)
        return seen, calls

    dlfs.compare(action)


def test_attributes_are_those_of_the_pass_also_for_large_batches(dlfs):
    # Of some hundred thousand samples not all is kept.
    def action(m):
        net = network(m, "plain", (2, [30, 30], 2))
        x = np.random.default_rng(1).normal(size=(150_000, 2))
        accuracy = net.accuracy(x, np.zeros(len(x)))
        net.params["W1"] *= -1
        relu = net.layers["Activation_function1"].mask
        return accuracy, net.layers["Affine1"].x.shape, relu[:5], relu.sum(axis=0)

    dlfs.compare(action)


def test_inputs_that_change_after_the_pass(dlfs):
    def action(m):
        net = network(m, "all")
        x, t = batch()
        net.loss(x, t)
        scores = net.predict(x)
        net.gradient(x, t)
        x *= 0
        t[:] = 0
        return scores, attributes(m, net), net.last_layer.backward()

    dlfs.compare(action, rounded=True)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_last_gradient(dlfs, kind):
    def action(m):
        net = network(m, kind)
        x, t = batch()
        net.gradient(x, t)
        net.params["W1"] += 1
        net.predict(x)
        net.loss(x, t)
        if hasattr(net, "use_dropout"):
            net.loss(2 * x, t, train_flg=True)
        return attributes(m, net), net.last_layer.backward()

    dlfs.compare(action, rounded=True)


@pytest.mark.parametrize("kind", ["normalised", "dropout", "all"])
def test_the_last_layer_keeps_its_own_when_scores_are_predicted(dlfs, kind):
    def action(m):
        net = network(m, kind)
        x, t = batch()
        net.gradient(x, t)
        net.predict(2 * x, train_flg=True)
        return m.visible(net.last_layer), net.last_layer.backward()

    dlfs.compare(action)


@pytest.mark.parametrize("way", COPIES)
def test_copies_learn_as_the_original(dlfs, way):
    """Also those of joblib, which has two arrays where the book's networks have one."""
    m = dlfs.fast
    for kind in ("plain", "all"):
        for name in ("SGD", "Momentum", "Nesterov", "AdaGrad", "RMSprop", "Adam"):
            net, optimizer = network(m, kind), getattr(m.optimizer, name)()
            x, t = batch()
            optimizer.update(net.params, net.gradient(x, t))
            copied = COPIES[way]((net, optimizer))
            seen = []
            for each, its in ((net, optimizer), copied):
                np.random.seed(3)
                for _ in range(2):
                    its.update(each.params, each.gradient(x, t))
                seen.append(each.predict(x))
            np.testing.assert_array_equal(*seen)
            assert not hasattr(copied[0], "_shared")


@pytest.mark.parametrize("way", ["pickle", "joblib"])
def test_what_was_apart_is_apart_in_copies(dlfs, way):
    net = network(dlfs.fast, "plain")
    net.params["W1"] = np.ones((12, 7))
    again = COPIES[way](net)
    x, _ = batch()
    np.testing.assert_array_equal(again.predict(x), net.predict(x))
    np.testing.assert_array_equal(again.params["W1"], 1)


@pytest.mark.parametrize("kind", KINDS)
def test_more_samples_than_layers_keep_in_one_call(dlfs, kind, monkeypatch):
    monkeypatch.setattr("fastnn.dropin.dlfs._compiled._ELEMENTS", 0)

    def action(m):
        net = network(m, kind)
        x, t = batch()
        return net.predict(x), net.accuracy(x, t), attributes(m, net), net.gradient(x, t)

    dlfs.compare(action, rounded=True)


def _subclass(m):
    class Shifted(m.layers.Sigmoid):
        def forward(self, x):
            return super().forward(x) - 0.5

    return Shifted()


def _wrapped(m):
    class Wrapper:
        def __init__(self, inner):
            self.inner = inner

        def __getattr__(self, name):
            return getattr(self.inner, name)

    return Wrapper(m.layers.Sigmoid())


def _in_another_order(m, net):
    net.layers.move_to_end("Activation_function1")


# What scripts do to the layers of a network, after which its methods call others.
CHANGES = {
    "one more": lambda m, net: net.layers.update(Extra=m.layers.Sigmoid()),
    "one more of another kind": lambda m, net: net.layers.update(Extra=m.layers.Relu()),
    "one more affine": lambda m, net: net.layers.update(
        Extra=m.layers.Affine(np.full((5, 4), 0.1), np.ones(4))
    ),
    "dropout of another name": lambda m, net: net.layers.update(Extra=m.layers.Dropout(0.3)),
    "batch norm of another name": lambda m, net: net.layers.update(
        Extra=m.layers.BatchNormalization(np.ones(5), np.zeros(5))
    ),
    "dropout": lambda m, net: net.layers.update(Dropout9=m.layers.Dropout(0.3)),
    "one twice": lambda m, net: net.layers.update(Again=net.layers["Activation_function1"]),
    "another in its place": lambda m, net: net.layers.update(Activation_function1=m.layers.Relu()),
    "subclass": lambda m, net: net.layers.update(Activation_function1=_subclass(m)),
    "wrapper": lambda m, net: net.layers.update(Activation_function1=_wrapped(m)),
    "another order": _in_another_order,
    "one less": lambda m, net: net.layers.pop("Activation_function2"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["plain", "sigmoid", "all"])
def test_layers_that_a_script_changes(dlfs, kind, change):
    def action(m):
        net = network(m, kind, (12, [5, 6], 5))
        x, t = batch(classes=4)
        net.gradient(x, t)  # what was found of the layers before
        CHANGES[change](m, net)
        return net.predict(x), net.gradient(x, t), net.loss(x, t), np.random.rand()

    dlfs.compare(action, rounded=True)
