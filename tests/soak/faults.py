"""What `make soak` draws from: each fault is a `with` block around the running gateway."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import psutil

from local.gateway import LocalGateway
from local.outside.records import Fault

Make = Callable[[LocalGateway], AbstractContextManager[None]]

BEDROCK, ONE_REGION = "bedrock-runtime.*.amazonaws.com", "bedrock-runtime.us-west-2.amazonaws.com"
AZURE, VERTEX = "*.openai.azure.com", "*aiplatform.googleapis.com"
DATADOG, SLACK = "http-intake.logs.*", "hooks.slack.com"
FOREVER = 3600.0  # seconds: longer than anybody waits
BEGUN = 900  # bytes of a stream, with its first words


@contextmanager
def at(hosts: str, fault: Fault, gateway: LocalGateway) -> Iterator[None]:
    """A host misbehaves."""
    gateway.outside.set_fault(hosts, fault)
    try:
        yield
    finally:
        gateway.outside.clear_fault(hosts)


@contextmanager
def frozen(gateway: LocalGateway) -> Iterator[None]:
    """The database does nothing, and keeps its connections, for each of which it has a process."""
    main = psutil.Process(gateway.postgres.process_group)
    processes = [main, *main.children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGCONT)


@contextmanager
def killed(gateway: LocalGateway) -> Iterator[None]:
    """The database ends without a word, and is started again."""
    os.kill(gateway.postgres.process_group, signal.SIGQUIT)
    gateway.postgres.stop()
    try:
        yield
    finally:
        gateway.postgres = gateway.start_postgres()


def _of_providers() -> Iterator[tuple[str, Make]]:
    """Each kind of fault at each place. LiteLLM gives a stream of Gemini's no time-out that a caller can set."""
    places = {"one region of Bedrock": ONE_REGION, "Bedrock": BEDROCK, "Azure": AZURE, "Vertex AI": VERTEX}
    kinds = {
        "throttles": Fault(status=429),
        "is down": Fault(status=503),
        "has no connection": Fault(instead="no_connection"),
        "has an expired certificate": Fault(instead="expired_certificate"),
        "cuts streams": Fault(cut_after_bytes=BEGUN),
        "hangs before the first byte": Fault(delay_seconds=FOREVER),
        "hangs in the middle": Fault(hang_after_bytes=BEGUN),
    }
    for place, hosts in places.items():
        for kind, fault in kinds.items():
            if not (hosts == VERTEX and "hangs" in kind):
                yield f"{place} {kind}", partial(at, hosts, fault)


FAULTS: Mapping[str, Make] = {
    **dict(_of_providers()),
    "Datadog is down": partial(at, DATADOG, Fault(status=503)),
    "Datadog refuses": partial(at, DATADOG, Fault(status=403)),
    "Datadog hangs": partial(at, DATADOG, Fault(delay_seconds=FOREVER)),
    "Slack is down": partial(at, SLACK, Fault(status=503)),
    "Slack hangs": partial(at, SLACK, Fault(delay_seconds=FOREVER)),
    "the database is frozen": frozen,
    "the database is killed": killed,
}
