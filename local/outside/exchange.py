"""One request and its answer, and the web application that hands each request to the provider of its host."""

from __future__ import annotations

import asyncio
import gzip
import hmac
import json
import time
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any, Protocol

from starlette.requests import ClientDisconnect
from starlette.requests import Request as Incoming
from starlette.types import Receive, Scope, Send

from local.outside import failing
from local.outside.records import Call, Fault, Journal, Json, Usage


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came. `path` is percent-encoded, header names are in lower case."""

    host: str
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    queries: Sequence[tuple[str, str]] = ()
    """The query as it came, in which a name may come several times: `query` has the last of each."""
    now: float = field(default_factory=time.time)
    """When it came, in seconds since 1970 by the host's clock."""

    @property
    def bearer(self) -> str:
        """The token of the header Authorization, "" if there is none."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    def json(self) -> Json:
        """Return the body, which must be a JSON object; ApiError says so otherwise."""
        body = self.any_json()
        if not isinstance(body, dict):
            raise ApiError(400, message="The request body is not a JSON object.")
        return body

    def any_json(self) -> Any:  # noqa: ANN401  # any JSON value
        """Return the body, unzipped if it came so, which must be JSON; ApiError says so otherwise."""
        encoding = self.headers.get("content-encoding")
        try:
            if encoding == "gzip":
                return json.loads(gzip.decompress(self.body))
            return json.loads(zlib.decompress(self.body) if encoding == "deflate" else self.body)
        except (ValueError, OSError, EOFError, zlib.error) as error:
            raise ApiError(400, message="The request body is not valid JSON.") from error


@dataclass(frozen=True, slots=True)
class Target:
    """What a request asks for, before anything is checked."""

    operation: str
    model: str = ""
    region: str = ""
    streamed: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a provider sends back. More than one chunk is sent as a stream; `live` is one without an end of its own."""

    status: int
    headers: Mapping[str, str]
    chunks: Sequence[bytes]
    usage: Usage = field(default=Usage())
    live: AsyncIterator[bytes] | None = None

    @classmethod
    def of_json(
        cls, body: object, *, status: int = 200, headers: Mapping[str, str] | None = None, usage: Usage | None = None
    ) -> Answer:
        """Make an answer with one JSON document."""
        content = json.dumps(body).encode()
        return cls(status, {"content-type": "application/json", **(headers or {})}, [content], usage or Usage())

    @classmethod
    def of_text(
        cls, text: str, *, status: int = 200, kind: str = "text/plain", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Make an answer with a text; `kind` is its media type."""
        return cls(status, {"content-type": f"{kind}; charset=utf-8", **(headers or {})}, [text.encode()])


class ApiError(Exception):
    """A provider's refusal; the provider puts it into its own format.

    `code` and `message` default to what the provider says with that status.
    """

    def __init__(self, status: int, *, code: str = "", message: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def same(given: str, secret: str) -> bool:
    """Return whether what a caller gave is the secret, in a time that does not tell how much of it is."""
    return hmac.compare_digest(given.encode(), secret.encode())


class Provider(Protocol):
    """One provider's API: the shape of every simulated service, which the package's docstring explains."""

    name: str
    """As the records of calls have it."""

    def serves(self, host: str) -> bool:
        """Return whether this host is one of the provider's."""

    def target(self, request: Request) -> Target:
        """Return what the request asks for, or raise ApiError if there is no such operation."""

    def answer(self, request: Request, target: Target) -> Answer:
        """Check the request's credentials and answer it, or raise ApiError."""

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Put an error, a fault's too, into the provider's own format."""


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """The ASGI application: hands each request to the provider of its host, has its faults, keeps its record.

    What is `apart` answers on its host for what is below a path, and for nothing else if there is another for the rest.
    """

    providers: list[Provider]
    journal: Journal
    apart: Mapping[str, Provider] = field(default_factory=dict)

    def provider_of(self, host: str, path: str = "") -> Provider | None:
        """Return who answers for a host, and there for a path, or None."""
        beside = [(below, provider) for below, provider in self.apart.items() if provider.serves(host)]
        of_path = [provider for below, provider in beside if path.startswith(below)]
        of_host = [provider for provider in self.providers if provider.serves(host)]
        return next(iter((*of_path, *of_host, *(provider for _, provider in beside))), None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request; end it when the client goes away."""
        incoming = Incoming(scope, receive)
        try:
            request = _request(incoming, await incoming.body())
        except ClientDisconnect:
            return
        work = asyncio.create_task(self._serve(request, send))
        gone = asyncio.create_task(_until_gone(receive))
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)
        if not work.cancelled():
            work.result()

    async def _serve(self, request: Request, send: Send) -> None:
        provider = self.provider_of(request.host, request.path)
        if provider is None:
            message = f"{request.host} is not one of the simulated hosts."
            await _deliver(send, Answer(421, {"content-type": "text/plain"}, [message.encode()]), Fault())
            return
        fault = self.journal.take_fault(request.host)
        request = replace(request, now=request.now + fault.clock_seconds)
        await asyncio.sleep(fault.delay_seconds)
        target, answer = _answer(provider, request, fault)
        size = sum(len(chunk) for chunk in answer.chunks)
        ends = [end for end in (fault.cut_after_bytes, fault.hang_after_bytes) if end is not None and end < size]
        broken = answer.status == HTTPStatus.OK and fault.instead is not None
        call = Call(
            time=time.time(),
            host=request.host,
            region=target.region,
            provider=provider.name,
            operation=target.operation,
            model=target.model,
            streamed=target.streamed,
            status=answer.status,
            usage=Usage() if broken else answer.usage,
            cut=bool(ends) or broken,
        )
        # Before the answer leaves, so that whoever has read the answer finds its record.
        self.journal.add_call(call)
        if broken:
            said = provider.error(ApiError(HTTPStatus.SERVICE_UNAVAILABLE), fault.retry_after_seconds)
            answer = _instead(answer, fault, said)
        await _deliver(send, answer, fault, min(ends, default=None))


def _instead(answer: Answer, fault: Fault, said: Answer) -> Answer:
    """Return what comes with status 200 instead of an answer; `said` is the provider's error."""
    if fault.instead == "garbage":
        return Answer.of_text(failing.PAGE, kind="text/html")
    kind = answer.headers.get("content-type", "")
    chunk = failing.in_stream(kind, said.chunks[0])
    if chunk is None:
        return replace(said, status=HTTPStatus.OK)
    return replace(answer, chunks=[*answer.chunks[: len(answer.chunks) // 2], chunk])


def _answer(provider: Provider, request: Request, fault: Fault) -> tuple[Target, Answer]:
    target = Target(operation=f"{request.method} {request.path}")
    try:
        target = provider.target(request)
        if fault.status is not None:
            raise ApiError(fault.status)
        return target, provider.answer(request, target)
    except ApiError as error:
        return target, provider.error(error, fault.retry_after_seconds)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        # A body of another shape than the API's. The message names the place and never quotes the prompt.
        message = f"The request is malformed near {type(error).__name__}."
        return target, provider.error(ApiError(400, message=message), fault.retry_after_seconds)


async def _deliver(send: Send, answer: Answer, fault: Fault, end: int | None = None) -> None:
    """Send an answer, up to `end` bytes of it. If the body is not completed, uvicorn closes the connection: now, or, if
    it is to hang, when its caller has gone.
    """
    headers = dict(answer.headers)
    if len(answer.chunks) == 1:
        headers["content-length"] = str(len(answer.chunks[0]))
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    left = end
    for chunk in answer.chunks:
        if left == 0 and end == fault.hang_after_bytes:
            await asyncio.Event().wait()
        await asyncio.sleep(fault.chunk_delay_seconds)
        part = chunk if left is None else chunk[:left]
        await send({"type": "http.response.body", "body": part, "more_body": True})
        if left is not None:
            left -= len(part)
            if left == 0:
                if end == fault.hang_after_bytes:
                    await asyncio.Event().wait()
                return
    if answer.live is not None:
        async for chunk in answer.live:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _request(incoming: Incoming, body: bytes) -> Request:
    headers = dict(incoming.headers.items())
    return Request(
        host=headers.get("host", "").partition(":")[0].lower(),
        method=incoming.method,
        path=incoming.scope["raw_path"].decode("latin-1"),
        query=dict(incoming.query_params),
        queries=tuple(incoming.query_params.multi_items()),
        headers=headers,
        body=body,
    )


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
