"""LiteLLM's own routes, which a company's may not be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from stacks.litellm_config.catalog import catalog

_OF_FASTAPI: Final = ("/docs", "/redoc", "/openapi.json", "/metrics")
"""Those that no source of LiteLLM's writes out."""
_ANYTHING: Final = "{endpoint:path}"


def own_route(path: str) -> str:
    """LiteLLM's own route for a path, as LiteLLM writes it; "" if it has none.

    What it passes to a provider whatever the path is (`provider_route`) is not among them: that it makes when it is
    first asked for, after a company's own.
    """
    return next((route for route in _found(path) if not route.endswith(_ANYTHING)), "")


def provider_route(path: str) -> str:
    """By which route LiteLLM takes a path for a provider's, as /azure/{endpoint:path}; "" if by none."""
    return next((route for route in _found(path) if route.endswith(_ANYTHING)), "")


def own_route_below(path: str) -> str:
    """One of LiteLLM's own routes somewhere below a path; "" if there is none."""
    return next((route for route in _patterns() if route.startswith(f"{path.rstrip('/')}/")), "")


def _found(path: str) -> Iterator[str]:
    return (route for route, pattern in _patterns().items() if pattern.fullmatch(path))


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {route: re.compile(_pattern(route)) for route in (*_OF_FASTAPI, *catalog()["routes"])}


def _pattern(route: str) -> str:
    """The route as a regular expression: {name} is a part of a path, {name:path} any number of them."""
    escaped = re.escape(route)
    return re.sub(r"\\{\w+\\}", "[^/]+", re.sub(r"\\{\w+:path\\}", ".*", escaped))
