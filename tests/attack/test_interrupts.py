"""Ctrl-C: a slice, and faults that must be found."""

from types import SimpleNamespace

import pytest

from tests.attack import interrupts
from tests.attack.children import forked
from tests.attack.scenes import Scene

pytestmark = pytest.mark.usefixtures("ctrl_c")


@pytest.mark.slow
def test_a_slice():
    assert interrupts.attack(8, 0).failures == ()


class Steps(Scene):
    """Two counters that should be alike."""

    name = "steps"

    def begin(self):
        return SimpleNamespace(a=0, b=0)

    def run(self, at):
        for _ in range(50):
            at.a = abs(at.a + 1)
            at.b = abs(at.b + 1)

    def check(self, at):
        assert at.a == at.b, "half a step"

    def finish(self, at):
        while at.b < 50:
            self.run(at)
        return True


class Swallowing(Steps):
    def run(self, at):
        try:
            super().run(at)
        except KeyboardInterrupt:
            at.a = at.b


class Forgetting(Steps):
    def check(self, at):
        pass

    def finish(self, at):
        return at.a


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scene", "message"),
    [(Steps, "half a step"), (Swallowing, "was lost"), (Forgetting, "gone on with, it differs")],
)
def test_planted_faults_are_found(scene, message):
    prepared = interrupts.Prepared(scene())
    ends = [forked(interrupts.interrupted, prepared, number) for number in range(12)]
    assert not any(end.error for end in ends)
    assert any(message in end.value.error for end in ends)


def test_what_holds_is_not_a_failure():
    class Whole(Steps):
        def check(self, at):
            pass

    prepared = interrupts.Prepared(Whole())
    assert not any(
        forked(interrupts.interrupted, prepared, number).value.error for number in range(6)
    )
