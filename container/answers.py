"""Whatever LiteLLM answers of a failure passes here before it goes out, on every route, and has the route's format.

LiteLLM shows most failures to its callbacks (container/errors.py), but not what goes wrong before a call is known as
one: a body that is JSON and no object, a form for which there is no room, or what a route finds out by itself (counting
tokens, MCP's tools). Of these a caller would get Python's words, or `Internal server error` and a connection that
uvicorn closes; and in Anthropic's and Google's formats the words of OpenAI's. So this module sits around LiteLLM's
routes, inside its middleware: it looks at answers with an error's status alone, and lets all others through as they
come.

A body that no provider would take is refused here too, before any of it is read: a worker reads a body whole, before it
knows whose it is, and everybody else would wait meanwhile.

LITELLM_WORKER_STARTUP_HOOKS names `answers:begin`, which LiteLLM calls in each worker when it starts.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import errors

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]
# Makes LiteLLM's own answer of an exception that none of its routes has caught, and has it in the log.
Handler = Callable[[Any, Exception], Awaitable[Any]]

# The routes of Anthropic's format, and of Google's.
ANTHROPIC = re.compile(r"/v1/messages(?:/|$)")
GOOGLE = re.compile(r":(?:generateContent|streamGenerateContent|countTokens)$")
# https://platform.claude.com/docs/en/api/errors
ANTHROPIC_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
GOOGLE_STATUSES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
# Bytes: what OpenAI takes with images, and no other of the providers takes more in a request (Anthropic 32 MB).
# https://platform.openai.com/docs/guides/images https://platform.claude.com/docs/en/api/errors
MOST = 50 * 1024**2
TOO_LARGE = f"The request is larger than {MOST // 1024**2} MB, which no provider takes. Send less at once."
FILES = re.compile(r"/files(?:/|$)")  # which may be larger, and answer the management ranges alone
BUDGET = "budget_exceeded"  # a type that no status tells, of container/budgets.py
FIRST_ERROR, FIRST_OF_THE_SERVER = 400, 500

_log = logging.getLogger("LiteLLM")


async def begin() -> None:
    """Put this module around the routes of the worker's application."""
    from litellm.proxy.proxy_server import app  # it is being imported while this module is
    from starlette.exceptions import HTTPException
    from starlette.middleware.exceptions import ExceptionMiddleware
    from starlette.requests import Request

    handler = app.exception_handlers[Exception]
    layer = app.middleware_stack
    while not isinstance(layer.app, ExceptionMiddleware):
        layer = layer.app
    layer.app.add_exception_handler(HTTPException, _with_reason(app.exception_handlers))
    layer.app = Answers(layer.app, lambda scope, error: handler(Request(scope), error))


def _with_reason(handlers: Mapping[Any, Handler]) -> Handler:
    """Return what answers FastAPI's exceptions.

    Where a route is declared with a form, as those of audio and of files are, FastAPI reads it, and says of one that it
    could not keep in a file what it says of one that is wrong. On all others LiteLLM reads it, and says why.
    """
    from litellm.proxy._types import ProxyException
    from starlette.exceptions import HTTPException

    async def answered(request: Any, error: Exception) -> Any:  # noqa: ANN401 - Starlette's
        if not isinstance(reason := error.__cause__, OSError):
            return await handlers[HTTPException](request, error)
        words = f"Invalid form payload: {reason}"
        _log.error(words)
        told = ProxyException(message=words, type="invalid_request_error", param="request_body", code=FIRST_ERROR)
        return await handlers[ProxyException](request, told)

    return answered


class Answers:
    """An ASGI application around LiteLLM's routes."""

    def __init__(self, app: App, handler: Handler) -> None:
        self._app, self._handler = app, handler

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope["path"], send)
        if not FILES.search(scope["path"]):
            if _length(scope) > MOST:
                await answer.refuse()
                return
            receive = answer.bounded(receive)
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:
            if answer.begun:
                raise
            answer.error = error
            await (await self._handler(scope, error))(scope, receive, answer.send)


class _Answer:
    """What goes out to one request."""

    def __init__(self, path: str, send: Send) -> None:
        self.begun = False
        self.error: Exception | None = None  # which nobody has caught
        self._too_large = False
        self._path, self._send = path, send
        self._held: Message | None = None  # the start of an answer of a failure
        self._body = bytearray()

    def bounded(self, receive: Receive) -> Receive:
        """Return what receives the request: one that does not say how long it is ends where it is too large."""
        received = 0

        async def until_too_large() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received <= MOST:
                return message
            self._too_large = True
            return {"type": "http.disconnect"}

        return until_too_large

    async def refuse(self) -> None:
        """Answer that the request is too large."""
        self._too_large = True
        headers = [(b"content-type", b"application/json")]
        await self.send({"type": "http.response.start", "status": 413, "headers": headers})
        await self.send({"type": "http.response.body", "body": b"{}"})

    async def send(self, message: Message) -> None:
        """Let a part of an answer through, or hold it until the whole is there."""
        if message["type"] == "http.response.start":
            self.begun = True
            if message["status"] >= FIRST_ERROR and _is_json(message):
                self._held = message
                return
        elif self._held is not None and message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                start, self._held = self._held, None
                start["status"], body = self._told(start["status"])
                lengthless = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
                start["headers"] = [*lengthless, (b"content-length", str(len(body)).encode())]
                await self._send(start)
                await self._send({"type": "http.response.body", "body": body})
            return
        await self._send(message)

    def _told(self, status: int) -> tuple[int, bytes]:
        """Return the status and the body of what is told."""
        body = bytes(self._body)
        try:
            document = json.loads(body)
        except ValueError:
            return status, body
        if self._too_large:
            found: tuple[str, int] | None = (TOO_LARGE, 413)
        elif self.error is None:
            found = errors.sentence(json.dumps(document, ensure_ascii=False).replace('\\"', '"'), status)
        else:
            found = errors.sentence(str(self.error), status)
            if found is None and status == FIRST_OF_THE_SERVER:
                found = errors.OTHERWISE, status
        words, status = found or (None, status)
        told = _formed(self._path, document, status, words)
        return status, body if told is document else json.dumps(told).encode()


def _length(scope: MutableMapping[str, Any]) -> int:
    """Return how long a request says it is, in bytes."""
    said = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    return int(said) if said.isdigit() else 0


def _is_json(start: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"application/json") for name, value in start["headers"]
    )


def _formed(path: str, document: Any, status: int, words: str | None) -> Any:  # noqa: ANN401 - JSON
    """Return an error with these words, or its own, in the format of its route; the same object if it has both."""
    error = _error(document)
    if error is None and words is None:
        return document
    error = error or {}
    by_server = status >= FIRST_OF_THE_SERVER
    budget = error.get("type") if error.get("type") == BUDGET else None
    said = words or str(error.get("message"))
    if GOOGLE.search(path):
        if words is None and "status" in error:
            return document
        name = GOOGLE_STATUSES.get(status, "INTERNAL" if by_server else "INVALID_ARGUMENT")
        return {"error": {"code": status, "message": said, "status": name, **({"type": budget} if budget else {})}}
    if ANTHROPIC.search(path):
        if words is None and document.get("type") == "error":
            return document
        kind = budget or ANTHROPIC_TYPES.get(status, "api_error" if by_server else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": said}}
    if words is None:
        return document
    if "detail" in document:
        return {"detail": {"error": words}}
    kind = "internal_server_error" if by_server else "invalid_request_error"
    code = error["code"] if isinstance(error.get("code"), int) else str(status)  # a number is JSON-RPC's own
    around = document if isinstance(document, dict) else {}
    return {**around, "error": {"message": words, "type": kind, "param": None, "code": code}}


def _error(document: Any) -> dict[str, Any] | None:  # noqa: ANN401 - JSON
    """Return what is said of the failure, in whichever of LiteLLM's forms; None of what has none of them."""
    error = document.get("error", document.get("detail")) if isinstance(document, dict) else None
    if isinstance(error, dict):
        return {"message": error.get("error"), **error}
    return {"message": error} if isinstance(error, str) else None
