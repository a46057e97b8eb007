"""The load balancers' data plane: listens on an address of this machine for each and forwards to its service's tasks.

Listeners, rules and target groups are those of the emulated Elastic Load Balancing; ministack evaluates them
(`alb.dispatch_request`), and this module adds what it leaves out: a listening socket, the security group, AWS WAF
(`local/waf.py`), `source-ip` conditions, transforms of a URL (`local/transforms.py`), streams without a thread each,
connections that are kept (`local/targets.py`), and draining. The network that a caller is in is told by the loopback
address that it calls from (`local/callers.py`).

What differs from AWS: clients speak to one address for every listener, and that address stands for the host name of
the environment, whose alias record is the load balancer's, since no DNS answers for it here; a request's body is read
whole before it is forwarded; WebSockets are refused; the groups of rules that AWS manages block nothing.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import httpcore
from hypercorn.asyncio import serve
from hypercorn.config import Config

from local import waf
from local.callers import network_of, within
from local.ecs import ministack
from local.health import POLL
from local.place import Place
from local.targets import BROKEN, Targets
from local.transforms import rewritten

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Response = tuple[int, Mapping[str, Any], Any]

HTTPS_PORT = 443  # the listener that every request is judged by, whatever port it came in on
CONNECT_TIMEOUT = 5.0  # seconds
HOP_BY_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding", "upgrade"})


@dataclass(frozen=True)
class Client:
    """Who sent the request, and how it arrived."""

    address: str
    scheme: str
    host: str


_client: ContextVar[Client] = ContextVar("client")


class Balancer:
    """The ASGI application that stands for the load balancers.

    Parameters
    ----------
    places
        The environments that have one.
    web_acls
        What AWS WAF protects of them; nothing if not given.
    """

    def __init__(self, places: Iterable[Place], web_acls: waf.Deployed | None = None) -> None:
        self._web_acls = web_acls or waf.Deployed()
        self._security_groups = ministack("services.ec2")._security_groups
        self._places = {place.port: place for place in places}
        self._alb = ministack("services.alb")
        self._route53 = ministack("services.route53")
        self._request_scope = ministack("core.responses").request_scope
        self._match = self._alb._match_condition
        self._alb._match_condition = self._matches
        self._execute = self._alb._execute_actions
        self._alb._execute_actions = self._transformed
        self._alb._proxy_http_target = self._forward
        self._in_flight: Counter[int] = Counter()
        self._stop = threading.Event()
        self._targets = Targets()
        self._loop: asyncio.AbstractEventLoop | None = None  # where it serves

    def listen(self) -> None:
        """Serve HTTP on 127.0.0.1, at the port of each environment, in a thread of its own.

        Raises
        ------
        OSError
            A port is taken.
        """
        if not self._places:
            return
        for port in self._places:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        config = Config()
        config.bind = [f"127.0.0.1:{port}" for port in self._places]
        config.loglevel = "WARNING"
        config.keep_alive_timeout = 75
        started: Future[None] = Future()
        threading.Thread(target=self._serve, args=(config, started), daemon=True, name="balancer").start()
        started.result()

    def close(self) -> None:
        """Stop listening."""
        self._stop.set()

    def _serve(self, config: Config, started: Future[None]) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            started.set_result(None)
            await serve(self, config, shutdown_trigger=lambda: asyncio.to_thread(self._stop.wait))  # type: ignore[arg-type]

        asyncio.run(main())

    def drain(self, ports: Collection[int], timeout: float) -> None:
        """Wait until nothing is in flight to a target on these ports, at most `timeout` s (deregistration delay).

        Its idle connections are closed then.
        """
        end = time.monotonic() + timeout
        time.sleep(POLL)  # a request that has just chosen the target is not yet counted
        while any(self._in_flight[port] for port in ports) and time.monotonic() < end:
            time.sleep(POLL)
        if self._loop and self._loop.is_running():
            with suppress(TimeoutError):  # it has just ended
                asyncio.run_coroutine_threadsafe(self._targets.forget(ports), self._loop).result(CONNECT_TIMEOUT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI scope."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
        else:
            await _lifespan(receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        pieces = list[bytes]()  # of a body that may be large
        while (message := await receive())["type"] == "http.request":
            pieces.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        else:
            return  # the client has gone
        headers = _headers(scope)
        place = self._places[scope["server"][1]]
        client = Client(network_of(scope["client"][0], place.callers), scope["scheme"], headers.get("host", ""))
        _client.set(client)
        with self._request_scope(place.account, place.region):
            balancer = self._balancer_of(place.domain)
            if balancer and place.callers and not self._lets_in(balancer, client.address):
                await _disconnected(receive)  # as with a packet that a security group drops, nothing comes back
                return
            status, fields, content = await self._dispatch(balancer, place, scope, headers, b"".join(pieces))
        await send({"type": "http.response.start", "status": status, "headers": _encoded(fields)})
        if hasattr(content, "runner"):  # ministack's StreamingResponse
            await content.runner(send, receive)
        else:
            await send({"type": "http.response.body", "body": content})

    async def _dispatch(
        self, balancer: Mapping[str, Any] | None, place: Place, scope: Scope, headers: dict[str, str], body: bytes
    ) -> Response:
        if not balancer:
            return 503, {"Content-Type": "text/plain"}, f"no load balancer is deployed for {place.domain}\n".encode()
        address = _client.get().address
        path = scope.get("raw_path", b"").decode("latin-1") or scope["path"]
        web_acl = self._web_acls.of(balancer["LoadBalancerArn"]) if place.callers else None
        if web_acl and (status := web_acl.verdict(waf.Request(path, address, scope["method"])).status):
            page = waf.BLOCKED if status == waf.FORBIDDEN else ""
            return status, {"Server": "awselb/2.0", "Content-Type": "text/html"}, page.encode()
        host = headers.get("host", "")
        name = host.rpartition(":")[0] or host
        query = scope["query_string"].decode("latin-1")
        response: Response = await self._alb.dispatch_request(
            balancer,
            scope["method"],
            scope["path"],
            {**headers, "host": place.domain if name in ("127.0.0.1", "localhost") else name},
            body,
            parse_qs(query, keep_blank_values=True),
            port=HTTPS_PORT,
            client_ip=address,
            raw_query_string=query,
            raw_path=path,
        )
        return response

    def _lets_in(self, balancer: Mapping[str, Any], address: str) -> bool:
        """Whether a security group of the load balancer lets an address reach its HTTPS listener."""
        groups = [self._security_groups.get(group) or {} for group in balancer.get("SecurityGroups") or []]
        ranges = (
            block["CidrIp"]
            for group in groups
            for permission in group.get("IpPermissions", [])
            if permission.get("FromPort", 0) <= HTTPS_PORT <= permission.get("ToPort", 65535)
            for block in permission["IpRanges"]
        )
        return within(address, ranges)

    def _balancer_of(self, domain: str) -> Mapping[str, Any] | None:
        """The load balancer that a host name leads to."""
        return next((lb for lb in self._alb._lbs.values() if domain in self._aliases(lb["DNSName"])), None)

    def _aliases(self, dns_name: str) -> list[str]:
        """The names whose records in Route 53 are aliases of a load balancer."""
        target = dns_name.lower()
        return [
            record["Name"].rstrip(".")
            for records in self._route53._records.values()
            for record in records
            if str((record.get("AliasTarget") or {}).get("DNSName", "")).rstrip(".").lower().endswith(target)
        ]

    def _matches(self, condition: Mapping[str, Any], method: str, path: str, headers: object, query: object) -> bool:
        """Like ministack's, and with `source-ip` looked at."""
        if condition.get("Field") != "source-ip":
            return bool(self._match(condition, method, path, headers, query))
        ranges = condition.get("Values") or (condition.get("SourceIpConfig") or {}).get("Values") or []
        return within(_client.get().address, ranges)

    async def _transformed(self, actions: object, method: str, path: str, *rest: Any, **more: Any) -> Response:  # noqa: ANN401 - ministack's
        """Like ministack's, for the URL that the rule's transforms make; what they do not change is as it came."""
        rule: Mapping[str, Any] = next((r for r in self._alb._rules.values() if r.get("Actions") is actions), {})
        raw_path, query = rewritten(rule.get("Transforms", ()), more["raw_path"], more["raw_query_string"])
        changed = {"raw_path": raw_path, "raw_query_string": query}
        response: Response = await self._execute(actions, method, path, *rest, **more | changed)
        return response

    async def _forward(
        self,
        target: Mapping[str, Any],
        group: Mapping[str, Any],
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        query_params: object,
        raw_query_string: str = "",
    ) -> Response:
        """Forward to one target, counted from here to the last byte of its answer."""
        streaming = ministack("core.responses").StreamingResponse
        port = int(target["Port"])
        self._in_flight[port] += 1
        try:
            answer = await self._targets.send(
                port,
                method,
                path + (f"?{raw_query_string}" if raw_query_string else ""),
                headers=_for_target(headers, _client.get()),
                body=body,
                idle_timeout=self._idle_timeout(str(group["TargetGroupArn"])),
                connect_timeout=CONNECT_TIMEOUT,
            )
        except BROKEN as problem:
            self._in_flight[port] -= 1
            status = 504 if isinstance(problem, httpcore.TimeoutException) else 502
            return status, {"Content-Type": "text/plain"}, f"target 127.0.0.1:{port}: {problem!r}\n".encode()
        except BaseException:
            self._in_flight[port] -= 1
            raise

        async def run(send: Send, receive: Receive) -> None:
            try:
                await _relay(answer, send, receive)
            finally:
                await answer.aclose()
                self._in_flight[port] -= 1

        fields: dict[str, list[str]] = {}
        for raw_name, raw_value in answer.headers:
            name = raw_name.decode("latin-1").lower()
            if name not in HOP_BY_HOP or name == "content-length":
                fields.setdefault(name, []).append(raw_value.decode("latin-1"))
        return answer.status, fields, streaming(run)

    def _idle_timeout(self, group: str) -> float:
        """The idle timeout, in seconds, of the load balancer that forwards to this target group."""
        owners = {
            listener["LoadBalancerArn"]
            for rule in [*self._alb._rules.values(), *self._alb._listeners.values()]
            if any(a.get("TargetGroupArn") == group for a in rule.get("Actions") or rule.get("DefaultActions") or [])
            for listener in [self._alb._listeners.get(rule["ListenerArn"])]
            if listener
        }
        values = [self._alb._lb_attr(owner, "idle_timeout.timeout_seconds", "60") for owner in owners]
        return max((float(value) for value in values), default=60.0)


async def _relay(answer: httpcore.Response, send: Send, receive: Receive) -> None:
    """Send each piece as it comes; a broken answer stays visibly unfinished, and a client that leaves ends it."""
    gone = asyncio.ensure_future(_disconnected(receive))
    chunks = answer.aiter_stream()
    try:
        while True:
            chunk = asyncio.ensure_future(anext(chunks, None))
            await asyncio.wait({gone, chunk}, return_when=asyncio.FIRST_COMPLETED)
            if not chunk.done():
                chunk.cancel()
                with suppress(asyncio.CancelledError, *BROKEN):
                    await chunk
                return
            data = chunk.result()
            await send({"type": "http.response.body", "body": data or b"", "more_body": data is not None})
            if data is None:
                return
    except BROKEN:
        return
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] != "lifespan.shutdown":
        await send({"type": f"{message['type']}.complete"})
    await send({"type": "lifespan.shutdown.complete"})


def _headers(scope: Scope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        separator = "; " if name == "cookie" else ", "
        headers[name] = f"{headers[name]}{separator}{value}" if name in headers else value
    return headers


def _for_target(headers: Mapping[str, str], client: Client) -> dict[str, str]:
    """The headers that the load balancer adds tell how the client came to this address, not to the listener's."""
    kept = {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}
    port = client.host.rpartition(":")[2]
    forwarded = {"host": client.host, "x-forwarded-proto": client.scheme}
    return {**kept, **forwarded, **({"x-forwarded-port": port} if port.isdigit() else {})}


def _encoded(fields: Mapping[str, Any]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode("latin-1"), str(value).encode("latin-1"))
        for name, values in fields.items()
        for value in (values if isinstance(values, list) else [values])
    ]
