"""ops/bench_gateway/overload.py: what is told of answers and refusals, and of the health beside them."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler

from ops.bench_gateway import overload
from ops.bench_gateway.load import Answer
from ops.bench_server import BenchServer


def answer(status: int, end: float = 1.0, **more: object) -> Answer:
    return Answer(lane="plain", due=0, sent=0, end=end, status=status, **more)  # type: ignore[arg-type]


def test_what_became_of_each_request() -> None:
    found = overload.figures(
        [
            *(answer(200, 2.0) for _ in range(4)),
            answer(200, 3.0, events=(1.0, 2.0)),
            answer(503, 0.25, text="busy", retry_after="5"),
            answer(429, 0.5, text="busy"),
            answer(500, text="no"),
            answer(0, text="TimeoutError", events=(1.0,)),
            answer(200, text='data: {"error": {}}', events=(1.0,)),
        ]
    )
    assert found == {
        "refused, %": 20,
        "p99 of a refusal, ms": 500,
        "refusals without Retry-After": 1,
        "p99 of an answer, ms": 3000,
        "failed otherwise": 1,
        "streams that had begun and broke": 2,
    }


def test_nobody_is_refused() -> None:
    found = overload.figures([answer(200)])
    assert (found["refused, %"], found["p99 of a refusal, ms"], found["p99 of an answer, ms"]) == (0, 0, 1000)


def test_a_failed_health_check_is_counted() -> None:
    asked: list[str] = []
    enough = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if len(asked) == 1 else 503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            if len(asked) == 3:
                enough.set()

        def log_message(self, *_: object) -> None:
            pass

    with BenchServer(Handler) as server, overload.Health(server.url, interval=0.01) as health:
        assert enough.wait(30)
    assert set(asked) == {"/health/liveliness"}
    assert health.failed == len(asked) - 1
