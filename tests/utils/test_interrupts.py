"""Ctrl-C that is held back comes through at the end, once."""

import signal

import pytest

from fastnn._utils import interrupts


@pytest.mark.usefixtures("ctrl_c")
def test_nested_holds_wait_for_the_outermost():
    done = []
    with pytest.raises(KeyboardInterrupt):  # noqa: SIM117
        with interrupts.held():
            with interrupts.held():
                signal.raise_signal(signal.SIGINT)
                done.append("inner")
            done.append("outer")
    assert done == ["inner", "outer"]


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_comes_through_beside_an_error():
    with pytest.raises(KeyboardInterrupt) as found:  # noqa: SIM117
        with interrupts.held():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("no")
    assert str(found.value.__context__) == "no"
