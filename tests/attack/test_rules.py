"""The attack on optimizers: a slice of it, and faults that are planted for it to find."""

import numpy as np
import pytest

from fastnn import optimizers
from tests.attack import rules, values, workers

SLICE = 150


def found(amount=SLICE):
    tally = workers.here(rules.case, amount, 0, rules.COMMAND)
    print(dict(tally.figures))
    return " ".join(tally.failures())


def test_each_optimizer_is_there_and_each_of_its_settings_has_a_generator():
    assert set(rules.CLASSES.values()) >= set(optimizers.OPTIMIZERS.values())
    for kind in rules.CLASSES.values():
        assert set(rules.settings_of(kind)) <= set(values.NUMBERS)


def test_a_slice():
    assert found() == ""


update = optimizers.SGD.update


def writes_gradients(self, params, grads):
    update(self, params, grads)
    for g in grads.values():
        g *= 2


def takes_another_step(self, params, grads):
    update(self, params, grads)
    for p in params.values():
        p *= 1 + 1e-6


def replaces_parameters(self, params, grads):
    update(self, params, grads)
    for key, p in params.items():
        params[key] = p.copy()


def passes_over_what_is_missing(self, params, grads):
    update(self, {key: p for key, p in params.items() if key in grads}, grads)


def changes_some_before_an_error(self, params, grads):
    for key, p in params.items():
        if p.flags.writeable:
            update(self, {key: p}, grads)
    update(self, params, grads)


def forgets_its_name(self, params, grads):
    try:
        update(self, params, grads)
    except (TypeError, ValueError) as error:
        raise type(error)("does not fit") from None


FAULTS = {
    writes_gradients: "a gradient or memory beside a parameter was written",
    takes_another_step: "differs from the rule's own",
    replaces_parameters: "a parameter is another array",
    passes_over_what_is_missing: "missing is accepted",
    changes_some_before_an_error: "an array was written to before an error",
    forgets_its_name: "does not fit",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_planted_fault_is_found(fault, monkeypatch):
    monkeypatch.setattr(rules, "NAMES", ["SGD"])
    monkeypatch.setattr(optimizers.SGD, "update", fault)
    with np.errstate(all="ignore"):
        assert FAULTS[fault] in found(150)
