"""What callers get of a task that has as many requests in hand as it may, and what it says of that."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import httpx
import openai
import pytest

from local.gateway import LocalGateway
from local.outside.records import Fault
from local.outside.world import OutsideWorld
from tests.e2e.conftest import eventually, sdk

AZURE, GEMINI = "gpt-6-luna", "gemini-3.8-flash"
MESSAGE: Any = {"role": "user", "content": "Say hello"}
SLOW = (2, 10, 50)  # seconds between the pieces of a stream: on a slow machine it takes longer to fill all tasks
REFUSED_IN_A_ROW = 20  # whichever worker of a task a connection comes to
FEW = 5  # in hand: fewer than a worker has places at any time (container/capacity.py)
# One of each format, by its route.
CALLS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": AZURE, "messages": [MESSAGE]},
    "/v1/responses": {"model": AZURE, "input": "Say hello"},
    # Longer than what any connection has room for: nobody waits for the end of it.
    "/v1/messages": {"model": AZURE, "max_tokens": 9, "messages": [{**MESSAGE, "content": "word " * 1_000_000}]},
    f"/v1beta/models/{GEMINI}:generateContent": {"contents": [{"role": "user", "parts": [{"text": "Say hello"}]}]},
}


def tasks(gateway: LocalGateway) -> list[int]:
    """Where the tasks listen."""
    balancing = gateway.client("elbv2")
    (group,) = balancing.describe_target_groups()["TargetGroups"]
    health = balancing.describe_target_health(TargetGroupArn=group["TargetGroupArn"])["TargetHealthDescriptions"]
    return [each["Target"]["Port"] for each in health]


def fill(gateway: LocalGateway, ports: list[int], key: str, held: ExitStack) -> None:
    """Have every worker hold as many requests as it may: calls whose bodies do not come, as long as `held` is open.

    One after another, as a worker that many come to at once is late, and refuses for that alone.
    """
    body_to_come = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: task\r\nContent-Type: application/json\r\nContent-Length: 9\r\n"
        f"Expect: 100-continue\r\nAuthorization: Bearer {key}\r\n\r\n"
    )
    for port in ports:
        refused = 0
        while refused < REFUSED_IN_A_ROW:
            connection = held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            connection.sendall(body_to_come.encode())
            refused = 0 if connection.recv(1000).startswith(b"HTTP/1.1 100 ") else refused + 1


def empty(gateway: LocalGateway) -> bool:
    """Whether nobody is held any more: a worker sees it of one after the other, and refuses who comes before."""

    def look() -> bool:
        told = gateway.api("GET", "/health/backlog").json()
        return bool(told.get("in_flight_requests", REFUSED_IN_A_ROW) < FEW)

    return eventually(look)


def answer(gateway: LocalGateway, key: str, path: str) -> httpx.Response:
    """The answer to the call of this route."""
    return gateway.api("POST", path, key=key, json=CALLS[path])


def test_a_full_task_refuses_at_once_and_goes_on_with_what_it_has(
    gateway: LocalGateway, outside: OutsideWorld, user: str
) -> None:
    key, ports = gateway.user_key(user), tasks(gateway)
    host = next(each for each in gateway.config.hosts(gateway.environment.plain_variables) if ".azure." in each)
    with ExitStack() as held, ThreadPoolExecutor(1) as pool:
        for delay in SLOW:
            # A stream that is on its way for long enough; those that come after it are as quick as ever.
            outside.set_fault(host, Fault(chunk_delay_seconds=delay, count=1))
            stream = iter(sdk(gateway, key).chat.completions.create(model=AZURE, messages=[MESSAGE], stream=True))
            begun, rest = [next(stream)], pool.submit(list, stream)
            fill(gateway, ports, key, held)
            assert eventually(lambda: rest.done() or answer(gateway, key, "/v1/responses").status_code == 503)  # noqa: B023
            if not rest.done():
                break
            held.close()
            assert empty(gateway)
        begun += rest.result()
        assert eventually(lambda: answer(gateway, key, "/v1/responses").is_success)  # it has left its place to another
        fill(gateway, ports, key, held)
        assert eventually(lambda: answer(gateway, key, "/v1/responses").status_code == 503)
        outside.clear("calls")
        for path in CALLS:
            refused = answer(gateway, key, path)
            assert refused.status_code == 503, path
            assert refused.headers["retry-after"] == "1", path
            assert refused.json()["error"]["type"] == "overloaded_error", path
        with pytest.raises(openai.InternalServerError) as error:
            sdk(gateway, key).chat.completions.create(model=AZURE, messages=[MESSAGE])
        assert error.value.status_code == 503
        assert not any(call.model for call in outside.calls())  # no provider hears of it
        for path in ("/health/liveliness", "/health/readiness"):
            assert gateway.api("GET", path).is_success, path
    assert begun[-1].choices[0].finish_reason == "stop"
    assert eventually(lambda: answer(gateway, key, "/v1/responses").is_success)
    assert empty(gateway)  # for whoever comes next
