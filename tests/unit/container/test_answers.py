"""What goes out of a failure, by the route; tests/e2e/test_access.py asks every route of the real LiteLLM."""

import asyncio
import json
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from stacks.litellm_config import SERVED_AS
from tests.unit.container.loading import loaded, stand_in

Json = dict[str, Any]
UNREADABLE = "The request could not be read: its format is not that of this operation."
CHAT, MESSAGES, GENERATE = "/v1/chat/completions", "/v1/messages/count_tokens", "/v1beta/models/m:generateContent"
OPENAI = {"message": UNREADABLE, "type": "invalid_request_error", "param": None, "code": "400"}
OF_ROUTE: dict[str, Json] = {
    CHAT: {"error": OPENAI},
    MESSAGES: {"type": "error", "error": {"type": "invalid_request_error", "message": UNREADABLE}},
    GENERATE: {"error": {"code": 400, "message": UNREADABLE, "status": "INVALID_ARGUMENT"}},
}
PYDANTIC = "1 validation error for TokenCountRequest\nmessages\n  Input should be a valid list"
SAID = "Invalid type for 'metadata': expected an object, but got a string instead."
OF_OPENAI = {"message": SAID, "type": "bad_request_error", "param": "metadata", "code": "400"}
OF_GOOGLE = {"code": 429, "message": "Resource exhausted.", "status": "RESOURCE_EXHAUSTED", "details": [{"a": 1}]}
OUT_OF_BUDGET = {"message": "Your budget is used up.", "type": "budget_exceeded", "param": None, "code": "400"}

# By name: the route, the status and the document that LiteLLM answers with, and what goes out.
ANSWERED: dict[str, tuple[str, int, object, int, object]] = {
    "Python's words": (MESSAGES, 500, {"type": "error", "error": {"message": PYDANTIC}}, 400, OF_ROUTE[MESSAGES]),
    "of FastAPI": (
        "/mcp-rest/tools/call",
        500,
        {"detail": {"error": "internal_server_error", "message": "Expecting value: line 1 column 1 (char 0)"}},
        400,
        {"detail": {"error": UNREADABLE}},
    ),
    "of JSON-RPC": (
        "/mcp",
        400,
        {"jsonrpc": "2.0", "id": 1, "error": {"code": -32700, "message": PYDANTIC}},
        400,
        {"jsonrpc": "2.0", "id": 1, "error": {**OPENAI, "code": -32700}},
    ),
    "a variable's name": (
        "/v2/login",
        401,
        {"error": {"message": "Check 'UI_USERNAME' and 'UI_PASSWORD'", "type": "auth_error", "code": "401"}},
        401,
        {"error": {**OPENAI, "message": "The e-mail address or the password is wrong.", "code": "401"}},
    ),
    "OpenAI's words on its route": (CHAT, 400, {"error": OF_OPENAI}, 400, {"error": OF_OPENAI}),
    "OpenAI's words on Google's route": (
        GENERATE,
        400,
        {"error": OF_OPENAI},
        400,
        {"error": {"code": 400, "message": SAID, "status": "INVALID_ARGUMENT"}},
    ),
    "OpenAI's words on Anthropic's route": (
        "/v1/messages",
        401,
        {"error": OF_OPENAI},
        401,
        {"type": "error", "error": {"type": "authentication_error", "message": SAID}},
    ),
    "a budget on Google's route": (
        GENERATE,
        400,
        {"error": OUT_OF_BUDGET},
        400,
        {
            "error": {
                "code": 400,
                "message": "Your budget is used up.",
                "status": "INVALID_ARGUMENT",
                "type": "budget_exceeded",
            }
        },
    ),
    "Google's own": (GENERATE, 429, {"error": OF_GOOGLE}, 429, {"error": OF_GOOGLE}),
    "no such route": ("/none", 404, {"detail": "Not Found"}, 404, {"detail": "Not Found"}),
    "what is wrong in a form": ("/key/generate", 422, {"detail": [{"msg": "Field required"}]}, 422, None),
    "no object": (CHAT, 500, ["a"], 500, ["a"]),
}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    parts: dict[str, dict[str, Any]] = {
        "fastapi": {"HTTPException": ValueError},
        "litellm": {},
        "litellm.integrations": {},
        "litellm.integrations.custom_logger": {"CustomLogger": object},
    }
    stand_in(monkeypatch, parts)
    for name in ("reach", "errors"):
        monkeypatch.setitem(sys.modules, name, loaded(name))
    return loaded("answers")


def answering(status: int, *parts: bytes, kind: bytes = b"application/json") -> Callable[..., Any]:
    async def application(scope: object, receive: object, send: Any) -> None:  # noqa: ANN401 - ASGI's
        length = str(len(b"".join(parts))).encode()
        headers = [(b"content-type", kind), (b"Content-Length", length), (b"retry-after", b"3")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        for number, part in enumerate(parts, start=1):
            await send({"type": "http.response.body", "body": part, "more_body": number < len(parts)})

    return application


def failing(error: Exception) -> Callable[..., Any]:
    async def application(scope: object, receive: object, send: object) -> None:
        raise error

    return application


async def unhandled(scope: object, error: Exception) -> Callable[..., Any]:
    """LiteLLM's own answer of what no route has caught."""
    if "database" in str(error):
        return answering(503, b'{"error": {"message": "The database is away.", "code": "503"}}')
    return answering(500, b'{"error": {"message": "Internal server error", "type": "internal_server_error"}}')


async def reading(scope: Json, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
    """An application that answers when it has the whole of a request."""
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] == "http.disconnect":
        raise ConnectionError
    await answering(200, b"{}")(scope, receive, send)


def sent(
    answers: types.ModuleType, application: object, path: str, *, said: bytes = b"", parts: tuple[bytes, ...] = (b"",)
) -> list[Json]:
    """What goes out of one request, message by message; the request says how long it is, if it does, and has a body."""
    out: list[Json] = []
    coming = iter([{"type": "http.request", "body": part, "more_body": True} for part in parts[:-1]])

    async def send(message: Json) -> None:
        out.append(message)

    async def receive() -> Json:
        return next(coming, {"type": "http.request", "body": parts[-1]})

    scope = {"type": "http", "path": path, "headers": [(b"content-length", said)] if said else []}
    asyncio.run(answers.Answers(application, unhandled)(scope, receive, send))
    return out


def told(answers: types.ModuleType, application: object, path: str) -> tuple[int, Any]:
    start, body = sent(answers, application, path)
    headers = {name.lower(): value for name, value in start["headers"]}
    assert headers == {
        b"content-type": b"application/json",
        b"retry-after": b"3",
        b"content-length": str(len(body["body"])).encode(),
    }
    assert not body.get("more_body")
    return start["status"], json.loads(body["body"])


def test_litellm_starts_it() -> None:
    assert "answers:begin" in SERVED_AS["LITELLM_WORKER_STARTUP_HOOKS"].split(",")


class FastApiError(Exception):
    """Starlette's HTTPException."""


class ProxyError(Exception):
    """LiteLLM's ProxyException."""

    def __init__(self, **said: object) -> None:
        self.said = said


class Layer:
    """Starlette's ExceptionMiddleware."""

    def __init__(self) -> None:
        self.handlers: dict[type[Exception], Any] = {}

    def add_exception_handler(self, kind: type[Exception], handler: object) -> None:
        self.handlers[kind] = handler


@pytest.mark.parametrize(
    ("reason", "out"),
    [
        (OSError(28, "No space left on device"), "Invalid form payload: [Errno 28] No space left on device"),
        (RecursionError(), "There was an error parsing the body"),
        (None, "There was an error parsing the body"),
    ],
)
def test_a_form_that_could_not_be_kept_is_told_from_one_that_is_wrong(
    answers: types.ModuleType, monkeypatch: pytest.MonkeyPatch, reason: Exception | None, out: str
) -> None:
    async def fastapi_says(_request: object, error: Exception) -> str:
        return str(error)

    async def litellm_says(_request: object, error: ProxyError) -> object:
        return error.said["message"]

    routes = Layer()
    handlers = {Exception: None, FastApiError: fastapi_says, ProxyError: litellm_says}
    layer = types.SimpleNamespace(app=routes)
    app = types.SimpleNamespace(middleware_stack=layer, exception_handlers=handlers)
    parts: dict[str, dict[str, Any]] = {
        "litellm.proxy": {},
        "litellm.proxy._types": {"ProxyException": ProxyError},
        "litellm.proxy.proxy_server": {"app": app},
        "starlette": {},
        "starlette.exceptions": {"HTTPException": FastApiError},
        "starlette.middleware": {},
        "starlette.middleware.exceptions": {"ExceptionMiddleware": Layer},
        "starlette.requests": {"Request": object},
    }
    stand_in(monkeypatch, parts)
    asyncio.run(answers.begin())
    assert isinstance(layer.app, answers.Answers)
    error = FastApiError("There was an error parsing the body")
    error.__cause__ = reason
    assert asyncio.run(routes.handlers[FastApiError](None, error)) == out


@pytest.mark.parametrize("path", OF_ROUTE)
@pytest.mark.parametrize(
    "error",
    [AttributeError("'list' object has no attribute 'get'"), TypeError("list indices must be integers or slices")],
)
def test_a_body_that_is_no_object_is_a_mistake_in_the_routes_format(
    answers: types.ModuleType, path: str, error: Exception
) -> None:
    """An exception that went on to the server would close the connection, which another request may be on."""
    assert told(answers, failing(error), path) == (400, OF_ROUTE[path])


def test_what_nobody_has_caught_tells_nothing_else(answers: types.ModuleType) -> None:
    status, document = told(answers, failing(RuntimeError("of the inside")), MESSAGES)
    assert (status, document["error"]["type"]) == (500, "api_error")
    assert document["error"]["message"].startswith("The gateway could not carry out this request.")
    status, document = told(answers, failing(RuntimeError("no database")), CHAT)
    assert (status, document["error"]["message"]) == (503, "The database is away.")


@pytest.mark.parametrize("path", OF_ROUTE)
@pytest.mark.parametrize("says", [True, False])
def test_what_no_provider_would_take_is_refused_before_it_is_there(
    answers: types.ModuleType, monkeypatch: pytest.MonkeyPatch, path: str, says: bool
) -> None:
    monkeypatch.setattr(answers, "MOST", 10)
    said: dict[str, Any] = {"said": b"11"} if says else {"parts": (b"12345", b"123456", b"")}
    start, body = sent(answers, failing(AssertionError("it was let through")) if says else reading, path, **said)
    error = json.loads(body["body"])["error"]
    assert (start["status"], error["message"]) == (413, answers.TOO_LARGE)
    assert error.get("type", "invalid_request_error") in {"invalid_request_error", "request_too_large"}


@pytest.mark.parametrize(("path", "length"), [(CHAT, 10), ("/v1/files", 11)])
def test_what_may_be_so_large_is_read(
    answers: types.ModuleType, monkeypatch: pytest.MonkeyPatch, path: str, length: int
) -> None:
    monkeypatch.setattr(answers, "MOST", 10)
    body = bytes(length)
    for said in (b"", str(length).encode()):
        assert sent(answers, reading, path, said=said, parts=(body[:5], body[5:]))[0]["status"] == 200


@pytest.mark.parametrize("name", ANSWERED)
def test_an_error_has_the_routes_format_and_nothing_of_the_inside(answers: types.ModuleType, name: str) -> None:
    path, status, document, right, out = ANSWERED[name]
    body = json.dumps(document).encode()
    assert told(answers, answering(status, body[:5], body[5:]), path) == (right, document if out is None else out)


@pytest.mark.parametrize(
    ("status", "kind"), [(200, b"application/json"), (200, b"text/event-stream"), (404, b"text/html")]
)
def test_any_other_answer_goes_out_as_it_comes(answers: types.ModuleType, status: int, kind: bytes) -> None:
    parts = (b'{"error": "', b"Traceback (most recent call last)", b'"}')
    start, *bodies = sent(answers, answering(status, *parts, kind=kind), CHAT)
    assert (start["status"], tuple(each["body"] for each in bodies)) == (status, parts)


def test_an_error_that_is_no_json_goes_out_as_it_is(answers: types.ModuleType) -> None:
    _, body = sent(answers, answering(500, b"{"), CHAT)
    assert body["body"] == b"{"


def test_an_answer_that_has_begun_is_the_servers_to_end(answers: types.ModuleType) -> None:
    async def breaking(scope: object, receive: object, send: Any) -> None:  # noqa: ANN401 - ASGI's
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        sent(answers, breaking, CHAT)


def test_what_is_no_request_is_let_through(answers: types.ModuleType) -> None:
    asked: list[str] = []

    async def application(scope: Json, receive: object, send: object) -> None:
        asked.append(scope["type"])

    asyncio.run(answers.Answers(application, unhandled)({"type": "websocket"}, None, None))
    assert asked == ["websocket"]
