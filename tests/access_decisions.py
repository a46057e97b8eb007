"""Whom LiteLLM lets through to which of its routes: run by the Python that has LiteLLM, without a server or a database.

The routes are those of its OpenAPI document, and what each depends on is asked of its application; who may call what is
asked of its own functions for that (`RouteChecks`), in the order in which `user_api_key_auth` calls them. Nothing that
lies behind is run.

Reads JSON: by caller, the role of the user and the `allowed_routes` of the key. Writes JSON: by route, as
`GET /key/list`, the callers that are let through; or `[null]`, where LiteLLM asks for no key.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import litellm.proxy.proxy_server as server  # type: ignore[import-not-found]
from fastapi.routing import APIRoute  # type: ignore[import-not-found]
from litellm.proxy._lazy_features import register_all_features  # type: ignore[import-not-found]
from litellm.proxy._types import (  # type: ignore[import-not-found]
    LiteLLM_UserTable,
    LiteLLMRoutes,
    UserAPIKeyAuth,
)
from litellm.proxy.auth.auth_utils import get_request_route  # type: ignore[import-not-found]
from litellm.proxy.auth.route_checks import RouteChecks  # type: ignore[import-not-found]
from litellm.proxy.auth.user_api_key_auth import user_api_key_auth  # type: ignore[import-not-found]
from starlette.requests import Request

METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def routes(found: Any) -> Iterator[tuple[str, str, bool]]:  # noqa: ANN401 - FastAPI's own
    """Each method and path that the OpenAPI document has, and whether a key is asked for before its function runs."""
    for each in found:
        if hasattr(each, "effective_candidates"):  # a router that was included, as all of LiteLLM's are
            yield from routes(each.effective_candidates())
        elif isinstance(getattr(each, "original_route", each), APIRoute):
            for method in METHODS:
                if method in each.methods:
                    yield method, each.path_format, _asks_for_a_key(each.dependant)


def _asks_for_a_key(dependant: Any) -> bool:  # noqa: ANN401 - FastAPI's own
    return dependant.call is user_api_key_auth or any(map(_asks_for_a_key, dependant.dependencies))


def lets_through(method: str, path: str, of: dict[str, Any]) -> bool:
    """Whether LiteLLM lets a caller with a key that is in force through to a route."""
    path = re.sub(r"\{[^}]+\}", "none-such", path)
    request = Request({"type": "http", "method": method, "path": path, "headers": [], "query_string": b""})
    route = get_request_route(request)
    user = LiteLLM_UserTable(user_id="somebody@example.com", user_role=of["role"])
    key = UserAPIKeyAuth(user_id=user.user_id, user_role=of["role"], allowed_routes=of["routes"])
    try:
        RouteChecks.should_call_route(route=route, valid_token=key, request=request)
        if of["role"] != "proxy_admin":
            RouteChecks.non_proxy_admin_allowed_routes_check(
                user_obj=user,
                _user_role=key.user_role,
                route=route,
                request=request,
                valid_token=key,
                request_data={},
            )
    except Exception:  # whichever it is: LiteLLM has no class for it
        return False
    return True


def main() -> None:
    """Answer what is asked on standard input."""
    callers = json.load(sys.stdin)
    register_all_features(server.app)  # which it has in its document at once, and imports when they are asked for
    found: dict[str, list[str | None]] = {}
    for method, path, asks in routes(server.app.routes):
        public = not asks or path in LiteLLMRoutes.public_routes.value
        through = [name for name, of in callers.items() if lets_through(method, path, of)]
        found.setdefault(f"{method} {path}", [None] if public else through)
    print(json.dumps(found))


main()
