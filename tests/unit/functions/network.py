"""What the functions reach over the network, faked where bytes leave the process: boto3, slack_sdk, urllib3 and
Datadog's client are real, with their retries and parsers. One request of a run may meet a fault.
"""

from __future__ import annotations

import io
import json
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPMessage
from typing import Any, NamedTuple, cast
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape

import botocore.session
import pytest
import slack_sdk.web.base_client
import slack_sdk.web.internal_utils
from botocore.model import ServiceModel, Shape
from botocore.signers import RequestSigner
from botocore.useragent import UserAgentString
from botocore.validate import validate_parameters
from google.auth.crypt import RSASigner
from urllib3 import HTTPResponse
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

from tests.clock import for_this_thread

FAULTS = {
    "refused": "the connection is refused",
    "silent": "no answer in time",
    "broken": "5xx",
    "throttled": "too many requests",
    "denied": "access is denied, with an answer that repeats what was sent",
    "garbage": "200 and a page of somebody else's",
    "empty": "200 without what belongs there",
    "lost": "it is done, and the answer does not arrive",
}
GARBAGE = b"<html><body>Welcome to the proxy</body></html>"


class Request(NamedTuple):
    """What was sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.url).query))

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        return json.loads(self.body or b"{}")

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))


class Reply(NamedTuple):
    """What is answered."""

    status: int
    body: bytes
    kind: str = "application/json"
    headers: Mapping[str, str] = {}


def reply(body: object, status: int = 200, **headers: str) -> Reply:
    """JSON."""
    return Reply(status, json.dumps(body).encode(), headers=headers)


class Step(NamedTuple):
    """A request of a run: whose it was, what it asked for, and the how many-th of these it was."""

    service: str
    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.service} {self.call} ({self.number})"


class Service:
    """One dependency: what it answers, and how it says no."""

    name = ""

    def call(self, request: Request) -> str:
        """Name what is asked for."""
        return f"{request.method} {request.path}"

    def answer(self, request: Request) -> Reply:
        """Do it."""
        raise NotImplementedError

    def refusal(self, fault: str, said: str, request: Request) -> Reply:
        """Say no, in this service's form."""
        status = {"broken": 503, "throttled": 429, "denied": 403}[fault]
        error = {"message": f"no: {said}", "type": "no", "code": str(status)}
        return reply({"error": error}, status, **({"retry-after": "1"} if status == 429 else {}))

    def empty(self, request: Request) -> Reply:
        """Answer without what belongs there."""
        return reply({})


class Slack(Service):
    """Slack's Web API: `data` answers a method with its arguments."""

    name = "Slack"

    def __init__(self, data: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
        self._data = data

    def call(self, request: Request) -> str:
        return request.path.removeprefix("/api/")

    def answer(self, request: Request) -> Reply:
        if request.host != "slack.com":
            return Reply(200, b"OK - 1", "text/plain")
        is_json = "json" in request.headers.get("Content-type", request.headers.get("Content-Type", ""))
        arguments = request.json if is_json else request.form
        return reply(self._data(self.call(request), arguments | request.query))

    def refusal(self, fault: str, said: str, request: Request) -> Reply:
        if fault == "denied":
            return reply({"ok": False, "error": "invalid_auth"})
        return super().refusal(fault, said, request)

    def empty(self, request: Request) -> Reply:
        return Reply(200, b"", "text/plain") if request.host != "slack.com" else reply({"ok": True})


class RefusedByAws(Exception):  # noqa: N818 - an answer
    """AWS's code for what it does not do, and what comes with it."""

    def __init__(self, code: str, more: dict[str, Any] | None = None) -> None:
        super().__init__(code)
        self.code, self.more = code, more or {}


@cache
def _model(service: str) -> ServiceModel:
    return botocore.session.Session().get_service_model(service)


class Aws(Service):
    """A service of AWS: `operations` has a method for each operation, with its parameters by name."""

    def __init__(self, name: str, service: str, operations: object) -> None:
        self.name, self._operations = name, operations
        self._model = _model(service)
        self._xml = self._model.protocol == "query"

    def call(self, request: Request) -> str:
        if target := request.headers.get("X-Amz-Target"):
            text = target.decode() if isinstance(target, bytes) else target
            return text.rpartition(".")[2]
        if self._xml:
            return request.form["Action"]
        return {"/v2/email/outbound-emails": "SendEmail"}.get(request.path, "Invoke")

    def answer(self, request: Request) -> Reply:
        call = self.call(request)
        shape = self._model.operation_model(call).output_shape
        try:
            result = getattr(self._operations, call)(**(_flat(request.form) if self._xml else self._asked(request)))
        except RefusedByAws as no:
            return self._no(no.code, "no", 400, no.more)
        if call == "Invoke":
            return reply(result)
        if shape:
            validate_parameters(result, shape)
        return self._written(call, result) if self._xml else reply(result)

    def refusal(self, fault: str, said: str, request: Request) -> Reply:
        code, status = {
            "broken": ("InternalFailure", 500),
            "throttled": ("ThrottlingException", 400),
            "denied": ("AccessDeniedException", 403),
        }[fault]
        return self._no(code, f"no: {said}", status, {})

    def empty(self, request: Request) -> Reply:
        return self._written(self.call(request), {}) if self._xml else reply({})

    def _asked(self, request: Request) -> dict[str, Any]:
        if request.path.startswith("/2015-03-31/functions/"):
            return {"FunctionName": request.path.split("/")[3], "Payload": request.body}
        return dict(request.json)

    def _no(self, code: str, said: str, status: int, more: dict[str, Any]) -> Reply:
        if self._xml:
            error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(said)}</Message></Error>"
            return Reply(status, f"<ErrorResponse>{error}</ErrorResponse>".encode(), "text/xml")
        return Reply(
            status,
            json.dumps({"__type": code, "message": said, **more}).encode(),
            headers={"x-amzn-errortype": code},
        )

    def _written(self, call: str, result: dict[str, Any]) -> Reply:
        shape = self._model.operation_model(call).output_shape
        text = _xml(shape, result) if shape else ""
        return Reply(200, f"<{call}Response><{call}Result>{text}</{call}Result></{call}Response>".encode(), "text/xml")


def _flat(form: dict[str, str]) -> dict[str, Any]:
    """AWS's query protocol, as far as it is used here: lists of values, and of objects."""
    found: dict[str, Any] = {}
    for name, value in form.items():
        match re.fullmatch(r"(\w+)\.member\.(\d+)(?:\.(\w+))?", name):
            case None:
                found[name] = value
            case it if it[3]:
                found.setdefault(it[1], {}).setdefault(it[2], {})[it[3]] = value
            case it:
                found.setdefault(it[1], {})[it[2]] = value
    lists = {name: list(value.values()) if isinstance(value, dict) else value for name, value in found.items()}
    return {name: value for name, value in lists.items() if name not in ("Action", "Version")}


def _xml(shape: Shape, value: Any) -> str:  # noqa: ANN401 - any shape's
    if shape.type_name == "structure":
        members = cast(Any, shape).members
        return "".join(f"<{name}>{_xml(members[name], each)}</{name}>" for name, each in value.items())
    if shape.type_name == "list":
        return "".join(f"<member>{_xml(cast(Any, shape).member, each)}</member>" for each in value)
    return escape(value.isoformat() if hasattr(value, "isoformat") else str(value))


@dataclass
class Network:
    """The services by host, the requests of a run, and the fault that one of them meets.

    From the step `at` on the fault is there: for that request if the answer is `lost`, else for every request to this
    service until the attempt is over, or, where it is `lasting`, until somebody has mended it.
    """

    services: dict[str, Service]
    steps: list[Step] = field(default_factory=list)
    tolerant: set[Step] = field(default_factory=set)
    """Those whose answer has nothing in it: an empty one is as good."""
    at: Step | None = None
    fault: str = ""
    lasting: bool = False
    forget: Callable[[], None] = lambda: None
    """What a process loses between two attempts, where another one has the next."""
    _out: str = ""
    _met: bool = False
    _numbers: Counter[tuple[str, str]] = field(default_factory=Counter)

    def attempt(self) -> None:
        """Another attempt begins: what does not last is over."""
        self.forget()
        if not self.lasting:
            self._out = ""

    def mend(self) -> None:
        """The dependency is there again."""
        self._out, self.at = "", None

    def send(self, request: Request) -> Reply | Exception:
        """Answer a request: an exception is what happened to its connection, by its fault's word."""
        service = self.services[request.host]
        call = service.call(request)
        self._numbers[service.name, call] += 1
        step = Step(service.name, call, self._numbers[service.name, call])
        self.steps.append(step)
        if step == self.at and self.fault == "lost":
            service.answer(request)
            return ConnectionResetError()
        if step == self.at and not self._met:
            self._out, self._met = service.name, True
        if self._out != service.name:
            answer = service.answer(request)
            if answer.body in (service.empty(request).body, b"", b"null"):
                self.tolerant.add(step)
            return answer
        match self.fault:
            case "refused":
                return ConnectionRefusedError()
            case "silent":
                return TimeoutError()
            case "garbage":
                return Reply(200, GARBAGE, "text/html")
            case "empty":
                return service.empty(request)
        # As services have done it: what was sent comes back in the message, with all that is secret.
        said = f"{dict(request.headers)} {request.body.decode(errors='replace')}"
        return service.refusal(self.fault, said, request)


_current: list[Network] = []
_waited = [0.0]  # seconds that nobody did wait


def plug(network: Network) -> None:
    """Let this be the network of now, and now be the time."""
    _current[:] = [network]
    _waited[0] = 0.0


def intercept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the network of now behind every client of this process, and let nobody wait."""
    monotonic, now = time.monotonic, time.time
    for_this_thread(
        monkeypatch,
        sleep=lambda seconds: _waited.__setitem__(0, _waited[0] + seconds),
        monotonic=lambda: monotonic() + _waited[0],
        time=lambda: now() + _waited[0],
    )
    monkeypatch.setattr(HTTPConnectionPool, "_make_request", _by_urllib3)
    # Nobody here looks at a signature or a client's name, which are most of the work.
    monkeypatch.setattr(RequestSigner, "sign", lambda *_, **__: None)
    monkeypatch.setattr(UserAgentString, "to_string", lambda _: "boto3")
    monkeypatch.setattr(RSASigner, "from_string", cache(RSASigner.from_string))
    for module in (slack_sdk.web.base_client, slack_sdk.web.internal_utils):
        monkeypatch.setattr(module, "urlopen", _by_urllib)


def _by_urllib3(  # the signature is urllib3's
    self: Any,  # noqa: ANN401
    conn: Any,  # noqa: ANN401
    method: str,
    url: str,
    body: Any = None,  # noqa: ANN401
    headers: Any = None,  # noqa: ANN401
    *_: Any,  # noqa: ANN401
    preload_content: bool = True,
    **__: Any,  # noqa: ANN401
) -> HTTPResponse:
    data = body.read() if hasattr(body, "read") else body.encode() if isinstance(body, str) else body or b""
    whole = url if "://" in url else f"{self.scheme}://{self.host}{url}"
    answer = _current[0].send(Request(method, whole, dict(headers or {}), bytes(data)))
    match answer:
        case ConnectionRefusedError():
            raise NewConnectionError(conn, "Failed to establish a new connection: [Errno 111] Connection refused")
        case TimeoutError():
            raise ReadTimeoutError(self, url, "Read timed out.")
        case Exception():
            raise ProtocolError("Connection aborted.", answer)
    assert isinstance(answer, Reply)
    return HTTPResponse(
        body=io.BytesIO(answer.body),
        headers={"content-type": answer.kind, "content-length": str(len(answer.body)), **answer.headers},
        status=answer.status,
        preload_content=preload_content,
        request_method=method,
    )


class _Answered(io.BytesIO):
    """What is used of urllib's response."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(answer.body)
        self.status = self.code = answer.status
        self.headers = HTTPMessage()
        for name, value in {"content-type": answer.kind, **answer.headers}.items():
            self.headers[name] = value


def _by_urllib(request: urllib.request.Request, **_: Any) -> _Answered:  # noqa: ANN401 - a time-out, a context
    data = cast(bytes, request.data or b"")
    answer = _current[0].send(Request(request.get_method(), request.full_url, dict(request.headers), data))
    if isinstance(answer, ConnectionRefusedError):
        raise URLError(answer)
    if isinstance(answer, Exception):
        raise answer
    answered = _Answered(answer)
    if answer.status >= 400:
        raise HTTPError(request.full_url, answer.status, "no", answered.headers, answered)
    return answered
