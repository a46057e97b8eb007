"""Where a pass-through endpoint leads: a service of the company's, which tells what it was asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from local.outside.exchange import Answer, ApiError, Request, Target, same

ANSWERED: Final = "The service has answered."


@dataclass(frozen=True, slots=True)
class Service:
    """One service: where it is, and the headers that a caller has to send."""

    host: str
    path: str
    headers: Mapping[str, str] = field(repr=False)


class Services:
    """Answers for the services that there are, below their paths."""

    name = "Service"

    def __init__(self, services: Collection[Service] = ()) -> None:
        self._services = list(services)

    def add(self, service: Service) -> None:
        """Have one more."""
        self._services.append(service)

    def serves(self, host: str) -> bool:
        """Return whether there is a service at this host."""
        return any(service.host == host for service in self._services)

    def target(self, request: Request) -> Target:
        """Return what is asked for: what stands behind the service's path."""
        return Target(f"{request.method} {request.path.removeprefix(self._service(request).path) or '/'}")

    def answer(self, request: Request, target: Target) -> Answer:
        """Check who asks, and tell what for."""
        service = self._service(request)
        if any(not same(request.headers.get(name, ""), value) for name, value in service.headers.items()):
            raise ApiError(401)
        body = request.any_json() if request.body else None
        return Answer.of_json({"answer": ANSWERED, "asked": target.operation, "body": body})

    def error(self, error: ApiError, retry_after_seconds: int) -> Answer:
        """Return a problem, as a plain service does."""
        headers = {"retry-after": str(retry_after_seconds)} if error.status in (429, 503) else {}
        document = {"error": error.message or HTTPStatus(error.status).phrase}
        return Answer.of_json(document, status=error.status, headers=headers)

    def _service(self, request: Request) -> Service:
        for service in self._services:
            below = request.path == service.path or request.path.startswith(f"{service.path}/")
            if service.host == request.host and below:
                return service
        raise ApiError(404)
