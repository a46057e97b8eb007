"""Twice what a LiteLLM can do: who is refused, how quickly, and whether what had begun goes on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final, Self

import httpx

from ops.bench_gateway.load import Answer
from ops.bench_gateway.statistics import percentile

REFUSED: Final = (429, 503)
"""How a gateway says that it can take no more; with Retry-After, a client knows when to come again."""

PLAIN: Final = "plain"
STREAMS: Final = "streams"


def figures(answers: Sequence[Answer]) -> dict[str, float]:
    """What became of the requests, by what it is called: percent, milliseconds, or a number of them."""
    refused = [answer for answer in answers if answer.status in REFUSED]
    good = [answer for answer in answers if answer.is_good]
    others = [answer for answer in answers if answer not in refused and answer not in good]
    begun = [answer for answer in others if answer.events]
    return {
        "refused, %": 100 * len(refused) / len(answers),
        "p99 of a refusal, ms": 1000 * percentile([answer.seconds for answer in refused], 99) if refused else 0.0,
        "refusals without Retry-After": sum(not answer.retry_after for answer in refused),
        "p99 of an answer, ms": 1000 * percentile([answer.seconds for answer in good], 99) if good else 0.0,
        "failed otherwise": len(others) - len(begun),
        "streams that had begun and broke": len(begun),
    }


class Health:
    """Asks for the health of a LiteLLM as a load balancer does, while something else goes on: a context manager.

    Attributes
    ----------
    failed
        How many checks were not answered with 200 in time.
    """

    TIMEOUT: Final = 10.0  # seconds, as the load balancer's (docs/design.md, Time-outs)

    def __init__(self, url: str, *, interval: float = 1.0) -> None:
        self.failed = 0
        self._interval = interval  # seconds
        self._url = f"{url}/health/liveliness"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End, with the answer to the last check."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with httpx.Client(timeout=self.TIMEOUT, trust_env=False) as http:
            while not self._over.wait(self._interval):
                try:
                    self.failed += http.get(self._url).status_code != 200
                except httpx.HTTPError:
                    self.failed += 1
