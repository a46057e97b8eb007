"""ops/bench_gateway/generator.py: what it notes of an answer. Locust is not installed here: names stand in for it."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ops.bench_gateway import prompts

STANDING_IN: dict[str, dict[str, object]] = {
    "gevent": {},
    "geventhttpclient": {"HTTPClient": object},
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

    def get(self, name: str, default: str) -> str:
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


def test_the_numbers_place_is_that_of_the_bodies(generator: ModuleType, tmp_path: Path) -> None:
    assert generator.NUMBER.decode() == prompts.NUMBER
    file = tmp_path / "body"
    file.write_bytes(b"once")
    assert generator.body_of(str(file)) == b"once"
    file.unlink()
    assert generator.body_of(str(file)) == b"once"
