"""How the simulated providers fail: what a caller meets on the wire, and what the records say of it."""

import json
from collections.abc import Iterator

import httpx
import pytest

from local.outside import failing
from local.outside.event_stream import EVENT_STREAM
from local.outside.records import Fault
from local.outside.world import OutsideWorld

HOST = "api.openai.com"
CHAT = f"https://{HOST}/v1/chat/completions"
BODY = {"model": "gpt-6.1-sol", "messages": [{"role": "user", "content": "Say hello"}]}


@pytest.fixture(autouse=True)
def _well_behaved(world: OutsideWorld) -> Iterator[None]:
    yield
    world.clear_fault()


def ask(world: OutsideWorld, http: httpx.Client, **more: object) -> httpx.Response:
    headers = {"authorization": f"Bearer {world.credentials.openai_api_key}"}
    return http.post(CHAT, json={**BODY, **more}, headers=headers, timeout=30)


def last(world: OutsideWorld) -> tuple[int, bool, int]:
    """Of the last call: its status, whether its caller was kept from the answer, and the tokens of that."""
    call = world.calls()[-1]
    return call.status, call.cut, call.usage.output_tokens


def test_garbage_is_no_json_and_no_answer(world: OutsideWorld, http: httpx.Client) -> None:
    world.set_fault(HOST, Fault(instead="garbage", count=1))
    answer = ask(world, http)
    assert (answer.status_code, answer.text) == (200, failing.PAGE)
    assert last(world) == (200, True, 0)
    assert ask(world, http).json()["choices"]
    assert not last(world)[1]


def test_an_error_inside_has_the_providers_form(world: OutsideWorld, http: httpx.Client) -> None:
    world.set_fault(HOST, Fault(instead="error_inside"))
    assert "error" in ask(world, http).raise_for_status().json()
    *begun, error = ask(world, http, stream=True).raise_for_status().text.strip().split("\n\n")
    assert all("choices" in json.loads(event.removeprefix("data: ")) for event in begun)
    assert begun
    assert "error" in json.loads(error.removeprefix("data: "))
    assert last(world) == (200, True, 0)


@pytest.mark.parametrize(
    ("kind", "error", "said"),
    [
        ("text/event-stream; charset=utf-8", b'{"type": "error"}', b'event: error\ndata: {"type": "error"}\n\n'),
        ("application/json", b"{}", None),
    ],
)
def test_an_error_in_a_stream(kind: str, error: bytes, said: bytes | None) -> None:
    assert failing.in_stream(kind, error) == said


def test_of_aws_it_is_an_exception_of_the_stream() -> None:
    """As botocore reads it."""
    from botocore.eventstream import EventStreamBuffer

    buffer = EventStreamBuffer()
    buffer.add_data(failing.in_stream(EVENT_STREAM, b'{"message": "no"}') or b"")
    (message,) = buffer
    read = message.to_response_dict()
    assert (read["status_code"], read["body"]) == (400, b'{"message": "no"}')
    assert read["headers"] == {
        ":exception-type": "serviceUnavailableException",
        ":content-type": "application/json",
        ":message-type": "exception",
    }


@pytest.mark.parametrize("bytes_sent", [0, 40])
def test_a_hang_sends_so_much_and_keeps_the_connection(
    world: OutsideWorld, http: httpx.Client, bytes_sent: int
) -> None:
    world.set_fault(HOST, Fault(hang_after_bytes=bytes_sent))
    headers = {"authorization": f"Bearer {world.credentials.openai_api_key}"}
    got = b""
    with (
        pytest.raises(httpx.ReadTimeout),
        http.stream("POST", CHAT, json={**BODY, "stream": True}, headers=headers, timeout=60) as answer,
    ):
        answer.request.extensions["timeout"]["read"] = 2  # seconds, of what comes after the head
        for piece in answer.iter_raw():
            got += piece
    assert len(got) == bytes_sent
    assert last(world)[:2] == (200, True)


@pytest.mark.parametrize(
    ("instead", "words"), [("no_connection", None), ("expired_certificate", "certificate has expired")]
)
def test_who_connects_meets_it_and_who_was_connected_is_left(
    world: OutsideWorld, http: httpx.Client, instead: str, words: str | None
) -> None:
    assert ask(world, http).is_success  # the connection stays open
    answered = len(world.calls())
    world.set_fault(HOST, Fault(instead=instead))
    with pytest.raises(httpx.TransportError):
        ask(world, http)
    with pytest.raises(httpx.TransportError, match=words):
        ask(world, http)
    assert len(world.calls()) == answered
    world.clear_fault()
    assert ask(world, http).is_success


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"instead": "noise"}, "must be one of garbage, error_inside, no_connection, expired_certificate"),
        ({"instead": "no_connection", "count": 1}, "counts no requests"),
        ({"hang_after_bytes": -1}, "hang_after_bytes must not be negative"),
    ],
)
def test_what_is_no_fault_is_refused(fault: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Fault(**fault)  # type: ignore[arg-type]
