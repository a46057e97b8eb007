"""The client of LiteLLM's figures, against a LiteLLM of our own that answers as the real one does (1.106.12)."""

from __future__ import annotations

import csv
import io
import json
import threading
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from urllib3 import Timeout
from usage import litellm
from usage.cache_prices import CachePrices
from usage.errors import RefusedError, UnavailableError
from usage.litellm import By, LiteLlm, Usage

KEY = "sk-the-key-of-this-test"
DAY = date(2026, 11, 24)
COLUMNS = (
    *("date", "entity_id", "entity_alias", "api_key", "key_alias", "user_id", "user_email", "model", "spend"),
    *("flat_cost", "prompt_tokens", "completion_tokens", "api_requests", "successful_requests", "failed_requests"),
    *("cache_read_input_tokens", "cache_creation_input_tokens"),
)
SONNET, LUNA = "bedrock/us.anthropic.claude-sonnet-5-5", "azure/gpt-6-luna"
MODELS = [("claude-sonnet-5-5", SONNET), ("claude-sonnet-5-5", SONNET), ("sonnet", SONNET), ("gpt-6-luna", LUNA)]
JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """What comes back: in chunks, or with a length that is another one than that of the body."""

    body: Iterable[bytes]
    status: int = 200
    type: str = "text/csv; charset=utf-8"
    length: int | None = None
    ends: bool = True  # with the chunk that says so


def line(**cells: object) -> bytes:
    """One line of an export; what is not given is empty or 0, as there."""
    known = {"date": DAY, "model": SONNET} | dict.fromkeys(COLUMNS[8:], 0) | cells
    text = io.StringIO(newline="")
    csv.writer(text).writerow([known.get(name, "") for name in COLUMNS])
    return text.getvalue().encode()


def export(*lines: bytes) -> Answer:
    return Answer([f"{','.join(COLUMNS)}\r\n".encode(), *lines])


def error(status: int, body: object = "no", kind: str = JSON) -> Answer:
    text = json.dumps({"error": {"message": body}}) if kind == JSON else str(body)
    return Answer([text.encode()], status, kind)


def model_info(**info: object) -> Answer:
    """The models, of which one has this `model_info`."""
    models = [
        {
            "model_name": name,
            "litellm_params": {"model": deployment},
            "model_info": info if deployment == SONNET else {"id": deployment},
        }
        for name, deployment in MODELS
    ]
    return Answer([json.dumps({"data": models}).encode()], type=JSON)


@dataclass
class Server:
    """Answers a path's requests one after the other, and the last answer again and again."""

    url: str = ""
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)  # while it is set, there is no answer
    over: threading.Event = field(default_factory=threading.Event)

    def on(self, path: str, *answers: Answer) -> None:
        self.answers[path] = [*answers]

    def next(self, path: str) -> Answer:
        answers = self.answers[path]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def count(self, path: str) -> int:
        return [asked for asked, _ in self.asked].count(path)


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            server.asked.append((parts.path, dict(parse_qsl(parts.query))))
            if server.silent.is_set():
                server.over.wait()
                return
            answer = server.next(parts.path)
            if self.headers["Authorization"] != f"Bearer {KEY}":
                answer = error(401)
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.type)
            if answer.length is None:
                self.send_header("Transfer-Encoding", "chunked")
            else:
                self.send_header("Content-Length", str(answer.length))
            self.end_headers()
            for piece in answer.body:
                self.wfile.write(piece if answer.length is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
            if answer.length is None and answer.ends:
                self.wfile.write(b"0\r\n\r\n")
            else:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Keep the test's output for failures."""

    return Handler


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(litellm, "PAUSES", (0, 0, 0))
    server = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(server)) as http:
        http.daemon_threads = True
        server.url = f"http://127.0.0.1:{http.server_port}"
        server.on("/model/info", model_info())
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.over.set()
        http.shutdown()


def ask(server: Server, end: date = DAY, **options: Any) -> list[Usage]:  # noqa: ANN401 - the method's
    return [*LiteLlm(server.url, KEY).usage(DAY, end, **options)]


def refused(server: Server, **options: Any) -> str:  # noqa: ANN401 - the method's
    """The sentence of a refusal, for which nothing is asked twice."""
    with pytest.raises(RefusedError) as problem:
        ask(server, **options)
    assert max(server.count(path) for path in server.answers) == 1
    return _sentence(problem.value)


def _sentence(problem: Exception) -> str:
    sentence = str(problem)
    assert "\n" not in sentence
    assert KEY not in sentence
    return sentence


EXPORT = "/user/daily/activity/export"


def test_what_was_used(server: Server) -> None:
    tokens = {"prompt_tokens": 1200, "completion_tokens": 30}
    cache = {"cache_read_input_tokens": 1000, "cache_creation_input_tokens": 150}
    ana = line(entity_id="ana@example.com", spend="4e-08", api_requests=3, **tokens, **cache)
    server.on(EXPORT, export(ana, line(model=LUNA, spend=0.5)))
    assert ask(server) == [
        Usage(
            date="2026-11-24",
            who="ana@example.com",
            model="claude-sonnet-5-5, sonnet",  # two names of one deployment, of which there are several
            deployment=SONNET,
            requests=3,
            prompt_tokens=1200,
            completion_tokens=30,
            cached_tokens=1000,
            cache_write_tokens=150,
            cost=4e-08,
            saved=None,  # nothing says what reading from its cache costs
        ),
        Usage("2026-11-24", "", "gpt-6-luna", LUNA, 0, 0, 0, 0, 0, 0.5, saved=0),
    ]


PRICES = {
    "key": "us.anthropic.claude-sonnet-5-5",
    "input_cost_per_token": 2.2e-6,
    "output_cost_per_token": 11e-6,
    "cache_read_input_token_cost": 0.11e-6,
    "cache_creation_input_token_cost": 2.75e-6,
}


def test_what_the_cache_saved(server: Server) -> None:
    """By the prices that /model/info has: 1,000 tokens read, 150 written, and 50 of the prompt that it had not."""
    server.on("/model/info", model_info(**PRICES))
    tokens = {"prompt_tokens": 1200, "completion_tokens": 30}
    cache = {"cache_read_input_tokens": 1000, "cache_creation_input_tokens": 150}
    cost = 50 * 2.2e-6 + 1000 * 0.11e-6 + 150 * 2.75e-6 + 30 * 11e-6
    server.on(EXPORT, export(line(spend=cost, **tokens, **cache), line(spend=1, model=LUNA, **tokens, **cache)))
    assert [usage.saved for usage in ask(server)] == [pytest.approx(1000 * 2.09e-6 - 150 * 0.55e-6), None]


def test_prices_of_caches_by_what_people_ask_for(server: Server) -> None:
    server.on("/model/info", model_info(**PRICES))
    assert LiteLlm(server.url, KEY).cache_prices() == {"claude-sonnet-5-5, sonnet": CachePrices.of(PRICES)}
    server.on("/model/info", model_info())
    assert LiteLlm(server.url, KEY).cache_prices() == {}


def test_a_deployment_that_is_gone_has_its_own_name(server: Server) -> None:
    server.on(EXPORT, export(line(model="bedrock/gone")))
    assert [usage.model for usage in ask(server)] == ["bedrock/gone"]


def test_a_day_is_a_request(server: Server) -> None:
    days = ["2026-11-24", "2026-11-25", "2026-11-26"]
    server.on(EXPORT, *(export(line(date=day)) for day in days))
    assert [usage.date for usage in ask(server, end=date(2026, 11, 26))] == days
    query = {"export_type": "daily_with_models", "format": "csv"}
    assert server.asked == [
        ("/model/info", {}),
        *((EXPORT, {"start_date": day, "end_date": day, **query}) for day in days),
    ]


@pytest.mark.parametrize("by", ["user", "team", "tag"])
def test_by_whom(server: Server, by: By) -> None:
    server.on(f"/{by}/daily/activity/export", export(line(entity_id="one")))
    assert [usage.who for usage in ask(server, by=by)] == ["one"]


def test_without_models(server: Server) -> None:
    server.on(EXPORT, export(line(entity_id="ana@example.com", model="", api_requests=2)))
    (usage,) = ask(server, models=False)
    assert (usage.model, usage.deployment, usage.requests) == ("", "", 2)
    ((_, query),) = server.asked  # nobody asks for names of models
    assert query["export_type"] == "daily"


def test_a_day_without_use(server: Server) -> None:
    server.on(EXPORT, export())
    assert ask(server) == []


def test_no_days(server: Server) -> None:
    assert ask(server, end=date(2026, 11, 23)) == []
    assert not server.asked


@pytest.mark.parametrize(
    ("sent", "who"),
    [
        ("Ana, Öller <ana@example.com>", "Ana, Öller <ana@example.com>"),
        ('"quoted"\nand on', '"quoted"\nand on'),
        ("'=SUM(A1)", "=SUM(A1)"),  # an apostrophe of LiteLLM's, for spreadsheets
        ("'plain", "'plain"),
    ],
)
def test_names_come_as_they_are(server: Server, sent: str, who: str) -> None:
    server.on(EXPORT, export(line(entity_id=sent)))
    assert [usage.who for usage in ask(server)] == [who]


# What passes


ROWS = [line(entity_id=f"user-{number}@example.com", api_requests=1) for number in range(3)]
WHOLE = export(*ROWS)
HALF = [*WHOLE.body][:2]
BROKEN = {
    "chunks": Answer(HALF, ends=False),
    "length": Answer(HALF, length=10_000),
    "line": Answer([*HALF, ROWS[1][:20]]),
    "nothing": Answer([]),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_day_that_broke_off_counts_once(server: Server, broken: Answer) -> None:
    server.on(EXPORT, export(ROWS[0]), broken, broken, WHOLE)
    found = [usage.who for usage in ask(server, end=date(2026, 11, 25))]
    assert found == ["user-0@example.com", *(f"user-{number}@example.com" for number in range(3))]
    assert [query["start_date"] for _, query in server.asked[1:]] == ["2026-11-24", *(["2026-11-25"] * 3)]


def test_a_day_that_always_breaks_off(server: Server) -> None:
    server.on(EXPORT, BROKEN["chunks"])
    with pytest.raises(UnavailableError, match=rf"^LiteLLM did not answer at {server.url} \(ProtocolError\): look"):
        ask(server)
    assert server.count(EXPORT) == 4


def test_where_a_deployment_is_called_is_known_if_all_of_its_entries_say_it(server: Server) -> None:
    entries: list[tuple[str, dict[str, str]]] = [
        ("openai/llama", {"api_base": "https://vllm.example.com:8000/v1"}),
        ("openai/llama", {"api_base": "http://other.example.com"}),
        ("openai/gpt-5.5", {"api_base": "https://api.openai.com/v1"}),
        ("openai/gpt-5.5", {}),
        ("bedrock/zai.glm-5", {"aws_role_name": "arn:aws:iam::222222222222:role/models"}),
    ]
    models = [
        {"model_name": "m", "litellm_params": {"model": deployment, **more}, "model_info": {}}
        for deployment, more in entries
    ]
    server.on("/model/info", Answer([json.dumps({"data": models}).encode()], type=JSON))
    found = LiteLlm(server.url, KEY).deployments()
    assert {name: set(one.hosts) for name, one in found.items()} == {
        "openai/llama": {"vllm.example.com", "other.example.com"},
        "openai/gpt-5.5": set(),
        "bedrock/zai.glm-5": set(),
    }
    assert {name: set(one.accounts) for name, one in found.items() if one.accounts} == {
        "bedrock/zai.glm-5": {"222222222222"}
    }


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("path", ["/model/info", EXPORT])
def test_a_bad_moment_passes(server: Server, path: str, status: int) -> None:
    server.on(EXPORT, WHOLE)
    server.on(path, error(status), *server.answers[path])
    assert len(ask(server)) == len(ROWS)
    assert server.count(path) == 2


def test_a_bad_moment_that_does_not_pass(server: Server) -> None:
    server.on(EXPORT, error(503, f"no database for {KEY}"))
    with pytest.raises(UnavailableError, match=rf"^LiteLLM did not answer {EXPORT} \(503\): look at") as problem:
        ask(server)
    _sentence(problem.value)
    assert server.count(EXPORT) == 4


def test_silence(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "TIMEOUT", Timeout(connect=5, read=0.05))
    server.silent.set()
    with pytest.raises(UnavailableError, match=r"\(ReadTimeoutError\): look at the network"):
        ask(server)
    assert server.count("/model/info") == 4


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "PAUSES", ())
    with pytest.raises(UnavailableError, match=r"^LiteLLM did not answer at http://127.0.0.1:1 \(NewConnectionError\)"):
        [*LiteLlm("http://127.0.0.1:1", KEY).usage(DAY, DAY)]


# What does not


NOT_ALLOWED = {"detail": "Virtual key is not allowed to call this route. Only allowed to call routes: ['/x']"}


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            error(401),
            rf"LiteLLM does not know the key for {EXPORT} (401): raise LABEL in stacks/constructs/litellm_key.py",
        ),
        (
            Answer([json.dumps(NOT_ALLOWED).encode()], 403, JSON),
            f"LiteLLM refused {EXPORT} (403): Virtual key is not allowed to call this route.",
        ),
        (error(400, "no such\nthing as sk-hunter2-hunter2"), f"LiteLLM refused {EXPORT} (400): no such thing as [sec"),
        (error(422, ""), f"LiteLLM refused {EXPORT} (422): no reason given"),
        (
            error(403, "<html><title>403 Forbidden</title></html>", "text/html"),
            f"the web ACL does not let {EXPORT} in from here (403): ask from an address of ingress.management_cidrs",
        ),
        (error(404, "<html>", "text/html"), f"the answer to {EXPORT} is not what lambda/usage/litellm.py reads (its s"),
        (
            Answer([b"<html>"], type="text/html"),
            f"the answer to {EXPORT} is not what lambda/usage/litellm.py reads (it",
        ),
    ],
    ids=["key", "route", "request", "silent", "web-acl", "not-found", "another"],
)
def test_refusals(server: Server, answer: Answer, sentence: str) -> None:
    server.on(EXPORT, answer)
    assert refused(server).startswith(sentence)


@pytest.mark.parametrize("body", ["[]", '{"data": [{"model_name": "x"}]}', '{"data": null}', "{"])
def test_models_that_are_none(server: Server, body: str) -> None:
    server.on("/model/info", Answer([body.encode()], type=JSON))
    assert "(it is no list of models)" in refused(server)


def test_columns_that_an_upgrade_renamed(server: Server) -> None:
    renamed = b"".join(WHOLE.body).replace(b"prompt_tokens", b"input_tokens").replace(b"spend", b"cost")
    server.on(EXPORT, Answer([renamed]))
    assert "(it has no column prompt_tokens, spend): look at the URL, and at what the LiteLLM of" in refused(server)


def test_columns_in_another_order(server: Server) -> None:
    rows = [*csv.reader(io.StringIO(b"".join(WHOLE.body).decode()))]
    turned = "\r\n".join(",".join([*reversed(row), "new"]) for row in rows) + "\r\n"
    server.on(EXPORT, WHOLE, Answer([turned.encode()]))
    assert ask(server) == ask(server)


def test_a_figure_that_is_none(server: Server) -> None:
    server.on(EXPORT, export(line(api_requests="many")))
    assert "(a row of 2026-11-24 has no number where one belongs)" in refused(server)


@pytest.mark.parametrize("url", ["llm.example.com", "ftp://llm.example.com", "https://", ""])
def test_no_url(url: str) -> None:
    with pytest.raises(RefusedError, match=r"is no URL of LiteLLM: write it as https://host$"):
        LiteLlm(url, KEY).models()


def test_a_large_day_is_never_in_memory(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "IN_MEMORY", 1 << 16)
    rows, row = 30_000, line(entity_id="somebody.with.a.long.name@example.com")
    server.on(EXPORT, Answer(chain(export().body, repeat(row, rows))))
    tracemalloc.start()
    try:
        assert sum(1 for _ in LiteLlm(server.url, KEY).usage(DAY, DAY)) == rows
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < rows * len(row) / 4
