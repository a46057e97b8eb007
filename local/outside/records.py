"""What the outside world keeps in memory: calls, deliveries, refusals, and the faults it was told to have."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

Json = dict[str, Any]

_ERROR_STATUSES = frozenset(status.value for status in HTTPStatus if status.value >= 400)
INSTEAD = ("garbage", "error_inside", "no_connection", "expired_certificate")
"""What can come instead of an answer; see `Fault`."""
ON_CONNECTING = ("no_connection", "expired_certificate")
"""Those of them that a caller meets before it can ask anything."""
KEPT_RECORDS = 100_000
"""The newest records of each kind that are kept, so that a long run cannot fill the memory."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as the provider bills them.

    `input_tokens` counts the whole prompt: its images (`image_tokens`), what was read from the cache (`cached_tokens`)
    and what was written to it at a charge (`cache_write_tokens`, of which `cache_write_1h_tokens` for an hour).
    `output_tokens` counts the whole answer, with what the model thought before it (`reasoning_tokens`).
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    image_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Call:
    """One answered request; never a word of its prompt or of its answer.

    `time` is in seconds since 1970. `region` is the AWS region or Google's location, "" where a provider's host does
    not tell. `operation` is the provider's own name of it, such as "converse-stream" or "chat/completions".
    `cut` says that a fault kept the caller from the whole answer.
    """

    time: float
    host: str
    region: str
    provider: str
    operation: str
    model: str
    streamed: bool
    status: int
    usage: Usage = Usage()
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """A host that somebody asked for and that is not simulated. `time` is in seconds since 1970."""

    time: float
    host: str
    port: int
    reason: str


@dataclass(frozen=True, slots=True)
class Fault:
    """How a host misbehaves.

    Parameters
    ----------
    status
        HTTP error to answer with, in the provider's own error format; None answers as usual.
    count
        How many requests it hits; None hits all until it is taken away.
    delay_seconds
        Wait before the answer begins.
    chunk_delay_seconds
        Wait before each chunk of the answer's body: a slow stream.
    cut_after_bytes
        Break the connection after that many bytes of the answer's body.
    hang_after_bytes
        Send nothing more after that many bytes of the answer's body, and keep the connection.
    instead
        What comes instead of the answer, a word of `INSTEAD`: with status 200 a page that no provider sends
        ("garbage"), or an error in the provider's format ("error_inside"; in a stream after the first half of it); or
        the connection is refused, or made with a certificate that has expired. These two count no requests, and break
        the connections that there are.
    retry_after_seconds
        The header Retry-After of a 429 or 503, where the provider sends one.
    clock_seconds
        How far the host's clock is before its callers': what they have signed is older there, and less than 0 newer.
    """

    status: int | None = None
    count: int | None = None
    delay_seconds: float = 0.0
    chunk_delay_seconds: float = 0.0
    cut_after_bytes: int | None = None
    hang_after_bytes: int | None = None
    instead: str | None = None
    retry_after_seconds: int = 1
    clock_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.status is not None and self.status not in _ERROR_STATUSES:
            raise ValueError(f"A fault's status must be an HTTP error, such as 429 or 503, not {self.status}.")
        if self.count is not None and self.count < 1:
            raise ValueError(f"A fault's count must be at least 1, or null for every request, not {self.count}.")
        if self.instead is not None and self.instead not in INSTEAD:
            raise ValueError(f"A fault's instead must be one of {', '.join(INSTEAD)}, not {self.instead!r}.")
        if self.instead in ON_CONNECTING and self.count is not None:
            raise ValueError(
                f"A fault that is {self.instead} hits connections and counts no requests: leave out count."
            )
        numbers = ("delay_seconds", "chunk_delay_seconds", "cut_after_bytes", "hang_after_bytes", "retry_after_seconds")
        for name in numbers:
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"A fault's {name} must not be negative, but is {value}.")


NO_FAULT = Fault()


@dataclass
class Journal:
    """All records and faults; safe to use from any thread."""

    _calls: deque[Call] = field(default_factory=lambda: deque(maxlen=KEPT_RECORDS))
    _refusals: deque[Refusal] = field(default_factory=lambda: deque(maxlen=KEPT_RECORDS))
    _datadog: deque[tuple[float, Json]] = field(default_factory=lambda: deque(maxlen=KEPT_RECORDS))
    _slack: deque[Json] = field(default_factory=lambda: deque(maxlen=KEPT_RECORDS))
    _faults: dict[str, Fault] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add_call(self, call: Call) -> None:
        """Keep one answered request."""
        with self._lock:
            self._calls.append(call)

    def add_refusal(self, host: str, port: int, reason: str) -> None:
        """Keep one refused host."""
        with self._lock:
            self._refusals.append(Refusal(time.time(), host, port, reason))

    def add_datadog(self, logs: Iterable[Json]) -> None:
        """Keep the log records of one delivery to Datadog, whole."""
        with self._lock:
            self._datadog.extend((time.time(), log) for log in logs)

    def add_slack(self, message: Json) -> None:
        """Keep one message to Slack, whole."""
        with self._lock:
            self._slack.append(message)

    def calls(self) -> list[Call]:
        """Return the answered requests, oldest first."""
        with self._lock:
            return list(self._calls)

    def refused(self) -> list[Refusal]:
        """Return the refused hosts, oldest first, once for each attempt."""
        with self._lock:
            return list(self._refusals)

    def datadog(self) -> list[Json]:
        """Return the log records that Datadog was sent, oldest first."""
        with self._lock:
            return [log for _, log in self._datadog]

    def datadog_arrivals(self) -> list[tuple[float, Json]]:
        """Return the same with the time of each one's arrival, in seconds since 1970."""
        with self._lock:
            return list(self._datadog)

    def slack(self) -> list[Json]:
        """Return the messages that Slack was sent, oldest first."""
        with self._lock:
            return list(self._slack)

    def clear(self, *kinds: str) -> None:
        """Forget the records of the kinds "calls", "refused", "datadog", "slack"; all of them without arguments."""
        records: dict[str, deque[Any]] = {
            "calls": self._calls,
            "refused": self._refusals,
            "datadog": self._datadog,
            "slack": self._slack,
        }
        with self._lock:
            for kind in kinds or records:
                records[kind].clear()

    def faults(self) -> dict[str, Fault]:
        """Return the faults in force, by host or pattern."""
        with self._lock:
            return dict(self._faults)

    def set_fault(self, host: str, fault: Fault) -> None:
        """Make a host misbehave. `host` may have wildcards: "*.openai.azure.com"."""
        with self._lock:
            self._faults[host.lower()] = fault

    def clear_fault(self, host: str | None = None) -> None:
        """Let a host behave again; every host if none is named."""
        with self._lock:
            if host is None:
                self._faults.clear()
            else:
                self._faults.pop(host.lower(), None)

    def meets(self, host: str) -> str | None:
        """Return what who connects to this host meets instead of it, of `ON_CONNECTING`."""
        with self._lock:
            found = next((fault for pattern, fault in self._faults.items() if fnmatchcase(host, pattern)), NO_FAULT)
        return found.instead if found.instead in ON_CONNECTING else None

    def take_fault(self, host: str) -> Fault:
        """Return the fault that the next answer of this host has, and count it."""
        with self._lock:
            for pattern, fault in self._faults.items():
                if fnmatchcase(host, pattern):
                    if fault.count == 1:
                        del self._faults[pattern]
                    elif fault.count is not None:
                        self._faults[pattern] = replace(fault, count=fault.count - 1)
                    return fault
        return NO_FAULT
