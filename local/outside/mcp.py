"""MCP servers: a small wiki with three tools, by streamable HTTP and by the older HTTP with server-sent events.

As strict as the specification (https://modelcontextprotocol.io/specification/2025-11-25/basic/transports and
…/basic/lifecycle, and …/2024-11-05/basic/transports for the older one): a session begins with `initialize`, is named in
each later request, answers nothing but a ping before `notifications/initialized`, and ends with DELETE.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from local.outside.exchange import Answer, ApiError, Request, Target, same
from local.outside.records import Json

FOUND: Final = "The wiki says so."
"""How each text of a tool begins."""

VERSIONS: Final = ("2025-03-26", "2025-06-18", "2025-11-25")
"""The revisions of the protocol that it speaks, the newest last, which it offers to who asks for another one."""
OLDER: Final = "2024-11-05"
"""The last revision with the older transport."""

TOOLS: Final[Mapping[str, tuple[str, str]]] = {
    "search": ("Searches the wiki.", "query"),
    "read": ("Reads a page of the wiki.", "page"),
    "delete": ("Deletes a page of the wiki.", "page"),
}
"""What each tool does, and the one text that it takes."""

# https://www.jsonrpc.org/specification#error_object
_PARSE, _INVALID, _NO_METHOD, _PARAMETERS = -32700, -32600, -32601, -32602
_CODES = {400: _INVALID, 404: -32001}
_NAME = re.compile(r"[\x21-\x7e]{1,128}")  # "visible ASCII characters", of a session's id


@dataclass(frozen=True, slots=True)
class McpServer:
    """One server: where it is, and the header that a caller has to send; none if it lets everybody in."""

    host: str
    path: str
    header: str = ""
    value: str = field(default="", repr=False)
    is_older: bool = False  # HTTP with server-sent events


@dataclass(slots=True)
class _Session:
    version: str = ""
    is_initialized: bool = False
    events: asyncio.Queue[bytes] | None = None  # of the older transport


class McpServers:
    """Answers for the servers that there are, each at its address."""

    name = "MCP"

    def __init__(self, servers: Collection[McpServer] = ()) -> None:
        self._servers: dict[tuple[str, str], McpServer] = {}
        self._sessions: dict[tuple[str, str], _Session] = {}
        for server in servers:
            self.add(server)

    def add(self, server: McpServer) -> None:
        """Have one more."""
        self._servers |= {(server.host, path): server for path in (server.path, _messages(server))}

    def serves(self, host: str) -> bool:
        """Return whether there is a server at this host."""
        return any(known == host for known, _ in self._servers)

    def target(self, request: Request) -> Target:
        """Return the method of the message, or that of HTTP where there is no message."""
        server = self._servers.get((request.host, request.path))
        is_stream = server is not None and request.path == server.path
        if server is None or not (server.is_older or is_stream):
            raise ApiError(404)
        if server.is_older and request.method != ("GET" if is_stream else "POST"):
            raise ApiError(405)
        if request.method != "POST":
            return Target(f"{request.method} {request.path}", streamed=request.method == "GET")
        message = request.any_json()
        # A batch was taken out of the protocol in 2025-06-18.
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            raise ApiError(400, message="Not one message of JSON-RPC 2.0")
        return Target(str(message.get("method", "response")))

    def answer(self, request: Request, target: Target) -> Answer:
        """Check who asks, and answer one message."""
        server = self._servers[request.host, request.path]
        if server.header and not same(request.headers.get(server.header, ""), server.value):
            raise ApiError(401)
        if "origin" in request.headers:  # of a browser, whose page may be anybody's
            raise ApiError(403, message="Invalid Origin header")
        return self._older(server, request) if server.is_older else self._streamable(request)

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return JSON-RPC's error, of no message in particular."""
        status = HTTPStatus(error.status)
        headers = {"www-authenticate": "Bearer"} if status == 401 else {}
        headers |= {"allow": "POST, DELETE"} if status == 405 else {}
        headers |= {"retry-after": str(retry_after_seconds)} if status in (429, 503) else {}
        document = {"code": _CODES.get(error.status, -32000), "message": error.message or status.phrase}
        return Answer.of_json({"jsonrpc": "2.0", "id": None, "error": document}, status=error.status, headers=headers)

    def _streamable(self, request: Request) -> Answer:
        """Answer by streamable HTTP. It has nothing to say by itself, and so no stream to listen to."""
        if request.method not in ("POST", "DELETE"):
            raise ApiError(405)
        if request.method == "POST":
            _check_headers(request)
            message = request.json()
            if message.get("method") == "initialize":
                return self._begin(request.host, message)
        name = request.headers.get("mcp-session-id", "")
        if not _NAME.fullmatch(name):
            raise ApiError(400, message="Bad Request: Missing session ID")
        session = self._sessions.get((request.host, name))
        if session is None:
            raise ApiError(404, message="Session not found")
        # "If the server receives a request with an invalid or unsupported MCP-Protocol-Version, it MUST respond with
        # 400"; without one it should take 2025-03-26.
        if (given := request.headers.get("mcp-protocol-version", VERSIONS[0])) not in VERSIONS:
            raise ApiError(400, message=f"Bad Request: Unsupported protocol version: {given}")
        if request.method == "DELETE":
            del self._sessions[request.host, name]
            return Answer(200, {}, [b""])
        result = _result(session, message)
        return Answer.of_json(result) if result else Answer(202, {}, [b""])

    def _begin(self, host: str, message: Json) -> Answer:
        name, session = secrets.token_hex(16), _Session()
        result = _result(session, message)
        if not result or "error" in result:
            return Answer.of_json(result, status=400)
        self._sessions[host, name] = session
        return Answer.of_json(result, headers={"mcp-session-id": name})

    def _older(self, server: McpServer, request: Request) -> Answer:
        """Answer by the older transport: a stream says where messages go, and has their answers."""
        if request.method == "GET":
            name, session = secrets.token_hex(16), _Session(events=asyncio.Queue())
            self._sessions[server.host, name] = session
            stream = self._events(server, name, session)
            return Answer(200, {"content-type": "text/event-stream", "cache-control": "no-store"}, [], live=stream)
        known = self._sessions.get((server.host, request.query.get("session_id", "")))
        if known is None or known.events is None:
            raise ApiError(404, message="Could not find session")
        if result := _result(known, request.json()):
            known.events.put_nowait(_event("message", json.dumps(result)))
        return Answer(202, {}, [b"Accepted"])

    async def _events(self, server: McpServer, name: str, session: _Session) -> AsyncIterator[bytes]:
        try:
            yield _event("endpoint", f"{_messages(server)}?session_id={name}")
            while session.events is not None:
                yield await session.events.get()
        finally:
            del self._sessions[server.host, name]


def _messages(server: McpServer) -> str:
    return f"{server.path.rstrip('/')}/messages"


def _event(kind: str, data: str) -> bytes:
    return f"event: {kind}\r\ndata: {data}\r\n\r\n".encode()


def _check_headers(request: Request) -> None:
    """Refuse a message that is not sent as JSON, or whose sender would not take both forms of an answer."""
    accepted = {each.partition(";")[0].strip() for each in request.headers.get("accept", "").split(",")}
    if not {"application/json", "text/event-stream"} <= accepted:
        message = "Not Acceptable: Client must accept both application/json and text/event-stream"
        raise ApiError(406, message=message)
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise ApiError(415, message="Unsupported Media Type: Content-Type must be application/json")


def _result(session: _Session, message: Json) -> Json | None:
    """The answer to a message; None to one that is none's business, which is a notification."""
    method, identity = message.get("method"), message.get("id")
    if identity is None:
        session.is_initialized |= method == "notifications/initialized" and bool(session.version)
        return None
    answer: Json = {"jsonrpc": "2.0", "id": identity}
    does = _METHODS.get(str(method))
    if method not in ("initialize", "ping") and not session.is_initialized:
        return {**answer, "error": {"code": _INVALID, "message": "Received request before initialization was complete"}}
    if does is None:
        return {**answer, "error": {"code": _NO_METHOD, "message": "Method not found"}}
    parameters = message.get("params") or {}
    try:
        return {**answer, "result": does(session, parameters)}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        told = f"Invalid request parameters: {type(error).__name__}"
        return {**answer, "error": {"code": _PARAMETERS, "message": told}}


def _initialize(session: _Session, parameters: Json) -> Json:
    asked = parameters["protocolVersion"]
    _check(isinstance(parameters["capabilities"], dict) and isinstance(parameters["clientInfo"]["name"], str))
    known = (OLDER,) if session.events else VERSIONS
    session.version = asked if asked in known else known[-1]
    return {
        "protocolVersion": session.version,
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "wiki", "version": "1.0.0"},
    }


def _list(session: _Session, parameters: Json) -> Json:
    _check("cursor" not in parameters)  # it gave none
    return {
        "tools": [
            {
                "name": name,
                "description": description,
                "inputSchema": {
                    "type": "object",
                    "properties": {argument: {"type": "string"}},
                    "required": [argument],
                    "additionalProperties": False,
                },
            }
            for name, (description, argument) in TOOLS.items()
        ]
    }


def _call(session: _Session, parameters: Json) -> Json:
    _, argument = TOOLS[parameters["name"]]
    given = parameters.get("arguments") or {}
    if given.keys() != {argument} or not isinstance(given[argument], str):
        # "Tool Execution Errors: reported in tool results with isError: true", among them what a schema refuses.
        return {"content": [{"type": "text", "text": f"It takes {argument}, a text."}], "isError": True}
    return {"content": [{"type": "text", "text": f"{FOUND} {given[argument]}"}], "isError": False}


def _ping(session: _Session, parameters: Json) -> Json:
    return {}


def _check(holds: bool) -> None:
    if not holds:
        raise ValueError


_METHODS: Final[Mapping[str, Callable[[_Session, Any], Json]]] = {
    "initialize": _initialize,
    "ping": _ping,
    "tools/list": _list,
    "tools/call": _call,
}
