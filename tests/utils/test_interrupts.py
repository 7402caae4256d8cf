"""Ctrl-C that is held back comes through at the end, once."""

import os
import signal
import threading

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


@pytest.mark.usefixtures("ctrl_c")
def test_it_is_let_through_where_a_step_can_be_taken_back():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts.held():
        with interrupts.held_to_the_end():
            signal.raise_signal(signal.SIGINT)
            interrupts.let_through()
            done.append("whole")
        interrupts.let_through()
        done.append("more")
    assert done == ["whole"]
    interrupts.let_through()  # nothing is held


@pytest.mark.usefixtures("ctrl_c")
def test_another_thread_lets_nothing_through():
    caught = []

    def other():
        try:
            interrupts.let_through()
        except KeyboardInterrupt as error:
            caught.append(error)

    with pytest.raises(KeyboardInterrupt), interrupts.held():
        signal.raise_signal(signal.SIGINT)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert not caught


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("from_thread", [True, False])
def test_a_forked_child_holds_back_what_its_own_thread_does(from_thread):
    statuses = []

    def fork():
        child = os.fork()
        if not child:
            free = signal.getsignal(signal.SIGINT) is signal.default_int_handler
            os._exit(free != from_thread)
        statuses.append(os.waitpid(child, 0)[1])

    with interrupts.held():
        if from_thread:
            thread = threading.Thread(target=fork)
            thread.start()
            thread.join()
        else:
            fork()
    assert statuses == [0]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
