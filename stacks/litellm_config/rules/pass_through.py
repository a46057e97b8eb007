"""general_settings.pass_through_endpoints: paths of the gateway that lead to somebody else's interface as it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from stacks.litellm_config.catalog import catalog
from stacks.litellm_config.features import PASS_THROUGH, PassThrough
from stacks.litellm_config.file import Place
from stacks.litellm_config.rules.addresses import check_address
from stacks.litellm_config.rules.keys import check_keys
from stacks.litellm_config.rules.modules import check_module
from stacks.litellm_config.rules.reading import Reading
from stacks.litellm_config.rules.routes import own_route, own_route_below
from stacks.litellm_config.variables import REFERENCE

PLACE: Final[Place] = ("general_settings", "pass_through_endpoints")
METHODS: Final = ("DELETE", "GET", "PATCH", "POST", "PUT")
"""What LiteLLM passes through where an entry does not say."""

_PATH: Final = re.compile(r"(/[\w.~-]+)+")
"""LiteLLM compares paths letter by letter (`is_registered_pass_through_route`): no parameters, no slash at the end."""


def check(reading: Reading) -> tuple[PassThrough, ...]:
    """The endpoints that nothing is wrong with."""
    given = reading.section("general_settings").get("pass_through_endpoints")
    if given is None:
        return ()
    if not isinstance(given, list):
        reading.refuse(PLACE, "it must be a list of endpoints, as in [{path: …, target: …}]")
        return ()
    found = tuple(endpoint for index, each in enumerate(given) if (endpoint := _endpoint(reading, index, each)))
    _check_repeats(reading, given)
    return found


def _endpoint(reading: Reading, index: int, given: object) -> PassThrough | None:
    place: Place = (*PLACE, index)
    before = reading.findings.count
    endpoint = reading.mapping(place, given)
    for key in ("path", "target"):
        if not isinstance(endpoint.get(key), str):
            if reading.findings.count == before:
                reading.refuse(place, f"it has no {key}: LiteLLM needs it")
            return None
    check_keys(reading, place, endpoint, catalog()["settings"]["pass_through_endpoints"])
    path, has_subpaths = endpoint["path"], endpoint.get("include_subpath") is True
    _check_path(reading, place, path, has_subpaths=has_subpaths)
    _check_target(reading, place, endpoint)
    headers = reading.mapping((*place, "headers"), endpoint.get("headers"))
    if reading.findings.count != before:
        return None
    _check_callers(reading, place, endpoint)
    if not endpoint.get("cost_per_request"):
        reading.warn(
            place,
            "it has no cost_per_request, so what is asked by it costs nothing in reports and budgets, unless LiteLLM "
            "reads the tokens of the answer (as it does those of Anthropic, Google and OpenAI)",
        )
    if reading.findings.count != before:
        return None
    return PassThrough(path, has_subpaths, endpoint["target"], {name: str(value) for name, value in headers.items()})


def _check_path(reading: Reading, place: Place, path: str, *, has_subpaths: bool) -> None:
    if not _PATH.fullmatch(path):
        told = "LiteLLM compares a path letter by letter: write it as /name or /name/part, without a slash at its end"
        reading.refuse((*place, "path"), told)
    elif taken := own_route(path):
        reading.refuse((*place, "path"), f"{path} is a route of LiteLLM's own ({taken}), which answers: use another")
    elif has_subpaths and (taken := own_route_below(path)):
        reading.refuse(
            (*place, "path"), f"LiteLLM has routes of its own below {path}, as {taken}: use another path, as /acme"
        )


def _check_target(reading: Reading, place: Place, endpoint: Mapping[str, Any]) -> None:
    """Check the address, or the module of ours that speaks to somebody (LiteLLM's adapters)."""
    target = endpoint["target"]
    if "://" in target or target.startswith(REFERENCE):
        check_address(reading, place, endpoint, "target", at=("target",))
    else:
        check_module(reading, (*place, "target"), target)


def _check_callers(reading: Reading, place: Place, endpoint: Mapping[str, Any]) -> None:
    """Say who may call it (`check_api_key_for_custom_headers_or_pass_through_endpoints` of LiteLLM)."""
    auth = endpoint.get("auth", ...)
    is_open = PASS_THROUGH in reading.opened
    if not is_open:
        reading.warn(
            place,
            f"the web ACL keeps {endpoint['path']} for the management ranges: name {PASS_THROUGH!r} in "
            "ingress.also_open of the environment to open it",
        )
    if auth is ...:
        told = "without auth: true LiteLLM asks who calls for a key, but not what is left of its budget"
        below = f", and below {endpoint['path']} it answers administrators alone"
        reading.warn(place, told + (below if endpoint.get("include_subpath") is True else ""))
    elif auth is not True:
        told = f"with auth: {auth!r} LiteLLM asks nobody who calls for a key, and sends them on with yours"
        (reading.refuse if is_open else reading.warn)((*place, "auth"), f"{told}: write auth: true")
    elif not reading.licensed:
        reading.warn(
            (*place, "auth"),
            "a key needs allowed_passthrough_routes, or its team, which takes a licence of LiteLLM to give: without "
            "one nobody but administrators may call it",
        )
    if endpoint.get("forward_headers") is True:
        reading.warn(
            (*place, "forward_headers"),
            "it sends a caller's headers on, with their key of this gateway unless headers has one of the same name: "
            "callers can send single ones as x-pass-NAME instead",
        )


def _check_repeats(reading: Reading, given: list[Any]) -> None:
    """Refuse a path that is there twice for one method: the first one answers."""
    seen: dict[tuple[str, str], int] = {}
    for index, each in enumerate(given):
        if isinstance(each, dict) and isinstance(each.get("path"), str):
            methods = each.get("methods")
            for method in map(str, methods) if isinstance(methods, list) and methods else METHODS:
                if seen.setdefault((each["path"], method), index) != index:
                    first = seen[each["path"], method] + 1
                    told = f"entry {first} has {method} {each['path']} already, and answers: give each its own methods"
                    reading.refuse((*PLACE, index), told)
                    break
