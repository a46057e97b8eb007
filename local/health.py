"""The verdict over what is asked again and again whether it is well: a container's own check, or a target group's."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL = 0.2  # seconds between two looks at a process, its log or its first health checks


class Health:
    """The verdict over one repeated check: `starting`, then `healthy` or `unhealthy`.

    The first pass makes it healthy. It is unhealthy once `failures` intervals have gone by without a pass, but never
    within the first `grace` seconds. Until the first pass the check is repeated faster than on AWS.
    """

    def __init__(self, check: Callable[[], bool], *, interval: float, failures: int, grace: float) -> None:
        self._check = check
        self._interval = interval
        self._patience = interval * failures
        self._born = self._last_pass = time.monotonic()
        self._grace = grace
        self.state = "starting"

    def watch(self, alive: Callable[[], bool], changed: Callable[[], None] = lambda: None) -> None:
        """Repeat the check until `alive` says no, calling `changed` after each change of state."""
        while alive():
            before, passed = self.state, self._check()
            now = time.monotonic()
            if passed:
                self._last_pass, self.state = now, "healthy"
            elif now - self._last_pass > self._patience and now - self._born > self._grace:
                self.state = "unhealthy"
            if self.state != before:
                changed()
            self._rest(alive)

    def _rest(self, alive: Callable[[], bool]) -> None:
        end = time.monotonic() + (self._interval if self.state == "healthy" else min(1.0, self._interval))
        while alive() and time.monotonic() < end:
            time.sleep(POLL)
