"""Ctrl-C and SIGTERM end a command by an exception, which is sent again where Python itself swallows it."""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NoReturn

from rcic.errors import Terminated

_AGAIN_S = 0.05  # until a swallowed signal is sent again, when the destructor has returned


@contextmanager
def answered() -> Iterator[None]:
    """Let SIGTERM raise Terminated in this block, as Ctrl-C raises KeyboardInterrupt.

    What either raises in a destructor or in a callback of the garbage collector Python does not let through but tells
    ``sys.unraisablehook``; of these the signal is sent again, or the command would never end.
    """
    handler, hook = signal.signal(signal.SIGTERM, _terminate), sys.unraisablehook
    sys.unraisablehook = partial(_send_again, hook)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, handler)


def _terminate(*_: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: cleaning up must not be interrupted
    raise Terminated


def _send_again(hook: "Callable[[sys.UnraisableHookArgs], object]", swallowed: "sys.UnraisableHookArgs") -> None:
    if not issubclass(swallowed.exc_type, KeyboardInterrupt):
        hook(swallowed)
        return
    number = signal.SIGINT
    if issubclass(swallowed.exc_type, Terminated):
        number = signal.SIGTERM
        signal.signal(number, _terminate)
    timer = threading.Timer(_AGAIN_S, signal.pthread_kill, (threading.main_thread().ident, number))  # what waits, wakes
    timer.daemon = True
    timer.start()
