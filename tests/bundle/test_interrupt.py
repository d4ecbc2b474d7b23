"""Ctrl-C that is held back."""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest

from edgebert.bundle.interrupt import hold_interrupt, watch_interrupt


def test_an_interrupt_takes_effect_at_the_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt):
        with hold_interrupt():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("inside")
        done.append("after")
    assert done == ["inside"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_is_not_lost_to_an_error() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, hold_interrupt():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("half an import")
    assert isinstance(caught.value.__context__, ValueError)


def test_without_an_interrupt_nothing_happens() -> None:
    with hold_interrupt(), hold_interrupt():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with hold_interrupt():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_are_left_alone() -> None:
    entered = []

    def work() -> None:
        with hold_interrupt():
            entered.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert entered == [signal.default_int_handler]


def test_an_interrupt_that_was_swallowed_is_noticed() -> None:
    with watch_interrupt() as check:
        check()
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
            pytest.fail("it takes effect at once")
        with pytest.raises(KeyboardInterrupt):
            check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_was_held_back_and_then_swallowed_is_noticed() -> None:
    with watch_interrupt() as check:
        with contextlib.suppress(KeyboardInterrupt), hold_interrupt():
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            check()
