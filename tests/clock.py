"""Another time for a test, and for nobody else in its process.

The simulated world of a running gateway has a thread beside the tests, and asyncio asks `time.monotonic` there too.
What it plans while that is put forward, it does when that time has come: the world of some process never ended.
"""

import threading
import time
from collections.abc import Callable

import pytest

Function = Callable[..., object]


def for_this_thread(monkeypatch: pytest.MonkeyPatch, **functions: Function) -> None:
    """Put functions in the place of those of `time` with their names; other threads still have the real ones."""
    own = threading.get_ident()

    def either(fake: Function, real: Function) -> Function:
        return lambda *arguments: (fake if threading.get_ident() == own else real)(*arguments)

    for name, fake in functions.items():
        monkeypatch.setattr(time, name, either(fake, getattr(time, name)))
