"""What examples say of their tables follows from these: also where the textbook would not have it.

Each sentence is asked for with numbers for which it holds, and with numbers that contradict it.
"""

import math
from types import SimpleNamespace

import pytest


def words(text):
    assert all(len(line) < 80 for line in text.splitlines())
    return " ".join(text.split())


def test_words(example):
    common = example("_common.py")
    assert common.listed(["a"]) == "a"
    assert common.listed(["a", "b", "c"]) == "a, b and c"
    assert [common.how_many(n, 3) for n in (0, 1, 3)] == ["none of 3", "1 of 3", "all 3"]


def schedules(**ends):
    """Return histories of two epochs that end at (training loss, validation loss)."""
    return {
        name.replace("_", " "): SimpleNamespace(
            loss=[9.0, training], val_loss=[before, validation], lr=[0.05, lr]
        )
        for name, (training, validation, before, lr) in ends.items()
    }


def test_learning_rate_schedules(example):
    conclusions = example("learning_rate_schedules.py").conclusions
    said = words(
        conclusions(
            schedules(
                constant=(0.04, 0.2, 0.3, 0.05),
                cosine=(0.01, 0.1, 0.3, 0.0),
                reduce_on_plateau=(0.02, 0.15, 0.3, 0.025),
            )
        )
    )
    assert "Training loss: all 2 rules end below the constant rate's 0.0400" in said
    assert '"cosine" is lowest, 0.0100' in said and "deeper into the valley" in said
    assert "With none of 3 rules it was lower before the last epoch." in said
    assert "kept the rate" not in said
    # As on the bundled images: the constant rate is among the best.
    said = words(
        conclusions(
            schedules(
                constant=(0.006, 0.12, 0.11, 0.05),
                cosine=(0.005, 0.13, 0.12, 0.0),
                reduce_on_plateau=(0.007, 0.14, 0.13, 0.05),
            )
        )
    )
    assert "Training loss: 1 of 2 rules end below" in said and '(not "reduce on plateau")' in said
    assert "Validation loss: none of 2 rules end below the constant rate's 0.1200;" in said
    assert '"constant" is lowest, 0.1200' in said
    assert "With all 3 rules it was lower before the last epoch: what they learned after" in said
    assert "kept the rate" in said
    assert "deeper" not in said and "jump about" not in said


ROWS = (
    "2 networks, their mean", "their moving averages, mean", "their last 3 checkpoints, mean",
    "ensemble of the 2 networks", "one network, distilled from it",
)  # fmt: skip


def test_ensembles(example):
    conclusions = example("ensembles.py").conclusions

    def say(accuracies, members):
        return words(conclusions({n: (a, 0.1) for n, a in zip(ROWS, accuracies, strict=True)},
                                 members, 10_000))  # fmt: skip

    said = say([0.95, 0.96, 0.955, 0.97, 0.96], [[0.94, 0.96], [0.97]])
    assert "0.9700 of the test images right and beats all 2 of its networks" in said
    assert "from 0.9500 to 0.9700, upwards in all 1 steps" in said
    assert "their moving averages +0.0100 and their last 3 checkpoints +0.0050" in said
    assert "distilled from the ensemble +0.0100, which is 50% of that." in said
    assert f"differences of {math.sqrt(2 * 0.95 * 0.05 / 10_000):.4f} may be chance" in said
    # As on the bundled images: cheap ways bring nothing, and so does the distilled network.
    said = say([0.95, 0.945, 0.94, 0.955, 0.94], [[0.94, 0.96], [0.955]])
    assert "beats 1 of 2 of its networks, of which the best has 0.9600" in said
    assert "their moving averages -0.0050 and their last 3 checkpoints -0.0100" in said
    assert "distilled from the ensemble -0.0100, so that it keeps nothing." in said
    # The ensemble itself brings nothing.
    said = say([0.95, 0.95, 0.95, 0.94, 0.95], [[0.95, 0.95], [0.94]])
    assert "beats none of 2" in said and "upwards in none of 1 steps" in said
    assert "gains -0.0100" in said and "keeps" not in said and "of that" not in said


def test_students_of_ensembles(example):
    conclusions = example("ensembles.py").conclusions_on_students

    def say(labels, cool, warm):
        names = ("labels", "soft targets, T = 1", "soft targets, T = 4")
        sizes = (300, 1000)
        return words(conclusions({name: dict(zip(sizes, curve, strict=True))
                                  for name, curve in zip(names, (labels, cool, warm), strict=True)
                                 }))  # fmt: skip

    said = say([0.8, 0.9], [0.81, 0.92], [0.85, 0.93])
    assert "more than labels with all 2 training sets, most with 300 images, +0.0500" in said
    assert "T = 4 teaches more than T = 1 with all 2." in said
    said = say([0.8, 0.9], [0.81, 0.89], [0.79, 0.88])
    assert "with 1 of 2 training sets, most with 300 images, +0.0100" in said
    assert "T = 4 teaches more than T = 1 with none of 2." in said
    said = say([0.8, 0.9], [0.8, 0.89], [0.79, 0.88])
    assert said == "Soft targets teach no more than labels here."


def test_overfitting(example):
    module = example("overfitting.py")

    def say(plain, decay, dropout):
        found = {
            name: module.Accuracies(10, *each, 5)
            for name, each in {
                "plain": plain,
                "weight decay, lambda 0.1": decay,
                "dropout, ratio 0.2": dropout,
            }.items()
        }
        return words(module.conclusions(found))

    said = say((1.0, 0.75, 0.5), (0.9, 0.72, 0.51), (0.6, 0.5, 0.5))
    assert "by heart, and 75% of the test images" in said
    assert (
        "The gap is narrower with weight decay and dropout." in said and "not narrower" not in said
    )
    assert "With neither are more of the test images right." in said
    assert "the three are 0.010 apart" in said
    assert "With dropout the fewest training images are known" in said
    said = say((0.9, 0.7, 0.5), (0.95, 0.6, 0.5), (1.0, 0.9, 0.5))
    assert "by heart" not in said and "more --epochs" in said
    assert "The gap is narrower with dropout. The gap is not narrower with weight decay." in said
    assert "With dropout more of the test images are right." in said
    assert "fewest" not in said


def test_batch_normalization(example):
    conclusions = example("batch_normalization.py").conclusions
    said = words(conclusions({1.0: [0.5, 0.1], 0.1: [0.9, 0.95], 0.01: [0.99, 0.1]}))
    assert "with batch normalisation at all 3 scales, without at 1 of 3 (0.1)" in said
    assert "the plain network is ahead at 0.1" in said
    said = words(conclusions({1.0: [0.1, 0.1], 0.1: [0.9, 0.8], 0.01: [0.1, 0.9]}))
    assert "with batch normalisation at 1 of 3 scales, without at 2 of 3 (0.1 and 0.01)" in said
    said = words(conclusions({1.0: [0.5, 0.1]}))
    assert "without at none of 1." in said and "ahead" not in said


def curve(*losses, accuracy=0.9):
    return {"pass": range(1, len(losses) + 1), "loss": list(losses), "accuracy": accuracy}


def test_second_order(example):
    conclusions = example("second_order.py").conclusions
    said = words(
        conclusions(
            {
                "L-BFGS": curve(2, 1, 0.1, 1e-9, accuracy=0.8),
                "SGD": curve(1, 0.9, 0.8, 0.7, accuracy=0.95),
                "Adam": curve(0.5, 0.4, 0.05, 0.01),
            },
            [1, 4],
        )
    )
    assert "After 1 passes Adam has the lowest training loss." in said
    assert "After 4 passes L-BFGS has the lowest" in said
    assert "L-BFGS overtakes SGD for good after 3 passes." in said
    assert "L-BFGS overtakes Adam for good after 4 passes." in said
    assert "On the test images SGD is best: the lowest training loss is not" in said
    said = words(
        conclusions(
            {
                "L-BFGS": curve(0.7, 0.6, 0.55),
                "SGD": curve(0.8, 0.7, 0.6),
                "Adam": curve(0.5, 0.4, 0.3, accuracy=0.95),
            },
            [1, 3],
        )
    )
    assert "After 3 passes Adam has the lowest" in said
    assert "ahead of SGD from the first pass on" in said
    assert "does not overtake Adam" in said and "for good" not in said
    assert "Adam is best, too." in said


@pytest.mark.parametrize(
    "losses, said",
    [
        ([1.0, 1e-2, 1e-4, 1e-8, 0.0], "by up to 2.0"),
        ([1.0, 1e-2, 1e-3, 1e-4], "by up to 1.5"),
        ([1.0, 0.5, 0.2], "too few steps near the minimum"),
        ([1.0, 0.0], "too few steps near the minimum"),
    ],
)
def test_digits_of_newtons_method(example, losses, said):
    assert said in example("second_order.py").conclusions_on_newton({"Newton": losses})


def test_sanity_checks(example):
    module = example("sanity_checks.py")

    def say(healthy, half, total, shuffled):
        titles = (module.HEALTHY, module.HALF, module.SUM, module.SHUFFLED)
        return words(
            module.conclusions(dict(zip(titles, (healthy, half, total, shuffled), strict=True)))
        )

    overfits, chance = "overfits few samples", "beats chance on new samples"
    said = say([], ["gradients"], ["loss at chance"], [chance])
    assert said.startswith("Each bug was found by a check of its own.")
    for why in ("half a gradient", "the gradient of a sum", "20 shuffled labels"):
        assert why in said
    said = say(["penalty"], ["gradients", overfits], ["gradients"], [overfits])
    assert "The healthy network failed penalty" in said
    assert "Each bug was found." in said and "of its own" not in said
    assert "proves little" not in said
    said = say([], [], ["loss at chance"], [chance])
    assert f"No check found: {module.HALF}." in said and "Each bug" not in said


def test_babysitting(example):
    conclusions = example("babysitting.py").conclusions
    found = {
        "healthy": [],
        "rate too high": ["learning rate too high", "dead units"],
        "rate too low": ["learning rate too low"],
        "bad init": ["bad initial values"],
    }
    ratios = {"healthy": 1.3e-3, "rate too high": 2e-2, "rate too low": 7e-6, "bad init": 3e-4}
    said = words(conclusions(found, ratios))
    assert said.startswith("Each sickness was named. Nearest")
    assert "are the updates of healthy, 1.3e-03" in said
    found |= {"healthy": ["overfitting"], "rate too low": [], "bad init": ["dead units"]}
    said = words(conclusions(found, ratios | {"bad init": 1e-3}))
    assert "The healthy training is called sick, too: overfitting." in said
    assert "the sickness of rate too low and bad init" in said and "Each sickness" not in said
    assert "are the updates of bad init" in said


def test_activations_by_initial_values(example):
    conclusions = example("initial_values.py").conclusions
    spreads = {"std 1": [0.9, 0.9], "std 0.01": [0.1, 1e-5], "Xavier": [0.6, 0.3], "He": [0.7, 0.5]}
    none = {name: [0.0, 0.0] for name in spreads}
    half = {name: [0.5, 0.5] for name in spreads}
    said = words(conclusions("tanh", spreads, none | {"std 1": [0.85, 0.8], "He": [0.2, 0.0]}))
    assert "multiplied by 1.00 with std 1, 1e-04 with std 0.01, 0.50 with Xavier" in said
    assert "Most are saturated with std 1: 85%" in said
    assert "Of those that saturate under 10% Xavier keeps the spread best." in said
    assert "He keeps the spread best" in words(
        conclusions("relu", spreads | {"std 1": [5.0, 9e3]}, half)
    )
    said = words(conclusions("tanh", spreads, half))
    assert "keeps" not in said


def test_initial_values_on_mnist(example):
    conclusions = example("initial_values.py").conclusions_on_mnist
    said = words(conclusions({"std 0.01": 2.301, "Xavier": 0.3, "He": 0.2}))
    assert "With std 0.01 the loss stays at -ln(1/10) = 2.303" in said
    assert "He learned fastest, to 0.200." in said
    said = words(conclusions({"std 0.01": 0.5, "Xavier": 0.3, "He": 0.4}))
    assert said == "Xavier learned fastest, to 0.300."
    said = words(conclusions({"std 0.01": 2.302, "Xavier": 2.3, "He": 2.299}))
    assert "std 0.01, Xavier and He the loss stays" in said and "fastest" not in said


def test_equal_units(example):
    conclusions = example("initial_values.py").conclusions_on_equal_units
    found = {
        "sigmoid, zero": ([1, 1], [1, 1]),
        "sigmoid, Xavier": ([100, 100], [100, 100]),
        "ReLU, zero": ([1, 1], [0, 0]),
    }
    said = words(conclusions(found))
    assert "stay equal, to the last bit" in said
    assert "All weights stay zero with ReLU, zero: the last bias alone learns." in said
    found |= {"ReLU, zero": ([1, 1], [1, 1])}
    assert "stay zero" not in words(conclusions(found))
    found |= {"ReLU, zero": ([1, 2], [1, 1])}
    assert words(conclusions(found)) == "Units that started equal did not stay equal: ReLU, zero."


def test_gradient_checks(example):
    conclusions = example("gradient_checks.py").conclusions
    planted = {"W1": False, "b1": None, "W2": False, "W3": True, "gamma2": True}
    said = words(conclusions(True, planted))
    assert said.startswith("The right network passed. With the bug W1 and W2 fail, W3 and gamma2")
    assert "What lies before it gets wrong gradients" in said
    assert said.endswith("The gradient of b1 is zero or too small to tell.")
    for other in ({"W3": False}, {"W1": True}):
        said = words(conclusions(False, planted | other))
        assert "DID NOT PASS" in said and "What lies before" not in said
    assert "The bug was not found." in words(conclusions(True, dict.fromkeys(planted, True)))
