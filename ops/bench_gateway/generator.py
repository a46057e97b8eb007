"""The load generator's own program: Locust as a library, in a process of its own that the benchmark talks to.

    python generator.py

A line of its input is the path of a plan, and a line of its output the path of what came of it. A plan (JSON) has lanes
of callers, each of whom takes the lane's next request. Where a request has a time (`at`, seconds from the beginning),
it is sent then, whatever became of those before it, as long as a caller is free: an open loop, in which the time of an
answer counts from when it should have been asked for. Where it has none, it is sent as soon as a caller is free.

A request takes a connection that is idle, whoever had it, and opens one only if none is: as a load balancer does.

It runs in Locust's own environment (`locust.in`), and imports nothing of the project.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gevent  # type: ignore[import-untyped]
from geventhttpclient import HTTPClient  # type: ignore[import-not-found]  # Locust's own client
from locust import User, task  # type: ignore[import-not-found]  # is not installed where types are checked
from locust.env import Environment  # type: ignore[import-not-found]
from locust.exception import StopUser  # type: ignore[import-not-found]

NUMBER = b"@NUMBER@"
"""Is replaced in each body by a number of its own: no two prompts are the same."""

POLL = 0.02  # seconds
_bodies: dict[str, bytes] = {}


def body_of(file: str) -> bytes:
    """What a file holds; each is read once."""
    if file not in _bodies:
        _bodies[file] = Path(file).read_bytes()
    return _bodies[file]


class Caller(User):  # type: ignore[misc]
    """Asks for what is left in its lane, and leaves when nothing is."""

    abstract = True
    target: dict[str, Any]
    lanes: Iterator[deque[dict[str, Any]]]
    answers: list[dict[str, Any]]
    clock: list[float]  # when the first request is due, once that is known
    idle: list[HTTPClient]  # the connections that nobody has at the moment
    patience: float

    def on_start(self) -> None:
        """Take a place in a lane."""
        self.lane = next(self.lanes)

    def connection(self) -> HTTPClient:
        """Take the one that was in use last, or open another."""
        if self.idle:
            return self.idle.pop()
        return HTTPClient.from_url(
            self.target["url"],
            connection_timeout=self.patience,
            network_timeout=self.patience,
            ssl_options={"ca_certs": self.target.get("ca_file")},
            proxy_host=self.target.get("proxy_host"),
            proxy_port=self.target.get("proxy_port"),
        )

    @task  # type: ignore[untyped-decorator]
    def ask(self) -> None:
        """Send the next request when it is due, and note what came and when."""
        while not self.clock:
            gevent.sleep(POLL)
        if not self.lane:
            raise StopUser
        request, begin = self.lane.popleft(), self.clock[0]
        body = body_of(request["body"]).replace(NUMBER, str(request["number"]).encode())
        if "at" in request:
            gevent.sleep(max(0.0, begin + request["at"] - time.perf_counter()))
        noted = {"lane": request["lane"], "at": request.get("at"), "sent": time.perf_counter() - begin, "events": []}
        http = self.connection()
        try:
            answer = http.request("POST", request["path"], body, request["headers"])
            noted |= {"status": answer.status_code, "retry_after": answer.get("retry-after")}
            noted["text"] = self._read(answer, noted["events"], begin)
            self.idle.append(http)
        except Exception as error:
            http.close()
            noted |= {"status": 0, "text": f"{type(error).__name__}: {error}"}
        noted["end"] = time.perf_counter() - begin
        self.answers.append(noted)
        failed = None if noted["status"] == 200 else RuntimeError(noted["text"])
        self.environment.events.request.fire(
            request_type="POST",
            name=request["lane"],
            response_time=1000 * (noted["end"] - noted["sent"]),
            response_length=0,
            exception=failed,
            context={},
        )

    @staticmethod
    def _read(answer: Any, events: list[float], begin: float) -> str:  # noqa: ANN401 - geventhttpclient's response
        """Read all, and note when each event of a stream came; the beginning of an answer that is none is returned."""
        if not str(answer.get("content-type", "")).startswith("text/event-stream"):
            return bytes(answer.read()).decode(errors="replace")[:400]
        while line := answer.readline(b"\n"):
            if line.startswith(b"data:"):
                events.append(time.perf_counter() - begin)
                if b'"error"' in line[:40]:
                    return bytes(line).decode(errors="replace")[:400]
        answer.read()
        return ""


def run(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Carry out a plan, and return each request with its status and its times in seconds from the beginning."""
    lanes: list[deque[dict[str, Any]]] = []
    for name, lane in plan["lanes"].items():
        queue = deque({**request, "lane": name} for request in lane["requests"])
        lanes += [queue] * min(lane["callers"], len(queue))
    answers: list[dict[str, Any]] = []
    clock: list[float] = []
    idle: list[HTTPClient] = []
    own = {
        "target": plan["target"],
        "lanes": iter(lanes),
        "answers": answers,
        "clock": clock,
        "idle": idle,
        "patience": plan["patience"],
    }
    environment = Environment(user_classes=[type("BenchCaller", (Caller,), own)])
    runner = environment.create_local_runner()
    runner.start(len(lanes), spawn_rate=len(lanes))
    wanted = sum(len(lane["requests"]) for lane in plan["lanes"].values())
    end = time.perf_counter() + plan["limit"]
    while runner.user_count < len(lanes) and time.perf_counter() < end:
        gevent.sleep(POLL)
    clock.append(time.perf_counter() + POLL)
    while len(answers) < wanted and time.perf_counter() < end:
        gevent.sleep(POLL)
    runner.quit()
    for http in idle:
        http.close()
    return list(answers)


def main() -> None:
    """Carry out plans until there are no more."""
    for line in sys.stdin:
        file = Path(line.strip())
        answers = run(json.loads(file.read_bytes()))
        result = file.with_suffix(".answers.json")
        result.write_text(json.dumps(answers))
        print(result, flush=True)


if __name__ == "__main__":
    main()
