"""ops/bench_gateway/generator.py: what it notes of an answer. Locust is not installed here: names stand in for it."""

from __future__ import annotations

import importlib
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from unittest import mock

import pytest

from ops.bench_gateway import prompts

STANDING_IN: dict[str, dict[str, object]] = {
    "gevent": {},
    "geventhttpclient": {"HTTPClient": type("HTTPClient", (), {})},
    "locust": {"User": object, "task": lambda function: function},
    "locust.env": {"Environment": object},
    "locust.exception": {"StopUser": StopIteration},
}


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    for name, content in STANDING_IN.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    yield importlib.import_module("ops.bench_gateway.generator")
    sys.modules.pop("ops.bench_gateway.generator")


class Response:
    """An answer as geventhttpclient gives it, of these lines."""

    def __init__(self, kind: str, *lines: bytes) -> None:
        self._kind, self._lines = kind, list(lines)

    def get(self, name: str, default: str = "") -> str:
        return self._kind if name == "content-type" else default

    def readline(self, end: bytes) -> bytes:
        assert end == b"\n"
        return self._lines.pop(0) if self._lines else b""

    def read(self) -> bytes:
        return b"".join(self._lines)


def test_each_event_of_a_stream_is_noted_with_its_time(generator: ModuleType) -> None:
    lines = (b'data: {"a": 1}\n', b"\n", b": keep-alive\n", b"event: delta\n", b'data: {"b": 2}\n', b"data: [DONE]\n")
    events: list[float] = []
    begin = time.perf_counter()
    assert generator.Caller._read(Response("text/event-stream; charset=utf-8", *lines), events, begin) == ""
    assert len(events) == 3
    assert 0 <= events[0] <= events[1] <= events[2] <= time.perf_counter() - begin


def test_an_error_in_a_stream_is_the_end_of_it(generator: ModuleType) -> None:
    lines = (b'data: {"a": 1}\n', b'data: {"error": {"message": "no"}}\n', b"data: [DONE]\n")
    events: list[float] = []
    assert '"no"' in generator.Caller._read(Response("text/event-stream", *lines), events, 0.0)
    assert len(events) == 2


def test_of_another_answer_the_beginning_is_kept(generator: ModuleType) -> None:
    events: list[float] = []
    assert generator.Caller._read(Response("application/json", b"x" * 900), events, 0.0) == "x" * 400
    assert events == []


class Connection:
    """One of geventhttpclient's: it answers, or breaks."""

    breaks = False
    closed = False

    def request(self, *_: object) -> Response:
        if self.breaks:
            raise ConnectionError
        return Response("application/json", b"{}")

    def close(self) -> None:
        self.closed = True


def test_a_connection_is_opened_only_if_none_is_idle(
    generator: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    opened: list[Connection] = []

    def open_one(*_: object, **__: object) -> Connection:
        opened.append(Connection())
        return opened[-1]

    monkeypatch.setattr(generator.HTTPClient, "from_url", open_one, raising=False)
    monkeypatch.setattr(Response, "status_code", 200, raising=False)
    (tmp_path / "body").write_bytes(b"{}")
    request = {"path": "/", "body": str(tmp_path / "body"), "headers": {}, "number": 1, "lane": "plain"}
    caller = generator.Caller()
    caller.target, caller.patience, caller.clock = {"url": "http://127.0.0.1"}, 1.0, [0.0]
    caller.idle, caller.answers, caller.lane = [], [], deque([request] * 4)
    caller.environment = mock.MagicMock()
    for _ in range(2):
        caller.ask()
    assert (len(opened), caller.idle) == (1, opened)
    opened[0].breaks = True
    caller.ask()
    assert (opened[0].closed, caller.idle, caller.answers[-1]["status"]) == (True, [], 0)
    caller.ask()
    assert len(opened) == 2


def test_the_numbers_place_is_that_of_the_bodies(generator: ModuleType, tmp_path: Path) -> None:
    assert generator.NUMBER.decode() == prompts.NUMBER
    file = tmp_path / "body"
    file.write_bytes(b"once")
    assert generator.body_of(str(file)) == b"once"
    file.unlink()
    assert generator.body_of(str(file)) == b"once"
